use super::*;
use crate::file::manifest::testing::{file, path, root, MIB};
use crate::file::manifest::EntryError;
use crate::file::{PathError, MAX_FILES};
use crate::wire::cbor::{encode_value, map};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// npm @ipld/dag-cbor 9.2.7 and multiformats, over the same values.
#[rustfmt::skip]
const FILE: (&str, &str) = (
    concat!(
        "a26466696c65a4646e616d65616164726f6f74d82a58250001551220",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "6473697a65036670696563657381a46473697a650365636f6d6d505820",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "666f6666736574006764617461436964d82a58250001551220",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "6776657273696f6e01",
    ),
    "bafyreidcdpc7xqo6qpnirsrv4kvvhueignqdgkxtql4s5x4snufdpdhb4m",
);
#[rustfmt::skip]
const FOLDER: (&str, &str) = (
    concat!(
        "a266666f6c646572a2646e616d6566666f6c6465726566696c657382",
        "a4646e616d6564612fc3a464726f6f74d82a58250001551220",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6473697a65006670696563657380a4646e616d65616264726f6f74d82a58250001701220",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "6473697a651a007000056670696563657382a46473697a651a0070000065636f6d6d505820",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "666f6666736574006764617461436964d82a58250001701220",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "a46473697a650565636f6d6d505820",
        "0101010101010101010101010101010101010101010101010101010101010101",
        "666f66667365741a007000006764617461436964d82a58250001551220",
        "0101010101010101010101010101010101010101010101010101010101010101",
        "6776657273696f6e01",
    ),
    "bafyreie2kaktmq5lw4c4lkyxukea4644iiqlwypchyaqdas6b5glmim6di",
);

fn manifests() -> [Manifest; 2] {
    let files = vec![file("b", &[7 * MIB, 5]), file("a/\u{e4}", &[])];
    [
        Manifest::file(file("a", &[3])).unwrap(),
        Manifest::folder(path("folder"), files).unwrap(),
    ]
}

/// The bytes of a manifest of one file whose form has one thing changed.
fn changed(change: impl FnOnce(&mut FileForm)) -> Vec<u8> {
    let mut form = FileForm::from(&file("a", &[7 * MIB, 5]));
    change(&mut form);
    encode(&clear(Body::File(form)))
}

fn clear(body: Body) -> Form {
    Form::Known { body, names: None }
}

#[test]
fn a_manifest_has_the_bytes_and_the_cid_that_other_programs_give_it() {
    for (manifest, (bytes, cid)) in manifests().iter().zip([FILE, FOLDER]) {
        let written = manifest.to_bytes().unwrap();
        assert_eq!(hex::encode(&written), bytes);
        assert_eq!(Manifest::cid_of(&written).to_string(), cid);
        assert_eq!(Manifest::read(&written).as_ref(), Ok(manifest));
    }
}

#[test]
fn a_manifest_that_ends_early_or_goes_on_is_refused() {
    for manifest in manifests() {
        let good = manifest.to_bytes().unwrap();
        for cut in 0..good.len() {
            assert!(matches!(
                Manifest::read(&good[..cut]),
                Err(ManifestError::Encoding(DecodeError::Malformed))
            ));
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(
            Manifest::read(&longer),
            Err(ManifestError::Encoding(DecodeError::NotCanonical))
        );
    }
}

#[test]
fn another_version_is_named_before_anything_else_is_looked_at() {
    let known = HIDING_VERSION;
    for found in [0, 3, u64::MAX] {
        let other = map(vec![("version", found.to_value()), ("keys", Value::Null)]);
        assert_eq!(
            Manifest::read(&encode_value(&other)),
            Err(ManifestError::Version { found, known })
        );
    }
    let none = map(vec![("file", Value::Null)]);
    assert_eq!(
        Manifest::read(&encode_value(&none)),
        Err(ManifestError::Encoding(DecodeError::MissingKey {
            of: "Manifest",
            key: "version"
        }))
    );
    let no_map = encode_value(&Value::Null);
    assert!(matches!(
        Manifest::read(&no_map),
        Err(ManifestError::Encoding(DecodeError::Type { .. }))
    ));
}

#[test]
fn a_manifest_of_both_kinds_or_of_none_is_refused() {
    let body = FileForm::from(&file("a", &[3])).to_value();
    let both = map(vec![
        ("file", body),
        ("folder", Value::Null),
        ("version", VERSION.to_value()),
    ]);
    assert!(matches!(
        Manifest::read(&encode_value(&both)),
        Err(ManifestError::Encoding(DecodeError::UnknownKey { .. }))
    ));
    let none = map(vec![("version", VERSION.to_value())]);
    assert!(matches!(
        Manifest::read(&encode_value(&none)),
        Err(ManifestError::Encoding(DecodeError::MissingKey { .. }))
    ));
}

#[test]
fn what_a_manifest_says_is_checked_when_it_is_read() {
    assert!(Manifest::read(&changed(|_| {})).is_ok());
    let dots = PathError::Dots { path: "..".into() };
    assert_eq!(
        Manifest::read(&changed(|file| file.name = "..".into())),
        Err(ManifestError::Path(dots.clone()))
    );
    assert!(matches!(
        Manifest::read(&changed(|file| file.name = "a/b".into())),
        Err(ManifestError::NotAName { .. })
    ));
    assert_eq!(
        Manifest::read(&changed(|file| file.pieces[1].offset += 1)),
        Err(ManifestError::Entry {
            path: path("a"),
            error: EntryError::Gap {
                index: 1,
                expected: 7 * MIB,
                found: 7 * MIB + 1
            }
        })
    );
    let form = |names: [&str; 2], name: &str| {
        let files = names.map(|name| FileForm {
            name: name.into(),
            ..FileForm::from(&file("a", &[3]))
        });
        let (name, files) = (name.into(), files.into());
        Manifest::read(&encode(&clear(Body::Folder(FolderForm { name, files }))))
    };
    assert!(form(["a", "b"], "f").is_ok());
    assert_eq!(form(["a", "b"], ".."), Err(ManifestError::Path(dots)));
    assert_eq!(form(["b", "a"], "f"), Err(ManifestError::Order { path: path("a") }));
    assert_eq!(form(["a", "a"], "f"), Err(ManifestError::Duplicate { path: path("a") }));
    assert_eq!(
        form(["a", "a/b"], "f"),
        Err(ManifestError::FileAndFolder { path: path("a") })
    );
}

#[test]
fn a_manifest_over_a_bound_is_refused_before_it_is_decoded() {
    let (bytes, limit) = (MAX_MANIFEST_BYTES + 1, MAX_MANIFEST_BYTES);
    assert_eq!(
        Manifest::read(&vec![0xff; bytes]),
        Err(ManifestError::TooLarge { bytes, limit })
    );
    let limit = MAX_ITEMS;
    assert_eq!(
        Manifest::read(&vec![0x80; MAX_MANIFEST_BYTES]),
        Err(ManifestError::Encoding(DecodeError::TooManyItems { limit }))
    );
}

#[test]
fn the_largest_folder_is_read_and_one_with_longer_names_is_not_written() {
    let folder = |bytes: usize| {
        let name = |index: usize| format!("{index:05}{}", "n".repeat(bytes - 5));
        let files = (0..MAX_FILES).map(|index| file(&name(index), &[MIB])).collect();
        Manifest::folder(path("folder"), files).unwrap()
    };
    let largest = folder(250);
    let bytes = largest.to_bytes().unwrap();
    assert_eq!(Manifest::read(&bytes), Ok(largest));
    assert!(matches!(folder(300).to_bytes(), Err(ManifestError::TooLarge { .. })));
}

#[test]
fn the_largest_file_is_read() {
    let sizes = vec![7 * MIB; MAX_PIECES as usize];
    let manifest = Manifest::file(file("a", &sizes)).unwrap();
    let bytes = manifest.to_bytes().unwrap();
    assert!(bytes.len() < 2_000_000, "{}", bytes.len());
    assert_eq!(Manifest::read(&bytes), Ok(manifest));
    assert_eq!(root(0, 0), crate::piece::node::raw_cid(&[]));
}

//! Manifests, through the public interface: what holds for any of them, and for any bytes that somebody says are one.

use cid::Cid;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest, ProptestConfig, Strategy};
use proptest::sample::{select, Index};
use shared::file::{EncryptedNames, FileEntry, FilePiece, FileSystem, Manifest, RelativePath, TrueNames};
use shared::piece::node::{cid_of, raw_cid, DAG_PB, RAW};
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{Commitment, DagShape};
use std::ops::Range;

/// Names as people, and those who mean harm, give them.
fn paths() -> impl Strategy<Value = String> {
    let part = select(vec![
        "a", "b", "A", "..", ".", "", "C:", "nul", "a b", "\u{e4}", "e\u{301}", "x\\y", "...", "a.txt", "\0", "com1.x",
        "~", "-rf",
    ]);
    vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn root_of(size: u64, seed: u8) -> Cid {
    match DagShape::STANDARD.depth(size) {
        0 => cid_of(RAW, &[seed; 32]),
        _ => cid_of(DAG_PB, &[seed; 32]),
    }
}

/// Files of one byte and more, cut anywhere at leaves.
fn files() -> impl Strategy<Value = FileEntry> {
    let name = "[a-zA-Z0-9 ._\u{e4}\u{4e00}-\u{4e10}]{1,12}";
    let leaves = vec(1..40u64, 0..12);
    (name, leaves, 1..=LEAF_BYTES, any::<u8>()).prop_filter_map("a name", |(name, leaves, last, seed)| {
        let path = RelativePath::parse(&name).ok()?;
        let mut offset = 0;
        let sizes = leaves.into_iter().map(|leaves| leaves * LEAF_BYTES).chain([last]);
        let pieces: Vec<FilePiece> = sizes
            .map(|size| {
                let piece = FilePiece {
                    offset,
                    size,
                    data_cid: root_of(size, seed),
                    comm_p: Commitment([seed; 32]),
                };
                offset += size;
                piece
            })
            .collect();
        FileEntry::new(path, offset, root_of(offset, seed), pieces).ok()
    })
}

/// What every manifest can be asked, whoever made it.
fn is_sound(manifest: &Manifest) {
    let bytes = manifest.to_bytes().expect("it was read");
    assert_eq!(Manifest::read(&bytes).as_ref(), Ok(manifest));
    let mut before: Option<&RelativePath> = None;
    for file in manifest.files() {
        let folder = std::path::Path::new("chosen");
        let written = file
            .path()
            .parts()
            .fold(folder.to_owned(), |path, part| path.join(part));
        assert!(written.starts_with(folder) && written != folder);
        assert!(written.components().all(|part| part != std::path::Component::ParentDir));
        assert!(before.is_none_or(|before| before < file.path()));
        before = Some(file.path());
        let pieces: u64 = file.pieces().iter().map(|piece| piece.size).sum();
        assert_eq!(pieces, file.size());
        let spans = file.spans(0..file.size()).expect("the whole file");
        assert_eq!(spans.map(|span| span.bytes.end).sum::<u64>(), file.size());
    }
    let _ = manifest.writable_on(FileSystem::Windows);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_range_is_found_in_pieces_without_gaps(file in files(), ends in any::<[Index; 2]>()) {
        let size = usize::try_from(file.size()).expect("below 500 MiB") + 1;
        let [a, b] = ends.map(|end| end.index(size) as u64);
        let range = a.min(b)..a.max(b);
        let mut at = range.start;
        for span in file.spans(range.clone()).expect("within the file") {
            let piece = &file.pieces()[span.piece];
            let Range { start, end } = span.bytes;
            prop_assert!(start < end && end <= piece.size);
            prop_assert_eq!(piece.offset + start, at);
            at = piece.offset + end;
        }
        prop_assert_eq!(at, range.end);
    }

    #[test]
    fn a_folder_reads_back_as_it_was_written_in_whatever_order_its_files_came(files in vec(files(), 1..8)) {
        let name = RelativePath::parse("folder").expect("a name");
        let backwards: Vec<_> = files.iter().rev().cloned().collect();
        let manifest = Manifest::folder(name.clone(), files);
        prop_assert_eq!(&manifest, &Manifest::folder(name, backwards));
        if let Ok(manifest) = manifest {
            is_sound(&manifest);
            let list = TrueNames::of(&manifest).to_bytes().expect("small");
            let encrypted = EncryptedNames::new(list.clone()).expect("small");
            let hidden = manifest.clone().hiding(encrypted).expect("neutral");
            is_sound(&hidden);
            let names = TrueNames::read(&list).expect("it was written");
            let named = hidden.under(names);
            prop_assert_eq!(named.as_ref(), Ok(&manifest));
        }
    }

    /// Whoever wrote a manifest wrote the names that come out of it, too.
    #[test]
    fn names_that_somebody_encrypted_are_refused_or_stay_in_their_folder(
        names in vec(paths(), 1..5),
        name in paths(),
        order in any::<bool>(),
    ) {
        let files = (0..names.len()).map(|index| {
            let path = RelativePath::parse(&index.to_string()).expect("a number");
            FileEntry::new(path, 0, raw_cid(&[]), Vec::new()).expect("an empty file")
        });
        let folder = RelativePath::parse("folder").expect("a name");
        let clear = Manifest::folder(folder, files.collect()).expect("few numbers");
        let hidden = clear.hiding(EncryptedNames::new(vec![0]).expect("short")).expect("neutral");
        let mut names = names;
        if order {
            names.sort();
        }
        let list = ciborium::Value::Map(vec![
            ("name".into(), name.into()),
            ("paths".into(), ciborium::Value::Array(names.into_iter().map(Into::into).collect())),
        ]);
        let read = TrueNames::read(&shared::wire::cbor::encode_value(&list));
        if let Ok(named) = read.and_then(|names| hidden.under(names)) {
            is_sound(&named);
        }
    }

    #[test]
    fn bytes_that_somebody_changed_are_refused_or_another_manifest(
        files in vec(files(), 1..4),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let name = RelativePath::parse("folder").expect("a name");
        let Ok(manifest) = Manifest::folder(name, files) else {
            return Ok(());
        };
        let mut bytes = manifest.to_bytes().expect("small");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = Manifest::read(&bytes) {
            prop_assert_eq!(&read.to_bytes().expect("it was read"), &bytes);
            is_sound(&read);
        }
    }

    #[test]
    fn any_path_that_is_taken_stays_in_its_folder(text in paths()) {
        if let Ok(path) = RelativePath::parse(&text) {
            let bad = ["..", ".", "", "C:", "x\\y", "\0"];
            prop_assert!(path.parts().all(|part| !bad.contains(&part)));
            prop_assert_eq!(path.as_str(), &text);
        }
    }
}

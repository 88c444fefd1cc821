//! What encrypted files are called: hidden from all who store and serve them.
//!
//! In the clear part of their manifest the files have neutral names (`0.age`, `1.age`, …, of one length, so that they stand in the order of
//! their paths), and their folder has one, too. What they are really called is a list of its own ([`TrueNames`]), which the client encrypts
//! to those who may read the files, and which the manifest carries as it is ([`EncryptedNames`]). This crate knows no cipher.
//!
//! What was encrypted comes from anybody, too, who wrote the manifest: [`super::Manifest::under`] gives the names to the files only if they
//! pass what names in the clear have to pass.

use super::manifest::{Contents, Manifest, ManifestError, MAX_FILES};
use super::path::RelativePath;
use crate::wire::cbor::{self, cbor_map};
use crate::wire::encode;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of the list of names, encrypted or not: 16 384 paths of 250 bytes, with which the clear part is not larger than a manifest may be.
pub const MAX_NAMES_BYTES: usize = 4 << 20;
/// Items of CBOR in the list: a text each, the frame, and the name.
const MAX_ITEMS: usize = MAX_FILES + 8;
/// What the name of a file in the age format ends with.
const SUFFIX: &str = ".age";
/// What the folder of encrypted files is called.
const FOLDER: &str = "encrypted";

/// The file of this index among `count`.
pub(super) fn neutral_path(index: usize, count: usize) -> RelativePath {
    let digits = format!("{}", count.saturating_sub(1)).len();
    RelativePath::parse(&format!("{index:0digits$}{SUFFIX}")).expect("digits are a name")
}

pub(super) fn neutral_folder() -> RelativePath {
    RelativePath::parse(FOLDER).expect("letters are a name")
}

/// The list of names as an age file; what is in it, only its readers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedNames(Vec<u8>);

impl EncryptedNames {
    /// Refuses what no list of names is, by its size.
    pub fn new(bytes: Vec<u8>) -> Result<Self, ManifestError> {
        check_size(&bytes)?;
        Ok(Self(bytes))
    }

    /// The age file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a file is called, or a folder and its files in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct TrueNames {
    pub(super) name: RelativePath,
    /// None of a single file.
    pub(super) paths: Vec<RelativePath>,
}

struct Form {
    name: String,
    paths: Vec<String>,
}
cbor_map!(Form { "name" => name, "paths" => paths });

impl TrueNames {
    /// The names of what is about to be encrypted.
    pub fn of(manifest: &Manifest) -> Self {
        let paths = match manifest.contents() {
            Contents::File(_) => Vec::new(),
            Contents::Folder(folder) => folder.files().iter().map(|file| file.path().clone()).collect(),
        };
        let name = manifest.name().clone();
        Self { name, paths }
    }

    /// The bytes that are encrypted: canonical DAG-CBOR, `{"name": TEXT, "paths": [TEXT …]}`. Fails where nobody would read them.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let owned = |path: &RelativePath| path.as_str().to_owned();
        let bytes = encode(&Form {
            name: owned(&self.name),
            paths: self.paths.iter().map(owned).collect(),
        });
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// Reads what was decrypted. Whether they are names for a manifest's files says [`Manifest::under`].
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        check_size(bytes)?;
        let form = cbor::decode_bounded::<Form>(bytes, MAX_ITEMS)?;
        let paths: Result<_, _> = form.paths.iter().map(|path| RelativePath::parse(path)).collect();
        Ok(Self {
            name: RelativePath::parse(&form.name)?,
            paths: paths?,
        })
    }
}

/// The names are a secret.
impl core::fmt::Debug for TrueNames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TrueNames").finish_non_exhaustive()
    }
}

fn check_size(bytes: &[u8]) -> Result<(), ManifestError> {
    match bytes.len() {
        1..=MAX_NAMES_BYTES => Ok(()),
        bytes => Err(ManifestError::NamesSize { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::manifest::testing::{file, path};
    use crate::file::{PathError, HIDING_VERSION};
    use alloc::vec;

    fn folder() -> Manifest {
        let files = ["a/b", "a/c", "z"].map(|path| file(path, &[3]));
        Manifest::folder(path("photos"), files.into()).unwrap()
    }

    /// As an age file of this list would be: this crate looks at its size only.
    fn encrypted() -> EncryptedNames {
        EncryptedNames::new(b"age-encryption.org/v1\n".to_vec()).unwrap()
    }

    fn named(name: &str, paths: &[&str]) -> Vec<u8> {
        encode(&Form {
            name: name.to_owned(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        })
    }

    fn under(manifest: &Manifest, name: &str, paths: &[&str]) -> Result<Manifest, ManifestError> {
        manifest.under(TrueNames::read(&named(name, paths))?)
    }

    #[test]
    fn names_are_not_in_a_manifest_that_hides_them_and_come_back_with_the_list() {
        for clear in [folder(), Manifest::file(file("secret.txt", &[3])).unwrap()] {
            let list = TrueNames::of(&clear).to_bytes().unwrap();
            let hidden = clear.clone().hiding(encrypted()).unwrap();
            let bytes = hidden.to_bytes().unwrap();
            for name in [&b"photos"[..], b"secret", b"a/b"] {
                assert!(!bytes.windows(name.len()).any(|part| part == name));
            }
            let read = Manifest::read(&bytes).unwrap();
            assert_eq!(read, hidden);
            assert_eq!(read.encrypted_names(), Some(&encrypted()));
            let named = read.under(TrueNames::read(&list).unwrap()).unwrap();
            assert_eq!(named, clear);
        }
    }

    #[test]
    fn what_is_not_encrypted_keeps_its_version_and_its_bytes() {
        let clear = folder();
        let bytes = clear.to_bytes().unwrap();
        assert!(bytes.ends_with(b"gversion\x01"));
        let hidden = clear.hiding(encrypted()).unwrap().to_bytes().unwrap();
        assert!(hidden.ends_with(&[b"gversion".as_slice(), &[HIDING_VERSION as u8]].concat()));
        assert_ne!(Manifest::cid_of(&bytes), Manifest::cid_of(&hidden));
    }

    #[test]
    fn neutral_names_stand_in_the_order_of_the_files() {
        for count in [1, 2, 10, 11, 101, MAX_FILES] {
            let names: Vec<_> = (0..count).map(|index| neutral_path(index, count)).collect();
            assert!(names.is_sorted() && names.iter().all(RelativePath::is_name), "{count}");
        }
        assert_eq!(neutral_path(0, 1).as_str(), "0.age");
        assert_eq!(neutral_path(7, 11).as_str(), "07.age");
    }

    #[test]
    fn a_manifest_that_says_names_in_the_clear_beside_encrypted_ones_is_refused() {
        for clear in [folder(), Manifest::file(file("secret.txt", &[3])).unwrap()] {
            let refused = clear.with_encrypted(encrypted());
            assert!(matches!(refused, Err(ManifestError::NotNeutral { .. })), "{refused:?}");
        }
    }

    #[test]
    fn encrypted_names_pass_what_names_in_the_clear_have_to_pass() {
        let hidden = folder().hiding(encrypted()).unwrap();
        assert!(under(&hidden, "photos", &["a/b", "a/c", "z"]).is_ok());
        for hostile in ["../etc/passwd", "/etc/passwd", "..", "a/../b", "C:\\x", "a\0", ""] {
            let refused = under(&hidden, "photos", &["a/b", "a/c", hostile]);
            assert!(matches!(refused, Err(ManifestError::Path(_))), "{hostile}: {refused:?}");
            let refused = under(&hidden, hostile, &["a/b", "a/c", "z"]);
            assert!(matches!(refused, Err(ManifestError::Path(_))), "{hostile}: {refused:?}");
        }
        assert_eq!(
            under(&hidden, "a/b", &["a/b", "a/c", "z"]),
            Err(ManifestError::NotAName { name: path("a/b") })
        );
        assert_eq!(
            under(&hidden, "f", &["a", "a", "z"]),
            Err(ManifestError::Duplicate { path: path("a") })
        );
        assert_eq!(
            under(&hidden, "f", &["z", "a", "b"]),
            Err(ManifestError::Order { path: path("a") })
        );
        assert_eq!(
            under(&hidden, "f", &["a", "a/b", "z"]),
            Err(ManifestError::FileAndFolder { path: path("a") })
        );
        let single = Manifest::file(file("x", &[3])).unwrap().hiding(encrypted()).unwrap();
        let dots = PathError::Dots { path: "..".into() };
        assert_eq!(under(&single, "..", &[]), Err(ManifestError::Path(dots)));
        assert_eq!(
            under(&single, "a/b", &[]),
            Err(ManifestError::NotAName { name: path("a/b") })
        );
    }

    #[test]
    fn more_or_fewer_names_than_files_are_refused() {
        let (single, folder) = (Manifest::file(file("x", &[3])).unwrap(), folder());
        for (clear, paths) in [
            (&single, vec!["x"]),
            (&folder, vec![]),
            (&folder, vec!["a", "b"]),
            (&folder, vec!["a", "b", "c", "d"]),
        ] {
            let hidden = clear.clone().hiding(encrypted()).unwrap();
            let (found, files) = (paths.len(), clear.files().len());
            assert_eq!(
                under(&hidden, "f", &paths),
                Err(ManifestError::NamesCount { found, files })
            );
        }
    }

    #[test]
    fn names_over_a_bound_are_refused_before_they_are_decoded() {
        for bytes in [0, MAX_NAMES_BYTES + 1] {
            let refused = Err(ManifestError::NamesSize { bytes });
            assert_eq!(TrueNames::read(&vec![0x80; bytes]), refused);
            assert_eq!(EncryptedNames::new(vec![0; bytes]).map(drop), refused.map(drop));
        }
        let many = vec![0x80; MAX_ITEMS + 1];
        assert!(matches!(TrueNames::read(&many), Err(ManifestError::Encoding(_))));
    }
}

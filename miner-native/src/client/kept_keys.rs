//! The keys of encrypted files in the client's book, which only its owner can read: apart from all else that is known of the files, since
//! whoever has them reads the files.
//!
//! State first: a file's keys are here before a byte of it is hashed, under the name of a draft ([`Book::keep_draft`]), and under the
//! file's id, each bound to the root that was found, in the same transaction as the file itself ([`Book::add_file`]); before that nothing of the
//! file can leave. A deal has no key, only the place of one ([`KeyPlace`]), so that there is one copy of each.

use super::book::{self, Book, KeyPlace, LocalFile};
use super::error::ClientError;
use super::stored_files::{damaged, parsed, part_key, written};
use sealdrop_database::{with_prefix, Changes, Table};
use sealdrop_encryption::EncryptedFile;
use serde::{Deserialize, Serialize};
use shared::file::TrueNames;
use shared::wire::cbor::Bytes;
use std::fmt;
use std::sync::Arc;

/// File, part: the key of each file, and what belongs to all of them.
pub(super) const FILE_KEYS: Table = Table::records("file_keys");

const FILE: &[u8] = b"f";
const ABOUT: &[u8] = b"a";
/// What the name of a draft begins with; no CID does.
const DRAFT: &str = "draft-";
/// How long a draft is kept that no file came of: its process was killed, and nothing of it has left. Hashing takes hours at most.
const DRAFT_MS: u64 = 7 * 24 * 3600 * 1000;

/// What is kept of files that are encrypted together.
pub struct FileKeys {
    /// Recipients; none of a passphrase.
    pub readers: Vec<String>,
    pub names: TrueNames,
    /// Of each file of the manifest, in order.
    pub files: Vec<EncryptedFile>,
}

/// Keys are told to nobody.
impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys").finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct About {
    readers: Vec<String>,
    #[serde(with = "shared::wire::as_cbor")]
    names: Bytes,
}

fn file_key(id: &str, index: u64) -> Vec<u8> {
    part_key(id, &[FILE, &index.to_be_bytes()].concat())
}

pub(super) fn put(changes: &dyn Changes, id: &str, keys: &FileKeys) -> Result<(), ClientError> {
    put_files(changes, id, &keys.files)?;
    let about = About {
        readers: keys.readers.clone(),
        names: Bytes(keys.names.to_bytes()?),
    };
    Ok(changes.put(FILE_KEYS, &part_key(id, ABOUT), &written(&about))?)
}

fn put_files(changes: &dyn Changes, id: &str, files: &[EncryptedFile]) -> Result<(), ClientError> {
    for (index, file) in (0..).zip(files) {
        changes.put(FILE_KEYS, &file_key(id, index), &written(file))?;
    }
    Ok(())
}

pub(super) fn remove(changes: &dyn Changes, id: &str) -> Result<(), ClientError> {
    for (key, _) in with_prefix(changes, FILE_KEYS, &book::name_prefix(id))? {
        changes.remove(FILE_KEYS, &key)?;
    }
    Ok(())
}

impl Book {
    /// Keeps the keys of files that are about to be hashed; the name of the draft. What others left behind long ago goes away.
    pub fn keep_draft(&self, files: &[EncryptedFile]) -> Result<String, ClientError> {
        let (id, now_ms) = book::new_id();
        let draft = format!("{DRAFT}{id}");
        self.deals.write(|changes| {
            for (key, _) in with_prefix(changes, FILE_KEYS, DRAFT.as_bytes())? {
                if began_ms(&key).is_none_or(|began| began.saturating_add(DRAFT_MS) < now_ms) {
                    changes.remove(FILE_KEYS, &key)?;
                }
            }
            put_files(changes, &draft, files)
        })?;
        Ok(draft)
    }

    /// The keys of an encrypted file of this book; `None` of one that is not encrypted, or is not its own.
    pub fn keys(&self, id: &str) -> Result<Option<FileKeys>, ClientError> {
        self.deals.read(|view| {
            let Some(about) = view.get(FILE_KEYS, &part_key(id, ABOUT))? else {
                return Ok(None);
            };
            let About { readers, names } = parsed(FILE_KEYS, id, &about)?;
            let names = TrueNames::read(&names.0).map_err(|error| damaged(FILE_KEYS, id, &error))?;
            let files = with_prefix(view, FILE_KEYS, &part_key(id, FILE))?;
            let files: Result<_, _> = files.iter().map(|(_, bytes)| parsed(FILE_KEYS, id, bytes)).collect();
            Ok(Some(FileKeys {
                readers,
                names,
                files: files?,
            }))
        })
    }

    /// The key that makes a deal's bytes of its file; `None` where the file is stored as it is.
    pub fn key_of(&self, file: &LocalFile) -> Result<Option<Arc<EncryptedFile>>, ClientError> {
        let Some(KeyPlace { file, index }) = &file.key else {
            return Ok(None);
        };
        let found = self
            .deals
            .read(|view| Ok::<_, ClientError>(view.get(FILE_KEYS, &file_key(file, *index))?))?;
        // Without it the file as it is would leave.
        let found = found.ok_or_else(|| damaged(FILE_KEYS, file, &"its key is missing"))?;
        parsed(FILE_KEYS, file, &found).map(Arc::new).map(Some)
    }
}

/// When a draft was begun, by the name that [`book::new_id`] gave it.
fn began_ms(key: &[u8]) -> Option<u64> {
    let name = std::str::from_utf8(key.split(|byte| *byte == 0).next()?).ok()?;
    name.strip_prefix(DRAFT)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::source::FileFacts;
    use sealdrop_encryption::{EncryptionKey, Identity, Recipients};
    use shared::file::{FileEntry, Manifest, RelativePath};
    use shared::piece::node::raw_cid;

    fn encrypted(plain_len: u64) -> EncryptedFile {
        let recipient = Identity::generate().unwrap().recipient();
        let key = EncryptionKey::generate(&Recipients::X25519(&[recipient])).unwrap();
        EncryptedFile::new(key, plain_len).unwrap()
    }

    fn keys() -> FileKeys {
        let path = RelativePath::parse("secret").unwrap();
        let empty = FileEntry::new(path, 0, raw_cid(&[]), Vec::new()).unwrap();
        let mut files = vec![encrypted(3), encrypted(4)];
        files[1].bind(raw_cid(b"x")).unwrap();
        FileKeys {
            readers: vec!["age1".to_owned()],
            names: TrueNames::of(&Manifest::file(empty).unwrap()),
            files,
        }
    }

    fn place(index: u64) -> LocalFile {
        LocalFile {
            facts: FileFacts {
                path: "/x".into(),
                size: 4,
                modified_ns: 1,
            },
            part: None,
            key: Some(KeyPlace {
                file: "id".into(),
                index,
            }),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn keys_come_back_with_the_root_that_they_are_bound_to_and_a_missing_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        book.deals.write(|changes| put(changes, "id", &keys())).unwrap();
        let found = book.keys("id").unwrap().unwrap();
        assert_eq!((found.readers, found.files.len()), (vec!["age1".to_owned()], 2));
        assert!(book.keys("other").unwrap().is_none());
        let key = book.key_of(&place(1)).unwrap().unwrap();
        assert_eq!((key.plain_len(), key.root()), (4, Some(&raw_cid(b"x"))));
        // Never the file as it is.
        assert!(book.key_of(&place(2)).is_err());
        let clear = LocalFile { key: None, ..place(0) };
        assert!(book.key_of(&clear).unwrap().is_none());
    }

    #[test]
    fn a_draft_is_kept_before_its_file_is_there_and_goes_away_after_a_week() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path()).unwrap();
        let draft = book.keep_draft(&[encrypted(3)]).unwrap();
        let old = format!("{DRAFT}1-00");
        book.deals
            .write(|changes| put_files(changes, &old, &[encrypted(3)]))
            .unwrap();
        book.keep_draft(&[]).unwrap();
        let has = |name: &str| {
            book.deals
                .read(|view| Ok::<_, ClientError>(view.get(FILE_KEYS, &file_key(name, 0))?.is_some()))
                .unwrap()
        };
        assert!(has(&draft) && !has(&old));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_book_that_the_keys_are_in() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let _book = Book::open(dir.path()).unwrap();
        for file in std::fs::read_dir(dir.path().join("book")).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
    }
}

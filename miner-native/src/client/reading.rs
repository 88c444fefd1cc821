//! The bytes of a local file as they are stored: the file's own, or, of one that is encrypted, made again of it with its key.
//!
//! What is made again is hashed ([`read_stored`], by [`super::hashing`]), or goes to a miner ([`PieceReader`], by [`super::serving`] and
//! [`super::uploading`]). Before it goes it is compared with the leaves of the piece that was hashed first: a file that has changed meanwhile is
//! never encrypted a second time with the same key for anybody to see ([`sealdrop_encryption::file`] says why).

use super::book::LocalFile;
use super::source::FileFacts;
use cid::Cid;
use sealdrop_encryption::{EncryptedFile, Unreleased};
use shared::piece::node::node_cid;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::DagShape;
use shared::transfer::{KnownDag, TransferFault};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads bytes as they are stored, to hash them and for nothing else.
pub(super) fn read_stored(file: &mut File, key: Option<&EncryptedFile>, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    let Some(key) = key else {
        file.seek(SeekFrom::Start(at))?;
        return file.read_exact(bytes);
    };
    let made = make(file, key, &(at..at.saturating_add(bytes.len() as u64)))?;
    let made = made.for_hashing();
    match made.len() == bytes.len() {
        true => bytes.copy_from_slice(made),
        false => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    Ok(())
}

/// Makes a range of the ciphertext of what the file holds now.
fn make(file: &mut File, key: &EncryptedFile, cipher: &Range<u64>) -> io::Result<Unreleased> {
    let plain = key.plain_range(cipher).map_err(io::Error::other)?;
    let length = plain.end.saturating_sub(plain.start);
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(plain.start))?;
    file.read_exact(&mut bytes)?;
    key.encrypt_range(cipher, &bytes).map_err(io::Error::other)
}

/// A deal's piece as its miner gets it.
#[derive(Clone)]
pub struct PieceReader {
    facts: FileFacts,
    /// Where the piece lies in what is stored of the file.
    part: Range<u64>,
    encrypted: Option<Arc<Encrypted>>,
}

struct Encrypted {
    key: Arc<EncryptedFile>,
    /// What every leaf must be.
    dag: KnownDag,
    /// The leaf that was made last, with its number: a miner fetches 256 KiB at a time, and a leaf is made and compared as a whole.
    last: Mutex<Option<(u64, Arc<Vec<u8>>)>>,
}

impl PieceReader {
    /// A part of a file that is stored as it is.
    pub fn clear(facts: FileFacts, part: Range<u64>) -> Self {
        let encrypted = None;
        Self { facts, part, encrypted }
    }

    /// The piece with this root; `key` is that of its place ([`super::book::Book::key_of`]).
    pub fn of(file: &LocalFile, data: &Cid, key: Option<Arc<EncryptedFile>>) -> Result<Self, TransferFault> {
        let reader = Self::clear(file.facts.clone(), file.range());
        let Some(key) = key else {
            return Ok(reader);
        };
        let mut dag = KnownDag::new(*data, reader.size(), DagShape::STANDARD)?;
        dag.take_nodes(file.nodes.iter().map(|node| (node_cid(&node.0), node.0.clone())))?;
        let last = Mutex::default();
        Ok(Self {
            encrypted: Some(Arc::new(Encrypted { key, dag, last })),
            ..reader
        })
    }

    /// Bytes of the piece.
    pub fn size(&self) -> u64 {
        self.part.end.saturating_sub(self.part.start)
    }

    /// Bytes of the piece; `None` when the file is not what it was, or cannot be read.
    pub async fn range(&self, offset: u64, len: u32) -> Option<Vec<u8>> {
        let end = offset.checked_add(u64::from(len)).filter(|end| *end <= self.size())?;
        let Some(encrypted) = self.encrypted.clone() else {
            return self.facts.range(self.part.start.saturating_add(offset), len).await;
        };
        let (facts, start) = (self.facts.clone(), self.part.start);
        let made = tokio::task::spawn_blocking(move || encrypted.range(&facts, start, &(offset..end)));
        made.await.ok()?
    }
}

impl Encrypted {
    fn range(&self, facts: &FileFacts, start: u64, range: &Range<u64>) -> Option<Vec<u8>> {
        let leaves = range.start / LEAF_BYTES..range.end.div_ceil(LEAF_BYTES);
        let first = self.dag.leaf_start(leaves.start);
        let at = |at: u64| usize::try_from(at.saturating_sub(first)).ok();
        let is_one = leaves.end.saturating_sub(leaves.start) == 1;
        let kept = self.last().clone().filter(|(leaf, _)| is_one && *leaf == leaves.start);
        let bytes = match kept {
            Some((_, bytes)) => bytes,
            None => Arc::new(self.leaves(facts, start, &leaves)?),
        };
        if is_one {
            *self.last() = Some((leaves.start, bytes.clone()));
        }
        bytes.get(at(range.start)?..at(range.end)?).map(<[u8]>::to_vec)
    }

    /// Whole leaves, which are given away only if they are those of the piece.
    fn leaves(&self, facts: &FileFacts, start: u64, leaves: &Range<u64>) -> Option<Vec<u8>> {
        let mut file = File::open(&facts.path).ok()?;
        if !facts.matches(&file.metadata().ok()?) {
            return None;
        }
        let at = |leaf: u64| start.saturating_add(self.dag.leaf_start(leaf));
        let made = make(&mut file, &self.key, &(at(leaves.start)..at(leaves.end))).ok()?;
        let released = made.release_if(|bytes| self.dag.check_leaves(leaves.start, bytes).is_ok());
        if let Err(error) = &released {
            tracing::warn!(path = %facts.path.display(), %error, "nothing is sent");
        }
        released.ok()
    }

    /// A panic while the lock was held leaves a whole value.
    fn last(&self) -> std::sync::MutexGuard<'_, Option<(u64, Arc<Vec<u8>>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::book::{FilePart, KeyPlace};
    use sealdrop_encryption::{decrypt_bytes, EncryptionKey, Identity, Keys, Recipients};
    use shared::piece::PieceDigest;
    use shared::wire::cbor::Bytes;

    /// Three leaves, the last one short.
    const SIZE: usize = (2 << 20) + 12_345;

    struct Stored {
        _dir: tempfile::TempDir,
        identity: Identity,
        bytes: Vec<u8>,
        file: LocalFile,
        ciphertext: Vec<u8>,
        data: Cid,
        key: Arc<EncryptedFile>,
    }

    impl Stored {
        fn new(size: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            let bytes: Vec<u8> = (0..size).map(|at| (at * 131 + (at >> 9) * 7) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let identity = Identity::generate().unwrap();
            let key = EncryptionKey::generate(&Recipients::X25519(&[identity.recipient()])).unwrap();
            let key = EncryptedFile::new(key, size as u64).unwrap();
            let mut ciphertext = vec![0; key.ciphertext_len() as usize];
            read_stored(&mut File::open(&path).unwrap(), Some(&key), 0, &mut ciphertext).unwrap();
            let mut digest = PieceDigest::new();
            digest.push(&ciphertext).unwrap();
            let found = digest.finish().unwrap();
            let file = LocalFile {
                facts: FileFacts::of_any(&path).unwrap(),
                part: Some(FilePart {
                    offset: 0,
                    size: key.ciphertext_len(),
                }),
                key: Some(KeyPlace {
                    file: "id".into(),
                    index: 0,
                }),
                nodes: found.nodes.into_iter().map(|(_, bytes)| Bytes(bytes)).collect(),
            };
            Self {
                _dir: dir,
                identity,
                bytes,
                file,
                ciphertext,
                data: found.data_cid,
                key: Arc::new(key),
            }
        }

        fn reader(&self) -> PieceReader {
            PieceReader::of(&self.file, &self.data, Some(self.key.clone())).unwrap()
        }

        /// Writes the file with one byte changed, and the same time of its last change: only its bytes tell.
        fn change(&self, at: usize) {
            let mut bytes = self.bytes.clone();
            bytes[at] ^= 1;
            let path = &self.file.facts.path;
            let modified = std::fs::metadata(path).unwrap().modified().unwrap();
            std::fs::write(path, bytes).unwrap();
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(modified)
                .unwrap();
            assert_eq!(FileFacts::of_any(path).unwrap(), self.file.facts);
        }
    }

    #[tokio::test]
    async fn any_range_of_the_ciphertext_is_made_again_and_is_an_age_file() {
        for size in [0, 1, 70_000, SIZE] {
            let stored = Stored::new(size);
            let (reader, length) = (stored.reader(), stored.ciphertext.len() as u64);
            for (from, to) in [
                (0, 1),
                (0, length),
                (length / 2, length),
                (length - 1, length),
                (100, 200),
            ] {
                let made = reader.range(from, (to - from) as u32).await.unwrap();
                assert!(
                    made == stored.ciphertext[from as usize..to as usize],
                    "{size}: {from}..{to}"
                );
            }
            assert_eq!(reader.range(0, length as u32 + 1).await, None);
            let keys = Keys::Identities(std::slice::from_ref(&stored.identity));
            assert!(decrypt_bytes(keys, &stored.ciphertext).unwrap() == stored.bytes);
        }
    }

    #[tokio::test]
    async fn a_byte_that_changed_after_hashing_is_never_sent_although_the_files_date_says_nothing() {
        let stored = Stored::new(SIZE);
        let leaf = LEAF_BYTES;
        stored.change(SIZE - 1);
        let reader = stored.reader();
        assert_eq!(reader.range(2 * leaf, 10).await, None);
        assert_eq!(reader.range(0, 3 * LEAF_BYTES as u32 - 10).await, None);
        // The leaf of which no byte has changed is what it was.
        assert!(reader.range(5, 100).await.unwrap() == stored.ciphertext[5..105]);
        stored.change(0);
        let reader = stored.reader();
        assert_eq!(reader.range(leaf - 1, 1).await, None);
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_or_gone_gives_nothing() {
        let stored = Stored::new(70_000);
        std::fs::write(&stored.file.facts.path, b"short").unwrap();
        assert_eq!(stored.reader().range(0, 10).await, None);
        std::fs::remove_file(&stored.file.facts.path).unwrap();
        assert_eq!(stored.reader().range(0, 10).await, None);
    }
}

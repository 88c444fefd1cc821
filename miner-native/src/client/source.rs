//! The file that a deal is about: read once for its names, then by ranges for the miner, and never when it has changed.

use super::error::{step, ClientError};
use super::hashing::{self, Measured};
use super::report::Report;
use crate::terminal::escaped;
use cid::Cid;
use sealdrop_encryption::EncryptedFile;
use serde::{Deserialize, Serialize};
use shared::piece::{Commitment, PieceDigest, PieceSummary, BYTES_TOGETHER};
use shared::wire::cbor::Bytes;
use std::fs::Metadata;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

/// What tells that a file is still the one that was digested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Absolute.
    #[serde(with = "path_bytes")]
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970; 0 where the file system does not say.
    pub modified_ns: u128,
}

impl FileFacts {
    /// Looks at a file that is to be stored: it must be a file, and hold something.
    pub fn of(path: &Path) -> Result<Self, ClientError> {
        let absolute = std::fs::canonicalize(path).map_err(ClientError::file("read", path))?;
        let metadata = std::fs::metadata(&absolute).map_err(ClientError::file("read", path))?;
        if !metadata.is_file() {
            return Err(ClientError::NotAFile { path: absolute });
        }
        if metadata.len() == 0 {
            return Err(ClientError::Empty { path: absolute });
        }
        Ok(Self::from_metadata(absolute, &metadata))
    }

    /// Looks at a file of a folder, which may hold nothing.
    pub fn of_any(path: &Path) -> Result<Self, ClientError> {
        let metadata = std::fs::symlink_metadata(path).map_err(ClientError::file("read", path))?;
        match metadata.is_file() {
            true => Ok(Self::from_metadata(path.to_owned(), &metadata)),
            false => Err(ClientError::NotAFile { path: path.to_owned() }),
        }
    }

    fn from_metadata(path: PathBuf, metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            path,
            size: metadata.len(),
            modified_ns: age.map_or(0, |age| age.as_nanos()),
        }
    }

    /// The file's name, for lists and labels: one line that moves nothing on a terminal.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        escaped(&name.to_string_lossy()).into_owned()
    }

    pub(super) fn matches(&self, metadata: &Metadata) -> bool {
        Self::from_metadata(self.path.clone(), metadata) == *self
    }

    /// Computes both names of the file in one pass, on every core, in constant memory. A file that changes meanwhile is
    /// an error; `deal` is what its text calls the deal.
    pub async fn digest(&self, report: &Report, deal: &str) -> Result<PieceSummary, ClientError> {
        self.digest_part((0..self.size, None), report, deal).await
    }

    /// As [`Self::digest`], of a part of what is stored of the file: of its ciphertext, where there is a key.
    pub async fn digest_part(
        &self,
        (part, key): (Range<u64>, Option<Arc<EncryptedFile>>),
        report: &Report,
        deal: &str,
    ) -> Result<PieceSummary, ClientError> {
        let (facts, deal) = (self.clone(), deal.to_owned());
        let gauge = report.bytes("computing the file's commitments", part.end.saturating_sub(part.start));
        let work = tokio::task::spawn_blocking(move || {
            let key = key.as_deref();
            hashing::digest(Measured { facts: &facts, key }, part, &deal, &|done| gauge.at(done))
        });
        let path = self.path.clone();
        work.await
            .map_err(|e| ClientError::file("read", path)(std::io::Error::other(e)))?
    }

    /// Bytes of the file; `None` when it is not the file any more or cannot be read.
    pub async fn range(&self, offset: u64, len: u32) -> Option<Vec<u8>> {
        let mut file = tokio::fs::File::open(&self.path).await.ok()?;
        if !self.matches(&file.metadata().await.ok()?) {
            return None;
        }
        file.seek(SeekFrom::Start(offset)).await.ok()?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        file.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    /// The error that says so.
    pub fn changed(&self, deal: &str) -> ClientError {
        let (path, deal) = (self.path.clone(), deal.to_owned());
        match deal.is_empty() {
            // It has no deal yet.
            true => ClientError::Growing { path },
            false => ClientError::Changed { path, deal },
        }
    }
}

/// A path is bytes, whatever they are: kept as text where they are text, as version 0.1.0 did, and else as bytes.
mod path_bytes {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => to.serialize_str(text),
            None => to.serialize_bytes(path.as_os_str().as_encoded_bytes()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        from.deserialize_any(AnyPath)
    }

    struct AnyPath;

    impl Visitor<'_> for AnyPath {
        type Value = PathBuf;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a path, as text or as bytes")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<PathBuf, E> {
            Ok(text.into())
        }

        #[cfg(unix)]
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<PathBuf, E> {
            let path: OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec());
            Ok(path.into())
        }

        #[cfg(not(unix))]
        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<PathBuf, E> {
            Ok(OsString::from(String::from_utf8_lossy(bytes).into_owned()).into())
        }
    }
}

/// What a file is called, and the way to its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Names {
    /// Root of the file's DAG.
    #[serde(with = "shared::wire::as_cbor")]
    pub data_cid: Cid,
    pub comm_p: Commitment,
    /// Interior nodes of the DAG; their CIDs follow from them.
    #[serde(with = "shared::wire::as_cbor")]
    pub nodes: Vec<Bytes>,
}

impl From<PieceSummary> for Names {
    fn from(summary: PieceSummary) -> Self {
        Self {
            data_cid: summary.data_cid,
            comm_p: summary.comm_p,
            nodes: summary.nodes.into_iter().map(|(_, bytes)| Bytes(bytes)).collect(),
        }
    }
}

/// A file that a deal is to be made of.
#[derive(Debug, Clone)]
pub struct Piece {
    /// As it was when it was chosen or imported.
    pub file: FileFacts,
    /// `None` until they are computed.
    pub names: Option<Names>,
}

impl Piece {
    /// A file that was never looked at before.
    pub fn of(path: &Path) -> Result<Self, ClientError> {
        let (file, names) = (FileFacts::of(path)?, None);
        Ok(Self { file, names })
    }

    /// The file as it is now, with its names. An imported file that was copied back or touched is read again: it may still
    /// be the same bytes.
    pub async fn measure(self, report: &Report) -> Result<(FileFacts, Names), ClientError> {
        let Some(names) = self.names else {
            let names = self.file.digest(report, "").await?.into();
            return Ok((self.file, names));
        };
        let now = FileFacts::of(&self.file.path).map_err(ClientError::in_step(step::SIZE))?;
        if now == self.file {
            return Ok((now, names));
        }
        let found: Names = now.digest(report, "").await?.into();
        match found == names {
            true => Ok((now, names)),
            false => Err(ClientError::ImportChanged {
                path: now.path,
                data: names.data_cid,
            }),
        }
    }
}

/// Computes both names of what `source` gives until its end, in constant memory; `seen` takes every part with the bytes
/// so far, and ends the reading with `false`.
pub(super) fn digest_of(
    source: &mut impl Read,
    path: &Path,
    mut seen: impl FnMut(&[u8], u64) -> bool,
) -> Result<PieceSummary, ClientError> {
    let refused = |source| ClientError::Digest {
        path: path.to_owned(),
        source,
    };
    let mut digest = PieceDigest::new();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let read = source.by_ref().take(BYTES_TOGETHER as u64).read_to_end(&mut buffer);
        if read.map_err(ClientError::file("read", path))? == 0 {
            break;
        }
        digest.push(&buffer).map_err(refused)?;
        if !seen(&buffer, digest.size()) {
            break;
        }
    }
    if digest.size() == 0 {
        return Err(ClientError::Empty { path: path.to_owned() });
    }
    digest.finish().map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn file(bytes: &[u8]) -> (tempfile::TempDir, FileFacts) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let facts = FileFacts::of(&path).unwrap();
        (dir, facts)
    }

    #[tokio::test]
    async fn a_range_of_the_file_is_read_and_nothing_beyond_it() {
        let (_dir, facts) = file(b"0123456789");
        assert_eq!(facts.range(3, 4).await.as_deref(), Some(b"3456".as_slice()));
        assert_eq!(facts.range(8, 3).await, None);
    }

    #[tokio::test]
    async fn a_file_that_changed_is_not_served() {
        let (_dir, facts) = file(b"0123456789");
        let rewritten = std::fs::File::options().write(true).open(&facts.path).unwrap();
        rewritten
            .set_modified(SystemTime::now() + Duration::from_secs(5))
            .unwrap();
        assert_eq!(facts.range(0, 1).await, None);
        let digest = facts.digest(&Report::new(), "d").await;
        assert!(matches!(digest, Err(ClientError::Changed { .. })));
    }

    /// Finding E3: it was a panic.
    #[cfg(unix)]
    #[test]
    fn a_file_of_any_name_is_kept_by_its_bytes() {
        use std::os::unix::ffi::OsStrExt;
        for name in [b"plain".as_slice(), b"\xff\xfe", "gr\u{fc}n\u{1b}[2J".as_bytes()] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
            std::fs::write(&path, b"x").unwrap();
            let facts = FileFacts::of(&path).unwrap();
            let mut bytes = Vec::new();
            ciborium::into_writer(&facts, &mut bytes).unwrap();
            assert_eq!(ciborium::from_reader::<FileFacts, _>(bytes.as_slice()).unwrap(), facts);
            assert!(!facts.name().chars().any(char::is_control));
        }
    }

    #[tokio::test]
    async fn a_file_that_grows_before_it_has_a_deal_is_told_without_one() {
        let (_dir, facts) = file(b"0123456789");
        std::fs::write(&facts.path, b"0123456789a").unwrap();
        let grown = facts.digest(&Report::new(), "").await.unwrap_err();
        assert!(matches!(grown, ClientError::Growing { .. }), "{grown:?}");
    }

    #[test]
    fn an_empty_file_and_a_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("empty"), b"").unwrap();
        assert!(matches!(
            FileFacts::of(&dir.path().join("empty")),
            Err(ClientError::Empty { .. })
        ));
        assert!(matches!(FileFacts::of(dir.path()), Err(ClientError::NotAFile { .. })));
    }
}

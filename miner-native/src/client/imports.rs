//! Files that were imported: measured once, and offered under their CID to any deal from then on (spec §6.1).
//!
//! ```text
//! CLIENT/imports/<cid>.import   where the bytes are, and their names (CBOR), replaced as a whole
//! CLIENT/imports/data/<cid>     the bytes themselves, when they came over a pipe or a copy was asked for
//! ```
//! An imported file stays where it is unless a copy is asked for; that it is still the same is seen whenever it is used.
//! Written by `client import`; [`super::proposing`] and [`super::fetching`] look here first.

use super::destination::copy_to_stdout;
use super::error::ClientError;
use super::partial::{self, Partial};
use super::report::Report;
use super::source::{digest_of, FileFacts, Names, Piece};
use cid::Cid;
use sealdrop_miner::data_dir::write_whole;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Longest record that is read, in bytes: the nodes of a 32 GiB file and two names.
const MAX_RECORD: u64 = 4 * 1024 * 1024;
const EXTENSION: &str = "import";

/// One imported file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Import {
    pub file: FileFacts,
    pub names: Names,
}

/// All imports of this client.
#[derive(Debug, Clone)]
pub struct Imports {
    dir: PathBuf,
}

impl Import {
    /// The file with its names, for a deal.
    pub fn piece(self) -> Piece {
        Piece {
            file: self.file,
            names: Some(self.names),
        }
    }

    /// Writes the bytes to the standard output, once they are checked.
    pub async fn write_out(self, report: &Report) -> Result<(), ClientError> {
        let (path, data) = (self.file.path.clone(), self.names.data_cid);
        // Read anew whatever its date says: what is written out is what the CID stands for.
        let now = FileFacts::of(&path)?;
        let found: Names = now.digest(report, "").await?.into();
        if found != self.names {
            return Err(ClientError::ImportChanged { path, data });
        }
        let copied = tokio::task::spawn_blocking(move || {
            let file = File::open(&path).map_err(ClientError::file("read", &path))?;
            copy_to_stdout(&file)
        });
        copied
            .await
            .map_err(|e| ClientError::file("read", now.path)(io::Error::other(e)))?
    }
}

impl Imports {
    /// Opens the imports in the client's directory, which are made when they are not there.
    pub fn open(dir: &Path) -> Result<Self, ClientError> {
        let dir = dir.join("imports");
        let data = dir.join("data");
        fs::create_dir_all(&data).map_err(ClientError::file("create", &data))?;
        // What killed processes left, also those of version 0.1.0.
        partial::sweep(&data, ".");
        Ok(Self { dir })
    }

    /// Imports a file: a reference to it, or with `copy` its bytes.
    pub async fn add(&self, path: &Path, copy: bool, report: &Report) -> Result<Import, ClientError> {
        let file = FileFacts::of(path)?;
        if copy {
            let source = File::open(&file.path).map_err(ClientError::file("read", &file.path))?;
            return self.add_stream(source, report).await;
        }
        let names = file.digest(report, "").await?.into();
        let import = Import { file, names };
        self.save(&import)?;
        Ok(import)
    }

    /// Imports what a stream gives until its end, as a copy.
    pub async fn add_stream(&self, source: impl Read + Send + 'static, report: &Report) -> Result<Import, ClientError> {
        let (imports, gauge) = (self.clone(), report.wait("reading and measuring"));
        let work = tokio::task::spawn_blocking(move || imports.take(source, |done| gauge.at(done)));
        let dir = self.dir.clone();
        work.await
            .map_err(|e| ClientError::file("write", dir)(io::Error::other(e)))?
    }

    fn take(&self, mut source: impl Read, mut progress: impl FnMut(u64)) -> Result<Import, ClientError> {
        let data = self.dir.join("data");
        let partial = Partial::create(&data).map_err(ClientError::file("create a file in", &data))?;
        let (mut wrote, given) = (Ok(()), PathBuf::from("-"));
        let summary = digest_of(&mut source, &given, |bytes, done| {
            progress(done);
            wrote = partial.file().write_all(bytes);
            wrote.is_ok()
        });
        wrote.map_err(ClientError::file("write", partial.path()))?;
        let summary = summary?;
        let place = data.join(summary.data_cid.to_string());
        partial.keep_as(&place).map_err(ClientError::file("write", &place))?;
        let (file, names) = (FileFacts::of(&place)?, summary.into());
        let import = Import { file, names };
        self.save(&import)?;
        Ok(import)
    }

    fn save(&self, import: &Import) -> Result<(), ClientError> {
        let path = self.path(&import.names.data_cid);
        let mut bytes = Vec::new();
        ciborium::into_writer(import, &mut bytes).expect("writing to a Vec cannot fail");
        write_whole(&path, &bytes, 0o600).map_err(ClientError::file("write", path))
    }

    /// The import with this CID.
    pub fn find(&self, data: &Cid) -> Result<Option<Import>, ClientError> {
        let path = self.path(data);
        let damaged = |reason: String| ClientError::Damaged {
            path: path.clone(),
            reason,
        };
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ClientError::file("read", &path)(source)),
        };
        if size > MAX_RECORD {
            return Err(damaged(format!("it has {size} bytes, more than any import")));
        }
        let bytes = fs::read(&path).map_err(ClientError::file("read", &path))?;
        let import: Import = ciborium::from_reader(bytes.as_slice()).map_err(|e| damaged(e.to_string()))?;
        match import.names.data_cid == *data {
            true => Ok(Some(import)),
            false => Err(damaged(format!("it is about {}", import.names.data_cid))),
        }
    }

    fn path(&self, data: &Cid) -> PathBuf {
        self.dir.join(format!("{data}.{EXTENSION}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports() -> (tempfile::TempDir, Imports) {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let imports = Imports::open(dir.path()).expect("the folder can be made");
        (dir, imports)
    }

    #[tokio::test]
    async fn a_file_and_the_same_bytes_over_a_pipe_have_one_cid() {
        let (dir, imports) = imports();
        let path = dir.path().join("file");
        fs::write(&path, b"hello").expect("the file can be written");
        let report = Report::new();
        let referred = imports.add(&path, false, &report).await.expect("it is a file");
        assert_eq!(
            referred.names.data_cid.to_string(),
            "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
        );
        assert_eq!(
            imports.find(&referred.names.data_cid).expect("it is kept"),
            Some(referred.clone())
        );
        let piped = imports
            .add_stream(b"hello".as_slice(), &report)
            .await
            .expect("it is a piece");
        assert_eq!(piped.names, referred.names);
        assert!(piped.file.path.starts_with(dir.path().join("imports/data")));
        assert_eq!(imports.find(&piped.names.data_cid).expect("it is kept"), Some(piped));
    }

    #[tokio::test]
    async fn nothing_is_left_of_an_empty_stream() {
        let (dir, imports) = imports();
        let empty = imports.add_stream(io::empty(), &Report::new()).await;
        assert!(matches!(empty, Err(ClientError::Empty { .. })), "{empty:?}");
        let left = fs::read_dir(dir.path().join("imports/data")).expect("the folder is there");
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn an_import_under_another_name_is_damaged() {
        let (_dir, imports) = imports();
        let import = imports.take(b"hello".as_slice(), |_| {}).expect("it is a piece");
        let other = shared::piece::node::raw_cid(b"other");
        fs::rename(imports.path(&import.names.data_cid), imports.path(&other)).expect("it can be renamed");
        assert!(matches!(imports.find(&other), Err(ClientError::Damaged { .. })));
        assert_eq!(imports.find(&import.names.data_cid).expect("nothing is there"), None);
    }
}

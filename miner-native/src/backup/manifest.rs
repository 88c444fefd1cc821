//! What a backup says of itself: its first file, `backup.json`. Whatever comes after it is what it names, in its order, and nothing else.

use super::error::BackupError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Counted up when an earlier program cannot read what a later one writes.
const FORMAT: u32 = 1;
/// Its name in the archive.
pub const NAME: &str = "backup.json";
/// In front of the names of the home's files in the archive.
pub const HOME: &str = "home/";
/// Bytes of the manifest, at most: those of [`MAX_FILES`] files with long names.
pub const MAX_BYTES: u64 = 64 << 20;
/// Files of a backup, at most: a miner's 4096 sectors with their trees, and a client's imports.
pub const MAX_FILES: usize = 200_000;
/// Bytes of a name: what the header of an archive's file holds without extensions is a little more.
const MAX_NAME: usize = 240;

/// What is in a backup, and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    /// The program that made it.
    pub version: String,
    /// When, in milliseconds since 1970.
    pub made_ms: u64,
    /// The network's name, where a daemon ran.
    pub network: Option<String>,
    pub sector_size: Option<u64>,
    /// The chain, by its genesis id.
    pub genesis: Option<String>,
    /// Where the chain was found first.
    pub chain: Option<String>,
    /// The miner's address.
    pub miner: Option<String>,
    /// Whether the chain itself is in it.
    pub holds_chain: bool,
    /// What is in it, in the order of the archive.
    pub files: Vec<FileEntry>,
    /// The sectors whose replicas are proven, or will be: without their files they are faulty.
    pub sectors: Vec<SectorEntry>,
    /// Pieces that the miner counts on and that were not on its disk.
    pub missing_pieces: Vec<String>,
    /// What lies in the home and is not in the backup.
    pub left_out: Vec<LeftOut>,
}

/// A file of the home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the home, with slashes.
    pub path: String,
    pub size: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// A sector whose replica a restored miner needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectorEntry {
    pub id: u64,
    /// Whether its files are in the backup.
    pub included: bool,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Something that is not in the backup, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub path: String,
    pub reason: String,
}

impl Manifest {
    /// The format of what this program writes.
    pub const FORMAT: u32 = FORMAT;

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// The sectors that have to be brought beside the backup.
    pub fn missing_sectors(&self) -> Vec<u64> {
        let missing = self.sectors.iter().filter(|sector| !sector.included);
        missing.map(|sector| sector.id).collect()
    }

    /// The JSON that stands first in the archive.
    pub fn to_json(&self) -> Vec<u8> {
        // Text keys, and no serializer of its own that fails.
        serde_json::to_vec_pretty(self).expect("a manifest is plain data")
    }

    /// Reads what stands first in an archive, which may come from anybody.
    pub fn read(json: &[u8]) -> Result<Self, BackupError> {
        let none = |error: serde_json::Error| BackupError::NotABackup {
            reason: format!("{NAME} is not what it should be ({error})"),
        };
        let Head { format: found } = serde_json::from_slice(json).map_err(none)?;
        if found > FORMAT {
            let known = FORMAT;
            return Err(BackupError::LaterFormat { found, known });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(none)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// No name leads out of the home, none is there twice, and none is a folder of another.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        if self.files.len() > MAX_FILES {
            return Err(BackupError::NotABackup {
                reason: format!("it names {} files, and {MAX_FILES} are the most", self.files.len()),
            });
        }
        let hostile = |path: &str, reason| BackupError::Hostile {
            path: path.to_owned(),
            reason,
        };
        let mut names = BTreeSet::new();
        for file in &self.files {
            checked(&file.path).map_err(|reason| hostile(&file.path, reason))?;
            if !names.insert(Path::new(&file.path)) {
                return Err(hostile(&file.path, "which is there twice"));
            }
        }
        for file in &self.files {
            let folders = Path::new(&file.path).ancestors().skip(1);
            if folders.into_iter().any(|folder| names.contains(folder)) {
                return Err(hostile(&file.path, "whose folder is a file"));
            }
        }
        let total = self.files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.size));
        match total {
            Some(_) => Ok(()),
            None => Err(hostile(NAME, "whose sizes are more than a disk holds")),
        }
    }
}

/// What is read before anything else is known.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// A name of the archive as a path below the home; why it is none.
pub fn checked(name: &str) -> Result<PathBuf, &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("which is empty or too long");
    }
    if name.contains(|c: char| c.is_control() || c == '\\') {
        return Err("which has control characters or backslashes");
    }
    if name.split('/').any(|part| ["", ".", ".."].contains(&part)) {
        return Err("which leads out of the home");
    }
    let path = PathBuf::from(name);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path),
        false => Err("which leads out of the home"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::testing::manifest;

    fn refusal(paths: &[&str]) -> BackupError {
        let read = Manifest::read(&manifest(paths).to_json());
        read.expect_err("it is refused")
    }

    #[test]
    fn what_was_written_is_read() {
        let manifest = manifest(&["network.json", "miner/store/miner.db"]);
        assert_eq!(Manifest::read(&manifest.to_json()).expect("it is one"), manifest);
    }

    #[test]
    fn no_name_leads_out_of_the_home() {
        let long = "a/".repeat(200) + "a";
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "./a",
            "a/.",
            "a/",
            "a\\b",
            "a\nb",
            "a\0b",
            &long,
        ] {
            assert!(matches!(refusal(&[path]), BackupError::Hostile { .. }), "{path:?}");
        }
    }

    #[test]
    fn no_file_is_there_twice_or_a_folder_of_another() {
        assert!(matches!(refusal(&["a", "b", "a"]), BackupError::Hostile { .. }));
        assert!(matches!(refusal(&["a/b", "a"]), BackupError::Hostile { .. }));
    }

    #[test]
    fn sizes_that_no_disk_holds_are_refused() {
        let mut manifest = manifest(&["a", "b"]);
        manifest.files.iter_mut().for_each(|file| file.size = u64::MAX);
        let read = Manifest::read(&manifest.to_json());
        assert!(matches!(read, Err(BackupError::Hostile { .. })));
    }

    #[test]
    fn a_later_format_is_told_whatever_else_it_holds() {
        let read = Manifest::read(br#"{ "format": 2, "files": "elsewhere" }"#);
        assert!(matches!(read, Err(BackupError::LaterFormat { found: 2, known: 1 })));
        let none = Manifest::read(b"{}");
        assert!(matches!(none, Err(BackupError::NotABackup { .. })));
    }
}

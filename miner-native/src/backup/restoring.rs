//! A home of a backup: all of it, under its name only when it is whole, or nothing.

use super::error::{failed, BackupError};
use super::gathering::make_folder;
use super::manifest::Manifest;
use super::reading::{self, Opening};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Ending of the folder's name until it is whole.
const UNDER_WAY: &str = ".restoring";

/// Restores a backup into a home that is not there yet, or is an empty folder.
pub fn restore(source: impl Read, opening: Opening<'_>, home: &Path) -> Result<Manifest, BackupError> {
    check_free(home)?;
    let folder = Folder::begin(home)?;
    let manifest = reading::read(source, opening, Some(&folder.path))?;
    sync_folders(&folder.path)?;
    folder.keep_as(home)?;
    Ok(manifest)
}

/// Reads all of a backup and compares it with its manifest; nothing is written.
pub fn check(source: impl Read, opening: Opening<'_>) -> Result<Manifest, BackupError> {
    reading::read(source, opening, None)
}

/// A home that belongs to something is not touched.
fn check_free(home: &Path) -> Result<(), BackupError> {
    let occupied = |what: String| BackupError::Occupied {
        home: home.to_owned(),
        what,
    };
    let mut entries = match fs::read_dir(home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(occupied("a file".to_owned())),
        Err(error) => return Err(failed("list", home)(error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let identity = fs::read(home.join("network.json")).unwrap_or_default();
    let identity: Value = serde_json::from_slice(&identity).unwrap_or_default();
    Err(occupied(match identity.get("network").and_then(Value::as_str) {
        Some(network) => format!("the home of the network {network:?}"),
        None => "not empty".to_owned(),
    }))
}

/// A folder beside the home that goes away unless it is kept.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn begin(home: &Path) -> Result<Self, BackupError> {
        let mut name = home.file_name().unwrap_or_default().to_owned();
        name.push(format!("{UNDER_WAY}-{}", std::process::id()));
        let path = home.with_file_name(name);
        // A process of this number that was killed.
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &path)(error)),
            _ => {}
        }
        make_folder(&path)?;
        Ok(Self { path })
    }

    /// Gives it the home's name; the name is on the disk when this returns.
    fn keep_as(self, home: &Path) -> Result<(), BackupError> {
        match fs::remove_dir(home) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("replace", home)(error)),
            _ => {}
        }
        fs::rename(&self.path, home).map_err(failed("name the restored home", home))?;
        match home.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => sync(parent),
            None => sync(Path::new(".")),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Gone under this name when it was kept.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The names of files are in their folders, which come to the disk by themselves only.
fn sync_folders(folder: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let path = entry.map_err(failed("list", folder))?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("sync", folder))
}

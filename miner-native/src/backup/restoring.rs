//! A home of a backup: all of it, or nothing. Until it is whole, it lies in a folder of the home, which no daemon takes for one.

use super::error::{failed, BackupError};
use super::manifest::Manifest;
use super::reading::{self, Opening};
use crate::client::partial::PartialFolder;
use sealdrop_miner::data_dir::{DataDir, DataDirError, RESTORING};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// What a home is known by; it comes last.
const IDENTITY: &str = "network.json";
/// What a file system has in its topmost folder.
pub(super) const FILE_SYSTEMS_OWN: &str = "lost+found";

/// Restores a backup into a home that is not there yet, or is an empty folder: also one that is a link, or where a disk is mounted.
pub fn restore(source: impl Read, opening: Opening<'_>, home: &Path) -> Result<Manifest, BackupError> {
    check_free(home)?;
    let folder = Folder::begin(home)?;
    let manifest = reading::read(source, opening, Some(folder.path()))?;
    sync_folders(folder.path())?;
    folder.keep()?;
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
    let entries = match fs::read_dir(home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(occupied("a file".to_owned())),
        Err(error) => return Err(failed("list", home)(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = names
        .collect::<io::Result<BTreeSet<_>>>()
        .map_err(failed("list", home))?;
    names.remove(OsStr::new(FILE_SYSTEMS_OWN));
    if names.is_empty() {
        return Ok(());
    }
    if names.contains(OsStr::new(RESTORING)) {
        let root = home.to_owned();
        return Err(DataDirError::HalfRestored { root }.into());
    }
    let identity = fs::read(home.join(IDENTITY)).unwrap_or_default();
    let identity: Value = serde_json::from_slice(&identity).unwrap_or_default();
    Err(occupied(match identity.get("network").and_then(Value::as_str) {
        Some(network) => format!("the home of the network {network:?}"),
        None => "not empty".to_owned(),
    }))
}

/// The folder below the home in which it is put together. It goes away unless it is kept, and with it a home that was not there before.
struct Folder<'a> {
    home: &'a Path,
    work: PartialFolder,
    _made: Option<Made<'a>>,
}

/// A home that was made for a restore; it goes away while it is empty.
struct Made<'a>(&'a Path);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        // It is not empty when it is restored.
        let _ = fs::remove_dir(self.0);
    }
}

impl<'a> Folder<'a> {
    fn begin(home: &'a Path) -> Result<Self, BackupError> {
        let is_new = !home.exists();
        // Made, and closed to others.
        DataDir::open(Some(home.to_owned()))?;
        // Not `then_some`, which would make one in any case, and drop it.
        let made = match is_new {
            true => Some(Made(home)),
            false => None,
        };
        let path = home.join(RESTORING);
        let work = PartialFolder::create(path.clone()).map_err(failed("create", &path))?;
        Ok(Self {
            home,
            work,
            _made: made,
        })
    }

    fn path(&self) -> &Path {
        self.work.path()
    }

    /// Gives all that is in it its place. If that is broken off, the folder stays, and no daemon takes the home for a whole one.
    fn keep(self) -> Result<(), BackupError> {
        let (home, path) = (self.home, self.path().to_owned());
        let entries = fs::read_dir(&path).map_err(failed("list", &path))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names = names
            .collect::<io::Result<BTreeSet<_>>>()
            .map_err(failed("list", &path))?;
        // Somebody used the home meanwhile, or the backup has a name that none has.
        if let Some(name) = names.iter().find(|name| fs::symlink_metadata(home.join(name)).is_ok()) {
            return Err(BackupError::Occupied {
                home: home.to_owned(),
                what: format!("not empty (it has {})", name.display()),
            });
        }
        let work = self.work.keep().map_err(failed("keep", &path))?;
        let (last, first): (Vec<_>, Vec<_>) = names.iter().partition(|name| *name == IDENTITY);
        for names in [first, last] {
            for name in names {
                let place = home.join(name);
                fs::rename(work.join(name), &place).map_err(failed("name the restored", &place))?;
            }
            sync(home)?;
        }
        fs::remove_dir(&work).map_err(failed("remove", &work))?;
        sync(home)
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

//! Why a backup is not made, or not taken back.

use sealdrop_database::DatabaseError;
use sealdrop_encryption::{DecryptError, EncryptError};
use sealdrop_miner::data_dir::DataDirError;
use sealdrop_miner::store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// An error of [`crate::backup`].
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("could not {action} {}: {source}; check the path, its permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the backup cannot be encrypted: {0}")]
    Encrypt(#[from] EncryptError),
    #[error("the backup cannot be decrypted: {0}")]
    Decrypt(#[from] DecryptError),
    #[error("{} holds nothing to back up: no daemon ran there, and no command used it; name another home with --home DIR", home.display())]
    Nothing { home: PathBuf },
    #[error("the backup cannot lie in {}, which belongs to the home itself: it would be lost with it; name a file elsewhere, best on another disk", folder.display())]
    InHome { folder: PathBuf },
    #[error("the staged pieces for the backup lie on another disk than {}, and are copied there while it is made: that takes {needed} bytes, and {free} are free; make room", home.display())]
    NoRoom { home: PathBuf, needed: u64, free: u64 },
    #[error("another backup of {} is being made; wait until it is done", home.display())]
    UnderWay { home: PathBuf },
    #[error("{} is still as version 0.1.0 kept it; start this version's daemon there once, which takes it over, then back it up", folder.display())]
    OldHome { folder: PathBuf },
    #[error("the miner's records are on a server ({server}), which a backup of the home does not hold: back that database up by PostgreSQL's means, keep the storage of pieces and sectors, and copy miner/wallet, miner/host.key and client of {} to a safe place", home.display())]
    OnServer { home: PathBuf, server: String },
    #[error("{} has a name that a backup cannot hold, {reason}; give it another one, or move it out of the home", path.display())]
    Name { path: PathBuf, reason: &'static str },
    #[error("{} is not what it was a moment ago: something writes to it, or the disk is damaged; make the backup again", path.display())]
    Changed { path: PathBuf },
    #[error("this is no backup of a home: {reason}; give a file that `sealdrop backup` wrote")]
    NotABackup { reason: String },
    #[error(
        "the backup has the format {found}, and this program knows up to {known}; use the later version that made it"
    )]
    LaterFormat { found: u32, known: u32 },
    #[error("the backup is damaged or cut off: {reason}; use another copy of it")]
    Damaged { reason: String },
    #[error("the backup names {path:?}, {reason}: `sealdrop backup` does not make such a one; do not use it")]
    Hostile { path: String, reason: &'static str },
    #[error("the backup is not encrypted, so that anybody may have made it; say --unencrypted if it is your own")]
    NotEncrypted,
    #[error("the backup is encrypted; leave --unencrypted away")]
    Encrypted,
    #[error("{} is {what}, and nothing in it is replaced; restore into a new folder with --home DIR, or move that one away", home.display())]
    Occupied { home: PathBuf, what: String },
}

/// What turns a file's error into one that says what was done with which.
pub(super) fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> BackupError + 'a {
    move |source| BackupError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

//! What the tests of backups share.

use super::manifest::{FileEntry, Manifest};
use sealdrop_encryption::{Passphrase, Recipients, WorkFactor};
use sha2::{Digest, Sha256};

/// A manifest of files that hold their own names.
pub(super) fn manifest(paths: &[&str]) -> Manifest {
    let files = paths.iter().map(|path| FileEntry {
        path: (*path).to_owned(),
        size: path.len() as u64,
        sha256: hex::encode(Sha256::digest(path.as_bytes())),
    });
    Manifest {
        format: Manifest::FORMAT,
        version: "0.0.0".to_owned(),
        made_ms: 1,
        network: Some("alpha".to_owned()),
        sector_size: Some(2048),
        genesis: None,
        chain: None,
        miner: None,
        holds_chain: false,
        files: files.collect(),
        sectors: Vec::new(),
        missing_pieces: Vec::new(),
        left_out: Vec::new(),
    }
}

pub(super) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).expect("it is one")
}

/// As fast as a passphrase may be.
pub(super) fn to(passphrase: &Passphrase) -> Recipients<'_> {
    Recipients::Passphrase(passphrase, WorkFactor::new(WorkFactor::MIN).expect("it is one"))
}

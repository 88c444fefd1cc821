//! Backups of a client: what brings an account and its deal book back on another machine or in another browser.
//!
//! | | brings back |
//! |-|-|
//! | the recovery phrase ([`phrase`]) | the root, and so the account of every network with its money; and it opens the backup file |
//! | the backup file ([`Backup`]) | the deal book: deals, files with their manifests, and the keys of files that are encrypted |
//!
//! The phrase is the root itself in 24 words of BIP-39. It never changes, so it is written down once. The file is a moment of the book: JSON, as an
//! [age](https://age-encryption.org/v1) file that the root opens ([`key::identity`]), or a passphrase if its user wanted that.
//! Whatever a restored book does not know yet, chain and miners tell it.
//!
//! **Restoring never spends money.** A backup is older than what happened since: a deal that it knows as drawn up may have been paid for. So
//! what was not paid yet comes back as given up, and a file makes no more deals until its user says so ([`restored`]).
//!
//! Called by the terminal (`sealdrop wallet phrase`, `sealdrop client backup`) and by the browser (`client-wasm/backup`); the bytes are encrypted by
//! [`sealdrop_encryption`], where there is randomness.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod book;
pub mod key;
pub mod phrase;
pub mod restored;

pub use book::{Backup, BackupError, FileEntry, NamedFile, NetworkBook, Record, Sealed, SignerBook, MAX_BACKUP_BYTES};
pub use phrase::PhraseError;

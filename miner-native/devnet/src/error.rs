//! What stops the development chain from opening, making a block or serving.

use sealdrop_database::DatabaseError;
#[cfg(feature = "server")]
use sealdrop_wallet::WalletError;
use shared::chain::state::GenesisError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the development chain does not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    #[error(
        "the chain in {dir} is in use by another process: stop that one, or name another folder with SEALDROP_HOME"
    )]
    InUse { dir: PathBuf },
    #[error("the chain in {dir} belongs to the network \"{found}\", not \"{wanted}\": start with the network \"{found}\", or move the folder away to begin \"{wanted}\" anew")]
    OtherNetwork {
        dir: PathBuf,
        found: String,
        wanted: String,
    },
    #[error("the chain in {dir} was kept by a later version of this program (format {found}, and this one reads {wanted}): use that version, or move the folder away to begin anew")]
    OtherFormat { dir: PathBuf, found: u64, wanted: u64 },
    #[error("the chain in {dir} was started with other verifying keys ({found}) than this program has ({wanted}): its proofs would not verify; use the program that started it, or move the folder away to begin anew")]
    OtherVerifyingKeys {
        dir: PathBuf,
        found: String,
        wanted: String,
    },
    #[error("{path} is missing, and without it the chain in its folder cannot go on: restore it from a backup, or move the folder away to begin anew")]
    KeyMissing { path: PathBuf },
    #[error("{path} holds another key than the chain was started with: restore it from a backup, or move the folder away to begin anew")]
    KeyDiffers { path: PathBuf },
    #[error("port {port} for the chain's RPC is taken by another program: stop that one, or choose another port with --chain-port", port = address.port())]
    PortInUse { address: SocketAddr },
    #[error("cannot listen for the chain's RPC on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("cannot create {dir}: {source}")]
    Folder { dir: PathBuf, source: std::io::Error },
    #[error("the chain's store: {0}")]
    Store(#[from] DatabaseError),
    #[error("the chain's store holds a damaged {what}: {reason}; restore the folder from a backup, or move it away to begin anew")]
    Damaged { what: &'static str, reason: String },
    #[error("these network parameters are invalid: {0}")]
    Genesis(#[from] GenesisError),
    #[cfg(feature = "server")]
    #[error(transparent)]
    Key(#[from] WalletError),
    #[error("the chain's RPC server stopped: {0}")]
    Serve(std::io::Error),
    #[error("the chain is at its last height")]
    HeightExhausted,
    #[error("run() was called before, and a chain is served once: open it anew")]
    AlreadyServed,
}

impl DevnetError {
    pub(super) fn damaged(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Damaged {
            what,
            reason: reason.to_string(),
        }
    }
}

//! Who is connected, for the operator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is connected over libp2p.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Peers {
    pub total: u64,
    /// The newest first.
    pub connections: Vec<PeerConnection>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerConnection {
    /// Its id, base58.
    pub peer: String,
    /// A multiaddr.
    pub address: String,
    /// Whether this miner dialled it.
    pub is_dialed: bool,
    /// Milliseconds since 1970.
    pub since: u64,
}

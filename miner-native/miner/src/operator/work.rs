//! What the miner is at, and how it stands with the time and room that it has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long proofs-of-spacetime take, against the time that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvingStatus {
    /// Sectors that the next proof covers.
    pub sectors: u64,
    /// Milliseconds that it is expected to take.
    pub expected_ms: Option<u64>,
    /// What that comes from, for people.
    pub basis: String,
    /// Milliseconds from when it is begun to its window's end; none for a chain whose blocks have no time.
    pub window_ms: Option<u64>,
    /// Set when that is too little to be safe.
    pub warning: Option<String>,
}

/// What scrubbing found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrubStatus {
    /// Sectors that were scrubbed at least once.
    pub sectors: u64,
    /// When the last scrub ended, in milliseconds since 1970.
    pub last_at: Option<u64>,
    /// Damaged copies that were put back, as of each sector's last scrub.
    pub restored: u64,
    /// What is still damaged.
    pub damage: Vec<Damage>,
}

/// Damage that is not mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    pub sector: u64,
    pub text: String,
}

//! What the operator watches beside deals and sectors: the machine, peers, money, proofs, the log.

use super::PostSummary;
use crate::operator::token::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::chain::{Address, AttoFil, ChannelId, Epoch};

/// What the token that was sent may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoAmI {
    pub scope: Scope,
}

/// The machine that the daemon runs on. Times are milliseconds since 1970, sizes bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// The program's version.
    pub version: String,
    pub started_at: u64,
    /// This machine's clock.
    pub now: u64,
    /// The data folder.
    pub home: String,
    pub cores: u64,
    pub disk: Disk,
    pub memory: Memory,
}

/// The disk that the data lies on, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    pub free: u64,
    pub total: Option<u64>,
    /// Accepted deals that are not sealed yet.
    pub staging: u64,
}

/// Memory, in bytes; none where the system does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// What a process may take now.
    pub available: Option<u64>,
    pub total: Option<u64>,
    /// What the daemon itself holds; proofs are processes of their own.
    pub own: Option<u64>,
}

/// What deals brought in, and what they may still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Earnings {
    /// What vouchers brought in so far.
    pub earned: AttoFil,
    /// What the channels below may still bring in.
    pub outstanding: AttoFil,
    /// Whether that is of all deals; false where there are more than are looked through.
    pub is_whole: bool,
    /// Those of complete deals that pay, by what is outstanding, the most first.
    pub channels: Vec<ChannelSummary>,
}

/// One payment channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSummary {
    pub payer: Address,
    pub channel: ChannelId,
    pub deals: u64,
    /// The largest voucher of each deal, together.
    pub promised: AttoFil,
    pub redeemed: AttoFil,
}

/// A proving window by heights: the first, and the last at which its proof is on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    pub start: Epoch,
    pub end: Epoch,
}

/// Proofs-of-spacetime that were made and missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProofsMade {
    pub height: Epoch,
    /// The window that is open or comes next; none while nothing is proven.
    pub window: Option<Window>,
    /// The one after it.
    pub next_window: Option<Window>,
    /// Milliseconds between blocks; none for a chain whose blocks have no time.
    pub block_ms: Option<u64>,
    /// The newest first.
    pub made: Vec<PostSummary>,
    /// Windows that passed without one, the newest first.
    pub missed: Vec<MissedWindow>,
}

/// A window that passed without a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedWindow {
    pub window_end: Epoch,
}

/// Which lines of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogQuery {
    /// At most so many, the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
    /// Of this level and worse: `error`, `warn`, `info`, `debug` or `trace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
}

/// Changes which lines the log has, until the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogChange {
    /// In the syntax of `RUST_LOG`.
    pub filter: String,
}

/// Every key of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationView {
    pub entries: Vec<ConfigurationEntry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationEntry {
    pub key: String,
    pub value: String,
    /// Where the value comes from, in words.
    pub source: String,
    /// Whether a change of it holds from the next start on.
    pub changes_at_start: bool,
}

/// What has changed since the last event; whoever shows it asks for it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    pub topics: Vec<Topic>,
}

/// What may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Topic {
    Health,
    /// Deals, sectors, money: whatever the store keeps.
    Deals,
    Sectors,
    Jobs,
    Head,
    Settings,
}

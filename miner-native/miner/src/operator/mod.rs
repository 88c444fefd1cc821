//! What the operator asks of a running miner: the types that its web listener answers with and the command line reads.
//!
//! Served by [`crate::web`] on 127.0.0.1; [`client`] is the way there for commands. Nothing here is signed or believed by
//! peers. Amounts are FIL as decimal text, heights and sizes numbers, spans milliseconds or blocks as their names say.

pub mod client;
pub mod token;
mod watching;
mod work;

pub use crate::alerts::AlertsStatus;
pub use crate::intake::IntakeStatus;
pub use crate::logging::{LogLine, LogTail};
pub use crate::network::address_status::{AddressFault, AddressStatus, OutsideVerdict};
pub use crate::network::peers::{PeerConnection, Peers};
pub use client::{Operator, OperatorError};
pub use shared::explain::deal::Explanation;
pub use watching::{
    Changed, ChannelSummary, ConfigurationEntry, ConfigurationView, Disk, Earnings, LogChange, LogQuery, Machine,
    Memory, MissedWindow, ProofsMade, Topic, WhoAmI, Window,
};
pub use work::{Damage, ProvingStatus, ScrubStatus};

use crate::prover::{JobView, OwnCodeStatus};
use crate::settings::Settings;
pub use crate::supervisor::Health;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::piece::Commitment;
use shared::sector::Phase;
use std::collections::BTreeMap;

/// Where things are asked for; `{cid}` stands for a deal's id. Everything but [`route::HEALTH`] needs a [`token`].
pub mod route {
    /// GET: [`super::MinerStatus`].
    pub const STATUS: &str = "/api/v1/miner/status";
    /// GET: [`super::Health`], with the HTTP status 503 while anything is wrong; needs no token.
    pub const HEALTH: &str = "/health";
    /// GET: a list of [`super::DealSummary`], by the time of the proposal; query: [`super::DealFilter`].
    pub const DEALS: &str = "/api/v1/miner/deals";
    /// GET: [`super::DealDetail`].
    pub const DEAL: &str = "/api/v1/miner/deals/{cid}";
    /// GET: [`super::Explanation`]; why the deal is not done, and when it will be.
    pub const DEAL_EXPLANATION: &str = "/api/v1/miner/deals/{cid}/explain";
    /// POST [`super::RedeemRequest`]: [`super::RedeemOutcome`].
    pub const REDEEM: &str = "/api/v1/miner/deals/{cid}/redeem";
    /// GET: a list of [`super::SectorSummary`], the newest first.
    pub const SECTORS: &str = "/api/v1/miner/sectors";
    /// POST: [`super::SectorSummary`]; a failed sector is tried again.
    pub const RETRY: &str = "/api/v1/miner/sectors/{id}/retry";
    /// POST: [`super::SectorSummary`]; a failed sector is not tried again, and its deals fail.
    pub const GIVE_UP: &str = "/api/v1/miner/sectors/{id}/give-up";
    /// GET: [`super::Explanation`]; why the sector is not done, and when it will be.
    pub const SECTOR_EXPLANATION: &str = "/api/v1/miner/sectors/{id}/explain";
    /// POST: [`super::MiningStatus`]; what is staged is sealed now.
    pub const SEAL_NOW: &str = "/api/v1/miner/seal-now";
    /// GET: [`super::MiningStatus`].
    pub const MINING: &str = "/api/v1/miner/mining";
    /// POST: [`super::MiningStatus`]; new deals are taken from now on.
    pub const MINING_START: &str = "/api/v1/miner/mining/start";
    /// POST: [`super::MiningStatus`]; no new deals are taken; sectors are sealed and proven as before.
    pub const MINING_STOP: &str = "/api/v1/miner/mining/stop";
    /// POST: [`super::MinedBlock`], the next block of the chain's authority.
    pub const MINING_ONCE: &str = "/api/v1/miner/mining/once";
    /// POST of a file's bytes: [`super::AddedPiece`].
    pub const ADD_PIECE: &str = "/api/v1/miner/add-piece";
    /// GET: [`crate::settings::Settings`]; POST [`crate::settings::SettingsChange`]: [`super::ChangedSettings`].
    pub const SETTINGS: &str = "/api/v1/miner/settings";
    /// GET: [`super::WhoAmI`].
    pub const WHO_AM_I: &str = "/api/v1/miner/whoami";
    /// GET: [`super::Machine`].
    pub const MACHINE: &str = "/api/v1/miner/machine";
    /// GET: [`super::Peers`].
    pub const PEERS: &str = "/api/v1/miner/peers";
    /// GET: [`super::Earnings`].
    pub const EARNINGS: &str = "/api/v1/miner/earnings";
    /// GET: [`super::ProofsMade`].
    pub const PROOFS: &str = "/api/v1/miner/proofs";
    /// GET: [`super::LogTail`]; query: [`super::LogQuery`]. POST [`super::LogChange`]: the same.
    pub const LOG: &str = "/api/v1/miner/log";
    /// GET: [`super::AlertsStatus`].
    pub const ALERTS: &str = "/api/v1/miner/alerts";
    /// POST: [`super::AlertsStatus`]; an alert that says that it is a test.
    pub const ALERTS_TEST: &str = "/api/v1/miner/alerts/test";
    /// GET: [`super::ConfigurationView`].
    pub const CONFIGURATION: &str = "/api/v1/miner/configuration";
    /// GET: Server-Sent Events named `changed`, with [`super::Changed`] as data.
    pub const EVENTS: &str = "/api/v1/miner/events";
    /// GET: this API as an OpenAPI 3.1 document; needs no token.
    pub const OPENAPI: &str = "/api/v1/openapi.json";
    /// GET: what Prometheus reads.
    pub const METRICS: &str = "/metrics";
    /// GET: 200 while the process answers; needs no token.
    pub const LIVE: &str = "/livez";
    /// GET: 200 while all services run and the chain is followed; needs no token.
    pub const READY: &str = "/readyz";
    /// GET: as [`HEALTH`], as text, with `?verbose` a line for each service; needs no token.
    pub const HEALTHZ: &str = "/healthz";
}

/// How the miner is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinerStatus {
    pub address: Address,
    pub owner: Address,
    pub worker: Address,
    pub peer_id: String,
    pub multiaddrs: Vec<String>,
    /// Bytes.
    pub sector_size: u64,
    /// The chain's height as the miner knows it.
    pub height: Epoch,
    /// FIL per byte per block.
    pub price: AttoFil,
    /// Whether new deals are taken.
    pub mining: bool,
    pub settings: Settings,
    /// The ask that stands for these settings, once the chain has it.
    pub ask: Option<AskState>,
    /// How many deals are in each state.
    pub deals: BTreeMap<String, u64>,
    /// The newest sectors.
    pub sectors: Vec<SectorSummary>,
    pub last_post: Option<PostSummary>,
    /// What vouchers brought in so far.
    pub earned: AttoFil,
}

/// The ask on the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskState {
    pub id: u64,
    pub price: AttoFil,
    /// First height at which it no longer stands.
    pub expiry: Epoch,
}

/// A proof-of-spacetime that the chain accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostSummary {
    pub window_end: Epoch,
    pub height: Epoch,
    pub message: String,
    pub sectors: Vec<u64>,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// One sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SectorSummary {
    pub id: u64,
    pub phase: Phase,
    /// When the phase began, in milliseconds since 1970.
    pub since: u64,
    /// How long the phase takes, as far as that is known.
    pub estimate_ms: Option<u64>,
    /// Bytes taken by pieces and their alignment.
    pub used: u64,
    pub size: u64,
    /// Per cent of the sector's bytes that are used.
    pub fill: f64,
    pub pieces: Vec<PieceSummary>,
    pub history: Vec<PhaseEntry>,
    pub attempts: u32,
    pub last_error: Option<String>,
    /// What keeps the sector from going on as planned, and what is tried next.
    pub setback: Option<SetbackSummary>,
    pub comm_r: Option<Commitment>,
}

/// A failed step of a sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetbackSummary {
    /// The phase that failed.
    pub failed: Phase,
    pub reason: String,
    pub attempts: u32,
    /// The phase that is tried next; none when the sector is given up or lost.
    pub next: Option<Phase>,
    /// When it is tried next, in milliseconds since 1970; none when only the operator's order does that.
    pub retry_at: Option<u64>,
    /// Whether `sealdrop mining retry` is awaited.
    pub awaits_operator: bool,
}

/// How full a sector is that takes pieces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filling {
    pub sector: u64,
    /// Bytes taken by pieces and their alignment.
    pub used: u64,
    pub size: u64,
    /// Per cent.
    pub fill: f64,
}

/// A piece in a sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PieceSummary {
    /// The deal's id; for a piece of the operator's own, the piece's.
    pub deal: String,
    pub data_cid: String,
    /// Bytes.
    pub size: u64,
}

/// When a sector entered a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseEntry {
    pub phase: Phase,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// Which deals to list; everything unset means all, newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DealFilter {
    /// A state's name, as in [`DealSummary::state`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only deals of this payer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Address>,
    /// At most so many, the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// One deal in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DealSummary {
    /// The deal's id, `proposalCid` of 2019.
    pub deal: String,
    /// As it goes over the wire: `accepted`, `staged`, `complete`, `failed`, `rejected`.
    pub state: String,
    /// Finer than the state, for people: `ended` after a deal was complete to its end.
    pub stage: String,
    /// Why, for a deal that was refused or failed.
    pub message: String,
    pub miner: Address,
    /// The payer.
    pub client: Address,
    /// Root of the piece's DAG.
    pub piece: String,
    /// Bytes.
    pub size: u64,
    pub total_price: AttoFil,
    /// Blocks.
    pub duration: u64,
    pub channel: Option<ChannelId>,
    pub sector: Option<u64>,
    /// When it was answered, in milliseconds since 1970.
    pub created_at: u64,
    /// First height at which the data need not be kept any more, when known.
    pub ends_at: Option<Epoch>,
    /// What its vouchers brought in so far.
    pub redeemed: AttoFil,
}

/// One deal with its vouchers and what was redeemed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DealDetail {
    #[serde(flatten)]
    pub summary: DealSummary,
    /// Bytes of the piece that are here.
    pub transferred: u64,
    /// What the deal's sector is going through.
    pub phase: Option<Phase>,
    pub phase_since: Option<u64>,
    pub phase_estimate_ms: Option<u64>,
    /// By the height from which they may be redeemed.
    pub vouchers: Vec<VoucherSummary>,
    pub redemptions: Vec<RedemptionSummary>,
}

/// A voucher of a deal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoucherSummary {
    /// From 0, by [`Self::valid_at`].
    pub index: usize,
    /// Of the whole channel up to here.
    pub amount: AttoFil,
    pub channel: ChannelId,
    pub payer: Address,
    pub valid_at: Epoch,
    /// The method that must succeed before it pays; none for the last.
    pub condition: Option<String>,
    /// Multibase text, as `paych redeem` takes it.
    pub encoded_as: String,
    /// Whether its amount was redeemed, by itself or by a later one.
    pub is_redeemed: bool,
}

/// A redemption that was made or is on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedemptionSummary {
    /// The voucher's amount.
    pub amount: AttoFil,
    /// What it added to what was redeemed before; none while it is on its way.
    pub gained: Option<AttoFil>,
    pub message: Option<String>,
    pub height: Option<Epoch>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// Redeems the best voucher that is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RedeemRequest {
    /// Only says what would be redeemed and what gas it would use.
    pub preview: bool,
}

/// What was redeemed, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RedeemOutcome {
    pub voucher: VoucherSummary,
    /// What it adds to what was redeemed before.
    pub gain: AttoFil,
    /// Units of gas.
    pub gas: u64,
    /// None for a preview.
    pub message: Option<String>,
    pub height: Option<Epoch>,
}

/// Whether the miner takes deals, and what it stands for on the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MiningStatus {
    pub mining: bool,
    pub address: Address,
    pub height: Epoch,
    /// Bytes of proven sectors.
    pub power: u64,
    /// Bytes of proven sectors of the whole network.
    pub total_power: u64,
    pub collateral: AttoFil,
    pub proving_window: Option<(Epoch, Epoch)>,
    /// Sectors between their first piece and their commitment.
    pub sealing: u64,
    /// Sectors that take pieces, and how full they are.
    pub packing: Vec<Filling>,
    /// Failed sectors that await the operator's order.
    pub stuck: Vec<u64>,
    pub intake: IntakeStatus,
    pub proving: ProvingStatus,
    pub scrub: ScrubStatus,
    /// Whose code seals and proves, and whether anything of it was refused.
    #[serde(default)]
    pub own_prover: OwnCodeStatus,
    /// What the prover is at: what runs, then what waits, by when it starts.
    pub jobs: Vec<JobView>,
    /// How the daemon's services are doing.
    #[serde(default)]
    pub health: Health,
    /// How often something was refused to peers since the start, by the limit's name.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// The advertised addresses, and whether the miner answers there.
    #[serde(default)]
    pub addresses: Vec<AddressStatus>,
    /// Opens the page at this miner.
    #[serde(default)]
    pub link: Option<String>,
}

/// A block of the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinedBlock {
    pub height: Epoch,
    pub block: String,
}

/// Where a piece of the operator's own lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedPiece {
    pub data_cid: String,
    pub comm_p: Commitment,
    /// Bytes.
    pub size: u64,
    pub sector: u64,
}

/// The settings after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangedSettings {
    pub settings: Settings,
    /// The message that published a new ask, when the price or its expiry changed.
    pub ask_message: Option<String>,
    /// Height of the block that the ask is in.
    pub ask_height: Option<Epoch>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    pub error: String,
}

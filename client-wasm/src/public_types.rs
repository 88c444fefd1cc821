//! What the page gets: the values of the package's public functions. `js/generated.ts` is written from these types, and
//! from those of `shared` that they hold (`tests/typescript.rs`).
//!
//! Amounts are decimal FIL as text, heights and sizes numbers, commitments hexadecimal; what is not there is left out.

use serde::Serialize;
use shared::chain::view::{MinerView, PreCommitView, SectorView};
use shared::chain::{Address, AttoFil, Epoch};
pub use shared::client::dialing::Route;
pub use shared::client::files::{FileView, PieceView};
pub use shared::client::link::Link;
pub use shared::client::passport::PassportView;
pub use shared::client::view::{Channel, Deal, Payments, Verification, Voucher};
use shared::client::Problem;
pub use shared::client::{MinerAnswer, MinerRule, PassedOver, Says};
use shared::piece::Commitment;

/// A span of blocks; `end` is not part of it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlockSpan {
    pub start: Epoch,
    pub end: Epoch,
}

/// A committed sector of a miner, as the chain has it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SectorInfo {
    pub id: u64,
    pub comm_d: Commitment,
    pub comm_r: Commitment,
    pub comm_r_star: Commitment,
    pub committed_at: Epoch,
    /// Height of the last accepted proof-of-spacetime that covered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_proven_at: Option<Epoch>,
    /// Accepted proofs-of-spacetime that covered it.
    pub proofs: u64,
    /// Whether the next proof must cover it.
    pub in_proving_set: bool,
}

/// A storage miner, as the chain has it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MinerInfo {
    pub address: Address,
    pub owner: Address,
    pub worker: Address,
    /// libp2p peer id.
    pub peer_id: String,
    /// Bytes of a sector.
    pub sector_size: u64,
    /// File bytes that a sector holds: the largest file that this miner takes.
    pub usable_bytes: u64,
    /// Bytes of proven sectors.
    pub power: u64,
    /// FIL for one byte in one block; absent when the miner offers nothing at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<AttoFil>,
    /// Height at which that price no longer stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_expiry: Option<Epoch>,
    /// FIL that its sectors lock up.
    pub collateral: AttoFil,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proving_window: Option<BlockSpan>,
    pub sectors: Vec<SectorInfo>,
    pub pre_commits: Vec<PreCommitView>,
    /// Height of the last accepted proof-of-spacetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_post: Option<Epoch>,
    /// Accepted proofs-of-spacetime.
    pub posts: u64,
    /// Height at which the miner lost its power for a missed proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slashed_at: Option<Epoch>,
}

/// What a deal would cost, and whether the miner would take it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quote {
    /// FIL for the whole deal.
    pub total: AttoFil,
    /// Vouchers that the payment is split into.
    pub vouchers: usize,
    /// Why the deal cannot be made; absent when it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What keeping files costs, and whether it is possible.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FilesQuote {
    /// Pieces of which each has deals of its own.
    pub pieces: usize,
    /// Deals: one for each copy of each piece.
    pub deals: u64,
    /// FIL for all of them, if the cheapest miners take all.
    pub least: AttoFil,
    /// FIL, if the dearest do.
    pub most: AttoFil,
    /// Miners that could take a piece.
    pub miners: usize,
    /// Why they cannot be kept; absent when they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl FilesQuote {
    /// Nobody takes them.
    pub fn none(problem: Problem) -> Self {
        Self {
            pieces: 0,
            deals: 0,
            least: AttoFil::ZERO,
            most: AttoFil::ZERO,
            miners: 0,
            problem: Some(problem),
        }
    }
}

/// What miners say to the question whether they would take a deal now, and whom a rule takes.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Survey {
    /// Of those that could take the deal, by price.
    pub answers: Vec<MinerAnswer>,
    /// The first by the rule that does not say no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miner: Option<Address>,
    /// Those that come before it by the rule, and why the deal would not be with them.
    pub passed_over: Vec<PassedOver>,
    /// Why the rule takes none; absent when it takes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl Survey {
    /// Nobody could be asked.
    pub fn none(problem: Problem) -> Self {
        Self {
            answers: Vec::new(),
            miner: None,
            passed_over: Vec::new(),
            problem: Some(problem),
        }
    }
}

impl MinerInfo {
    /// The miner as the page sees it at `height`.
    pub fn of(miner: MinerView, height: Epoch) -> Self {
        let ask = miner.standing_ask(height).cloned();
        Self {
            price: ask.as_ref().map(|ask| ask.price),
            price_expiry: ask.map(|ask| ask.expiry),
            address: miner.address,
            owner: miner.owner,
            worker: miner.worker,
            peer_id: miner.peer_id,
            sector_size: miner.sector_size,
            usable_bytes: miner.usable_bytes,
            power: miner.power,
            collateral: miner.collateral,
            proving_window: miner.proving_window.map(|window| BlockSpan {
                start: window.start,
                end: window.end,
            }),
            sectors: miner.sectors.into_iter().map(SectorInfo::of).collect(),
            pre_commits: miner.pre_commits,
            last_post: miner.last_post,
            posts: miner.posts,
            slashed_at: miner.slashed_at,
        }
    }
}

impl SectorInfo {
    fn of(sector: SectorView) -> Self {
        Self {
            id: sector.id,
            comm_d: sector.comm_d,
            comm_r: sector.comm_r,
            comm_r_star: sector.comm_r_star,
            committed_at: sector.committed_at,
            last_proven_at: sector.last_proven_at,
            proofs: sector.proofs,
            in_proving_set: sector.in_proving_set,
        }
    }
}

//! Why a client command does not reach its end. Each text says what happened, why, and what to do next.

use super::network::NetworkError;
use crate::chain_access::ChainError;
use crate::wallet::WalletError;
use cid::Cid;
use shared::chain::{Address, AttoFil};
use shared::deal::client::{ClientRefusal, DraftError};
use shared::payment::schedule::ScheduleError;
use shared::piece::{DigestError, SectorSize};
use std::io;
use std::path::PathBuf;

/// An error of the command-line client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("there is nothing to store: {} is empty; choose a file with at least one byte", path.display())]
    Empty { path: PathBuf },
    #[error("{} is no file; give the path of one file", path.display())]
    NotAFile { path: PathBuf },
    #[error("cannot {action} {}: {source}; check the path, its permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} has {size} bytes, but a sector of miner {miner} ({sector}) takes at most {usable} bytes; choose a smaller file or a miner with larger sectors", path.display())]
    TooLarge {
        path: PathBuf,
        size: u64,
        miner: Address,
        sector: SectorSize,
        usable: u64,
    },
    #[error("{} changed since its deal was made, so the miner cannot fetch the bytes that were promised; restore the file and run `sealdrop client resume {deal}`, or store it anew", path.display())]
    Changed { path: PathBuf, deal: String },
    #[error("{}: {source}", path.display())]
    Digest { path: PathBuf, source: DigestError },
    #[error("{0}")]
    Chain(#[from] ChainError),
    #[error("the chain endpoint {url} does not answer ({reason}); is `cargo xtask up` (or `sealdrop daemon`) running? Name another endpoint with --chain URL or SEALDROP_CHAIN")]
    ChainAway { url: String, reason: String },
    #[error(
        "the network at {url} has no miner that offers storage; start one, or name another network with --chain URL"
    )]
    NoMiners { url: String },
    #[error("the network has no miner {asked}; `sealdrop client miners` lists those that it has")]
    UnknownMiner { asked: Address },
    #[error("miner {miner} has no standing offer of storage; choose another with --miner")]
    NoAsk { miner: Address },
    #[error(
        "miner {miner} cannot be reached: {reason}; is it running? `sealdrop client miners` lists others for --miner"
    )]
    Unreachable { miner: Address, reason: String },
    #[error("there was no contact with miner {miner} for {minutes} minutes (last: {reason}); nothing is lost: when it is back, run `sealdrop client resume {deal}`")]
    Lost {
        miner: Address,
        minutes: u64,
        reason: String,
        deal: String,
    },
    #[error("the connection to miner {miner} failed: {source}; try again")]
    Peer { miner: Address, source: NetworkError },
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("no such deal can be made: {0}")]
    Schedule(#[from] ScheduleError),
    #[error("this deal costs {cost} FIL and the account {address} holds {balance} FIL; {advice}")]
    Funds {
        address: Address,
        cost: AttoFil,
        balance: AttoFil,
        advice: String,
    },
    #[error("the payment channel could not be opened: {reason}; nothing was paid, run `sealdrop client resume {deal}` to try again")]
    Channel { reason: String, deal: String },
    #[error("miner {miner} gave an answer that cannot be accepted: {refusal}; nothing is lost: `sealdrop client resume {deal}` asks again")]
    Answer {
        miner: Address,
        refusal: ClientRefusal,
        deal: String,
    },
    #[error(
        "{reason}; `sealdrop client resume` takes the money in its payment channel back when the channel has ended"
    )]
    DealFailed { reason: String },
    #[error("{reason}")]
    DealFailedUnpaid { reason: String },
    #[error(
        "{0:?} is neither the id of a deal in this book nor the CID of a file; `sealdrop client deals` lists the deals"
    )]
    UnknownDeal(String),
    #[error("deal {deal} is {state}: {advice}")]
    NotYet {
        deal: String,
        state: &'static str,
        advice: &'static str,
    },
    #[error("no miner has the file {data}: {reasons}")]
    NowhereFound { data: Cid, reasons: String },
    #[error("miner {miner} does not give the file: {reason}")]
    Withheld { miner: Address, reason: String },
    #[error(
        "what miner {miner} sent is not the file: its root is {found}, the deal's is {expected}; nothing was written"
    )]
    Corrupt {
        miner: Address,
        expected: Cid,
        found: String,
    },
    #[error("what miner {miner} sent is not the file: {found} bytes came where the deal has {expected}; nothing was written")]
    WrongSize { miner: Address, expected: u64, found: u64 },
    #[error("the deal's record {} cannot be read ({reason}); restore it from a backup or move it away", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("deal {deal} is being worked on by another sealdrop process; wait for that one to end")]
    Busy { deal: String },
    #[error("another sealdrop process has held {} for {seconds} seconds; wait for it to end, then try again", path.display())]
    AccountBusy { path: PathBuf, seconds: u64 },
    #[error("the book {} holds {count} deals, as many as it takes; move finished ones away", path.display())]
    BookFull { path: PathBuf, count: usize },
    #[error("this deal belongs to the chain {ours}, and {url} serves the chain {theirs}; name the deal's own chain with --chain URL")]
    OtherChain { url: String, ours: String, theirs: String },
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error("the account's message store {} cannot be opened: {source}; check its permissions and the free space", path.display())]
    Outbox { path: PathBuf, source: sled::Error },
    #[error("the libp2p node cannot start: {0}")]
    Node(String),
    #[error("deal {deal} does not hold: {failed}")]
    NotVerified { deal: String, failed: String },
    #[error("the deal is complete but no proof-of-spacetime was accepted within {minutes} minutes; `sealdrop client verify {deal}` shows how it stands")]
    NotProven { deal: String, minutes: u64 },
    #[error("{failed} of {all} deals did not reach their end; the reasons are above")]
    SomeFailed { failed: usize, all: usize },
}

impl ClientError {
    /// A file error.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// A chain error, with the advice of this program's user when the endpoint is away.
    pub(crate) fn chain(error: ChainError) -> Self {
        match error {
            ChainError::Unreachable { url, reason } => Self::ChainAway { url, reason },
            other => Self::Chain(other),
        }
    }
}

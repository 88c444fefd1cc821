//! Why a client command does not reach its end. Each text says what happened, why, and what to do next.

use super::book::Record;
use super::network::NetworkError;
use cid::Cid;
use sealdrop_database::DatabaseError;
use sealdrop_encryption::{DecryptError, EncryptError};
use sealdrop_miner::chain_access::ChainError;
use sealdrop_wallet::WalletError;
use shared::chain::{Address, AttoFil, Epoch};
use shared::client::duplicates::DuplicateError;
use shared::client::files::{NothingToAbandon, OrderError, SectorError};
use shared::client::{EngineError, ErrorCode, OfferError, Problem, RetrievalError};
use shared::deal::client::{ClientRefusal, DraftError};
use shared::deal::ClientStage;
use shared::file::{CutError, FileDigestError, ManifestError, PathError};
use shared::payment::schedule::ScheduleError;
use shared::piece::{DigestError, SectorSize};
use shared::retrieval::proof::SizeUnknown;
use shared::transfer::TransferFault;
use std::io;
use std::path::{Path, PathBuf};

/// What the client of 2019 said of the step that failed (spec §3.3, §3.6): tools match on it.
pub mod step {
    pub const SIZE: &str = "failed to determine the size of the data";
    pub const READER: &str = "failed to make piece reader";
    pub const COMMITMENT: &str = "failed to generate piece commitment";
    pub const HEAD: &str = "failed to get head tipset";
    pub const PAYMENT: &str = "error creating payment";
    pub const SENDING: &str = "error sending proposal";
    pub const CHECK: &str = "response check failed";
    pub const TRACKING: &str = "failed to track response";

    /// What stands in front of a reply to a proposal that cannot be accepted.
    pub(super) fn of_refusal(refusal: &super::ClientRefusal) -> String {
        use super::ClientRefusal::{InvalidResponse, ResponseSignature};
        match refusal {
            ResponseSignature | InvalidResponse { .. } => format!("{CHECK}: "),
            _ => String::new(),
        }
    }

    /// What stands in front of a reply that says no.
    pub(super) fn of_failure(reason: &str) -> String {
        match reason.starts_with("deal rejected: ") {
            true => format!("{CHECK}: "),
            false => String::new(),
        }
    }
}

/// An error of the command-line client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the backup is not taken back: {0}")]
    Backup(#[from] sealdrop_backup::BackupError),
    #[error("there is nothing to store: {} is empty; choose a file with at least one byte", path.display())]
    Empty { path: PathBuf },
    #[error("{} is not a file; give the path of one file", path.display())]
    NotAFile { path: PathBuf },
    #[error("cannot {action} {}: {source}; check the path, its permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("piece is {size} bytes but sector size is {usable} bytes: {} needs a miner with larger sectors than the {sector} of {miner}, or choose a smaller file", path.display())]
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
    /// In front of our own reason, what the client of 2019 said: one of [`step`].
    #[error("{step}: {source}")]
    Step {
        step: &'static str,
        source: Box<ClientError>,
    },
    #[error("{} changed while it was read, so nothing was stored; wait until nothing writes to it any more, or store a copy of it", path.display())]
    Growing { path: PathBuf },
    #[error("failed to fetch deal: {deal}: deal not found; `sealdrop client deals` lists the deals in the book, and a deal of somebody else is asked for by its CID")]
    NoSuchDeal { deal: String },
    #[error("{0}")]
    Chain(#[from] ChainError),
    #[error("the chain endpoint {url} does not answer ({reason}); is `cargo xtask up` (or `sealdrop daemon`) running? Name another endpoint with --chain URL or SEALDROP_CHAIN")]
    ChainAway { url: String, reason: String },
    #[error("none of the miners that could take the file does now. {reasons}; try again later, or name a miner with --miner")]
    NoneTakes { reasons: String, refused: bool },
    #[error(
        "the network at {url} has no miner that offers storage; start one, or name another network with --chain URL"
    )]
    NoMiners { url: String },
    #[error(
        "failed to get ask price: miner {miner} has no ask {id}; `sealdrop client list-asks` lists those that stand"
    )]
    UnknownAsk { miner: Address, id: u64 },
    #[error("failed to get ask price: ask {id} of miner {miner} stood until block {expiry}; `sealdrop client list-asks` lists those that stand now")]
    AskExpired { miner: Address, id: u64, expiry: Epoch },
    #[error("failed to get sector size: miner {miner} has sectors of {bytes} bytes, a size that this program does not know; choose another with --miner")]
    SectorSize { miner: Address, bytes: u64 },
    #[error("deal [{deal}] is already in progress: a free deal with the same terms is the same deal; choose another duration")]
    InProgress { deal: String },
    #[error("{} changed since it was imported as {data}; restore the file, or import it anew (--copy keeps a copy)", path.display())]
    ImportChanged { path: PathBuf, data: Cid },
    #[error("the network has no miner {asked}; `sealdrop client miners` lists those that it has")]
    UnknownMiner { asked: Address },
    #[error("miner {miner} has no standing offer of storage; choose another with --miner")]
    NoAsk { miner: Address },
    #[error(
        "couldn't establish connection to miner: {reason}. Miner {miner} cannot be reached; is it running? `sealdrop client miners` lists others for --miner"
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
    /// Becomes one of the others where it is known which deal it is about: [`ClientError::of_deal`].
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error("this deal is not possible: {0}")]
    Schedule(#[from] ScheduleError),
    #[error("this deal costs {cost} FIL and the account {address} holds {balance} FIL; {advice}")]
    Funds {
        address: Address,
        cost: AttoFil,
        balance: AttoFil,
        advice: String,
    },
    #[error("{}: the payment channel could not be opened: {reason}; nothing was paid, run `sealdrop client resume {deal}` to try again", step::PAYMENT)]
    Channel { reason: String, deal: String },
    #[error("{}miner {miner} gave an answer that cannot be accepted: {refusal}; nothing is lost: `sealdrop client resume {deal}` asks again", step::of_refusal(refusal))]
    Answer {
        miner: Address,
        refusal: ClientRefusal,
        deal: String,
    },
    #[error(
        "{}{reason}; the money in its payment channel comes back with any `sealdrop client` command after the channel's end; `sealdrop client resume --follow` waits for it",
        step::of_failure(reason)
    )]
    DealFailed { reason: String },
    #[error("{}{reason}", step::of_failure(reason))]
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
    #[error("could not retrieve piece - error from miner: {reason} (miner {miner} does not give the file)")]
    Withheld { miner: Address, reason: String },
    #[error("the retrieval from miner {miner} was ended: {source}; try again, or name another miner")]
    Retrieval { miner: Address, source: RetrievalError },
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
    #[error("{what} is being worked on by another sealdrop process; wait for that one to end")]
    Busy { what: String },
    #[error("another sealdrop process has held {} for {seconds} seconds; wait for it to end, then try again", path.display())]
    AccountBusy { path: PathBuf, seconds: u64 },
    #[error("this deal belongs to the chain {ours}, and {url} serves the chain {theirs}; name the deal's own chain with --chain URL")]
    OtherChain { url: String, ours: String, theirs: String },
    #[error("voucher on line {line}: {reason}; a voucher is one line of `sealdrop client vouchers export`, as it was printed")]
    Voucher { line: usize, reason: String },
    #[error("{reason}; give it as `sealdrop paych voucher` or `sealdrop client payments` printed it")]
    VoucherText { reason: String },
    #[error("the chain's answer with {what} cannot be read: {reason}; is the endpoint of this version?")]
    ChainAnswer { what: &'static str, reason: String },
    #[error("there is no voucher in {}; it must have one a line, as `sealdrop client vouchers export` prints them", path.display())]
    NoVouchers { path: PathBuf },
    #[error("{} would have more than {most} bytes of vouchers; split it", path.display())]
    TooManyVouchers { path: PathBuf, most: u64 },
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the libp2p node cannot start: {0}")]
    Node(String),
    #[error("verification of deal {deal} failed: {failed}")]
    NotVerified { deal: String, failed: String },
    #[error("deal {deal} cannot be fully verified yet: {pending} is still to come; try again later")]
    Undecided { deal: String, pending: String },
    #[error(
        "storage deal not in Complete state: deal {deal} is {state}; `sealdrop client resume {deal}` waits until it is"
    )]
    NotComplete { deal: String, state: &'static str },
    #[error("there is no import of {data}; `sealdrop client import FILE` makes one")]
    NotImported { data: Cid },
    #[error("failed to create stream to retrieval miner {miner}: {source}; try again, or name another miner")]
    NoRetrieval { miner: Address, source: NetworkError },
    #[error("deal {deal} is {state}: there is nothing to abandon")]
    NothingToAbandon { deal: String, state: &'static str },
    #[error("error querying deal: miner {miner}: {source}; try again")]
    Query { miner: Address, source: NetworkError },
    #[error("attempting to retrieve piece from self. This is currently unsupported.  Please use a separate go-filecoin node as client")]
    SelfRetrieval,
    #[error("the deal is complete but no proof-of-spacetime was accepted within {minutes} minutes; `sealdrop client verify {deal}` shows how it stands")]
    NotProven { deal: String, minutes: u64 },
    #[error(transparent)]
    FileOrder(#[from] OrderError),
    #[error(transparent)]
    Sector(SectorError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{}: {source}", path.display())]
    Cut { path: PathBuf, source: CutError },
    #[error("{}: {source}", path.display())]
    FileDigest { path: PathBuf, source: FileDigestError },
    #[error("{}: {source}", path.display())]
    EntryName { path: PathBuf, source: PathError },
    #[error("{} has a name that is not UTF-8, which a manifest cannot hold; rename it", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("{} is neither a file nor a folder; store what it leads to instead", path.display())]
    NotStorable { path: PathBuf },
    #[error("all deals would cost {least} FIL at least, and --most allows {most} FIL; allow more, or ask for fewer copies or a shorter duration")]
    OverLimit { least: AttoFil, most: AttoFil },
    #[error("file {file}: {reason}")]
    FileKept { file: String, reason: NothingToAbandon },
    #[error("it is a folder, which does not go to the standard output; name one with -o")]
    FolderToStdout,
    #[error("{0:?} is not the id of a file in this book; `sealdrop client files` lists the files")]
    UnknownFile(String),
    #[error("the file {file} is not kept as it was ordered: {reason} ({pieces} of its pieces lack a copy); `sealdrop client resume {file}` goes on with it")]
    FileIncomplete {
        file: String,
        reason: String,
        pieces: usize,
    },
    #[error("the time of the file {file} was over at block {ends}, and nobody has to keep it any more; store it again with `sealdrop client store PATH`, for another time")]
    FileOver { file: String, ends: Epoch },
    #[error("{failed} of the pieces' deals could not be followed, the first because {first}; `sealdrop client resume {file}` goes on with them")]
    PiecesLeft {
        file: String,
        failed: usize,
        first: Box<ClientError>,
    },
    #[error("{} is there already, and what is in it is not the file that would be put there; move it away, or choose another folder", path.display())]
    Exists { path: PathBuf },
    #[error("{} is not a folder, so that nothing can be put below it; choose another folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("what came back is not the file: its root is {found}, the manifest's is {expected}; nothing was written")]
    WrongRoot { expected: Cid, found: String },
    #[error("{reason}")]
    Range { reason: String },
    #[error(transparent)]
    Encryption(#[from] EncryptError),
    #[error("{files} files and their names would take {files} times as long as the passphrase makes guessing slow, also to read; give at most {limit}, or make an identity (`sealdrop client keygen`), and encrypt to its recipient with --encrypt-to")]
    PassphraseFiles { files: usize, limit: usize },
    #[error("{} cannot be opened: {source}", path)]
    Decryption { path: String, source: DecryptError },
    #[error("it is encrypted {readers}, and this book has no key of it; give {needed}, or get it as it is stored with --raw, which `age -d` opens")]
    Encrypted { readers: String, needed: &'static str },
    #[error("the file of deal {deal} cannot be served: {fault}; store it again")]
    NotServed { deal: String, fault: TransferFault },
    #[error("{0}, or say with --size how many bytes it has")]
    SizeUnknown(#[from] SizeUnknown),
    #[error("what was asked for cannot be had from {url}: {reason}; nothing was written, ask another miner")]
    Http { url: String, reason: String },
    #[error("{failed} of {all} deals did not reach their end; the reasons are above")]
    SomeFailed { failed: usize, all: usize },
}

impl From<DuplicateError> for ClientError {
    fn from(error: DuplicateError) -> Self {
        match error {
            DuplicateError::Draft(error) => Self::Draft(error),
            DuplicateError::SameDeal { deal } => Self::InProgress { deal },
            DuplicateError::Schedule(error) => Self::Schedule(error),
        }
    }
}

impl ClientError {
    /// The stable code, by which programs go: that of the browser's client for the same.
    pub fn code(&self) -> ErrorCode {
        use ErrorCode as Code;
        match self {
            Self::Empty { .. } => Code::EmptyFile,
            Self::NotAFile { .. } | Self::File { .. } | Self::Digest { .. } | Self::Growing { .. } => {
                Code::FileUnreadable
            }
            Self::TooLarge { .. } => Code::FileTooLarge,
            Self::Changed { .. } | Self::ImportChanged { .. } => Code::FileLost,
            Self::ChainAway { .. } | Self::Chain(ChainError::Unreachable { .. }) => Code::ChainUnreachable,
            Self::Chain(_) | Self::Channel { .. } | Self::ChainAnswer { .. } | Self::OtherChain { .. } => {
                Code::ChainRefused
            }
            Self::NoMiners { .. } | Self::UnknownMiner { .. } => Code::MinerUnknown,
            Self::UnknownAsk { .. } | Self::AskExpired { .. } | Self::NoAsk { .. } => Code::NoAsk,
            Self::NoneTakes { refused: true, .. } => Code::Rejected,
            Self::NoneTakes { refused: false, .. } => Code::MinerUnreachable,
            Self::SectorSize { .. } | Self::Answer { .. } => Code::MinerMisbehaved,
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::Peer { .. }
            | Self::NoRetrieval { .. }
            | Self::Query { .. } => Code::MinerUnreachable,
            Self::InProgress { .. } => Code::Duplicate,
            Self::Engine(error) => error.into(),
            Self::Draft(error) => error.into(),
            Self::Retrieval { source, .. } => source.into(),
            Self::Backup(_) => Code::BadArgument,
            Self::Schedule(_) | Self::Voucher { .. } | Self::VoucherText { .. } => Code::BadArgument,
            Self::NoVouchers { .. } | Self::TooManyVouchers { .. } | Self::SelfRetrieval => Code::BadArgument,
            Self::Funds { .. } => Code::InsufficientFunds,
            Self::DealFailed { reason } | Self::DealFailedUnpaid { reason } => Code::of_failure(reason),
            Self::UnknownDeal(_) | Self::NotImported { .. } | Self::NoSuchDeal { .. } => Code::NotFound,
            Self::NotYet { .. } | Self::NotComplete { .. } | Self::NotProven { .. } => Code::NotStoredYet,
            Self::NotVerified { .. } => Code::MinerMisbehaved,
            Self::Undecided { .. } => Code::NotStoredYet,
            Self::NowhereFound { .. } | Self::Withheld { .. } | Self::Http { .. } => Code::RetrievalFailed,
            Self::Corrupt { .. } | Self::WrongSize { .. } => Code::RetrievalCorrupt,
            Self::Busy { .. } | Self::AccountBusy { .. } => Code::Busy,
            Self::NothingToAbandon { .. } => Code::NotWorking,
            Self::Damaged { .. } | Self::Wallet(_) | Self::Database(_) => Code::Storage,
            Self::Node(_) => Code::Internal,
            Self::Encryption(
                EncryptError::Changed | EncryptError::OtherRoot { .. } | EncryptError::Plaintext { .. },
            )
            | Self::NotServed { .. } => Code::FileLost,
            Self::Encryption(_) | Self::PassphraseFiles { .. } | Self::Encrypted { .. } => Code::BadArgument,
            Self::Decryption { source, .. } => match source {
                DecryptError::NoIdentityFits
                | DecryptError::PassphraseNeeded
                | DecryptError::IdentityNeeded
                | DecryptError::WrongPassphrase => Code::BadArgument,
                _ => Code::RetrievalCorrupt,
            },
            Self::SomeFailed { .. } | Self::FileIncomplete { .. } => Code::DealFailed,
            Self::FileOver { .. } | Self::FileKept { .. } => Code::NotWorking,
            Self::PiecesLeft { first, .. } => first.code(),
            Self::FileOrder(_) | Self::Manifest(_) | Self::Range { .. } | Self::SizeUnknown(_) => Code::BadArgument,
            Self::Sector(SectorError::Offer(error)) => error.into(),
            Self::Sector(_) => Code::MinerUnknown,
            Self::Cut { .. } => Code::FileTooLarge,
            Self::FileDigest { .. }
            | Self::EntryName { .. }
            | Self::NotUtf8 { .. }
            | Self::NotStorable { .. }
            | Self::NotAFolder { .. }
            | Self::Exists { .. } => Code::FileUnreadable,
            Self::OverLimit { .. } => Code::OverLimit,
            Self::FolderToStdout => Code::BadArgument,
            Self::UnknownFile(_) => Code::NotFound,
            Self::WrongRoot { .. } => Code::RetrievalCorrupt,
            Self::Step { source, .. } => source.code(),
        }
    }

    /// The error as plain data; what to do is said in the message, too.
    pub fn problem(&self) -> Problem {
        let code = self.code();
        Problem {
            code,
            message: self.to_string(),
            hint: code.hint().into(),
            rejection: match self {
                Self::Draft(DraftError::Rejected(rejection)) => Some(rejection.code as u16),
                _ => None,
            },
            obstacle: None,
        }
    }

    /// The error with what the user knows of its deal.
    pub(crate) fn of_deal(self, record: &Record) -> Self {
        let Self::Engine(error) = self else {
            return self;
        };
        let deal = record.name();
        match error {
            EngineError::Refused { miner, refusal } => Self::Answer { miner, refusal, deal },
            EngineError::FileChanged => Self::Changed {
                path: record.file.facts.path.clone(),
                deal,
            },
            EngineError::Channel { reason } => Self::Channel {
                reason,
                deal: record.id.clone(),
            },
            EngineError::Refund { exit_code, error, .. } => Self::Chain(ChainError::Failed { exit_code, error }),
            EngineError::Schedule(error) => Self::Schedule(error),
            EngineError::NotApplicable => Self::NothingToAbandon {
                deal,
                state: record.state(),
            },
        }
    }

    /// Puts in front what the client of 2019 said of that step.
    pub fn in_step(step: &'static str) -> impl FnOnce(Self) -> Self {
        move |source| Self::Step {
            step,
            source: Box::new(source),
        }
    }

    /// The error that ended the carrying on of a deal at `stage`: one without an answer yet was being sent.
    pub(crate) fn of_stage(self, stage: &ClientStage) -> Self {
        let step = match (stage, &self) {
            (ClientStage::Signed { .. }, Self::Lost { .. } | Self::Unreachable { .. }) => step::SENDING,
            (
                ClientStage::Signed { .. },
                Self::Answer {
                    refusal: ClientRefusal::OtherDeal { .. },
                    ..
                },
            ) => step::TRACKING,
            _ => return self,
        };
        Self::in_step(step)(self)
    }

    /// The error without the name of the step that it ended.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Step { source, .. } => source.cause(),
            error => error,
        }
    }

    /// The error of a question how a deal stands.
    pub(crate) fn query(error: Self, record: &Record) -> Self {
        match error.of_deal(record) {
            Self::Peer { miner, source } => Self::Query { miner, source },
            other => other,
        }
    }

    /// Why there is nobody on the chain at `url` to make a deal of `path` with.
    pub(crate) fn offer(error: OfferError, url: &str, path: &Path) -> Self {
        match error {
            OfferError::UnknownMiner(asked) => Self::UnknownMiner { asked },
            OfferError::NoAsk(miner) => Self::NoAsk { miner },
            OfferError::UnknownAsk { miner, id } => Self::UnknownAsk { miner, id },
            OfferError::AskExpired { miner, id, expiry } => Self::AskExpired { miner, id, expiry },
            OfferError::SectorSize { miner, bytes } => Self::SectorSize { miner, bytes },
            OfferError::TooLarge {
                size,
                miner,
                sector,
                usable,
            } => Self::TooLarge {
                path: path.to_owned(),
                size,
                miner,
                sector,
                usable,
            },
            OfferError::NoMiners => Self::NoMiners { url: url.to_owned() },
            OfferError::NoneTakes { reasons, refused } => Self::NoneTakes { reasons, refused },
            OfferError::OverLimit { cost: least, most } => Self::OverLimit { least, most },
        }
    }

    /// Why there is nobody to make deals of a file's pieces with.
    pub(crate) fn sector(error: SectorError, url: &str, path: &Path) -> Self {
        match error {
            SectorError::Offer(error) => Self::offer(error, url, path),
            other => Self::Sector(other),
        }
    }

    /// A file error.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
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

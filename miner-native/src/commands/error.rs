//! Why a command does not reach its end, and how that is told: what happened, why, and what to do; each cause once.

use super::init::InitError;
use super::output::with_fields;
use crate::backup::BackupError;
use crate::client::ClientError;
use crate::configuration::ConfigurationError;
use crate::daemon::DaemonError;
use crate::terminal::escaped;
use cid::Cid;
use sealdrop_encryption::EncryptError;
use sealdrop_miner::chain_access::ChainError;
use sealdrop_miner::data_dir::DataDirError;
use sealdrop_miner::network::IdentityError;
use sealdrop_miner::operator::token::TokenError;
use sealdrop_miner::operator::OperatorError;
use sealdrop_wallet::WalletError;
use serde_json::json;
use shared::chain::{Address, Epoch};
use shared::client::link::LinkError;
use shared::client::passport::ReceiptError;
use shared::exit_code;
use std::fmt::Debug;
use std::path::PathBuf;
use std::process::ExitCode;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    HomeBackup(#[from] BackupError),
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error("this is no recovery phrase: {0}")]
    Phrase(#[from] sealdrop_backup::PhraseError),
    #[error("the backup {path} is not taken back: {reason}")]
    Backup { path: PathBuf, reason: String },
    #[error(
        "the chain knows no message {message}; check the id, and that --chain names the chain that it was sent to"
    )]
    UnknownMessage { message: Cid },
    #[error("the chain has no actor at {address}: nothing was ever sent to it; check the address, and that --chain names its chain")]
    UnknownActor { address: Address },
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("there is no miner here: no daemon answers at {base}, and `miner create` registered none from this home; name the miner, or start a daemon with `sealdrop daemon`")]
    NoMiner { base: String },
    #[error(transparent)]
    HostKey(#[from] IdentityError),
    #[error("the network has no miner {miner}; `sealdrop client miners` lists those that it has")]
    UnknownMiner { miner: Address },
    #[error("can only have one miner per node; register another from a home of its own with --home DIR")]
    HasMiner,
    #[error("unsupported sector size: {asked} (supported sizes: {supported})")]
    SectorSize { asked: String, supported: String },
    #[error("the chain's answer to {method} is not what that method returns; is it a Sealdrop chain of this version?")]
    Strange { method: &'static str },
    #[error("must be mining to {purpose}; start with `sealdrop mining start`")]
    NotMining { purpose: &'static str },
    #[error("deal not found")]
    DealNotFound,
    #[error("unable to determine a default wallet address; make one with `sealdrop wallet new`")]
    NoDefaultAddress,
    #[error(
        "the home's chain.json names the network {text:?}, which is no genesis id; restore the file from a backup"
    )]
    Genesis { text: String },
    #[error("the faucet refused: {reason}")]
    Faucet { reason: String },
    #[error("there is no setting {key:?}; the settings are {known}")]
    UnknownSetting { key: String, known: String },
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error("{0}")]
    Unusable(String),
    #[error("{key} holds from a daemon's start on; put it into sealdrop.toml, or give its option (`sealdrop config show` says what it is)")]
    OfTheStart { key: String },
    #[error("invalid value {value:?} for {key}: expected {form}")]
    SettingValue {
        key: &'static str,
        value: String,
        form: &'static str,
    },
    #[error("{key} cannot be changed: {advice}")]
    FixedSetting { key: &'static str, advice: &'static str },
    #[error("the message would fail with exit code {exit_code}: {error}")]
    WouldFail { exit_code: u64, error: String },
    #[error("the message failed with exit code {exit_code}: {error}")]
    MessageFailed { exit_code: u64, error: String },
    #[error("message {message} was dropped and will never be in a block: {reason}")]
    Dropped { message: Cid, reason: String },
    #[error("message {message} was in no block after {seconds} seconds; ask again with `sealdrop message wait`, or give it longer with --timeout")]
    NotMined { message: Cid, seconds: u64 },
    #[error("message {message} is in block {height}, so long ago that the chain keeps nothing more of it")]
    Pruned { message: Cid, height: Epoch },
    #[error("cannot {action} {}: {source}; check the path, its permissions and the free space", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("no block {id} is among those that the chain keeps; check the id, or name the block by its height")]
    UnknownBlock { id: String },
    #[error("the command was carried out, but its result could not be written: {0}; make room where the standard output goes, and ask for the result again")]
    Result(std::io::Error),
    #[error("{} knows no network: no daemon ran there, and no command named a chain; start one with `sealdrop daemon --home {}`, or name a chain's endpoint once with --chain URL", home.display(), home.display())]
    NoNetwork { home: PathBuf },
    #[error("{} is no key as `sealdrop wallet export` prints it: {reason}; give the file that it wrote, as text or with --json", path.display())]
    Key { path: PathBuf, reason: String },
    #[error(transparent)]
    Encryption(#[from] EncryptError),
    #[error("{} is there already, and an identity is never replaced, since what was encrypted to it would be lost; give a path where nothing is", path.display())]
    KeyIsThere { path: PathBuf },
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the daemon of {} serves no page; name one with --page URL", home.display())]
    NoPage { home: PathBuf },
    #[error("{0} of the checks found something wrong; each says what to do")]
    Unwell(usize),
    #[error("of the copies that were fetched and the files that they are of, {0} are not as they were ordered; each reason is above")]
    NotKept(usize),
    #[error("{} cannot be taken for a receipt: {source}", path.display())]
    NoReceipt { path: PathBuf, source: ReceiptError },
    #[error("the receipt is of the network {found}, not of {expected}; ask for one of the right network")]
    ReceiptOfOtherNetwork { expected: Cid, found: Cid },
    #[error("the receipt does not hold: step {steps} is wrong; do not rely on it")]
    ReceiptWrong { steps: String },
    #[error("nothing in the receipt is wrong, but it does not show that the data are in a sector of the miner: the deal was not complete when it was made, or the file is needed (--data), or artefacts are missing; its maker can make another one")]
    ReceiptUndecided,
    #[error(transparent)]
    Init(#[from] InitError),
    #[error("the runtime cannot be started: {0}; close other programs and try again")]
    Runtime(std::io::Error),
}

impl CommandError {
    /// What the program ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(ClientError::Undecided { .. }) | Self::ReceiptUndecided => {
                ExitCode::from(exit_code::UNDECIDED)
            }
            Self::Unwell(_) | Self::NotKept(_) => ExitCode::from(exit_code::UNWELL),
            _ => ExitCode::FAILURE,
        }
    }
}

impl From<ChainError> for CommandError {
    fn from(error: ChainError) -> Self {
        Self::Client(ClientError::chain(error))
    }
}

/// An error as it is told.
pub struct Told {
    /// Its name for programs: stays when the words change.
    code: String,
    /// What happened, why, and what to do.
    pub text: String,
    /// What to do, where the text does not say it.
    hint: &'static str,
    /// The number of the miner's rule, with the code `rejected`.
    rejection: Option<u16>,
}

impl Told {
    /// An error of a command or of the daemon, with its causes.
    pub fn of(error: &anyhow::Error) -> Self {
        let code = match error.downcast_ref::<CommandError>() {
            Some(error) => error.code(),
            None => match error.downcast_ref::<DaemonError>() {
                Some(error) => format!("daemon.{}", variant(error)),
                None => "error".to_owned(),
            },
        };
        let problem = match error.downcast_ref::<CommandError>() {
            Some(CommandError::Client(error)) => Some((error.cause().code().hint(), error.cause().problem().rejection)),
            _ => None,
        };
        let (hint, rejection) = problem.unwrap_or_default();
        let text = told(error);
        Self {
            code,
            text,
            hint,
            rejection,
        }
    }

    /// A command line that is none, in clap's words.
    pub fn of_usage(text: &str) -> Self {
        let text = text.trim().trim_start_matches("error: ");
        // The first paragraph says what is wrong, the others what is right.
        let (what, hint) = text.split_once("\n\n").unwrap_or((text, ""));
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            code: "usage".to_owned(),
            text: format!("{}; {}", line(what), line(hint)),
            hint: "",
            rejection: None,
        }
    }

    /// One line of JSON. By this program's custom, what to do stands after a text's last semicolon.
    pub fn json(&self) -> String {
        let (message, hint) = match self.text.rsplit_once("; ") {
            Some((message, hint)) if !hint.is_empty() => (message, Some(hint)),
            _ => (self.text.trim_end_matches("; "), None),
        };
        let hint = hint.or_else(|| Some(self.hint).filter(|hint| !hint.is_empty()));
        let mut json = json!({ "code": self.code, "message": message, "hint": hint });
        if let Some(rejection) = self.rejection {
            json = with_fields(json, [("rejection", json!(rejection))]);
        }
        escaped(&json.to_string()).into_owned()
    }
}

impl CommandError {
    fn code(&self) -> String {
        match self {
            Self::Client(error) => json!(error.cause().code()).as_str().unwrap_or("error").to_owned(),
            Self::HomeBackup(error) => format!("backup.{}", variant(error)),
            Self::DataDir(error) => format!("home.{}", variant(error)),
            Self::Wallet(error) => format!("wallet.{}", variant(error)),
            Self::Configuration(error) => format!("configuration.{}", variant(error)),
            Self::Operator(error) => format!("operator.{}", variant(error)),
            Self::HostKey(error) => format!("host-key.{}", variant(error)),
            Self::Init(error) => format!("init.{}", variant(error)),
            Self::Encryption(error) => format!("encryption.{}", variant(error)),
            error => variant(error),
        }
    }
}

/// The name of an error's variant, in words joined by hyphens.
fn variant(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    let mut name = String::new();
    for letter in text.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// An error with its causes. Many of our texts hold their cause already, so one that was told is not told again.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{anyhow, Context};

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full: {0}; make room")]
    struct Full(#[source] std::io::Error);

    /// Programs go by the code, so it stays.
    #[test]
    fn an_error_for_programs_has_a_code_a_message_and_a_hint_in_one_line() {
        let read = |error: CommandError| {
            let text = Told::of(&error.into()).json();
            assert!(!text.contains('\n'), "{text}");
            serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON")
        };
        assert_eq!(
            read(CommandError::DealNotFound),
            json!({ "code": "deal-not-found", "message": "deal not found", "hint": null })
        );
        let unknown = ClientError::UnknownDeal("a\u{9b}".into());
        let step = ClientError::in_step(crate::client::error::step::SIZE)(unknown);
        let unknown = read(step.into());
        assert_eq!(unknown["code"], "not-found");
        assert_eq!(unknown["hint"], "`sealdrop client deals` lists the deals");
        assert!(unknown["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("failed to determine the size of the data: ")));
        let usage = Told::of_usage("error: unrecognized subcommand 'minning'\n\n  tip: 'mining'\n\nUsage: sealdrop\n");
        let usage: serde_json::Value = serde_json::from_str(&usage.json()).expect("it is JSON");
        assert_eq!(
            usage,
            json!({ "code": "usage", "message": "unrecognized subcommand 'minning'", "hint": "tip: 'mining' Usage: sealdrop" })
        );
    }

    #[test]
    fn a_cause_that_the_text_holds_is_not_told_again() {
        let error = anyhow::Error::new(Full(std::io::Error::other("no space left")));
        assert_eq!(told(&error), "the disk is full: no space left; make room");
    }

    #[test]
    fn a_cause_that_the_text_leaves_out_is_told_after_it() {
        let failed: anyhow::Result<()> = Err(anyhow!("no space left"));
        let error = failed.context("the file was not written").expect_err("it is an error");
        assert_eq!(told(&error), "the file was not written: no space left");
    }
}

//! `sealdrop wallet`: the client's keys and their money (spec §6.7).

use super::error::CommandError;
use super::output::{columns, Output};
use super::target::Target;
use clap::{Args, Subcommand};
use sealdrop_miner::chain_access::ChainError;
use sealdrop_wallet::Wallet;
use serde_json::{json, Value};
use shared::chain::{Address, AttoFil};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file that is read for a secret key: its digits and white space around them.
const MAX_SECRET: u64 = 4096;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the addresses; the default one is marked
    #[command(visible_alias = "addrs")]
    Ls,
    /// Make a key; prints its address
    New,
    /// Print the address that is used unless another is named, or choose it
    Default {
        /// The address to use from now on
        address: Option<Address>,
    },
    /// Print what an address holds
    Balance {
        /// The address [default: the wallet's default]
        address: Option<Address>,
    },
    /// Ask the development network's faucet for test FIL
    Fund {
        /// Who gets it [default: the wallet's default address]
        address: Option<Address>,
    },
    /// Print the secret key of an address: whoever has it has the money
    Export {
        /// The address
        address: Address,
    },
    /// Take in a secret key that `export` printed, also with --json; prints its address
    Import {
        /// A file that holds it; `-` is the standard input
        file: PathBuf,
    },
}

/// Runs one command on keys.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        output,
        command,
    } = arguments;
    let wallet = open(&target)?;
    match command {
        Command::Ls => list(&wallet, output),
        Command::New => new(&wallet, output),
        Command::Default { address } => default(&wallet, address, output),
        Command::Balance { address } => {
            let address = or_default(&wallet, address)?;
            let balance = target.chain().await?.balance(&address).await?;
            let value = json!({ "address": address, "balance": balance });
            output.show(&value, || balance.to_string())?;
            Ok(())
        }
        Command::Fund { address } => fund(&target, or_default(&wallet, address)?, output).await,
        Command::Export { address } => {
            let secret = wallet.export(&address)?;
            output.show(&json!({ "address": address, "secretKey": secret }), || secret.clone())?;
            Ok(())
        }
        Command::Import { file } => {
            let address = wallet.import(&secret(&file)?)?;
            output.show(&json!({ "address": address }), || address.to_string())?;
            Ok(())
        }
    }
}

/// The client's wallet in the target's home.
pub(super) fn open(target: &Target) -> Result<Wallet, CommandError> {
    Ok(Wallet::open(target.home()?.client().join("wallet"))?)
}

/// Lists addresses; also `address ls`.
pub(super) fn list(wallet: &Wallet, output: Output) -> Result<(), CommandError> {
    let default = wallet.default_address()?;
    let addresses = wallet.addresses()?;
    let value = json!({ "addresses": addresses, "default": default });
    output.show(&value, || {
        columns(addresses.iter().map(|address| {
            let mark = if default.as_ref() == Some(address) {
                "default"
            } else {
                ""
            };
            [address.to_string(), mark.to_owned()]
        }))
    })?;
    Ok(())
}

/// Makes a key; also `address new`.
pub(super) fn new(wallet: &Wallet, output: Output) -> Result<(), CommandError> {
    let address = wallet.create()?.address();
    output.show(&json!({ "address": address }), || address.to_string())?;
    Ok(())
}

/// Shows or sets the default; also `address default`.
pub(super) fn default(wallet: &Wallet, address: Option<Address>, output: Output) -> Result<(), CommandError> {
    if let Some(address) = &address {
        wallet.set_default(address)?;
    }
    let address = or_default(wallet, address)?;
    output.show(&json!({ "address": address }), || address.to_string())?;
    Ok(())
}

/// The address given, or the wallet's default; the first key becomes it when none was chosen. Makes no key.
fn or_default(wallet: &Wallet, address: Option<Address>) -> Result<Address, CommandError> {
    if let Some(address) = address {
        return Ok(address);
    }
    if wallet.default_address()?.is_none() && wallet.addresses()?.is_empty() {
        return Err(CommandError::NoDefaultAddress);
    }
    Ok(wallet.default_key()?.address())
}

async fn fund(target: &Target, address: Address, output: Output) -> Result<(), CommandError> {
    let chain = target.chain().await?;
    let gift = match chain.faucet(&address).await {
        Ok(gift) => gift,
        Err(ChainError::Rpc { message, .. }) => return Err(CommandError::Faucet { reason: message }),
        Err(error) => return Err(error.into()),
    };
    if let Some(message) = gift.message.as_ref().and_then(|text| text.parse().ok()) {
        chain.confirmed(&message, 0).await?;
    }
    let amount: AttoFil = gift.amount;
    let value = json!({ "address": address, "amount": amount, "message": gift.message });
    output.show(&value, || format!("{amount} FIL for {address}"))?;
    Ok(())
}

/// The secret key in a file of either form that `export` has.
fn secret(path: &Path) -> Result<String, CommandError> {
    let text = read(path)?;
    if !text.trim_start().starts_with('{') {
        return Ok(text);
    }
    let wrong = |reason: String| CommandError::Key {
        path: path.to_owned(),
        reason,
    };
    let value: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let secret = value
        .get("secretKey")
        .and_then(serde_json::Value::as_str)
        .map(str::to_owned);
    secret.ok_or_else(|| wrong("it has no secretKey".into()))
}

fn read(path: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = super::open(path)?.take(MAX_SECRET).read_to_string(&mut text);
    read.map_err(|source| CommandError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(text)
}

//! `sealdrop wallet`: the client's accounts and their money (spec §6.7). An account belongs to the home's network; a key that was
//! imported, or made by an earlier version, is bound to none (finding B3).

use super::error::CommandError;
use super::output::{columns, Output};
use super::target::Target;
use crate::client::Report;
use clap::{Args, Subcommand};
use sealdrop_miner::chain_access::ChainError;
use sealdrop_wallet::{Binding, Imported, Wallet};
use serde_json::{json, Value};
use shared::chain::{Address, AttoFil};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file that is read for a secret: its digits and white space around them.
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
    /// List the addresses; the default one is marked, and what is not bound to the home's network
    #[command(visible_alias = "addrs")]
    Ls,
    /// Make an account on the home's network; prints its address
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
    /// Print the secret key of an address, or the root that accounts come from: whoever has it has the money
    Export {
        /// The address
        #[arg(required_unless_present = "root")]
        address: Option<Address>,
        /// The root: all accounts that were and will be made here, on every network
        #[arg(long, conflicts_with = "address")]
        root: bool,
    },
    /// Print the recovery phrase: 24 words that bring all accounts back, here or in a browser; whoever reads them has the money
    Phrase,
    /// Take a root in from its recovery phrase; prints the default address, where the home's network is known
    Restore {
        /// A file that holds the words; `-` is the standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Take in a secret key or a root that `export` printed, also with --json; prints its address, or the default one
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
        Command::Ls => list(&target, output),
        Command::New => new(&target, output).await,
        Command::Default { address } => default(&target, address, output).await,
        Command::Balance { address } => {
            let address = or_default(&target, &wallet, address).await?;
            let balance = target.chain().await?.balance(&address).await?;
            let value = json!({ "address": address, "balance": balance });
            output.show(&value, || balance.to_string())?;
            Ok(())
        }
        Command::Fund { address } => fund(&target, or_default(&target, &wallet, address).await?, output).await,
        Command::Export { address, .. } => export(&wallet, address, output),
        Command::Phrase => phrase(&wallet, output),
        Command::Restore { file } => restore(&target, &wallet, &file, output),
        Command::Import { file } => import(&target, &wallet, &file, output),
    }
}

/// The client's wallet in the target's home.
pub(super) fn open(target: &Target) -> Result<Wallet, CommandError> {
    Ok(Wallet::open(target.home()?.client().join("wallet"))?)
}

/// Lists addresses; also `address ls`.
pub(super) fn list(target: &Target, output: Output) -> Result<(), CommandError> {
    let (wallet, network) = (open(target)?, target.known_network()?);
    let default = known_default(target)?;
    let accounts = wallet.accounts()?;
    let addresses: Vec<_> = accounts.iter().map(|(address, _)| address).collect();
    let described: Vec<_> = accounts
        .iter()
        .map(|(address, binding)| match binding {
            Binding::Network { network, number } => {
                json!({ "address": address, "network": network.to_string(), "number": number })
            }
            Binding::None => json!({ "address": address, "network": null, "number": null }),
        })
        .collect();
    let value = json!({ "addresses": addresses, "default": default, "accounts": described });
    output.show(&value, || {
        columns(accounts.iter().map(|(address, binding)| {
            let bound = match binding {
                Binding::None => "not bound to a network".to_owned(),
                Binding::Network { network: of, .. } if network.is_some_and(|network| network != *of) => {
                    format!("of the network {of}")
                }
                Binding::Network { .. } => String::new(),
            };
            let mark = match default.as_ref() == Some(address) {
                true => "default",
                false => "",
            };
            [address.to_string(), bound, mark.to_owned()]
        }))
    })?;
    if !output.is_json() && accounts.iter().any(|(_, binding)| *binding == Binding::None) {
        Report::new().note(
            "what an address signs that is not bound to a network may count on another network, too: make an account \
             with `sealdrop wallet new`, send it the money with `sealdrop message send`, and choose it with `sealdrop wallet default`",
        );
    }
    Ok(())
}

/// Makes an account; also `address new`.
pub(super) async fn new(target: &Target, output: Output) -> Result<(), CommandError> {
    let network = target.network().await?;
    let address = open(target)?.create(&network)?.address();
    output.show(&json!({ "address": address }), || address.to_string())?;
    Ok(())
}

/// Shows or sets the default; also `address default`.
pub(super) async fn default(target: &Target, address: Option<Address>, output: Output) -> Result<(), CommandError> {
    if let Some(address) = &address {
        choose_default(target, address).await?;
    }
    let address = or_default(target, &open(target)?, address).await?;
    output.show(&json!({ "address": address }), || address.to_string())?;
    Ok(())
}

/// The default on the home's network, as far as one is known.
pub(super) fn known_default(target: &Target) -> Result<Option<Address>, CommandError> {
    let wallet = open(target)?;
    Ok(match target.known_network()? {
        Some(network) => wallet.default_address(&network)?,
        None => wallet.named_default()?,
    })
}

/// Makes an address the default; one of another network would not be used.
pub(super) async fn choose_default(target: &Target, address: &Address) -> Result<(), CommandError> {
    let wallet = open(target)?;
    if wallet.binding(address)? != Binding::None {
        wallet.key_on(address, &target.network().await?)?;
    }
    Ok(wallet.set_default(address)?)
}

fn export(wallet: &Wallet, address: Option<Address>, output: Output) -> Result<(), CommandError> {
    let Some(address) = address else {
        let root = wallet.export_root()?;
        return output.show(&json!({ "rootKey": root }), || root.clone());
    };
    let secret = wallet.export(&address)?;
    output.show(&json!({ "address": address, "secretKey": secret }), || secret.clone())
}

fn phrase(wallet: &Wallet, output: Output) -> Result<(), CommandError> {
    let words = sealdrop_backup::phrase::of_root(&wallet.root_key()?);
    output.show(&json!({ "phrase": words.as_str() }), || words.to_string())?;
    if !output.is_json() {
        Report::new()
            .note("whoever reads these words has the money of all accounts: write them down, and show them to nobody");
    }
    Ok(())
}

fn restore(target: &Target, wallet: &Wallet, file: &Path, output: Output) -> Result<(), CommandError> {
    wallet.restore(&sealdrop_backup::phrase::root_of(&read(file)?)?)?;
    let address = match target.known_network()? {
        Some(network) => Some(wallet.default_key(&network)?.address()),
        None => None,
    };
    output.show(&json!({ "address": address }), || {
        address.as_ref().map(Address::to_string).unwrap_or_default()
    })
}

fn import(target: &Target, wallet: &Wallet, file: &Path, output: Output) -> Result<(), CommandError> {
    let address = match (wallet.import(&secret(file)?)?, target.known_network()?) {
        (Imported::Key(address), _) => Some(address),
        (Imported::Root, Some(network)) => Some(wallet.default_key(&network)?.address()),
        // The first account is made on the network that the home is first used with.
        (Imported::Root, None) => None,
    };
    output.show(&json!({ "address": address }), || {
        address.as_ref().map(Address::to_string).unwrap_or_default()
    })
}

/// The address given, or the wallet's default on the home's network; the first account becomes it when none was chosen. Makes
/// none in an empty wallet.
async fn or_default(target: &Target, wallet: &Wallet, address: Option<Address>) -> Result<Address, CommandError> {
    if let Some(address) = address {
        return Ok(address);
    }
    match wallet.named_default()? {
        Some(named) if wallet.binding(&named)? == Binding::None => return Ok(named),
        None if wallet.addresses()?.is_empty() => return Err(CommandError::NoDefaultAddress),
        _ => {}
    }
    Ok(wallet.default_key(&target.network().await?)?.address())
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

/// The secret key or the root in a file of either form that `export` has.
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
    let secret = ["secretKey", "rootKey"].iter().find_map(|key| value.get(key)?.as_str());
    secret
        .map(str::to_owned)
        .ok_or_else(|| wrong("it has no secretKey or rootKey".into()))
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

//! `sealdrop client backup` and `restore`: the account and the book in one file, and back.

use super::keys::PassphraseArguments;
use super::CommandContext;
use crate::client::backup::Added;
use crate::client::Report;
use crate::commands::error::CommandError;
use crate::commands::output::put_path;
use crate::commands::wallet;
use cid::Cid;
use clap::Args;
use sealdrop_backup::{key, NetworkBook, MAX_BACKUP_BYTES};
use sealdrop_encryption::{decrypt_bytes, encrypt_bytes, Keys, Recipients, WorkFactor};
use sealdrop_wallet::{write_secret_file, Binding, Wallet};
use serde_json::json;
use shared::chain::Address;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Bytes of the file around a backup: head and tags, at most.
const AROUND: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write; one that is there is replaced as a whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup file; without a passphrase, this home's root opens it (`sealdrop wallet restore` takes one in from its phrase)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

/// Writes a backup.
pub(super) fn backup(context: &CommandContext, arguments: Backup) -> Result<(), CommandError> {
    let Backup { file, passphrase } = arguments;
    let passphrase = passphrase.read(true)?;
    let wallet = wallet::open(&context.target)?;
    let root = wallet.root_key()?;
    let mut networks = context.book()?.backed_up()?;
    let mut left_out = BTreeSet::new();
    for network in &mut networks {
        take_key(&wallet, network, &mut left_out)?;
    }
    let (deals, files) = networks.iter().fold((0, 0), |(deals, files), network| {
        (deals + network.deals.len(), files + network.files.len())
    });
    let failed = |reason: String| CommandError::Backup {
        path: file.clone(),
        reason,
    };
    let made = sealdrop_backup::Backup::new(now_ms(), &root, networks).to_bytes();
    let made = made.map_err(|error| failed(error.to_string()))?;
    let sealed = match &passphrase {
        Some(passphrase) => encrypt_bytes(&Recipients::Passphrase(passphrase, WorkFactor::default()), &made),
        None => encrypt_bytes(&Recipients::X25519(&[key::identity(&root).recipient()]), &made),
    };
    write_secret_file(&file, &sealed?)?;
    let keys: Vec<String> = left_out.iter().map(Address::to_string).collect();
    let mut value = json!({ "deals": deals, "files": files, "keysLeftOut": keys });
    put_path(&mut value, "path", &file);
    context.output.show(&value, || file.display().to_string())?;
    if !context.output.is_json() {
        let opens = match passphrase {
            Some(_) => "the passphrase opens it",
            None => "the recovery phrase opens it (`sealdrop wallet phrase`)",
        };
        Report::new().note(format!("{deals} deals and {files} files are in it; {opens}"));
        if !keys.is_empty() {
            Report::new().note(format!(
                "the keys of {} are not in it, since they are none of the root's: `sealdrop wallet export` prints them",
                keys.join(", ")
            ));
        }
    }
    Ok(())
}

/// The key that signs all deals of a network in place of the root's accounts; where several do, they are left out.
fn take_key(wallet: &Wallet, network: &mut NetworkBook, left_out: &mut BTreeSet<Address>) -> Result<(), CommandError> {
    let payers: BTreeSet<Address> = network.deals.iter().map(|deal| deal.deal.draft.payer.clone()).collect();
    let mut unbound = Vec::new();
    for payer in &payers {
        if wallet.addresses()?.contains(payer) && wallet.binding(payer)? == Binding::None {
            unbound.push(payer);
        }
    }
    match unbound.as_slice() {
        [only] if payers.len() == 1 => {
            network.older_key = Some(Zeroizing::new(wallet.key(only)?.to_bytes()));
        }
        several => left_out.extend(several.iter().map(|payer| (*payer).clone())),
    }
    Ok(())
}

/// Takes a backup back.
pub(super) fn restore(context: &CommandContext, arguments: Restore) -> Result<(), CommandError> {
    let Restore { file, passphrase } = arguments;
    let passphrase = passphrase.read(false)?;
    let wallet = wallet::open(&context.target)?;
    let failed = |reason: String| CommandError::Backup {
        path: file.clone(),
        reason,
    };
    let limit = MAX_BACKUP_BYTES as u64 + AROUND;
    let mut sealed = Vec::new();
    let read = crate::commands::open(&file)?.take(limit).read_to_end(&mut sealed);
    read.map_err(|source| CommandError::File {
        action: "read",
        path: file.clone(),
        source,
    })?;
    let opened = match &passphrase {
        Some(passphrase) => decrypt_bytes(Keys::Passphrase(passphrase), &sealed),
        None => {
            let identity = key::identity(&wallet.root_key()?);
            decrypt_bytes(Keys::Identities(&[identity]), &sealed)
        }
    };
    let opened = Zeroizing::new(opened.map_err(|error| failed(error.to_string()))?);
    let backup = sealdrop_backup::Backup::restore(&opened, now_ms()).map_err(|error| failed(error.to_string()))?;
    wallet.restore(&backup.root())?;
    let book = context.book()?;
    let mut added = Added::default();
    let mut unknown = BTreeSet::new();
    let elsewhere: BTreeSet<String> = backup.signers.iter().map(|book| book.signer.to_string()).collect();
    for network in backup.networks {
        unknown.extend(take_accounts(&wallet, &network)?);
        let new = book.take_back(network)?;
        added.deals += new.deals;
        added.files += new.files;
    }
    let keys: Vec<String> = unknown.iter().map(Address::to_string).collect();
    let value =
        json!({ "deals": added.deals, "files": added.files, "keysMissing": keys, "signersElsewhere": elsewhere });
    context
        .output
        .show(&value, || format!("{} deals, {} files", added.deals, added.files))?;
    if context.output.is_json() {
        return Ok(());
    }
    if !keys.is_empty() {
        Report::new().note(format!(
            "deals of {} are in the book, and their keys are not: import them with `sealdrop wallet import`",
            keys.join(", ")
        ));
    }
    if !elsewhere.is_empty() {
        let signers: Vec<String> = elsewhere.into_iter().collect();
        Report::new().note(format!(
            "the backup has deals of {} too, whose keys are with a wallet elsewhere; they were left out, since a terminal asks no wallet: restore it on the page",
            signers.join(", ")
        ));
    }
    Ok(())
}

/// Makes the accounts known that a network's deals are of; those whose keys are not here.
fn take_accounts(wallet: &Wallet, network: &NetworkBook) -> Result<BTreeSet<Address>, CommandError> {
    if let Some(key) = &network.older_key {
        wallet.import(&Zeroizing::new(hex::encode(key.as_slice())))?;
    }
    let payers: BTreeSet<&Address> = network.deals.iter().map(|deal| &deal.deal.draft.payer).collect();
    let Ok(genesis) = network.genesis.parse::<Cid>() else {
        return Ok(BTreeSet::new());
    };
    let mut unknown = BTreeSet::new();
    for payer in payers {
        if !wallet.recognise(payer, &genesis)? {
            unknown.insert(payer.clone());
        }
    }
    Ok(unknown)
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

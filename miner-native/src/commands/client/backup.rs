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
use sealdrop_backup::{key, NetworkBook, SignerBook, MAX_BACKUP_BYTES};
use sealdrop_encryption::{decrypt_bytes, encrypt_bytes, Identity, Keys, Passphrase, Recipients, WorkFactor};
use sealdrop_wallet::{write_secret_file, Binding, Wallet};
use serde_json::json;
use shared::chain::{Address, RootKey};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};
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
    let identity = [key::identity(&root)];
    let signers = kept_signers(&file, keys_of(passphrase.as_ref(), &identity), &root);
    let made = sealdrop_backup::Backup::new(now_ms(), &root, networks)
        .with_signers(signers)
        .to_bytes();
    let made = made.map_err(|error| failed(&file, error))?;
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

/// The books of wallets that a backup of this account has at that place. They are not in the book here, and would be gone with it.
fn kept_signers(file: &Path, keys: Keys<'_>, root: &RootKey) -> Vec<SignerBook> {
    if !file.exists() {
        return Vec::new();
    }
    let kept = decrypted(file, keys)
        .ok()
        .and_then(|bytes| sealdrop_backup::Backup::read(&bytes).ok());
    match kept {
        Some(kept) if kept.root().to_bytes() == root.to_bytes() => kept.signers,
        _ => Vec::new(),
    }
}

/// What a backup file has in it.
fn decrypted(file: &Path, keys: Keys<'_>) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let limit = MAX_BACKUP_BYTES as u64 + AROUND;
    let mut sealed = Vec::new();
    let read = crate::commands::open(file)?.take(limit).read_to_end(&mut sealed);
    read.map_err(|source| CommandError::File {
        action: "read",
        path: file.to_owned(),
        source,
    })?;
    let opened = decrypt_bytes(keys, &sealed).map_err(|error| failed(file, error))?;
    Ok(Zeroizing::new(opened))
}

/// What opens a backup: the passphrase, or the account's own identity.
fn keys_of<'a>(passphrase: Option<&'a Passphrase>, identity: &'a [Identity]) -> Keys<'a> {
    passphrase.map_or(Keys::Identities(identity), Keys::Passphrase)
}

fn failed(file: &Path, reason: impl Display) -> CommandError {
    CommandError::Backup {
        path: file.to_owned(),
        reason: reason.to_string(),
    }
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
    let identity = match &passphrase {
        Some(_) => None,
        None => Some(key::identity(&wallet.root_key()?)),
    };
    let opened = decrypted(&file, keys_of(passphrase.as_ref(), identity.as_slice()))?;
    let backup = sealdrop_backup::Backup::restore(&opened, now_ms()).map_err(|error| failed(&file, error))?;
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
            "the backup has deals and files of {} too, whose keys are with a wallet elsewhere; they were left out, since a terminal asks no wallet: restore it on the page",
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

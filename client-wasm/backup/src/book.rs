//! The browser's form of a book, and of a backup: states are the text that IndexedDB keeps, bytes are hexadecimal.

use crate::{former, root, words};
use sealdrop_backup::{Backup, FileEntry, NetworkBook, SignerBook};
use sealdrop_encryption::EncryptedFile;
use serde::{Deserialize, Serialize};
use shared::chain::Address;
use shared::client::view::Deal;
use shared::file::{Manifest, TrueNames};
use zeroize::Zeroizing;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Book<D, F> {
    made_ms: f64,
    root: String,
    networks: Vec<Network<D, F>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Network<D, F> {
    genesis: String,
    /// Who pays, where that is not the root's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signer: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    older_key: Option<String>,
    deals: Vec<D>,
    files: Vec<F>,
}

/// A file as the browser has it.
#[derive(Deserialize)]
struct Kept {
    state: String,
    manifest: String,
    /// The manifest under its own names, and the state of each file's encryption.
    #[serde(default)]
    shown: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
}

/// A record as the browser is to have it.
#[derive(Serialize)]
struct RestoredDeal<'a> {
    id: String,
    state: String,
    /// As the page sees it.
    view: Deal<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoredFile {
    id: String,
    state: String,
    manifest: String,
    /// The data CIDs of its pieces.
    data: Vec<String>,
    files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<RestoredKeys>,
}

#[derive(Serialize)]
struct RestoredKeys {
    shown: String,
    files: Vec<Opening>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opening {
    state: String,
    size: u64,
    plain_size: u64,
}

fn secret(digits: &str) -> Result<Zeroizing<[u8; 32]>, String> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| words("a key is not 64 hexadecimal digits"))?;
    Ok(bytes)
}

pub(crate) fn pack(json: &[u8]) -> Result<Vec<u8>, String> {
    let book: Book<String, Kept> = serde_json::from_slice(json).map_err(words)?;
    let (mut networks, mut signers) = (Vec::new(), Vec::new());
    for network in book.networks {
        // An earlier version may have kept them.
        let deals = network.deals.iter().map(|state| former::read(state));
        let book = NetworkBook {
            older_key: network.older_key.as_deref().map(secret).transpose()?,
            deals: deals.collect::<Result<_, _>>().map_err(words)?,
            files: network.files.into_iter().map(packed).collect::<Result<_, _>>()?,
            genesis: network.genesis,
        };
        match network.signer {
            None => networks.push(book),
            Some(signer) => signers.push(SignerBook { signer, book }),
        }
    }
    let root = root(secret(&book.root)?.as_slice())?;
    let backup = Backup::new(book.made_ms as u64, &root, networks).with_signers(signers);
    Ok(backup.to_bytes().map_err(words)?.to_vec())
}

fn packed(kept: Kept) -> Result<FileEntry, String> {
    let sealed = kept.shown.map(|shown| {
        let shown = Manifest::read(&hex::decode(shown).map_err(words)?).map_err(words)?;
        let keys = kept
            .keys
            .iter()
            .map(|state| serde_json::from_str::<EncryptedFile>(state));
        Ok::<_, String>(sealdrop_backup::Sealed {
            names: TrueNames::of(&shown).to_bytes().map_err(words)?,
            readers: Vec::new(),
            keys: keys.collect::<Result<_, _>>().map_err(words)?,
        })
    });
    Ok(FileEntry {
        record: serde_json::from_str(&kept.state).map_err(words)?,
        manifest: hex::decode(kept.manifest).map_err(words)?,
        sealed: sealed.transpose()?,
    })
}

pub(crate) fn unpack(json: &[u8], now_ms: u64) -> Result<Vec<u8>, String> {
    let backup = Backup::restore(json, now_ms).map_err(words)?;
    let of_signers = backup.signers.iter().map(|found| (Some(&found.signer), &found.book));
    let books = backup.networks.iter().map(|network| (None, network)).chain(of_signers);
    let networks = books.map(|(signer, network)| {
        let deals = network.deals.iter().map(|deal| {
            let state = serde_json::to_string(deal).map_err(words)?;
            let id = deal.id.clone();
            let view = Deal::of(deal, &deal.file.name, &deal.file.kind, false);
            Ok::<_, String>(RestoredDeal { id, state, view })
        });
        Ok(Network {
            genesis: network.genesis.clone(),
            signer: signer.cloned(),
            older_key: network.older_key.as_ref().map(|key| hex::encode(key.as_slice())),
            deals: deals.collect::<Result<_, _>>()?,
            files: network.files.iter().map(unpacked).collect::<Result<_, _>>()?,
        })
    });
    let book = Book {
        made_ms: backup.made_ms as f64,
        root: hex::encode(backup.root().to_bytes()),
        networks: networks.collect::<Result<_, String>>()?,
    };
    serde_json::to_vec(&book).map_err(words)
}

fn unpacked(file: &FileEntry) -> Result<RestoredFile, String> {
    let manifest = file.manifest().map_err(words)?;
    let pieces = manifest.files().iter().flat_map(|file| file.pieces());
    let opening = |key: &EncryptedFile| {
        Ok::<_, String>(Opening {
            state: serde_json::to_string(key).map_err(words)?,
            size: key.ciphertext_len(),
            plain_size: key.plain_len(),
        })
    };
    let sealed = file.sealed.as_ref().map(|sealed| {
        Ok::<_, String>(RestoredKeys {
            shown: hex::encode(file.shown().map_err(words)?.to_bytes().map_err(words)?),
            files: sealed.keys.iter().map(opening).collect::<Result<_, _>>()?,
        })
    });
    Ok(RestoredFile {
        id: file.record.id.clone(),
        state: serde_json::to_string(&file.record).map_err(words)?,
        manifest: hex::encode(&file.manifest),
        data: pieces.map(|piece| piece.data_cid.to_string()).collect(),
        files: manifest.files().len(),
        sealed: sealed.transpose()?,
    })
}

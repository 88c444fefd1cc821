//! Manifests as the page's workers make and open them, those of encrypted files among them.
//!
//! Called by the network worker for what is stored as it is, and by `js/key-worker.ts` where keys or a passphrase are at hand, which may take
//! seconds.

use super::preparing::{self, Hashed};
use super::{object, read_manifest};
use crate::client::from_js;
use crate::encryption::NewEncryption;
use crate::error::ClientError;
use crate::record::to_js;
use cid::Cid;
use js_sys::{Array, Uint8Array};
use sealdrop_encryption::{decrypt_bytes, encrypt_bytes, Identity, Keys, Passphrase};
use serde::Serialize;
use shared::file::{EncryptedNames, Manifest, ManifestError, TrueNames, MAX_MANIFEST_BYTES};
use wasm_bindgen::prelude::*;

/// The manifest of files that were hashed, its CID, and the paths in its order. With `to` it hides the names from all others, and `shown` is
/// the same under them.
#[wasm_bindgen(
    js_name = makeManifest,
    unchecked_return_type = "import('../../js/protocol.js').MadeManifest"
)]
pub fn make_manifest(hashed: JsValue, to: JsValue) -> Result<JsValue, JsValue> {
    let hashed: Hashed = from_js("the files", hashed)?;
    let shown = preparing::manifest(hashed)?;
    let to: Option<NewEncryption> = match to.is_undefined() {
        true => None,
        false => Some(from_js("the encryption", to)?),
    };
    let hidden = to.map(|to| hidden(&shown, to)).transpose()?;
    let bytes = written(hidden.as_ref().unwrap_or(&shown))?;
    let paths = shown.files().iter().map(|file| JsValue::from_str(file.path().as_str()));
    let open: JsValue = match hidden.is_some() {
        true => Uint8Array::from(written(&shown)?.as_slice()).into(),
        false => JsValue::UNDEFINED,
    };
    Ok(object([
        ("id", JsValue::from_str(&Manifest::cid_of(&bytes).to_string())),
        ("name", JsValue::from_str(shown.name().as_str())),
        ("bytes", Uint8Array::from(bytes.as_slice()).into()),
        ("paths", paths.collect::<Array>().into()),
        ("shown", open),
    ])?)
}

fn written(manifest: &Manifest) -> Result<Vec<u8>, ClientError> {
    manifest.to_bytes().map_err(refused)
}

fn refused(error: ManifestError) -> ClientError {
    ClientError::Argument {
        what: "the files",
        reason: error.to_string(),
    }
}

/// The manifest with its names encrypted.
fn hidden(shown: &Manifest, to: NewEncryption) -> Result<Manifest, ClientError> {
    let names = TrueNames::of(shown).to_bytes().map_err(refused)?;
    let names = to.with(|to| encrypt_bytes(to, &names))?;
    let names = EncryptedNames::new(names).map_err(refused)?;
    shown.clone().hiding(names).map_err(refused)
}

/// What is in a manifest.
#[derive(Serialize)]
struct Opened {
    name: String,
    folder: bool,
    encrypted: bool,
    files: Vec<OpenedEntry>,
}

#[derive(Serialize)]
struct OpenedEntry {
    path: String,
    /// What the manifest calls it.
    stored: String,
    /// Bytes as they are stored.
    size: u64,
    root: String,
}

/// What is in anybody's manifest, under its own names as far as `key` opens them: a passphrase, or identities.
#[wasm_bindgen(js_name = openManifest, unchecked_return_type = "import('../../js/protocol.js').OpenedManifest")]
pub fn open_manifest(manifest: &[u8], key: Option<String>, by_passphrase: bool) -> Result<JsValue, JsValue> {
    let stored = read_manifest(manifest)?;
    let shown = match (stored.encrypted_names(), key) {
        (Some(names), Some(key)) => stored
            .under(names_of(names, key, by_passphrase)?)
            .map_err(|e| ClientError::Decryption(format!("the names are damaged: {e}")))?,
        _ => stored.clone(),
    };
    let files = shown
        .files()
        .iter()
        .zip(stored.files())
        .map(|(shown, stored)| OpenedEntry {
            path: shown.path().as_str().to_owned(),
            stored: stored.path().as_str().to_owned(),
            size: stored.size(),
            root: stored.root().to_string(),
        });
    Ok(to_js(&Opened {
        name: shown.name().as_str().to_owned(),
        folder: stored.is_folder(),
        encrypted: stored.encrypted_names().is_some(),
        files: files.collect(),
    })?)
}

fn names_of(names: &EncryptedNames, key: String, by_passphrase: bool) -> Result<TrueNames, ClientError> {
    let bytes = match by_passphrase {
        true => {
            let passphrase = Passphrase::new(key).map_err(not_opened)?;
            decrypt_bytes(Keys::Passphrase(&passphrase), names.as_bytes())
        }
        false => {
            let identities = Identity::read_all(&key).map_err(not_opened)?;
            decrypt_bytes(Keys::Identities(&identities), names.as_bytes())
        }
    };
    TrueNames::read(&bytes.map_err(not_opened)?).map_err(|e| ClientError::Decryption(e.to_string()))
}

fn not_opened(error: impl std::fmt::Display) -> ClientError {
    ClientError::Decryption(error.to_string())
}

/// How many bytes the manifest of this CID may have, by which miners give it; fails where it is not the CID of one.
#[wasm_bindgen(js_name = manifestBytes)]
pub fn manifest_bytes(id: &str) -> Result<f64, JsValue> {
    let wrong = |reason: String| ClientError::Argument {
        what: "the file's id",
        reason,
    };
    let cid = Cid::try_from(id).map_err(|e| wrong(e.to_string()))?;
    match Manifest::is_id(&cid) {
        true => Ok(MAX_MANIFEST_BYTES as f64),
        false => Err(wrong(format!("{id} is not that of a list of files, and not in this browser")).into()),
    }
}

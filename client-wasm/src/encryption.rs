//! Keys of files that are encrypted before they are hashed: made here, where there is randomness, and bound to what they encrypted.
//!
//! Called by `js/key-worker.ts`, which ends after a passphrase (it takes 256 MiB, and a module gives no memory back), and by the network
//! worker, which keeps what is made before a byte is hashed and again before one leaves. The bytes themselves are encrypted by
//! `client-wasm/age`, in the workers that read them.

use crate::client::{from_js, nodes_of};
use crate::error::ClientError;
use crate::files::object;
use crate::json;
use cid::Cid;
use js_sys::{Array, Uint8Array};
use sealdrop_encryption::{
    EncryptError, EncryptedFile, EncryptionKey, Identity, Passphrase, Recipient, Recipients, WorkFactor,
};
use serde::Deserialize;
use shared::piece::node::{digest_of, parse_node, RAW};
use std::fmt::Display;
use wasm_bindgen::prelude::*;

/// Files that one passphrase encrypts at a time, at most: each takes a second and a half to stretch it, and as long to open.
const MOST_BY_PASSPHRASE: usize = 16;

/// To whom something is encrypted, and files that are.
#[derive(Deserialize)]
pub struct NewEncryption {
    #[serde(default)]
    recipients: Vec<String>,
    #[serde(default)]
    passphrase: Option<String>,
    /// Bytes of each file.
    #[serde(default)]
    sizes: Vec<f64>,
}

/// What may be said of whom to encrypt to: nothing of it is repeated, it may be secret.
enum To {
    Recipients(Vec<Recipient>),
    Passphrase(Passphrase),
}

impl NewEncryption {
    fn to(self) -> Result<To, ClientError> {
        match (self.passphrase, self.recipients) {
            (Some(_), recipients) if !recipients.is_empty() => Err(argument(
                "a passphrase is alone in the format; leave it or the recipients out",
            )),
            (Some(_), _) if self.sizes.len() > MOST_BY_PASSPHRASE => Err(argument(format!(
                "{} files are more than {MOST_BY_PASSPHRASE}, and each takes seconds with a passphrase; use a key, or store them as one archive",
                self.sizes.len()
            ))),
            (Some(passphrase), _) => Ok(To::Passphrase(Passphrase::new(passphrase).map_err(argument)?)),
            (None, recipients) => {
                let recipients = recipients.iter().map(|text| text.parse::<Recipient>().map_err(argument));
                Ok(To::Recipients(recipients.collect::<Result<_, _>>()?))
            }
        }
    }

    /// Does something with those to whom it is to be encrypted.
    pub fn with<T>(self, work: impl FnOnce(&Recipients<'_>) -> Result<T, EncryptError>) -> Result<T, ClientError> {
        let to = self.to()?;
        let done = match &to {
            To::Recipients(recipients) => work(&Recipients::X25519(recipients)),
            To::Passphrase(passphrase) => work(&Recipients::Passphrase(passphrase, WorkFactor::default())),
        };
        done.map_err(argument)
    }
}

fn argument(error: impl Display) -> ClientError {
    ClientError::Argument {
        what: "the encryption",
        reason: error.to_string(),
    }
}

/// A fresh key: `identity`, which is secret and for safekeeping, and the `recipient` that goes with it.
#[wasm_bindgen(js_name = newIdentity, unchecked_return_type = "import('../../js/types.js').NewKey")]
pub fn new_identity() -> Result<JsValue, JsValue> {
    let identity = Identity::generate().map_err(argument)?;
    Ok(object([
        ("identity", JsValue::from_str(&identity.to_secret_text())),
        ("recipient", JsValue::from_str(&identity.recipient().to_string())),
    ])?)
}

/// A key for each file, used up by it: `state` is to be kept before the file is hashed, `size` are the bytes of the ciphertext.
#[wasm_bindgen(js_name = newEncryption, unchecked_return_type = "{ state: string; size: number }[]")]
pub fn new_encryption(request: JsValue) -> Result<JsValue, JsValue> {
    let request: NewEncryption = from_js("the encryption", request)?;
    let sizes = request.sizes.clone();
    let made = request.with(|to| {
        let made = sizes.iter().map(|size| {
            let key = EncryptionKey::generate(to)?;
            EncryptedFile::new(key, *size as u64)
        });
        made.collect::<Result<Vec<_>, _>>()
    })?;
    let made = made.iter().map(|file| {
        let size = JsValue::from_f64(file.ciphertext_len() as f64);
        object([("state", JsValue::from_str(&text_of(file)?)), ("size", size)])
    });
    Ok(made.collect::<Result<Array, _>>()?.into())
}

/// The same state with the root that its ciphertext was found to have; refuses another one than before.
#[wasm_bindgen(js_name = bindEncryption)]
pub fn bind_encryption(state: &str, root: &str) -> Result<String, JsValue> {
    let mut file = read(state)?;
    let root = Cid::try_from(root).map_err(argument)?;
    file.bind(root)
        .map_err(|error| ClientError::Changed(error.to_string()))?;
    Ok(text_of(&file)?)
}

/// The SHA-256 of each leaf of a piece, 32 bytes each, from its nodes: what its ciphertext is compared with before it leaves.
#[wasm_bindgen(js_name = leafDigests)]
pub fn leaf_digests(
    data_cid: &str,
    #[wasm_bindgen(unchecked_param_type = "readonly import('../../js/types.js').PieceNode[]")] nodes: Array,
) -> Result<Uint8Array, JsValue> {
    let root = Cid::try_from(data_cid).map_err(argument)?;
    let nodes = nodes_of(&nodes)?;
    let mut digests = Vec::new();
    // From the root down, so that nothing counts that does not belong to this piece.
    let mut open = Vec::from([root]);
    while let Some(cid) = open.pop() {
        if let Some(digest) = digest_of(&cid, RAW) {
            digests.extend(digest);
            continue;
        }
        let node = nodes
            .get(&cid)
            .ok_or_else(|| argument("a node of the piece is missing"))?;
        let links = parse_node(node).map_err(argument)?;
        open.extend(links.iter().rev().map(|link| link.cid));
    }
    Ok(Uint8Array::from(digests.as_slice()))
}

fn read(state: &str) -> Result<EncryptedFile, ClientError> {
    json::read(state).map_err(|e| ClientError::Storage(format!("a kept encryption cannot be read: {e}")))
}

fn text_of(file: &EncryptedFile) -> Result<String, ClientError> {
    json::write(file).map_err(|e| ClientError::Internal(format!("an encryption cannot be written: {e}")))
}

//! Who signs for a client: its own key, or a signer elsewhere and the session key that its channels name
//! (`shared::chain::session`).
//!
//! A signer elsewhere is asked for the messages that open channels, once for each; all else the session key signs, which this
//! module derives from the browser's root. What comes back is checked before it is kept or sent.

use crate::account::{network_of, root_of, signer_of};
use crate::error::ClientError;
use crate::host::Host;
use crate::json;
use cid::Cid;
use js_sys::{Reflect, Uint8Array};
use shared::chain::{Address, MeteredMessage, Protocol, SecretKey, Signature, SignedMessage, TypedData};
use shared::ports::MessagePurpose;
use shared::wire::encode;
use wasm_bindgen::{JsCast, JsValue};

/// What wallets add to the last byte of a signature; others may or may not.
const WALLET_V: u8 = 27;
/// The codes of a signer's problems that stay: its user said no, or it cannot sign this.
const FINAL: [&str; 2] = ["signer-refused", "unsupported"];

/// An account, and what signs for it.
#[derive(Clone)]
pub struct Signing {
    pub payer: Address,
    /// The payer's own, or the session key.
    pub key: SecretKey,
    /// The genesis id of the network that a signer elsewhere signs for.
    outside: Option<Cid>,
}

impl Signing {
    /// The account of this key.
    pub fn own(key: SecretKey) -> Self {
        Self {
            payer: key.address(),
            key,
            outside: None,
        }
    }

    /// An account whose key is elsewhere.
    pub fn outside(root: &[u8], network: &str, payer: &str) -> Result<Self, ClientError> {
        let (network, payer) = (network_of(network)?, signer_of(payer)?);
        Ok(Self {
            key: root_of(root)?.session(&network, &payer),
            payer,
            outside: Some(network),
        })
    }

    /// Whether the signer elsewhere is asked for a message of this purpose, which may take as long as a person thinks.
    pub fn asks(&self, purpose: MessagePurpose) -> bool {
        self.outside.is_some() && matches!(purpose, MessagePurpose::OpenChannel { .. })
    }

    /// Signs a message of the payer. What a session key cannot sign, the signer is asked for.
    pub async fn sign(
        &self,
        metered: MeteredMessage,
        purpose: MessagePurpose,
        host: &Host,
    ) -> Result<SignedMessage, ClientError> {
        match &self.outside {
            Some(network) if self.asks(purpose) => ask(metered, network, host).await,
            _ => Ok(metered.sign(&self.key)),
        }
    }
}

async fn ask(metered: MeteredMessage, network: &Cid, host: &Host) -> Result<SignedMessage, ClientError> {
    let is_wallet = metered.message.from.protocol() == Protocol::Delegated;
    let typed = is_wallet.then(|| json::write(&TypedData::of(&metered, network)));
    let typed = typed.transpose().map_err(|e| ClientError::Internal(e.to_string()))?;
    let bytes = Uint8Array::from(encode(&metered).as_slice());
    let answer = host
        .sign(bytes, typed.as_deref())
        .await
        .map_err(|thrown| refusal(&thrown))?;
    // Whoever signed has been asked once; the next signature would be as wrong.
    let wrong = |reason: &str| ClientError::SignerRefused(reason.into());
    let answer = answer.dyn_into::<Uint8Array>().map_err(|_| wrong("it gave no bytes"))?;
    // Its length first: the bytes are a stranger's.
    if answer.length() != 65 {
        return Err(wrong("a signature has 65 bytes"));
    }
    let mut signature = Signature([0; 65]);
    answer.copy_to(&mut signature.0);
    let v = signature.0[64] % WALLET_V;
    signature.0[64] = if is_wallet { v.saturating_add(WALLET_V) } else { v };
    let signed = SignedMessage { metered, signature };
    match signed.is_signed_on(network) {
        true => Ok(signed),
        false => Err(wrong("its signature is not the account's, or of something else")),
    }
}

/// What a signer threw.
fn refusal(thrown: &JsValue) -> ClientError {
    let text = |key: &str| {
        Reflect::get(thrown, &JsValue::from_str(key))
            .ok()
            .and_then(|value| value.as_string())
    };
    let reason = text("message").unwrap_or_else(|| ClientError::text_of(thrown));
    match text("code") {
        Some(code) if FINAL.contains(&code.as_str()) => ClientError::SignerRefused(reason),
        _ => ClientError::SignerFailed(reason),
    }
}

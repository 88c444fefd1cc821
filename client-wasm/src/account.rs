//! The account of this browser on a network: derived from the browser's root, so that what it signs counts there alone
//! (`shared::chain::root_key`, finding B3).
//!
//! Called by the network worker before there is a client; a browser that an earlier version left a key in goes on with that on
//! the networks that it was used with (`js/store.ts`).

use crate::error::ClientError;
use crate::host::Host;
use crate::rpc::Rpc;
use cid::Cid;
use shared::chain::address::AddressError;
use shared::chain::{Address, RootKey};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The account's number: a browser has one on each network.
const NUMBER: u32 = 0;

/// The network that the chain at `chain` is, by its genesis id.
#[wasm_bindgen(js_name = networkId)]
pub async fn network_id(chain: String, host: Host) -> Result<String, JsValue> {
    Ok(Rpc::new(&chain, Rc::new(host)).network().await?.genesis)
}

/// The secret key of the account that a root of 32 bytes has on the network with the genesis id `network`.
#[wasm_bindgen(js_name = accountKey)]
pub fn account_key(root: &[u8], network: &str) -> Result<Vec<u8>, JsValue> {
    let key = root_of(root)?.account(&network_of(network)?, NUMBER);
    Ok(key.to_bytes().to_vec())
}

/// The address of an account whose key is with a signer elsewhere, as the chain writes it: `0x…` of an Ethereum wallet becomes
/// `t410f…`.
#[wasm_bindgen(js_name = signerAddress)]
pub fn signer_address(text: &str) -> Result<String, JsValue> {
    Ok(signer_of(text)?.to_string())
}

pub(crate) fn signer_of(text: &str) -> Result<Address, ClientError> {
    let bad = |reason: &str| ClientError::Argument {
        what: "the signer's address",
        reason: reason.into(),
    };
    let address = match text.strip_prefix("0x") {
        Some(digits) => {
            let mut bytes = [0; 20];
            hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad("0x is followed by 40 hexadecimal digits"))?;
            Address::ethereum(&bytes).ok_or_else(|| bad("it stands for a numbered actor, which has no key"))?
        }
        None => text.parse().map_err(|e: AddressError| bad(&e.to_string()))?,
    };
    match address.can_sign() {
        true => Ok(address),
        false => Err(bad("it is no account with a key")),
    }
}

pub(crate) fn root_of(root: &[u8]) -> Result<RootKey, ClientError> {
    let bytes: [u8; 32] = root.try_into().map_err(|_| ClientError::Argument {
        what: "the root key",
        reason: format!("it has {} bytes, not 32", root.len()),
    })?;
    Ok(RootKey::from_bytes(bytes))
}

pub(crate) fn network_of(text: &str) -> Result<Cid, ClientError> {
    text.parse().map_err(|e: cid::Error| ClientError::Argument {
        what: "the network's genesis id",
        reason: e.to_string(),
    })
}

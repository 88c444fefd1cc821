//! The account of this browser on a network: derived from the browser's root, so that what it signs counts there alone
//! (`shared::chain::root_key`, finding B3).
//!
//! Called by the network worker before there is a client; a browser that an earlier version left a key in goes on with that on
//! the networks that it was used with (`js/store.ts`).

use crate::error::ClientError;
use crate::host::Host;
use crate::rpc::Rpc;
use cid::Cid;
use shared::chain::RootKey;
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
    let bad = |what, reason: String| ClientError::Argument { what, reason };
    let root: [u8; 32] = root
        .try_into()
        .map_err(|_| bad("the root key", format!("it has {} bytes, not 32", root.len())))?;
    let network: Cid = network
        .parse()
        .map_err(|e: cid::Error| bad("the network's genesis id", e.to_string()))?;
    let key = RootKey::from_bytes(root).account(&network, NUMBER);
    Ok(key.to_bytes().to_vec())
}

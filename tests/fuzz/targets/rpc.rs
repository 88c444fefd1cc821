//! Bodies of the chain's JSON-RPC: calls as the server reads them, and answers as the clients do.
#![no_main]

use serde_json::Value;
use shared::chain::rpc::{AnyMethod, Response};
use shared::chain::view::{ChannelView, HeadView, MinerView, NetworkView, ReceiptView};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(call) = serde_json::from_slice::<Value>(input) {
        if let Some(name) = call["method"].as_str() {
            let _ = AnyMethod::parse(name, &call["params"]);
        }
    }
    let _ = serde_json::from_slice::<Response<HeadView>>(input);
    let _ = serde_json::from_slice::<Response<MinerView>>(input);
    let _ = serde_json::from_slice::<Response<ChannelView>>(input);
    let _ = serde_json::from_slice::<Response<ReceiptView>>(input);
    let _ = serde_json::from_slice::<Response<NetworkView>>(input);
});

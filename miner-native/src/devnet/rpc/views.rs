//! The JSON of the RPC that [`shared::chain::view`] has no type for.

use crate::devnet::node::Snapshot;
use crate::devnet::store::Outcome;
use serde::{Deserialize, Serialize};
use shared::chain::view::{HeadView, ReceiptView};
use shared::chain::{Address, AttoFil, Epoch, SignedMessage};

/// The exit code in the receipt of a message that was dropped from the pool and is in no block: above every actor's
/// codes (spec §5). Nothing of it happened, and its nonce is free.
pub const DROPPED_EXIT_CODE: u64 = 1000;

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    pub to: Address,
    pub from: Address,
    pub nonce: u64,
    pub value: AttoFil,
    pub method: String,
    /// Hexadecimal, one text a parameter.
    pub params: Vec<String>,
    /// Height of the block that it is in; `None` while it waits.
    pub height: Option<Epoch>,
    /// `None` while it waits.
    pub receipt: Option<ReceiptView>,
}

/// What the faucet gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaucetView {
    /// The message that brings the money.
    pub message: Option<String>,
    pub amount: AttoFil,
}

pub(in crate::devnet) fn head(snapshot: &Snapshot) -> HeadView {
    let block = &snapshot.block;
    HeadView {
        height: block.height,
        block: snapshot.cid.to_string(),
        time_ms: block.time_ms,
    }
}

pub(super) fn receipt(message: String, outcome: &Outcome) -> ReceiptView {
    match outcome {
        Outcome::Mined { height, receipt } => ReceiptView::of(message, *height, receipt),
        Outcome::Dropped { height, reason } => ReceiptView {
            message,
            height: *height,
            exit_code: DROPPED_EXIT_CODE,
            error: format!("dropped: {reason}"),
            returns: Vec::new(),
            gas_cost: AttoFil::ZERO,
        },
    }
}

pub(in crate::devnet) fn message(cid: String, signed: &SignedMessage, outcome: Option<&Outcome>) -> MessageView {
    let message = signed.message();
    let height = outcome.and_then(|outcome| match outcome {
        Outcome::Mined { height, .. } => Some(*height),
        Outcome::Dropped { .. } => None,
    });
    MessageView {
        to: message.to.clone(),
        from: message.from.clone(),
        nonce: message.nonce,
        value: message.value,
        method: message.method.clone(),
        params: message.params.iter().map(hex::encode).collect(),
        height,
        receipt: outcome.map(|outcome| receipt(cid, outcome)),
    }
}

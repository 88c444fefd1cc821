//! The JSON of the RPC that [`shared::chain::view`] has no type for.

use crate::devnet::block::Block;
use crate::devnet::node::Snapshot;
use crate::devnet::pool::{Waiting, MAX_WAIT};
use crate::devnet::store::Outcome;
use serde::{Deserialize, Serialize};
use shared::chain::view::{HeadView, ReceiptView};
use shared::chain::{
    exit_text, kind_of, Address, AttoFil, ChainState, Epoch, Kind, Preview, SignedMessage, UNKNOWN_EXIT,
};

pub use shared::ports::chain::DROPPED_EXIT_CODE;

/// Most entries of one list; who needs more asks again from where it ends.
pub const MAX_LISTED: usize = 100;

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    /// The message's id.
    pub message: String,
    pub to: Address,
    pub from: Address,
    pub nonce: u64,
    pub value: AttoFil,
    pub method: String,
    /// Hexadecimal, one text a parameter.
    pub params: Vec<String>,
    /// attoFIL offered for a unit of gas.
    pub gas_price: AttoFil,
    pub gas_limit: u64,
    /// Height of the block that it is in; `None` while it waits.
    pub height: Option<Epoch>,
    /// `None` while it waits.
    pub receipt: Option<ReceiptView>,
    /// What the receipt's exit code means to that kind of actor; `None` for 0 and for codes without a meaning of their own.
    #[serde(default)]
    pub exit_text: Option<String>,
}

/// What a query returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryView {
    /// ABI values, hexadecimal.
    pub returns: Vec<String>,
}

/// What a call would do if it were sent now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    /// Units of gas that it would use.
    pub gas: u64,
    /// 0 = it would be applied.
    pub exit_code: u64,
    /// Why, when the exit code is not 0.
    pub error: String,
    /// See [`MessageView::exit_text`].
    #[serde(default)]
    pub exit_text: Option<String>,
    /// ABI values, hexadecimal.
    pub returns: Vec<String>,
}

/// What an exit code means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitTextView {
    /// `None` for 0; [`UNKNOWN_EXIT`] for a code that means nothing to that kind of actor.
    pub text: Option<String>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    pub height: Epoch,
    /// The block's id.
    pub block: String,
    /// The block before; of block 0 the genesis record's id.
    pub parent: String,
    /// Hexadecimal.
    pub ticket: String,
    /// Ids in the order they were applied.
    pub messages: Vec<String>,
    /// Digest of the state after it, hexadecimal.
    pub state: String,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSummary {
    /// The message's id.
    pub message: String,
    pub to: Address,
    pub from: Address,
    pub nonce: u64,
    pub value: AttoFil,
    /// Empty when it only moves value.
    pub method: String,
    /// attoFIL offered for a unit of gas.
    pub gas_price: AttoFil,
    pub gas_limit: u64,
    /// Height of the block that it is in; `None` while it waits.
    pub height: Option<Epoch>,
    /// `None` while it waits.
    pub exit_code: Option<u64>,
    /// See [`MessageView::exit_text`].
    #[serde(default)]
    pub exit_text: Option<String>,
}

/// A message that waits for a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PooledView {
    #[serde(flatten)]
    pub message: MessageSummary,
    /// Height at which it came.
    pub since: Epoch,
    /// Height at which it is dropped if it is in no block by then.
    pub expires: Epoch,
    /// Bytes of the signed message.
    pub size: u64,
}

/// The messages that wait for a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolView {
    /// All that wait, of every sender.
    pub count: u64,
    /// Bytes of all that wait.
    pub bytes: u64,
    /// By sender and nonce, at most [`MAX_LISTED`].
    pub messages: Vec<PooledView>,
}

/// Where all the money is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupplyView {
    /// All there is; it never changes.
    pub total: AttoFil,
    /// Gone for good (t099).
    pub burnt: AttoFil,
    /// Never given out, and gas (t01).
    pub treasury: AttoFil,
    /// What the faucet may still give.
    pub faucet: AttoFil,
    /// In payment channels.
    pub channels: AttoFil,
    /// In miners, collateral included.
    pub miners: AttoFil,
    /// The part of the miners' money that their sectors lock up.
    pub collateral: AttoFil,
    /// Everybody else's.
    pub accounts: AttoFil,
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

/// What an exit code of the actor at `to` means, where it has a meaning of its own.
pub(super) fn meaning(state: &ChainState, to: &Address, exit_code: u64) -> Option<String> {
    if exit_code == DROPPED_EXIT_CODE {
        return Some("the pool dropped the message: it is in no block".to_owned());
    }
    // An actor that is not there has no codes of its own, and neither has an account.
    let kind = kind_of(state, to).unwrap_or(Kind::Account);
    exit_text(kind, exit_code).map(ToOwned::to_owned)
}

pub(super) fn exit_text_of(state: &ChainState, to: &Address, exit_code: u64) -> ExitTextView {
    let known = meaning(state, to, exit_code);
    let text = known.or_else(|| (exit_code != 0).then(|| UNKNOWN_EXIT.to_owned()));
    ExitTextView { text }
}

fn exit_code(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Mined { receipt, .. } => receipt.exit_code,
        Outcome::Dropped { .. } => DROPPED_EXIT_CODE,
    }
}

pub(in crate::devnet) fn message(
    state: &ChainState,
    cid: String,
    signed: &SignedMessage,
    outcome: Option<&Outcome>,
) -> MessageView {
    let message = signed.message();
    MessageView {
        message: cid.clone(),
        to: message.to.clone(),
        from: message.from.clone(),
        nonce: message.nonce,
        value: message.value,
        method: message.method.clone(),
        params: message.params.iter().map(hex::encode).collect(),
        gas_price: signed.metered.gas_price,
        gas_limit: signed.metered.gas_limit,
        height: outcome.and_then(Outcome::mined_at),
        receipt: outcome.map(|outcome| receipt(cid, outcome)),
        exit_text: outcome.and_then(|outcome| meaning(state, &message.to, exit_code(outcome))),
    }
}

pub(super) fn summary(
    state: &ChainState,
    cid: String,
    signed: &SignedMessage,
    outcome: Option<&Outcome>,
) -> MessageSummary {
    let message = signed.message();
    MessageSummary {
        message: cid,
        to: message.to.clone(),
        from: message.from.clone(),
        nonce: message.nonce,
        value: message.value,
        method: message.method.clone(),
        gas_price: signed.metered.gas_price,
        gas_limit: signed.metered.gas_limit,
        height: outcome.and_then(Outcome::mined_at),
        exit_code: outcome.map(exit_code),
        exit_text: outcome.and_then(|outcome| meaning(state, &message.to, exit_code(outcome))),
    }
}

pub(super) fn block(block: &Block) -> BlockView {
    BlockView {
        height: block.height,
        block: block.cid().to_string(),
        parent: block.parent.to_string(),
        ticket: hex::encode(&block.ticket.0),
        messages: block.messages.iter().map(ToString::to_string).collect(),
        state: hex::encode(block.state),
        time_ms: block.time_ms,
    }
}

pub(super) fn pooled(state: &ChainState, waiting: &Waiting) -> PooledView {
    PooledView {
        message: summary(state, waiting.cid.to_string(), &waiting.message, None),
        since: waiting.since,
        expires: waiting.since.plus(MAX_WAIT),
        size: waiting.size as u64,
    }
}

pub(super) fn preview(state: &ChainState, to: &Address, preview: &Preview) -> PreviewView {
    PreviewView {
        exit_text: meaning(state, to, preview.exit_code),
        gas: preview.gas_used,
        exit_code: preview.exit_code,
        error: preview.error.clone(),
        returns: preview.returns.iter().map(hex::encode).collect(),
    }
}

pub(in crate::devnet) fn supply(state: &ChainState, faucet: &Address) -> SupplyView {
    let sum =
        |amounts: &mut dyn Iterator<Item = AttoFil>| AttoFil(amounts.fold(0, |sum: u128, a| sum.saturating_add(a.0)));
    let id = |number| state.balance(&Address::id(number));
    let (burnt, treasury) = (id(Address::BURNT_FUNDS), id(Address::NETWORK_TREASURY));
    let given = state.balance(faucet);
    let all = sum(&mut state.accounts.values().map(|account| account.balance));
    let apart = burnt.0.saturating_add(treasury.0).saturating_add(given.0);
    SupplyView {
        total: state.supply,
        burnt,
        treasury,
        faucet: given,
        channels: state.broker.balance,
        miners: sum(&mut state.miners.values().map(|miner| miner.balance)),
        collateral: sum(&mut state.miners.values().map(|miner| miner.active_collateral)),
        accounts: AttoFil(all.0.saturating_sub(apart)),
    }
}

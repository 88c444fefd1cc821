//! Results of the chain's JSON-RPC that [`crate::chain::view`] has no type for: messages, blocks, the pool and the money.

use crate::chain::view::ReceiptView;
use crate::chain::{Address, AttoFil, Epoch};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most entries of one list; who needs more asks again from where it ends.
pub const MAX_LISTED: usize = 100;

/// A message that the chain has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// The message's id.
    pub message: String,
    /// Whether the chain had it before.
    pub known: bool,
}

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QueryView {
    /// ABI values, hexadecimal.
    pub returns: Vec<String>,
}

/// What a call would do if it were sent now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExitTextView {
    /// `None` for 0; [`crate::chain::UNKNOWN_EXIT`] for a code that means nothing to that kind of actor.
    pub text: Option<String>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FaucetView {
    /// The message that brings the money.
    pub message: Option<String>,
    pub amount: AttoFil,
}

//! What the chain's methods return, read from a receipt or from the answer to a query.
//!
//! Called by both hosts; the answers come from a chain endpoint and are checked like everything from outside.

use crate::chain::abi::{Abi, Channels, CommitmentsMap, Integer, MinerPoStStates, ProofsMode, SectorNumber};
use crate::chain::actors::miner::PostState;
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, BytesAmount, ChannelId, Epoch};
use crate::chain::message::Receipt;
use crate::chain::state::Ask;
use crate::chain::voucher::PaymentVoucher;
use crate::wire::cbor::{Bytes, DecodeError};
use alloc::string::String;
use alloc::vec::Vec;

/// Why a receipt does not hold what its message was to return.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    #[error("the message failed with exit code {code}: {text}")]
    Failed { code: u64, text: String },
    #[error("there is no return value")]
    Missing,
    #[error("there are {0} return values, more than the method has")]
    TooMany(usize),
    #[error("the return value is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// What a message returned, one byte string a value.
pub fn of_receipt(receipt: &Receipt) -> Result<Vec<Vec<u8>>, ReturnError> {
    if !receipt.is_ok() {
        return Err(ReturnError::Failed {
            code: receipt.exit_code,
            text: receipt.error.clone(),
        });
    }
    Ok(receipt.returns.iter().map(|value| value.0.clone()).collect())
}

/// The only return value.
fn one<T: Abi>(returns: &[Vec<u8>]) -> Result<T, ReturnError> {
    match returns {
        [] => Err(ReturnError::Missing),
        [value] => Ok(T::from_abi(value)?),
        more => Err(ReturnError::TooMany(more.len())),
    }
}

/// The id of the channel that a [`super::create_channel`] opened.
pub fn channel_id(receipt: &Receipt) -> Result<ChannelId, ReturnError> {
    one(&of_receipt(receipt)?)
}

/// The address of the miner that a [`super::create_storage_miner`] registered.
pub fn miner_address(receipt: &Receipt) -> Result<Address, ReturnError> {
    one(&of_receipt(receipt)?)
}

/// The id of the ask that an [`super::add_ask`] made.
pub fn ask_id(receipt: &Receipt) -> Result<u64, ReturnError> {
    one::<Integer>(&of_receipt(receipt)?).map(|id| id.0)
}

/// An address: [`super::owner`], [`super::worker`].
pub fn address(returns: &[Vec<u8>]) -> Result<Address, ReturnError> {
    one(returns)
}

/// Raw bytes: [`super::peer_id`].
pub fn bytes(returns: &[Vec<u8>]) -> Result<Vec<u8>, ReturnError> {
    one::<Bytes>(returns).map(|bytes| bytes.0)
}

/// Bytes of storage: [`super::power`], [`super::sector_size`], [`super::total_storage`].
pub fn size(returns: &[Vec<u8>]) -> Result<BytesAmount, ReturnError> {
    one(returns)
}

/// Money: [`super::active_collateral`], [`super::late_fee`].
pub fn money(returns: &[Vec<u8>]) -> Result<AttoFil, ReturnError> {
    one(returns)
}

/// A sector's number: [`super::last_used_sector_id`].
pub fn sector(returns: &[Vec<u8>]) -> Result<u64, ReturnError> {
    one::<SectorNumber>(returns).map(|id| id.0)
}

/// Yes or no: [`super::is_bootstrap_miner`].
pub fn flag(returns: &[Vec<u8>]) -> Result<bool, ReturnError> {
    one(returns)
}

/// The network's name: [`super::network`].
pub fn network(returns: &[Vec<u8>]) -> Result<String, ReturnError> {
    one(returns)
}

/// An offer of storage: [`super::ask`].
pub fn ask(returns: &[Vec<u8>]) -> Result<Ask, ReturnError> {
    one(returns)
}

/// Ids of asks: [`super::asks`].
pub fn ask_ids(returns: &[Vec<u8>]) -> Result<Vec<u64>, ReturnError> {
    one(returns)
}

/// How a miner stands with its proofs: [`super::post_state`].
pub fn post_state(returns: &[Vec<u8>]) -> Result<PostState, ReturnError> {
    one(returns)
}

/// Start and end of a proving window: [`super::proving_window`]. `None` before the first commit.
pub fn proving_window(returns: &[Vec<u8>]) -> Result<Option<(Epoch, Epoch)>, ReturnError> {
    match returns {
        [start, end] if end.is_empty() => Epoch::from_abi(start).map(|_| None).map_err(ReturnError::from),
        [start, end] => Ok(Some((Epoch::from_abi(start)?, Epoch::from_abi(end)?))),
        [] | [_] => Err(ReturnError::Missing),
        more => Err(ReturnError::TooMany(more.len())),
    }
}

/// What sectors are committed with: [`super::proving_set_commitments`].
pub fn commitments(returns: &[Vec<u8>]) -> Result<CommitmentsMap, ReturnError> {
    one(returns)
}

/// Miners that can be slashed: [`super::late_miners`].
pub fn late_miners(returns: &[Vec<u8>]) -> Result<MinerPoStStates, ReturnError> {
    one(returns)
}

/// Whether proofs are verified: [`super::proofs_mode`].
pub fn proofs_mode(returns: &[Vec<u8>]) -> Result<ProofsMode, ReturnError> {
    one(returns)
}

/// A payer's channels: [`super::channels`].
pub fn channels(returns: &[Vec<u8>]) -> Result<Channels, ReturnError> {
    one(returns)
}

/// An unsigned voucher: [`super::voucher`].
pub fn voucher(returns: &[Vec<u8>]) -> Result<PaymentVoucher, ReturnError> {
    one(returns)
}

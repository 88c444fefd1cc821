//! Records as bytes, keys, and transactions' errors.

use super::StoreError;
use cid::Cid;
use serde::{de::DeserializeOwned, Serialize};
use shared::chain::{Address, ChannelId};
use shared::piece::SectorSize;
use shared::sector::Phase;
use sled::transaction::{ConflictableTransactionError, TransactionError};

pub(super) type Abort = ConflictableTransactionError<StoreError>;

pub(super) fn channel_key(payer: &Address, id: ChannelId) -> Vec<u8> {
    let mut key = payer.to_bytes();
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

pub(super) fn duration_key(size: SectorSize, phase: Phase) -> String {
    format!("{}/{phase:?}", size.bytes())
}

pub(super) fn number(value: Option<sled::IVec>) -> u64 {
    value
        .and_then(|value| value.as_ref().try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

pub(super) fn read<T: DeserializeOwned>(
    tree: &sled::Tree,
    name: &'static str,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    tree.get(key)?.map(|value| parse(name, &value)).transpose()
}

pub(super) fn parse<T: DeserializeOwned>(tree: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    ciborium::from_reader(bytes).map_err(|e| StoreError::Damaged {
        tree,
        reason: e.to_string(),
    })
}

pub(super) fn parse_cid(tree: &'static str, bytes: &[u8]) -> Result<Cid, StoreError> {
    Cid::try_from(bytes).map_err(|e| StoreError::Damaged {
        tree,
        reason: e.to_string(),
    })
}

pub(super) fn write<T: Serialize>(tree: &'static str, record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes).map_err(|e| StoreError::Encode {
        tree,
        reason: e.to_string(),
    })?;
    Ok(bytes)
}

pub(super) fn abort<T>(error: StoreError) -> Result<T, Abort> {
    Err(ConflictableTransactionError::Abort(error))
}

pub(super) fn settled(error: TransactionError<StoreError>) -> StoreError {
    match error {
        TransactionError::Abort(error) => error,
        TransactionError::Storage(error) => StoreError::Database(error),
    }
}

//! Records as bytes.

use super::StoreError;
use cid::Cid;
use sealdrop_database::{DatabaseError, Records, Table};
use serde::{de::DeserializeOwned, Serialize};

pub(super) fn read<T: DeserializeOwned>(
    records: &dyn Records,
    table: Table,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    records.get(table, key)?.map(|value| parse(table, &value)).transpose()
}

pub(super) fn parse<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, StoreError> {
    ciborium::from_reader(bytes).map_err(|e| damaged(table, e))
}

pub(super) fn parse_cid(table: Table, bytes: &[u8]) -> Result<Cid, StoreError> {
    Cid::try_from(bytes).map_err(|e| damaged(table, e))
}

pub(super) fn number(bytes: Option<Vec<u8>>) -> u64 {
    bytes
        .and_then(|value| value.as_slice().try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

pub(super) fn damaged(table: Table, reason: impl std::fmt::Display) -> StoreError {
    let (table, reason) = (table.name, reason.to_string());
    DatabaseError::Damaged { table, reason }.into()
}

pub(super) fn write<T: Serialize>(table: Table, record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes).map_err(|e| StoreError::Encode {
        table: table.name,
        reason: e.to_string(),
    })?;
    Ok(bytes)
}

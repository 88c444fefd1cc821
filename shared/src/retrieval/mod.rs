//! Getting a piece back: the free retrieval protocol (spec §1.7, §6.6).
//!
//! The miner answers one request with a status and then the piece's bytes in chunks. Nobody is trusted: the client
//! computes the data root of what arrives ([`crate::piece::PieceDigest`]) and hands the bytes out only when it is the deal's.

pub mod gateway;
pub mod http;
pub mod proof;
pub mod ranges;

use crate::wire::cbor::{cbor_map, Bytes, Cbor, DecodeError, Value};
use alloc::string::String;
use cid::Cid;

/// Largest chunk of a piece, in bytes.
pub const MAX_CHUNK: usize = 65_536;
/// Longest silence of a miner that has begun to answer, in milliseconds.
pub const SILENCE_MS: u64 = 30_000;
/// Bytes that must come in a second on the average once the file comes: less is a miner that keeps its client busy.
pub const LEAST_RATE: u64 = 16 * 1024;

/// Asks for a piece by its data root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievePieceRequest {
    pub piece_ref: Cid,
}
cbor_map!(RetrievePieceRequest { "pieceRef" => piece_ref });

/// Whether chunks follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrievalStatus {
    Failure = 1,
    Success = 2,
}

impl Cbor for RetrievalStatus {
    fn to_value(&self) -> Value {
        (*self as u64).to_value()
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match u64::from_value(value)? {
            1 => Ok(Self::Failure),
            2 => Ok(Self::Success),
            other => Err(DecodeError::invalid("status", other)),
        }
    }
}

/// The answer that comes before the chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievePieceResponse {
    pub status: RetrievalStatus,
    pub error_message: String,
}
cbor_map!(RetrievePieceResponse { "status" => status, "errorMessage" => error_message });

/// Up to [`MAX_CHUNK`] bytes of the piece, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievePieceChunk {
    pub data: Bytes,
}
cbor_map!(RetrievePieceChunk { "data" => data });

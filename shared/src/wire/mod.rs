//! How bytes look on the wire and in signatures: protocol ids, framing, canonical CBOR, LEB128 numbers (spec §1).
//!
//! Called by every type that is sent or signed. Decoders accept exactly one encoding of a value, so that a CID or a
//! signature computed over decoded bytes is the one that the peer meant.

pub mod as_cbor;
pub mod cbor;
pub mod frame;
pub mod leb128;

pub use cbor::{decode, encode, Cbor, DecodeError};

/// Protocol ids of the libp2p streams (spec §1.1; the last ones are ours).
pub mod protocol {
    /// Make a deal: SignedProposal → SignedResponse.
    pub const MAKE_DEAL: &str = "/fil/storage/mk/1.0.0";
    /// Query a deal: QueryRequest → SignedResponse.
    pub const QUERY_DEAL: &str = "/fil/storage/qry/1.0.0";
    /// Free retrieval: RetrievePieceRequest → RetrievePieceResponse, then chunks until the end of the stream.
    pub const RETRIEVAL: &str = "/fil/retrieval/free/0.0.0";
    /// Piece data, pulled block by block by the side that lacks it (in place of bitswap, design §10).
    pub const TRANSFER: &str = "/sealdrop/transfer/1.0.0";
    /// Ask why a deal is not done: QueryRequest → a text string, the JSON of a [`crate::explain::deal::Explanation`].
    pub const EXPLAIN: &str = "/sealdrop/explain/1.0.0";
    /// Hear of a deal's next state: [`crate::deal::WatchRequest`] → SignedResponse, once there is news or after a while.
    pub const WATCH_DEAL: &str = "/sealdrop/watch/1.0.0";
    /// Ask before paying: [`crate::deal::QuoteRequest`] → [`crate::deal::SignedQuote`].
    pub const QUOTE: &str = "/sealdrop/quote/1.0.0";
    /// Close the channel of a deal that has come to nothing: [`crate::payment::CloseRequest`] →
    /// [`crate::payment::CloseResponse`].
    pub const CLOSE_CHANNEL: &str = "/sealdrop/close/1.0.0";
}

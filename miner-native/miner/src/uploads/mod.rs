//! Pieces that their clients send over HTTP, beside the libp2p transfer that [`crate::network`] pulls (step 7 of a deal).
//!
//! What each request means is [`shared::transfer::upload`]'s. [`requests`] reads them and moves the bodies, [`sessions`] knows what
//! is under way, [`piece`] keeps and finishes one piece, [`bodies`] says whose bytes are read when, [`refusal`] what is answered
//! instead. [`router`] is merged into the miner's public listener, which has the connections, TLS and the headers of CORS.
//!
//! An upload and a libp2p transfer of the same piece exclude each other by their claim of its files ([`crate::staging`]): who comes to
//! send goes first, the transfer stops, and what it has brought is not sent again; when the upload falls silent, the transfer goes on
//! from where that was. Next: [`crate::sealing`] places the piece in a sector.

mod bodies;
mod piece;
mod refusal;
mod requests;
mod sessions;
#[cfg(test)]
mod tests;

pub use requests::router;
pub use sessions::{UploadParts, Uploads};

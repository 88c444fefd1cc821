//! How a piece's bytes get from the side that has them to the side that lacks them (step 7 of a deal, design §10).
//!
//! The side that lacks the piece pulls: it opens a stream of [`crate::wire::protocol::TRANSFER`] and sends requests; the
//! other side answers each, in order. A message is a frame: an unsigned varint length, then the body ([`wire`]).
//!
//! 1. Interior nodes of the file's DAG first, from the root down, each asked for by its CID. A small file has none.
//! 2. Then the file's bytes, in file order, [`wire::MAX_DATA`] at a time. A request never crosses a leaf's end.
//!
//! Up to [`puller::WINDOW`] requests are under way at once, more on a long path ([`window`]). Each node is checked against its CID and against the shape
//! that a file of this size has; each leaf is checked against its CID before it is kept. When the stream breaks, the
//! puller goes on from what is kept, on another stream, and later in another process ([`Puller::resumed`]).
//!
//! The same bytes may come over HTTP, where the side that has the piece sends: [`upload`]. What one way has brought, the other does
//! not ask for ([`LeafSet`]).
//!
//! [`Puller`] and [`server::serve`] do no I/O: hosts move the frames and store what is handed out as [`Kept`].
//! Next: the kept bytes are hashed to CommP ([`crate::piece::PieceDigest`]) and compared with what the vouchers promise.

pub mod known_dag;
pub mod leaf_set;
pub mod pace;
pub mod puller;
pub mod server;
#[cfg(test)]
mod tests;
pub mod upload;
pub mod window;
pub mod wire;

pub(crate) use known_dag::checked_children;
pub use known_dag::{KnownDag, LeafFault};
pub use leaf_set::LeafSet;
pub use pace::{Pace, PlaceLost};
pub use puller::{Kept, Limits, Progress, Puller, TransferFault, MAX_TRANSFER};
pub use server::{serve, PieceSource, Serve};
pub use window::PathDelay;
pub use wire::{RefusalCode, Request, Response, Target, WireError};

//! The chain's past, as far as a proof on it is to be checked again: what [`crate::client::evidence`] asks for.

use crate::chain::rpc::{MessageSummary, MessageView};
use crate::chain::view::NetworkView;
use crate::chain::{Address, Call, Epoch};
use alloc::vec::Vec;
use cid::Cid;

/// A chain endpoint, asked about what was.
#[allow(async_fn_in_trait)] // both hosts run it on one thread
pub trait History {
    type Error;

    /// The network and its rules.
    async fn network(&self) -> Result<NetworkView, Self::Error>;
    /// The ticket of the block at a height.
    async fn ticket(&self, height: Epoch) -> Result<Vec<u8>, Self::Error>;
    /// Messages from or to an address below a height (or up to the head), newest first; some hundred at most.
    async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, Self::Error>;
    /// `None` for a message that the chain does not know.
    async fn message_view(&self, id: &Cid) -> Result<Option<MessageView>, Self::Error>;
    /// What an actor returned to a question after the block at a height.
    async fn returned_at(&self, call: &Call, height: Epoch) -> Result<Vec<Vec<u8>>, Self::Error>;
    /// Whether an error says that the chain keeps nothing more of what was asked for.
    fn is_past(error: &Self::Error) -> bool;
}

//! THE client: everything that a client decides, written once and driven by browser, terminal and the model test
//! (design §5).
//!
//! A deal is a [`DealRecord`]. [`engine::step`] does the next thing for it through a [`ClientHost`], keeps what came of it,
//! and says when there is something to do again. It reads no clock, sleeps nowhere and draws no randomness. Called again
//! after a crash with the record that was kept last, it repeats at most what was not kept: that is harmless.
//!
//! What is decided, and where:
//!
//! - **When money may move** ([`opening`]): after the draft was rehearsed ([`crate::deal::Draft::rehearse`]), after the
//!   file was looked at again, and after the miner was asked whether it takes the deal now ([`quoting`]). A file that has changed
//!   stops the deal before anything is paid, and before anything is signed or sent; a miner that would refuse ends it at no cost.
//! - **When a message is made again** ([`opening`]): one that was dropped, since it will never take effect; at most
//!   [`opening::CHANNEL_ATTEMPTS`] times in a row. One that the chain refuses to take leaves the deal as it is: nothing was
//!   paid, and it is tried again or given up. One that failed in a block ends the deal.
//! - **When a deal is given up** ([`engine`]): when its user says so, at any stage before its end, also while its channel
//!   opens; and by itself from [`crate::deal::ClientDeal::deadline`] on, whether the miner has accepted it or not.
//! - **When money comes back** ([`refunds`], [`crate::deal::Refund`]): a failed deal's channel is cancelled at once and
//!   reclaimed at its end, after its miner was asked to close it at once where it has said itself that there is no deal
//!   ([`crate::payment::closing`]); a complete deal's is reclaimed at its end. A channel that may have been opened although its deal
//!   was given up ([`DealRecord::openings`]) is looked for until it is known.
//! - **Whether the file is needed** ([`engine`]): only after the miner was asked; what it says of the deal counts, not what
//!   was known of it here.
//! - **Where the miner is** ([`engine`]): where the chain says now. Its host key and its worker may change during a deal.
//! - **Over which of its addresses it is reached** ([`dialing`]), in which order they are dialled, and why not the others.
//! - **What a duplicate is** ([`duplicates`]): the same data with the same miner, unless it is meant; and a free deal with
//!   the same terms always, since it has the same id.
//! - **Which miner, which ask** ([`offer`], [`choosing`]): the one that was named, or by a rule (the cheapest, the nearest, spread over all)
//!   the first that takes the file; who refuses or does not answer is passed over, which is said.
//! - **Which copy of a piece is read** ([`offers`]) for a miner that fetches it.
//! - **When a piece is sent over HTTP** ([`uploading`]), how much of it at once, and when it is left to the miner to fetch.
//! - **How a retrieval is bounded** ([`retrieval`], done by [`fetching`]): in bytes, in empty chunks, in silence and as a whole.
//! - **What verification consists of** ([`verifying`], [`crate::deal::verification`]), which proofs on the chain a client can check by
//!   itself ([`evidence`]), what of the chain's endpoint need not be believed ([`light`]), and what is **explained** ([`explaining`]).
//! - **What an error is called** ([`problem`]), so that a program need not know which client it talks to, and what of a deal is
//!   shown ([`view`]).
//! - **Whose word each step of a deal stands on**, and the receipt that shows it to anybody ([`passport`]).
//! - **How vouchers are handed over as text** ([`voucher_text`]), and **the link that opens a page at a miner** ([`link`]).
//! - **Files of any size** ([`files`]): which deals their pieces need, and when there are enough of them.
//! - **When the miner is asked, and when its news is waited for** ([`following`]), and how long a pause is.

pub mod choosing;
pub mod dialing;
pub mod duplicates;
pub mod engine;
pub mod evidence;
pub mod explaining;
pub mod fetching;
pub mod files;
pub mod following;
pub mod host;
pub mod light;
pub mod link;
pub mod offer;
pub mod offers;
pub mod opening;
pub mod passport;
pub mod problem;
pub mod quoting;
pub mod record;
pub mod refunds;
pub mod retrieval;
pub mod uploading;
pub mod verifying;
pub mod view;
pub mod voucher_text;

#[cfg(any(test, feature = "testing"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what goes wrong fails the test"
)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use choosing::{ByRule, Choice, Choosing, MinerAnswer, MinerRule, PassedOver, Says};
pub use engine::{give_up, step, Next};
pub use following::Following;
pub use host::{Awaited, Blame, ClientHost, EngineError, Event, Order, Woken};
pub use offer::{MinerOffer, OfferError};
pub use problem::{ErrorCode, Problem};
pub use record::{Answer, ChannelRefund, DealRecord, Proving, Step};
pub use retrieval::{Retrieval, RetrievalError};

//! A deal: what is proposed, how a miner reviews it, how it answers, and the two machines that carry it through.
//!
//! The client's machine ([`client`]) is driven by [`crate::client`], for the browser and the command line; the miner's ([`miner`]) by the
//! daemon. [`review()`] is the one place where acceptance is decided; [`Draft::rehearse`] runs it on the client's own
//! proposal first. A failed deal's money comes back through [`Refund`].

pub mod client;
pub mod draft;
pub mod failure;
pub mod miner;
pub mod proposal;
pub mod quote;
pub mod refund;
pub mod response;
pub mod retention;
pub mod review;
pub mod verification;
pub mod watch;

pub use client::{ClientDeal, ClientEffect, ClientInput, ClientStage};
pub use draft::{duplicates, Draft, DraftError};
pub use failure::FailureCode;
pub use miner::{MinerDeal, MinerEffect, MinerInput, MinerStage};
pub use proposal::{PaymentInfo, Proposal, SignedProposal};
pub use quote::{Quote, QuoteRequest, SignedQuote};
pub use refund::{Refund, RefundEffect, RefundInput};
pub use response::{DealState, ProofInfo, QueryRequest, Response, SignedResponse};
pub use review::{review, OperatorTerms, Rejection, RejectionCode, ReviewContext};
pub use watch::WatchRequest;

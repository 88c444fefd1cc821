//! A deal: what is proposed, how a miner reviews it, how it answers, and the two machines that carry it through.
//!
//! The client's machine ([`client`]) is driven by the browser and by the command line; the miner's ([`miner`]) by the
//! daemon. [`review()`] is the one place where acceptance is decided; the client runs it on its own proposal first.

pub mod client;
pub mod drive;
pub mod miner;
pub mod proposal;
pub mod response;
pub mod review;

pub use client::{ClientDeal, ClientEffect, ClientInput, ClientStage, Draft};
pub use drive::{drive, ClientHost};
pub use miner::{MinerDeal, MinerEffect, MinerInput, MinerStage};
pub use proposal::{PaymentInfo, Proposal, SignedProposal};
pub use response::{DealState, ProofInfo, QueryRequest, Response, SignedResponse};
pub use review::{review, Rejection, RejectionCode, ReviewContext};

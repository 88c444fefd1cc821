//! Payment of a deal by vouchers on a channel: their schedule, their conditions, and the miner's checks.
//!
//! The client draws the schedule up when it makes a proposal; the miner's [`crate::deal::review()`] checks it;
//! [`next_redemption`] says when the miner redeems which voucher; the broker actor pays them out. A deal that comes to nothing gives its channel
//! back by [`closing`].

pub mod channel;
pub mod closing;
pub mod redemption;
pub mod schedule;
pub mod standing;

pub use crate::chain::policy::{CHANNEL_EXPIRY_INTERVAL, VOUCHER_INTERVAL};
pub use crate::chain::voucher::{self, ConditionError, PaymentVoucher, Predicate};
pub use channel::ChannelFacts;
pub use closing::{CloseRequest, CloseResponse};
pub use redemption::{best_redeemable, next_redemption, InclusionEvidence, NoneRedeemable, Redemption, Urgency};
pub use schedule::{unsigned_vouchers, Terms};

//! Payment of a deal by vouchers on a channel: their schedule, their conditions, and the miner's checks.
//!
//! The client draws the schedule up when it makes a proposal; the miner's [`crate::deal::review`] checks it;
//! [`next_redemption`] says when the miner redeems which voucher; the broker actor pays them out.

pub mod channel;
pub mod redemption;
pub mod schedule;
pub mod standing;
pub mod voucher;

pub use channel::ChannelFacts;
pub use redemption::{best_redeemable, next_redemption, InclusionEvidence, NoneRedeemable, Redemption, Urgency};
pub use schedule::{unsigned_vouchers, Terms};
pub use voucher::{ConditionError, PaymentVoucher, Predicate};

/// Blocks between two vouchers of a deal (spec §3.1).
pub const VOUCHER_INTERVAL: u64 = 1000;
/// Blocks that a channel outlives its last voucher, so that it can be redeemed (spec §3.1).
pub const CHANNEL_EXPIRY_INTERVAL: u64 = 2000;

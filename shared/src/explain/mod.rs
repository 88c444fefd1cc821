//! Why something is not done yet, and when it will be: of a deal ([`deal`], by its miner; [`deal::client`], by its client) and of a
//! sector ([`sector`]).
//!
//! Pure functions of what a host knows. They promise nothing and never fail: whatever is not done has a cause, and something
//! that comes next. Asked by the operator, over libp2p and by the page.

pub mod deal;
pub mod sector;

pub use deal::Audience;
pub use sector::Explanation;

//! Hostile peers: what they do ([`attacks`]), from which addresses ([`Relay`]), and how a daemon takes it ([`drill`]).
//!
//! Used by the test `hostile`, which plays some of the attacks, by the program `hostile-peers`, which plays all and writes them down
//! (`shared/docs/attacks.md`), and by [`crate::soak`], where they never end.

pub mod attacks;
mod chain;
pub mod drill;
mod floods;
mod http;
mod liar;
mod lies;
mod pages;
mod relay;
mod streams;

pub use relay::Relay;

//! Hostile peers: what they do ([`attacks`]), and from which addresses ([`Relay`]).
//!
//! Used by the test `hostile`, which holds each attack against limits, and by [`crate::soak`], where they never end.

pub mod attacks;
mod relay;

pub use relay::Relay;

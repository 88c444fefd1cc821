//! What the rules need from a host, as traits (design §4).

pub use crate::chain::verifier;

//! What the rules need from a host, as traits (design §4).

pub mod verifier;

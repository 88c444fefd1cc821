//! A Groth16 prover for BLS12-381: bellperson's circuits and parameter files, the same proofs, at a seventh of the CPU time.

mod arena;
mod assignment;
mod compact;
mod context;
mod error;
mod fault;
mod fft;
mod msm;
mod parameters;
mod prove;
mod query;
mod report;
#[cfg(test)]
mod tests;

pub use error::{Error, ParametersError};
#[doc(hidden)]
pub use fault::FAULT;
pub use parameters::Parameters;
pub use prove::{prove, prove_all, prove_verified, Options, Proven, Randomness};
pub use report::{measure_speed, Part, PartReport, Report, Speed};
pub use sealdrop_lanes::Kernel;

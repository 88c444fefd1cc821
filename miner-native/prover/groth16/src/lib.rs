//! A Groth16 prover for BLS12-381: bellperson's circuits and parameter files, the same proofs under the same randomness, at a
//! fraction of the CPU time and memory. Called by `sealdrop-prover` for PoRep and WindowPoSt; where it gives an error, the
//! caller has bellperson's own prover.
//!
//! A proof's way through the modules: `assignment` runs the circuit's code and evaluates its constraints, into `compact` arrays,
//! since most numbers are bits; `fft` makes the quotient polynomial with six transforms; `msm` commits to it while it reads
//! the mapped `parameters`; `query` sums over the variables, ones and zeros apart; `prove` puts the sums together.
//! All of it is written once, over the fields of `sealdrop-lanes` on eight lanes or one, and runs on rayon's threads.
//!
//! ```no_run
//! # use sealdrop_groth16::*;
//! # fn example(circuit: impl bellperson::Circuit<blstrs::Scalar> + Send) -> Result<(), Error> {
//! let parameters = Parameters::open("v28-….params")?;
//! let key = bellperson::groth16::prepare_verifying_key(parameters.verifying_key());
//! let randomness = Randomness::draw(rand_core::OsRng);
//! let made = prove_verified(circuit, &parameters, &key, randomness, &Options::new(Kernel::best()))?;
//! let mut bytes = Vec::new(); // 192 of them
//! made.proof.write(&mut bytes).expect("a vector takes everything");
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! Nothing panics on a parameter file of any bytes or on a circuit that does not fit it. Nothing outlives a call: no caches,
//! no threads, no mappings. What leaves [`prove_verified`] and [`prove_all`] has been verified by bellperson. A file must not
//! be changed while it is open.
//!
//! # Memory
//! With n the domain's size, the peak is in the transforms: 112 bytes (IFMA) or 96 (portable) for each of the n elements, 16 for
//! each constraint and variable together, 32 more for each value over 255, of which circuits of bits and hashes have one in
//! twenty. The sums need less: stretches of 2^18 points and the windows' buckets, 100 MiB. Pages of the file are given back as
//! they were read. For the 8 MiB PoRep (n = 2^22) 0.6 GiB were measured (bellperson: 3.2); for one of the ten partitions of
//! 32 GiB (n = 2^27), never run, the same formula gives 17 GiB. One proof is made at a time.
//!
//! # Limits
//! 2^31 points an array, since an index and a sign share 32 bits (a file's counts have 32 bits); domains up to 2^31, as the
//! coset needs a root of twice the order and the field has one of 2^32. Two passes over memory are kept for any domain, whose
//! strips (n = 2^27: 2.6 MiB) should fit the second-level cache.

mod arena;
mod assignment;
mod compact;
mod context;
mod error;
mod fault;
mod fft;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
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

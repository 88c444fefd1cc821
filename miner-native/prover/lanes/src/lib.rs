//! BLS12-381 field arithmetic on eight lanes, for whoever proves: `sealdrop-groth16`, `sealdrop-poseidon`, the parameter
//! generator. And the one place that decides which kernel this processor runs.

mod constants;
mod field;
mod kernel;
pub mod portable;

#[cfg(target_arch = "x86_64")]
pub mod ifma;

pub use constants::*;
pub use field::{Field, ScalarField};
pub use kernel::Kernel;

//! BLS12-381 field arithmetic on eight lanes, for whoever proves: `sealdrop-groth16`, `sealdrop-poseidon`, the parameter
//! generator. And the one place that decides which kernel this processor runs.

#![allow(unsafe_op_in_unsafe_fn)] // Kernels: the whole body is one unsafe block.

mod kernel;
#[cfg(target_arch = "x86_64")]
pub mod ifma;

pub use kernel::Kernel;

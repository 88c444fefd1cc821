//! Filecoin's Poseidon over the scalar field of BLS12-381, many hashes at a time: what pre-commit 2 spends its time on.
//!
//! Called by `sealdrop-stacked`, which builds column and replica trees from it. Equal to neptune's hashes, from neptune's
//! constants, with less arithmetic: `schedule` says how they are rewritten; `ifma` and `portable` compute with them.

mod cost;
mod hasher;
mod linear;
mod portable;
mod schedule;

#[cfg(target_arch = "x86_64")]
mod ifma;

#[cfg(all(test, target_arch = "x86_64"))]
mod bounds;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

pub use cost::{multiply, Cost};
pub use hasher::{Arity, Error, Poseidon, NODE};
pub use sealdrop_lanes::Kernel;

/// Element j of hash i is the 32 bytes at `(first + i) * stride` of `at[j]`.
pub(crate) struct Elements<'a> {
    at: &'a [&'a [u8]],
    first: usize,
    stride: usize,
}

impl<'a> Elements<'a> {
    /// Element j of hash i.
    fn element(&self, i: usize, j: usize) -> &'a [u8; NODE] {
        let bytes = self.at[j][(self.first + i) * self.stride..].first_chunk();
        bytes.expect("the batch's lengths were checked against its number of hashes")
    }

    /// The batch without its first hashes.
    #[cfg(target_arch = "x86_64")]
    fn from(&self, first: usize) -> Elements<'a> {
        Elements {
            at: self.at,
            first: self.first + first,
            stride: self.stride,
        }
    }
}

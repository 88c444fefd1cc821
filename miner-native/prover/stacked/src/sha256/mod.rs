//! SHA-256 as pre-commit 1 needs it: chains of labels, and parents of pairs of nodes.
//!
//! Two implementations of [`Sha256`]: [`Portable`] on the `sha2` crate, and [`ShaNi`] with the SHA extensions of x86 inlined
//! into the loop over nodes. `storage-proofs-porep` calls the instructions one by one as functions, which takes most of its
//! time (`sha2raw` 14.1, no `target_feature` on its callers). [`Sha256Kernel`] chooses at run time.

mod portable;

use crate::sha_ni::ShaNi;
pub(crate) use portable::Portable;
use std::sync::OnceLock;

/// Set to `portable`, it keeps the instructions off, as it keeps off the vector kernels of `sealdrop-lanes`.
const KERNEL_VARIABLE: &str = "SEALDROP_KERNEL";

/// Bytes of a node.
pub(crate) const NODE: usize = 32;
/// A label or a node of the data's tree: a digest with its two highest bits cleared, so that it is a number of the field.
pub(crate) type Node = [u8; NODE];

/// Parents of a node in its own layer.
pub(crate) const BASE_DEGREE: usize = 6;
/// Parents of a node, with those in the layer before.
pub(crate) const DEGREE: usize = 14;
/// A node's parents: [`BASE_DEGREE`] of its own layer, then those of the layer before.
pub(crate) type Parents = [u32; DEGREE];

/// Nodes under a label's hash, parents repeated: 14, 14 and 9, or in the first layer six times 6 and 1.
pub(crate) const HASHED_PARENTS: usize = 37;
/// Blocks of two parents each; the last block of a label has one parent and the padding.
pub(crate) const WHOLE_BLOCKS: usize = HASHED_PARENTS / 2;
/// Bits under a label's hash: 64 bytes of replica id, layer and node's number, then the parents.
pub(crate) const LABEL_BITS: u32 = 8 * (64 + HASHED_PARENTS as u32 * NODE as u32);

/// FIPS 180-4's initial state.
pub(crate) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// One sector's chain of labels.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    /// The sector's replica id.
    pub replica_id: Node,
    /// The layer that is being labelled, whole.
    pub labels: &'a mut [Node],
    /// The layer before, whole; empty in the first.
    pub previous: &'a [Node],
}

/// An implementation.
pub(crate) trait Sha256: Copy {
    /// Labels of the nodes from `first` on, one for each of `parents`, in layer `layer` (the first is 1).
    ///
    /// Node 0 has no parents and is not labelled here. Base parents must be below their node, the others below the length
    /// of `previous`: [`ParentCache`](crate::pre_commit1) has checked them, here they would only panic.
    fn label<const N: usize>(self, lanes: &mut [Lane<'_>; N], layer: u32, first: u32, parents: &[Parents]);

    /// The parent of each pair of nodes in the data's tree.
    fn hash_pairs(self, pairs: &[[Node; 2]], parents: &mut [Node]);

    /// Compresses `count` blocks, each into the state that the one before left; returns a word of the last.
    fn chain(self, count: u32) -> u32;
}

/// Which SHA-256 this process computes with; both give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Kernel(Choice);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Portable(Portable),
    ShaNi(ShaNi),
}

impl Sha256Kernel {
    /// The `sha2` crate, on any processor. (It too uses SHA extensions where it finds them.)
    pub const PORTABLE: Self = Self(Choice::Portable(Portable));

    /// The fastest that this processor has, unless the environment's `SEALDROP_KERNEL` is `portable`. Looked up once a process.
    pub fn best() -> Self {
        static BEST: OnceLock<Sha256Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::choose(std::env::var(KERNEL_VARIABLE).ok().as_deref()))
    }

    /// The fastest that this processor has, whatever the environment says: for tests that compare them.
    pub fn detected() -> Self {
        ShaNi::detect().map_or(Self::PORTABLE, |kernel| Self(Choice::ShaNi(kernel)))
    }

    fn choose(variable: Option<&str>) -> Self {
        match variable.map(str::trim) {
            Some(text) if text.eq_ignore_ascii_case("portable") => Self::PORTABLE,
            _ => Self::detected(),
        }
    }

    /// `portable` or `sha-ni`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Choice::Portable(_) => "portable",
            Choice::ShaNi(_) => "sha-ni",
        }
    }
}

/// Calls one of two implementations.
macro_rules! either {
    ($kernel:expr, $sha256:ident => $call:expr) => {
        match $kernel.0 {
            Choice::Portable($sha256) => $call,
            Choice::ShaNi($sha256) => $call,
        }
    };
}

impl Sha256 for Sha256Kernel {
    fn label<const N: usize>(self, lanes: &mut [Lane<'_>; N], layer: u32, first: u32, parents: &[Parents]) {
        either!(self, sha256 => sha256.label(lanes, layer, first, parents));
    }

    fn hash_pairs(self, pairs: &[[Node; 2]], parents: &mut [Node]) {
        either!(self, sha256 => sha256.hash_pairs(pairs, parents));
    }

    fn chain(self, count: u32) -> u32 {
        either!(self, sha256 => sha256.chain(count))
    }
}

#[cfg(test)]
mod tests;

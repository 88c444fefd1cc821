//! StackedDRG's pre-commits: the files that filecoin-proofs writes, byte for byte, with less work.
//!
//! Called by the prover's `sector::sealing`. Pre-commit 1 labels the sector's graph, layer upon layer; pre-commit 2 hashes the
//! layers' columns, encodes the data and builds the trees that proofs open.

/// Called by the fuzz targets only.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod pre_commit1;
pub mod pre_commit2;
mod sha256;

pub use sha256::Sha256Kernel;

#[cfg(target_arch = "x86_64")]
#[path = "sha256/sha_ni.rs"]
mod sha_ni;

/// Elsewhere there are no such instructions; the name stands for code that is never chosen by it.
#[cfg(not(target_arch = "x86_64"))]
mod sha_ni {
    pub(crate) use crate::sha256::Portable as ShaNi;

    impl ShaNi {
        pub fn detect() -> Option<Self> {
            None
        }
    }
}

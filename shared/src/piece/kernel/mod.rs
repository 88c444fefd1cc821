//! The arithmetic under CommP, by the fastest instructions that the processor has: [`detected`] chooses at run time
//! ([`speed`] says how).
//!
//! A kernel turns consecutive runs of quads into the roots of their trees, one run a lane, and adds blocks to several
//! SHA-256 states at once. All kernels give the same answers; [`available`] lists those that run here, so that tests
//! hold them against each other and benches compare them. Called by [`super::commp`] and [`super::unixfs`] only.
//!
//! This folder is the only place in the crate with `unsafe` (vector loads and stores, and calls that need a processor
//! feature) and, beside `lib.rs`, the only one with `cfg(target_arch)`: instructions exist on one processor only.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod constants;
mod lanes;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", ordered_kernel))]
mod ordered;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(target_arch = "x86_64")]
mod speed;

pub use portable::hash_pair;

/// Bytes of a file that expand together.
pub const QUAD: usize = 127;
/// 127 bytes of a file: four field elements.
pub type Quad = [u8; QUAD];
/// A node of the tree.
pub type Node = [u8; 32];

/// Highest run, as a power of two of quads: beyond 32 kB a lane nothing gets faster.
pub const MAX_RUN: u32 = 8;
/// Lanes of the widest kernel.
pub const MAX_LANES: usize = 16;

/// One way to compute. The functions check their lengths.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// For people.
    pub name: &'static str,
    /// Runs that [`Self::roots`] takes at once.
    pub lanes: usize,
    /// SHA-256 states that [`Self::compress`] takes at once.
    pub leaves: usize,
    roots: fn(&[u8], u32, &mut [Node]),
    compress: fn(&mut [[u32; 8]], &[&[[u8; 64]]]),
}

impl Kernel {
    /// Roots of [`Self::lanes`] runs of 2^`height` quads each, one after the other in `bytes`.
    pub fn roots(&self, bytes: &[u8], height: u32, out: &mut [Node]) {
        assert!(height <= MAX_RUN && bytes.len() == self.lanes * (QUAD << height) && out.len() == self.lanes);
        (self.roots)(bytes, height, out);
    }

    /// Adds 64-byte blocks to [`Self::leaves`] SHA-256 states, to each the same number.
    pub fn compress(&self, states: &mut [[u32; 8]], blocks: &[&[[u8; 64]]]) {
        assert!(states.len() == self.leaves && blocks.len() == self.leaves);
        assert!(blocks.iter().all(|each| each.len() == blocks[0].len()));
        (self.compress)(states, blocks);
    }
}

/// A [`Kernel`] from a module's functions, with the reason why they may be called. For WebAssembly the compiler knows that
/// the feature is there, and asks for no `unsafe`.
macro_rules! kernel {
    ($name:literal, $module:ident, $leaves:expr) => {
        Kernel {
            name: $name,
            lanes: $module::LANES,
            leaves: $leaves,
            #[cfg_attr(target_arch = "wasm32", allow(unused_unsafe))]
            roots: |bytes, height, out| {
                // SAFETY: `available` gives this kernel out only where the processor has what the function needs.
                unsafe { $module::roots(bytes, height, out) }
            },
            #[cfg_attr(target_arch = "wasm32", allow(unused_unsafe))]
            compress: |states, blocks| {
                let states = states.first_chunk_mut().expect("`Kernel::compress` checked the count");
                let blocks = blocks.first_chunk().expect("`Kernel::compress` checked the count");
                // SAFETY: as above.
                unsafe { $module::compress(states, *blocks) }
            },
        }
    };
}

#[cfg(target_arch = "x86_64")]
static NATIVE: [Kernel; 3] = [
    kernel!("SHA-NI", sha_ni, sha_ni::LEAVES),
    kernel!("AVX-512", avx512, avx512::LANES),
    kernel!("AVX2", avx2, avx2::LANES),
];
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
static NATIVE: [Kernel; 1] = [kernel!("simd128", simd128, simd128::LANES)];
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
static NATIVE: [Kernel; 0] = [];

/// Runs everywhere. On x86 and 64-bit ARM the `sha2` crate uses the processor's SHA instructions here too.
static PORTABLE: Kernel = Kernel {
    name: "portable",
    lanes: 1,
    leaves: 1,
    roots: portable::roots,
    compress: portable::compress,
};

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_sha, "sha", "sse4.1", "ssse3");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx512, "avx512f", "avx512bw", "avx512vl", "avx512dq");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx2, "avx2");

#[cfg(target_arch = "x86_64")]
fn runs_here() -> [bool; 3] {
    [has_sha::get(), has_avx512::get(), has_avx2::get()]
}
// A module with vector instructions is loaded only by a browser that has them.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn runs_here() -> [bool; 1] {
    [true]
}
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
fn runs_here() -> [bool; 0] {
    []
}

/// What a kernel is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Roots,
    Leaves,
}

/// How long a native kernel takes for work, in a unit of this processor's.
#[cfg(target_arch = "x86_64")]
fn cost(index: usize, work: Work) -> u32 {
    speed::cost(index, work)
}
/// Elsewhere there is at most one, and nothing to compare.
#[cfg(not(target_arch = "x86_64"))]
fn cost(_index: usize, _work: Work) -> u32 {
    1
}

/// The kernels that run on this processor, the fastest for CommP first; the portable one is the last.
pub fn available() -> impl Iterator<Item = &'static Kernel> {
    let mut order: [(u32, usize); NATIVE.len()] = core::array::from_fn(|index| (cost(index, Work::Roots), index));
    order.sort_unstable();
    let runs = runs_here();
    let native = order.into_iter().filter(move |(_, index)| runs[*index]);
    native.map(|(_, index)| &NATIVE[index]).chain([&PORTABLE])
}

/// The fastest kernel for CommP on this processor.
pub fn detected() -> &'static Kernel {
    available().next().unwrap_or(&PORTABLE)
}

/// The fastest kernel for `count` leaves side by side. One with more lanes leaves some idle, where that is faster still.
pub fn for_leaves(count: usize) -> &'static Kernel {
    let runs = runs_here();
    // With half the lanes idle, another kernel or the portable one is ahead.
    let fitting = (0..NATIVE.len()).filter(|index| runs[*index] && NATIVE[*index].leaves < 2 * count);
    let each = |index: &usize| {
        let leaves = NATIVE[*index].leaves as u64;
        u64::from(cost(*index, Work::Leaves)) * leaves / leaves.min(count as u64)
    };
    fitting.min_by_key(each).map_or(&PORTABLE, |index| &NATIVE[index])
}

/// The kernel that needs nothing.
pub fn portable() -> &'static Kernel {
    &PORTABLE
}

#[cfg(test)]
mod tests;

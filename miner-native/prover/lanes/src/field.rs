//! What an elliptic curve's additions need of a coordinate field, on however many lanes a kernel has: the multi-scalar
//! sums of `sealdrop-groth16` and the parameter generator are written once, over this.

use crate::Kernel;
use blst::blst_fp;

/// Fp for G1, Fp2 for G2, on [`LANES`](Self::LANES) lanes.
///
/// *Stored* coordinates lie in memory as [`WORDS`](Self::WORDS) words, in the kernel's Montgomery form, below 2p. What the
/// functions return is a valid operand of `mul`, `sqr` and `store` unless they say otherwise.
///
/// # Safety
/// For every function: the processor must have the kernel's features (see [`Kernel::best`]); pointers must be valid for
/// [`WORDS`](Self::WORDS) words each.
#[allow(clippy::missing_safety_doc)] // It stands above, for all of them.
pub trait Field: Copy + Send + Sync + 'static {
    /// Whose arithmetic it is.
    const KERNEL: Kernel;
    /// Numbers in one value.
    const LANES: usize;
    /// 64-bit words of a stored coordinate.
    const WORDS: usize;
    /// Numbers of the base field in a coordinate: 1 or 2.
    const COMPONENTS: usize;

    /// Calls `f` from a function compiled for the kernel's features: what is inlined into `f` gets them.
    unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T;
    /// Reads a coordinate for each lane, `offset` words behind the pointers, of which there are [`LANES`](Self::LANES).
    unsafe fn load_at(p: &[*const u64], offset: usize) -> Self;
    /// Writes the lanes' coordinates, `offset` words behind the pointers; `self` is below 2p.
    unsafe fn store_at(&self, p: &[*mut u64], offset: usize);
    /// [`load_at`](Self::load_at) the pointers themselves.
    #[inline(always)]
    unsafe fn load(p: &[*const u64]) -> Self {
        // SAFETY: the same contract.
        unsafe { Self::load_at(p, 0) }
    }
    /// [`store_at`](Self::store_at) the pointers themselves.
    #[inline(always)]
    unsafe fn store(&self, p: &[*mut u64]) {
        // SAFETY: the same contract.
        unsafe { self.store_at(p, 0) }
    }
    /// Asks for the cache line at `p`, which may be any address: a hint.
    #[inline(always)]
    fn prefetch(p: *const u64) {
        crate::prefetch(p);
    }
    /// The product; operands below 8p, the result below 2p.
    unsafe fn mul(&self, b: &Self) -> Self;
    /// The square, as [`mul`](Self::mul).
    unsafe fn sqr(&self) -> Self;
    /// a - b, up to 4p; both up to 2p, and not yet carried if they like.
    unsafe fn sub_norm(&self, b: &Self) -> Self;
    /// l - a - b, below 2p; l a product or a square, the others up to 2p.
    unsafe fn x3(l: &Self, a: &Self, b: &Self) -> Self;
    /// t - y, below 2p; t a product, y up to 2p.
    unsafe fn y3(t: &Self, y: &Self) -> Self;
    /// Negates the lanes of the mask, up to 2p; limbs may be negative: an operand of `sub_norm`, `x3` and `y3` only.
    unsafe fn neg_mask(&self, mask: u8) -> Self;
    /// One.
    unsafe fn one() -> Self;
    /// Inverts every lane of every element, of which there are 8 at most; `false`, and nothing useful, if one is zero.
    unsafe fn invert(v: &mut [Self]) -> bool;
    /// From a number in blst's form for each component to a stored coordinate.
    unsafe fn import(x: &[blst_fp], to: *mut u64);
    /// From a stored coordinate to blst's form, for each component.
    unsafe fn export(from: *const u64, to: &mut [blst_fp]);
    /// Negates a stored coordinate in its place.
    unsafe fn negate(at: *mut u64);
    /// Reads a component for each lane, 48 bytes big-endian and below p at each of `p`, and stores them.
    unsafe fn import_be(p: &[*const u8], to: &[*mut u64]);
    /// Writes each lane's number as uncompressed points have it, `offset` bytes behind the pointer: 48 bytes a component,
    /// reduced below p, big-endian, the imaginary part first; `self` is below 2p.
    unsafe fn export_be_at(&self, to: &[*mut u8], offset: usize);

    /// Multiplications of the base field in one `mul`, and in one `sqr`.
    const COST: (u64, u64) = if Self::COMPONENTS == 1 { (1, 1) } else { (3, 2) };

    /// Whether two stored coordinates are the same number.
    #[inline]
    unsafe fn same(a: *const u64, b: *const u64) -> bool {
        let (mut x, mut y) = ([blst_fp::default(); 2], [blst_fp::default(); 2]);
        // SAFETY: as this function's own contract.
        unsafe {
            Self::export(a, &mut x[..Self::COMPONENTS]);
            Self::export(b, &mut y[..Self::COMPONENTS]);
        }
        x.map(|c| c.l) == y.map(|c| c.l)
    }
}

/// The scalar field on [`LANES`](Self::LANES) lanes: what a Fourier transform needs of it.
///
/// Values are *loose* (below 1.5r) between the functions; constants, the `w` of a butterfly, are below r.
///
/// # Safety
/// For every function: the processor must have the kernel's features (see [`Kernel::best`]).
#[allow(clippy::missing_safety_doc)] // It stands above, for all of them.
pub trait ScalarField: Copy + Send + Sync + 'static {
    /// Whose arithmetic it is.
    const KERNEL: Kernel;
    /// Numbers in one value.
    const LANES: usize;
    /// A product is a·b / 2^RADIX: Montgomery form is x·2^RADIX.
    const RADIX: u64;

    /// As [`Field::vectorize`].
    unsafe fn vectorize<T>(f: impl FnOnce() -> T) -> T;
    /// The integer `x`, below r, on every lane.
    unsafe fn splat(x: &[u64; 4]) -> Self;
    /// The integers `x(0)`, `x(1)`, … below r, a lane each.
    unsafe fn gather(x: impl FnMut(usize) -> [u64; 4]) -> Self;
    /// The lanes' integers, reduced below r, to the first [`LANES`](Self::LANES) of `to`.
    unsafe fn scatter(&self, to: &mut [[u64; 4]]);
    /// a·b / 2^RADIX, below 1.12r; a below 3.5r, b loose.
    unsafe fn mul(&self, b: &Self) -> Self;
    /// a - b, loose.
    unsafe fn sub(&self, b: &Self) -> Self;
    /// (u, v) to (u + v, (u - v)·w / 2^RADIX): decimation in frequency.
    unsafe fn dif(u: &mut Self, v: &mut Self, w: &Self);
    /// (u, v) to (u + v·w, u - v·w), v·w being the product as above: decimation in time.
    unsafe fn dit(u: &mut Self, v: &mut Self, w: &Self);
    /// Pairs of lanes (i, i + `s`) to (x_i + x_(i+s), x_i - x_(i+s)); `s` is a power of two below [`LANES`](Self::LANES).
    unsafe fn cross(&self, s: usize) -> Self;
    /// Negates lane 0.
    unsafe fn negate_first(&self) -> Self;
}

/// The three fields of one kernel, so that an algorithm has one parameter.
pub trait Arithmetic: 'static {
    /// Whose they are.
    const KERNEL: Kernel;
    /// Coordinates of G1.
    type Fp: Field;
    /// Coordinates of G2.
    type Fp2: Field;
    /// Scalars.
    type Fr: ScalarField;
}

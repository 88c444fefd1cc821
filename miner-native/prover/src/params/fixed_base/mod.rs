//! Many multiples of one curve point, fast: odd signed digits over precomputed tables, added in affine coordinates with
//! one shared inversion for a whole batch (Montgomery's trick), on as many lanes as the kernel has.
//!
//! A parameter file is millions of multiples of the same two generators, so a table of all digits of all windows pays for
//! itself at once; and an affine addition with a shared inversion costs six field multiplications where a projective one
//! costs eleven, and leaves nothing to normalise. Called by `generator` alone; [`digits`] says how scalars are cut up,
//! [`table`] how the entries come about, [`sums`] how they are added.

mod digits;
mod sums;
mod table;
#[cfg(test)]
mod tests;

use blst::{blst_fp, blst_p1_affine, blst_p2_affine};
use blstrs::{G1Affine, G2Affine, Scalar};
use digits::Windows;
use group::prime::PrimeCurveAffine;
use group::{Curve, UncompressedEncoding};
use rayon::prelude::*;
use sealdrop_lanes::{Arithmetic, Field, Kernel};
use std::marker::PhantomData;
use sums::Batch;
use table::Line;

/// Scalars of a batch, which share an inversion in each window. Their sums, a product, an x and a table entry are 384 bytes
/// a scalar of G1 and 768 one of G2, to stay in a core's second-level cache: 512 were slower, 2048 no faster for G1 and
/// slower for G2.
const BATCH: usize = 1024;
/// The largest table. With it there are windows of 16 bits for G1 and of 15 for G2. Entries are asked for early enough that
/// the number of additions counts, not where the table lies. On eight lanes of a busy Zen 5, at best, a multiple of G1 took
/// 1006 ns with windows of 9 bits (1 MB, as large as the second-level cache), 737 with 13 (10 MB), 687 with 15, 659 with 16
/// and 614 with 17 (126 MB); one of G2 2188 with 15 and 2048 with 16 (134 MB).
const MAX_TABLE_BYTES: usize = 72 << 20;

/// Affine points whose coordinates the kernels can be given.
pub(super) trait Point: PrimeCurveAffine<Scalar = Scalar> + UncompressedEncoding {
    /// The coordinates' field in a kernel.
    type Coordinate<A: Arithmetic>: Field;

    /// x and y, real parts first; those of G1 have no other.
    fn coordinates(&self) -> [[blst_fp; 2]; 2];
}

impl Point for G1Affine {
    type Coordinate<A: Arithmetic> = A::Fp;

    fn coordinates(&self) -> [[blst_fp; 2]; 2] {
        let raw: &blst_p1_affine = self.as_ref();
        [[raw.x, blst_fp::default()], [raw.y, blst_fp::default()]]
    }
}

impl Point for G2Affine {
    type Coordinate<A: Arithmetic> = A::Fp2;

    fn coordinates(&self) -> [[blst_fp; 2]; 2] {
        let raw: &blst_p2_affine = self.as_ref();
        [raw.x.fp, raw.y.fp]
    }
}

/// All digits' multiples of a point in all windows, stored for the kernel of `A`.
pub(super) struct Table<A, P: PrimeCurveAffine> {
    /// For each window of `windows`, the entries of [`table::window`].
    entries: Vec<Vec<Line>>,
    windows: Windows,
    base: P::Curve,
    kernel: PhantomData<fn() -> A>,
}

impl<A: Arithmetic, P: Point> Table<A, P>
where
    P::Curve: Curve<AffineRepr = P>,
{
    /// Bytes of a point's encoding.
    pub(super) const BYTES: usize = 2 * 48 * P::Coordinate::<A>::COMPONENTS;

    /// The table of `base`, of the size that suits so many multiples.
    ///
    /// # Panics
    /// If the processor does not have the kernel.
    pub(super) fn new(base: P::Curve, multiples: usize) -> Self {
        let most = MAX_TABLE_BYTES / (8 * table::words::<P::Coordinate<A>>());
        Self::with_windows(base, Windows::best(multiples, most))
    }

    fn with_windows(base: P::Curve, windows: Windows) -> Self {
        // What all `unsafe` of this module relies on.
        assert!(A::KERNEL == Kernel::Portable || A::KERNEL == Kernel::detected());
        let doubled = table::doubled::<P>(base, windows.bits * windows.count);
        let entries = doubled
            .par_chunks_exact(windows.bits)
            .map(|doubled| table::window::<P::Coordinate<A>, P>(doubled))
            .collect();
        Self {
            entries,
            windows,
            base,
            kernel: PhantomData,
        }
    }

    /// Appends the multiples of all `scalars` in their order, uncompressed; that of nought is the point at infinity.
    pub(super) fn encode(&self, scalars: &[Scalar], out: &mut Vec<u8>) {
        out.reserve((scalars.len() + Batch::<P::Coordinate<A>>::STEP) * Self::BYTES);
        let mut batch = Batch::new();
        for scalars in scalars.chunks(BATCH) {
            self.encode_batch(scalars, &mut batch, out);
        }
    }

    /// By halves and finally by the library where the addition law does not cover a scalar: nought and two others.
    fn encode_batch(&self, scalars: &[Scalar], batch: &mut Batch<P::Coordinate<A>>, out: &mut Vec<u8>) {
        if batch.add_up(&self.entries, self.windows, scalars) {
            batch.encode(scalars.len(), out);
        } else if let [scalar] = scalars {
            let point = (self.base * scalar).to_affine();
            out.extend_from_slice(point.to_uncompressed().as_ref());
        } else {
            let (first, second) = scalars.split_at(scalars.len() / 2);
            self.encode_batch(first, batch, out);
            self.encode_batch(second, batch, out);
        }
    }
}

//! What differs between G1 and G2, on any kernel.

use blst::{blst_fp, blst_fp2, blst_p1_affine, blst_p2_affine};
use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use group::prime::PrimeCurveAffine;
use group::Group;
use sealdrop_lanes::Field;
use std::marker::PhantomData;

/// A group of points over a coordinate field.
pub(crate) trait Curve: Send + Sync + 'static {
    type F: Field;
    type Projective: Group<Scalar = Scalar> + Send + Sync;
    /// Bytes of an uncompressed point in the parameters.
    #[cfg(any(test, feature = "fuzzing"))]
    const BYTES: usize;
    /// Where the 48-byte numbers lie in it, in the order in which they are stored here: x, then y, real parts first.
    const COMPONENTS: &'static [usize];

    /// A stored point as the library's.
    ///
    /// # Safety
    /// `p` is valid for two coordinates.
    unsafe fn export(p: *const u64) -> Self::Projective;
    /// The library's point to a stored one; `false`, and nothing is written, if it is the point at infinity.
    ///
    /// # Safety
    /// `to` is valid for two coordinates.
    unsafe fn import(p: &Self::Projective, to: *mut u64) -> bool;
}

/// Points over `F`, an Fp.
pub(crate) struct G1<F>(PhantomData<F>);
/// Points over `F`, an Fp2.
pub(crate) struct G2<F>(PhantomData<F>);

impl<F: Field> Curve for G1<F> {
    type F = F;
    type Projective = G1Projective;
    #[cfg(any(test, feature = "fuzzing"))]
    const BYTES: usize = 96;
    const COMPONENTS: &'static [usize] = &[0, 48];

    unsafe fn export(p: *const u64) -> G1Projective {
        const { assert!(F::COMPONENTS == 1) };
        let (mut x, mut y) = ([blst_fp::default()], [blst_fp::default()]);
        // SAFETY: the caller's pointer is valid for two coordinates.
        unsafe {
            F::export(p, &mut x);
            F::export(p.add(F::WORDS), &mut y);
        }
        let mut affine = G1Affine::identity();
        *affine.as_mut() = blst_p1_affine { x: x[0], y: y[0] };
        affine.into()
    }
    unsafe fn import(p: &G1Projective, to: *mut u64) -> bool {
        let affine = G1Affine::from(p);
        if affine.is_identity().into() {
            return false;
        }
        let raw: &blst_p1_affine = affine.as_ref();
        // SAFETY: the caller's pointer is valid for two coordinates.
        unsafe {
            F::import(&[raw.x], to);
            F::import(&[raw.y], to.add(F::WORDS));
        }
        true
    }
}

impl<F: Field> Curve for G2<F> {
    type F = F;
    type Projective = G2Projective;
    #[cfg(any(test, feature = "fuzzing"))]
    const BYTES: usize = 192;
    // The encoding has the imaginary parts first.
    const COMPONENTS: &'static [usize] = &[48, 0, 144, 96];

    unsafe fn export(p: *const u64) -> G2Projective {
        const { assert!(F::COMPONENTS == 2) };
        let (mut x, mut y) = ([blst_fp::default(); 2], [blst_fp::default(); 2]);
        // SAFETY: the caller's pointer is valid for two coordinates.
        unsafe {
            F::export(p, &mut x);
            F::export(p.add(F::WORDS), &mut y);
        }
        let mut affine = G2Affine::identity();
        *affine.as_mut() = blst_p2_affine {
            x: blst_fp2 { fp: x },
            y: blst_fp2 { fp: y },
        };
        affine.into()
    }
    unsafe fn import(p: &G2Projective, to: *mut u64) -> bool {
        let affine = G2Affine::from(p);
        if affine.is_identity().into() {
            return false;
        }
        let raw: &blst_p2_affine = affine.as_ref();
        // SAFETY: the caller's pointer is valid for two coordinates.
        unsafe {
            F::import(&raw.x.fp, to);
            F::import(&raw.y.fp, to.add(F::WORDS));
        }
        true
    }
}

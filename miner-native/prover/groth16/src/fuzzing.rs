//! Checks for a fuzzer to call with any bytes: they panic where a rule is broken.

use crate::context::Context;
use crate::msm::{load, Biased, Curve, Sum, Window, G1, G2, MOST_BUCKETS};
use crate::parameters::{Layout, Points};
use crate::query::{canonical, Query};
use blstrs::{G1Affine, G2Affine, Scalar};
use ff::{Field, PrimeField};
use group::{prime::PrimeCurveAffine, Curve as _, UncompressedEncoding};
use sealdrop_lanes::{Arithmetic, Ifma, Kernel, Portable};
use std::sync::atomic::AtomicBool;

/// A parameter file of any bytes: an error or a layout, never a panic.
pub fn parameters(data: &[u8]) {
    // The verifying key's points are checked, which no fuzzer finds: its own, of generators, goes before the bytes.
    let _ = Layout::parse(data);
    let (g1, g2) = (
        G1Affine::generator().to_uncompressed(),
        G2Affine::generator().to_uncompressed(),
    );
    let (g1, g2): (&[u8], &[u8]) = (g1.as_ref(), g2.as_ref());
    let key = [g1, g1, g2, g2, g1, g2].concat();
    let _ = Layout::parse(&[&key, data].concat());
    let _ = Layout::parse(&[&key, &1u32.to_be_bytes()[..], g1, data].concat());
}

/// A multi-scalar sum of up to 64 points against the naive one, in both groups, on this machine's kernels.
///
/// Three bytes a term: which of eight points and its sign, so that equal and opposite ones are common, and a scalar near an
/// edge of the field or of a window.
pub fn msm(data: &[u8]) {
    let window = Window::new(2 + usize::from(data.first().copied().unwrap_or(0)) % 12);
    let terms: Vec<(u64, bool, Scalar)> = data
        .get(1..)
        .unwrap_or_default()
        .chunks_exact(3)
        .take(64)
        .map(term)
        .collect();
    let scalars: Vec<Scalar> = terms.iter().map(|t| t.2).collect();
    let multiple = |t: &(u64, bool, Scalar)| {
        let k = Scalar::from(t.0 + 1);
        if t.1 {
            -k
        } else {
            k
        }
    };
    let multiples: Vec<Scalar> = terms.iter().map(multiple).collect();
    let sum: Scalar = multiples.iter().zip(&scalars).map(|(m, s)| *m * s).sum();
    let g1: Vec<u8> = multiples
        .iter()
        .flat_map(|m| encoded((G1Affine::generator() * m).to_affine()))
        .collect();
    let g2: Vec<u8> = multiples
        .iter()
        .flat_map(|m| encoded((G2Affine::generator() * m).to_affine()))
        .collect();
    let (sum1, sum2) = (G1Affine::generator() * sum, G2Affine::generator() * sum);
    check::<G1<<Portable as Arithmetic>::Fp>>(&g1, &scalars, window, sum1);
    check::<G2<<Portable as Arithmetic>::Fp2>>(&g2, &scalars, window, sum2);
    if Kernel::detected() == Kernel::Ifma {
        check::<G1<<Ifma as Arithmetic>::Fp>>(&g1, &scalars, window, sum1);
        check::<G2<<Ifma as Arithmetic>::Fp2>>(&g2, &scalars, window, sum2);
    }
}

fn term(bytes: &[u8]) -> (u64, bool, Scalar) {
    let [which, kind, value] = [bytes[0], bytes[1], bytes[2]];
    let value = Scalar::from(u64::from(value));
    let scalar = match kind % 8 {
        0 | 1 => value,
        2 => -value,
        // (r + 1) / 2 and its neighbours.
        3 => Scalar::TWO_INV + value,
        4 => Scalar::TWO_INV - value,
        5 => Scalar::from(2).pow_vartime([u64::from(kind) * 8 % 255]) + value,
        6 => Scalar::from(2).pow_vartime([u64::from(kind) * 8 % 255]) - value,
        _ => value.pow_vartime([u64::from(kind)]),
    };
    (u64::from(which & 7), which & 8 != 0, scalar)
}

fn encoded<P: UncompressedEncoding>(p: P) -> Vec<u8> {
    p.to_uncompressed().as_ref().to_vec()
}

fn check<C: Curve>(bytes: &[u8], scalars: &[Scalar], window: Window, expected: C::Projective) {
    static GO: AtomicBool = AtomicBool::new(false);
    let context = Context::new(&GO, &|_, _, _| {});
    let file = Points::of(bytes, C::BYTES);
    let biased: Vec<Biased> = scalars.iter().map(|s| window.biaser()(&canonical(s))).collect();
    let sum = || {
        let mut sum = Sum::<C>::new(window, &context)?;
        sum.add(&load::<C>(file, 0..scalars.len(), &context)?, &biased)?;
        sum.finish()
    };
    assert!(
        sum().is_ok_and(|sum| sum == expected),
        "a sum in windows of {} bits",
        window.bits()
    );
    let query = Query::of_scalars(scalars).run::<C>(file, &context);
    assert!(query.is_ok_and(|sum| sum == expected), "a query");
    assert!(Window::best(scalars.len(), MOST_BUCKETS).buckets() <= 1 << MOST_BUCKETS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rng;
    use rand_core::RngCore;

    #[test]
    fn random_inputs_break_no_rule() {
        let mut rng = rng(1);
        for len in (0..190).step_by(7) {
            let mut data = vec![0; len];
            rng.fill_bytes(&mut data);
            msm(&data);
            parameters(&data);
        }
        msm(&[0x08; 190]);
    }
}

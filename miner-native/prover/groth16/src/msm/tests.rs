//! The sums against the library's, on both kernels, with what spoils batch additions: equal points, opposite points, sums
//! that are the point at infinity and go on.

use super::*;
use crate::context::Context;
use crate::parameters;
use crate::query::Query;
use crate::tests::{has_ifma, random_scalars, words};
use blstrs::{G1Affine, G2Affine, Scalar};
use ff::Field as _;
use group::prime::PrimeCurveAffine;
use group::{Curve as _, UncompressedEncoding};
use sealdrop_lanes::{Arithmetic, Ifma, Portable};
use std::sync::atomic::AtomicBool;

static GO: AtomicBool = AtomicBool::new(false);

/// Encoded points, and their sum with scalars by the library.
trait Reference: Curve + Sized {
    type Affine: UncompressedEncoding + PrimeCurveAffine<Curve = Self::Projective, Scalar = Scalar> + Copy;

    /// s times the generator.
    fn multiple(s: Scalar) -> Self::Affine;
    fn bytes(points: &[Self::Affine]) -> Vec<u8> {
        points
            .iter()
            .flat_map(|p| p.to_uncompressed().as_ref().to_vec())
            .collect()
    }
    fn naive(points: &[Self::Affine], scalars: &[Scalar]) -> Self::Projective {
        points.iter().zip(scalars).map(|(p, s)| *p * *s).sum()
    }
    /// The sum by [`Sum`], in one stretch and in two.
    fn check(points: &[Self::Affine], scalars: &[Scalar], window: Window) {
        let context = Context::new(&GO, &|_, _, _| {});
        let expected = Self::naive(points, scalars);
        let bytes = Self::bytes(points);
        let file = parameters::Points::of(&bytes, Self::BYTES);
        let biased: Vec<Biased> = scalars.iter().map(|s| window.biaser()(&words(s))).collect();
        for cut in [0, points.len() / 3] {
            let mut sum = Sum::<Self>::new(window, &context).unwrap();
            for range in [0..cut, cut..points.len()] {
                let stretch = load::<Self>(file, range.clone(), &context).unwrap();
                sum.add(&stretch, &biased[range]).unwrap();
            }
            assert!(
                sum.finish().unwrap() == expected,
                "{} points, {window:?}, cut at {cut}",
                points.len()
            );
        }
        Self::check_query(points, scalars);
    }
    /// The sum by [`Query`].
    fn check_query(points: &[Self::Affine], scalars: &[Scalar]) {
        let context = Context::new(&GO, &|_, _, _| {});
        let bytes = Self::bytes(points);
        let sum = Query::of_scalars(scalars)
            .run::<Self>(parameters::Points::of(&bytes, Self::BYTES), &context)
            .unwrap();
        assert!(
            sum == Self::naive(points, scalars),
            "a query of {} points",
            points.len()
        );
    }
}
impl<F: sealdrop_lanes::Field> Reference for G1<F> {
    type Affine = G1Affine;
    fn multiple(s: Scalar) -> G1Affine {
        (G1Affine::generator() * s).to_affine()
    }
}
impl<F: sealdrop_lanes::Field> Reference for G2<F> {
    type Affine = G2Affine;
    fn multiple(s: Scalar) -> G2Affine {
        (G2Affine::generator() * s).to_affine()
    }
}

/// Runs a check for both groups on both kernels.
macro_rules! everywhere {
    ($check:ident) => {
        $check::<G1<<Portable as Arithmetic>::Fp>>();
        $check::<G2<<Portable as Arithmetic>::Fp2>>();
        if has_ifma() {
            $check::<G1<<Ifma as Arithmetic>::Fp>>();
            $check::<G2<<Ifma as Arithmetic>::Fp2>>();
        }
    };
}

fn points<C: Reference>(n: usize, seed: u64) -> Vec<C::Affine> {
    random_scalars(n, seed).into_iter().map(C::multiple).collect()
}
/// What windows, signs and special cases can stumble over.
fn edge_scalars(n: usize) -> Vec<Scalar> {
    let half = Scalar::from(2).invert().unwrap();
    let edges = [
        Scalar::ZERO,
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::from(2),
        -Scalar::from(2),
        half,
        half - Scalar::ONE,
        -half,
        Scalar::from(255),
        Scalar::from(256),
        Scalar::from(1 << 14),
        Scalar::from(u64::MAX),
    ];
    let random = random_scalars(n, 17);
    (0..n)
        .map(|i| {
            if i % 3 == 2 {
                random[i]
            } else {
                edges[(i + i / 12) % 12]
            }
        })
        .collect()
}

fn random_sums<C: Reference>() {
    for n in [1, 2, 7, 8, 9, 100] {
        let points = points::<C>(n, n as u64);
        C::check(&points, &random_scalars(n, 4), Window::best(n, MOST_BUCKETS));
        C::check(&points, &edge_scalars(n), Window::new(7));
    }
    C::check(&[], &[], Window::new(3));
}
#[test]
fn sums_of_few_points_are_the_librarys() {
    everywhere!(random_sums);
}

fn equal_points<C: Reference>() {
    let p = points::<C>(1, 5)[0];
    for n in [2, 3, 8, 33] {
        C::check(&vec![p; n], &vec![Scalar::ONE; n], Window::new(4));
        C::check(&vec![p; n], &vec![-Scalar::from(3); n], Window::new(4));
        C::check(&vec![p; n], &edge_scalars(n), Window::new(5));
        C::check(&vec![p; n], &random_scalars(n, 6), Window::new(3));
    }
}
#[test]
fn equal_points_are_doubled() {
    everywhere!(equal_points);
}

fn opposite_points<C: Reference>() {
    let some = points::<C>(12, 8);
    let pairs: Vec<C::Affine> = some.iter().flat_map(|p| [*p, -*p]).collect();
    for scalars in [vec![Scalar::ONE; 24], vec![Scalar::from(9); 24], edge_scalars(24)] {
        C::check(&pairs, &scalars, Window::new(4));
    }
    // Infinity in the middle of a tree, of a bucket and of the weighted sums, and then more points.
    let (p, q) = (some[0], some[1]);
    for n in 1..9 {
        let mut points = vec![p; n];
        points.extend(vec![-p; n]);
        points.extend([q, q, p, -q]);
        for k in [1, 2, 5, 200] {
            C::check(&points, &vec![Scalar::from(k); points.len()], Window::new(4));
        }
    }
    // Opposite by their scalars.
    C::check(
        &[p, p, q],
        &[Scalar::from(77), -Scalar::from(77), Scalar::ONE],
        Window::new(6),
    );
    C::check(&[p, p], &[Scalar::from(77), -Scalar::from(77)], Window::new(6));
}
#[test]
fn opposite_points_give_infinity_and_it_goes_on() {
    everywhere!(opposite_points);
}

/// Points that collide after some additions: 1·G, 2·G, … in one bucket.
fn colliding_points<C: Reference>() {
    let line: Vec<C::Affine> = (1..=60u64).map(|k| C::multiple(Scalar::from(k))).collect();
    C::check(&line, &[Scalar::ONE; 60], Window::new(4));
    C::check(&line, &[Scalar::from(5); 60], Window::new(4));
    let back_and_forth: Vec<C::Affine> = line
        .iter()
        .enumerate()
        .map(|(i, p)| if i % 2 == 0 { *p } else { -*p })
        .collect();
    C::check(&back_and_forth, &[Scalar::ONE; 60], Window::new(4));
    C::check(
        &back_and_forth,
        &(0..60).map(Scalar::from).collect::<Vec<_>>(),
        Window::new(4),
    );
}
#[test]
fn partial_sums_that_are_equal_or_opposite_are_added_rightly() {
    everywhere!(colliding_points);
}

fn more_than_a_chunk<C: Reference>() {
    // Points with known logarithms, repeated, so that the expected sum costs one multiplication.
    let n = 3 * CHUNK + 5;
    let logarithms: Vec<Scalar> = random_scalars(50, 9);
    let fifty: Vec<C::Affine> = logarithms.iter().map(|s| C::multiple(*s)).collect();
    let points: Vec<C::Affine> = (0..n).map(|i| fifty[i % 50]).collect();
    let bytes = C::bytes(&points);
    let file = parameters::Points::of(&bytes, C::BYTES);
    let context = Context::new(&GO, &|_, _, _| {});
    for scalars in [random_scalars(n, 10), edge_scalars(n), vec![Scalar::ONE; n]] {
        let log: Scalar = scalars.iter().enumerate().map(|(i, s)| *s * logarithms[i % 50]).sum();
        let expected = C::Affine::generator() * log;
        let window = Window::new(8);
        let biased: Vec<Biased> = scalars.iter().map(|s| window.biaser()(&words(s))).collect();
        let mut sum = Sum::<C>::new(window, &context).unwrap();
        sum.add(&load::<C>(file, 0..n, &context).unwrap(), &biased).unwrap();
        assert!(sum.finish().unwrap() == expected);
        let query = Query::of_scalars(&scalars);
        assert!(query.run::<C>(file, &context).unwrap() == expected);
    }
}
#[test]
fn sums_over_several_chunks_are_right() {
    everywhere!(more_than_a_chunk);
}

#[test]
fn a_sum_stops_when_told() {
    let stop = AtomicBool::new(false);
    let context = Context::new(&stop, &|_, _, _| {});
    let points = points::<G1<<Portable as Arithmetic>::Fp>>(3, 1);
    let bytes = G1::<<Portable as Arithmetic>::Fp>::bytes(&points);
    let file = parameters::Points::of(&bytes, 96);
    let loaded = load::<G1<<Portable as Arithmetic>::Fp>>(file, 0..3, &context).unwrap();
    let mut sum = Sum::<G1<<Portable as Arithmetic>::Fp>>::new(Window::new(4), &context).unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(sum.add(&loaded, &[[0; 4]; 3]), Err(Error::Stopped)));
    assert!(matches!(sum.finish(), Err(Error::Stopped)));
}

#[test]
fn copies_of_buckets_keep_threads_busy() {
    for threads in 1..=64 {
        let copies = splits(17, threads);
        assert!((1..=4).contains(&copies));
        let rounds = (17 * copies).div_ceil(threads);
        assert!(
            threads > 32 || (17 * copies) as f64 / (rounds * threads) as f64 > 0.75,
            "{threads} threads"
        );
    }
}

//! The quotient against bellperson's seven transforms, on domains from one element up, on both kernels.

use super::*;
use crate::arena::Arena;
use crate::query::canonical;
use crate::tests::{has_ifma, random_scalars};
use bellperson::domain::EvaluationDomain;
use ec_gpu_gen::threadpool::Worker;
use sealdrop_lanes::{Arithmetic, Ifma, Portable};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

static GO: AtomicBool = AtomicBool::new(false);

fn compact(values: &[Scalar], arena: &Arc<Arena>) -> Compact {
    let mut out = Compact::new(arena, values.len()).unwrap();
    assert!(values.iter().all(|x| out.push(*x)));
    out
}

/// bellperson's `execute_fft`.
fn expected(a: &[Scalar], b: &[Scalar], c: &[Scalar]) -> Vec<Scalar> {
    let worker = Worker::new();
    let domain = |x: &[Scalar]| EvaluationDomain::from_coeffs(x.to_vec()).unwrap();
    let (mut a, mut b, mut c) = (domain(a), domain(b), domain(c));
    EvaluationDomain::ifft_many(&mut [&mut a, &mut b, &mut c], &worker, &mut None).unwrap();
    EvaluationDomain::coset_fft_many(&mut [&mut a, &mut b, &mut c], &worker, &mut None).unwrap();
    a.mul_assign(&worker, &b);
    a.sub_assign(&worker, &c);
    a.divide_by_z_on_coset(&worker);
    a.icoset_fft(&worker, &mut None).unwrap();
    a.into_coeffs()
}

fn quotient_of<S: ScalarField>(domain: Domain<S>, [a, b, c]: [&[Scalar]; 3]) -> Vec<Biased> {
    let context = Context::new(&GO, &|_, _, _| {});
    let [a, b, c] = [a, b, c].map(|x| compact(x, &context.arena));
    domain.quotient(a, b, c, Window::new(9), &context).unwrap().to_vec()
}
fn quotient<S: ScalarField>(log: u32, abc: [&[Scalar]; 3]) -> Vec<Biased> {
    quotient_of(Domain::<S>::new(log), abc)
}

fn check<S: ScalarField>(log: u32, used: usize) {
    let random = random_scalars(2 * used, u64::from(log));
    // Small numbers among them, as in circuits.
    let small = |i: usize, x: Scalar| {
        if i.is_multiple_of(3) {
            x
        } else {
            Scalar::from(i as u64 % 5)
        }
    };
    let a: Vec<Scalar> = (0..used).map(|i| small(i, random[i])).collect();
    let b: Vec<Scalar> = (0..used).map(|i| small(i + 1, random[used + i])).collect();
    let mut c: Vec<Scalar> = a.iter().zip(&b).map(|(a, b)| *a * b).collect();
    let bias = Window::new(9).biaser();
    let expected: Vec<Biased> = expected(&a, &b, &c).iter().map(|s| bias(&canonical(s))).collect();
    assert_eq!(expected.len(), 1 << log);
    let out = quotient::<S>(log, [&a, &b, &c]);
    assert!(out == expected, "2^{log}, {used} used, {:?}", S::KERNEL);
    assert_eq!(out.last(), Some(&bias(&[0; 4])));
    // A product that is wrong.
    c[used / 2] += Scalar::ONE;
    assert_ne!(quotient::<S>(log, [&a, &b, &c]).last(), Some(&bias(&[0; 4])));
}

#[test]
fn the_portable_quotient_is_bellpersons() {
    for log in 0..=13 {
        check::<<Portable as Arithmetic>::Fr>(log, 1 << log);
    }
    check::<<Portable as Arithmetic>::Fr>(12, 2049);
}

#[test]
fn the_vector_quotient_is_bellpersons() {
    if !has_ifma() {
        return;
    }
    for log in 3..=13 {
        check::<<Ifma as Arithmetic>::Fr>(log, 1 << log);
    }
    check::<<Ifma as Arithmetic>::Fr>(12, 2049);
}

#[test]
fn it_does_not_matter_how_a_domain_is_cut() {
    let log = 9;
    let a = random_scalars(1 << log, 1);
    let c: Vec<Scalar> = a.iter().map(Field::square).collect();
    let abc = [&*a, &a, &c];
    let expected = quotient::<<Portable as Arithmetic>::Fr>(log, abc);
    for low in 0..=log {
        assert!(
            quotient_of(Domain::<<Portable as Arithmetic>::Fr>::cut(log, low), abc) == expected,
            "2^{low}"
        );
        if low >= 3 && has_ifma() {
            assert!(
                quotient_of(Domain::<<Ifma as Arithmetic>::Fr>::cut(log, low), abc) == expected,
                "2^{low}"
            );
        }
    }
}

#[test]
fn transforms_stop_when_told() {
    let stop = AtomicBool::new(true);
    let context = Context::new(&stop, &|_, _, _| {});
    let [a, b, c] = [(); 3].map(|()| compact(&[Scalar::ONE; 16], &context.arena));
    let out = Domain::<<Portable as Arithmetic>::Fr>::new(4).quotient(a, b, c, Window::new(9), &context);
    assert!(matches!(out, Err(Error::Stopped)));
}

//! Under the same r and s the proof is bellperson's, bit for bit.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

mod common;

use common::{Case, Shape};
use rayon::ThreadPoolBuilder;
use sealdrop_groth16::{prove, Kernel, Options};

/// Both, or the portable one where there is no other.
fn kernels() -> Vec<Kernel> {
    match Kernel::detected() {
        Kernel::Portable => vec![Kernel::Portable],
        Kernel::Ifma => vec![Kernel::Portable, Kernel::Ifma],
    }
}

fn check(shape: Shape) {
    let case = Case::new(shape);
    for kernel in kernels() {
        let made = prove(case.circuit, &case.parameters, case.randomness, &Options::new(kernel)).unwrap();
        let mut bytes = vec![];
        made.proof.write(&mut bytes).unwrap();
        assert_eq!(bytes, case.expected, "{shape:?} {kernel:?}");
    }
}

#[test]
fn a_chain_of_cubes_is_proved_as_by_bellperson() {
    check(Shape::Chain(322));
}

#[test]
fn bits_are_proved_as_by_bellperson() {
    check(Shape::Bits(1000));
}

#[test]
fn repeated_and_cancelled_variables_are_proved_as_by_bellperson() {
    check(Shape::Repeated(20));
}

#[test]
fn an_unused_public_input_is_proved_as_by_bellperson() {
    check(Shape::UnusedInput);
}

#[test]
fn variables_in_one_polynomial_only_are_proved_as_by_bellperson() {
    check(Shape::OneSided);
}

#[test]
fn every_small_number_of_constraints_is_proved_as_by_bellperson() {
    for n in 2..=18 {
        check(Shape::Exactly(n));
    }
}

#[test]
fn a_power_of_two_of_constraints_and_one_more_are_proved_as_by_bellperson() {
    for n in [31, 32, 33, 256, 257, 2047, 2048, 2049] {
        check(Shape::Exactly(n));
    }
}

#[test]
fn small_and_negative_and_middle_numbers_are_proved_as_by_bellperson() {
    check(Shape::Small(700));
}

#[test]
fn more_constraints_than_a_strip_has_rows_are_proved_as_by_bellperson() {
    check(Shape::Repeated((1 << 14) + 100));
}

#[test]
fn the_proof_does_not_depend_on_the_number_of_threads() {
    let case = Case::new(Shape::Bits(2500));
    for threads in [1, 2, 3, 7] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for kernel in kernels() {
            let options = Options {
                pool: Some(&pool),
                ..Options::new(kernel)
            };
            let made = prove(case.circuit, &case.parameters, case.randomness, &options).unwrap();
            let mut bytes = vec![];
            made.proof.write(&mut bytes).unwrap();
            assert_eq!(bytes, case.expected, "{threads} threads, {kernel:?}");
        }
    }
}

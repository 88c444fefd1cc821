//! The generator against bellperson's own, byte for byte.

use super::generator::{generate, Trapdoor};
use bellperson::groth16::{generate_random_parameters, Parameters};
use bellperson::{Circuit, ConstraintSystem, LinearCombination, SynthesisError};
use blstrs::{Bls12, Scalar};
use ff::Field;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sealdrop_lanes::Kernel;

/// Several inputs and constraints; some variables appear in A only, in B only, in C only, or cancel out
/// of a query, so that the points at infinity of the A and B queries are exercised.
#[derive(Clone)]
struct Awkward;

impl Circuit<Scalar> for Awkward {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let one = || Ok(Scalar::ONE);
        let first = cs.alloc_input(|| "first", one)?;
        let second = cs.alloc_input(|| "second", one)?;
        let third = cs.alloc_input(|| "third", one)?;
        let only_a = cs.alloc(|| "only a", one)?;
        let only_b = cs.alloc(|| "only b", one)?;
        let only_c = cs.alloc(|| "only c", one)?;
        let everywhere = cs.alloc(|| "everywhere", one)?;
        let cancelled = cs.alloc(|| "cancelled in a", one)?;
        cs.enforce(
            || "1",
            |lc| lc + only_a + first,
            |lc| lc + only_b + CS::one(),
            |lc| lc + only_c,
        );
        cs.enforce(
            || "2",
            |lc| lc + everywhere + (Scalar::from(7), second),
            |lc| lc + everywhere,
            |lc| lc + everywhere + third,
        );
        cs.enforce(
            || "3",
            |lc| lc + cancelled - cancelled + first,
            |lc| lc + (Scalar::from(3), only_b),
            |lc| lc + cancelled,
        );
        let mut last = everywhere;
        for i in 0..2500u64 {
            let next = cs.alloc(|| "chain", one)?;
            cs.enforce(
                || "chain",
                |lc| lc + last,
                |lc| lc + last + (Scalar::from(i), CS::one()),
                |lc: LinearCombination<Scalar>| lc + next,
            );
            last = next;
        }
        Ok(())
    }
}

/// What [`Awkward`]'s constraints fit in.
const DOMAIN: usize = 4096;

fn stock(seed: u64) -> Vec<u8> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let parameters: Parameters<Bls12> =
        generate_random_parameters(Awkward, &mut rng).expect("the stock generator works");
    let mut bytes = Vec::new();
    parameters.write(&mut bytes).expect("a vector takes all");
    bytes
}

fn ours(kernel: Kernel, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let trapdoor = Trapdoor::draw(&mut ChaCha20Rng::seed_from_u64(seed));
    let mut bytes = Vec::new();
    let key = generate(kernel, || Awkward, DOMAIN, &trapdoor, &mut bytes, &mut |_, _| {}).expect("our generator works");
    (bytes, key)
}

/// The portable one, and the one of this processor.
fn kernels() -> [Kernel; 2] {
    [Kernel::Portable, Kernel::detected()]
}

#[test]
fn the_generator_writes_the_bytes_of_bellpersons_on_every_kernel() {
    let stock = stock(1);
    for kernel in kernels() {
        let (bytes, key) = ours(kernel, 1);
        assert!(bytes == stock, "parameters differ on {kernel:?}");
        assert_eq!(bytes[..key.len()], key, "the file opens with the verifying key");
    }
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let right = ours(Kernel::Portable, 1);
    for threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("a few threads");
        for kernel in kernels() {
            assert!(
                pool.install(|| ours(kernel, 1)) == right,
                "{threads} threads, {kernel:?}"
            );
        }
    }
}

#[test]
fn a_wrong_guess_of_the_domain_changes_nothing() {
    let trapdoor = Trapdoor::draw(&mut ChaCha20Rng::seed_from_u64(1));
    let right = ours(Kernel::best(), 1).0;
    for likely in [1, DOMAIN / 2, DOMAIN * 2, 1 << 20] {
        let mut bytes = Vec::new();
        generate(
            Kernel::best(),
            || Awkward,
            likely,
            &trapdoor,
            &mut bytes,
            &mut |_, _| {},
        )
        .expect("our generator works");
        assert!(bytes == right, "{likely}");
    }
}

#[test]
fn a_tau_among_the_domains_roots_is_refused() {
    let mut trapdoor = Trapdoor::draw(&mut ChaCha20Rng::seed_from_u64(1));
    trapdoor.tau = Scalar::ONE;
    let error = generate(
        Kernel::best(),
        || Awkward,
        DOMAIN,
        &trapdoor,
        &mut Vec::new(),
        &mut |_, _| {},
    );
    assert!(matches!(
        error.expect_err("must be refused"),
        super::generator::GeneratorError::Synthesis(SynthesisError::UnexpectedIdentity)
    ));
}

#[test]
fn another_seed_gives_other_parameters() {
    assert!(ours(Kernel::best(), 1).0 != ours(Kernel::best(), 2).0);
}

#[test]
fn progress_ends_at_its_total_and_never_falls() {
    let trapdoor = Trapdoor::draw(&mut ChaCha20Rng::seed_from_u64(1));
    let mut heard = Vec::new();
    let mut progress = |done, total| heard.push((done, total));
    generate(
        Kernel::best(),
        || Awkward,
        DOMAIN,
        &trapdoor,
        &mut Vec::new(),
        &mut progress,
    )
    .expect("our generator works");
    assert!(heard.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    let (done, total) = *heard.last().expect("something was reported");
    assert!(total > 0);
    assert_eq!(done, total);
}

#[test]
fn a_variable_that_nothing_binds_is_refused() {
    struct Loose;
    impl Circuit<Scalar> for Loose {
        fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
            cs.alloc(|| "loose", || Ok(Scalar::ONE))?;
            Ok(())
        }
    }
    let trapdoor = Trapdoor::draw(&mut ChaCha20Rng::seed_from_u64(1));
    let error = generate(
        Kernel::best(),
        || Loose,
        DOMAIN,
        &trapdoor,
        &mut Vec::new(),
        &mut |_, _| {},
    )
    .expect_err("must be refused");
    assert!(matches!(
        error,
        super::generator::GeneratorError::Synthesis(SynthesisError::UnconstrainedVariable)
    ));
}

//! Proofs: synthesis, the quotient, five sums, and their combination under the two random scalars.
//!
//! The formulas and the order of everything are those of bellperson's `create_proof_batch_priority_inner`, so that under equal
//! random scalars the proofs are equal.

use crate::arena::Arena;
use crate::assignment::{Assignment, Capacity};
use crate::compact::Compact;
use crate::context::Context;
use crate::fft::Domain;
use crate::msm::{load, Curve, Sum, Window, G1, G2, MOST_BUCKETS};
use crate::query::{values, Query};
use crate::report::{Part, Report};
use crate::{Error, Parameters};
use bellperson::groth16::{verify_proof, PreparedVerifyingKey, Proof, VerifyingKey};
use bellperson::Circuit;
use blstrs::{Bls12, G1Projective, G2Projective, Scalar};
use ff::Field;
use group::Curve as _;
use rand_core::RngCore;
use rayon::ThreadPool;
use sealdrop_lanes::{Arithmetic, Ifma, Kernel, Portable, ScalarField};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The two scalars that make a proof tell nothing: each proof needs fresh ones.
#[derive(Clone, Copy)]
pub struct Randomness {
    /// Blinds A.
    pub r: Scalar,
    /// Blinds B.
    pub s: Scalar,
}

impl Randomness {
    /// Draws both; `rng` is the system's, but in tests.
    pub fn draw(mut rng: impl RngCore) -> Self {
        Self {
            r: Scalar::random(&mut rng),
            s: Scalar::random(&mut rng),
        }
    }
}

/// How a proof is made.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Whose arithmetic; the portable one's if this processor has not that.
    pub kernel: Kernel,
    /// Whose threads; the current rayon pool's if there is none.
    pub pool: Option<&'a ThreadPool>,
    /// Called at the beginning of each part, for each of its steps and at its end, with how many of how many steps are done;
    /// from any of the threads.
    pub progress: &'a (dyn Fn(Part, u64, u64) + Sync),
    /// When it becomes true, [`Error::Stopped`] comes within a second or so.
    pub stop: &'a AtomicBool,
}

impl Options<'_> {
    /// On the current rayon pool, told nothing and never stopped.
    pub fn new(kernel: Kernel) -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            kernel,
            pool: None,
            progress: &|_, _, _| {},
            stop: &NEVER,
        }
    }
}

/// A proof and what it proves.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The proof; [`Proof::write`] gives its 192 bytes.
    pub proof: Proof<Bls12>,
    /// The circuit's public inputs, without the constant 1 at their front: what a verifier is given.
    pub inputs: Vec<Scalar>,
    /// What it took.
    pub report: Report,
}

/// Proves a circuit. The proof is not verified: see [`prove_verified`].
pub fn prove<C: Circuit<Scalar> + Send>(
    circuit: C,
    parameters: &Parameters,
    randomness: Randomness,
    options: &Options<'_>,
) -> Result<Proven, Error> {
    prove_on(&Arc::default(), circuit, parameters, randomness, options)
}

fn prove_on<C: Circuit<Scalar> + Send>(
    arena: &Arc<Arena>,
    circuit: C,
    parameters: &Parameters,
    randomness: Randomness,
    options: &Options<'_>,
) -> Result<Proven, Error> {
    let context = Context::on(arena.clone(), options.stop, options.progress);
    let run = || match options.kernel.usable() {
        Kernel::Portable => prove_in::<Portable, C>(circuit, parameters, randomness, &context),
        Kernel::Ifma => prove_in::<Ifma, C>(circuit, parameters, randomness, &context),
    };
    let (proof, inputs) = match options.pool {
        Some(pool) => pool.install(run)?,
        None => run()?,
    };
    let counters = &context.counters;
    let report = Report {
        parts: context.take_parts(),
        multiplications_fp: counters.fp.load(Ordering::Relaxed),
        multiplications_fr: counters.fr.load(Ordering::Relaxed),
        additions: counters.additions.load(Ordering::Relaxed),
    };
    Ok(Proven { proof, inputs, report })
}

/// Proves a circuit and verifies the proof under `key`, which the caller prepared from the key that it trusts, with
/// bellperson; [`Error::Refused`] if it does not hold.
pub fn prove_verified<C: Circuit<Scalar> + Send>(
    circuit: C,
    parameters: &Parameters,
    key: &PreparedVerifyingKey<Bls12>,
    randomness: Randomness,
    options: &Options<'_>,
) -> Result<Proven, Error> {
    verified(prove(circuit, parameters, randomness, options)?, key)
}

/// [`prove_verified`] for one circuit after the other, such as a sector's partitions, in the same memory: for what one proof's
/// pages were the next one need not wait. `randomness` is called once a circuit.
pub fn prove_all<C: Circuit<Scalar> + Send>(
    circuits: impl IntoIterator<Item = C>,
    parameters: &Parameters,
    key: &PreparedVerifyingKey<Bls12>,
    mut randomness: impl FnMut() -> Randomness,
    options: &Options<'_>,
) -> Result<Vec<Proven>, Error> {
    let arena = Arc::default();
    let prove = |circuit| verified(prove_on(&arena, circuit, parameters, randomness(), options)?, key);
    circuits.into_iter().map(prove).collect()
}

fn verified(proven: Proven, key: &PreparedVerifyingKey<Bls12>) -> Result<Proven, Error> {
    match verify_proof(key, &proven.proof, &proven.inputs) {
        Ok(true) => Ok(proven),
        _ => Err(Error::Refused),
    }
}

/// The sums of a proof.
struct Sums {
    h: G1Projective,
    l: G1Projective,
    a: G1Projective,
    b_g1: G1Projective,
    b_g2: G2Projective,
}

/// What is left of an assignment when A, B and C went into the quotient.
struct Queries {
    input: Vec<Scalar>,
    l: Query,
    a: Query,
    b: Query,
}

fn prove_in<K: Arithmetic, C: Circuit<Scalar>>(
    circuit: C,
    parameters: &Parameters,
    randomness: Randomness,
    context: &Context<'_>,
) -> Result<(Proof<Bls12>, Vec<Scalar>), Error> {
    let n = parameters.domain();
    let (abc, queries) = context.part(Part::Synthesis, 1, || {
        let capacity = Capacity {
            constraints: n,
            inputs: parameters.verifying_key().ic.len(),
            aux: parameters.l().len(),
        };
        let assignment = Assignment::synthesize(circuit, capacity, &context.arena, context.stop)?;
        check_fit(&assignment, parameters)?;
        Ok(split(assignment))
    })?;
    let h = match n < K::Fr::LANES {
        // A vector is longer than the domain.
        true => quotient_sum::<K, Portable>(abc, parameters, context)?,
        false => quotient_sum::<K, K>(abc, parameters, context)?,
    };
    let Queries { input, l, a, b } = queries;
    let sums = Sums {
        h,
        l: context.part(Part::L, l.steps(), || l.run::<G1<K::Fp>>(parameters.l(), context))?,
        a: context.part(Part::A, a.steps(), || a.run::<G1<K::Fp>>(parameters.a(), context))?,
        b_g1: context.part(Part::BG1, b.steps(), || b.run::<G1<K::Fp>>(parameters.b_g1(), context))?,
        b_g2: context.part(Part::BG2, b.steps(), || b.run::<G2<K::Fp2>>(parameters.b_g2(), context))?,
    };
    let proof = combine(parameters.verifying_key(), randomness, sums);
    Ok((proof, input[1..].to_vec()))
}

/// The parameters' arrays against what the circuit has.
fn check_fit(p: &Assignment<'_>, parameters: &Parameters) -> Result<(), Error> {
    let domain = p.a.len().next_power_of_two();
    let a = p.input.len() + p.a_aux_density.total();
    let b = p.b_input_density.total() + p.b_aux_density.total();
    let counts = [
        ("public inputs", p.input.len(), parameters.verifying_key().ic.len()),
        ("auxiliary variables", p.aux.len(), parameters.l().len()),
        ("variables in A", a, parameters.a().len()),
        ("variables in B", b, parameters.b_g1().len()),
        ("elements in its domain", domain, parameters.domain()),
    ];
    match counts
        .into_iter()
        .find(|(_, circuit, parameters)| circuit != parameters)
    {
        Some((what, circuit, parameters)) => Err(Error::DoNotFit {
            what,
            circuit,
            parameters,
        }),
        None => Ok(()),
    }
}

/// Sorts the variables into queries, which need no assignment any more.
fn split(p: Assignment<'_>) -> ([Compact; 3], Queries) {
    let none = |_: usize| false;
    let all = |_: usize| true;
    let (l, (a, b)) = rayon::join(
        || Query::new(values(&p.input, none, &p.aux, all)),
        || {
            rayon::join(
                || Query::new(values(&p.input, all, &p.aux, |i| p.a_aux_density.contains(i))),
                || {
                    let input = |i: usize| p.b_input_density.contains(i);
                    Query::new(values(&p.input, input, &p.aux, |i| p.b_aux_density.contains(i)))
                },
            )
        },
    );
    (
        [p.a, p.b, p.c],
        Queries {
            input: p.input,
            l,
            a,
            b,
        },
    )
}

/// The commitment to the quotient; the transforms by `T`, the sum by `K`.
fn quotient_sum<K: Arithmetic, T: Arithmetic>(
    [a, b, c]: [Compact; 3],
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<G1Projective, Error> {
    let n = parameters.domain();
    let window = Window::best(n, MOST_BUCKETS);
    let scalars = context.part(Part::Transforms, Domain::<T::Fr>::STEPS, || {
        // The transforms' two arrays and their result; the sum's points later lie where the first were.
        context
            .arena
            .reserve(2 * n / T::Fr::LANES * size_of::<T::Fr>() + n * 32)?;
        let domain = Domain::<T::Fr>::new(n.trailing_zeros());
        domain.quotient(a, b, c, window, context)
    })?;
    let (last, scalars) = scalars.split_last().ok_or(Error::Unsatisfied)?;
    if *last != window.biaser()(&[0; 4]) {
        return Err(Error::Unsatisfied);
    }
    let file = parameters.h();
    let stretches = file.len().div_ceil(STRETCH) as u64;
    context.part(Part::H, stretches * Sum::<G1<K::Fp>>::steps(window), || {
        dense_sum::<G1<K::Fp>>(file, scalars, window, context)
    })
}

/// Points of the dense query that are in memory at a time, twice.
const STRETCH: usize = 1 << 18;

/// Σ scalars[i]·file[i]: while one stretch is added the next is read.
fn dense_sum<C: Curve>(
    file: crate::parameters::Points<'_>,
    scalars: &[crate::msm::Biased],
    window: Window,
    context: &Context<'_>,
) -> Result<C::Projective, Error> {
    let n = file.len();
    let read = |from: usize| load::<C>(file, from.min(n)..n.min(from + STRETCH), context);
    let mut sum = Sum::<C>::new(window, context)?;
    let mut points = read(0)?;
    for from in (0..n).step_by(STRETCH) {
        let stretch = &scalars[from..from + points.len()];
        let (next, added) = rayon::join(|| read(from + STRETCH), || sum.add(&points, stretch));
        added?;
        points = next?;
    }
    sum.finish()
}

fn combine(vk: &VerifyingKey<Bls12>, Randomness { r, s }: Randomness, sums: Sums) -> Proof<Bls12> {
    let Sums { h, l, a, b_g1, b_g2 } = sums;
    let g_a = vk.delta_g1 * r + vk.alpha_g1 + a;
    let g_b = vk.delta_g2 * s + vk.beta_g2 + b_g2;
    let g_c = a * s + b_g1 * r + vk.delta_g1 * (r * s) + vk.alpha_g1 * s + vk.beta_g1 * r + h + l;
    Proof {
        a: g_a.to_affine(),
        b: g_b.to_affine(),
        c: g_c.to_affine(),
    }
}

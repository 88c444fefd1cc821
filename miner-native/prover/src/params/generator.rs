//! A Groth16 key for one circuit, written in bellperson's parameter format.
//!
//! The output is byte for byte what `bellperson::groth16::generate_random_parameters` would write with the same random
//! numbers (a test compares them), in a small part of its time and memory; shared/docs/benchmarks.md has figures.
//! Called by `ensure` through `circuits`; uses `synthesis` and `fixed_base`.
//!
//! The format has every coordinate uncompressed: reading one is a permutation of bytes and a multiplication, all together
//! 0.4 of 16 CPU-seconds when the prover was tried out. A layout of our own could save no more than those 3 %: there is none.

use super::fixed_base::{Point, Table};
use super::synthesis::{evaluate, invert, Evaluation};
use bellperson::{groth16::VerifyingKey, Circuit, SynthesisError};
use blstrs::{Bls12, G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use ff::Field;
use group::{Curve, Group};
use rand_core::RngCore;
use rayon::prelude::*;
use sealdrop_lanes::{Arithmetic, Ifma, Kernel, Portable};
use std::io::{self, Write};
use std::ops::Range;

/// Points of one task: two batches of the fixed-base sums.
const TASK_POINTS: usize = 2048;
/// Tasks between two writes and two reports of progress.
const TASKS: usize = 64;
/// A point of G2 costs about this many points of G1; progress counts in points of G1.
const G2_WEIGHT: u64 = 3;

/// Why no key came out.
#[derive(Debug, thiserror::Error)]
pub(super) enum GeneratorError {
    #[error("the circuit could not be synthesised: {0}")]
    Synthesis(#[from] SynthesisError),
    #[error("writing failed: {0}")]
    Io(#[from] io::Error),
    #[error("{0} points do not fit the format's 32-bit counts")]
    TooManyPoints(usize),
}

/// The secrets of a set-up. Whoever knows them can forge proofs, and with a seeded generator that is
/// everyone: see the module `params`.
pub(super) struct Trapdoor {
    pub(super) g1: G1Projective,
    pub(super) g2: G2Projective,
    pub(super) alpha: Scalar,
    pub(super) beta: Scalar,
    pub(super) gamma: Scalar,
    pub(super) delta: Scalar,
    pub(super) tau: Scalar,
}

impl Trapdoor {
    /// Drawn in bellperson's order.
    pub(super) fn draw(rng: &mut impl RngCore) -> Self {
        Self {
            g1: G1Projective::random(&mut *rng),
            g2: G2Projective::random(&mut *rng),
            alpha: Scalar::random(&mut *rng),
            beta: Scalar::random(&mut *rng),
            gamma: Scalar::random(&mut *rng),
            delta: Scalar::random(&mut *rng),
            tau: Scalar::random(&mut *rng),
        }
    }
}

/// Writes the parameters to `out` and returns the verifying key's bytes, which do not depend on the kernel. `progress`
/// hears (done, total) units of work; before the first point is out, the total is 0. If the circuit's domain is not of the
/// `likely` size, that costs a second synthesis.
pub(super) fn generate<C: Circuit<Scalar>>(
    kernel: Kernel,
    circuit: impl Fn() -> C,
    likely: usize,
    trapdoor: &Trapdoor,
    out: &mut (impl Write + Send),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, GeneratorError> {
    progress(0, 0);
    let evaluation = evaluate(circuit, &trapdoor.tau, likely)?;
    match kernel {
        Kernel::Portable => write::<Portable, _>(evaluation, trapdoor, out, progress),
        Kernel::Ifma => write::<Ifma, _>(evaluation, trapdoor, out, progress),
    }
}

/// From the polynomials' values to the parameters.
fn write<A: Arithmetic, W: Write + Send>(
    evaluation: Evaluation,
    trapdoor: &Trapdoor,
    out: &mut W,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, GeneratorError> {
    let by_gamma = invert(&trapdoor.gamma)?;
    let by_delta = invert(&trapdoor.delta)?;
    let key = verifying_key(trapdoor, &evaluation.inputs, &by_gamma);
    let mut key_bytes = Vec::new();
    key.write(&mut key_bytes)?;
    out.write_all(&key_bytes)?;

    let h = Powers::new(&trapdoor.tau, &(evaluation.vanishing * by_delta), evaluation.domain - 1);
    let [a_inputs, b_inputs, _] = evaluation.inputs;
    let [a, b, mut l] = evaluation.aux;
    l.par_iter_mut()
        .zip(a.par_iter().zip(&b))
        .for_each(|(c, (a, b))| *c = combined(trapdoor, a, b, c) * by_delta);
    let (a, b) = (Query::new(a_inputs, a), Query::new(b_inputs, b));
    let points = |n: usize| n as u64;
    let mut emit = Emission {
        out,
        progress,
        done: 0,
        total: points(h.n) + points(l.len()) + points(a.len()) + points(b.len()) * (1 + G2_WEIGHT),
    };
    let g1 = Table::<A, G1Affine>::new(trapdoor.g1, h.n + l.len() + a.len() + b.len());
    emit.points(&g1, h.n, 1, |i| h.at(i))?;
    emit.points(&g1, l.len(), 1, |i| l[i])?;
    drop(l);
    emit.points(&g1, a.len(), 1, |i| a.at(i))?;
    drop(a);
    emit.points(&g1, b.len(), 1, |i| b.at(i))?;
    drop(g1);
    let g2 = Table::<A, G2Affine>::new(trapdoor.g2, b.len());
    emit.points(&g2, b.len(), G2_WEIGHT, |i| b.at(i))?;
    Ok(key_bytes)
}

/// beta·A + alpha·B + C of one variable.
fn combined(trapdoor: &Trapdoor, a: &Scalar, b: &Scalar, c: &Scalar) -> Scalar {
    *a * trapdoor.beta + *b * trapdoor.alpha + c
}

fn verifying_key(trapdoor: &Trapdoor, [a, b, c]: &[Vec<Scalar>; 3], by_gamma: &Scalar) -> VerifyingKey<Bls12> {
    let input = |((a, b), c)| trapdoor.g1 * (combined(trapdoor, a, b, c) * by_gamma);
    VerifyingKey {
        alpha_g1: (trapdoor.g1 * trapdoor.alpha).to_affine(),
        beta_g1: (trapdoor.g1 * trapdoor.beta).to_affine(),
        beta_g2: (trapdoor.g2 * trapdoor.beta).to_affine(),
        gamma_g2: (trapdoor.g2 * trapdoor.gamma).to_affine(),
        delta_g1: (trapdoor.g1 * trapdoor.delta).to_affine(),
        delta_g2: (trapdoor.g2 * trapdoor.delta).to_affine(),
        ic: a.iter().zip(b).zip(c).map(|values| input(values).to_affine()).collect(),
    }
}

/// factor · tau^i for any i below n, from two short tables.
struct Powers {
    n: usize,
    large: Vec<Scalar>,
    small: Vec<Scalar>,
}

impl Powers {
    fn new(tau: &Scalar, factor: &Scalar, n: usize) -> Self {
        let mut small = Vec::with_capacity(TASK_POINTS);
        let mut power = Scalar::ONE;
        for _ in 0..TASK_POINTS {
            small.push(power);
            power *= tau;
        }
        let large = (0..n.div_ceil(TASK_POINTS))
            .into_par_iter()
            .map(|i| tau.pow_vartime([(i * TASK_POINTS) as u64]) * factor)
            .collect();
        Self { n, large, small }
    }

    fn at(&self, i: usize) -> Scalar {
        self.large[i / TASK_POINTS] * self.small[i % TASK_POINTS]
    }
}

/// The scalars of the A or the B query: those of inputs, then the others, without zeros, as bellperson leaves out points
/// at infinity.
struct Query {
    inputs: Vec<Scalar>,
    aux: Vec<Scalar>,
}

impl Query {
    fn new(mut inputs: Vec<Scalar>, mut aux: Vec<Scalar>) -> Self {
        for values in [&mut inputs, &mut aux] {
            values.retain(|value| !value.is_zero_vartime());
            values.shrink_to_fit();
        }
        Self { inputs, aux }
    }

    fn len(&self) -> usize {
        self.inputs.len() + self.aux.len()
    }

    fn at(&self, i: usize) -> Scalar {
        match i.checked_sub(self.inputs.len()) {
            None => self.inputs[i],
            Some(i) => self.aux[i],
        }
    }
}

struct Emission<'a, W> {
    out: &'a mut W,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl<W: Write + Send> Emission<'_, W> {
    /// A 32-bit count, then the multiples of the table's base by `scalar(0..n)`, uncompressed. Points are written, and
    /// hashed by the writer, while the next ones are computed.
    fn points<A: Arithmetic, P: Point>(
        &mut self,
        table: &Table<A, P>,
        n: usize,
        weight: u64,
        scalar: impl Fn(usize) -> Scalar + Sync,
    ) -> Result<(), GeneratorError>
    where
        P::Curve: Curve<AffineRepr = P>,
    {
        let count = u32::try_from(n).map_err(|_| GeneratorError::TooManyPoints(n))?;
        self.out.write_all(&count.to_be_bytes())?;
        let stretch = |start: usize| start..(start + TASK_POINTS * TASKS).min(n);
        let mut ready = encode(table, stretch(0), &scalar)?;
        let mut start = 0;
        while start < n {
            let (now, next) = (stretch(start), stretch(stretch(start).end));
            let out = &mut *self.out;
            let (written, computed) = rayon::join(
                || ready.iter().try_for_each(|bytes| out.write_all(bytes)),
                || encode(table, next, &scalar),
            );
            written?;
            ready = computed?;
            start = now.end;
            self.done += now.len() as u64 * weight;
            (self.progress)(self.done, self.total);
        }
        Ok(())
    }
}

/// The points of a stretch, task by task. One at infinity would be a variable that no constraint binds; bellperson refuses
/// it too.
fn encode<A: Arithmetic, P: Point>(
    table: &Table<A, P>,
    stretch: Range<usize>,
    scalar: &(impl Fn(usize) -> Scalar + Sync),
) -> Result<Vec<Vec<u8>>, SynthesisError>
where
    P::Curve: Curve<AffineRepr = P>,
{
    let tasks: Vec<usize> = stretch.clone().step_by(TASK_POINTS).collect();
    let task = |from: usize| {
        let to = (from + TASK_POINTS).min(stretch.end);
        let scalars: Vec<Scalar> = (from..to).map(scalar).collect();
        if scalars.iter().any(ff::Field::is_zero_vartime) {
            return Err(SynthesisError::UnconstrainedVariable);
        }
        let mut bytes = Vec::new();
        table.encode(&scalars, &mut bytes);
        Ok(bytes)
    };
    tasks.into_par_iter().map(task).collect()
}

//! A Groth16 key for one circuit, written in bellperson's parameter format.
//!
//! The output is byte for byte what `bellperson::groth16::generate_random_parameters` would write with
//! the same random numbers (a test compares them), at a tenth of the time and of the memory.
//! Called by `ensure` through `circuits`; uses `synthesis` and `fixed_base`.

use super::fixed_base::{AffinePoint, Table};
use super::synthesis::{evaluate, invert, Evaluation};
use bellperson::{groth16::VerifyingKey, Circuit, SynthesisError};
use blstrs::{Bls12, G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use ff::Field;
use group::{Curve, Group};
use rand_core::RngCore;
use rayon::prelude::*;
use std::io::{self, Write};

/// Points of one task: its batch shares an inversion and stays in a core's cache.
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

/// Writes the parameters to `out` and returns the verifying key's bytes. `progress` hears (done, total)
/// units of work; before the first point is out, the total is 0.
pub(super) fn generate<C: Circuit<Scalar>>(
    circuit: impl Fn() -> C,
    trapdoor: &Trapdoor,
    out: &mut impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, GeneratorError> {
    progress(0, 0);
    let evaluation = evaluate(circuit, &trapdoor.tau)?;
    let by_gamma = invert(&trapdoor.gamma)?;
    let by_delta = invert(&trapdoor.delta)?;
    let g1 = Table::<G1Affine>::new(trapdoor.g1);
    let g2 = Table::<G2Affine>::new(trapdoor.g2);

    let key = verifying_key(trapdoor, &evaluation.inputs, &by_gamma, &g1);
    let mut key_bytes = Vec::new();
    key.write(&mut key_bytes)?;
    out.write_all(&key_bytes)?;

    let Evaluation {
        inputs,
        aux,
        domain,
        vanishing,
    } = evaluation;
    // Points at infinity do not appear in the A and B queries.
    let query = |k: usize| -> Vec<Scalar> {
        let all = inputs[k].iter().chain(&aux[k]);
        all.filter(|s| !s.is_zero_vartime()).copied().collect()
    };
    let (a, b) = (query(0), query(1));
    let (h, l) = (domain - 1, aux[0].len());
    let points = |n: usize| n as u64;
    let total = points(h) + points(l) + points(a.len()) + points(b.len()) * (1 + G2_WEIGHT);
    let mut emit = Emission {
        out,
        progress,
        done: 0,
        total,
    };
    let powers = Powers::new(&trapdoor.tau, &(vanishing * by_delta), h);
    emit.points(&g1, h, 1, |i| powers.at(i))?;
    emit.points(&g1, l, 1, |i| combined(trapdoor, &aux, i) * by_delta)?;
    emit.points(&g1, a.len(), 1, |i| a[i])?;
    emit.points(&g1, b.len(), 1, |i| b[i])?;
    emit.points(&g2, b.len(), G2_WEIGHT, |i| b[i])?;
    Ok(key_bytes)
}

/// beta·A + alpha·B + C of one variable.
fn combined(trapdoor: &Trapdoor, values: &[Vec<Scalar>; 3], i: usize) -> Scalar {
    values[0][i] * trapdoor.beta + values[1][i] * trapdoor.alpha + values[2][i]
}

fn verifying_key(
    trapdoor: &Trapdoor,
    inputs: &[Vec<Scalar>; 3],
    by_gamma: &Scalar,
    g1: &Table<G1Affine>,
) -> VerifyingKey<Bls12> {
    VerifyingKey {
        alpha_g1: (trapdoor.g1 * trapdoor.alpha).to_affine(),
        beta_g1: (trapdoor.g1 * trapdoor.beta).to_affine(),
        beta_g2: (trapdoor.g2 * trapdoor.beta).to_affine(),
        gamma_g2: (trapdoor.g2 * trapdoor.gamma).to_affine(),
        delta_g1: (trapdoor.g1 * trapdoor.delta).to_affine(),
        delta_g2: (trapdoor.g2 * trapdoor.delta).to_affine(),
        ic: (0..inputs[0].len())
            .map(|i| g1.multiple(&(combined(trapdoor, inputs, i) * by_gamma)))
            .collect(),
    }
}

/// factor · tau^i for any i, from two short tables.
struct Powers {
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
        Self { large, small }
    }

    fn at(&self, i: usize) -> Scalar {
        self.large[i / TASK_POINTS] * self.small[i % TASK_POINTS]
    }
}

struct Emission<'a, W> {
    out: &'a mut W,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    total: u64,
}

impl<W: Write> Emission<'_, W> {
    /// A 32-bit count, then the multiples of the table's base by `scalar(0..n)`, uncompressed.
    fn points<P>(
        &mut self,
        table: &Table<P>,
        n: usize,
        weight: u64,
        scalar: impl Fn(usize) -> Scalar + Sync,
    ) -> Result<(), GeneratorError>
    where
        P: AffinePoint,
        P::Curve: Curve<AffineRepr = P>,
    {
        let count = u32::try_from(n).map_err(|_| GeneratorError::TooManyPoints(n))?;
        self.out.write_all(&count.to_be_bytes())?;
        for start in (0..n).step_by(TASK_POINTS * TASKS) {
            let end = (start + TASK_POINTS * TASKS).min(n);
            let tasks: Vec<usize> = (start..end).step_by(TASK_POINTS).collect();
            let written: Vec<Vec<u8>> = tasks
                .into_par_iter()
                .map(|from| {
                    let to = (from + TASK_POINTS).min(end);
                    let scalars: Vec<Scalar> = (from..to).map(&scalar).collect();
                    encode(&table.multiples(&scalars))
                })
                .collect::<Result<_, SynthesisError>>()?;
            for bytes in &written {
                self.out.write_all(bytes)?;
            }
            self.done += (end - start) as u64 * weight;
            (self.progress)(self.done, self.total);
        }
        Ok(())
    }
}

/// A point at infinity here is a variable that no constraint binds; bellperson refuses it too.
fn encode<P: AffinePoint>(points: &[P]) -> Result<Vec<u8>, SynthesisError> {
    let mut bytes = Vec::new();
    for point in points {
        if point.is_identity().into() {
            return Err(SynthesisError::UnconstrainedVariable);
        }
        bytes.extend_from_slice(point.to_uncompressed().as_ref());
    }
    Ok(bytes)
}

//! Groth16's equation, for one partition or for many at once.

use crate::inputs::{Input, Inputs};
use crate::key::{take, Key};
use crate::refusal::{Point, Refusal};
use crate::{sum, PARTITION_PROOF};
use alloc::vec::Vec;
use bls12_381::{multi_miller_loop, G1Affine, G1Projective, G2Affine, G2Prepared, Gt, Scalar};
use sha2::{Digest, Sha256};

/// Partitions that are checked in one equation: more would save next to nothing, and each holds 20 kB meanwhile.
const MAX_BATCH: usize = 64;

struct Proof {
    a: G1Affine,
    b: G2Affine,
    c: G1Affine,
}

impl Proof {
    /// A, B, C, compressed: in their groups, and none of them zero.
    fn read(mut bytes: &[u8], partition: usize) -> Result<Self, Refusal> {
        let refused = |point| Refusal::NotAPoint { point, partition };
        let a = g1(&mut bytes).ok_or(refused(Point::A))?;
        let b = g2(&mut bytes).ok_or(refused(Point::B))?;
        let c = g1(&mut bytes).ok_or(refused(Point::C))?;
        Ok(Self { a, b, c })
    }
}

fn g1(rest: &mut &[u8]) -> Option<G1Affine> {
    let point: Option<G1Affine> = Option::from(G1Affine::from_compressed(take(rest)?));
    point.filter(|point| !bool::from(point.is_identity()))
}

fn g2(rest: &mut &[u8]) -> Option<G2Affine> {
    let point: Option<G2Affine> = Option::from(G2Affine::from_compressed(take(rest)?));
    point.filter(|point| !bool::from(point.is_identity()))
}

impl Key {
    /// Whether each partition's proof holds for its inputs. `bytes` has a proof for each partition.
    pub(crate) fn check(&self, inputs: &Inputs, bytes: &[u8]) -> Result<(), Refusal> {
        let mut first = 1;
        let batches = inputs.partitions().chunks(MAX_BATCH);
        for (inputs, bytes) in batches.zip(bytes.chunks(MAX_BATCH * PARTITION_PROOF)) {
            let proofs = bytes.chunks(PARTITION_PROOF).zip(first..);
            let proofs: Vec<Proof> = proofs
                .map(|(bytes, partition)| Proof::read(bytes, partition))
                .collect::<Result<_, _>>()?;
            let holds = match (proofs.as_slice(), inputs) {
                ([proof], [inputs]) => self.holds(inputs, proof),
                _ => self.all_hold(inputs, &proofs, bytes),
            };
            if !holds {
                return Err(Refusal::DoesNotHold);
            }
            first += proofs.len();
        }
        Ok(())
    }

    /// e(A, B) = e(alpha, beta) e(inputs, gamma) e(C, delta)
    fn holds(&self, inputs: &[Input], proof: &Proof) -> bool {
        let terms: Vec<_> = self.ic.iter().copied().zip(inputs.iter().copied()).collect();
        let sum = G1Affine::from(sum::of(&terms).add_mixed(&self.one));
        let b = G2Prepared::from(proof.b);
        let left = [(&proof.a, &b), (&sum, &self.minus_gamma), (&proof.c, &self.minus_delta)];
        multi_miller_loop(&left).final_exponentiation() == self.alpha_beta
    }

    /// All at once: the sum of the equations, each with a weight of its own.
    fn all_hold(&self, inputs: &[Vec<Input>], proofs: &[Proof], bytes: &[u8]) -> bool {
        let weights = self.weights(inputs, bytes);
        let total: Scalar = weights.iter().fold(Scalar::zero(), |sum, weight| sum + weight);
        let mut columns = alloc::vec![Scalar::zero(); self.ic.len()];
        for (weight, inputs) in weights.iter().zip(inputs) {
            for (column, input) in columns.iter_mut().zip(inputs) {
                *column += weight * input.scalar();
            }
        }
        let factors = core::iter::once(total).chain(columns).map(Input::Full);
        let points = core::iter::once(&self.one).chain(&self.ic).copied();
        let terms: Vec<_> = points.zip(factors).collect();
        let weighted = || proofs.iter().zip(weights.iter().copied().map(Input::Full));
        let c: Vec<_> = weighted().map(|(proof, weight)| (proof.c, weight)).collect();

        let mut points: Vec<G1Projective> = weighted()
            .map(|(proof, weight)| sum::of(&[(proof.a, weight)]))
            .collect();
        points.push(sum::of(&terms));
        points.push(sum::of(&c));
        points.push(sum::of(&[(-self.alpha, Input::Full(total))]));
        let mut affine = alloc::vec![G1Affine::identity(); points.len()];
        G1Projective::batch_normalize(&points, &mut affine);

        let b: Vec<G2Prepared> = proofs.iter().map(|proof| proof.b.into()).collect();
        let others = [&self.minus_gamma, &self.minus_delta, &self.beta];
        let left: Vec<_> = affine.iter().zip(b.iter().chain(others)).collect();
        multi_miller_loop(&left).final_exponentiation() == Gt::identity()
    }

    /// 128 bits for each partition, drawn from all of what is checked: as good as chosen at random, since changing a proof to fit its weight
    /// changes the weight. With equal weights two proofs could be wrong in opposite ways.
    fn weights(&self, inputs: &[Vec<Input>], proofs: &[u8]) -> Vec<Scalar> {
        let mut hasher = Sha256::new();
        hasher.update(b"sealdrop-verify/batch");
        hasher.update(self.digest);
        hasher.update((inputs.len() as u64).to_be_bytes());
        for input in inputs.iter().flatten() {
            hasher.update(input.scalar().to_bytes());
        }
        hasher.update(proofs);
        let all: [u8; 32] = hasher.finalize().into();
        let weight = |number: u64| {
            let hash: [u8; 32] = Sha256::new()
                .chain_update(all)
                .chain_update(number.to_be_bytes())
                .finalize()
                .into();
            let limb = |bytes: &[u8]| bytes.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
            let (high, rest) = hash.split_at(8);
            let (low, _) = rest.split_at(8);
            Scalar::from_raw([limb(low), limb(high), 0, 0])
        };
        (0..inputs.len() as u64).map(weight).collect()
    }
}

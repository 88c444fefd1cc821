//! Circuits of many shapes, their parameters, and bellperson's proofs to compare with.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.
#![allow(dead_code)] // Each test program uses some of it.

use bellperson::groth16::{create_proof, generate_random_parameters, Parameters as BellpersonParameters};
use bellperson::{Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable};
use blstrs::{Bls12, Scalar};
use ff::Field;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use sealdrop_groth16::{Parameters, Randomness};
use std::fs::File;
use std::io::{BufWriter, Write};
use tempfile::TempDir;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// What a test circuit is made of; each is a shape that a prover can get wrong.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// x → (x + k)³ so many times, two constraints each, the last x public.
    Chain(usize),
    /// Bits of which most are 0 or 1, packed into numbers, each bit constrained.
    Bits(usize),
    /// Linear combinations that name a variable twice, once with coefficients that cancel.
    Repeated(usize),
    /// Public inputs of which no constraint speaks.
    UnusedInput,
    /// Auxiliary variables that occur in A only, in B only, and in C only.
    OneSided,
    /// Exactly so many constraints with bellperson's own (one for each public input).
    Exactly(usize),
    /// Small numbers, negative ones and the field's middle.
    Small(usize),
}

#[derive(Clone, Copy)]
pub struct Test {
    pub shape: Shape,
    /// The witness; one variable is wrong if it says so.
    pub seed: u64,
    pub tampered: bool,
}

impl Test {
    pub fn new(shape: Shape, seed: u64) -> Self {
        Self {
            shape,
            seed,
            tampered: false,
        }
    }

    pub fn parameters(&self) -> BellpersonParameters<Bls12> {
        generate_random_parameters::<Bls12, _, _>(*self, &mut rng(99)).unwrap()
    }
}

type Result<T> = std::result::Result<T, SynthesisError>;

impl Circuit<Scalar> for Test {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<()> {
        let mut random = rng(self.seed);
        match self.shape {
            Shape::Chain(n) => chain(cs, n, Scalar::random(&mut random), self.tampered),
            Shape::Bits(n) => bits(cs, n, self.seed, self.tampered),
            Shape::Repeated(n) => repeated(cs, n, Scalar::random(&mut random)),
            Shape::UnusedInput => {
                cs.alloc_input(|| "", || Ok(Scalar::from(self.seed)))?;
                cs.alloc_input(|| "", || Ok(-Scalar::from(self.seed)))?;
                chain(cs, 3, Scalar::random(&mut random), self.tampered)
            }
            Shape::OneSided => one_sided(cs, self.seed),
            Shape::Exactly(n) => exactly(cs, n, Scalar::random(&mut random), self.tampered),
            Shape::Small(n) => small(cs, n, self.seed),
        }
    }
}

fn chain<CS: ConstraintSystem<Scalar>>(cs: &mut CS, n: usize, x: Scalar, tampered: bool) -> Result<()> {
    let mut value = x;
    let mut x = cs.alloc(|| "", || Ok(x))?;
    for i in 0..n {
        let k = Scalar::from(i as u64 + 5);
        let square = (value + k).square();
        let y = cs.alloc(|| "", || Ok(square))?;
        cs.enforce(
            || "",
            |lc| lc + x + (k, CS::one()),
            |lc| lc + x + (k, CS::one()),
            |lc| lc + y,
        );
        let cube = square * (value + k)
            + if tampered && i == n / 2 {
                Scalar::ONE
            } else {
                Scalar::ZERO
            };
        let z = match i + 1 == n {
            true => cs.alloc_input(|| "", || Ok(cube))?,
            false => cs.alloc(|| "", || Ok(cube))?,
        };
        cs.enforce(|| "", |lc| lc + y, |lc| lc + x + (k, CS::one()), |lc| lc + z);
        (x, value) = (z, cube);
    }
    Ok(())
}

fn bits<CS: ConstraintSystem<Scalar>>(cs: &mut CS, n: usize, seed: u64, tampered: bool) -> Result<()> {
    let mut state = seed;
    for word in 0..n.div_ceil(32) {
        let mut packed = LinearCombination::zero();
        let mut value = 0u64;
        for i in 0..32.min(n - 32 * word) {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let bit = u64::from(state >> 62 == 0);
            let wrong = tampered && (word, i) == (0, 3);
            let b = cs.alloc(|| "", || Ok(Scalar::from(if wrong { 2 } else { bit })))?;
            cs.enforce(|| "", |lc| lc + b, |lc| lc + b - CS::one(), |lc| lc);
            packed = packed + (Scalar::from(1 << i), b);
            value |= bit << i;
        }
        let sum = cs.alloc_input(|| "", || Ok(Scalar::from(value)))?;
        cs.enforce(|| "", |_| packed.clone(), |lc| lc + CS::one(), |lc| lc + sum);
    }
    Ok(())
}

fn repeated<CS: ConstraintSystem<Scalar>>(cs: &mut CS, n: usize, x: Scalar) -> Result<()> {
    let (one, y) = (CS::one(), x.double());
    let a = cs.alloc(|| "", || Ok(x))?;
    let b = cs.alloc(|| "", || Ok(y))?;
    let unseen = cs.alloc(|| "", || Ok(-x))?;
    for i in 0..n {
        let k = Scalar::from(i as u64);
        // a + a = b; `unseen` cancels out, but has been named; zero coefficients count as not there.
        cs.enforce(
            || "",
            |lc| lc + a + a + (k, unseen) - (k, unseen) + (Scalar::ZERO, b),
            |lc| lc + one + (k, one) - (k, one),
            |lc| lc + b,
        );
    }
    cs.enforce(|| "", |lc| lc + unseen, |lc| lc + one, |lc| lc - a);
    Ok(())
}

fn one_sided<CS: ConstraintSystem<Scalar>>(cs: &mut CS, seed: u64) -> Result<()> {
    let only_a = cs.alloc(|| "", || Ok(Scalar::from(seed)))?;
    let only_b = cs.alloc(|| "", || Ok(-Scalar::from(seed + 1)))?;
    let only_c = cs.alloc(|| "", || Ok(-Scalar::from(seed) * Scalar::from(seed + 1)))?;
    let public = cs.alloc_input(|| "", || Ok(Scalar::from(7)))?;
    cs.enforce(|| "", |lc| lc + only_a, |lc| lc + only_b, |lc| lc + only_c);
    // A public input in B.
    cs.enforce(
        || "",
        |lc| lc + CS::one(),
        |lc| lc + public,
        |lc| lc + (Scalar::from(7), CS::one()),
    );
    Ok(())
}

fn exactly<CS: ConstraintSystem<Scalar>>(cs: &mut CS, n: usize, x: Scalar, tampered: bool) -> Result<()> {
    // bellperson adds one for the constant.
    let (mut value, mut x) = (x, cs.alloc(|| "", || Ok(x))?);
    for i in 1..n {
        let next = value.square() + if tampered && i == 1 { Scalar::ONE } else { Scalar::ZERO };
        let y = cs.alloc(|| "", || Ok(next))?;
        cs.enforce(|| "", |lc| lc + x, |lc| lc + x, |lc| lc + y);
        (x, value) = (y, next);
    }
    Ok(())
}

fn small<CS: ConstraintSystem<Scalar>>(cs: &mut CS, n: usize, seed: u64) -> Result<()> {
    let half = Scalar::from(2).invert().unwrap();
    for i in 0..n as u64 {
        let values = [
            Scalar::from(i % 300),
            -Scalar::from(i % 300),
            half + Scalar::from(i),
            -half - Scalar::from(i),
            Scalar::from(seed).pow_vartime([i]),
            Scalar::ZERO,
            Scalar::ONE,
        ];
        let (u, v) = (values[i as usize % 7], values[(i as usize + 3) % 7]);
        let x = cs.alloc(|| "", || Ok(u))?;
        let y = cs.alloc(|| "", || Ok(v))?;
        let z = cs.alloc(|| "", || Ok(u * v))?;
        cs.enforce(|| "", |lc| lc + x, |lc| lc + y, |lc| lc + z);
    }
    Ok(())
}

/// A circuit, its parameters in memory and in a file, and bellperson's proof under some randomness.
pub struct Case {
    pub circuit: Test,
    pub bellperson: BellpersonParameters<Bls12>,
    pub parameters: Parameters,
    pub randomness: Randomness,
    pub expected: Vec<u8>,
    _dir: TempDir,
}

impl Case {
    pub fn new(shape: Shape) -> Self {
        let circuit = Test::new(shape, 11);
        let bellperson = circuit.parameters();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("params");
        write(&bellperson, &path);
        let parameters = Parameters::open(&path).unwrap();
        let randomness = Randomness::draw(rng(5));
        let proof = create_proof(circuit, &bellperson, randomness.r, randomness.s).unwrap();
        let mut expected = vec![];
        proof.write(&mut expected).unwrap();
        Self {
            circuit,
            bellperson,
            parameters,
            randomness,
            expected,
            _dir: dir,
        }
    }
}

pub fn write(parameters: &BellpersonParameters<Bls12>, path: &std::path::Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    parameters.write(&mut file).unwrap();
    file.flush().unwrap();
}

/// A variable of which the constraint system knows nothing.
pub fn unknown() -> Variable {
    Variable(Index::Aux(usize::MAX))
}

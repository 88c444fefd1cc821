//! Synthesis: runs a circuit's code once, evaluates A, B and C of every constraint with its witness, and notes which variables
//! occur in A and in B, exactly as bellperson's private `ProvingAssignment` does, because the parameters were made so.
//!
//! Called by [`prove`](crate::prove); next are the transforms of A, B and C and the sums over the variables.

use crate::arena::Arena;
use crate::compact::{Compact, Value};
use crate::Error;
use bellperson::{Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable};
use blstrs::Scalar;
use ff::Field;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Constraints between two looks at the caller's flag.
const STOP_EVERY: usize = 1 << 12;

/// How many of each the parameters have room for; no more are taken.
#[derive(Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) constraints: usize,
    pub(crate) inputs: usize,
    pub(crate) aux: usize,
}

/// Which variables occur.
#[derive(Default)]
pub(crate) struct Density {
    words: Vec<u64>,
    len: usize,
    total: usize,
}

/// A circuit's variables and constraints under one witness.
pub(crate) struct Assignment<'a> {
    pub(crate) a_aux_density: Density,
    pub(crate) b_input_density: Density,
    pub(crate) b_aux_density: Density,
    /// Evaluations of A, B and C, a constraint each.
    pub(crate) a: Compact,
    pub(crate) b: Compact,
    pub(crate) c: Compact,
    /// Public inputs, the first of which is 1.
    pub(crate) input: Vec<Scalar>,
    pub(crate) aux: Compact,
    capacity: Capacity,
    constraints: usize,
    stop: &'a AtomicBool,
    /// Why `alloc` refused, since its error type cannot say so.
    failure: Option<Error>,
}

impl Density {
    fn add_element(&mut self) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
    }
    #[inline(always)]
    fn include(&mut self, i: usize) {
        let (word, bit) = (&mut self.words[i / 64], 1 << (i % 64));
        self.total += usize::from(*word & bit == 0);
        *word |= bit;
    }
    #[inline(always)]
    pub(crate) fn contains(&self, i: usize) -> bool {
        self.words[i / 64] >> (i % 64) & 1 == 1
    }
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

impl<'a> Assignment<'a> {
    /// Runs the circuit, with bellperson's constraint x · 0 = 0 for each public input.
    pub(crate) fn synthesize(
        circuit: impl Circuit<Scalar>,
        capacity: Capacity,
        arena: &Arc<Arena>,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let mut cs = Self::new(capacity, arena, stop)?;
        let done = cs
            .alloc_input(|| "", || Ok(Scalar::ONE))
            .and_then(|_| circuit.synthesize(&mut cs));
        if let Some(failure) = cs.failure {
            return Err(failure);
        }
        done.map_err(Error::Synthesis)?;
        for i in 0..cs.input.len() {
            cs.enforce(|| "", |lc| lc + Variable(Index::Input(i)), |lc| lc, |lc| lc);
        }
        match cs.failure {
            Some(failure) => Err(failure),
            None => Ok(cs),
        }
    }

    fn new(capacity: Capacity, arena: &Arc<Arena>, stop: &'a AtomicBool) -> Result<Self, Error> {
        Ok(Self {
            a_aux_density: Density::default(),
            b_input_density: Density::default(),
            b_aux_density: Density::default(),
            a: Compact::new(arena, capacity.constraints)?,
            b: Compact::new(arena, capacity.constraints)?,
            c: Compact::new(arena, capacity.constraints)?,
            input: vec![],
            aux: Compact::new(arena, capacity.aux)?,
            capacity,
            constraints: 0,
            stop,
            failure: None,
        })
    }

    /// Notes the first failure.
    #[cold]
    fn fail(&mut self, failure: Error) -> SynthesisError {
        self.failure.get_or_insert(failure);
        SynthesisError::PolynomialDegreeTooLarge
    }
    #[cold]
    fn full(&mut self, what: &'static str, parameters: usize) -> SynthesisError {
        self.fail(Error::DoNotFit {
            what,
            circuit: parameters + 1,
            parameters,
        })
    }
}

impl ConstraintSystem<Scalar> for Assignment<'_> {
    type Root = Self;

    fn alloc<F, A, AR>(&mut self, _: A, f: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        if self.failure.is_some() {
            return Err(SynthesisError::PolynomialDegreeTooLarge);
        }
        if !self.aux.push(f()?) {
            return Err(self.full("auxiliary variables", self.capacity.aux));
        }
        self.a_aux_density.add_element();
        self.b_aux_density.add_element();
        Ok(Variable(Index::Aux(self.aux.len() - 1)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, f: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        if self.input.len() == self.capacity.inputs {
            return Err(self.full("public inputs", self.capacity.inputs));
        }
        self.input.push(f()?);
        self.b_input_density.add_element();
        Ok(Variable(Index::Input(self.input.len() - 1)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        if self.failure.is_some() {
            return;
        }
        self.constraints += 1;
        if self.constraints.is_multiple_of(STOP_EVERY) && self.stop.load(Ordering::Relaxed) {
            self.fail(Error::Stopped);
        }
        let a = a(LinearCombination::zero());
        let b = b(LinearCombination::zero());
        let c = c(LinearCombination::zero());
        let a = evaluate(&a, None, Some(&mut self.a_aux_density), &self.input, &self.aux);
        let b = evaluate(
            &b,
            Some(&mut self.b_input_density),
            Some(&mut self.b_aux_density),
            &self.input,
            &self.aux,
        );
        let c = evaluate(&c, None, None, &self.input, &self.aux);
        if !(self.a.push(a) && self.b.push(b) && self.c.push(c)) {
            self.full("constraints", self.capacity.constraints);
        }
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}
    fn pop_namespace(&mut self) {}
    fn get_root(&mut self) -> &mut Self {
        self
    }
}

/// The value of a linear combination. Variables whose coefficient is not zero are noted, whatever their value.
fn evaluate(
    lc: &LinearCombination<Scalar>,
    mut input_density: Option<&mut Density>,
    mut aux_density: Option<&mut Density>,
    input: &[Scalar],
    aux: &Compact,
) -> Scalar {
    let mut sum = Scalar::ZERO;
    for (index, coefficient) in lc.iter_inputs() {
        if coefficient.is_zero_vartime() {
            continue;
        }
        sum += input[*index] * coefficient;
        if let Some(density) = &mut input_density {
            density.include(*index);
        }
    }
    for (index, coefficient) in lc.iter_aux() {
        if coefficient.is_zero_vartime() {
            continue;
        }
        // Most variables are bits: no multiplication.
        match aux.value(*index) {
            Value::Small(0) => {}
            Value::Small(1) => sum += coefficient,
            _ => {
                let mut term = *aux.get(*index);
                if *coefficient != Scalar::ONE {
                    term *= coefficient;
                }
                sum += term;
            }
        }
        if let Some(density) = &mut aux_density {
            density.include(*index);
        }
    }
    sum
}

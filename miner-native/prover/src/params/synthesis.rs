//! A circuit's polynomials A, B and C, evaluated at the secret point tau.
//!
//! The circuit is synthesised twice: once to count constraints (their number fixes the evaluation
//! domain) and once to add each coefficient, times its Lagrange basis value, to its variable. So no list
//! of coefficients is ever held, which is what costs the stock generator its five gigabytes.
//! Called by `generator`; follows `bellperson::groth16::generate_parameters`.

use bellperson::{Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable};
use blstrs::Scalar;
use ff::{Field, PrimeField};
use rayon::prelude::*;

/// Lagrange values computed with one shared inversion.
const LAGRANGE_CHUNK: usize = 1 << 12;

/// For A, B and C in this order: the value at tau of each variable's polynomial.
pub(super) struct Evaluation {
    pub(super) inputs: [Vec<Scalar>; 3],
    pub(super) aux: [Vec<Scalar>; 3],
    /// The domain's size: a power of two.
    pub(super) domain: usize,
    /// tau^domain - 1, the vanishing polynomial at tau.
    pub(super) vanishing: Scalar,
}

/// Synthesises `circuit()` twice and evaluates it at `tau`.
pub(super) fn evaluate<C: Circuit<Scalar>>(
    circuit: impl Fn() -> C,
    tau: &Scalar,
) -> Result<Evaluation, SynthesisError> {
    let mut count = Assembly::new();
    count.run(circuit())?;
    let constraints = count.constraints;

    let domain = constraints.next_power_of_two();
    let exponent = domain.trailing_zeros();
    if exponent > Scalar::S {
        return Err(SynthesisError::PolynomialDegreeTooLarge);
    }
    let vanishing = tau.pow_vartime([domain as u64]) - Scalar::ONE;
    let mut evaluation = Assembly {
        lagrange: Some(lagrange(tau, constraints, exponent, &vanishing)?),
        ..Assembly::new()
    };
    evaluation.run(circuit())?;
    if evaluation.constraints != constraints {
        return Err(SynthesisError::Unsatisfiable);
    }
    Ok(Evaluation {
        inputs: evaluation.inputs,
        aux: evaluation.aux,
        domain,
        vanishing,
    })
}

/// The first `n` Lagrange basis polynomials over the domain of 2^exponent roots of unity, at tau:
/// L_i(tau) = omega^i · (tau^m - 1) / (m · (tau - omega^i)).
fn lagrange(tau: &Scalar, n: usize, exponent: u32, vanishing: &Scalar) -> Result<Vec<Scalar>, SynthesisError> {
    let mut omega = Scalar::ROOT_OF_UNITY;
    for _ in exponent..Scalar::S {
        omega = omega.square();
    }
    let scale = *vanishing * invert(&Scalar::from(1u64 << exponent))?;
    let mut values = vec![Scalar::ZERO; n];
    values
        .par_chunks_mut(LAGRANGE_CHUNK)
        .enumerate()
        .try_for_each(|(i, chunk)| {
            let mut root = omega.pow_vartime([(i * LAGRANGE_CHUNK) as u64]);
            let mut before = Vec::with_capacity(chunk.len());
            let mut product = Scalar::ONE;
            for value in chunk.iter_mut() {
                *value = *tau - root;
                before.push((root, product));
                product *= *value;
                root *= omega;
            }
            let mut inverse = invert(&product)?;
            for (value, (root, product)) in chunk.iter_mut().zip(before).rev() {
                let difference = *value;
                *value = inverse * product * root * scale;
                inverse *= difference;
            }
            Ok::<(), SynthesisError>(())
        })?;
    Ok(values)
}

/// The inverse, or an error for nought (a trapdoor value that no sane randomness draws).
pub(super) fn invert(value: &Scalar) -> Result<Scalar, SynthesisError> {
    Option::from(value.invert()).ok_or(SynthesisError::UnexpectedIdentity)
}

/// Counts (without `lagrange`) or evaluates (with it).
struct Assembly {
    lagrange: Option<Vec<Scalar>>,
    constraints: usize,
    inputs: [Vec<Scalar>; 3],
    aux: [Vec<Scalar>; 3],
    input_count: usize,
    aux_count: usize,
}

impl Assembly {
    /// The order of bellperson's generator: the constant one, the circuit, then one constraint
    /// `input · 0 = 0` for each input, which makes every input's query dense.
    fn run<C: Circuit<Scalar>>(&mut self, circuit: C) -> Result<(), SynthesisError> {
        self.alloc_input(|| "", || Ok(Scalar::ONE))?;
        circuit.synthesize(self)?;
        for i in 0..self.input_count {
            self.enforce(|| "", |lc| lc + Variable(Index::Input(i)), |lc| lc, |lc| lc);
        }
        Ok(())
    }

    fn add(&mut self, polynomial: usize, terms: &LinearCombination<Scalar>, basis: &Scalar) {
        for (variable, coefficient) in terms.iter() {
            let value = *basis * coefficient;
            match variable {
                Variable(Index::Input(i)) => self.inputs[polynomial][i] += value,
                Variable(Index::Aux(i)) => self.aux[polynomial][i] += value,
            }
        }
    }
}

impl ConstraintSystem<Scalar> for Assembly {
    type Root = Self;

    fn new() -> Self {
        Self {
            lagrange: None,
            constraints: 0,
            inputs: Default::default(),
            aux: Default::default(),
            input_count: 0,
            aux_count: 0,
        }
    }

    fn is_extensible() -> bool {
        false
    }

    fn alloc<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        if self.lagrange.is_some() {
            self.aux.iter_mut().for_each(|v| v.push(Scalar::ZERO));
        }
        self.aux_count += 1;
        Ok(Variable(Index::Aux(self.aux_count - 1)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        if self.lagrange.is_some() {
            self.inputs.iter_mut().for_each(|v| v.push(Scalar::ZERO));
        }
        self.input_count += 1;
        Ok(Variable(Index::Input(self.input_count - 1)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        if let Some(lagrange) = &self.lagrange {
            // A second synthesis with more constraints than the first is refused by `evaluate`.
            if let Some(basis) = lagrange.get(self.constraints).copied() {
                self.add(0, &a(LinearCombination::zero()), &basis);
                self.add(1, &b(LinearCombination::zero()), &basis);
                self.add(2, &c(LinearCombination::zero()), &basis);
            }
        }
        self.constraints += 1;
    }

    fn push_namespace<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn pop_namespace(&mut self) {}

    fn get_root(&mut self) -> &mut Self::Root {
        self
    }
}

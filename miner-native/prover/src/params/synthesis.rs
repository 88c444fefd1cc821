//! A circuit's polynomials A, B and C, evaluated at the secret point tau.
//!
//! As the circuit is synthesised, each coefficient, times its constraint's Lagrange basis value, is added to its variable.
//! So no list of coefficients is ever held, which is what costs the stock generator its five gigabytes. The basis depends on
//! the number of constraints, which is only known in the end: it is guessed, and after a wrong guess all is done again.
//! Called by `generator`; follows `bellperson::groth16::generate_parameters`.

use bellperson::{Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable};
use blstrs::Scalar;
use ff::{Field, PrimeField};
use rayon::prelude::*;

/// Lagrange values computed with one shared inversion.
const LAGRANGE_CHUNK: usize = 1 << 12;
/// Lagrange values computed at once, by all threads: 2 MiB.
const LAGRANGE_WINDOW: usize = 1 << 16;

/// For A, B and C in this order: the value at tau of each variable's polynomial.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub(super) inputs: [Vec<Scalar>; 3],
    pub(super) aux: [Vec<Scalar>; 3],
    /// The domain's size: a power of two.
    pub(super) domain: usize,
    /// tau^domain - 1, the vanishing polynomial at tau.
    pub(super) vanishing: Scalar,
}

/// Synthesises `circuit()` and evaluates it at `tau`; twice, if its domain is not of the `likely` size, a power of two.
pub(super) fn evaluate<C: Circuit<Scalar>>(
    circuit: impl Fn() -> C,
    tau: &Scalar,
    likely: usize,
) -> Result<Evaluation, SynthesisError> {
    let mut assembly = Assembly::over(likely, tau)?;
    assembly.run(circuit())?;
    if assembly.domain() != likely {
        let domain = assembly.domain();
        drop(assembly);
        assembly = Assembly::over(domain, tau)?;
        assembly.run(circuit())?;
        if assembly.domain() != domain {
            return Err(SynthesisError::Unsatisfiable);
        }
    }
    Ok(Evaluation {
        domain: assembly.domain(),
        vanishing: assembly.basis.vanishing,
        inputs: assembly.inputs,
        aux: assembly.aux,
    })
}

/// The Lagrange basis polynomials over the domain of 2^k roots of unity, at tau:
/// L_i(tau) = omega^i · (tau^m - 1) / (m · (tau - omega^i)). They are asked for in their order.
struct Basis {
    tau: Scalar,
    domain: usize,
    vanishing: Scalar,
    omega: Scalar,
    /// (tau^m - 1) / m
    scale: Scalar,
    /// Those from `start` on.
    window: Vec<Scalar>,
    start: usize,
}

impl Basis {
    fn new(tau: &Scalar, domain: usize) -> Result<Self, SynthesisError> {
        let exponent = domain.trailing_zeros();
        if exponent > Scalar::S {
            return Err(SynthesisError::PolynomialDegreeTooLarge);
        }
        let mut omega = Scalar::ROOT_OF_UNITY;
        for _ in exponent..Scalar::S {
            omega = omega.square();
        }
        let vanishing = tau.pow_vartime([domain as u64]) - Scalar::ONE;
        // If not, tau is none of the roots, whose differences from it are to be inverted.
        if vanishing.is_zero_vartime() {
            return Err(SynthesisError::UnexpectedIdentity);
        }
        Ok(Self {
            tau: *tau,
            domain,
            vanishing,
            omega,
            scale: vanishing * invert(&Scalar::from(domain as u64))?,
            window: Vec::new(),
            start: 0,
        })
    }

    /// L_i(tau) for an i in or right behind the last one's window; nothing beyond the domain.
    fn at(&mut self, i: usize) -> Option<Scalar> {
        if i >= self.domain {
            return None;
        }
        if i >= self.start + self.window.len() {
            self.start = i;
            self.window = vec![Scalar::ZERO; LAGRANGE_WINDOW.min(self.domain - i)];
            let (tau, omega, scale) = (self.tau, self.omega, self.scale);
            self.window
                .par_chunks_mut(LAGRANGE_CHUNK)
                .enumerate()
                .for_each(|(j, chunk)| {
                    let first = omega.pow_vartime([(i + j * LAGRANGE_CHUNK) as u64]);
                    lagrange(&tau, first, &omega, &scale, chunk);
                });
        }
        Some(self.window[i - self.start])
    }
}

/// root · scale / (tau - root) for `first` and the roots after it; tau is none of them.
fn lagrange(tau: &Scalar, first: Scalar, omega: &Scalar, scale: &Scalar, values: &mut [Scalar]) {
    let mut root = first;
    let mut before = Vec::with_capacity(values.len());
    let mut product = Scalar::ONE;
    for value in values.iter_mut() {
        *value = *tau - root;
        before.push((root, product));
        product *= *value;
        root *= omega;
    }
    // No factor is zero, so there is an inverse.
    let mut inverse = product.invert().unwrap_or(Scalar::ZERO) * scale;
    for (value, (root, product)) in values.iter_mut().zip(before).rev() {
        let difference = *value;
        *value = inverse * product * root;
        inverse *= difference;
    }
}

/// The inverse, or an error for nought (a trapdoor value that no sane randomness draws).
pub(super) fn invert(value: &Scalar) -> Result<Scalar, SynthesisError> {
    Option::from(value.invert()).ok_or(SynthesisError::UnexpectedIdentity)
}

/// Adds the constraints up over a domain. Beyond its end it only counts them, and the evaluation is worth nothing.
struct Assembly {
    basis: Basis,
    minus_one: Scalar,
    constraints: usize,
    inputs: [Vec<Scalar>; 3],
    aux: [Vec<Scalar>; 3],
}

impl Assembly {
    fn over(domain: usize, tau: &Scalar) -> Result<Self, SynthesisError> {
        Ok(Self {
            basis: Basis::new(tau, domain)?,
            minus_one: -Scalar::ONE,
            constraints: 0,
            inputs: Default::default(),
            aux: Default::default(),
        })
    }

    /// The size that fits the constraints.
    fn domain(&self) -> usize {
        self.constraints.next_power_of_two()
    }

    /// The order of bellperson's generator: the constant one, the circuit, then one constraint
    /// `input · 0 = 0` for each input, which makes every input's query dense.
    fn run<C: Circuit<Scalar>>(&mut self, circuit: C) -> Result<(), SynthesisError> {
        self.alloc_input(|| "", || Ok(Scalar::ONE))?;
        circuit.synthesize(self)?;
        for i in 0..self.inputs[0].len() {
            self.enforce(|| "", |lc| lc + Variable(Index::Input(i)), |lc| lc, |lc| lc);
        }
        Ok(())
    }

    fn add(&mut self, polynomial: usize, terms: &LinearCombination<Scalar>, basis: &Scalar) {
        for (variable, coefficient) in terms.iter() {
            let value = match variable {
                Variable(Index::Input(i)) => &mut self.inputs[polynomial][i],
                Variable(Index::Aux(i)) => &mut self.aux[polynomial][i],
            };
            // Most coefficients are 1 or -1.
            if *coefficient == Scalar::ONE {
                *value += basis;
            } else if *coefficient == self.minus_one {
                *value -= basis;
            } else {
                *value += *basis * coefficient;
            }
        }
    }
}

impl ConstraintSystem<Scalar> for Assembly {
    type Root = Self;

    fn is_extensible() -> bool {
        false
    }

    fn alloc<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.aux.iter_mut().for_each(|values| values.push(Scalar::ZERO));
        Ok(Variable(Index::Aux(self.aux[0].len() - 1)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.inputs.iter_mut().for_each(|values| values.push(Scalar::ZERO));
        Ok(Variable(Index::Input(self.inputs[0].len() - 1)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        if let Some(basis) = self.basis.at(self.constraints) {
            self.add(0, &a(LinearCombination::zero()), &basis);
            self.add(1, &b(LinearCombination::zero()), &basis);
            self.add(2, &c(LinearCombination::zero()), &basis);
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

//! The constants of one arity, rewritten for fewer and cheaper products. Derived once from neptune's, for each kernel.
//!
//! 1. The MDS matrix is `M[i][j] = 1/(t + i + j)`. Times L = lcm(t, …, 3t - 2) its entries are integers of one limb, and the
//!    factor L, like every factor that a Montgomery reduction divides by, is only a scale of the whole state, which the
//!    round constants absorb. So plain numbers go in and come out, and a full round's matrix costs one limb an entry.
//! 2. A partial round changes one element by an S-box; the other n = t - 1 are a linear system with one input x (the S-box's
//!    output) and one output u (its next input): s' = A·s + c·x, u = d·x + c·s. By Cayley and Hamilton u is a recurrence
//!    over the last n inputs and outputs, `u' = d·x + Σ β[i]·x[-i] - χ[i]·u[-i+1]`, χ being A's characteristic polynomial:
//!    2n products and one reduction a round, and no other element to update.
//! 3. The recurrence begins with n outputs of a past that never was (the state, run backwards with x = 0: c·A^-i·s), and
//!    ends by solving for the state from its last n inputs and outputs.
//!
//! A kernel stores an element e as the integer e·scale modulo r. Scales are chosen so that x's own factor is 1.
//! Source of the hash: the Poseidon paper (eprint 2019/458) with neptune's round constants, compressed as in its appendix.

use crate::linear::{characteristic_polynomial, dot, inverse, row_times, times, Matrix};
use blstrs::Scalar;
use ff::Field;
use neptune::poseidon::{Arity, PoseidonConstants};

/// Full rounds before the partial ones, and after.
pub(crate) const HALF: usize = 4;

/// What a kernel's reductions divide by, as powers of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Radix {
    /// The S-box's two squarings.
    pub square: u64,
    /// The S-box's last product, and sums of products.
    pub sum: u64,
    /// Sums of products by one limb.
    pub limb: u64,
}

/// All constants of a hash of width `T`, each in a kernel's form `C`. What is added before a reduction holds its divisor.
pub(crate) struct Schedule<const T: usize, C> {
    /// Element 0 after its first S-box: it is the domain tag, so known.
    pub tag: C,
    /// Added to the inputs.
    pub pre: [C; T],
    /// Added in the S-boxes of the full rounds, before the reduction; the last round's are zero.
    pub post: [[C; T]; 2 * HALF],
    /// L / (T + i); row i of the matrix begins at i.
    pub hilbert: [u64; 24],
    /// After the first four S-box layers: the recurrence's first output, then its past, oldest first.
    pub enter: [[C; T]; T],
    /// For each partial round: its window's coefficients, oldest first, one window after the other.
    pub rounds: Vec<C>,
    /// For each partial round: added to its window's sum, before the reduction.
    pub kappa: Vec<C>,
    /// The last window to element 1, 2, … of the state: 2(T - 1) coefficients each.
    pub leave: Vec<C>,
    /// For each of these elements: added to its sum, before the reduction.
    pub leave_add: Vec<C>,
    /// The last row of products: element 1 is the hash.
    pub last: [C; T],
}

impl<const T: usize, C> Schedule<T, C> {
    /// `form` turns an integer below r into the kernel's limbs.
    pub fn derive<A: Arity<Scalar>>(
        constants: &PoseidonConstants<Scalar, A>,
        radix: Radix,
        form: fn(&Scalar) -> C,
    ) -> Self {
        let plan = Plan::<T>::new(constants, radix);
        let full = T + HALF * T + constants.partial_rounds; // where the last three full rounds' keys begin
        let mut scale = Scalar::ONE;
        let pre = plan.keys(0).map(|k| form(&k));
        let tag = constants.domain_tag + plan.keys[0];
        let tag = form(&((plan.fifth(tag) + plan.keys[T]) * plan.after_sbox(scale)));
        let mut post = vec![];
        for round in 0..HALF {
            scale = plan.after_sbox(scale);
            post.push(plan.keys(T + round * T).map(|k| form(&(k * scale * plan.sum))));
            if round + 1 < HALF {
                scale *= plan.step;
            }
        }
        let system = System::new(&plan);
        let enter = system.enter(scale);
        let recurrence = system.recurrence();
        let (leave, leave_add) = system.leave(&recurrence);
        scale = recurrence.output_scales[plan.partial];
        for round in 0..HALF {
            scale = plan.after_sbox(scale);
            let last = round + 1 == HALF;
            let keys = if last {
                [Scalar::ZERO; T]
            } else {
                plan.keys(full + round * T)
            };
            post.push(keys.map(|k| form(&(k * scale * plan.sum))));
            if !last {
                scale *= plan.step;
            }
        }
        let to_plain = plan.sum * invert(scale);
        let mut post = post.into_iter();
        Self {
            tag,
            pre,
            post: std::array::from_fn(|_| post.next().expect("four full rounds were pushed twice")),
            hilbert: plan.hilbert,
            enter: std::array::from_fn(|i| std::array::from_fn(|j| form(&enter[i][j]))),
            rounds: recurrence.coefficients.iter().map(form).collect(),
            kappa: recurrence.constants.iter().map(form).collect(),
            leave: leave.iter().map(form).collect(),
            leave_add: leave_add.iter().map(form).collect(),
            last: std::array::from_fn(|j| form(&(plan.matrix[1][j] * to_plain))),
        }
    }
}

fn invert(x: Scalar) -> Scalar {
    x.invert()
        .expect("scales are products of powers of two, of L and of the matrix's entries: never zero")
}

fn power_of_two(k: u64) -> Scalar {
    Scalar::from(2u64).pow_vartime([k])
}

/// neptune's constants, checked, and the factors of a kernel's steps.
struct Plan<'a, const T: usize> {
    matrix: &'a Matrix,
    keys: &'a [Scalar],
    partial: usize,
    hilbert: [u64; 24],
    /// The matrix's factor: L, over the divisor of one-limb sums.
    step: Scalar,
    /// The divisor of sums.
    sum: Scalar,
    /// One over the S-box's three divisors.
    sbox: Scalar,
}

impl<'a, const T: usize> Plan<'a, T> {
    fn new<A: Arity<Scalar>>(constants: &'a PoseidonConstants<Scalar, A>, radix: Radix) -> Self {
        let (matrix, keys) = (&constants.mds_matrices.m, &constants.compressed_round_constants[..]);
        // neptune is pinned by the lock file; another set of constants must not go unnoticed.
        assert_eq!(
            (constants.full_rounds, constants.width()),
            (2 * HALF, T),
            "other constants than Filecoin's"
        );
        assert_eq!(
            keys.len(),
            T + (2 * HALF - 1) * T + constants.partial_rounds,
            "round constants are not compressed"
        );
        let (lcm, hilbert) = hilbert::<T>();
        for (i, row) in matrix.iter().enumerate() {
            for (j, entry) in row.iter().enumerate() {
                assert_eq!(
                    *entry * Scalar::from(lcm),
                    Scalar::from(hilbert[i + j]),
                    "the matrix is another"
                );
            }
        }
        Self {
            matrix,
            keys,
            partial: constants.partial_rounds,
            hilbert,
            step: Scalar::from(lcm) * invert(power_of_two(radix.limb)),
            sum: power_of_two(radix.sum),
            sbox: invert(power_of_two(3 * radix.square + radix.sum)),
        }
    }

    /// The keys of a full round, which begin at `first`.
    fn keys(&self, first: usize) -> [Scalar; T] {
        std::array::from_fn(|i| self.keys[first + i])
    }

    fn fifth(&self, x: Scalar) -> Scalar {
        x.pow_vartime([5])
    }

    /// The scale of an S-box's output whose input has `scale`.
    fn after_sbox(&self, scale: Scalar) -> Scalar {
        self.fifth(scale) * self.sbox
    }
}

/// L = lcm(t, …, 3t - 2) and L / (t + i).
pub(crate) fn hilbert<const T: usize>() -> (u64, [u64; 24]) {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let t = T as u64;
    let lcm = (t..=3 * t - 2).fold(1u64, |l, k| l / gcd(l, k) * k);
    let entry = |i: usize| if i < 2 * T - 1 { lcm / (t + i as u64) } else { 0 };
    (lcm, std::array::from_fn(entry))
}

/// The partial rounds as a linear system: s' = A·s + c·x, u = d·x + c·s, with `u(0) = m[0]·state`.
struct System<'a, const T: usize> {
    plan: &'a Plan<'a, T>,
    /// Width less one.
    n: usize,
    d: Scalar,
    c: Vec<Scalar>,
    /// `χ[0] = 1, χ[1], …, χ[n]`.
    chi: Vec<Scalar>,
    /// `β[0] = d, β[1], …, β[n]`.
    beta: Vec<Scalar>,
    /// c·A^-i for i = 0, …, n.
    back: Matrix,
    /// M without its first row: what the first full matrix makes of the others.
    below: Matrix,
}

/// The recurrence in a kernel's scales.
struct Recurrence {
    coefficients: Vec<Scalar>,
    constants: Vec<Scalar>,
    /// Of the S-box's inputs u(0), u(1), …
    output_scales: Vec<Scalar>,
    /// Of the S-box's outputs x(0), x(1), …
    input_scales: Vec<Scalar>,
}

impl<'a, const T: usize> System<'a, T> {
    fn new(plan: &'a Plan<'a, T>) -> Self {
        let (n, m) = (T - 1, plan.matrix);
        let (d, c) = (m[0][0], m[0][1..].to_vec());
        let a: Matrix = m[1..].iter().map(|row| row[1..].to_vec()).collect();
        let a_inverse = inverse(&a).expect("a minor of a Cauchy matrix is one itself, so it has an inverse");
        let chi = characteristic_polynomial(&a);
        // The answers to one impulse: d, c·c, c·A·c, …; c is column 0 of M too, M being symmetric.
        let mut impulse = vec![d];
        let mut row = c.clone();
        for _ in 1..=n {
            impulse.push(dot(&row, &c));
            row = row_times(&row, &a);
        }
        let beta = (0..=n)
            .map(|i| (0..=i).map(|l| chi[l] * impulse[i - l]).sum())
            .collect();
        let mut back = vec![c.clone()];
        for i in 0..n {
            back.push(row_times(&back[i], &a_inverse));
        }
        let below = m[1..].to_vec();
        Self {
            plan,
            n,
            d,
            c,
            chi,
            beta,
            back,
            below,
        }
    }

    /// From the state after the fourth S-box layer, of `scale`, to u(0) and the past, of scale 1.
    fn enter(&self, scale: Scalar) -> Matrix {
        let factor = self.plan.sum * invert(scale);
        let past = (1..=self.n).rev().map(|i| row_times(&self.back[i], &self.below));
        let rows = std::iter::once(self.plan.matrix[0].clone()).chain(past);
        rows.map(|row| row.into_iter().map(|x| x * factor).collect()).collect()
    }

    fn round_key(&self, round: usize) -> Scalar {
        self.plan.keys[T + HALF * T + round]
    }

    fn recurrence(&self) -> Recurrence {
        let sum = self.plan.sum;
        let (mut outputs, mut inputs) = (vec![Scalar::ONE], vec![]);
        let (mut coefficients, mut constants) = (vec![], vec![]);
        let d_inverse = invert(self.d);
        for round in 0..self.plan.partial {
            let input_scale = self.plan.after_sbox(outputs[round]);
            inputs.push(input_scale);
            let scale = input_scale * d_inverse;
            outputs.push(scale);
            let mut constant = self.d * self.round_key(round);
            for i in (1..=self.n).rev() {
                let of_output = if round >= i {
                    coefficients.push(self.beta[i] * scale * sum * invert(inputs[round - i]));
                    constant += self.beta[i] * self.round_key(round - i);
                    outputs[round - i + 1]
                } else {
                    Scalar::ONE
                };
                coefficients.push(-self.chi[i] * scale * sum * invert(of_output));
            }
            constants.push(constant * scale * sum);
        }
        Recurrence {
            coefficients,
            constants,
            output_scales: outputs,
            input_scales: inputs,
        }
    }

    /// From the last n inputs and outputs to elements 1.. of the state, in the scale of the last output.
    fn leave(&self, recurrence: &Recurrence) -> (Vec<Scalar>, Vec<Scalar>) {
        let (n, rounds) = (self.n, self.plan.partial);
        let scale = recurrence.output_scales[rounds] * self.plan.sum;
        let observe = inverse(&self.back[1..].to_vec()).expect("the state is seen in n outputs: the system is minimal");
        let mut of_inputs: Matrix = vec![vec![Scalar::ZERO; n]; n];
        for i in 1..=n {
            for l in 1..=i {
                of_inputs[i - 1][l - 1] = dot(&self.back[i + 1 - l], &self.c);
            }
            of_inputs[i - 1][i - 1] -= self.d;
        }
        let of_inputs = times(&observe, &of_inputs);
        let (mut leave, mut leave_add) = (vec![], vec![]);
        for j in 0..n {
            let mut constant = Scalar::ZERO;
            for i in (1..=n).rev() {
                let (input, output) = (
                    recurrence.input_scales[rounds - i],
                    recurrence.output_scales[rounds - i + 1],
                );
                leave.push(of_inputs[j][i - 1] * scale * invert(input));
                leave.push(observe[j][i - 1] * scale * invert(output));
                constant += of_inputs[j][i - 1] * self.round_key(rounds - i);
            }
            leave_add.push(constant * scale);
        }
        (leave, leave_add)
    }
}

//! The worst cases of lazy reduction, computed: how large any stored number and any accumulator can become, in both kernels,
//! for each arity. The formulas follow `ifma::permute` and `portable::hash` step by step; a change there that is not followed
//! here, or that does not fit, fails a test.

use crate::schedule::{hilbert, Radix, HALF};
use crate::{ifma, portable};

/// r over 2^256.
const R: f64 = 0.452_845_124_3;

/// The worst case of a kernel, numbers in units of r.
struct Worst {
    radix: Radix,
    /// The largest number that is stored, so is an operand of a multiplication.
    stored: f64,
    /// The largest result of the last sum.
    hash: f64,
    /// The most products in one sum.
    terms: usize,
}

impl Worst {
    fn store(&mut self, x: f64) -> f64 {
        self.stored = self.stored.max(x);
        x
    }

    /// A sum of products below `products`·r², divided by 2^`radix`. What is added before is below one after.
    fn reduce(&mut self, products: f64, radix: u64) -> f64 {
        self.store(products * R * 2f64.powi(256 - radix as i32) + 1.0 + 1e-9)
    }

    fn sbox(&mut self, x: f64) -> f64 {
        let square = self.reduce(x * x, self.radix.square);
        let fourth = self.reduce(square * square, self.radix.square);
        self.reduce(fourth * x, self.radix.sum)
    }

    /// Elements below x times one-limb entries, each below 2^47.
    fn matrix(&mut self, x: f64, entries: &[u64]) -> f64 {
        let sum: f64 = entries.iter().map(|h| *h as f64).sum();
        self.store(sum * x / 2f64.powi(self.radix.limb as i32) + 1.0 + 1e-9)
    }

    fn sum(&mut self, terms: &[f64]) -> f64 {
        self.terms = self.terms.max(terms.len());
        self.reduce(terms.iter().sum(), self.radix.sum)
    }

    /// `input` is the largest input with its constant; `next` makes the S-box's next input of its output and the other sum.
    fn of<const T: usize>(partial: usize, radix: Radix, input: f64, next: fn(&mut Self, f64, &[f64]) -> f64) -> Self {
        let mut worst = Self {
            radix,
            stored: input,
            hash: 0.0,
            terms: 0,
        };
        let entries = &hilbert::<T>().1[..T];
        assert!(entries.iter().all(|h| *h < 1 << 47));
        let mut x = input;
        for round in 0..HALF {
            x = worst.sbox(x);
            x = if round + 1 < HALF { worst.matrix(x, entries) } else { x };
        }
        let first = worst.sum(&[x; T]);
        let (mut past, mut output) = (vec![first; T - 1], first);
        for round in 0..partial {
            let window = past[past.len() - (T - 1) - round.min(T - 1)..].to_vec();
            let square = worst.reduce(output * output, radix.square);
            let fourth = worst.reduce(square * square, radix.square);
            let fifth = worst.reduce(fourth * output, radix.sum);
            worst.sum(&window);
            output = next(&mut worst, fourth * output, &window);
            past.extend([fifth, worst.store(output)]);
        }
        let window = past[past.len() - 2 * (T - 1)..].to_vec();
        x = worst.sum(&window).max(output);
        for round in 0..HALF {
            x = worst.sbox(x);
            x = if round + 1 < HALF { worst.matrix(x, entries) } else { x };
        }
        worst.hash = worst.sum(&[x; T]);
        worst
    }
}

/// The lanes add two reduced numbers.
fn add_reduced(worst: &mut Worst, fifth: f64, window: &[f64]) -> f64 {
    worst.reduce(fifth, worst.radix.sum) + worst.sum(window)
}

/// The portable kernel reduces their sum.
fn reduce_sum(worst: &mut Worst, fifth: f64, window: &[f64]) -> f64 {
    let all: Vec<f64> = window.iter().copied().chain([fifth]).collect();
    worst.sum(&all)
}

#[test]
fn numbers_of_the_lanes_stay_below_2_to_the_260_and_their_accumulators_below_2_to_the_64() {
    let input = 2.0; // an element and its constant, each below r
    let widths = [
        Worst::of::<3>(55, ifma::RADIX, input, add_reduced),
        Worst::of::<9>(57, ifma::RADIX, input, add_reduced),
        Worst::of::<12>(57, ifma::RADIX, input, add_reduced),
    ];
    for worst in widths {
        assert!(worst.stored < 16.0 / R, "{} r", worst.stored);
        assert!(worst.stored < 5.2, "the lanes' numbers have grown: {} r", worst.stored);
        assert!(worst.hash < 2.0, "`store` subtracts r once");
        // A limb collects at most nine halves of a product, each below 2^52 (a square doubles half as many); the reduction
        // adds ten, the constant and the carry two; a loose sum is added to another.
        let accumulator = (9 * worst.terms + 12 + 9 + 12) as f64 * 2f64.powi(52);
        assert!(accumulator < 2f64.powi(60), "2^{}", accumulator.log2());
    }
}

#[test]
fn numbers_of_the_portable_kernel_stay_below_2_to_the_256_and_its_columns_below_2_to_the_192() {
    let input = 1.0; // reduced after the constant is added
    let widths = [
        Worst::of::<3>(55, portable::RADIX, input, reduce_sum),
        Worst::of::<9>(57, portable::RADIX, input, reduce_sum),
        Worst::of::<12>(57, portable::RADIX, input, reduce_sum),
    ];
    for worst in widths {
        assert!(worst.stored < 1.0 / R, "{} r", worst.stored);
        assert!(
            worst.stored < 1.96,
            "the portable kernel's numbers have grown: {} r",
            worst.stored
        );
        assert!(worst.hash < 2.0, "`canonical` subtracts r once");
        // A column has at most four products a term, each below 2^128, and a carry; one-limb columns are far smaller.
        assert!(((4 * worst.terms + 1) as f64) < 2f64.powi(64));
        // The sum before the reduction, and what the five steps add to it, in nine words.
        let sum = worst.terms as f64 * worst.stored * R * R * 2f64.powi(512) + R * 2f64.powi(256 + 320);
        assert!(sum < 2f64.powi(576));
    }
}

//! One hash at a time, on any processor: four limbs of 64 bits, the same algebra as the lanes'.
//!
//! Sums of products are taken column by column (all products of one weight, then the carry), which keeps three registers
//! instead of nine, and reduced once by five Montgomery steps: dividing by 2^320 leaves them below r and a trifle, where the
//! usual four steps would leave several r and no room in 256 bits. The squarings inside an S-box take four, since their
//! results have the room: at most 1.96 r of 2.2. `bounds` computes these numbers.
//! A step costs three products and not five, r's lowest word being 2^64 - 2^32 + 1.

use crate::schedule::{Radix, Schedule, HALF};
use sealdrop_lanes::{sub_words, R64};

/// Four limbs of 64 bits.
pub(crate) type Limbs = [u64; 4];

pub(crate) const RADIX: Radix = Radix {
    square: 256,
    sum: 320,
    limb: 64,
};

/// Inputs and outputs of all partial rounds, with the past before them: 11 + 2·57 at most.
const PAST: usize = 128;

/// One column's sum: 192 bits, which up to 88 products of 128 bits and a carry never fill.
#[derive(Clone, Copy, Default)]
struct Column {
    low: u128,
    high: u64,
}

impl Column {
    #[inline(always)]
    fn add(&mut self, a: u64, b: u64) {
        let (low, carry) = self.low.overflowing_add(u128::from(a) * u128::from(b));
        self.low = low;
        self.high += u64::from(carry);
    }

    #[inline(always)]
    fn add_word(&mut self, word: u64) {
        let (low, carry) = self.low.overflowing_add(u128::from(word));
        self.low = low;
        self.high += u64::from(carry);
    }

    /// The lowest word; the rest is carried to the next column.
    #[inline(always)]
    fn take(&mut self) -> u64 {
        let word = self.low as u64;
        self.low = (self.low >> 64) | (u128::from(self.high) << 64);
        self.high = 0;
        word
    }
}

/// `t` / 2^(64·(W - 4)), below that quotient and r, by Montgomery's steps: each adds the multiple of r that makes the lowest
/// word left zero.
///
/// With r0 = 2^64 - 2^32 + 1 the factor is m = -t0·(2^32 + 1), and t0 + m·r0 = 2^64·(m - ⌊m / 2^32⌋ + carry of t0 + m).
#[inline(always)]
fn reduce<const W: usize>(t: [u64; W]) -> Limbs {
    let (mut m, mut column, mut out) = ([0; W], Column::default(), [0; 4]);
    for k in 0..W {
        column.add_word(t[k]);
        for j in 1..4 {
            if k >= j && k - j < W - 4 {
                column.add(m[k - j], R64[j]);
            }
        }
        if k < W - 4 {
            let low = column.take();
            m[k] = low.wrapping_add(low << 32).wrapping_neg();
            let (_, carry) = low.overflowing_add(m[k]);
            column.add_word(m[k] - (m[k] >> 32) + u64::from(carry));
        } else {
            out[k - (W - 4)] = column.take();
        }
    }
    debug_assert!(column.low == 0, "an operand was beyond its bound");
    out
}

/// `Σ a[i]·k[i] + add`.
#[inline(always)]
fn dot(a: &[Limbs], k: &[Limbs], add: &Limbs) -> [u64; 9] {
    let (mut out, mut column) = ([0; 9], Column::default());
    macro_rules! column { ($w:literal: $($i:literal $j:literal),*) => {
        for (a, k) in a.iter().zip(k) {
            $( column.add(a[$i], k[$j]); )*
        }
        if let Some(word) = add.get($w) {
            column.add_word(*word);
        }
        out[$w] = column.take();
    } }
    column!(0: 0 0);
    column!(1: 0 1, 1 0);
    column!(2: 0 2, 1 1, 2 0);
    column!(3: 0 3, 1 2, 2 1, 3 0);
    column!(4: 1 3, 2 2, 3 1);
    column!(5: 2 3, 3 2);
    column!(6: 3 3);
    out[7] = column.take();
    out[8] = column.take();
    out
}

/// a², products of different words once, added twice.
#[inline(always)]
fn square(a: &Limbs) -> [u64; 8] {
    let (mut out, mut column) = ([0; 8], Column::default());
    macro_rules! column { ($w:literal: $($i:literal $j:literal),*; $($k:literal)?) => {
        $( column.add(a[$i], a[$j]); column.add(a[$i], a[$j]); )*
        $( column.add(a[$k], a[$k]); )?
        out[$w] = column.take();
    } }
    column!(0: ; 0);
    column!(1: 0 1; );
    column!(2: 0 2; 1);
    column!(3: 0 3, 1 2; );
    column!(4: 1 3; 2);
    column!(5: 2 3; );
    column!(6: ; 3);
    out[7] = column.take();
    out
}

/// `Σ a[i]·k[i] / 2^320`, with `add` before the division.
#[inline(always)]
fn sum(a: &[Limbs], k: &[Limbs], add: &Limbs) -> Limbs {
    reduce(dot(a, k, add))
}

/// `Σ a[i]·h[i] / 2^64`, h below 2^47.
#[inline(always)]
fn sum_limb(a: &[Limbs], h: &[u64]) -> Limbs {
    let mut columns = [0u128; 4];
    for (a, h) in a.iter().zip(h) {
        for (column, word) in columns.iter_mut().zip(a) {
            *column += u128::from(*word) * u128::from(*h);
        }
    }
    let (mut t, mut carry) = ([0; 5], 0);
    for (word, column) in t.iter_mut().zip(columns) {
        let column = column + carry;
        (*word, carry) = (column as u64, column >> 64);
    }
    t[4] = carry as u64;
    reduce(t)
}

/// a^4 / 2^768
#[inline(always)]
fn fourth(a: &Limbs) -> Limbs {
    reduce(square(&reduce(square(a))))
}

/// a^5 / 2^1088, with `add` before the last division.
#[inline(always)]
fn sbox(a: &Limbs, add: &Limbs) -> Limbs {
    sum(&[fourth(a)], &[*a], add)
}

/// a + b - r, or a + b if that is below r.
#[inline(always)]
fn add_modulo(a: &Limbs, b: &Limbs) -> Limbs {
    let mut carry = 0;
    let sum = std::array::from_fn(|i| {
        let word = u128::from(a[i]) + u128::from(b[i]) + carry;
        carry = word >> 64;
        word as u64
    });
    canonical(sum)
}

/// A number below 2r, reduced.
#[inline(always)]
fn canonical(x: Limbs) -> Limbs {
    match sub_words(x, R64) {
        (reduced, false) => reduced,
        _ => x,
    }
}

/// A number from 32 bytes, little-endian; `None` if it is not below r.
pub(crate) fn read(bytes: &[u8; 32]) -> Option<Limbs> {
    let (words, _) = bytes.as_chunks::<8>();
    let x: Limbs = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
    sub_words(x, R64).1.then_some(x)
}

/// The 32 bytes of a number.
pub(crate) fn write(x: &Limbs, bytes: &mut [u8; 32]) {
    for (word, bytes) in x.iter().zip(bytes.as_chunks_mut::<8>().0) {
        *bytes = word.to_le_bytes();
    }
}

/// The hash of elements 1, 2, …; element 0 is not read.
pub(crate) fn hash<const T: usize>(schedule: &Schedule<T, Limbs>, mut state: [Limbs; T]) -> Limbs {
    for (x, k) in state.iter_mut().zip(&schedule.pre).skip(1) {
        *x = add_modulo(x, k);
    }
    let sboxes = |state: &[Limbs; T], round: usize| {
        let post: &[Limbs; T] = &schedule.post[round];
        std::array::from_fn(|j| sbox(&state[j], &post[j]))
    };
    let matrix = |state: &[Limbs; T]| std::array::from_fn(|j| sum_limb(state, &schedule.hilbert[j..j + T]));
    state = sboxes(&state, 0);
    state[0] = schedule.tag;
    for round in 1..HALF {
        state = sboxes(&matrix(&state), round);
    }
    state = partial_rounds(schedule, &state);
    state = sboxes(&state, HALF);
    for round in HALF + 1..2 * HALF {
        state = sboxes(&matrix(&state), round);
    }
    canonical(sum(&state, &schedule.last, &[0; 4]))
}

/// From the state after the fourth S-boxes to the one before the fifth.
fn partial_rounds<const T: usize>(schedule: &Schedule<T, Limbs>, state: &[Limbs; T]) -> [Limbs; T] {
    let n = T - 1;
    let mut past = [[0; 4]; PAST];
    let mut output = sum(state, &schedule.enter[0], &[0; 4]);
    for (past, row) in past.iter_mut().zip(&schedule.enter[1..]) {
        *past = sum(state, row, &[0; 4]);
    }
    let (mut start, mut end) = (0, n);
    let mut coefficients = &schedule.rounds[..];
    for (round, kappa) in schedule.kappa.iter().enumerate() {
        let (of_round, later) = coefficients.split_at(end - start);
        coefficients = later;
        let rest = dot(&past[start..end], of_round, kappa);
        let fifth = dot(&[fourth(&output)], &[output], &[0; 4]);
        output = reduce(add_wide(rest, &fifth));
        (past[end], past[end + 1]) = (reduce(fifth), output);
        end += 2;
        start += if round < n { 1 } else { 2 };
    }
    std::array::from_fn(|j| match j.checked_sub(1) {
        None => output,
        Some(j) => sum(
            &past[start..end],
            &schedule.leave[2 * n * j..2 * n * (j + 1)],
            &schedule.leave_add[j],
        ),
    })
}

#[inline(always)]
fn add_wide(mut a: [u64; 9], b: &[u64; 9]) -> [u64; 9] {
    let mut carry = 0;
    for (a, b) in a.iter_mut().zip(b) {
        let word = u128::from(*a) + u128::from(*b) + carry;
        (*a, carry) = (word as u64, word >> 64);
    }
    a
}

/// 1024 multiplications a round in 8 chains.
pub(crate) fn multiply(rounds: u64) {
    let mut t: [u64; 8] = std::array::from_fn(|i| std::hint::black_box(i as u64 + 3));
    let a = std::hint::black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..128 * rounds {
        for t in &mut t {
            let product = u128::from(*t) * u128::from(a);
            *t = (product >> 64) as u64 | 1;
        }
    }
    std::hint::black_box(&t);
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::Scalar;
    use ff::Field;

    fn element(x: &Limbs) -> Scalar {
        let word = Scalar::from(u64::MAX) + Scalar::ONE;
        x.iter()
            .rev()
            .fold(Scalar::ZERO, |sum, limb| sum * word + Scalar::from(*limb))
    }
    fn divided(x: Scalar, bits: u64) -> Scalar {
        x * Scalar::from(2u64).pow_vartime([bits]).invert().unwrap()
    }
    /// r - 1, the largest constant.
    fn constant() -> Limbs {
        let mut k = R64;
        k[0] -= 1;
        k
    }

    #[test]
    fn sums_of_the_largest_operands_lose_nothing() {
        let (x, k) = ([u64::MAX; 4], constant());
        let (of_x, of_k) = (element(&x), element(&k));
        assert_eq!(
            element(&sum(&[x; 23], &[k; 23], &k)),
            divided(Scalar::from(23) * of_x * of_k + of_k, 320)
        );
        let h = (1 << 47) - 1;
        assert_eq!(
            element(&sum_limb(&[x; 12], &[h; 12])),
            divided(Scalar::from(12 * h) * of_x, 64)
        );
    }

    /// An S-box's input is at most r and a trifle (`bounds`), where its squares have the room for r more.
    #[test]
    fn the_fifth_power_of_the_largest_input_loses_nothing() {
        let mut x = R64;
        x[3] += 1 << 30;
        let (of_x, k) = (element(&x), constant());
        let expected = divided(of_x.pow_vartime([5]), 3 * 256 + 320) + divided(element(&k), 320);
        assert_eq!(element(&sbox(&x, &k)), expected);
    }

    #[test]
    fn squares_of_numbers_with_room_left_lose_nothing() {
        for top in [R64[3] + (R64[3] >> 1), R64[3], 1, 0] {
            for low in [0, 1, u64::MAX] {
                let x = [low, low, low, top];
                assert_eq!(element(&reduce(square(&x))), divided(element(&x).square(), 256));
            }
        }
    }

    #[test]
    fn a_number_of_32_bytes_is_read_if_it_is_below_the_modulus() {
        let mut bytes = [0; 32];
        for (x, below) in [(constant(), true), (R64, false), ([u64::MAX; 4], false), ([0; 4], true)] {
            write(&x, &mut bytes);
            assert_eq!(read(&bytes), below.then_some(x));
        }
    }
}

//! Scalars as odd signed digits, which leave out every case that the addition law does not cover.
//!
//! A scalar s below r is the odd number s or s - r. An odd number of at most w·n bits is the sum of n digits d_i·2^(w·i)
//! with odd d_i between -2^w and 2^w: no digit is zero, so no lane ever has nothing to add. What is summed up before
//! window i is smaller than 2^(w·i), the next term is not, and up to the last window both together are smaller than r:
//! they are never equal or opposite points. In the last window they are for 0, and for ±2d·2^(w·(n-1)), d being the odd
//! one of the two integers next to r / 2^(w·(n-1)). Next come the entries for these digits, in `table`.

use blstrs::Scalar;
use ff::PrimeField;
use sealdrop_lanes::R64;

/// Bits of a scalar.
const SCALAR_BITS: usize = 255;
/// Bits of a digit, to choose from; with fewer a table would have less than the kernels fill at once.
const BITS: std::ops::RangeInclusive<usize> = 6..=16;
/// (r + 1) / 2
const HALF_R: [u64; 5] = {
    let r = R64;
    // r is odd; the addition does not overflow, or this would not compile.
    let low = (r[0] >> 1 | r[1] << 63) + 1;
    [low, r[1] >> 1 | r[2] << 63, r[2] >> 1 | r[3] << 63, r[3] >> 1, 0]
};

/// How scalars are cut into digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// Bits of a digit: w.
    pub(super) bits: usize,
    /// Digits of a scalar: n.
    pub(super) count: usize,
}

/// (s - 1)/2 + 2^(w·n - 1) for the odd number s: its pieces of w bits are (d_i + 2^w - 1) / 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recoded([u64; 5]);

/// A digit: the lowest bit says whether it is negative, the others are (|d| - 1) / 2, the number of its table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digit(u32);

impl Windows {
    pub(super) const fn new(bits: usize) -> Self {
        Self {
            bits,
            count: SCALAR_BITS.div_ceil(bits),
        }
    }

    /// Those with the fewest additions for so many multiples, the making of the table included, in which an entry is an
    /// addition; of tables of `most` entries.
    pub(super) fn best(multiples: usize, most: usize) -> Self {
        let additions = |windows: &Self| multiples * (windows.count - 1) + windows.count * windows.entries();
        let all = BITS.map(Self::new);
        let small = all.filter(|windows| windows.count * windows.entries() <= most);
        small
            .min_by_key(additions)
            .unwrap_or(const { Self::new(*BITS.start()) })
    }

    /// Table entries of a window, one for each |d|.
    pub(super) const fn entries(self) -> usize {
        1 << (self.bits - 1)
    }

    /// Makes a scalar ready to be read as digits.
    pub(super) fn recode(self, scalar: &Scalar) -> Recoded {
        let bytes = scalar.to_repr();
        let mut words = [0; 5];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        let odd = words[0] & 1 == 1;
        for i in 0..4 {
            words[i] = words[i] >> 1 | words[i + 1] << 63;
        }
        // w·n is 255 at least, so this bit is above all others.
        let top = self.bits * self.count - 1;
        words[top / 64] |= 1 << (top % 64);
        if !odd {
            let mut borrow = false;
            for (word, subtrahend) in words.iter_mut().zip(HALF_R) {
                let (difference, under) = word.overflowing_sub(subtrahend);
                let (difference, under_again) = difference.overflowing_sub(u64::from(borrow));
                (*word, borrow) = (difference, under || under_again);
            }
        }
        Recoded(words)
    }

    /// Digit number `i`, lowest first.
    #[inline(always)]
    pub(super) fn digit(self, recoded: &Recoded, i: usize) -> Digit {
        let (word, shift) = (self.bits * i / 64, self.bits * i % 64);
        let low = recoded.0[word] >> shift;
        // Shifted twice, as a shift by 64 would be none.
        let high = recoded.0.get(word + 1).map_or(0, |high| high << 1 << (63 - shift));
        let piece = low | high;
        let negative = piece >> (self.bits - 1) & 1 ^ 1;
        // |d| = 2·piece + 1 - 2^w, or minus that: all bits of the piece turned over.
        let entry = (piece ^ negative.wrapping_neg()) & (self.entries() as u64 - 1);
        Digit((entry << 1 | negative) as u32)
    }
}

impl Digit {
    #[inline(always)]
    pub(super) fn entry(self) -> usize {
        (self.0 >> 1) as usize
    }

    /// 1 for a negative digit, else 0.
    #[inline(always)]
    pub(super) fn sign(self) -> u8 {
        (self.0 & 1) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn odd_digits_add_up_to_the_scalar_at_every_width() {
        let mut scalars = vec![
            Scalar::ZERO,
            Scalar::ONE,
            Scalar::from(2),
            -Scalar::ONE,
            -Scalar::from(2),
        ];
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        scalars.extend((0..20).map(|_| Scalar::random(&mut rng)));
        for bits in 6..=17 {
            let windows = Windows::new(bits);
            let radix = Scalar::from(1 << bits);
            for scalar in &scalars {
                let recoded = windows.recode(scalar);
                let sum = (0..windows.count).rev().fold(Scalar::ZERO, |sum, i| {
                    let digit = windows.digit(&recoded, i);
                    assert!(digit.entry() < windows.entries());
                    let size = Scalar::from(2 * digit.entry() as u64 + 1);
                    sum * radix + if digit.sign() == 1 { -size } else { size }
                });
                assert_eq!(sum, *scalar, "{bits} bits");
            }
        }
    }

    #[test]
    fn few_multiples_get_a_small_table_and_no_table_is_larger_than_allowed() {
        assert_eq!(Windows::best(10_000_000, 1 << 19), Windows::new(16));
        assert_eq!(Windows::best(10_000_000, (1 << 19) - 1), Windows::new(15));
        assert_eq!(Windows::best(10_000, 1 << 19), Windows::new(11));
        assert_eq!(Windows::best(1, 1 << 19), Windows::new(6));
        assert_eq!(Windows::best(1, 0), Windows::new(6));
    }
}

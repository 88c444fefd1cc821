//! Scalars cut into signed windows.
//!
//! A scalar above r/2 is negated, so that the top window needs no bias; to the rest half a window's range is added in every
//! window but the top one, once, so that digit - half is the signed digit and no carry runs between windows.

use sealdrop_lanes::{add_words, sub_words, R64};

/// A scalar's absolute value, below 2^254, with the windows' bias added, and its sign in the top bit.
pub(crate) type Biased = [u64; 4];

/// A width of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    bits: usize,
}

/// Bits of the absolute value and one for the top window's carry.
const BITS: usize = 255;

impl Window {
    /// Windows of so many bits, 2 to 16.
    pub(crate) fn new(bits: usize) -> Self {
        Self {
            bits: bits.clamp(2, 16),
        }
    }

    /// The width with the fewest additions for `n` scalars, if it has no more than 2^`most` buckets. A bucket costs two
    /// additions and a bit.
    pub(crate) fn best(n: usize, most: usize) -> Self {
        let cost = |bits: &usize| BITS.div_ceil(*bits) * (4 * n + 9 * (1 << (bits - 1)));
        Self::new((2..=most + 1).min_by_key(cost).unwrap_or(2))
    }

    pub(crate) fn bits(self) -> usize {
        self.bits
    }
    /// How many windows.
    pub(crate) fn count(self) -> usize {
        BITS.div_ceil(self.bits)
    }
    /// Buckets of a window: digits of 1 to this.
    pub(crate) fn buckets(self) -> usize {
        1 << (self.bits - 1)
    }

    /// What [`biased`](Self::biased) adds.
    fn bias(self) -> [u64; 4] {
        let mut b = [0u64; 4];
        for i in 0..self.count() - 1 {
            let bit = self.bits * i + self.bits - 1;
            b[bit / 64] |= 1 << (bit % 64);
        }
        b
    }

    /// A function that prepares scalars, given as integers below r.
    pub(crate) fn biaser(self) -> impl Fn(&[u64; 4]) -> Biased + Copy + Sync {
        let bias = self.bias();
        #[inline(always)]
        move |s: &[u64; 4]| {
            let (v, sign) = signed(s);
            let mut out = add_words(v, bias);
            out[3] |= sign << 63;
            out
        }
    }

    /// Digit `w` of a prepared scalar: its absolute value, up to [`buckets`](Self::buckets), and 1 if it is negative.
    #[inline(always)]
    pub(crate) fn digit(self, s: &Biased, w: usize) -> (u32, u32) {
        let (word, shift) = (self.bits * w / 64, self.bits * w % 64);
        let get = |k: usize| if k == 3 { s[3] & !(1 << 63) } else { s[k] };
        let mut d = get(word) >> shift;
        if shift + self.bits > 64 && word + 1 < 4 {
            d |= get(word + 1) << (64 - shift);
        }
        d &= (1 << self.bits) - 1;
        let sign = (s[3] >> 63) as u32;
        let half = 1 << (self.bits - 1);
        if w + 1 == self.count() {
            (d as u32, sign)
        } else if d >= half {
            ((d - half) as u32, sign)
        } else {
            ((half - d) as u32, sign ^ 1)
        }
    }
}

/// The integer's absolute value modulo r (at most r/2, but for the lower words) and sign.
#[inline(always)]
fn signed(s: &[u64; 4]) -> ([u64; 4], u64) {
    const HALF: u64 = R64[3] >> 1;
    // Compares the top words only: near the middle either choice is fine.
    if s[3] > HALF {
        (sub_words(R64, *s).0, 1)
    } else {
        (*s, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{random_scalars, words};
    use blstrs::Scalar;
    use ff::Field;

    #[test]
    fn digits_times_powers_of_the_window_are_the_scalar_for_every_width() {
        let half = Scalar::from(2).invert().unwrap();
        let mut scalars = vec![
            Scalar::ZERO,
            Scalar::ONE,
            -Scalar::ONE,
            Scalar::from(2),
            -Scalar::from(2),
        ];
        scalars.extend([half, -half, half - Scalar::ONE, Scalar::from(2).pow_vartime([254])]);
        // Around the place where the sign is chosen.
        let top = Scalar::from(R64[3] >> 1) * Scalar::from(2).pow_vartime([192]);
        scalars.extend([top, top - Scalar::ONE, top + Scalar::from(2).pow_vartime([192])]);
        scalars.extend(random_scalars(50, 7));
        for bits in 2..=16 {
            let window = Window::new(bits);
            let bias = window.biaser();
            for s in &scalars {
                let biased = bias(&words(s));
                let mut sum = Scalar::ZERO;
                for w in (0..window.count()).rev() {
                    let (d, sign) = window.digit(&biased, w);
                    assert!(d as usize <= window.buckets());
                    sum *= Scalar::from(1 << bits);
                    let d = Scalar::from(u64::from(d));
                    sum += if sign == 1 { -d } else { d };
                }
                assert_eq!(sum, *s, "{bits} bits");
            }
        }
    }

    #[test]
    fn wider_windows_for_more_scalars() {
        assert!(Window::best(1, 14).bits() < Window::best(1000, 14).bits());
        assert_eq!(Window::best(1 << 22, 14).bits(), 15);
        assert_eq!(Window::best(1 << 30, 14).bits(), 15);
    }
}

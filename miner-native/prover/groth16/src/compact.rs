//! Scalars of which most are small: in a circuit of bits and hashes nine of ten are 0 or 1, and their 32 bytes each would be
//! most of the prover's memory.

use crate::arena::{Arena, Array};
use crate::Error;
use blst::blst_fr;
use blstrs::Scalar;
use std::sync::{Arc, LazyLock};

/// A sequence of scalars, 4 bytes each for numbers below 256, 36 for others.
pub(crate) struct Compact {
    /// The number itself, or the top bit and the place in `large`: indices of 31 bits, as many as the parameters have.
    small: Array<u32>,
    large: Vec<Scalar>,
}
const LARGE: u32 = 1 << 31;

/// 0..256, and where each is found by a hash of the low word of its Montgomery form.
static NUMBERS: LazyLock<([Scalar; 256], [u8; 4096])> = LazyLock::new(|| {
    let numbers: [Scalar; 256] = std::array::from_fn(|i| Scalar::from(i as u64));
    let mut places = [0; 4096];
    for (i, x) in numbers.iter().enumerate().rev() {
        places[slot(x)] = i as u8;
    }
    (numbers, places)
});

#[inline(always)]
fn slot(x: &Scalar) -> usize {
    (montgomery(x)[0].wrapping_mul(0x9e3779b97f4a7c15) >> 52) as usize
}

/// The words of blst's Montgomery form.
#[inline(always)]
pub(crate) fn montgomery(x: &Scalar) -> [u64; 4] {
    blst_fr::from(*x).l
}

/// How a scalar is held.
pub(crate) enum Value<'a> {
    /// A number below 256.
    Small(u32),
    /// Any other.
    Large(&'a Scalar),
}

impl Compact {
    pub(crate) fn new(arena: &Arc<Arena>, capacity: usize) -> Result<Self, Error> {
        Ok(Self {
            small: arena.empty(capacity)?,
            large: vec![],
        })
    }

    /// Appends; `false` if there is no room.
    #[inline(always)]
    #[must_use]
    pub(crate) fn push(&mut self, x: Scalar) -> bool {
        let (numbers, places) = &*NUMBERS;
        let i = places[slot(&x)];
        if numbers[usize::from(i)] == x {
            return self.small.push(u32::from(i));
        }
        let room = self.small.push(LARGE | self.large.len() as u32);
        if room {
            self.large.push(x);
        }
        room
    }

    pub(crate) fn len(&self) -> usize {
        self.small.len()
    }

    #[inline(always)]
    pub(crate) fn value(&self, i: usize) -> Value<'_> {
        let s = self.small[i];
        if s & LARGE == 0 {
            Value::Small(s)
        } else {
            Value::Large(&self.large[(s ^ LARGE) as usize])
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, i: usize) -> &Scalar {
        match self.value(i) {
            Value::Small(s) => &NUMBERS.0[s as usize],
            Value::Large(x) => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;

    #[test]
    fn every_scalar_comes_back_as_it_was() {
        let arena = Arc::new(Arena::default());
        let mut numbers: Vec<Scalar> = (0..600).map(Scalar::from).collect();
        numbers.extend((0..600u64).map(|i| -Scalar::from(i)));
        numbers.extend((0..600u64).map(|i| Scalar::from(i + 7).invert().unwrap()));
        let mut compact = Compact::new(&arena, numbers.len()).unwrap();
        assert!(numbers.iter().all(|x| compact.push(*x)));
        assert!(!compact.push(Scalar::ONE) && !compact.push(-Scalar::ONE));
        assert_eq!(compact.len(), numbers.len());
        assert!((0..numbers.len()).all(|i| *compact.get(i) == numbers[i]));
    }

    #[test]
    fn small_numbers_take_no_scalar() {
        let arena = Arc::new(Arena::default());
        let mut compact = Compact::new(&arena, 256).unwrap();
        assert!((0..256).all(|i| compact.push(Scalar::from(i))));
        assert!(compact.large.is_empty());
    }
}

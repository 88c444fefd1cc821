//! Sums of multiples of points, where most factors are short: of a seal's 39 inputs 36 are node numbers.

use crate::inputs::Input;
use alloc::vec::Vec;
use bls12_381::{G1Affine, G1Projective};

/// Bits of a short factor.
const SHORT: usize = u32::BITS as usize;

/// The sum of `terms`, by Straus' method: one chain of doublings for all; four bits at a time from a table for full
/// factors, bit by bit for short ones. Not in constant time, as nothing here is secret.
pub fn of(terms: &[(G1Affine, Input)]) -> G1Projective {
    let mut short = Vec::new();
    let mut full = Vec::new();
    let mut bits = 0;
    for (point, factor) in terms {
        match factor {
            Input::Short(factor) => {
                bits = bits.max(SHORT - factor.leading_zeros() as usize);
                short.push((point, *factor));
            }
            Input::Full(factor) => {
                let bytes = factor.to_bytes();
                let leading = bytes.iter().rev().take_while(|byte| **byte == 0).count();
                bits = bits.max(8 * (bytes.len() - leading));
                full.push((multiples(point), bytes));
            }
        }
    }
    let mut sum = G1Projective::identity();
    for bit in (0..bits).rev() {
        sum = sum.double();
        if bit < SHORT {
            for (point, factor) in &short {
                if factor >> bit & 1 == 1 {
                    sum = sum.add_mixed(point);
                }
            }
        }
        if bit % 4 == 0 {
            for (table, factor) in &full {
                let byte = factor.get(bit / 8).copied().unwrap_or_default();
                // Nothing is added for a digit 0.
                let digit = usize::from(byte >> (bit % 8) & 15);
                if let Some(multiple) = digit.checked_sub(1).and_then(|digit| table.get(digit)) {
                    sum = sum.add(multiple);
                }
            }
        }
    }
    sum
}

/// 1 to 15 times the point.
fn multiples(point: &G1Affine) -> [G1Projective; 15] {
    let mut last = G1Projective::identity();
    [(); 15].map(|()| {
        last = last.add_mixed(point);
        last
    })
}

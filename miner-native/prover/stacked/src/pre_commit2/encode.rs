//! The replica's nodes: label plus datum, in the scalar field.

use super::NODE;

/// r in 64-bit words, lowest first.
const R: [u64; 4] = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];

/// Which operand is not below r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotInField {
    Label,
    Datum,
}

/// label + datum modulo r.
pub(super) fn encode(label: &[u8; NODE], datum: &[u8; NODE], out: &mut [u8; NODE]) -> Result<(), NotInField> {
    let (label, datum) = (words(label), words(datum));
    if !subtract(label).1 {
        return Err(NotInField::Label);
    }
    if !subtract(datum).1 {
        return Err(NotInField::Datum);
    }
    let mut carry = 0;
    let sum = std::array::from_fn(|i| {
        let word = u128::from(label[i]) + u128::from(datum[i]) + carry;
        carry = word >> 64;
        word as u64
    });
    let (less, negative) = subtract(sum);
    let sum = if negative { sum } else { less };
    for (word, out) in sum.iter().zip(out.as_chunks_mut::<8>().0) {
        *out = word.to_le_bytes();
    }
    Ok(())
}

fn words(bytes: &[u8; NODE]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

/// x - r, and whether that is negative.
fn subtract(x: [u64; 4]) -> ([u64; 4], bool) {
    let mut borrow = false;
    let less = std::array::from_fn(|i| {
        let (word, first) = x[i].overflowing_sub(R[i]);
        let (word, second) = word.overflowing_sub(u64::from(borrow));
        borrow = first | second;
        word
    });
    (less, borrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::Scalar;
    use ff::Field;

    #[test]
    fn a_node_is_the_sum_in_the_field() {
        let minus_one = -Scalar::ONE;
        let half = minus_one * Scalar::from(2).invert().unwrap();
        let values = [
            Scalar::ZERO,
            Scalar::ONE,
            half,
            half + Scalar::ONE,
            minus_one,
            minus_one.double(),
            -Scalar::from(1 << 40),
        ];
        for (label, datum) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            let mut out = [0xff; NODE];
            encode(&label.to_bytes_le(), &datum.to_bytes_le(), &mut out).unwrap();
            assert_eq!(out, (label + datum).to_bytes_le());
        }
    }

    #[test]
    fn an_operand_that_is_not_below_r_is_refused() {
        let mut modulus = (-Scalar::ONE).to_bytes_le();
        modulus[0] += 1; // r - 1 ends in a zero byte
        let mut out = [0; NODE];
        for wrong in [modulus, [0xff; NODE]] {
            assert_eq!(encode(&wrong, &[0; NODE], &mut out), Err(NotInField::Label));
            assert_eq!(encode(&[0; NODE], &wrong, &mut out), Err(NotInField::Datum));
        }
    }
}

//! The scalar field: what the Fourier transform of `sealdrop-groth16` computes with.

use super::*;

/// Eight numbers of Fr, carried, below 1.5r between the butterflies of a transform.
#[derive(Clone, Copy)]
pub struct Fr(pub [V; 5]);

tf! { /// a·b / 2^260, below 1.12r for operands whose product is below 4r².
pub fn rmul(a: &[V; 5], b: &[V; 5]) -> [V; 5] { mont(a, b, &R, R_INV) } }

tf! { /// Carries a number below 4.4r, of limbs of any sign, and brings it below 1.43r: it subtracts q·r,
/// q = ⌊x / 2^255⌋ up to 3, with 2^255 = 1.105r.
pub fn reduce_r(t: [V; 5]) -> [V; 5] {
    let mut t = carry(t);
    let q = _mm512_srai_epi64::<47>(t[4]);
    for j in 0..5 {
        // SAFETY: the table's row has eight words.
        let table = unsafe { _mm512_loadu_si512(R_MULTIPLES[j].as_ptr().cast()) };
        t[j] = _mm512_sub_epi64(t[j], _mm512_permutexvar_epi64(q, table));
    }
    carry(t)
}}

//! Fr32: 127 bytes of a file become four 32-byte field elements of 254 bits each, little-endian, with the two highest bits
//! zero (spec §8.2). Used by [`super::kernel`], and by the miner where it writes a sector.

use super::kernel::QUAD;
use alloc::vec::Vec;

/// (first byte, bits to drop from it) of each field element: element k starts at bit 254·k.
const STARTS: [(usize, u32); 4] = [(0, 0), (31, 6), (63, 4), (95, 2)];

/// The four field elements of 127 bytes.
pub fn expand(quad: &[u8; QUAD]) -> [[u8; 32]; 4] {
    // One zero byte behind the input, so that the last element reads past its end like the others.
    let mut source = [0u8; QUAD + 1];
    source[..QUAD].copy_from_slice(quad);
    let mut elements = [[0u8; 32]; 4];
    for (element, (start, drop)) in elements.iter_mut().zip(STARTS) {
        for (byte, pair) in element.iter_mut().zip(source[start..].windows(2)) {
            *byte = (u16::from_le_bytes([pair[0], pair[1]]) >> drop) as u8;
        }
        element[31] &= 0x3f;
    }
    elements
}

/// Appends the field elements of `data` to `out`, 128 bytes for each 127; zeros complete the last ones.
pub fn pad(data: &[u8], out: &mut Vec<u8>) {
    let (quads, rest) = data.as_chunks::<QUAD>();
    out.reserve(data.len().div_ceil(QUAD) * 128);
    for quad in quads {
        out.extend_from_slice(expand(quad).as_flattened());
    }
    if !rest.is_empty() {
        let mut last = [0u8; QUAD];
        last[..rest.len()].copy_from_slice(rest);
        out.extend_from_slice(expand(&last).as_flattened());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_bit_lands_two_bits_further_for_each_element_before_it() {
        for bit in 0..QUAD * 8 {
            let mut quad = [0u8; QUAD];
            quad[bit / 8] |= 1 << (bit % 8);
            let mut expected = [[0u8; 32]; 4];
            let (element, at) = (bit / 254, bit % 254);
            expected[element][at / 8] |= 1 << (at % 8);
            assert_eq!(expand(&quad), expected, "bit {bit}");
        }
    }
}

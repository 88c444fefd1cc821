//! LEB128 numbers: signed for amounts, heights and channel ids, unsigned for nonces, sector ids and frame lengths
//! (spec §1.4). Decoders refuse empty input, a missing last byte, over-long forms and values that do not fit.

use alloc::vec::Vec;

/// Why bytes are not one LEB128 number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Leb128Error {
    #[error("a LEB128 number is empty")]
    Empty,
    #[error("a LEB128 number ends in the middle")]
    Truncated,
    #[error("a LEB128 number is followed by other bytes")]
    Trailing,
    #[error("a LEB128 number is not in its shortest form")]
    Overlong,
    #[error("a LEB128 number is too large for its field")]
    TooLarge,
}

/// Appends `value` as unsigned LEB128.
pub fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `value` as unsigned LEB128, 1 to 10 bytes.
pub fn unsigned(value: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(10);
    write_unsigned(&mut out, value);
    out
}

/// Reads one unsigned number from the front of `bytes`: the value and how many bytes it took.
pub fn read_unsigned(bytes: &[u8]) -> Result<(u64, usize), Leb128Error> {
    let mut value = 0u64;
    for ((used, shift), byte) in (1..).zip((0..).step_by(7)).zip(bytes) {
        let bits = u64::from(byte & 0x7f);
        if used > 10 || (used == 10 && bits > 1) {
            return Err(Leb128Error::TooLarge);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            if used > 1 && bits == 0 {
                return Err(Leb128Error::Overlong);
            }
            return Ok((value, used));
        }
    }
    Err(if bytes.is_empty() {
        Leb128Error::Empty
    } else {
        Leb128Error::Truncated
    })
}

/// Decodes exactly one unsigned number.
pub fn parse_unsigned(bytes: &[u8]) -> Result<u64, Leb128Error> {
    match read_unsigned(bytes)? {
        (value, used) if used == bytes.len() => Ok(value),
        _ => Err(Leb128Error::Trailing),
    }
}

/// `value` as signed (two's complement) LEB128.
pub fn signed(mut value: i128) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = value as u8 & 0x7f;
        value >>= 7;
        let sign = byte & 0x40 != 0;
        if (value == 0 && !sign) || (value == -1 && sign) {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// Decodes exactly one signed number.
pub fn parse_signed(bytes: &[u8]) -> Result<i128, Leb128Error> {
    let last = *bytes.last().ok_or(Leb128Error::Empty)?;
    if last & 0x80 != 0 {
        return Err(Leb128Error::Truncated);
    }
    // 18 groups carry 126 bits: more than any amount that can exist, and the shifts below stay in range.
    if bytes.len() > 18 {
        return Err(Leb128Error::TooLarge);
    }
    let mut value = 0i128;
    for ((used, shift), byte) in (1..).zip((0..).step_by(7)).zip(bytes) {
        if byte & 0x80 == 0 && used != bytes.len() {
            return Err(Leb128Error::Trailing);
        }
        value |= i128::from(byte & 0x7f) << shift;
    }
    if last & 0x40 != 0 {
        // All bits above the groups.
        value |= -1i128 << bytes.len().saturating_mul(7);
    }
    if signed(value) != bytes {
        return Err(Leb128Error::Overlong);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers_match_the_vectors_both_ways() {
        let vectors = [
            (0, "00"),
            (63, "3f"),
            (64, "c000"),
            (128, "8001"),
            (300, "ac02"),
            (1000, "e807"),
            (1_000_000_000_000_000_000, "808090bbbad6adf00d"),
            (-1, "7f"),
            (-64, "40"),
            (-65, "bf7f"),
            (-1024, "8078"),
        ];
        for (value, text) in vectors {
            assert_eq!(hex::encode(signed(value)), text, "{value}");
            assert_eq!(parse_signed(&hex::decode(text).unwrap()), Ok(value));
        }
    }

    #[test]
    fn unsigned_numbers_match_the_vectors_both_ways() {
        for (value, text) in [
            (64, "40"),
            (127, "7f"),
            (128, "8001"),
            (300, "ac02"),
            (u64::MAX, "ffffffffffffffffff01"),
        ] {
            assert_eq!(hex::encode(unsigned(value)), text, "{value}");
            assert_eq!(parse_unsigned(&hex::decode(text).unwrap()), Ok(value));
        }
    }

    #[test]
    fn malformed_numbers_are_refused_not_panicked_on() {
        assert_eq!(parse_signed(&[]), Err(Leb128Error::Empty));
        assert_eq!(parse_signed(&[0x80]), Err(Leb128Error::Truncated));
        assert_eq!(parse_signed(&[0x80, 0x00]), Err(Leb128Error::Overlong));
        assert_eq!(parse_signed(&[0x01, 0x01]), Err(Leb128Error::Trailing));
        assert_eq!(
            parse_signed(&[[0xff; 20].as_slice(), &[0]].concat()),
            Err(Leb128Error::TooLarge)
        );
        assert_eq!(parse_unsigned(&[]), Err(Leb128Error::Empty));
        assert_eq!(parse_unsigned(&[0xff]), Err(Leb128Error::Truncated));
        assert_eq!(parse_unsigned(&[0x81, 0x00]), Err(Leb128Error::Overlong));
        assert_eq!(parse_unsigned(&[0x01, 0x01]), Err(Leb128Error::Trailing));
        assert_eq!(parse_unsigned(&[0xff; 11]), Err(Leb128Error::TooLarge));
        assert_eq!(
            parse_unsigned(&[[0xff; 9].as_slice(), &[2]].concat()),
            Err(Leb128Error::TooLarge)
        );
    }
}

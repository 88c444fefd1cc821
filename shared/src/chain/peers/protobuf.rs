//! As much of protobuf as records of peers are made of: varints and fields of bytes. One encoding of a value is accepted.

use super::RecordError;
use alloc::vec::Vec;

/// Wire type of a number.
const VARINT: u64 = 0;
/// Wire type of bytes with their length in front.
const BYTES: u64 = 2;

/// A field as it stands.
pub(super) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub fn number(self) -> Result<u64, RecordError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err(RecordError::Malformed("a field is no number")),
        }
    }

    pub fn bytes(self) -> Result<&'a [u8], RecordError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(RecordError::Malformed("a field is no bytes")),
        }
    }
}

/// Reads the fields of a message, in the order of their numbers, and hands each with its number to `take`.
pub(super) fn read<'a>(
    mut message: &'a [u8],
    mut take: impl FnMut(u64, Field<'a>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut last = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let (number, kind) = (tag >> 3, tag & 7);
        if number < last {
            return Err(RecordError::Malformed("its fields are out of order"));
        }
        last = number;
        let field = match kind {
            VARINT => Field::Number(varint(&mut message)?),
            BYTES => {
                let length = usize::try_from(varint(&mut message)?).unwrap_or(usize::MAX);
                let (bytes, rest) = message.split_at_checked(length).ok_or(TRUNCATED)?;
                message = rest;
                Field::Bytes(bytes)
            }
            _ => return Err(RecordError::Malformed("a field has an unknown kind")),
        };
        take(number, field)?;
    }
    Ok(())
}

/// Notes a field that stands once.
pub(super) fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), RecordError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(RecordError::Malformed("a field stands twice")),
    }
}

const TRUNCATED: RecordError = RecordError::Malformed("it ends within a field");

fn varint(bytes: &mut &[u8]) -> Result<u64, RecordError> {
    let mut number = 0u64;
    for shift in (0..64u32).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(TRUNCATED)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part.leading_zeros() < shift {
            return Err(RecordError::Malformed("a number is too large"));
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return match byte == 0 && shift > 0 {
                true => Err(RecordError::Malformed("a number is padded")),
                false => Ok(number),
            };
        }
    }
    Err(RecordError::Malformed("a number is too large"))
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3 | VARINT);
    put_varint(out, number);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | BYTES);
    put_prefixed(out, bytes);
}

/// Bytes with their length in front.
pub(super) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_encoding() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            assert_eq!(varint(&mut out.as_slice()), Ok(number));
        }
        let refused = |mut bytes: &[u8]| varint(&mut bytes).unwrap_err();
        assert_eq!(refused(&[0x80, 0]), RecordError::Malformed("a number is padded"));
        assert_eq!(refused(&[0x80]), TRUNCATED);
        let large = [0xff; 9].iter().chain(&[2]).copied().collect::<Vec<u8>>();
        assert_eq!(refused(&large), RecordError::Malformed("a number is too large"));
        assert_eq!(refused(&[0xff; 11]), RecordError::Malformed("a number is too large"));
    }
}

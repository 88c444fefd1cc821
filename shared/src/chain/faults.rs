//! Sets of sectors as the ABI carries them: `IntSet` in RLE+, and `FaultSet` (spec §1.9).
//!
//! Decided here: which bytes are a set. Built by a miner's host when it declares faults, gives up sectors or calls them
//! done; read by the miner actor ([`super::actors::miner`]) in `addFaults`, `recoverFaults` and `submitPoSt`.
//!
//! RLE+ is a string of bits, least significant bit of a byte first: version (2 bits, 0), whether 0 is in the set
//! (1 bit), then the lengths of the runs of members and gaps in turn. A length is `1` for 1, `01` and 4 bits for 2 to 15,
//! `00` and an unsigned LEB128 number for more. A few bytes can name 2⁶⁴ numbers, so the members are counted before they
//! are listed; only the shortest form of a set is accepted.

use super::abi::Abi;
use crate::wire::cbor::{cbor_map, Bytes, Cbor, DecodeError, Value};
use crate::wire::{decode, encode, leb128};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Most members of a set: a miner has at most as many sectors ([`super::actors::miner::MAX_SECTORS`]).
pub const MAX_INT_SET: usize = 4096;
/// Most bytes of a set. Every member takes at most two runs of at most 82 bits each.
const MAX_INT_SET_BYTES: usize = MAX_INT_SET * 2 * 82 / 8 + 1;
/// Shortest run that is written as a LEB128 number.
const LONG_RUN: u64 = 16;

/// Why bytes are not a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RleError {
    #[error("an RLE+ set has {0} bytes, and the longest has {MAX_INT_SET_BYTES}")]
    TooLong(usize),
    #[error("an RLE+ set ends in the middle of a run")]
    Truncated,
    #[error("RLE+ version {0} is unknown: only version 0 is")]
    Version(u64),
    #[error("an RLE+ set has more than {MAX_INT_SET} members")]
    TooManyMembers,
    #[error("an RLE+ set has a member above 64 bits")]
    OutOfRange,
    #[error("an RLE+ set is not in its shortest form")]
    NotCanonical,
}

/// A set of numbers: the ABI's `IntSet`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntSet(pub BTreeSet<u64>);

/// Sectors that their miner cannot prove: the ABI's `FaultSet`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultSet {
    /// Their numbers.
    pub ids: IntSet,
    /// The submission that they belong to, counted by the sender; the actor does not look at it.
    pub idx: u64,
}
cbor_map!(FaultSet { "ids" => ids, "idx" => idx });

impl FaultSet {
    /// These sectors, as submission 0.
    pub fn of(ids: impl IntoIterator<Item = u64>) -> Self {
        Self {
            ids: ids.into_iter().collect(),
            idx: 0,
        }
    }
}

impl FromIterator<u64> for IntSet {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl IntSet {
    /// The set as RLE+.
    pub fn to_rle(&self) -> Vec<u8> {
        let mut out = BitWriter::default();
        out.push(0, 2);
        out.push(u64::from(self.0.contains(&0)), 1);
        for run in self.runs() {
            match run {
                1 => out.push(1, 1),
                2..LONG_RUN => {
                    out.push(0b10, 2);
                    out.push(run, 4);
                }
                _ => {
                    out.push(0, 2);
                    leb128::unsigned(run)
                        .into_iter()
                        .for_each(|byte| out.push(u64::from(byte), 8));
                }
            }
        }
        out.bytes
    }

    /// The lengths of gaps and runs in turn, from 0 on; the first is a run when 0 is a member.
    fn runs(&self) -> Vec<u64> {
        let mut runs: Vec<u64> = Vec::new();
        let mut last: Option<u64> = None;
        for member in &self.0 {
            match last {
                Some(before) if before.checked_add(1) == Some(*member) => {
                    if let Some(run) = runs.last_mut() {
                        *run = run.saturating_add(1);
                    }
                }
                Some(before) => runs.extend([member.saturating_sub(before).saturating_sub(1), 1]),
                None if *member == 0 => runs.push(1),
                None => runs.extend([*member, 1]),
            }
            last = Some(*member);
        }
        runs
    }

    /// The set that `bytes` are the RLE+ of.
    pub fn from_rle(bytes: &[u8]) -> Result<Self, RleError> {
        if bytes.len() > MAX_INT_SET_BYTES {
            return Err(RleError::TooLong(bytes.len()));
        }
        let mut bits = BitReader { bytes, at: 0 };
        match bits.take(2)? {
            0 => {}
            version => return Err(RleError::Version(version)),
        }
        let mut members = BTreeSet::new();
        let mut is_member = bits.take(1)? == 1;
        // In 128 bits a run of 2⁶⁴ - 1 after any position does not overflow.
        let mut next = 0u128;
        while !bits.is_padding() {
            let run = bits.run()?;
            let end = next.saturating_add(run.into());
            if end > 1 << 64 {
                return Err(RleError::OutOfRange);
            }
            if is_member {
                if run > MAX_INT_SET.saturating_sub(members.len()) as u64 {
                    return Err(RleError::TooManyMembers);
                }
                members.extend((next..end).map(|member| member as u64));
            }
            (next, is_member) = (end, !is_member);
        }
        let set = Self(members);
        (set.to_rle() == bytes).then_some(set).ok_or(RleError::NotCanonical)
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    /// Appends the `count` lowest bits of `value`, lowest first.
    fn push(&mut self, value: u64, count: usize) {
        for i in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> i & 1) as u8) << (self.used % 8);
            }
            self.used = self.used.saturating_add(1);
        }
    }
}

struct BitReader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl BitReader<'_> {
    fn bit(&mut self) -> Result<u64, RleError> {
        let byte = self.bytes.get(self.at / 8).ok_or(RleError::Truncated)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at = self.at.saturating_add(1);
        Ok(u64::from(bit))
    }

    fn take(&mut self, count: usize) -> Result<u64, RleError> {
        (0..count).try_fold(0, |value, i| Ok(value | self.bit()? << i))
    }

    /// Whether only the zero bits that fill the last byte are left.
    fn is_padding(&self) -> bool {
        let left = self.bytes.len().saturating_mul(8).saturating_sub(self.at);
        left < 8 && (left == 0 || self.bytes.last().is_some_and(|last| last >> (self.at % 8) == 0))
    }

    fn run(&mut self) -> Result<u64, RleError> {
        if self.bit()? == 1 {
            return Ok(1);
        }
        if self.bit()? == 1 {
            return self.take(4);
        }
        let mut number = Vec::new();
        loop {
            let byte = self.take(8)? as u8;
            number.push(byte);
            if byte & 0x80 == 0 || number.len() > 10 {
                break;
            }
        }
        leb128::parse_unsigned(&number).map_err(|e| match e {
            leb128::Leb128Error::TooLarge => RleError::OutOfRange,
            _ => RleError::NotCanonical,
        })
    }
}

impl Cbor for IntSet {
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_rle())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Bytes(bytes) = Bytes::from_value(value)?;
        Self::from_rle(&bytes).map_err(|e| DecodeError::invalid("set", e))
    }
}

impl Abi for IntSet {
    fn to_abi(&self) -> Vec<u8> {
        encode(self)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Abi for FaultSet {
    fn to_abi(&self) -> Vec<u8> {
        encode(self)
    }
    fn from_abi(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[u64]) -> IntSet {
        members.iter().copied().collect()
    }

    #[test]
    fn empty_sets_match_the_vectors_both_ways() {
        assert_eq!(hex::encode(IntSet::default().to_abi()), "4100");
        assert_eq!(hex::encode(FaultSet::default().to_abi()), "a26369647341006369647800");
        assert_eq!(IntSet::from_abi(&[0x41, 0]), Ok(IntSet::default()));
        let bytes = hex::decode("a26369647341006369647800").expect("hexadecimal");
        assert_eq!(FaultSet::from_abi(&bytes), Ok(FaultSet::default()));
    }

    #[test]
    fn runs_of_every_kind_match_the_vectors_both_ways() {
        // Runs of 1, 1, 3 and 17 with gaps of 1, 1 and 4; then the highest member after the longest gap.
        let mixed: Vec<u64> = [0, 2].into_iter().chain(4..=6).chain(11..=27).collect();
        let (two, fifteen, sixteen): (Vec<u64>, Vec<u64>, Vec<u64>) =
            ((0..2).collect(), (0..15).collect(), (0..16).collect());
        let vectors = [
            (mixed.as_slice(), "7c472202"),
            (&[0], "0c"),
            (&[1], "18"),
            (&two, "5400"),
            (&fifteen, "f401"),
            (&sixteen, "0402"),
            (&[u64::MAX], "e0ffffffffffffffff3f20"),
        ];
        for (members, text) in vectors {
            assert_eq!(hex::encode(set(members).to_rle()), text, "{members:?}");
            let bytes = hex::decode(text).expect("hexadecimal");
            assert_eq!(IntSet::from_rle(&bytes), Ok(set(members)));
        }
    }

    #[test]
    fn every_set_of_small_numbers_survives_the_trip() {
        for mask in 0..1u64 << 12 {
            let numbers = (0..12).filter(|bit| mask >> bit & 1 == 1).map(|bit| bit * 3 + mask % 3);
            let set: IntSet = numbers.collect();
            assert_eq!(IntSet::from_rle(&set.to_rle()), Ok(set));
        }
    }

    #[test]
    fn hostile_bytes_are_refused_before_anything_is_listed() {
        let refused = |text: &str| IntSet::from_rle(&hex::decode(text).expect("hexadecimal")).expect_err("refused");
        assert_eq!(refused(""), RleError::Truncated);
        assert_eq!(refused("01"), RleError::Version(1));
        // One run of 2⁶⁴ - 1 members in 11 bytes.
        assert_eq!(refused("e4ffffffffffffffff3f00"), RleError::TooManyMembers);
        assert_eq!(refused("e0ffffffffffffffff5f00"), RleError::OutOfRange);
        assert_eq!(refused("e0ffff"), RleError::Truncated);
        assert_eq!(
            IntSet::from_rle(&[0; MAX_INT_SET_BYTES + 1]),
            Err(RleError::TooLong(83_970))
        );
        let most: IntSet = (0..MAX_INT_SET as u64).collect();
        assert_eq!(IntSet::from_rle(&most.to_rle()), Ok(most));
        let over: IntSet = (0..=MAX_INT_SET as u64).collect();
        assert_eq!(IntSet::from_rle(&over.to_rle()), Err(RleError::TooManyMembers));
    }

    #[test]
    fn only_the_shortest_form_is_a_set() {
        // A trailing zero byte, a gap at the end, a run of 1 and of 0 in the long form, a number with a needless byte.
        for text in ["0c00", "1c", "2400", "0400", "14", "048040"] {
            let bytes = hex::decode(text).expect("hexadecimal");
            assert!(IntSet::from_rle(&bytes).is_err(), "{text}");
        }
        for byte in 0..=255u8 {
            if let Ok(set) = IntSet::from_rle(&[byte]) {
                assert_eq!(set.to_rle(), [byte]);
            }
        }
    }

    #[test]
    fn the_widest_set_fits_the_bound_on_bytes() {
        let widest: IntSet = (1..=MAX_INT_SET as u64).map(|i| i << 51).collect();
        assert!(widest.to_rle().len() <= MAX_INT_SET_BYTES);
    }
}

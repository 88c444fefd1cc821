//! Which leaves of a file are here: in any order, since over HTTP several chunks come at once and over libp2p the rest follows.
//!
//! One bit a leaf, so the largest piece (32 512 leaves) takes 4 KiB. Hosts keep the bits beside the file; what they say after a
//! restart is a hint, and each leaf is checked again before it counts.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// The leaves of one file that are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafSet {
    total: u64,
    count: u64,
    /// Leaf `i` is bit `i % 8` of byte `i / 8`.
    bits: Vec<u8>,
}

impl LeafSet {
    /// None of `total` leaves. The caller has bounded the file's size.
    pub fn none(total: u64) -> Self {
        let bits = vec![0; usize::try_from(total.div_ceil(8)).unwrap_or(usize::MAX)];
        Self { total, count: 0, bits }
    }

    /// The first `count` of `total` leaves.
    pub fn first(total: u64, count: u64) -> Self {
        let mut set = Self::none(total);
        (0..count.min(total)).for_each(|leaf| set.insert(leaf));
        set
    }

    /// As [`Self::byte_of`] wrote them; bytes that lack and bits behind the last leaf are none.
    pub fn from_bytes(total: u64, bytes: &[u8]) -> Self {
        let mut set = Self::none(total);
        let is_set = |leaf: u64| {
            let byte = bytes.get(usize::try_from(leaf / 8).unwrap_or(usize::MAX));
            byte.is_some_and(|byte| byte & mask(leaf) != 0)
        };
        (0..total)
            .filter(|leaf| is_set(*leaf))
            .for_each(|leaf| set.insert(leaf));
        set
    }

    /// Adds a leaf of the file; one that is here, or that the file does not have, changes nothing.
    pub fn insert(&mut self, leaf: u64) {
        if leaf >= self.total || self.contains(leaf) {
            return;
        }
        if let Some(byte) = self.byte_mut(leaf) {
            *byte |= mask(leaf);
            self.count = self.count.saturating_add(1);
        }
    }

    /// Takes a leaf out again.
    pub fn remove(&mut self, leaf: u64) {
        if self.contains(leaf) {
            if let Some(byte) = self.byte_mut(leaf) {
                *byte &= !mask(leaf);
                self.count = self.count.saturating_sub(1);
            }
        }
    }

    pub fn contains(&self, leaf: u64) -> bool {
        leaf < self.total && self.byte_of(leaf).1 & mask(leaf) != 0
    }

    /// How many leaves are here.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many the file has.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn is_full(&self) -> bool {
        self.count == self.total
    }

    /// The first leaf from `from` on that is not here.
    pub fn first_missing(&self, from: u64) -> Option<u64> {
        (from..self.total).find(|leaf| !self.contains(*leaf))
    }

    /// Whether all leaves of the range are here; those behind the end count as here.
    pub fn contains_all(&self, leaves: Range<u64>) -> bool {
        (leaves.start..leaves.end.min(self.total)).all(|leaf| self.contains(leaf))
    }

    /// The leaves that are here, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.total).filter(|leaf| self.contains(*leaf))
    }

    /// The byte that holds a leaf's bit, and its place among the bytes.
    pub fn byte_of(&self, leaf: u64) -> (u64, u8) {
        let place = leaf / 8;
        let byte = self.bits.get(usize::try_from(place).unwrap_or(usize::MAX));
        (place, byte.copied().unwrap_or_default())
    }

    /// All bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn byte_mut(&mut self, leaf: u64) -> Option<&mut u8> {
        self.bits.get_mut(usize::try_from(leaf / 8).ok()?)
    }
}

/// A leaf's bit within its byte.
fn mask(leaf: u64) -> u8 {
    1u8.rotate_left((leaf % 8) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_come_and_go_in_any_order_and_only_those_of_the_file_count() {
        let mut set = LeafSet::none(11);
        assert_eq!(set.first_missing(0), Some(0));
        for leaf in [10, 0, 3] {
            set.insert(leaf);
            set.insert(leaf);
        }
        set.insert(11);
        set.insert(u64::MAX);
        assert!(!set.contains(11));
        assert_eq!((set.count(), set.iter().collect::<Vec<_>>()), (3, [0, 3, 10].to_vec()));
        set.remove(3);
        set.remove(3);
        assert_eq!((set.count(), set.first_missing(0)), (2, Some(1)));
        assert!(set.contains_all(10..16) && !set.contains_all(9..11));
        (0..11).for_each(|leaf| set.insert(leaf));
        assert!(set.is_full() && set.first_missing(0).is_none());
        assert_eq!(LeafSet::first(11, 99), set);
    }

    #[test]
    fn the_bytes_read_back_whatever_a_crash_left_of_them() {
        let mut set = LeafSet::none(20);
        [1, 8, 19].iter().for_each(|leaf| set.insert(*leaf));
        assert_eq!(LeafSet::from_bytes(20, set.as_bytes()), set);
        assert_eq!(set.byte_of(8), (1, 1));
        let torn = LeafSet::from_bytes(20, &set.as_bytes()[..1]);
        assert_eq!(torn.iter().collect::<Vec<_>>(), [1]);
        let beyond = LeafSet::from_bytes(3, &[0xff, 0xff]);
        assert_eq!((beyond.count(), beyond.is_full()), (3, true));
    }
}

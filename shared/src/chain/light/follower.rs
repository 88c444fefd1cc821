//! Compares the headers that were seen: an authority that signs two histories is told by its own signatures.
//!
//! Fed with every checked header by whoever follows a chain; remembers a bounded number.

use super::anchor::Anchor;
use super::header::{BlockHeader, HeaderError, SignedHeader};
use crate::chain::Epoch;
use crate::wire::cbor::cbor_map;
use alloc::collections::BTreeMap;

/// Headers that are remembered, the highest: of some 400 bytes each.
pub const MAX_HEADERS: usize = 512;

/// Two headers, both signed by the authority, that cannot be of one chain. Whoever has the genesis record can check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equivocation {
    pub first: SignedHeader,
    /// Of the same height, or of the next and with another parent.
    pub second: SignedHeader,
}
cbor_map!(Equivocation { "first" => first, "second" => second });

impl Equivocation {
    /// Whether it is one: both headers are signed, and contradict each other.
    pub fn check(&self, anchor: &Anchor) -> Result<bool, HeaderError> {
        self.first.check(anchor)?;
        self.second.check(anchor)?;
        Ok(contradict(&self.first.header, &self.second.header))
    }

    /// The height at which there are two blocks.
    pub fn height(&self) -> Epoch {
        self.first.header.height
    }
}

fn contradict(first: &BlockHeader, second: &BlockHeader) -> bool {
    let is_same = first.height == second.height && first.id() != second.id();
    is_same || first.height.plus(1) == second.height && second.parent != first.id()
}

/// Why a header is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the authority signed two histories: there are two blocks at height {}", .0.height())]
    Equivocation(alloc::boxed::Box<Equivocation>),
}

/// The headers that were seen of one network.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    seen: BTreeMap<Epoch, SignedHeader>,
}

impl Follower {
    /// Takes a header in. It need not follow the last one; what is remembered of its height and those beside it must agree.
    pub fn take(&mut self, anchor: &Anchor, signed: &SignedHeader) -> Result<(), FollowError> {
        signed.check(anchor)?;
        let height = signed.header.height;
        let before = height.0.checked_sub(1).and_then(|before| self.seen.get(&Epoch(before)));
        let (same, after) = (self.seen.get(&height), self.seen.get(&height.plus(1)));
        let pairs = [
            before.map(|before| (before, signed)),
            same.map(|same| (same, signed)),
            after.map(|after| (signed, after)),
        ];
        let contradicting =
            |(first, second): &(&SignedHeader, &SignedHeader)| contradict(&first.header, &second.header);
        if let Some((first, second)) = pairs.into_iter().flatten().find(contradicting) {
            let (first, second) = (first.clone(), second.clone());
            return Err(FollowError::Equivocation(Equivocation { first, second }.into()));
        }
        self.seen.insert(height, signed.clone());
        if self.seen.len() > MAX_HEADERS {
            self.seen.pop_first();
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// The highest header that was taken.
    pub fn head(&self) -> Option<&BlockHeader> {
        self.seen.last_key_value().map(|(_, signed)| &signed.header)
    }
}

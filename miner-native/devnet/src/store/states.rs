//! States after past blocks, so that a question can be asked of one of them (spec §5.6).
//!
//! A state stands under the height at which it came about; an empty block adds none. In memory there are only their
//! sizes (some 16 bytes each): a question about the past reads one state from the disk.

use super::{from_cbor, state_digest, Batch, Store};
use crate::error::DevnetError;
use sealdrop_database::Order;
use shared::chain::{ChainState, Epoch};
use std::collections::BTreeMap;

/// Heights below the head whose states are kept: a proving period, its grace and the period before, 300 blocks each.
pub const STATES_KEPT: u64 = 900;
/// Most bytes of states on the disk; of a chain whose states are so large, fewer heights are kept. A state with 1000
/// sectors has 275 kB and is read in a millisecond: if every block changed it, all [`STATES_KEPT`] would just fit.
pub const MAX_STATE_BYTES: usize = 256 * 1024 * 1024;

/// In front of a height.
const STATE: u8 = b'S';
/// States that are read at once when a store is opened, for their sizes.
const PAGE: usize = 16;

/// Sizes of the states that are kept, by height.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct States {
    sizes: BTreeMap<u64, usize>,
    bytes: usize,
}

impl States {
    /// Finds the states of a store that is being opened.
    pub fn open(store: &Store) -> Result<Self, DevnetError> {
        let mut states = Self::default();
        let mut from = vec![STATE];
        loop {
            let page = store.range(&from, &[STATE + 1], Order::Ascending, PAGE)?;
            let is_last = page.len() < PAGE;
            for (key, value) in page {
                let height = key.get(1..).unwrap_or_default().try_into().map(u64::from_be_bytes);
                let height = height.map_err(|e| DevnetError::damaged("state's key", e))?;
                states.note(height, value.len());
                from = self::key(height.saturating_add(1));
            }
            if is_last {
                return Ok(states);
            }
        }
    }

    fn note(&mut self, height: u64, size: usize) {
        let replaced = self.sizes.insert(height, size).unwrap_or_default();
        self.bytes = self.bytes.saturating_add(size).saturating_sub(replaced);
    }

    /// Adds the state after block `head`, if it is a new one, and drops those that are too old or too many.
    pub fn advance(&mut self, batch: &mut Batch, head: Epoch, state: Option<&[u8]>) {
        if let Some(state) = state {
            batch.insert(key(head.0), state);
            self.note(head.0, state.len());
        }
        while let Some(oldest) = self.surplus(head) {
            batch.remove(key(oldest));
            let size = self.sizes.remove(&oldest).unwrap_or_default();
            self.bytes = self.bytes.saturating_sub(size);
        }
    }

    /// The oldest state when it is not needed; the newest one always is.
    fn surplus(&self, head: Epoch) -> Option<u64> {
        let mut heights = self.sizes.keys();
        let (oldest, next) = (heights.next()?, heights.next()?);
        let floor = head.0.saturating_sub(STATES_KEPT);
        // Up to the height of the next one, the oldest is the state of every height.
        (*next <= floor || self.bytes > MAX_STATE_BYTES).then_some(*oldest)
    }

    /// Where the state of `height` stands.
    fn place(&self, height: Epoch) -> Option<u64> {
        self.sizes.range(..=height.0).next_back().map(|(height, _)| *height)
    }

    /// The lowest height whose state is kept when the head is at `head`.
    pub fn oldest(&self, head: Epoch) -> Epoch {
        let kept = self.sizes.keys().next().copied().unwrap_or(head.0);
        Epoch(kept.max(head.0.saturating_sub(STATES_KEPT)))
    }

    #[cfg(test)]
    pub fn heights(&self) -> Vec<u64> {
        self.sizes.keys().copied().collect()
    }
}

impl Store {
    /// The state after the block at `height`; `None` when it is no longer kept, or there is no such block yet.
    pub fn state_at(&self, height: Epoch) -> Result<Option<ChainState>, DevnetError> {
        let Some(place) = self.kept().states.place(height) else {
            return Ok(None);
        };
        // The block after the last look may have dropped it.
        let Some(bytes) = self.get(key(place))? else {
            return Ok(None);
        };
        let named = self.block(Epoch(place))?.map(|block| block.state);
        if named.is_some_and(|named| named != state_digest(&bytes)) {
            return Err(DevnetError::damaged("state", "it is not the one that its block names"));
        }
        let state: ChainState = from_cbor("state", &bytes)?;
        Ok(Some(ChainState { height, ..state }))
    }

    /// The lowest height whose state is kept when the head is at `head`.
    pub fn oldest_state(&self, head: Epoch) -> Epoch {
        self.kept().states.oldest(head)
    }
}

fn key(height: u64) -> Vec<u8> {
    [[STATE].as_slice(), &height.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advance(states: &mut States, head: u64, size: Option<usize>) {
        let state = size.map(|size| vec![0; size]);
        states.advance(&mut Batch::default(), Epoch(head), state.as_deref());
    }

    #[test]
    fn the_state_of_every_height_within_the_bound_is_kept_and_no_other() {
        let mut states = States::default();
        for head in [0, 10, 20] {
            advance(&mut states, head, Some(1));
        }
        advance(&mut states, 19 + STATES_KEPT, None);
        assert_eq!(states.heights(), [10, 20]);
        assert_eq!(states.place(Epoch(19)), Some(10));
        assert_eq!(states.oldest(Epoch(19 + STATES_KEPT)), Epoch(19));
        advance(&mut states, 20 + STATES_KEPT, None);
        assert_eq!((states.heights(), states.bytes), (vec![20], 1));
        advance(&mut states, 9000, None);
        assert_eq!(states.heights(), [20], "the newest state is always kept");
    }

    #[test]
    fn states_have_a_bounded_size_together() {
        let mut states = States::default();
        for head in 0..4 {
            advance(&mut states, head, Some(MAX_STATE_BYTES / 3 + 1));
        }
        assert_eq!(states.heights(), [2, 3]);
        assert_eq!(states.oldest(Epoch(3)), Epoch(2));
        advance(&mut states, 4, Some(MAX_STATE_BYTES + 1));
        assert_eq!(states.heights(), [4]);
    }
}

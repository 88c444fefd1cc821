//! How many exchanges run at once, so that no peer takes all the room.

use libp2p::PeerId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Exchanges that may run at once, of all peers together.
const MAX_EXCHANGES: usize = 128;
/// Exchanges that one peer may have at once: a page asks about several deals.
const MAX_EXCHANGES_OF_A_PEER: usize = 16;
/// Counts exchanges, by peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    present: Arc<Mutex<BTreeMap<PeerId, usize>>>,
}

/// A place in the [`Gate`], given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Gate,
    peer: PeerId,
}

impl Gate {
    /// A place for an exchange with this peer; `None` when there is no room for it.
    pub(super) fn enter(&self, peer: PeerId) -> Option<Place> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = present.values().sum();
        let own = present.get(&peer).copied().unwrap_or(0);
        if all >= MAX_EXCHANGES || own >= MAX_EXCHANGES_OF_A_PEER {
            return None;
        }
        present.insert(peer, own + 1);
        Some(Place {
            gate: self.clone(),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.gate.present.lock().unwrap_or_else(PoisonError::into_inner);
        match present.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                present.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_bounded_share_of_the_room_and_gives_it_back() {
        let gate = Gate::default();
        let (greedy, other) = (PeerId::random(), PeerId::random());
        let places: Vec<_> = (0..MAX_EXCHANGES_OF_A_PEER)
            .map(|_| gate.enter(greedy).unwrap())
            .collect();
        assert!(gate.enter(greedy).is_none());
        assert!(gate.enter(other).is_some());
        drop(places);
        assert!(gate.enter(greedy).is_some());
        assert!(gate.present.lock().unwrap().is_empty());
    }

    #[test]
    fn all_peers_together_have_bounded_room() {
        let gate = Gate::default();
        let places: Vec<_> = (0..MAX_EXCHANGES)
            .filter_map(|_| gate.enter(PeerId::random()))
            .collect();
        assert_eq!(places.len(), MAX_EXCHANGES);
        assert!(gate.enter(PeerId::random()).is_none());
    }
}

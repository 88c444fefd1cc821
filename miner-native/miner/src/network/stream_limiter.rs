//! How many exchanges run at once, so that no peer takes all the room. Watches, which stay open, have room of their own.

use libp2p::PeerId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Exchanges that may run at once, of all peers together.
const MAX_EXCHANGES: usize = 128;
/// Exchanges that one peer may have at once: a page asks about several deals.
const MAX_EXCHANGES_OF_A_PEER: usize = 16;
/// Watches that may be open at once, of all peers together: each costs a stream and a small task.
const MAX_WATCHES: usize = 512;
/// Watches that one peer may have open at once, one for each deal that it waits for: as many as it may have to deliver.
const MAX_WATCHES_OF_A_PEER: usize = 64;

/// Counts exchanges, by peer.
#[derive(Debug, Clone)]
pub(super) struct StreamLimiter {
    most: usize,
    most_of_a_peer: usize,
    present: Arc<Mutex<BTreeMap<PeerId, usize>>>,
}

/// A place in the [`StreamLimiter`], given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    limiter: StreamLimiter,
    peer: PeerId,
}

impl StreamLimiter {
    /// For exchanges that are answered at once.
    pub(super) fn of_exchanges() -> Self {
        Self::of(MAX_EXCHANGES, MAX_EXCHANGES_OF_A_PEER)
    }

    /// For watches.
    pub(super) fn of_watches() -> Self {
        Self::of(MAX_WATCHES, MAX_WATCHES_OF_A_PEER)
    }

    fn of(most: usize, most_of_a_peer: usize) -> Self {
        let present = Arc::default();
        Self {
            most,
            most_of_a_peer,
            present,
        }
    }

    /// A place for an exchange with this peer; `None` when there is no room for it.
    pub(super) fn enter(&self, peer: PeerId) -> Option<Place> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = present.values().sum();
        let own = present.get(&peer).copied().unwrap_or(0);
        if all >= self.most || own >= self.most_of_a_peer {
            return None;
        }
        present.insert(peer, own + 1);
        Some(Place {
            limiter: self.clone(),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.limiter.present.lock().unwrap_or_else(PoisonError::into_inner);
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
        let limiter = StreamLimiter::of_exchanges();
        let (greedy, other) = (PeerId::random(), PeerId::random());
        let places: Vec<_> = (0..MAX_EXCHANGES_OF_A_PEER)
            .map(|_| limiter.enter(greedy).unwrap())
            .collect();
        assert!(limiter.enter(greedy).is_none());
        assert!(limiter.enter(other).is_some());
        drop(places);
        assert!(limiter.enter(greedy).is_some());
        assert!(limiter.present.lock().unwrap().is_empty());
    }

    #[test]
    fn watches_that_stay_open_take_no_room_from_exchanges() {
        let (exchanges, watches, peer) = (
            StreamLimiter::of_exchanges(),
            StreamLimiter::of_watches(),
            PeerId::random(),
        );
        let open: Vec<_> = (0..MAX_WATCHES_OF_A_PEER)
            .map(|_| watches.enter(peer).unwrap())
            .collect();
        assert!(watches.enter(peer).is_none() && watches.enter(PeerId::random()).is_some());
        assert!(exchanges.enter(peer).is_some());
        drop(open);
        assert!(watches.enter(peer).is_some());
    }

    #[test]
    fn all_peers_together_have_bounded_room() {
        let limiter = StreamLimiter::of_exchanges();
        let places: Vec<_> = (0..MAX_EXCHANGES)
            .filter_map(|_| limiter.enter(PeerId::random()))
            .collect();
        assert_eq!(places.len(), MAX_EXCHANGES);
        assert!(limiter.enter(PeerId::random()).is_none());
    }
}

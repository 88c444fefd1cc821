//! How many exchanges run at once, so that no peer takes all the room. Watches, which stay open, have room of their own.
//!
//! Where there is no room, an exchange whose request is kept back makes some: whoever means it asks at once.

use libp2p::PeerId;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Exchanges that may run at once, of all peers together.
const MAX_EXCHANGES: usize = 128;
/// Exchanges that one peer may have at once: a page asks about several deals.
const MAX_EXCHANGES_OF_A_PEER: usize = 16;
/// Watches that may be open at once, of all peers together: each costs a stream and a small task.
const MAX_WATCHES: usize = 512;
/// Watches that one peer may have open at once, one for each deal that it waits for: as many as it may have to deliver.
const MAX_WATCHES_OF_A_PEER: usize = 64;
/// Proposals that wait for the block with their channel, of all peers together and of one: our own clients wait for it themselves.
const MAX_WAITING: usize = 64;
const MAX_WAITING_OF_A_PEER: usize = 4;
/// A request younger than this makes no room for others: it may still be on its way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts exchanges, by peer.
#[derive(Debug, Clone)]
pub(crate) struct StreamLimiter {
    most: usize,
    most_of_a_peer: usize,
    room: Arc<Mutex<Room>>,
}

#[derive(Debug, Default)]
struct Room {
    next: u64,
    /// By age.
    occupants: BTreeMap<u64, Occupant>,
}

#[derive(Debug)]
struct Occupant {
    peer: PeerId,
    since: Instant,
    /// Whether its request has not arrived yet.
    is_awaited: bool,
    evicted: CancellationToken,
}

/// A place in the [`StreamLimiter`], given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limiter: StreamLimiter,
    number: u64,
    evicted: CancellationToken,
}

impl StreamLimiter {
    /// For exchanges that are answered at once.
    pub(crate) fn of_exchanges() -> Self {
        Self::of(MAX_EXCHANGES, MAX_EXCHANGES_OF_A_PEER)
    }

    /// For watches.
    pub(crate) fn of_watches() -> Self {
        Self::of(MAX_WATCHES, MAX_WATCHES_OF_A_PEER)
    }

    /// For proposals whose channel is not in a block yet.
    pub(crate) fn of_waiting() -> Self {
        Self::of(MAX_WAITING, MAX_WAITING_OF_A_PEER)
    }

    fn of(most: usize, most_of_a_peer: usize) -> Self {
        let room = Arc::default();
        Self {
            most,
            most_of_a_peer,
            room,
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for an exchange with this peer; `None` when there is no room for it.
    pub(crate) fn enter(&self, peer: PeerId) -> Option<Place> {
        let mut room = self.room();
        let own = room.occupants.values().filter(|occupant| occupant.peer == peer).count();
        if own >= self.most_of_a_peer || (room.occupants.len() >= self.most && !room.make_room(own)) {
            return None;
        }
        let number = room.next;
        room.next += 1;
        let evicted = CancellationToken::new();
        let occupant = Occupant {
            peer,
            since: Instant::now(),
            is_awaited: true,
            evicted: evicted.clone(),
        };
        room.occupants.insert(number, occupant);
        Some(Place {
            limiter: self.clone(),
            number,
            evicted,
        })
    }
}

impl Room {
    /// Makes room for a peer that has `own` places: of the exchanges whose request is awaited, the oldest of the peer that has most
    /// ends, if it had its time, or its peer more than its share. False when there is none.
    fn make_room(&mut self, own: usize) -> bool {
        let mut of_peers: BTreeMap<PeerId, (usize, Option<u64>)> = BTreeMap::new();
        for (number, occupant) in &self.occupants {
            let (count, oldest) = of_peers.entry(occupant.peer).or_default();
            *count += 1;
            if occupant.is_awaited {
                oldest.get_or_insert(*number);
            }
        }
        let silent = of_peers
            .into_values()
            .filter_map(|(count, oldest)| Some((count, oldest?)));
        // The first of those with as many: the oldest.
        let Some((count, number)) = silent.min_by_key(|(count, oldest)| (Reverse(*count), *oldest)) else {
            return false;
        };
        let had_its_time = |o: &Occupant| o.since.elapsed() >= PATIENCE || count > own + 1;
        match self.occupants.get(&number) {
            Some(occupant) if had_its_time(occupant) => occupant.evicted.cancel(),
            _ => return false,
        }
        self.occupants.remove(&number);
        true
    }
}

impl Place {
    /// The request has arrived: the exchange keeps its place until it ends.
    pub(crate) fn asked(&self) {
        if let Some(occupant) = self.limiter.room().occupants.get_mut(&self.number) {
            occupant.is_awaited = false;
        }
    }

    /// Tells when the place is needed for another.
    pub(crate) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limiter.room().occupants.remove(&self.number);
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
        assert!(limiter.room().occupants.is_empty());
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

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_a_request_back_makes_room_and_whoever_has_asked_does_not() {
        let limiter = StreamLimiter::of_exchanges();
        let asked = limiter.enter(PeerId::random()).unwrap();
        asked.asked();
        let silent: Vec<_> = (1..MAX_EXCHANGES)
            .filter_map(|_| limiter.enter(PeerId::random()))
            .collect();
        assert!(
            limiter.enter(PeerId::random()).is_none(),
            "they may still be on their way"
        );
        tokio::time::advance(PATIENCE).await;
        let newcomer = limiter.enter(PeerId::random()).unwrap();
        assert!(silent[0].evicted().is_cancelled() && !silent[1].evicted().is_cancelled());
        assert!(!asked.evicted().is_cancelled() && !newcomer.evicted().is_cancelled());
        assert_eq!(limiter.room().occupants.len(), MAX_EXCHANGES);
        drop((silent, newcomer, asked));
        assert!(limiter.room().occupants.is_empty());
    }

    #[test]
    fn a_peer_with_fewer_places_needs_not_wait_for_one_with_many() {
        let (limiter, greedy) = (StreamLimiter::of_exchanges(), PeerId::random());
        let many: Vec<_> = (0..MAX_EXCHANGES_OF_A_PEER)
            .filter_map(|_| limiter.enter(greedy))
            .collect();
        let others: Vec<_> = (many.len()..MAX_EXCHANGES)
            .filter_map(|_| limiter.enter(PeerId::random()))
            .collect();
        let newcomer = limiter.enter(PeerId::random());
        assert!(newcomer.is_some() && many[0].evicted().is_cancelled() && !others[0].evicted().is_cancelled());
        assert!(limiter.enter(greedy).is_none(), "it has more than others");
    }
}

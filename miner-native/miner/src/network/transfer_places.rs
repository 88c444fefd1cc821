//! Whose piece is fetched when: places are few, each peer has a share of them, and nobody keeps one by being slow.
//!
//! How slow is too slow is [`shared::transfer::pace`]'s. Who loses a place comes back at the end of the line, and goes on from what
//! is kept. Used by [`super::transfers`] alone.

use super::frames::SILENCE_LIMIT;
use libp2p::PeerId;
use shared::transfer::{Pace, PlaceLost};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Transfers at once; more would only share the same line.
const MAX_TRANSFERS: usize = 8;
/// Of those, transfers from one peer.
const MAX_TRANSFERS_OF_A_PEER: usize = 2;

/// How long a peer may say nothing while others wait for its place.
const SHORT_SILENCE: Duration = Duration::from_secs(5);
/// Pause between two looks whether others still wait.
const LOOK: Duration = Duration::from_millis(500);

/// The places for transfers. First come, first served, and of one peer only so many are in the line.
pub(super) struct TransferPlaces {
    all: Arc<Semaphore>,
    of_peers: Mutex<BTreeMap<PeerId, Arc<Semaphore>>>,
    waiting: Arc<AtomicUsize>,
}

/// One transfer's place, given up when it is dropped.
pub(super) struct Place {
    _shares: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
    waiting: Arc<AtomicUsize>,
    begun: Instant,
    pace: Pace,
}

/// Somebody in the line.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for TransferPlaces {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_TRANSFERS)),
            of_peers: Mutex::default(),
            waiting: Arc::default(),
        }
    }
}

impl TransferPlaces {
    /// Waits for a place; behind all others when the deal's sources `lost` one by being slow.
    pub(super) async fn enter(&self, peer: PeerId, lost: bool) -> Place {
        while lost && self.waiting.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK).await;
        }
        // An error would mean that the semaphore is closed, which nobody does.
        let own = self.of(peer).acquire_owned().await.ok();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let in_line = Waiting(&self.waiting);
        let one = self.all.clone().acquire_owned().await.ok();
        drop(in_line);
        Place {
            _shares: (one, own),
            waiting: self.waiting.clone(),
            begun: Instant::now(),
            pace: Pace::begin(0),
        }
    }

    fn of(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut of_peers = self.of_peers.lock().unwrap_or_else(PoisonError::into_inner);
        of_peers.retain(|_, places| Arc::strong_count(places) > 1);
        let places = of_peers
            .entry(peer)
            .or_insert_with(|| Arc::new(Semaphore::new(MAX_TRANSFERS_OF_A_PEER)));
        places.clone()
    }
}

impl Place {
    /// How long the peer may say nothing now.
    pub(super) fn patience(&self) -> Duration {
        match self.others_wait() {
            true => SHORT_SILENCE,
            false => SILENCE_LIMIT,
        }
    }

    /// The peer's time begins: what came before was ours.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
        self.pace = Pace::begin(0);
    }

    /// So many bytes came; fails when the place is lost.
    pub(super) fn moved(&mut self, bytes: usize) -> Result<(), PlaceLost> {
        let now = self.begun.elapsed().as_millis() as u64;
        self.pace.moved(bytes as u64, now, self.others_wait())
    }

    fn others_wait(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use shared::transfer::pace::{TURN_MS, WINDOW_MS};
    use std::pin::pin;

    #[tokio::test]
    async fn one_peer_takes_no_more_than_its_share_of_the_places() {
        let (places, greedy) = (TransferPlaces::default(), PeerId::random());
        let mut held = Vec::new();
        for _ in 0..MAX_TRANSFERS_OF_A_PEER {
            held.push(places.enter(greedy, false).await);
        }
        let mut third = pin!(places.enter(greedy, false));
        assert!(poll!(&mut third).is_pending());
        let other = places.enter(PeerId::random(), false).await;
        held.pop();
        assert!(poll!(&mut third).is_ready());
        drop((held, other));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickling_peer_and_one_whose_turn_is_over_lose_their_places() {
        let places = TransferPlaces::default();
        let mut held = Vec::new();
        for _ in 0..MAX_TRANSFERS {
            held.push(places.enter(PeerId::random(), false).await);
        }
        let mut next = pin!(places.enter(PeerId::random(), false));
        assert!(poll!(&mut next).is_pending());
        tokio::time::advance(Duration::from_millis(WINDOW_MS)).await;
        assert_eq!(held[0].moved(1), Err(PlaceLost::TooSlow));
        assert_eq!(held[1].moved(1 << 30), Ok(()));
        tokio::time::advance(Duration::from_millis(TURN_MS - WINDOW_MS)).await;
        assert_eq!(held[1].moved(1 << 30), Err(PlaceLost::TurnOver));
        held.remove(0);
        assert!(poll!(&mut next).is_ready());
        assert_eq!(held[0].moved(1 << 30), Ok(()), "nobody waits any more");
    }

    #[tokio::test(start_paused = true)]
    async fn whose_source_was_slow_goes_behind_all_that_wait() {
        let places = TransferPlaces::default();
        let mut held = Vec::new();
        for _ in 0..MAX_TRANSFERS {
            held.push(places.enter(PeerId::random(), false).await);
        }
        assert_eq!(held[0].patience(), SILENCE_LIMIT);
        let mut fresh = pin!(places.enter(PeerId::random(), false));
        assert!(poll!(&mut fresh).is_pending());
        assert_eq!(held[0].patience(), SHORT_SILENCE);
        let mut slow = pin!(places.enter(PeerId::random(), true));
        assert!(poll!(&mut slow).is_pending());
        held.pop();
        tokio::time::advance(LOOK).await;
        assert!(poll!(&mut slow).is_pending() && poll!(&mut fresh).is_ready());
    }
}

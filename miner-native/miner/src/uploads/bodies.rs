//! Whose bytes are read when: a chunk is held in memory until it is checked, so few come in at once, each payer and each address
//! has a share of them, and nobody keeps a place by being slow ([`shared::transfer::pace`]).
//!
//! A request that waits is not read, so it costs a connection and nothing else.

use shared::access::network_of;
use shared::chain::Address;
use shared::transfer::{Pace, PlaceLost};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bodies at once: 64 MiB of chunks.
pub(super) const MAX_BODIES: usize = 8;
/// Of those, bodies of one payer: as many as our clients send at once.
pub(super) const MAX_BODIES_OF_A_PAYER: usize = 4;
/// Of those, bodies from one address: payers cost nothing to make.
pub(super) const MAX_BODIES_OF_AN_ADDRESS: usize = 6;
/// Requests that wait for their turn; more are told to come again.
const MAX_WAITING: usize = 256;
/// Longest wait for a turn, before a client is told to come again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a peer may say nothing in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);
/// The same while others wait for its place.
const SHORT_SILENCE: Duration = Duration::from_secs(5);

/// Who has a share of the places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Sharer {
    Payer(Address),
    Network(IpAddr),
}

/// The places for bodies. First come, first served.
#[derive(Debug)]
pub(super) struct Bodies {
    all: Arc<Semaphore>,
    shares: Mutex<BTreeMap<Sharer, Arc<Semaphore>>>,
    /// In line for a share or for a place.
    lined_up: AtomicUsize,
    /// In line for a place.
    waiting: Arc<AtomicUsize>,
}

/// One body's place, given up when it is dropped.
#[derive(Debug)]
pub(super) struct BodyPlace {
    _permits: Vec<OwnedSemaphorePermit>,
    waiting: Arc<AtomicUsize>,
    begun: Instant,
    pace: Pace,
}

/// Somebody in a line.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicUsize) -> (Self, usize) {
        let before = count.fetch_add(1, Ordering::Relaxed);
        (Self(count), before)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_BODIES)),
            shares: Mutex::default(),
            lined_up: AtomicUsize::default(),
            waiting: Arc::default(),
        }
    }
}

impl Bodies {
    /// Waits for a place; `None` when too many wait, or it does not come soon.
    pub(super) async fn enter(&self, payer: &Address, from: Option<IpAddr>) -> Option<BodyPlace> {
        let (_in_line, before) = Counted::one_more(&self.lined_up);
        if before >= MAX_WAITING {
            return None;
        }
        tokio::time::timeout(LONGEST_WAIT, self.place(payer, from)).await.ok()?
    }

    async fn place(&self, payer: &Address, from: Option<IpAddr>) -> Option<BodyPlace> {
        let mut permits = Vec::new();
        let of_payer = self.share(Sharer::Payer(payer.clone()), MAX_BODIES_OF_A_PAYER);
        let of_network = from.map(|from| self.share(Sharer::Network(network_of(from)), MAX_BODIES_OF_AN_ADDRESS));
        // An error would mean that the semaphore is closed, which nobody does.
        for share in [Some(of_payer), of_network].into_iter().flatten() {
            permits.push(share.acquire_owned().await.ok()?);
        }
        let (_in_line, _) = Counted::one_more(&self.waiting);
        permits.push(self.all.clone().acquire_owned().await.ok()?);
        Some(BodyPlace {
            _permits: permits,
            waiting: self.waiting.clone(),
            begun: Instant::now(),
            pace: Pace::begin(0),
        })
    }

    fn share(&self, of: Sharer, most: usize) -> Arc<Semaphore> {
        // Insertions and removals: whole after a panic, too.
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, places| Arc::strong_count(places) > 1);
        shares
            .entry(of)
            .or_insert_with(|| Arc::new(Semaphore::new(most)))
            .clone()
    }
}

impl BodyPlace {
    /// How long the peer may say nothing now.
    pub(super) fn patience(&self) -> Duration {
        match self.others_wait() {
            true => SHORT_SILENCE,
            false => SILENCE,
        }
    }

    /// So many bytes came; fails when the place is lost.
    pub(super) fn moved(&mut self, bytes: usize) -> Result<(), PlaceLost> {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pace.moved(bytes as u64, now, self.others_wait())
    }

    fn others_wait(&self) -> bool {
        // Between their permit and its place nobody waits any more, but is still counted: others do.
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use shared::transfer::pace::{TURN_MS, WINDOW_MS};
    use std::net::Ipv4Addr;
    use std::pin::pin;

    fn from(last: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(192, 0, 2, last).into())
    }

    #[tokio::test(start_paused = true)]
    async fn one_payer_and_one_address_take_no_more_than_their_share() {
        let bodies = Bodies::default();
        let mut held = Vec::new();
        for _ in 0..MAX_BODIES_OF_A_PAYER {
            held.push(bodies.enter(&Address::id(1), from(1)).await.unwrap());
        }
        let fifth = Address::id(1);
        let mut fifth = pin!(bodies.enter(&fifth, from(2)));
        assert!(poll!(&mut fifth).is_pending(), "the payer has its share");
        for _ in MAX_BODIES_OF_A_PAYER..MAX_BODIES_OF_AN_ADDRESS {
            held.push(bodies.enter(&Address::id(2), from(1)).await.unwrap());
        }
        let third = Address::id(3);
        let mut third = pin!(bodies.enter(&third, from(1)));
        assert!(poll!(&mut third).is_pending(), "the address has its share");
        let other = bodies.enter(&Address::id(4), from(9)).await;
        assert!(other.is_some());
        held.remove(0);
        assert!(poll!(&mut fifth).is_ready() && poll!(&mut third).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_or_behind_too_many_is_told_to_come_again() {
        let bodies = Bodies::default();
        let mut held = Vec::new();
        for payer in 0..MAX_BODIES as u64 {
            held.push(bodies.enter(&Address::id(payer), None).await.unwrap());
        }
        let begun = Instant::now();
        assert!(bodies.enter(&Address::id(99), None).await.is_none());
        assert_eq!(begun.elapsed(), LONGEST_WAIT);
        let all: Vec<Address> = (100..100 + MAX_WAITING as u64).map(Address::id).collect();
        let mut line: Vec<_> = all.iter().map(|payer| Box::pin(bodies.enter(payer, None))).collect();
        for waits in &mut line {
            assert!(poll!(waits).is_pending());
        }
        assert!(bodies.enter(&Address::id(98), None).await.is_none());
        assert_eq!(begun.elapsed(), LONGEST_WAIT, "at once");
        drop(held);
        // So many polls have used up what a task may do at a time.
        tokio::task::yield_now().await;
        assert!(poll!(&mut line[0]).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickling_body_loses_its_place_and_a_long_one_when_others_wait() {
        let bodies = Bodies::default();
        let mut held = Vec::new();
        for payer in 0..MAX_BODIES as u64 {
            held.push(bodies.enter(&Address::id(payer), None).await.unwrap());
        }
        assert_eq!(held[0].patience(), SILENCE);
        tokio::time::advance(Duration::from_millis(WINDOW_MS)).await;
        assert_eq!(held[0].moved(1), Err(PlaceLost::TooSlow));
        assert_eq!(held[1].moved(1 << 30), Ok(()));
        tokio::time::advance(Duration::from_millis(TURN_MS - WINDOW_MS)).await;
        let next = Address::id(99);
        let mut next = pin!(bodies.enter(&next, None));
        assert!(poll!(&mut next).is_pending());
        assert_eq!(held[1].patience(), SHORT_SILENCE);
        assert_eq!(held[1].moved(1 << 30), Err(PlaceLost::TurnOver));
    }
}

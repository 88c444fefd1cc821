//! Who is given bytes of pieces when: places are few, each taker has a share of them, and whoever waits gets one after a turn.
//!
//! A delivery over libp2p cannot go on where it was. So the end of its turn ends it only when somebody waits, and then the slowest; whoever
//! takes nothing meanwhile makes room before that ([`shared::transfer::pace`]). Who lost a place so goes behind all others. One line for both ways out: [`crate::network`]
//! gives pieces to peers, [`crate::http`] pieces and blocks to addresses.

use sha2::{Digest, Sha256};
use shared::access::network_of;
use shared::transfer::pace::{makes_room, Standing, STALL_MS, TURN_MS};
use shared::transfer::{Pace, PlaceLost};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep_until, Instant};
use tokio_util::sync::CancellationToken;

/// Pieces that are given back at once: more would only share the same line.
const MAX_PLACES: usize = 16;
/// Requests that are taken in, those that wait for a place or for a sector to be unsealed among them: as many again.
const MAX_TICKETS: usize = 2 * MAX_PLACES;
/// Of those, requests of one peer.
const MAX_TICKETS_OF_A_PEER: usize = 4;
/// Of those, requests from one address, behind which there may be several clients; a browser opens six connections.
const MAX_TICKETS_OF_AN_ADDRESS: usize = 8;
/// Takers of which it is remembered that they lost a place.
const MAX_REMEMBERED: usize = 64;
/// A turn.
const TURN: Duration = Duration::from_millis(TURN_MS);
/// How long a taker may leave what lies ready while others wait.
const STALL: Duration = Duration::from_millis(STALL_MS);

/// Who takes a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker {
    /// Over libp2p: by the hash of its id.
    Peer([u8; 32]),
    /// Over HTTP, which names nobody: by [`network_of`] the address.
    Address(IpAddr),
}

impl Taker {
    /// The peer with this id.
    pub fn peer(id: &[u8]) -> Self {
        Self::Peer(Sha256::digest(id).into())
    }

    /// Whoever asks from an address.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(network_of(address))
    }

    fn most_tickets(self) -> usize {
        match self {
            Self::Peer(_) => MAX_TICKETS_OF_A_PEER,
            Self::Address(_) => MAX_TICKETS_OF_AN_ADDRESS,
        }
    }
}

/// The places for deliveries. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct DeliveryPlaces {
    room: Arc<Mutex<Room>>,
    /// Told when somebody leaves or moves up.
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Room {
    next: u64,
    /// By age.
    tickets: BTreeMap<u64, Entry>,
    /// Takers that lost a place, the newest last.
    lost: VecDeque<Taker>,
}

struct Entry {
    taker: Taker,
    state: State,
    ended: CancellationToken,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Something else is done first.
    Preparing,
    InLine,
    Served(Served),
}

/// A place that is held.
#[derive(Clone, Copy, PartialEq)]
struct Served {
    since: Instant,
    /// Given since then.
    bytes: u64,
    /// From when on it is the taker's to go on; `None` while the next bytes are being made.
    ready: Option<Instant>,
}

impl Served {
    fn standing(&self, now: Instant) -> Standing {
        let ms = |since: Instant| u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        Standing {
            lasted_ms: ms(self.since),
            bytes: self.bytes,
            silent_ms: self.ready.map_or(0, ms),
        }
    }

    /// When it makes room at the earliest, if it gets slower at once.
    fn until(&self, now: Instant) -> Instant {
        (self.since + TURN).min(self.ready.unwrap_or(now) + STALL)
    }
}

/// A request that is taken in; its room is free when it is dropped.
pub(crate) struct Ticket {
    places: DeliveryPlaces,
    number: u64,
    ended: CancellationToken,
    pace: Mutex<Option<(Instant, Pace)>>,
}

impl DeliveryPlaces {
    /// Takes a request in; `None` when its taker has its share, or all have as much as it.
    pub fn take_in(&self, taker: Taker) -> Option<Ticket> {
        let mut room = self.room();
        let own = room.of(taker).count();
        if own >= taker.most_tickets() || (room.tickets.len() >= MAX_TICKETS && !room.turn_away(own)) {
            return None;
        }
        let number = room.next;
        room.next += 1;
        let ended = CancellationToken::new();
        let entry = Entry {
            taker,
            state: State::Preparing,
            ended: ended.clone(),
        };
        room.tickets.insert(number, entry);
        Some(Ticket {
            places: self.clone(),
            number,
            ended,
            pace: Mutex::default(),
        })
    }

    /// Takes a request in as soon as there is room for it: its caller sees to how many wait here.
    pub async fn taken_in(&self, taker: Taker) -> Ticket {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(ticket) = self.take_in(taker) {
                return ticket;
            }
            changed.await;
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn of(&self, taker: Taker) -> impl Iterator<Item = &Entry> {
        self.tickets.values().filter(move |entry| entry.taker == taker)
    }

    /// Turns the newest of those away that are not served yet, of the taker that has most, when that is more than a newcomer would have.
    fn turn_away(&mut self, own: usize) -> bool {
        let waiting = self.tickets.iter().rev().filter(|(_, entry)| !entry.is_served());
        let most = waiting
            .map(|(number, entry)| (self.of(entry.taker).count(), *number))
            .min_by_key(|(count, _)| Reverse(*count));
        match most {
            Some((count, number)) if count > own + 1 => self.end(number),
            _ => return false,
        }
        true
    }

    fn end(&mut self, number: u64) {
        if let Some(entry) = self.tickets.remove(&number) {
            entry.ended.cancel();
        }
    }

    /// Gives the ticket a place, if it is its turn; else says when somebody's turn is over that it waits for.
    fn serve(&mut self, number: u64, now: Instant) -> Result<(), Option<Instant>> {
        if let Some(entry) = self.tickets.get_mut(&number).filter(|entry| !entry.is_served()) {
            entry.state = State::InLine;
        }
        if self.first_in_line() != Some(number) {
            return Err(None);
        }
        let served: Vec<(u64, Served)> = self.served().collect();
        if served.len() >= MAX_PLACES {
            let standings: Vec<Standing> = served.iter().map(|(_, served)| served.standing(now)).collect();
            let Some((loses, _)) = makes_room(&standings).and_then(|place| served.get(place)) else {
                return Err(served.iter().map(|(_, served)| served.until(now)).min());
            };
            self.remember(*loses);
            self.end(*loses);
        }
        if let Some(entry) = self.tickets.get_mut(&number) {
            entry.state = State::Served(Served {
                since: now,
                bytes: 0,
                ready: None,
            });
        }
        Ok(())
    }

    fn served(&self) -> impl Iterator<Item = (u64, Served)> + '_ {
        self.tickets.iter().filter_map(|(number, entry)| match entry.state {
            State::Served(served) => Some((*number, served)),
            _ => None,
        })
    }

    /// Whose taker lost no place, is served least, and came first.
    fn first_in_line(&self) -> Option<u64> {
        let in_line = self.tickets.iter().filter(|(_, entry)| entry.state == State::InLine);
        let first = in_line.min_by_key(|(number, entry)| {
            let served = self.of(entry.taker).filter(|other| other.is_served()).count();
            (self.lost.contains(&entry.taker), served, **number)
        });
        first.map(|(number, _)| *number)
    }

    fn remember(&mut self, number: u64) {
        let Some(taker) = self.tickets.get(&number).map(|entry| entry.taker) else {
            return;
        };
        self.lost.retain(|other| *other != taker);
        self.lost.push_back(taker);
        if self.lost.len() > MAX_REMEMBERED {
            self.lost.pop_front();
        }
    }
}

impl Entry {
    fn is_served(&self) -> bool {
        matches!(self.state, State::Served(_))
    }
}

impl Ticket {
    /// Waits for a place; the turn begins then.
    pub async fn place(&self) {
        loop {
            let mut changed = pin!(self.places.changed.notified());
            // What changes from here on is not missed.
            changed.as_mut().enable();
            let now = Instant::now();
            let served = self.places.room().serve(self.number, now);
            match served {
                Ok(()) => {
                    *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Pace::begin(0)));
                    // The next in line looks for itself.
                    return self.places.changed.notify_waiters();
                }
                Err(Some(until)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
                Err(None) => changed.await,
            }
        }
    }

    /// So many bytes were given; fails when that is too slow.
    pub fn moved(&self, bytes: u64) -> Result<(), PlaceLost> {
        self.change(|served| {
            served.bytes = served.bytes.saturating_add(bytes);
            served.ready = Some(Instant::now());
        });
        match &mut *self.pace.lock().unwrap_or_else(PoisonError::into_inner) {
            // The turn's end is told by [`Self::ended`].
            Some((begun, pace)) => pace.moved(bytes, begun.elapsed().as_millis() as u64, false),
            None => Ok(()),
        }
    }

    /// The next bytes are being made: until they are there the taker waits for us.
    pub fn works(&self) {
        self.change(|served| served.ready = None);
    }

    fn change(&self, change: impl FnOnce(&mut Served)) {
        let mut room = self.places.room();
        if let Some(State::Served(served)) = room.tickets.get_mut(&self.number).map(|entry| &mut entry.state) {
            change(served);
        }
    }

    /// What was waited for was ours: how fast the taker is, is measured anew.
    pub fn was_kept_waiting(&self) {
        if let Some((begun, pace)) = &mut *self.pace.lock().unwrap_or_else(PoisonError::into_inner) {
            *pace = Pace::begin(begun.elapsed().as_millis() as u64);
        }
    }

    /// Returns when the room is needed for another.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.places.room().tickets.remove(&self.number);
        self.places.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::FusedFuture;
    use futures::{poll, FutureExt};

    fn someone() -> Taker {
        Taker::Peer(rand::random())
    }

    async fn served(places: &DeliveryPlaces, peer: Taker) -> Ticket {
        let ticket = places.take_in(peer).expect("there is room");
        ticket.place().await;
        ticket
    }

    /// The finding: whoever read too slowly kept a place for a whole turn while others waited.
    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_makes_room_before_its_turn_is_over_and_whoever_waits_for_us_does_not() {
        let places = DeliveryPlaces::default();
        let mut held = Vec::new();
        for _ in 0..MAX_PLACES {
            held.push(served(&places, someone()).await);
        }
        let begun = Instant::now();
        held.iter().for_each(|ticket| assert_eq!(ticket.moved(1 << 30), Ok(())));
        held[3].works();
        let next = places.take_in(someone()).expect("there is room in the line");
        let mut place = pin!(next.place());
        assert!(poll!(&mut place).is_pending());
        tokio::time::advance(STALL / 2).await;
        // These two go on.
        for ticket in &held[1..3] {
            assert_eq!(ticket.moved(1 << 20), Ok(()));
        }
        place.await;
        assert_eq!(begun.elapsed(), STALL, "well before a turn");
        assert_eq!(held.iter().filter(|ticket| has_ended(ticket)).count(), 1);
        for _ in 0..MAX_PLACES - 4 {
            held.push(served(&places, someone()).await);
        }
        assert_eq!(begun.elapsed(), STALL);
        let kept: Vec<usize> = (0..MAX_PLACES).filter(|ticket| !has_ended(&held[*ticket])).collect();
        assert_eq!(kept, [1, 2, 3]);
    }

    /// The outcome of what does not wait; a future that is over has none again.
    fn poll_now<T>(work: &mut std::pin::Pin<&mut impl FusedFuture<Output = T>>) -> Option<T> {
        (!work.is_terminated()).then(|| work.as_mut().now_or_never())?
    }

    fn has_ended(ticket: &Ticket) -> bool {
        ticket.ended().now_or_never().is_some()
    }

    /// The finding: four peers read a large piece at the least rate, and held all places for hours.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_served_after_a_turn_and_the_slowest_makes_room() {
        let places = DeliveryPlaces::default();
        let (mut held, honest) = (Vec::new(), served(&places, someone()).await);
        for _ in 0..4 {
            let peer = someone();
            for _ in 0..MAX_TICKETS_OF_A_PEER.min(MAX_PLACES - 1 - held.len()) {
                held.push(served(&places, peer).await);
            }
        }
        for _ in 0..4 {
            tokio::time::advance(TURN / 4).await;
            assert_eq!(honest.moved(64 << 20), Ok(()));
            // As slow as may be.
            held.iter()
                .for_each(|ticket| assert_eq!(ticket.moved(16 * 1024 * 30), Ok(())));
        }
        let newcomer = places.take_in(someone()).expect("there is room in the line");
        let mut place = pin!(newcomer.place());
        assert!(poll!(&mut place).is_ready(), "their turn is over");
        assert_eq!(held.iter().filter(|ticket| has_ended(ticket)).count(), 1);
        assert!(!has_ended(&honest) && !has_ended(&newcomer), "the fast one goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_and_ends_nothing_while_nobody_waits() {
        let places = DeliveryPlaces::default();
        let mut held = Vec::new();
        for _ in 0..MAX_PLACES {
            held.push(served(&places, someone()).await);
        }
        let began = Instant::now();
        served(&places, someone()).await;
        assert_eq!(began.elapsed(), TURN);
        tokio::time::advance(TURN * 9).await;
        assert_eq!(
            held.iter().filter(|ticket| has_ended(ticket)).count(),
            1,
            "the others stay"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_lost_a_place_goes_behind_all_others_and_who_is_served_least_comes_first() {
        let places = DeliveryPlaces::default();
        let (greedy, other) = (someone(), someone());
        let mut held = vec![served(&places, greedy).await, served(&places, other).await];
        while held.len() < MAX_PLACES {
            held.push(served(&places, someone()).await);
        }
        places.room().remember(held[0].number);
        let line = [greedy, other, someone()].map(|peer| places.take_in(peer).expect("room"));
        let [lost, has_one, has_none] = &line;
        let (mut lost, mut has_one, mut has_none) = (
            pin!(lost.place().fuse()),
            pin!(has_one.place().fuse()),
            pin!(has_none.place().fuse()),
        );
        let mut are_served = || {
            let served = [poll_now(&mut lost), poll_now(&mut has_one), poll_now(&mut has_none)];
            served.map(|served| served.is_some())
        };
        assert_eq!(are_served(), [false; 3]);
        held.pop();
        assert_eq!(are_served(), [false, false, true]);
        held.pop();
        assert_eq!(are_served(), [false, true, false]);
        held.pop();
        assert_eq!(are_served(), [true, false, false]);
    }

    #[test]
    fn a_peer_has_a_bounded_share_and_one_with_fewer_is_taken_in_all_the_same() {
        let (places, greedy) = (DeliveryPlaces::default(), someone());
        let many: Vec<_> = (0..MAX_TICKETS_OF_A_PEER)
            .filter_map(|_| places.take_in(greedy))
            .collect();
        assert!(places.take_in(greedy).is_none());
        let others: Vec<_> = (many.len()..MAX_TICKETS)
            .filter_map(|_| places.take_in(someone()))
            .collect();
        assert_eq!(many.len() + others.len(), MAX_TICKETS);
        let newcomer = places.take_in(someone());
        assert!(
            newcomer.is_some() && has_ended(&many[3]) && !has_ended(&many[0]),
            "the newest of who has most"
        );
        drop((many, others, newcomer));
        assert!(places.room().tickets.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_taker_that_was_kept_waiting_is_not_called_slow() {
        let places = DeliveryPlaces::default();
        let (kept, slow) = (served(&places, someone()).await, served(&places, someone()).await);
        tokio::time::advance(TURN * 9).await;
        kept.was_kept_waiting();
        assert_eq!(kept.moved(1), Ok(()));
        assert_eq!(slow.moved(1), Err(PlaceLost::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_share_of_its_own_and_waits_for_it() {
        let (places, address) = (DeliveryPlaces::default(), Taker::at([192, 0, 2, 7].into()));
        let mut held: Vec<_> = (0..MAX_TICKETS_OF_AN_ADDRESS)
            .map(|_| places.take_in(address))
            .collect();
        assert!(held.iter().all(Option::is_some) && places.take_in(address).is_none());
        let mut next = pin!(places.taken_in(address).fuse());
        assert!(poll_now(&mut next).is_none());
        held.pop();
        assert!(poll_now(&mut next).is_some(), "as soon as one of its own is over");
    }
}

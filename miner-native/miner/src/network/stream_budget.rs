//! How many streams peers may have open, since each may hold a yamux window of unread bytes.
//!
//! yamux promises every stream 256 KiB before anything is read of it, so memory is reserved by admitting streams: a few for
//! each connection, more out of a common pool of which no connection takes more than a quarter of what is left. What is not
//! admitted is reset at once, and with it what it holds. Wraps the multiplexers of [`super::swarm`]. WebTransport has one window for a
//! connection instead; what it takes beyond the first, it takes out of the same pool.

use super::refused::{Limit, Refused};
use super::swarm::MAX_CONNECTIONS;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use libp2p_webtransport_quinn::WindowBudget;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// What yamux lets a peer send on a stream that nobody reads (`DEFAULT_CREDIT` of its specification), in bytes.
pub(super) const WINDOW: usize = 256 * 1024;
/// Bytes that all unread streams of all peers may hold.
const MAX_UNREAD: usize = 256 * 1024 * 1024;
/// Streams that every connection may have: identify, ping, a proposal, a query.
const STREAMS_OF_A_CONNECTION: usize = 4;
/// Streams beyond those, of all connections together.
const POOL: usize = MAX_UNREAD / WINDOW - MAX_CONNECTIONS * STREAMS_OF_A_CONNECTION;

/// The streams that are open. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct StreamBudget {
    used: Arc<Mutex<usize>>,
    refused: Refused,
}

/// The streams of one connection.
struct Share {
    budget: StreamBudget,
    open: Arc<Mutex<usize>>,
}

/// A stream's place in the budget, given back when it is dropped.
struct Place {
    budget: StreamBudget,
    open: Arc<Mutex<usize>>,
    is_extra: bool,
}

fn lock(count: &Mutex<usize>) -> std::sync::MutexGuard<'_, usize> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Share {
    fn admit(&self) -> Option<Place> {
        let (mut open, mut used) = (lock(&self.open), lock(&self.budget.used));
        let is_extra = *open >= STREAMS_OF_A_CONNECTION;
        if is_extra {
            let (own, left) = (*open - STREAMS_OF_A_CONNECTION, POOL - *used);
            if own >= left.div_ceil(4) {
                return None;
            }
            *used += 1;
        }
        *open += 1;
        Some(Place {
            budget: self.budget.clone(),
            open: self.open.clone(),
            is_extra,
        })
    }
}

impl WindowBudget for StreamBudget {
    fn grant(&self, held: u64, more: u64) -> bool {
        let (held, all) = (places_of(held), places_of(held.saturating_add(more)));
        let mut used = lock(&self.used);
        let is_granted = all <= (POOL - *used + held).div_ceil(4);
        if is_granted {
            *used += all - held;
        }
        is_granted
    }

    fn give_back(&self, granted: u64) {
        *lock(&self.used) -= places_of(granted);
    }
}

/// Places of the pool that a window of so many bytes takes: quinn holds up to two and a half times of it for data in small pieces.
fn places_of(window: u64) -> usize {
    let held = window.saturating_mul(5) / 2;
    usize::try_from(held.div_ceil(WINDOW as u64)).unwrap_or(usize::MAX)
}

impl Drop for Place {
    fn drop(&mut self) {
        *lock(&self.open) -= 1;
        if self.is_extra {
            *lock(&self.budget.used) -= 1;
        }
    }
}

/// A multiplexer whose incoming streams are admitted one by one.
pub(super) struct Budgeted {
    inner: StreamMuxerBox,
    share: Share,
    /// Admitted, and not taken yet.
    admitted: VecDeque<Counted>,
    taker: Option<Waker>,
}

/// A stream with its place.
pub(super) struct Counted {
    inner: SubstreamBox,
    _place: Option<Place>,
}

impl StreamBudget {
    pub(super) fn new(refused: Refused) -> Self {
        let used = Arc::default();
        Self { used, refused }
    }

    /// A connection whose streams count.
    pub(super) fn of(&self, inner: StreamMuxerBox) -> Budgeted {
        Budgeted {
            inner,
            share: Share {
                budget: self.clone(),
                open: Arc::default(),
            },
            admitted: VecDeque::new(),
            taker: None,
        }
    }
}

impl Budgeted {
    /// Takes over every stream that has come: none waits, unseen and full, in the multiplexer.
    fn admit_all(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Poll::Ready(incoming) = Pin::new(&mut self.inner).poll_inbound(context) {
            let inner = incoming?;
            let Some(place) = self.share.admit() else {
                self.share.budget.refused.count(Limit::Streams);
                continue;
            };
            let _place = Some(place);
            self.admitted.push_back(Counted { inner, _place });
            if let Some(taker) = self.taker.take() {
                taker.wake();
            }
        }
        Ok(())
    }
}

impl StreamMuxer for Budgeted {
    type Substream = Counted;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Counted>> {
        self.admit_all(context)?;
        match self.admitted.pop_front() {
            Some(stream) => Poll::Ready(Ok(stream)),
            None => {
                self.taker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<Counted>> {
        // Those that this side opens are bounded by what it does.
        let opened = Pin::new(&mut self.inner).poll_outbound(context);
        opened.map_ok(|inner| Counted { inner, _place: None })
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        self.admit_all(context)?;
        Pin::new(&mut self.inner).poll(context)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(budget: &StreamBudget) -> Share {
        Share {
            budget: budget.clone(),
            open: Arc::default(),
        }
    }

    fn admitted(share: &Share) -> Vec<Place> {
        std::iter::from_fn(|| share.admit()).collect()
    }

    #[test]
    fn a_greedy_connection_leaves_room_for_the_streams_of_every_other() {
        let budget = StreamBudget::default();
        let greedy = admitted(&connection(&budget));
        assert!(greedy.len() < POOL / 3, "{} of {POOL}", greedy.len());
        let others: Vec<_> = (1..MAX_CONNECTIONS).map(|_| connection(&budget)).collect();
        let places: Vec<_> = others.iter().map(admitted).collect();
        assert!(places.iter().all(|places| places.len() >= STREAMS_OF_A_CONNECTION));
    }

    #[test]
    fn wide_windows_come_out_of_the_same_pool_and_leave_some_for_others() {
        let budget = StreamBudget::default();
        let wide = |held: &mut u64| {
            while budget.grant(*held, 256 << 10) {
                *held += 256 << 10;
            }
        };
        let mut first = 0;
        wide(&mut first);
        assert!(places_of(first) <= POOL.div_ceil(4), "{first} bytes");
        // As many as transfers go on at once.
        let mut others = [0; 7];
        others.iter_mut().for_each(wide);
        assert!(others.iter().all(|window| *window > 0), "{others:?}");
        let streams = admitted(&connection(&budget));
        assert!(streams.len() > STREAMS_OF_A_CONNECTION);
        drop(streams);
        budget.give_back(first);
        others.iter().for_each(|window| budget.give_back(*window));
        assert_eq!(*lock(&budget.used), 0);
    }

    #[test]
    fn all_streams_together_hold_no_more_than_their_bytes_and_give_them_back() {
        let budget = StreamBudget::default();
        let connections: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connection(&budget)).collect();
        let places: Vec<_> = connections.iter().flat_map(admitted).collect();
        assert!(places.len() * WINDOW <= MAX_UNREAD, "{} streams", places.len());
        drop(places);
        assert_eq!(*lock(&budget.used), 0);
        assert!(admitted(&connections[0]).len() > STREAMS_OF_A_CONNECTION);
    }
}

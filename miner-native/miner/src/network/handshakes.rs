//! Bounds the handshakes under way (TCP accepted, Noise and yamux not yet agreed; QUIC: the first packet is there), so that silent dials keep nobody out.
//!
//! A handshake that takes too long ends. Where there are too many, the one that has taken longest among those of the most
//! frequent address makes room: a peer that means it is done in a few round trips. Wraps the transports of [`super::swarm`].

use super::origin::{most_frequent, Origin};
use super::refused::{Limit, Refused};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId, Transport};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a handshake may take: a few round trips, also over a slow line.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes under way at once in a room that listeners share: so many newer dials must come during an honest one to end it.
pub(super) const MAX_HANDSHAKES: usize = 256;

type Connected = (PeerId, StreamMuxerBox);

/// The handshakes under way. Clones are the same.
#[derive(Clone)]
pub(super) struct Handshakes {
    pending: Arc<Mutex<Pending>>,
    most: usize,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self::at_most(MAX_HANDSHAKES)
    }
}

#[derive(Default)]
struct Pending {
    next: u64,
    /// By age: dropping the sender ends the handshake.
    under_way: BTreeMap<u64, (Origin, oneshot::Sender<()>)>,
}

/// A handshake's place, given up when it is dropped.
struct Place {
    handshakes: Handshakes,
    number: u64,
}

impl Handshakes {
    pub(super) fn at_most(most: usize) -> Self {
        let pending = Arc::default();
        Self { pending, most }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, and what ends when it has to make room.
    fn begin(&self, origin: Origin) -> (Place, oneshot::Receiver<()>) {
        let mut pending = self.pending();
        if pending.under_way.len() >= self.most {
            let by_age = pending.under_way.iter().map(|(number, (origin, _))| (*origin, *number));
            if let Some((_, oldest)) = most_frequent(by_age) {
                pending.under_way.remove(&oldest);
            }
        }
        let number = pending.next;
        pending.next += 1;
        let (stays, ends) = oneshot::channel();
        pending.under_way.insert(number, (origin, stays));
        let handshakes = self.clone();
        (Place { handshakes, number }, ends)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.pending().under_way.remove(&self.number);
    }
}

/// A transport whose incoming handshakes are bounded; everything else is the inner one's.
pub(super) struct Bounded {
    inner: Boxed<Connected>,
    handshakes: Handshakes,
    refused: Refused,
}

impl Bounded {
    pub(super) fn new(inner: Boxed<Connected>, handshakes: Handshakes, refused: Refused) -> Self {
        Self {
            inner,
            handshakes,
            refused,
        }
    }
}

impl Transport for Bounded {
    type Output = Connected;
    type Error = io::Error;
    type ListenerUpgrade = Pin<Box<dyn Future<Output = io::Result<Connected>> + Send>>;
    type Dial = <Boxed<Connected> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let (handshakes, refused) = (self.handshakes.clone(), self.refused.clone());
        Pin::new(&mut self.inner).poll(context).map(|event| {
            let origin = match &event {
                TransportEvent::Incoming { send_back_addr, .. } => Some(Origin::of(send_back_addr)),
                _ => None,
            };
            event.map_upgrade(|handshake| {
                let place = handshakes.begin(origin.unwrap_or_default());
                Box::pin(bounded(handshake, place, refused)) as Self::ListenerUpgrade
            })
        })
    }
}

/// The handshake, unless it takes too long or has to make room.
async fn bounded<F>(
    handshake: F,
    (place, evicted): (Place, oneshot::Receiver<()>),
    refused: Refused,
) -> io::Result<Connected>
where
    F: Future<Output = io::Result<Connected>>,
{
    let outcome = tokio::select! {
        done = tokio::time::timeout(HANDSHAKE_LIMIT, handshake) => {
            done.unwrap_or_else(|_| {
                refused.count(Limit::Handshakes);
                Err(io::ErrorKind::TimedOut.into())
            })
        }
        _ = evicted => {
            refused.count(Limit::Handshakes);
            Err(io::Error::other("the handshake took longest of too many"))
        }
    };
    drop(place);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&text.parse().expect("an address"))
    }

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest_handshake_of_the_address_that_has_most() {
        let handshakes = Handshakes::default();
        let (silent, honest) = (origin("/ip4/127.0.0.2/tcp/1"), origin("/ip4/127.0.0.3/tcp/1"));
        let (_one, mut honest_stays) = handshakes.begin(honest);
        let mut silent_ones: Vec<_> = (1..MAX_HANDSHAKES).map(|_| handshakes.begin(silent)).collect();
        let (newcomer, mut stays) = handshakes.begin(honest);
        let ended: Vec<bool> = silent_ones
            .iter_mut()
            .map(|(_, ends)| ends.try_recv() == Err(oneshot::error::TryRecvError::Closed))
            .collect();
        assert!(ended[0] && !ended[1..].contains(&true));
        assert_eq!(stays.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(honest_stays.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop((newcomer, silent_ones));
        assert_eq!(handshakes.pending().under_way.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_handshake_ends_after_its_limit() {
        let handshakes = Handshakes::default();
        let place = handshakes.begin(origin("/ip4/127.0.0.1/tcp/1"));
        let ended = bounded(std::future::pending(), place, Refused::default()).await;
        assert_eq!(ended.expect_err("it is silent").kind(), io::ErrorKind::TimedOut);
        assert!(handshakes.pending().under_way.is_empty());
    }
}

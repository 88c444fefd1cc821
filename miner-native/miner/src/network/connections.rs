//! Who is connected, and whose connection is let go when there is no room for a newcomer.
//!
//! An idle connection goes first: of the address that has most of them, the oldest. A peer that is being answered, watches a deal or
//! delivers a piece is not idle. With none idle, the oldest of the address with most goes, if that has more than the newcomer's.
//! Used by [`super::host`] alone.

use super::origin::{most_frequent, Origin};
use super::swarm::MAX_CONNECTIONS;
use super::webrtc;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use std::collections::BTreeMap;

/// The established connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// In the order in which they were made.
    all: Vec<Connection>,
    /// What is done with a peer just now.
    busy: BTreeMap<PeerId, usize>,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    peer: PeerId,
    origin: Origin,
    is_webrtc: bool,
    shown: Shown,
}

/// What the operator sees of a connection.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub address: Multiaddr,
    pub is_dialed: bool,
    /// Milliseconds since 1970.
    pub since_ms: u64,
}

impl Connections {
    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    pub(super) fn has(&self, peer: &PeerId) -> bool {
        self.all.iter().any(|connection| connection.peer == *peer)
    }

    /// A connection was made; returns the one that has to go for it. With none that is idle, the newcomer goes.
    pub(super) fn opened(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        origin: Origin,
        is_webrtc: bool,
        shown: Shown,
    ) -> Option<ConnectionId> {
        self.all.push(Connection {
            id,
            peer,
            origin,
            is_webrtc,
            shown,
        });
        let is_crowded = is_webrtc && self.all.iter().filter(|c| c.is_webrtc).count() > webrtc::MAX_CONNECTIONS;
        if !is_crowded && self.all.len() <= MAX_CONNECTIONS {
            return None;
        }
        let crowded_out = self.makes_room(id, origin, is_crowded).unwrap_or(id);
        // It is closing: the next newcomer needs another's place.
        self.closed(&crowded_out);
        Some(crowded_out)
    }

    /// Who is connected and how, in the order in which they came.
    pub(super) fn shown(&self) -> impl DoubleEndedIterator<Item = (PeerId, &Shown)> {
        self.all.iter().map(|connection| (connection.peer, &connection.shown))
    }

    pub(super) fn is_webrtc(&self, id: &ConnectionId) -> bool {
        self.all
            .iter()
            .any(|connection| connection.id == *id && connection.is_webrtc)
    }

    pub(super) fn closed(&mut self, id: &ConnectionId) {
        self.all.retain(|connection| connection.id != *id);
    }

    pub(super) fn begin(&mut self, peer: PeerId) {
        *self.busy.entry(peer).or_default() += 1;
    }

    pub(super) fn end(&mut self, peer: &PeerId) {
        match self.busy.get_mut(peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.busy.remove(peer);
            }
        }
    }

    /// The connection that goes for a newcomer from `origin`, if any does; one over WebRTC where that has no room.
    fn makes_room(&self, newcomer: ConnectionId, origin: Origin, only_webrtc: bool) -> Option<ConnectionId> {
        let may_go = move |c: &&Connection| c.id != newcomer && (c.is_webrtc || !only_webrtc);
        let others = || self.all.iter().filter(may_go);
        let of = |connection: &Connection| (connection.origin, connection.id);
        let idle = others().filter(|c| !self.busy.contains_key(&c.peer));
        if let Some((_, oldest)) = most_frequent(idle.map(of)) {
            return Some(oldest);
        }
        // What is busy goes only where its address has more than its share.
        let own = 1 + others().filter(|c| c.origin == origin).count();
        let (count, oldest) = most_frequent(others().map(of))?;
        (count > own).then_some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Origin {
        Origin::of(&address.parse().expect("an address"))
    }

    fn connect(connections: &mut Connections, number: usize, address: &str) -> (PeerId, Option<ConnectionId>) {
        let peer = PeerId::random();
        let id = ConnectionId::new_unchecked(number);
        let shown = Shown {
            address: address.parse().expect("an address"),
            is_dialed: false,
            since_ms: 0,
        };
        let is_webrtc = address.ends_with("webrtc-direct");
        (peer, connections.opened(id, peer, from(address), is_webrtc, shown))
    }

    #[test]
    fn a_full_host_lets_the_oldest_idle_connection_of_the_address_with_most_go() {
        let mut connections = Connections::default();
        let (honest, crowded_out) = connect(&mut connections, 0, "/ip4/127.0.0.3/tcp/1");
        assert_eq!(crowded_out, None);
        let hostile: Vec<_> = (1..MAX_CONNECTIONS)
            .map(|number| connect(&mut connections, number, "/ip4/127.0.0.2/tcp/1").0)
            .collect();
        connections.begin(hostile[0]);
        let (_, crowded_out) = connect(&mut connections, MAX_CONNECTIONS, "/ip4/127.0.0.3/tcp/1");
        assert_eq!(
            crowded_out,
            Some(ConnectionId::new_unchecked(2)),
            "the first of it is busy"
        );
        assert!(connections.has(&honest) && !connections.has(&hostile[1]));
    }

    #[test]
    fn busy_connections_of_one_address_make_room_for_another_and_not_for_their_own() {
        let mut connections = Connections::default();
        for number in 0..MAX_CONNECTIONS {
            let (peer, _) = connect(&mut connections, number, "/ip4/127.0.0.2/tcp/1");
            connections.begin(peer);
        }
        let (_, crowded_out) = connect(&mut connections, 500, "/ip4/127.0.0.2/tcp/1");
        assert_eq!(crowded_out, Some(ConnectionId::new_unchecked(500)));
        let (_, crowded_out) = connect(&mut connections, 501, "/ip4/127.0.0.3/tcp/1");
        assert_eq!(crowded_out, Some(ConnectionId::new_unchecked(0)));
    }

    #[test]
    fn connections_over_webrtc_are_few_and_make_room_among_themselves() {
        let mut connections = Connections::default();
        let (other, _) = connect(&mut connections, 0, "/ip4/127.0.0.2/tcp/1");
        for number in 1..=webrtc::MAX_CONNECTIONS {
            let (_, crowded_out) = connect(&mut connections, number, "/ip4/127.0.0.2/udp/1/webrtc-direct");
            assert_eq!(crowded_out, None);
        }
        let (_, crowded_out) = connect(&mut connections, 100, "/ip4/127.0.0.3/udp/1/webrtc-direct");
        assert_eq!(crowded_out, Some(ConnectionId::new_unchecked(1)));
        assert!(connections.has(&other) && connections.is_webrtc(&ConnectionId::new_unchecked(100)));
    }

    #[test]
    fn a_peer_is_busy_until_all_that_is_done_with_it_has_ended() {
        let (mut connections, peer) = (Connections::default(), PeerId::random());
        connections.begin(peer);
        connections.begin(peer);
        connections.end(&peer);
        assert!(connections.busy.contains_key(&peer));
        connections.end(&peer);
        assert!(connections.busy.is_empty());
    }
}

//! Stands between libp2p's AutoNAT server and the swarm's dials: what is not a dial of the host's own is made only as [`super::dial_backs`]
//! allows. A dial that is refused fails, which the server tells the peer that asked. One that succeeds ends after [`LIFE`].

use super::super::advertised::Reach;
use super::super::origin::Origin;
use super::dial_backs::{may_dial, DialBacks, Refusal};
use libp2p::core::transport::PortUse;
use libp2p::core::Endpoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{
    dummy, CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How long a connection that was made for a peer lives: a number is sent over it, and its receipt comes back.
const LIFE: Duration = Duration::from_secs(15);

/// The guard of a swarm's dials.
#[derive(Default)]
pub(crate) struct DialGuard {
    /// Dials of the host's own that have not ended.
    own: BTreeSet<ConnectionId>,
    /// Dials for others that have not ended.
    for_others: BTreeSet<ConnectionId>,
    backs: DialBacks,
    /// A proxy may stand before the host: who comes from this machine or the local network is anybody.
    behind_proxy: bool,
    /// The addresses of this machine: by them, a dial from here passes the firewall that keeps others out.
    here: BTreeSet<IpAddr>,
    /// From where the connected peers come, those that dialled.
    requesters: BTreeMap<ConnectionId, (PeerId, Multiaddr)>,
    /// Connections made for others, and when each is to end.
    closing: VecDeque<(Instant, PeerId, ConnectionId)>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl DialGuard {
    /// Lets a dial of the host's own pass; to be called before it is made.
    pub fn allow(&mut self, dial: &DialOpts) {
        self.own.insert(dial.connection_id());
    }

    /// From here on, only public addresses are dialled for others.
    pub fn is_behind_a_proxy(&mut self) {
        self.behind_proxy = true;
    }

    fn admit(&mut self, id: ConnectionId, peer: Option<PeerId>, addresses: &[Multiaddr]) -> Result<(), Refusal> {
        let peer = peer.ok_or(Refusal::Stranger)?;
        let [target] = addresses else {
            return Err(Refusal::Form);
        };
        let mut from = self.requesters.values().filter(|(known, _)| *known == peer);
        let judged = |remote: &Multiaddr| {
            let requester = ip_of(remote).ok_or(Refusal::Stranger)?;
            let to_here = ip_of(target).is_some_and(|ip| self.here.contains(&ip) && ip != requester);
            let beyond_proxy = self.behind_proxy && Reach::of(target) != Reach::Public;
            match to_here || beyond_proxy {
                true => Err(Refusal::Network),
                false => may_dial(requester, target),
            }
        };
        // A peer with several connections counts by the first that allows it.
        let remote = match from.clone().find(|(_, remote)| judged(remote).is_ok()) {
            Some((_, remote)) => remote,
            None => {
                let (_, remote) = from.next().ok_or(Refusal::Stranger)?;
                return judged(remote);
            }
        };
        self.backs.begin(Origin::of(remote), Instant::now().into_std())?;
        self.for_others.insert(id);
        Ok(())
    }

    /// Of the connections made for others, the first whose time has come.
    fn due(&mut self, context: &mut Context<'_>) -> Option<(PeerId, ConnectionId)> {
        let (due, peer, id) = *self.closing.front()?;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        alarm.as_mut().poll(context).is_ready().then(|| {
            self.closing.pop_front();
            (peer, id)
        })
    }

    fn ended(&mut self, id: &ConnectionId) {
        self.own.remove(id);
        if self.for_others.remove(id) {
            self.backs.ended();
        }
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    }
}

impl NetworkBehaviour for DialGuard {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Let go of when it closes; the connections' own limits bound them.
        self.requesters.insert(id, (peer, remote.clone()));
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if self.own.contains(&id) {
            return Ok(Vec::new());
        }
        match self.admit(id, peer, addresses) {
            Ok(()) => Ok(Vec::new()),
            Err(refusal) => {
                tracing::debug!(?peer, ?addresses, %refusal, "an address is not dialled for a peer");
                Err(ConnectionDenied::new(refusal))
            }
        }
    }

    fn handle_established_outbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(opened) if self.for_others.contains(&opened.connection_id) => {
                let due = Instant::now() + LIFE;
                self.closing.push_back((due, opened.peer_id, opened.connection_id));
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.requesters.remove(&closed.connection_id);
                self.ended(&closed.connection_id);
            }
            FromSwarm::DialFailure(failed) => self.ended(&failed.connection_id),
            FromSwarm::NewListenAddr(listening) => self.here.extend(ip_of(listening.addr)),
            // The other listeners at it expire at the same time: the interface lost it.
            FromSwarm::ExpiredListenAddr(expired) => {
                if let Some(ip) = ip_of(expired.addr) {
                    self.here.remove(&ip);
                }
            }
            // A connection that another behaviour turned away after it was noted here.
            FromSwarm::ListenFailure(failed) => {
                self.requesters.remove(&failed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.due(context) {
            Some((peer_id, id)) => Poll::Ready(ToSwarm::CloseConnection {
                peer_id,
                connection: CloseConnection::One(id),
            }),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::core::transport::ListenerId;
    use libp2p::identity::Keypair;
    use libp2p::swarm::behaviour::NewListenAddr;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddr")
    }

    fn connected(guard: &mut DialGuard, number: usize, from: &str) -> PeerId {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let (id, local) = (ConnectionId::new_unchecked(number), address("/ip4/9.9.9.9/tcp/4401"));
        let taken = guard.handle_established_inbound_connection(id, peer, &local, &address(from));
        assert!(taken.is_ok());
        peer
    }

    fn dial(guard: &mut DialGuard, number: usize, peer: PeerId, to: &str) -> bool {
        let id = ConnectionId::new_unchecked(number);
        let asked = guard.handle_pending_outbound_connection(id, Some(peer), &[address(to)], Endpoint::Dialer);
        asked.is_ok()
    }

    #[test]
    fn only_a_connected_peer_has_something_dialled() {
        let mut guard = DialGuard::default();
        let peer = connected(&mut guard, 1, "/ip4/9.8.7.6/tcp/50000");
        let stranger = Keypair::generate_ed25519().public().to_peer_id();
        assert!(!dial(&mut guard, 2, stranger, "/ip4/9.8.7.6/tcp/4401"));
        assert!(dial(&mut guard, 3, peer, "/ip4/9.8.7.6/tcp/4401"));
        assert!(!dial(&mut guard, 4, peer, "/ip4/192.168.0.1/tcp/80"));
    }

    #[test]
    fn nobody_else_has_this_machines_own_addresses_dialled_from_behind_its_firewall() {
        let mut guard = DialGuard::default();
        let here = address("/ip4/9.9.9.9/tcp/4401");
        guard.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr {
            listener_id: ListenerId::next(),
            addr: &here,
        }));
        let stranger = connected(&mut guard, 1, "/ip4/9.8.7.6/tcp/50000");
        assert!(!dial(&mut guard, 2, stranger, "/ip4/9.9.9.9/tcp/5432"));
        let neighbour = connected(&mut guard, 3, "/ip4/9.9.9.9/tcp/50000");
        assert!(dial(&mut guard, 4, neighbour, "/ip4/9.9.9.9/tcp/4411"));
    }

    #[test]
    fn behind_a_proxy_nobody_counts_as_of_this_machine() {
        let mut guard = DialGuard::default();
        let peer = connected(&mut guard, 1, "/ip4/127.0.0.1/tcp/50000/ws");
        assert!(dial(&mut guard, 2, peer, "/ip4/127.0.0.1/tcp/4411"));
        guard.is_behind_a_proxy();
        assert!(!dial(&mut guard, 3, peer, "/ip4/127.0.0.1/tcp/4411"));
        assert!(dial(&mut guard, 4, peer, "/ip4/9.8.7.6/tcp/4401"));
    }

    #[test]
    fn a_dial_of_the_hosts_own_goes_anywhere() {
        let mut guard = DialGuard::default();
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let to = address("/ip4/192.168.0.1/tcp/4401");
        let own = DialOpts::peer_id(peer).addresses(vec![to.clone()]).build();
        guard.allow(&own);
        let passed = guard.handle_pending_outbound_connection(own.connection_id(), Some(peer), &[to], Endpoint::Dialer);
        assert!(passed.is_ok());
    }
}

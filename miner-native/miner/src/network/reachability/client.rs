//! Asks other miners whether they reach the host at an address: libp2p's AutoNAT client, one round at a time.
//!
//! The client by itself tests whatever any peer claims to have seen, keeps it for ever, and tests nothing twice. Here it tests what the host
//! hands it in a round, and forgets everything before the next one; what peers claim does not reach it.

use libp2p::autonat::v2::client;
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{ConnectionEstablished, NewExternalAddrCandidate};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

/// Addresses of a round, at most: as many as libp2p's client asks about at once.
pub(crate) const MAX_ASKED: usize = 10;

/// The client.
#[derive(Default)]
pub(crate) struct RoundClient {
    inner: client::Behaviour,
    /// What the client has to know of from its beginning: it counts on hearing of each connection before its end.
    connections: BTreeMap<ConnectionId, (PeerId, ConnectedPoint)>,
    /// The addresses of this round.
    asked: BTreeSet<Multiaddr>,
}

impl RoundClient {
    /// Begins a round: asks the servers that are connected from here on about these.
    pub fn ask(&mut self, addresses: &[Multiaddr]) {
        self.inner = client::Behaviour::default();
        for (id, (peer, endpoint)) in &self.connections {
            self.inner
                .on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                    peer_id: *peer,
                    connection_id: *id,
                    endpoint,
                    failed_addresses: &[],
                    other_established: 0,
                }));
        }
        self.asked.clear();
        self.ask_also(addresses);
    }

    /// Asks about these, too.
    pub fn ask_also(&mut self, addresses: &[Multiaddr]) {
        for addr in addresses {
            if self.asked.len() >= MAX_ASKED || !self.asked.insert(addr.clone()) {
                continue;
            }
            let candidate = NewExternalAddrCandidate { addr };
            self.inner
                .on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
        }
    }
}

impl NetworkBehaviour for RoundClient {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match &event {
            // What peers claim to have seen.
            FromSwarm::NewExternalAddrCandidate(_) => return,
            FromSwarm::ConnectionEstablished(opened) => {
                let known = (opened.peer_id, opened.endpoint.clone());
                self.connections.insert(opened.connection_id, known);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.connections.remove(&closed.connection_id);
            }
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(context)
    }
}

//! A WebTransport listener for rust-libp2p: a browser dials a native node that has no certificate of an authority.
//!
//! The [libp2p specification](https://github.com/libp2p/specs/tree/master/webtransport) lets a browser accept a self-signed
//! certificate by its hash, which stands in the node's address, and proves the node's identity by a Noise handshake on the first
//! stream. rust-libp2p has the dialing side ([`libp2p-webtransport-websys`](https://docs.rs/libp2p-webtransport-websys)) and no
//! listening side (rust-libp2p#2993); this crate is one, on [`quinn`] and [`web_transport_quinn`]. It goes away when there is one upstream.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use libp2p_core::transport::{ListenerId, Transport as _};
//! use libp2p_webtransport_quinn::{Certificates, Config, Transport};
//!
//! let key = libp2p_identity::Keypair::from_protobuf_encoding(&std::fs::read("host.key")?)?;
//! let certificates = Certificates::open("webtransport.pem")?;
//! let mut transport = Transport::new(Config::new(&key), certificates);
//! transport.listen_on(ListenerId::next(), "/ip4/0.0.0.0/udp/4402/quic-v1/webtransport".parse()?)?;
//! // Give it to a swarm: `transport.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed()`.
//! # Ok(()) }
//! ```
//!
//! * [`certificates`]: certificates that a browser accepts by their hash live two weeks at most. Two are always announced, the one in
//!   use and its successor, so that an address stays good for twelve days at least; they are kept on the disk and rotated while the
//!   node runs ([`TransportEvent::NewAddress`](libp2p_core::transport::TransportEvent::NewAddress) tells the new address).
//! * [`session`]: one QUIC connection is one session is one libp2p connection, set up within a time limit; other requests are refused.
//! * [`connection`]: the session as a [`StreamMuxer`](libp2p_core::muxing::StreamMuxer).
//! * [`window`]: how much a peer may send before it is read; it grows with what the path can take, out of a [`WindowBudget`].

#![warn(missing_docs)]

mod certificates;
mod connection;
mod endpoint;
mod listener;
mod session;
mod transport;
mod window;

pub use certificates::{CertificateError, Certificates, Clock};
pub use connection::{Connection, Stream};
pub use transport::{Config, Error, Transport};
pub use window::{Unlimited, WindowBudget};

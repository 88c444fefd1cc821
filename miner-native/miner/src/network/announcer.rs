//! Tells the chain's directory of peers where this host is, in a record that the host signs.
//!
//! The record is signed anew when the addresses have changed, and told again now and then: the directory forgets at a restart of the
//! chain. What it looks like and which record is newer is decided in [`shared::chain::peers`].

use super::host::Host;
use crate::chain_access::ChainAccess;
use crate::clock::now_ms;
use crate::supervisor::{Lifeline, ServiceError};
use libp2p::identity::Keypair;
use libp2p::Multiaddr;
use shared::chain::peers::Record;
use std::time::Duration;

/// The chain's directory forgets at a restart: it is told again in this interval.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(20);
/// What health calls the chain's directory of peers.
const DIRECTORY: &str = "directory of peers";

/// A record's addresses as text; those that this version cannot read are left out.
pub fn texts(addresses: &[Vec<u8>]) -> Vec<String> {
    let parsed = addresses
        .iter()
        .filter_map(|bytes| Multiaddr::try_from(bytes.clone()).ok());
    parsed.map(|address| address.to_string()).collect()
}

/// What was signed last.
struct Signed {
    addresses: Vec<Multiaddr>,
    envelope: Vec<u8>,
}

/// Keeps the directory told.
pub(super) struct Announcer {
    host: Host,
    chain: ChainAccess,
    signed: Option<Signed>,
}

impl Announcer {
    pub fn new(host: Host, chain: ChainAccess) -> Self {
        let signed = None;
        Self { host, chain, signed }
    }

    /// Announces the host now and again and whenever it listens elsewhere, for ever.
    pub async fn run(mut self, lifeline: &Lifeline) {
        let mut clock = tokio::time::interval(ANNOUNCE_EVERY);
        let mut moved = self.host.watch_addresses();
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                // The sender lives as long as this host.
                _ = moved.changed() => clock.reset(),
            }
            match self.announce().await {
                Ok(()) => lifeline.well(DIRECTORY),
                Err(error) => {
                    tracing::warn!(%error, "the chain's directory does not know this miner's address; trying again");
                    lifeline.failing(DIRECTORY, &error);
                    // It may know a newer one: the next is signed after it.
                    self.signed = None;
                }
            }
        }
    }

    pub(super) async fn announce(&mut self) -> Result<(), ServiceError> {
        let addresses = self.host.advertised();
        let known = self.signed.take().filter(|signed| signed.addresses == addresses);
        let signed = match known {
            Some(signed) => signed,
            None => {
                let peer = self.host.peer_id().to_string();
                let newest = self.chain.find_peer(&peer).await?.map(|record| record.seq());
                let envelope = sign(self.host.key(), Record::next_seq(newest, now_ms() / 1000), &addresses)?;
                Signed { addresses, envelope }
            }
        };
        self.chain.announce(&signed.envelope).await?;
        self.signed = Some(signed);
        Ok(())
    }
}

/// A record of these addresses in its signed envelope.
pub(super) fn sign(key: &Keypair, seq: u64, addresses: &[Multiaddr]) -> Result<Vec<u8>, ServiceError> {
    let record = Record {
        key: key.public().try_into_ed25519()?.to_bytes(),
        seq,
        addresses: addresses.iter().map(Multiaddr::to_vec).collect(),
    };
    let signature = key.sign(&record.signed_bytes())?;
    Ok(record.envelope(&signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::core::{PeerRecord, SignedEnvelope};
    use shared::chain::peers::SignedRecord;

    fn addresses() -> Vec<Multiaddr> {
        let texts = [
            "/ip4/192.0.2.1/tcp/4401",
            "/dns4/miner.example/tcp/443/wss",
            "/ip6/2001:db8::1/udp/4405/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ",
        ];
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// js-libp2p and go-libp2p read the same form (payload type 0x0301).
    #[test]
    fn libp2p_reads_the_record_that_the_host_signs() {
        let key = Keypair::generate_ed25519();
        let envelope = sign(&key, 7, &addresses()).unwrap();
        let envelope = SignedEnvelope::from_protobuf_encoding(&envelope).unwrap();
        let record = PeerRecord::from_signed_envelope_interop(envelope).unwrap();
        assert_eq!(record.peer_id(), key.public().to_peer_id());
        assert_eq!((record.seq(), record.addresses()), (7, addresses().as_slice()));
    }

    #[test]
    fn the_rules_read_the_record_that_libp2p_signs() {
        let key = Keypair::generate_ed25519();
        let record = PeerRecord::new_interop(&key, addresses()).unwrap();
        let envelope = record.to_signed_envelope().into_protobuf_encoding();
        let opened = SignedRecord::open(&envelope).unwrap();
        assert_eq!(opened.peer(), key.public().to_peer_id().to_bytes());
        assert_eq!(opened.seq(), record.seq());
        let read: Vec<String> = texts(opened.addresses());
        assert_eq!(read, addresses().iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_for_something_else_than_routing_does_not_count() {
        let key = Keypair::generate_ed25519();
        // The older form of rust-libp2p, signed for another domain.
        let record = PeerRecord::new(&key, addresses()).unwrap();
        assert!(SignedRecord::open(&record.into_signed_envelope().into_protobuf_encoding()).is_err());
    }
}

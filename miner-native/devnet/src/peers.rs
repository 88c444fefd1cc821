//! Where miners can be dialled: a directory of peer records, each signed by the peer that it is about. The only module of
//! the chain that names libp2p.
//!
//! Miners announce themselves through the RPC, clients look a miner's peer id up before they dial (step 5 of a deal).
//! The directory is kept in memory: miners announce themselves again and again.

use libp2p::core::{PeerRecord, SignedEnvelope};
use libp2p::PeerId;
use std::collections::BTreeMap;

/// Most addresses of a peer: five transports on a few interfaces.
pub const MAX_ADDRESSES: usize = 32;
/// Most peers remembered; of those that are no miners, the one that announced itself longest ago makes room, then of the miners.
pub const MAX_PEERS: usize = 256;
/// Longest signed record that is looked at, in bytes: an address with two hashes of certificates has about a hundred.
pub const MAX_RECORD: usize = 8192;

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PeerError {
    #[error("the record has {0} bytes, more than {MAX_RECORD}")]
    TooLong(usize),
    #[error("the record is not a signed peer record: {0}")]
    Malformed(String),
    #[error("the record has {0} addresses: give 1 to {MAX_ADDRESSES}")]
    Addresses(usize),
    #[error("a newer record of {peer} is known: sign a new one")]
    Older { peer: String },
    #[error("{0:?} is not a peer id")]
    PeerId(String),
}

#[derive(Debug)]
struct Entry {
    /// Counted up by the peer with every record.
    seq: u64,
    addresses: Vec<String>,
    /// Counted up here with every announcement.
    announced: u64,
}

/// The newest record of every peer.
#[derive(Debug, Default)]
pub(super) struct Peers {
    entries: BTreeMap<PeerId, Entry>,
    announcements: u64,
}

impl Peers {
    /// Takes a signed record in, unless a newer one of that peer is known that says something else: records are numbered by their
    /// peer's time of day, which may have been set back. Where there is no room, whoever is no miner of the chain
    /// makes some first: anybody can announce as many peers as they like.
    pub fn announce(&mut self, envelope: &[u8], is_miner: impl Fn(&PeerId) -> bool) -> Result<(), PeerError> {
        if envelope.len() > MAX_RECORD {
            return Err(PeerError::TooLong(envelope.len()));
        }
        let envelope =
            SignedEnvelope::from_protobuf_encoding(envelope).map_err(|e| PeerError::Malformed(e.to_string()))?;
        let record = read_record(envelope)?;
        let (peer, seq) = (record.peer_id(), record.seq());
        if !(1..=MAX_ADDRESSES).contains(&record.addresses().len()) {
            return Err(PeerError::Addresses(record.addresses().len()));
        }
        let addresses: Vec<String> = record.addresses().iter().map(ToString::to_string).collect();
        let known = self.entries.get(&peer);
        if known.is_some_and(|known| seq < known.seq && known.addresses != addresses) {
            return Err(PeerError::Older { peer: peer.to_string() });
        }
        let seq = known.map_or(seq, |known| seq.max(known.seq));
        if self.entries.len() >= MAX_PEERS && !self.entries.contains_key(&peer) {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(peer, entry)| (is_miner(peer), entry.announced))
                .map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.announcements = self.announcements.saturating_add(1);
        self.entries.insert(
            peer,
            Entry {
                seq,
                addresses,
                announced: self.announcements,
            },
        );
        Ok(())
    }

    /// The addresses of a peer; none when it did not announce itself.
    pub fn find(&self, peer: &str) -> Result<Vec<String>, PeerError> {
        let peer: PeerId = peer
            .parse()
            .map_err(|_| PeerError::PeerId(peer.chars().take(80).collect()))?;
        Ok(self
            .entries
            .get(&peer)
            .map(|entry| entry.addresses.clone())
            .unwrap_or_default())
    }
}

/// Reads a record in the form of the libp2p specification (RFC 0003), which other implementations sign, or in the one that
/// rust-libp2p had before it and still signs by default.
fn read_record(envelope: SignedEnvelope) -> Result<PeerRecord, PeerError> {
    PeerRecord::from_signed_envelope_interop(envelope.clone())
        .or_else(|_| PeerRecord::from_signed_envelope(envelope))
        .map_err(|e| PeerError::Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;
    use libp2p::Multiaddr;

    fn announced(peers: &mut Peers, envelope: &[u8]) -> Result<(), PeerError> {
        peers.announce(envelope, |_| false)
    }

    fn record(key: &Keypair, addresses: usize) -> Vec<u8> {
        let address = |port: usize| -> Multiaddr { format!("/ip4/127.0.0.1/tcp/{}", 4400 + port).parse().unwrap() };
        let record = PeerRecord::new(key, (0..addresses).map(address).collect()).unwrap();
        record.into_signed_envelope().into_protobuf_encoding()
    }

    #[test]
    fn a_peer_is_found_where_it_said_it_is() {
        let (mut peers, key) = (Peers::default(), Keypair::generate_ed25519());
        let peer = key.public().to_peer_id().to_string();
        assert_eq!(peers.find(&peer), Ok(vec![]));
        announced(&mut peers, &record(&key, 1)).unwrap();
        assert_eq!(peers.find(&peer), Ok(vec!["/ip4/127.0.0.1/tcp/4400".to_owned()]));
        assert_eq!(peers.find("no peer"), Err(PeerError::PeerId("no peer".into())));
    }

    #[test]
    fn a_record_in_the_form_that_other_implementations_sign_is_taken_too() {
        let (mut peers, key) = (Peers::default(), Keypair::generate_ed25519());
        let address: Multiaddr = "/dns4/miner.example/tcp/443/tls/ws".parse().unwrap();
        let record = PeerRecord::new_interop(&key, vec![address.clone()]).unwrap();
        announced(&mut peers, &record.into_signed_envelope().into_protobuf_encoding()).unwrap();
        let peer = key.public().to_peer_id().to_string();
        assert_eq!(peers.find(&peer), Ok(vec![address.to_string()]));
    }

    #[test]
    fn a_record_that_its_peer_did_not_sign_is_refused() {
        let mut peers = Peers::default();
        let mut forged = record(&Keypair::generate_ed25519(), 1);
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert!(matches!(announced(&mut peers, &forged), Err(PeerError::Malformed(_))));
        assert!(matches!(
            announced(&mut peers, b"nonsense"),
            Err(PeerError::Malformed(_))
        ));
        assert_eq!(
            announced(&mut peers, &vec![0; MAX_RECORD + 1]),
            Err(PeerError::TooLong(MAX_RECORD + 1))
        );
    }

    #[test]
    fn a_record_has_a_bounded_number_of_addresses() {
        let (mut peers, key) = (Peers::default(), Keypair::generate_ed25519());
        assert_eq!(announced(&mut peers, &record(&key, 0)), Err(PeerError::Addresses(0)));
        assert_eq!(
            announced(&mut peers, &record(&key, MAX_ADDRESSES + 1)),
            Err(PeerError::Addresses(MAX_ADDRESSES + 1))
        );
        assert_eq!(announced(&mut peers, &record(&key, MAX_ADDRESSES)), Ok(()));
    }

    #[test]
    fn the_newest_record_of_a_peer_wins() {
        let (mut peers, key) = (Peers::default(), Keypair::generate_ed25519());
        let peer = key.public().to_peer_id();
        let old = record(&key, 1);
        announced(&mut peers, &old).unwrap();
        peers.entries.get_mut(&peer).unwrap().seq = u64::MAX;
        assert_eq!(
            announced(&mut peers, &record(&key, 2)),
            Err(PeerError::Older { peer: peer.to_string() })
        );
        // One that says nothing else: its peer's time of day was set back.
        assert_eq!(announced(&mut peers, &old), Ok(()));
        assert_eq!(peers.entries[&peer].seq, u64::MAX);
    }

    #[test]
    fn the_peer_that_announced_itself_longest_ago_makes_room() {
        let mut peers = Peers::default();
        let keys: Vec<Keypair> = (0..=MAX_PEERS).map(|_| Keypair::generate_ed25519()).collect();
        for key in &keys {
            announced(&mut peers, &record(key, 1)).unwrap();
        }
        assert_eq!(peers.entries.len(), MAX_PEERS);
        assert!(!peers.entries.contains_key(&keys[0].public().to_peer_id()));
    }

    #[test]
    fn strangers_do_not_throw_a_miner_out_however_many_they_are() {
        let (mut peers, miner) = (Peers::default(), Keypair::generate_ed25519());
        let id = miner.public().to_peer_id();
        peers.announce(&record(&miner, 1), |peer| *peer == id).unwrap();
        for _ in 0..=MAX_PEERS {
            let stranger = Keypair::generate_ed25519();
            peers.announce(&record(&stranger, 1), |peer| *peer == id).unwrap();
        }
        assert_eq!(peers.find(&id.to_string()).unwrap().len(), 1);
        assert_eq!(peers.entries.len(), MAX_PEERS);
    }
}

//! Where peers can be dialled: the chain's directory of records, each signed by the peer that it is about.
//!
//! A miner signs a record of its addresses ([`Record`]) and announces it to the chain. The chain keeps the newest of each peer and
//! hands it on as it came; a client opens it itself ([`SignedRecord::open`]) and takes it when it is about the peer that it asked
//! for and no older than one that it has seen ([`Directory::take_answer`]). So whoever answers for the chain can keep a miner's addresses
//! back, and cannot make any up. Step 5 of a deal; next: the client dials.
//!
//! It is decided here without libp2p, which both sides of it and the chain would have to bring for that: an envelope is five
//! fields, and the signature is the only cryptography in it.

mod protobuf;
mod record;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use record::{Record, RecordError, SignedRecord};

use crate::chain::actors::market::MAX_MINERS;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use cid::multibase::Base;

/// Most addresses of a peer: six transports (TCP, QUIC, WebSocket, secure WebSocket, WebTransport, WebRTC) of four places each, such as
/// IPv4 and IPv6 of an interface, a name, and a router's outside; and room for another few.
pub const MAX_ADDRESSES: usize = 32;
/// Longest signed record that is looked at, in bytes: that many addresses of the longest usual kind, with two certificate hashes.
pub const MAX_RECORD: usize = 8 * 1024;
/// Most peers remembered that are no miners of the chain.
const MAX_STRANGERS: usize = 256;
/// Most peers remembered: every miner that a chain may have has its place, so that whoever registers many of them throws none out. Of those
/// that are no miners, the one that announced itself longest ago makes room.
pub const MAX_PEERS: usize = MAX_MINERS + MAX_STRANGERS;
/// Longest text of a peer id that is read: those of Ed25519 keys have 52 characters.
const MAX_PEER_TEXT: usize = 128;

/// The bytes of a peer id given as text; `None` when it is none.
pub fn peer_from_text(text: &str) -> Option<Vec<u8>> {
    let short = !text.is_empty() && text.len() <= MAX_PEER_TEXT;
    let bytes = short.then(|| Base::Base58Btc.decode(text).ok()).flatten()?;
    let (&[_, length], digest) = bytes.split_first_chunk()?;
    // A multihash of one byte's code and length: what peer ids are.
    (!digest.is_empty() && usize::from(length) == digest.len()).then_some(bytes)
}

/// A peer id as text.
pub fn peer_to_text(peer: &[u8]) -> String {
    Base::Base58Btc.encode(peer)
}

#[derive(Debug)]
struct Entry {
    record: SignedRecord,
    /// Counted up here with every announcement.
    announced: u64,
}

/// The newest record of every peer.
#[derive(Debug, Default)]
pub struct Directory {
    entries: BTreeMap<Vec<u8>, Entry>,
    announcements: u64,
}

impl Directory {
    /// The chain takes a signed record in, unless a newer one of that peer is known. Where there is no room, whoever is no miner of the
    /// chain makes some first: anybody can announce as many peers as they like.
    pub fn announce(&mut self, envelope: &[u8], is_miner: impl Fn(&[u8]) -> bool) -> Result<(), RecordError> {
        self.keep(SignedRecord::open(envelope)?, is_miner)
    }

    /// A client takes in what the chain answered when it was asked for `peer`, and gets the newest record that it knows: an older one
    /// than it has seen, or none after the chain forgot, changes nothing.
    pub fn take_answer(&mut self, peer: &[u8], answer: Option<&[u8]>) -> Result<Option<&SignedRecord>, RecordError> {
        if let Some(envelope) = answer {
            let record = SignedRecord::open(envelope)?;
            if record.peer() != peer {
                return Err(RecordError::Peer);
            }
            // A client asks for miners only.
            match self.keep(record, |_| true) {
                Ok(()) | Err(RecordError::Older { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.find(peer))
    }

    /// The newest record of a peer.
    pub fn find(&self, peer: &[u8]) -> Option<&SignedRecord> {
        self.entries.get(peer).map(|entry| &entry.record)
    }

    /// The peers that are known.
    pub fn peers(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    fn keep(&mut self, record: SignedRecord, is_miner: impl Fn(&[u8]) -> bool) -> Result<(), RecordError> {
        let peer = record.peer();
        let known = self.find(&peer);
        if let Some(known) = known.filter(|known| is_older(&record, known)) {
            let (known, given) = (known.seq(), record.seq());
            return Err(RecordError::Older { known, given });
        }
        if self.entries.len() >= MAX_PEERS && !self.entries.contains_key(&peer) {
            self.make_room(is_miner);
        }
        self.announcements = self.announcements.saturating_add(1);
        let announced = self.announcements;
        self.entries.insert(peer, Entry { record, announced });
        Ok(())
    }

    fn make_room(&mut self, is_miner: impl Fn(&[u8]) -> bool) {
        let entries = self.entries.iter();
        let oldest = entries.min_by_key(|(peer, entry)| (is_miner(peer), entry.announced));
        if let Some(oldest) = oldest.map(|(peer, _)| peer.clone()) {
            self.entries.remove(&oldest);
        }
    }
}

/// Whether a record is not newer than the one that is known, and not the same.
fn is_older(given: &SignedRecord, known: &SignedRecord) -> bool {
    given.seq() < known.seq() || (given.seq() == known.seq() && given.envelope() != known.envelope())
}

#[cfg(test)]
mod tests {
    use super::testing::{envelope, peer};
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    fn announced(directory: &mut Directory, envelope: &[u8]) -> Result<(), RecordError> {
        directory.announce(envelope, |_| false)
    }

    #[test]
    fn a_peer_is_found_where_it_said_it_is() {
        let mut directory = Directory::default();
        assert_eq!(directory.find(&peer(1)), None);
        announced(&mut directory, &envelope(1, 1, 4400)).unwrap();
        let found = directory.find(&peer(1)).unwrap();
        assert_eq!(found.envelope(), envelope(1, 1, 4400));
        assert_eq!(directory.peers().count(), 1);
    }

    #[test]
    fn an_old_record_is_not_taken() {
        let mut directory = Directory::default();
        announced(&mut directory, &envelope(1, 5, 4400)).unwrap();
        let older = |known, given| Err(RecordError::Older { known, given });
        assert_eq!(announced(&mut directory, &envelope(1, 4, 4401)), older(5, 4));
        // Two records of one number: which is the newer cannot be told.
        assert_eq!(announced(&mut directory, &envelope(1, 5, 4401)), older(5, 5));
        assert_eq!(announced(&mut directory, &envelope(1, 5, 4400)), Ok(()));
        assert_eq!(announced(&mut directory, &envelope(1, 6, 4401)), Ok(()));
        assert_eq!(directory.find(&peer(1)).unwrap().seq(), 6);
    }

    #[test]
    fn a_client_takes_only_what_is_about_the_peer_that_it_asked_for() {
        let mut directory = Directory::default();
        let refused = directory.take_answer(&peer(1), Some(&envelope(2, 1, 4400)));
        assert_eq!(refused, Err(RecordError::Peer));
        let mut forged = envelope(1, 2, 4400);
        *forged.last_mut().unwrap() ^= 1;
        let refused = directory.take_answer(&peer(1), Some(&forged));
        assert_eq!(refused, Err(RecordError::Signature));
        assert_eq!(directory.peers().count(), 0);
    }

    #[test]
    fn a_client_stays_with_the_newest_record_that_it_has_seen() {
        let mut directory = Directory::default();
        assert_eq!(directory.take_answer(&peer(1), None), Ok(None));
        let newest = envelope(1, 2, 4400);
        let older = envelope(1, 1, 4401);
        for answer in [Some(&newest), Some(&older), None] {
            let answer = answer.map(Vec::as_slice);
            let known = directory.take_answer(&peer(1), answer).unwrap().unwrap();
            assert_eq!(known.envelope(), newest);
        }
        let newer = envelope(1, 3, 4401);
        let known = directory.take_answer(&peer(1), Some(&newer)).unwrap().unwrap();
        assert_eq!(known.envelope(), newer);
    }

    #[test]
    fn the_peer_that_announced_itself_longest_ago_makes_room() {
        let mut directory = Directory::default();
        for number in 0..=MAX_PEERS as u16 {
            announced(&mut directory, &envelope(number, 1, 4400)).unwrap();
        }
        assert_eq!(directory.peers().count(), MAX_PEERS);
        assert_eq!(directory.find(&peer(0)), None);
    }

    #[test]
    fn strangers_do_not_throw_a_miner_out_however_many_they_are() {
        let mut directory = Directory::default();
        let is_miner = |asked: &[u8]| asked == peer(0);
        directory.announce(&envelope(0, 1, 4400), is_miner).unwrap();
        for number in 1..=MAX_PEERS as u16 + 1 {
            directory.announce(&envelope(number, 1, 4400), is_miner).unwrap();
        }
        assert!(directory.find(&peer(0)).is_some());
        assert_eq!(directory.peers().count(), MAX_PEERS);
    }

    #[test]
    fn as_many_miners_as_a_chain_may_have_throw_none_of_them_out() {
        let mut directory = Directory::default();
        let miners: BTreeSet<Vec<u8>> = (0..MAX_MINERS as u16).map(peer).collect();
        let is_miner = |asked: &[u8]| miners.contains(asked);
        for number in 0..(MAX_PEERS + 1) as u16 {
            directory.announce(&envelope(number, 1, 4400), is_miner).unwrap();
        }
        assert!(miners.iter().all(|miner| directory.find(miner).is_some()));
        assert_eq!(directory.peers().count(), MAX_PEERS);
    }

    #[test]
    fn a_peer_id_reads_as_it_was_written() {
        let text = peer_to_text(&peer(1));
        assert!(text.starts_with("12D3KooW"), "{text}");
        assert_eq!(peer_from_text(&text), Some(peer(1)));
        for none in [
            "",
            "no peer",
            "1",
            "11",
            &format!("{text}1"),
            &"1".repeat(MAX_PEER_TEXT + 1),
        ] {
            assert_eq!(peer_from_text(none), None, "{none}");
        }
    }
}

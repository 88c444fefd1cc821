//! A peer's word on where it can be dialled: libp2p's peer record in its signed envelope (RFC 0002 and 0003 of libp2p's specifications).

use super::protobuf::{once, put_bytes, put_number, put_prefixed, read};
use super::{MAX_ADDRESSES, MAX_RECORD};
use alloc::vec::Vec;
use ed25519_dalek::{Signature, VerifyingKey};

/// What is signed for, so that a signature for something else does not count.
const DOMAIN: &[u8] = b"libp2p-peer-record";
/// The payload's kind: multicodec `libp2p-peer-record`.
const PAYLOAD_TYPE: &[u8] = &[0x03, 0x01];
/// libp2p's number for Ed25519 keys; hosts of this network have no others.
const ED25519: u64 = 1;
/// In front of a key within its peer id: multihash `identity`, 36 bytes.
const IDENTITY: [u8; 2] = [0x00, 36];

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the record has {0} bytes, more than {MAX_RECORD}")]
    TooLong(usize),
    #[error("the record is not a signed peer record: {0}")]
    Malformed(&'static str),
    #[error("the record's key is no Ed25519 key")]
    Key,
    #[error("the record's signature does not hold")]
    Signature,
    #[error("the record is about another peer than the one that signed it")]
    Signer,
    #[error("the record is about another peer than the one that was asked for")]
    Peer,
    #[error("the record has {0} addresses: give 1 to {MAX_ADDRESSES}")]
    Addresses(usize),
    #[error("a newer record of that peer is known, number {known}: sign one with a higher number than {given}")]
    Older { known: u64, given: u64 },
}

/// What a peer says of itself, before it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The signer's public key.
    pub key: [u8; 32],
    /// Counted up by the peer with every record.
    pub seq: u64,
    /// Where it can be dialled, best first: multiaddrs in their binary form.
    pub addresses: Vec<Vec<u8>>,
}

impl Record {
    /// The number of a peer's next record: by its clock, so that it goes on growing over restarts, and in any case more than the
    /// newest that is known, should the clock have gone back.
    pub fn next_seq(known: Option<u64>, now_seconds: u64) -> u64 {
        known.map_or(now_seconds, |known| now_seconds.max(known.saturating_add(1)))
    }

    /// The signer's peer id, as bytes.
    pub fn peer(&self) -> Vec<u8> {
        let mut peer = IDENTITY.to_vec();
        peer.extend(key_message(&self.key));
        peer
    }

    /// The bytes that the key signs.
    pub fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(&self.payload())
    }

    /// The envelope, with the signature over [`Record::signed_bytes`].
    pub fn envelope(&self, signature: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &key_message(&self.key));
        put_bytes(&mut out, 2, PAYLOAD_TYPE);
        put_bytes(&mut out, 3, &self.payload());
        put_bytes(&mut out, 5, signature);
        out
    }

    fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &self.peer());
        if self.seq > 0 {
            put_number(&mut out, 2, self.seq);
        }
        for address in &self.addresses {
            let mut info = Vec::new();
            put_bytes(&mut info, 1, address);
            put_bytes(&mut out, 3, &info);
        }
        out
    }
}

fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [DOMAIN, PAYLOAD_TYPE, payload] {
        put_prefixed(&mut out, part);
    }
    out
}

/// The key as libp2p writes it.
fn key_message(key: &[u8; 32]) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 1, ED25519);
    put_bytes(&mut out, 2, key);
    out
}

/// A record whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRecord {
    record: Record,
    envelope: Vec<u8>,
}

impl SignedRecord {
    /// Opens an envelope: its form, who signed it, and that the record in it is about the signer. Whether there is a newer one
    /// is for [`super::Directory`] to say.
    pub fn open(envelope: &[u8]) -> Result<Self, RecordError> {
        if envelope.len() > MAX_RECORD {
            return Err(RecordError::TooLong(envelope.len()));
        }
        let (mut key, mut kind, mut payload, mut signature) = (None, None, None, None);
        read(envelope, |number, field| match number {
            1 => once(&mut key, field.bytes()?),
            2 => once(&mut kind, field.bytes()?),
            3 => once(&mut payload, field.bytes()?),
            5 => once(&mut signature, field.bytes()?),
            _ => Err(UNKNOWN),
        })?;
        if kind != Some(PAYLOAD_TYPE) {
            return Err(RecordError::Malformed("the envelope holds something else"));
        }
        let (key, payload) = (key_of(key.ok_or(LACKS)?)?, payload.ok_or(LACKS)?);
        let signature = Signature::from_slice(signature.ok_or(LACKS)?).map_err(|_| RecordError::Signature)?;
        let verifying = VerifyingKey::from_bytes(&key).map_err(|_| RecordError::Key)?;
        let holds = verifying.verify_strict(&signed_bytes(payload), &signature);
        holds.map_err(|_| RecordError::Signature)?;
        let record = read_payload(key, payload)?;
        let envelope = envelope.to_vec();
        Ok(Self { record, envelope })
    }

    /// Who signed it, as the bytes of a peer id.
    pub fn peer(&self) -> Vec<u8> {
        self.record.peer()
    }

    pub fn seq(&self) -> u64 {
        self.record.seq
    }

    /// Multiaddrs in their binary form, best first; whether each is one, the host says that dials it.
    pub fn addresses(&self) -> &[Vec<u8>] {
        &self.record.addresses
    }

    /// As it came.
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }
}

const UNKNOWN: RecordError = RecordError::Malformed("it has an unknown field");
const LACKS: RecordError = RecordError::Malformed("it lacks a field");

fn key_of(message: &[u8]) -> Result<[u8; 32], RecordError> {
    let (mut kind, mut key) = (None, None);
    read(message, |number, field| match number {
        1 => once(&mut kind, field.number()?),
        2 => once(&mut key, field.bytes()?),
        _ => Err(UNKNOWN),
    })?;
    match (kind, key.map(TryInto::try_into)) {
        (Some(ED25519), Some(Ok(key))) => Ok(key),
        _ => Err(RecordError::Key),
    }
}

fn read_payload(key: [u8; 32], payload: &[u8]) -> Result<Record, RecordError> {
    let (mut peer, mut seq, mut infos) = (None, None, 0usize);
    let mut addresses = Vec::new();
    read(payload, |number, field| match number {
        1 => once(&mut peer, field.bytes()?),
        2 => once(&mut seq, field.number()?),
        3 => {
            infos = infos.saturating_add(1);
            if infos <= MAX_ADDRESSES {
                addresses.push(address_of(field.bytes()?)?);
            }
            Ok(())
        }
        _ => Err(UNKNOWN),
    })?;
    if !(1..=MAX_ADDRESSES).contains(&infos) {
        return Err(RecordError::Addresses(infos));
    }
    let seq = seq.unwrap_or_default();
    let record = Record { key, seq, addresses };
    match peer == Some(record.peer().as_slice()) {
        true => Ok(record),
        false => Err(RecordError::Signer),
    }
}

fn address_of(info: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut address = None;
    read(info, |number, field| match number {
        1 => once(&mut address, field.bytes()?),
        _ => Err(UNKNOWN),
    })?;
    match address {
        Some(bytes) if !bytes.is_empty() => Ok(bytes.to_vec()),
        _ => Err(RecordError::Malformed("an address is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{signed, signer};
    use super::*;
    use alloc::vec;

    fn record() -> Record {
        Record {
            key: signer(1).verifying_key().to_bytes(),
            seq: 7,
            addresses: vec![vec![4, 127, 0, 0, 1, 6, 0x11, 0x31], vec![9; 100]],
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_signed() {
        let envelope = signed(1, &record());
        let opened = SignedRecord::open(&envelope).unwrap();
        assert_eq!((opened.seq(), opened.envelope()), (7, envelope.as_slice()));
        assert_eq!(opened.addresses(), record().addresses);
        assert_eq!(opened.peer(), record().peer());
    }

    #[test]
    fn a_new_record_is_newer_than_the_last_whatever_the_clock_says() {
        assert_eq!(Record::next_seq(None, 100), 100);
        assert_eq!(Record::next_seq(Some(50), 100), 100);
        assert_eq!(Record::next_seq(Some(100), 100), 101);
        assert_eq!(Record::next_seq(Some(500), 100), 501);
    }

    /// Signed by Node's Ed25519 as `tests/browser/peer-record.mjs` writes it: 127.0.0.1, TCP 4401, WebSocket.
    #[test]
    fn a_record_of_another_implementation_is_read() {
        let envelope = hex::decode(concat!(
            "0a2408011220958a584c161c01bb82e70a88b4921c6784f02a5dbebc3a0bdb54b4270912503d120203011a3c0a26002408011220",
            "958a584c161c01bb82e70a88b4921c6784f02a5dbebc3a0bdb54b4270912503d10b180aed8061a0c0a0a047f000001061131dd03",
            "2a4042f0e8833f0371c19309a29c7b90251db9344949423e90a8d7d709c9cea71ce3853b994ec9d7d69787d424b21d3662af56f2",
            "42cc8a13700828d0d091acce290d"
        ));
        let opened = SignedRecord::open(&envelope.unwrap()).unwrap();
        let text = super::super::peer_to_text(&opened.peer());
        assert_eq!(text, "12D3KooWKt7GYDeA3HXhhgENgVVMDKF4p4bPDgdXjn3LhTUxYkeg");
        assert_eq!(opened.seq(), 1_795_915_825);
        assert_eq!(opened.addresses(), [hex::decode("047f000001061131dd03").unwrap()]);
    }

    #[test]
    fn every_bit_of_an_envelope_counts() {
        let envelope = signed(1, &record());
        for bit in 0..envelope.len() * 8 {
            let mut changed = envelope.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(SignedRecord::open(&changed).is_err(), "bit {bit}");
        }
        for length in 0..envelope.len() {
            assert!(SignedRecord::open(&envelope[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn nobody_signs_for_another_peer() {
        // The key of 2 signs a record about 1: either the envelope's key or the record's is not the signer's.
        assert_eq!(SignedRecord::open(&signed(2, &record())), Err(RecordError::Signature));
        let signature = {
            use ed25519_dalek::Signer;
            signer(2).sign(&record().signed_bytes()).to_bytes()
        };
        let mut envelope = Vec::new();
        put_bytes(&mut envelope, 1, &key_message(&signer(2).verifying_key().to_bytes()));
        put_bytes(&mut envelope, 2, PAYLOAD_TYPE);
        put_bytes(&mut envelope, 3, &record().payload());
        put_bytes(&mut envelope, 5, &signature);
        assert_eq!(SignedRecord::open(&envelope), Err(RecordError::Signer));
    }

    #[test]
    fn a_record_has_a_bounded_number_of_addresses() {
        let with = |count| Record {
            addresses: vec![vec![4]; count],
            ..record()
        };
        let opened = |count| SignedRecord::open(&signed(1, &with(count))).map(drop);
        assert_eq!(opened(0), Err(RecordError::Addresses(0)));
        assert_eq!(opened(MAX_ADDRESSES), Ok(()));
        assert_eq!(
            opened(MAX_ADDRESSES + 1),
            Err(RecordError::Addresses(MAX_ADDRESSES + 1))
        );
        let empty = Record {
            addresses: vec![vec![]],
            ..record()
        };
        assert!(matches!(
            SignedRecord::open(&signed(1, &empty)),
            Err(RecordError::Malformed(_))
        ));
        assert_eq!(
            SignedRecord::open(&vec![0; MAX_RECORD + 1]),
            Err(RecordError::TooLong(MAX_RECORD + 1))
        );
    }

    #[test]
    fn several_transports_on_many_interfaces_fit_a_record() {
        // The longest usual address: WebTransport of IPv6 with two certificate hashes.
        let with_hashes = vec![1; 17 + 3 + 3 + 2 * (2 + 1 + 34)];
        let full = Record {
            addresses: vec![with_hashes; MAX_ADDRESSES],
            ..record()
        };
        assert!(SignedRecord::open(&signed(1, &full)).is_ok());
    }

    #[test]
    fn an_envelope_of_something_else_is_no_record() {
        let mut envelope = signed(1, &record());
        let at = envelope.windows(2).position(|two| two == PAYLOAD_TYPE).unwrap();
        envelope[at + 1] = 2;
        let refused = RecordError::Malformed("the envelope holds something else");
        assert_eq!(SignedRecord::open(&envelope), Err(refused));
        assert_eq!(
            SignedRecord::open(b""),
            Err(RecordError::Malformed("the envelope holds something else"))
        );
        let mut longer = signed(1, &record());
        put_number(&mut longer, 6, 1);
        assert_eq!(SignedRecord::open(&longer), Err(UNKNOWN));
    }
}

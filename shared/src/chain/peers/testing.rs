//! Peers with keys by number, and records that they sign.

use super::Record;
use alloc::vec;
use alloc::vec::Vec;
use ed25519_dalek::{Signer, SigningKey};

/// The key of a peer.
pub fn signer(number: u16) -> SigningKey {
    let mut secret = [7; 32];
    let [high, low] = number.to_be_bytes();
    (secret[0], secret[1]) = (high, low);
    SigningKey::from_bytes(&secret)
}

/// The peer's id.
pub fn peer(number: u16) -> Vec<u8> {
    record(number, 0, 0).peer()
}

/// A record signed by a peer, whoever it is about.
pub fn signed(number: u16, record: &Record) -> Vec<u8> {
    record.envelope(&signer(number).sign(&record.signed_bytes()).to_bytes())
}

/// A peer's record with the number `seq`, of one address: a TCP port of 127.0.0.1.
pub fn envelope(number: u16, seq: u64, port: u16) -> Vec<u8> {
    signed(number, &record(number, seq, port))
}

fn record(number: u16, seq: u64, port: u16) -> Record {
    let [high, low] = port.to_be_bytes();
    Record {
        key: signer(number).verifying_key().to_bytes(),
        seq,
        addresses: vec![vec![4, 127, 0, 0, 1, 6, high, low]],
    }
}

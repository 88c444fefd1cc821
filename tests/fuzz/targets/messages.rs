//! The CBOR of deals, payments, retrieval and the chain: the first byte chooses the type. One encoding of a value is taken,
//! and what hosts do with every value (ids, signatures, shown text) takes any of them.
#![no_main]

use shared::chain::abi::Commitments;
use shared::chain::keys::Signature;
use shared::chain::{Address, AttoFil, FaultSet, MeteredMessage, PaymentVoucher, Predicate, Receipt, SignedMessage};
use shared::deal::{PaymentInfo, Proposal, QueryRequest, SignedProposal, SignedResponse, WatchRequest};
use shared::payment::voucher;
use shared::retrieval::{RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse};
use shared::transfer::upload::SignedOpening;
use shared::wire::{decode, encode, Cbor};

fn read<T: Cbor>(bytes: &[u8]) -> Option<T> {
    let value: T = decode(bytes).ok()?;
    assert_eq!(encode(&value), bytes);
    Some(value)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 16 {
        0 => drop(read::<Proposal>(bytes)),
        1 => {
            if let Some(signed) = read::<SignedProposal>(bytes) {
                let _ = (signed.cid(), signed.proposal.payment.payer.to_string());
            }
        }
        2 => {
            if let Some(signed) = read::<SignedResponse>(bytes) {
                let _ = signed.is_signed_by(&Address::id(1000));
            }
        }
        3 => drop(read::<PaymentInfo>(bytes)),
        4 => {
            if let Some(found) = read::<PaymentVoucher>(bytes) {
                let again = voucher::from_text(&voucher::to_text(&found));
                assert_eq!(again.as_ref(), Ok(&found));
                let _ = found.is_signed_by(&found.payer);
            }
        }
        5 => drop(read::<Predicate>(bytes)),
        6 => drop(read::<SignedMessage>(bytes)),
        7 => drop(read::<MeteredMessage>(bytes)),
        8 => drop(read::<Receipt>(bytes)),
        9 => {
            if let Some(address) = read::<Address>(bytes) {
                assert_eq!(address.to_string().parse().as_ref(), Ok(&address));
            }
        }
        10 => drop(read::<FaultSet>(bytes)),
        11 => drop(read::<Commitments>(bytes)),
        12 => drop((read::<QueryRequest>(bytes), read::<WatchRequest>(bytes))),
        13 => drop((
            read::<RetrievePieceRequest>(bytes),
            read::<RetrievePieceResponse>(bytes),
        )),
        14 => drop((read::<RetrievePieceChunk>(bytes), read::<SignedOpening>(bytes))),
        _ => drop((read::<AttoFil>(bytes), read::<Signature>(bytes))),
    }
});

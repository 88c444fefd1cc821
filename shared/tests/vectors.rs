//! The test vectors of the protocol's specification (appendix A), both directions: encode and decode.

use cid::Cid;
use shared::chain::address::MaybeAddress;
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch, SecretKey};
use shared::deal::{DealState, PaymentInfo, Proposal, QueryRequest, Response};
use shared::payment::{unsigned_vouchers, voucher, PaymentVoucher, Terms};
use shared::piece::Commitment;
use shared::wire::{decode, encode};

const PIECE: &str = "bafk2bzaceaze3tycpxkkgcutfrcb6ns2exugwfz556slrzmjjasti4nydnzm6";
const MINER: &str = "t2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq";
const CHANNEL_MESSAGE: &str = "bafy2bzacedjwujqzuzzesrqe4en3ir6lz5jdd2psxis4efuro7w4sqn5kcwwy";

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

fn cid(text: &str) -> Cid {
    text.parse().expect("a valid CID")
}

fn miner() -> Address {
    MINER.parse().expect("a valid address")
}

fn comm_p() -> Commitment {
    Commitment(core::array::from_fn(|i| i as u8))
}

fn vouchers() -> Vec<PaymentVoucher> {
    let terms = Terms {
        payer: key(1).address(),
        target: key(2).address(),
        miner: miner(),
        channel: ChannelId(9),
        total: AttoFil(5_000_000),
        duration: 2500,
        start: Epoch(773),
        comm_p: comm_p(),
        size: BytesAmount(1000),
    };
    let mut vouchers = unsigned_vouchers(&terms).expect("a schedule");
    for voucher in &mut vouchers {
        voucher.signature = Some(key(1).sign(&voucher.payload()).0.to_vec().into());
    }
    vouchers
}

fn proposal(total: u128, payment: PaymentInfo) -> Proposal {
    Proposal {
        piece_ref: cid(PIECE),
        size: Some(BytesAmount(1000)),
        total_price: AttoFil(total),
        duration: 2500,
        miner_address: miner(),
        payment,
    }
}

fn free() -> Proposal {
    let payment = PaymentInfo {
        payer: key(1).address(),
        pay_ch_actor: MaybeAddress(None),
        channel: None,
        channel_msg_cid: None,
        vouchers: None,
    };
    proposal(0, payment)
}

fn paid() -> Proposal {
    let payment = PaymentInfo {
        payer: key(1).address(),
        pay_ch_actor: MaybeAddress(Some(Address::id(Address::PAYMENT_BROKER))),
        channel: Some(ChannelId(9)),
        channel_msg_cid: Some(cid(CHANNEL_MESSAGE)),
        vouchers: Some(vouchers()),
    };
    proposal(5_000_000, payment)
}

#[test]
fn voucher_payloads_and_signatures_match() {
    let vouchers = vouchers();
    let first = "09008089fa00000225a5956f366974aed5efba0ece2bf647261772fb7665726966795069656365496e636c7573696f6e\
                 825820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f42e807ed0d";
    assert_eq!(hex::encode(vouchers[0].payload()), first);
    assert_eq!(hex::encode(vouchers[2].payload()), "0900c096b10200c919");
    let signatures = [
        (0, "fa47061de26317460011454334339788bcc38526e2f98450bd319fb588f118b77ebecc766b609d21b393a6eb43911fe92add67d3ad586d9448959fd9594dc12a00"),
        (2, "63c4c63d8b7794856181d06ce5d2ddcb6992ec89c80d6fb242973fb732f9636621a53c010ff5abc5246761e6d26436e101d7bcb380f82ba87931d94a5e58ef6a01"),
    ];
    for (index, signature) in signatures {
        let found = vouchers[index].signature.clone().expect("signed");
        assert_eq!(hex::encode(found.0), signature);
        assert!(vouchers[index].is_signed_by(&key(1).address()));
    }
    assert_eq!(encode(&vouchers[0]).len(), 277);
}

#[test]
fn a_voucher_signature_with_a_condition_does_not_verify_without_it_and_vice_versa() {
    let vouchers = vouchers();
    let mut stripped = vouchers[0].clone();
    stripped.condition = None;
    assert!(!stripped.is_signed_by(&key(1).address()));
    let mut loaded = vouchers[2].clone();
    loaded.condition = vouchers[0].condition.clone();
    assert!(!loaded.is_signed_by(&key(1).address()));
}

#[test]
fn vouchers_survive_cbor_and_their_text_form() {
    for original in vouchers() {
        assert_eq!(decode::<PaymentVoucher>(&encode(&original)).as_ref(), Ok(&original));
        let text = voucher::to_text(&original);
        assert!(text.starts_with('z'));
        assert_eq!(voucher::from_text(&text), Ok(original));
    }
}

#[test]
fn the_paid_proposal_matches() {
    let bytes = encode(&paid());
    assert_eq!(bytes.len(), 985);
    let hash = shared::chain::keys::blake2b256(&bytes);
    assert_eq!(
        hex::encode(hash),
        "de508cc8316497bf263a793fe82f11b6b0a70e477feb13399503be9ec4dd1213"
    );
    let signed = paid().sign(&key(1));
    assert_eq!(hex::encode(signed.signature.0), "960a6ded16b31fb8c354fb8b1fb3f8d22dc7f5a08f00b3708492018f59540fea3f9bee5ced90a436bc01b3d5a0e1285a0db967b8e4881b7ebbc8b11a73fa48f200");
    assert_eq!(encode(&signed).len(), 1062);
    assert_eq!(
        signed.cid().to_string(),
        "bafy2bzacec7zc6uiima3ou44t4ur5cgpmeqi5nf2h7hsy7l3knqezwbk6gyag"
    );
    assert_eq!(decode(&encode(&signed)), Ok(signed));
}

#[test]
fn the_free_proposal_matches() {
    let expected = "a66473697a6542e807677061796d656e74a5657061796572550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05676368616e6e656cf668766f756368657273f66a70617943684163746f72406d6368616e6e656c4d7367436964f6686475726174696f6e1909c4687069656365526566d82a5827000155a0e40220324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf6a746f74616c507269636541006c6d696e657241646472657373550225a5956f366974aed5efba0ece2bf647261772fb";
    assert_eq!(hex::encode(encode(&free())), expected);
    assert_eq!(decode(&hex::decode(expected).expect("hex")), Ok(free()));
    let signed = free().sign(&key(1));
    assert_eq!(hex::encode(signed.signature.0), "eb0544be6bcc071c2c7a288cd3aff9b5159e0cac52e17ad1c7df067d73bc5d2d03cd6bcc2f55ae3a28a2d732f0da840b2bd84344c3cea13b20dcfdee0e0b825301");
    assert_eq!(encode(&signed).len(), 281);
    assert_eq!(
        signed.cid().to_string(),
        "bafy2bzacearkno52pu76otqqmfokmvr2gd6psevf65omwlw3sv47ggzqx4x7w"
    );
    assert!(signed.signature_is_valid());
}

#[test]
fn the_accepted_response_and_the_query_match() {
    let proposal_cid = free().sign(&key(1)).cid();
    let response = Response {
        state: DealState::Accepted,
        message: String::new(),
        proposal_cid,
        proof_info: None,
    };
    let expected = "a465737461746503676d657373616765606970726f6f66496e666ff66b70726f706f73616c436964d82a5827000171a0e4022022a6bbba7d3fe74e10615ca6563a30fcf912a5f75ccb2edb9579f31b30bf2ffb";
    assert_eq!(hex::encode(encode(&response)), expected);
    assert_eq!(decode(&hex::decode(expected).expect("hex")), Ok(response.clone()));
    let signed = response.sign(&key(3));
    assert_eq!(hex::encode(signed.signature.0), "d63cbf8603f6b9953127b36242d13a25542ec904a509b8bd6309620b980321f7056fc05587353e5df3f96d7bcaa6dd1db309b9f035747acf3c24a3d37778f22f00");
    assert!(signed.is_signed_by(&key(3).address()));
    assert_eq!(decode(&encode(&signed)), Ok(signed));
    let query = QueryRequest { cid: proposal_cid };
    let expected = "a163636964d82a5827000171a0e4022022a6bbba7d3fe74e10615ca6563a30fcf912a5f75ccb2edb9579f31b30bf2ffb";
    assert_eq!(hex::encode(encode(&query)), expected);
    assert_eq!(decode(&hex::decode(expected).expect("hex")), Ok(query));
}

#[test]
fn every_single_byte_change_of_a_signed_proposal_is_refused_or_breaks_its_signature() {
    let signed = paid().sign(&key(1));
    let bytes = encode(&signed);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        if let Ok(decoded) = decode::<shared::deal::SignedProposal>(&bad) {
            assert!(!decoded.signature_is_valid(), "byte {at}");
        }
    }
}

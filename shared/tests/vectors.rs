//! The test vectors of the protocol's specification (appendix A), both directions: encode and decode.
//!
//! They run natively, and in a WebAssembly engine as well: `tests/vectors` takes this file in, one `#[test]` for one
//! export. So that it can, every test is `#[test]` and then `fn`, and only `cid`, `hex` and `shared` are used.

use cid::Cid;
use shared::chain::abi::{Abi, Integer, Parameters, SectorNumber};
use shared::chain::address::MaybeAddress;
use shared::chain::calls;
use shared::chain::faults::{FaultSet, IntSet};
use shared::chain::keys::cid_of_bytes;
use shared::chain::message::{encode_params, parse_params};
use shared::chain::state::PaymentChannel;
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch, RootKey, SecretKey};
use shared::deal::{DealState, PaymentInfo, Proposal, QueryRequest, Response};
use shared::payment::schedule::unsigned_vouchers_of_2019;
use shared::payment::{voucher, PaymentVoucher, Predicate, Terms};
use shared::piece::Commitment;
use shared::wire::cbor::Value;
use shared::wire::{decode, encode, leb128};

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
    let mut vouchers = unsigned_vouchers_of_2019(&terms).expect("a schedule");
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

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

/// The ABI's parameters, split from their encoding and put together again.
fn parameters(text: &str) -> Vec<Vec<u8>> {
    let params = parse_params(&bytes(text)).expect("an array of byte strings");
    assert_eq!(hex::encode(encode_params(&params)), text);
    params
}

fn from_abi<T: Abi>(bytes: &[u8]) -> T {
    T::from_abi(bytes).expect("a parameter")
}

#[test]
fn keys_have_their_addresses_and_addresses_their_bytes() {
    let accounts = [
        (
            1,
            "t1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi",
            "0154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05",
        ),
        (
            2,
            "t14rkut6lkfumi33nj765t4kli2m7aqytdaclor3y",
            "01e45549f96a2d188deda9ffbb3e2968d33e086263",
        ),
        (3, "t1q6ursdizgt5s2s2k5aovthgopmt2wqyurdehrqi", ""),
    ];
    for (byte, text, raw) in accounts {
        let address = key(byte).address();
        assert_eq!(address.to_string(), text);
        assert_eq!(text.parse(), Ok(address.clone()));
        assert!(raw.is_empty() || hex::encode(address.to_bytes()) == raw);
        assert_eq!(Address::from_bytes(&address.to_bytes()), Ok(address));
    }
    let miner = Address::actor(&key(2).address(), 0);
    assert_eq!(miner.to_string(), MINER);
    assert_eq!(
        hex::encode(miner.to_bytes()),
        "0225a5956f366974aed5efba0ece2bf647261772fb"
    );
    assert_eq!(MINER.parse(), Ok(miner));
}

#[test]
fn numbers_match_both_ways() {
    let signed = [
        (0, "00"),
        (63, "3f"),
        (64, "c000"),
        (128, "8001"),
        (300, "ac02"),
        (1000, "e807"),
        (1_000_000_000_000_000_000, "808090bbbad6adf00d"),
        (-1, "7f"),
        (-64, "40"),
        (-65, "bf7f"),
        (-1024, "8078"),
    ];
    for (value, text) in signed {
        assert_eq!(hex::encode(leb128::signed(value)), text);
        assert_eq!(leb128::parse_signed(&bytes(text)), Ok(value));
    }
    for (value, text) in [(64, "40"), (127, "7f"), (128, "8001"), (300, "ac02")] {
        assert_eq!(hex::encode(leb128::unsigned(value)), text);
        assert_eq!(leb128::parse_unsigned(&bytes(text)), Ok(value));
    }
}

#[test]
fn content_ids_match_both_ways() {
    assert_eq!(cid_of_bytes(&[0xa0]).to_string(), CHANNEL_MESSAGE);
    let raw = Cid::new_v1(0x55, *cid_of_bytes(b"hello").hash());
    assert_eq!(raw.to_string(), PIECE);
    for id in [raw, cid(CHANNEL_MESSAGE)] {
        assert_eq!(decode::<Cid>(&encode(&id)), Ok(id));
        assert_eq!(cid(&id.to_string()), id);
    }
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

/// spec §9.42
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

#[test]
fn broker_parameters_match_both_ways() {
    let create = "825501e45549f96a2d188deda9ffbb3e2968d33e086263429929";
    let call = calls::create_channel(&key(2).address(), Epoch(5273), AttoFil(1));
    assert_eq!(call.params, parameters(create));
    assert_eq!(from_abi::<Address>(&call.params[0]), key(2).address());
    assert_eq!(from_abi::<Epoch>(&call.params[1]), Epoch(5273));

    let ask = calls::voucher(ChannelId(9), AttoFil(2_000_000), Epoch(1773), None);
    assert_eq!(ask.params, parameters("844109448089fa0042ed0d41f6"));
    assert_eq!(from_abi::<ChannelId>(&ask.params[0]), ChannelId(9));
    assert_eq!(from_abi::<AttoFil>(&ask.params[1]), AttoFil(2_000_000));
    assert_eq!(from_abi::<Option<Predicate>>(&ask.params[3]), None);

    let redeem = "87550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05410944c096b10242c91941f6584163c4c63d8b7794856181d06ce5d2ddcb6992ec89c80d6fb242973fb732f9636621a53c010ff5abc5246761e6d26436e101d7bcb380f82ba87931d94a5e58ef6a014180";
    let call = calls::redeem(&vouchers()[2], Vec::new());
    assert_eq!(call.params, parameters(redeem));
    assert_eq!(from_abi::<Parameters>(&call.params[6]), Parameters(Vec::new()));
}

#[test]
fn a_redeemers_parameters_complete_the_condition() {
    let redeemer = Parameters(calls::inclusion_parameters(1, &[0; 8]));
    let text = "8201480000000000000000";
    assert_eq!(hex::encode(redeemer.to_abi()), text);
    assert_eq!(from_abi::<Parameters>(&bytes(text)), redeemer);

    let condition = vouchers()[0].condition.clone().expect("conditional");
    let mut all: Vec<Value> = condition.params.expect("two of them");
    all.extend(redeemer.0);
    let verify = "845820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f42e8074101480000000000000000";
    assert_eq!(hex::encode(voucher::encode_parameters(&all)), verify);
    let params = parameters(verify);
    assert_eq!(from_abi::<Commitment>(&params[0]), comm_p());
    assert_eq!(from_abi::<BytesAmount>(&params[1]), BytesAmount(1000));
    assert_eq!(from_abi::<SectorNumber>(&params[2]), SectorNumber(1));
    let call = calls::verify_piece_inclusion(&miner(), &comm_p(), BytesAmount(1000), 1, &[0; 8]);
    assert_eq!(call.params, params);
}

#[test]
fn ask_and_set_parameters_match_both_ways() {
    let add = calls::add_ask(&miner(), AttoFil::from_fil(20), 10);
    assert_eq!(add.params, parameters("824a8080c09e91c191c79502410a"));
    assert_eq!(from_abi::<AttoFil>(&add.params[0]), AttoFil::from_fil(20));
    assert_eq!(from_abi::<Integer>(&add.params[1]), Integer(10));
    let get = calls::ask(&miner(), 0);
    assert_eq!(get.params, parameters("8140"));
    assert_eq!(from_abi::<Integer>(&get.params[0]), Integer(0));

    let faults = "a26369647341006369647800";
    assert_eq!(hex::encode(FaultSet::default().to_abi()), faults);
    assert_eq!(from_abi::<FaultSet>(&bytes(faults)), FaultSet::default());
    assert_eq!(hex::encode(IntSet::default().to_abi()), "4100");
    assert_eq!(from_abi::<IntSet>(&bytes("4100")), IntSet::default());
}

#[test]
fn a_payment_channel_matches_both_ways() {
    let channel = PaymentChannel {
        target: key(2).address(),
        amount: AttoFil(5_000_000),
        amount_redeemed: AttoFil::ZERO,
        agreed_eol: Epoch(5273),
        condition: None,
        eol: Epoch(5273),
        redeemed: false,
        session: None,
    };
    let text = "a763656f6c42992966616d6f756e7444c096b102667461726765745501e45549f96a2d188deda9ffbb3e2968d33e0862636872656465656d6564f469616772656564456f6c42992969636f6e646974696f6ef66e616d6f756e7452656465656d65644100";
    assert_eq!(hex::encode(encode(&channel)), text);
    assert_eq!(decode(&bytes(text)), Ok(channel));
}

/// Not of the specification: design §8. Computed with another implementation (Python's `hmac`).
#[test]
fn keys_that_are_bound_to_a_network_match() {
    let network = cid(CHANNEL_MESSAGE);
    let counting = RootKey::from_bytes(core::array::from_fn(|i| i as u8));
    let ones = RootKey::from_bytes([1; 32]);
    let expected = [
        (
            &counting,
            0,
            "d56f6d4f66405721cc4dc9e9601e49ca6b380995fd30861c5af3db213159e865",
        ),
        (
            &counting,
            1,
            "4196e0b84d1b16d057f3a530412d075fbde099cdb62be8e44176771468db0137",
        ),
        (
            &ones,
            0,
            "a363f0d655243b86ace8af0e883f0f0e571b16ea3c7d9696c5e07621e49333a7",
        ),
        (
            &ones,
            u32::MAX,
            "050b197cff37e8065035c1a9dfb613868aa84edef4a2be2d199458225aa7dfd3",
        ),
    ];
    for (root, number, key) in expected {
        assert_eq!(hex::encode(root.account(&network, number).to_bytes()), key);
    }
}

//! A decoder takes exactly one encoding of a value: for every type of the wire, each way of writing the same or nearly
//! the same bytes is refused (spec §1.3, design §9).

use ciborium::Value;
use cid::Cid;
use shared::chain::abi::Commitments;
use shared::chain::address::MaybeAddress;
use shared::chain::faults::{FaultSet, IntSet};
use shared::chain::keys::cid_of_bytes;
use shared::chain::state::{Ask, PaymentChannel};
use shared::chain::{calls, Address, AttoFil, BytesAmount, ChannelId, Epoch, Receipt, SecretKey};
use shared::deal::{DealState, PaymentInfo, ProofInfo, Proposal, QueryRequest, Response, WatchRequest};
use shared::file::{EncryptedNames, FileEntry, FilePiece, Manifest, RelativePath};
use shared::payment::{PaymentVoucher, Predicate};
use shared::piece::node::raw_cid;
use shared::piece::Commitment;
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse};
use shared::transfer::upload::Opening;
use shared::wire::cbor::{encode_value, Bytes};
use shared::wire::{decode, encode, Cbor};
use std::fmt::Debug;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

fn id() -> Cid {
    cid_of_bytes(b"something")
}

/// The ways to write `bytes` with one of its lengths or integers longer than it need be.
fn long_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (major, info) = (bytes[at] & 0xe0, bytes[at] & 0x1f);
        let width = match info {
            0..=23 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            _ => 8,
        };
        let argument = &bytes[at + 1..at + 1 + width];
        // Simple values (null, booleans) have one form only.
        if major != 0xe0 && width < 8 {
            let number: Vec<u8> = if width == 0 { vec![info] } else { argument.to_vec() };
            let wider = number.len().max(1) * if width == 0 { 1 } else { 2 };
            let head = major | (24 + wider.trailing_zeros() as u8);
            let mut form = bytes[..at].to_vec();
            form.push(head);
            form.extend(std::iter::repeat_n(0, wider - number.len()));
            form.extend(&number);
            form.extend(&bytes[at + 1 + width..]);
            forms.push(form);
        }
        let length = argument
            .iter()
            .fold(if width == 0 { usize::from(info) } else { 0 }, |sum, byte| {
                sum << 8 | usize::from(*byte)
            });
        // Strings are stepped over; arrays, maps and tags are stepped into.
        at += 1 + width + if major == 0x40 || major == 0x60 { length } else { 0 };
    }
    forms
}

/// Every change of one struct map inside of `value`: a key too many, too few, unknown, twice, or out of order.
fn map_changes(value: &Value) -> Vec<Value> {
    match value {
        Value::Map(entries) => {
            let mut changed: Vec<Vec<(Value, Value)>> = Vec::new();
            let mut with = |change: &dyn Fn(&mut Vec<(Value, Value)>)| {
                let mut entries = entries.clone();
                change(&mut entries);
                changed.push(entries);
            };
            with(&|entries| entries.push((Value::Text("zzzzzzzzzzzzzzzzzzzzzzzz".into()), Value::Null)));
            for index in 0..entries.len() {
                with(&|entries| drop(entries.remove(index)));
                with(&|entries| entries[index].0 = Value::Text("x".into()));
                with(&|entries| entries[index].0 = Value::Integer(1.into()));
                with(&|entries| entries.insert(index, entries[index].clone()));
                if index > 0 {
                    with(&|entries| entries.swap(index - 1, index));
                }
            }
            let mut all: Vec<Value> = changed.into_iter().map(Value::Map).collect();
            for index in 0..entries.len() {
                all.extend(map_changes(&entries[index].1).into_iter().map(|inner| {
                    let mut entries = entries.clone();
                    entries[index].1 = inner;
                    Value::Map(entries)
                }));
            }
            all
        }
        Value::Array(items) => (0..items.len())
            .flat_map(|index| {
                map_changes(&items[index]).into_iter().map(move |inner| {
                    let mut items = items.clone();
                    items[index] = inner;
                    Value::Array(items)
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn only_canonical<T: Cbor + PartialEq + Debug>(name: &str, value: &T) -> usize {
    let good = encode(value);
    assert_eq!(decode::<T>(&good).as_ref(), Ok(value), "{name}");
    let mut bad: Vec<(String, Vec<u8>)> = Vec::new();
    bad.push(("a trailing byte".into(), [good.as_slice(), &[0]].concat()));
    bad.push(("the same twice".into(), [good.as_slice(), &good].concat()));
    bad.extend((0..good.len()).map(|cut| (format!("cut at {cut}"), good[..cut].to_vec())));
    bad.extend(long_forms(&good).into_iter().map(|form| ("a long form".into(), form)));
    let tree = value.to_value();
    bad.extend(
        map_changes(&tree)
            .iter()
            .map(|change| ("a changed map".into(), encode_value(change))),
    );
    // Indefinite length: only of the outermost map or array, whose end is the message's.
    if matches!(tree, Value::Map(_) | Value::Array(_)) {
        assert!(good[0] & 0x1f < 24, "few entries");
        let mut form = vec![good[0] & 0xe0 | 0x1f];
        form.extend(&good[1..]);
        form.push(0xff);
        bad.push(("an indefinite length".into(), form));
    }
    for (what, bytes) in &bad {
        let decoded = decode::<T>(bytes);
        assert!(
            decoded.is_err(),
            "{name}, {what}: {} gave {decoded:?}",
            hex::encode(bytes)
        );
    }
    bad.len()
}

fn voucher() -> PaymentVoucher {
    let mut voucher = PaymentVoucher {
        channel: ChannelId(9),
        payer: key(1).address(),
        target: key(2).address(),
        amount: AttoFil(2_000_000),
        valid_at: Epoch(1773),
        condition: Some(Predicate::piece_inclusion(
            &Address::actor(&key(2).address(), 0),
            &Commitment([7; 32]),
            BytesAmount(1000),
        )),
        signature: None,
    };
    voucher.signature = Some(Bytes(key(1).sign(&voucher.payload()).0.to_vec()));
    voucher
}

fn proposal() -> Proposal {
    Proposal {
        piece_ref: id(),
        size: Some(BytesAmount(1000)),
        total_price: AttoFil(5_000_000),
        duration: 2500,
        miner_address: Address::actor(&key(2).address(), 0),
        payment: PaymentInfo {
            payer: key(1).address(),
            pay_ch_actor: MaybeAddress(Some(Address::id(Address::PAYMENT_BROKER))),
            channel: Some(ChannelId(9)),
            channel_msg_cid: Some(id()),
            vouchers: Some(vec![voucher(), voucher()]),
        },
    }
}

fn response() -> Response {
    Response {
        state: DealState::Complete,
        message: "why".into(),
        proposal_cid: id(),
        proof_info: Some(ProofInfo {
            sector_id: 300,
            comm_d: Commitment([1; 32]),
            comm_r: Commitment([2; 32]),
            comm_r_star: Commitment([3; 32]),
            commitment_message: id(),
            piece_inclusion_proof: Some(Bytes(vec![4; 72])),
        }),
    }
}

fn channel() -> PaymentChannel {
    PaymentChannel {
        target: key(2).address(),
        amount: AttoFil(5_000_000),
        amount_redeemed: AttoFil(64),
        agreed_eol: Epoch(5273),
        condition: voucher().condition,
        eol: Epoch(5273),
        redeemed: true,
        session: None,
    }
}

/// A file of 300 bytes in one piece.
fn file(path: &str) -> FileEntry {
    let piece = FilePiece {
        offset: 0,
        size: 300,
        data_cid: raw_cid(b"some bytes"),
        comm_p: Commitment([7; 32]),
    };
    let path = RelativePath::parse(path).expect("a path");
    FileEntry::new(path, 300, piece.data_cid, vec![piece]).expect("one piece is the file")
}

fn manifest_of_a_folder() -> Manifest {
    let name = RelativePath::parse("folder").expect("a name");
    Manifest::folder(name, vec![file("a/b"), file("c")]).expect("two paths")
}

fn manifest_with_hidden_names() -> Manifest {
    let names = EncryptedNames::new(b"age-encryption.org/v1".to_vec()).expect("they are short");
    manifest_of_a_folder().hiding(names).expect("they are neutral")
}

#[test]
fn every_type_of_the_wire_has_exactly_one_encoding() {
    let (comm_d, comm_r, comm_r_star) = (Commitment([1; 32]), Commitment([2; 32]), Commitment([3; 32]));
    let commitments = Commitments {
        comm_d,
        comm_r,
        comm_r_star,
    };
    let metered = calls::transfer(&key(2).address(), AttoFil(7)).message(&key(1).address(), 300);
    let called = calls::cancel(ChannelId(64)).message(&key(1).address(), 3);
    let error_message = "no piece".into();
    let status = RetrievalStatus::Failure;
    let refused: usize = [
        only_canonical("PaymentVoucher", &voucher()),
        only_canonical("PaymentInfo", &proposal().payment),
        only_canonical("Proposal", &proposal()),
        only_canonical("SignedProposal", &proposal().sign(&key(1))),
        only_canonical("Response", &response()),
        only_canonical("SignedResponse", &response().sign(&key(3))),
        only_canonical("QueryRequest", &QueryRequest { cid: id() }),
        only_canonical(
            "WatchRequest",
            &WatchRequest {
                cid: id(),
                state: DealState::Staged,
            },
        ),
        only_canonical(
            "SignedOpening",
            &Opening::new(id(), Address::id(1000), id(), Epoch(300)).sign(&key(1)),
        ),
        only_canonical("RetrievePieceRequest", &RetrievePieceRequest { piece_ref: id() }),
        only_canonical(
            "RetrievePieceResponse",
            &RetrievePieceResponse { status, error_message },
        ),
        only_canonical(
            "RetrievePieceChunk",
            &RetrievePieceChunk {
                data: Bytes(vec![5; 300]),
            },
        ),
        only_canonical("MeteredMessage", &metered),
        only_canonical("SignedMessage", &called.sign(&key(1))),
        only_canonical("PaymentChannel", &channel()),
        only_canonical("Commitments", &commitments),
        only_canonical("IntSet", &IntSet([1, 2, 300].into())),
        only_canonical("FaultSet", &FaultSet::default()),
        only_canonical(
            "Ask",
            &Ask {
                id: 1,
                price: AttoFil(20),
                expiry: Epoch(300),
            },
        ),
        only_canonical(
            "Receipt",
            &Receipt {
                exit_code: 0,
                returns: vec![Bytes(vec![9])],
                gas_cost: AttoFil(100),
                error: String::new(),
            },
        ),
        only_canonical("Manifest, of a file", &Manifest::file(file("a")).expect("a name")),
        only_canonical("Manifest, of a folder", &manifest_of_a_folder()),
        only_canonical("Manifest, of encrypted files", &manifest_with_hidden_names()),
    ]
    .iter()
    .sum();
    assert!(refused > 5000, "only {refused} changes were tried");
}

#[test]
fn byte_strings_of_a_fixed_length_take_no_other() {
    for length in [0, 31, 33, 64] {
        let bytes = encode(&Bytes(vec![1; length]));
        assert!(decode::<Commitment>(&bytes).is_err(), "{length}");
    }
    let signed = proposal().sign(&key(1));
    let Value::Map(mut entries) = signed.to_value() else {
        panic!("a struct is a map");
    };
    for length in [0, 64, 66] {
        let at = entries
            .iter()
            .position(|(name, _)| name.as_text() == Some("signature"))
            .expect("signed");
        entries[at].1 = Value::Bytes(vec![1; length]);
        let bytes = encode_value(&Value::Map(entries.clone()));
        assert!(decode::<shared::deal::SignedProposal>(&bytes).is_err(), "{length}");
    }
}

#[test]
fn a_link_without_its_prefix_or_its_tag_is_refused() {
    let good = encode(&id());
    assert_eq!(decode(&good), Ok(id()));
    let inner = id().to_bytes();
    let untagged = encode(&Bytes([[0].as_slice(), &inner].concat()));
    let tag = |bytes: Vec<u8>, number| encode_value(&Value::Tag(number, Box::new(Value::Bytes(bytes))));
    let prefixed = [[0].as_slice(), &inner].concat();
    assert_eq!(tag(prefixed.clone(), 42), good);
    for bad in [
        untagged,
        tag(inner.clone(), 42),
        tag([[1].as_slice(), &inner].concat(), 42),
        tag(prefixed, 43),
        tag(vec![0], 42),
    ] {
        assert!(decode::<Cid>(&bad).is_err(), "{}", hex::encode(bad));
    }
}

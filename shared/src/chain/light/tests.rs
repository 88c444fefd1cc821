//! What a proof shows, and that nothing of it can be changed: every bit of every proof is turned once.

extern crate std;

use super::follower::FollowError;
use super::merkle::{leaf, MAX_LEAVES, MAX_SIBLINGS};
use super::testing::{key, miner, state, transfer, SignedChain};
use super::*;
use crate::chain::keys::{cid_of_bytes, Signature};
use crate::chain::state::{Account, PreCommit};
use crate::chain::{Address, AttoFil, ChainState, ChannelId, Epoch, Policy};
use crate::piece::Commitment;
use crate::wire::cbor::{decode_bounded, Bytes};
use crate::wire::{decode, encode, Cbor};
use alloc::vec::Vec;

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
}

/// The recursive definition of RFC 6962, section 2.1, by which [`Tree`] is judged.
fn top_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [single] => *single,
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            let both = [[1].as_slice(), &top_of(&leaves[..split]), &top_of(&leaves[split..])].concat();
            crate::chain::keys::blake2b256(&both)
        }
    }
}

#[test]
fn a_tree_has_the_shape_of_rfc_6962_and_its_count_in_the_root() {
    for count in 1..40 {
        let leaves = leaves(count);
        let bound = [[2].as_slice(), &(count as u64).to_be_bytes(), &top_of(&leaves)].concat();
        assert_eq!(
            Tree::of(leaves).root(),
            crate::chain::keys::blake2b256(&bound),
            "{count}"
        );
    }
    assert_eq!(Tree::of(Vec::new()).root(), merkle::empty_root());
}

#[test]
fn every_leaf_of_trees_of_all_sizes_has_a_path_and_no_other_place_or_count_takes_it() {
    for count in 1..34_usize {
        let leaves = leaves(count);
        let tree = Tree::of(leaves.clone());
        let root = tree.root();
        assert_eq!(tree.path(count), None);
        for (at, hash) in leaves.iter().enumerate() {
            let path = tree.path(at).unwrap();
            assert_eq!(path.verify(*hash, &root), Ok(()));
            for index in (0..count as u64 + 2).filter(|index| *index != at as u64) {
                let moved = Path { index, ..path.clone() };
                assert!(moved.verify(*hash, &root).is_err(), "{at} at {index} of {count}");
            }
            for other in (0..count as u64 * 2 + 2).filter(|other| *other != count as u64) {
                let counted = Path {
                    count: other,
                    ..path.clone()
                };
                assert!(counted.verify(*hash, &root).is_err(), "{at} of {other} for {count}");
            }
        }
    }
}

#[test]
fn a_path_is_bounded_before_anything_is_hashed() {
    let (hash, root) = (leaf(b"a"), Tree::of(leaves(4)).root());
    let path = |index, count, siblings| Path {
        index,
        count,
        siblings: leaves(siblings),
    };
    let (index, count) = (0, MAX_LEAVES + 1);
    assert_eq!(path(0, count, 0).verify(hash, &root), Err(PathError::Count(count)));
    assert_eq!(
        path(0, 0, 0).verify(hash, &root),
        Err(PathError::Index { index, count: 0 })
    );
    let outside = PathError::Index { index: 4, count: 4 };
    assert_eq!(path(4, 4, 2).verify(hash, &root), Err(outside));
    for siblings in [0, 1, 3] {
        let length = PathError::Length { count: 4 };
        assert_eq!(path(0, 4, siblings).verify(hash, &root), Err(length));
    }
    assert_eq!(path(0, 4, 2).verify(hash, &root), Err(PathError::Root));
    assert!(decode::<Path>(&encode(&path(0, 4, MAX_SIBLINGS))).is_ok());
    assert!(decode::<Path>(&encode(&path(0, 4, MAX_SIBLINGS + 1))).is_err());
}

#[test]
fn an_inner_node_is_no_leaf_and_a_root_is_no_node() {
    let leaves = leaves(2);
    let tree = Tree::of(leaves.clone());
    let inner = Path {
        index: 0,
        count: 1,
        siblings: Vec::new(),
    };
    let joined = leaf(&leaves.concat());
    assert_eq!(inner.verify(joined, &tree.root()), Err(PathError::Root));
    let top = top_of(&leaves);
    assert_eq!(
        inner.verify(top, &tree.root()),
        Err(PathError::Root),
        "the count is in the root"
    );
}

fn chain() -> SignedChain {
    let mut chain = SignedChain::new(1, Policy::default());
    let policy = Policy::default();
    chain.push(Vec::new(), state(&policy, 0, 0));
    let messages = (0..5).map(|nonce| transfer(4, nonce, nonce % 2)).collect();
    chain.push(messages, state(&policy, 9, 4));
    chain.push(Vec::new(), state(&policy, 9, 4));
    chain
}

fn keys() -> Vec<StateKey> {
    let (address, miner) = miner(3, 4);
    let sector = |sector| StateKey::Sector {
        miner: address.clone(),
        sector,
    };
    let channel = |id| StateKey::Channel {
        payer: miner.owner.clone(),
        id: ChannelId(id),
    };
    alloc::vec![
        StateKey::Account(key(200).address()),
        StateKey::Account(Address::id(Address::PAYMENT_BROKER)),
        StateKey::Market,
        StateKey::Miner(address.clone()),
        sector(1),
        channel(7),
        // These are not there: between others, before all, behind all of a kind.
        sector(0),
        sector(5),
        channel(8),
        StateKey::Account(Address::id(0)),
        StateKey::PreCommit {
            miner: address.clone(),
            sector: 1
        },
    ]
}

#[test]
fn a_message_is_shown_with_its_receipt() {
    let chain = chain();
    for nonce in 0..5 {
        let (message, receipt) = transfer(4, nonce, nonce % 2);
        let proof = chain.message_proof(&message.cid()).unwrap();
        let proof: MessageProof = decode_bounded(&encode(&proof), MAX_ITEMS).unwrap();
        let shown = proof.check(&chain.anchor).unwrap();
        assert_eq!((shown.height(), shown.id()), (Epoch(1), &message.cid()));
        assert_eq!((shown.message(), shown.receipt()), (&message, &receipt));
        assert_eq!(shown.header().header(), &chain.header(1).unwrap().header);
    }
}

#[test]
fn entries_are_shown_to_be_there_and_not_to_be_there() {
    let chain = chain();
    let keys = keys();
    let proof = chain.state_proof(1, &keys).unwrap();
    let proof: StateProof = decode_bounded(&encode(&proof), MAX_ITEMS).unwrap();
    let (header, entries) = proof.check(&chain.anchor).unwrap();
    assert_eq!(header.header().height, Epoch(1));
    let state = state(&Policy::default(), 9, 4);
    for ((key, found), asked) in entries.iter().zip(&keys) {
        assert_eq!(key, asked);
        assert_eq!(found, &StateEntry::of(&state, key), "{key:?}");
    }
    let there = entries.iter().filter(|(_, found)| found.is_some()).count();
    assert_eq!((there, entries.len()), (6, 11));
}

#[test]
fn a_tree_without_entries_has_none_under_any_key() {
    let mut chain = SignedChain::new(1, Policy::default());
    let mut signed = chain.push(Vec::new(), state(&Policy::default(), 0, 0));
    signed.header.state_root = merkle::empty_root();
    let header = signed.header.sign(&chain.authority);
    let absent = EntryProof::Absent {
        key: Bytes(StateKey::Market.to_bytes()),
        before: None,
        after: None,
    };
    let entries = alloc::vec![absent];
    let checked = StateProof { header, entries }.check(&chain.anchor).unwrap();
    assert_eq!(checked.1, [(StateKey::Market, None)]);
}

/// Turns every bit of the canonical bytes; whatever can still be read must be refused by `holds`.
fn no_bit_can_be_turned<T: Cbor>(what: &str, good: &T, holds: impl Fn(&T) -> bool) {
    assert!(holds(good), "{what}");
    let bytes = encode(good);
    let mut read = 0;
    for at in 0..bytes.len() * 8 {
        let mut turned = bytes.clone();
        turned[at / 8] ^= 1 << (at % 8);
        if let Ok(turned) = decode_bounded::<T>(&turned, MAX_ITEMS) {
            read += 1;
            assert!(!holds(&turned), "{what}: bit {at} of {} can be turned", bytes.len() * 8);
        }
    }
    // Most of the bytes are hashes and signatures, which can be read whatever they are.
    assert!(
        read > bytes.len(),
        "{what}: {read} of {} bits were tried",
        bytes.len() * 8
    );
}

#[test]
fn every_bit_of_a_header_and_its_signature_counts() {
    let chain = chain();
    let header = chain.header(1).unwrap();
    no_bit_can_be_turned("header", &header, |header| header.check(&chain.anchor).is_ok());
}

#[test]
fn every_bit_of_a_message_proof_counts() {
    let chain = chain();
    for nonce in [0, 4] {
        let proof = chain.message_proof(&transfer(4, nonce, 0).0.cid()).unwrap();
        no_bit_can_be_turned("message proof", &proof, |proof| proof.check(&chain.anchor).is_ok());
    }
}

#[test]
fn every_bit_of_an_entry_that_is_there_counts() {
    let chain = chain();
    let checked = chain.header(1).unwrap().check(&chain.anchor).unwrap();
    for asked in &keys()[..6] {
        let proof = chain.state_proof(1, core::slice::from_ref(asked)).unwrap();
        no_bit_can_be_turned("entry", &proof.entries[0], |entry| entry.check(&checked).is_ok());
    }
}

#[test]
fn every_bit_of_an_entry_that_is_not_there_counts_but_for_keys_that_are_not_there_either() {
    let chain = chain();
    let checked = chain.header(1).unwrap().check(&chain.anchor).unwrap();
    let state = state(&Policy::default(), 9, 4);
    for asked in &keys()[6..] {
        let proof = chain.state_proof(1, core::slice::from_ref(asked)).unwrap();
        // Another key of the same gap is as absent: that is true, and not what was asked for.
        no_bit_can_be_turned("absence", &proof.entries[0], |entry| match entry.check(&checked) {
            Ok((key, None)) => key == *asked || StateEntry::of(&state, &key).is_some(),
            Ok((_, Some(_))) => true,
            Err(_) => false,
        });
    }
}

#[test]
fn a_key_that_is_there_cannot_be_shown_not_to_be() {
    let chain = chain();
    let checked = chain.header(1).unwrap().check(&chain.anchor).unwrap();
    let state = state(&Policy::default(), 9, 4);
    let tree = StateTree::of(&state);
    let neighbours = |key: &StateKey| match tree.prove(&state, key) {
        EntryProof::Absent { before, after, .. } => (before, after),
        EntryProof::Present { .. } => panic!("it is there"),
    };
    let (address, _) = miner(3, 4);
    let sector = |sector| StateKey::Sector {
        miner: address.clone(),
        sector,
    };
    let (first, last) = (neighbours(&sector(0)), neighbours(&sector(5)));
    let key = Bytes(sector(2).to_bytes());
    for (before, after) in [
        (first.0.clone(), first.1.clone()),
        (first.0.clone(), last.1.clone()),
        (last.0.clone(), last.1.clone()),
        (first.0, None),
        (None, last.1),
        (None, None),
    ] {
        let key = key.clone();
        let refused = EntryProof::Absent { key, before, after }.check(&checked);
        assert_eq!(refused, Err(ProofError::Neighbours));
    }
}

#[test]
fn a_header_of_another_network_is_refused() {
    let (own, other) = (chain(), SignedChain::new(2, Policy::default()));
    let header = own.header(1).unwrap();
    let refused = header.check(&other.anchor).unwrap_err();
    assert!(matches!(refused, HeaderError::OtherNetwork { .. }));
    // The same authority may run two networks.
    let second = SignedChain::new(
        1,
        Policy {
            grace: 301,
            ..Policy::default()
        },
    );
    assert_eq!(second.authority.address(), own.authority.address());
    assert!(matches!(
        header.check(&second.anchor),
        Err(HeaderError::OtherNetwork { .. })
    ));
}

#[test]
fn a_header_that_another_key_signed_is_refused() {
    let chain = chain();
    let header = chain.header(1).unwrap().header;
    let signed = header.clone().sign(&key(9));
    assert!(matches!(
        signed.check(&chain.anchor),
        Err(HeaderError::Signature { .. })
    ));
    let signed = SignedHeader {
        header,
        signature: Signature([0; 65]),
    };
    assert!(matches!(
        signed.check(&chain.anchor),
        Err(HeaderError::Signature { .. })
    ));
}

#[test]
fn a_ticket_that_is_not_of_its_height_is_refused_even_when_signed() {
    let chain = chain();
    let (mut header, other) = (chain.header(1).unwrap().header, chain.header(2).unwrap().header);
    header.ticket = other.ticket;
    let (signed, height) = (header.sign(&chain.authority), Epoch(1));
    assert_eq!(signed.check(&chain.anchor), Err(HeaderError::Ticket { height }));
}

#[test]
fn block_0_follows_the_genesis_record() {
    let chain = chain();
    let mut header = chain.header(0).unwrap().header;
    assert!(chain.header(0).unwrap().check(&chain.anchor).is_ok());
    header.parent = cid_of_bytes(b"another");
    let signed = header.sign(&chain.authority);
    assert_eq!(signed.check(&chain.anchor), Err(HeaderError::Genesis));
}

#[test]
fn a_message_that_its_sender_did_not_sign_is_refused_even_when_it_is_in_a_block() {
    let mut chain = chain();
    let (mut message, receipt) = transfer(4, 9, 0);
    message.signature = Signature([1; 65]);
    let id = message.cid();
    chain.push(alloc::vec![(message, receipt)], state(&Policy::default(), 0, 0));
    let refused = chain.message_proof(&id).unwrap().check(&chain.anchor);
    assert_eq!(refused, Err(ProofError::MessageSignature));
}

#[test]
fn a_proof_has_a_bounded_number_of_entries() {
    let chain = chain();
    let keys = alloc::vec![StateKey::Market; proofs::MAX_ENTRIES + 1];
    let proof = chain.state_proof(1, &keys).unwrap();
    assert_eq!(proof.check(&chain.anchor), Err(ProofError::TooMany(keys.len())));
    let largest = chain.state_proof(1, &keys[1..]).unwrap();
    assert!(decode_bounded::<StateProof>(&encode(&largest), MAX_ITEMS).is_ok());
}

#[test]
fn every_bit_of_a_genesis_record_counts() {
    let chain = chain();
    let genesis = *chain.anchor.genesis();
    for at in 0..chain.record.len() * 8 {
        let mut turned = chain.record.clone();
        turned[at / 8] ^= 1 << (at % 8);
        let refused = Anchor::open(&genesis, &turned);
        assert!(matches!(refused, Err(AnchorError::OtherNetwork { .. })));
    }
    assert_eq!(chain.anchor.policy(), &Policy::default());
    assert_eq!(chain.anchor.authority(), &chain.authority.address());
    assert_eq!(
        (chain.anchor.network(), chain.anchor.verifying_keys()),
        ("test", "keys")
    );
    let long = alloc::vec![0; anchor::MAX_RECORD + 1];
    assert_eq!(Anchor::open(&genesis, &long), Err(AnchorError::TooLong(long.len())));
    let id = cid_of_bytes(b"junk");
    assert_eq!(Anchor::open(&id, b"junk"), Err(AnchorError::Malformed));
}

#[test]
fn keys_are_read_back_and_ordered_by_their_bytes() {
    for key in keys() {
        let bytes = key.to_bytes();
        assert_eq!(StateKey::from_bytes(&bytes), Some(key.clone()));
        assert!(bytes.len() <= entries::MAX_KEY);
        for cut in 0..bytes.len() {
            assert_ne!(StateKey::from_bytes(&bytes[..cut]), Some(key.clone()));
        }
        assert_eq!(StateKey::from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
    }
    assert_eq!(StateKey::from_bytes(b"x"), None);
}

#[test]
fn an_advanced_tree_is_that_of_the_whole_state() {
    let policy = Policy::default();
    let mut before = state(&policy, 7, 6);
    let mut tree = StateTree::of(&before);
    let (address, _) = miner(3, 0);
    let owner = key(3).address();
    let changes: [fn(&mut ChainState, &Address, &Address); 10] = [
        |_, _, _| {},
        |state, _, _| {
            state.accounts.change(&key(200).address(), |account| account.nonce += 1);
            state.market.total_storage += 1;
        },
        |state, _, _| {
            let new = Account {
                balance: AttoFil(5),
                nonce: 0,
            };
            state.accounts.insert(key(17).address(), new.clone());
            state.accounts.insert(key(18).address(), new);
        },
        |state, miner, _| {
            let miner = state.miners.get_mut(miner).unwrap();
            miner.sectors.remove(&3);
            miner.proving_set.remove(&4);
            miner.faults.clear();
        },
        |state, miner, _| {
            let pre_commit = PreCommit {
                comm_d: Commitment([1; 32]),
                comm_r: Commitment([2; 32]),
                ticket_epoch: Epoch(1),
                height: Epoch(2),
                deposit: AttoFil(3),
            };
            state.miners.get_mut(miner).unwrap().pre_commits.insert(9, pre_commit);
        },
        |state, miner, _| {
            let miner = state.miners.get_mut(miner).unwrap();
            let sector = miner.sectors[&1].clone();
            miner.sectors.insert(9, sector.clone());
            miner.sectors.insert(3, sector);
            miner.pre_commits.remove(&9);
        },
        |state, _, owner| {
            state
                .broker
                .channels
                .change(owner, |channels| drop(channels.remove(&ChannelId(7))))
        },
        |state, _, owner| drop(state.broker.channels.remove(owner)),
        |state, _, _| state.miners.insert(miner(5, 3).0, miner(5, 3).1),
        |state, miner, _| drop(state.miners.remove(miner)),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut after = before.clone();
        change(&mut after, &address, &owner);
        tree.advance(&before, &after);
        assert_eq!(tree, StateTree::of(&after), "change {at}");
        before = after;
    }
}

#[test]
fn headers_that_are_linked_or_apart_are_taken() {
    let chain = chain();
    let mut follower = Follower::default();
    for height in [2, 0, 1, 1] {
        assert_eq!(follower.take(&chain.anchor, &chain.header(height).unwrap()), Ok(()));
    }
    assert_eq!(follower.head().map(|head| head.height), Some(Epoch(2)));
}

#[test]
fn two_signed_blocks_of_one_height_are_told_and_can_be_checked_by_anybody() {
    let chain = chain();
    let mut follower = Follower::default();
    let first = chain.header(1).unwrap();
    let mut other = first.header.clone();
    other.time_ms += 1;
    let second = other.sign(&chain.authority);
    follower.take(&chain.anchor, &first).unwrap();
    let Err(FollowError::Equivocation(found)) = follower.take(&chain.anchor, &second) else {
        panic!("two blocks of one height were taken");
    };
    assert_eq!((&found.first, &found.second), (&first, &second));
    assert_eq!(found.check(&chain.anchor), Ok(true));
    let harmless = Equivocation {
        second: first.clone(),
        first,
    };
    assert_eq!(harmless.check(&chain.anchor), Ok(false));
    let forged = Equivocation {
        second: second.header.sign(&key(9)),
        ..*found
    };
    assert!(forged.check(&chain.anchor).is_err());
}

#[test]
fn a_signed_block_that_does_not_follow_the_one_before_is_told_from_both_sides() {
    let chain = chain();
    let mut other = chain.header(2).unwrap().header;
    other.parent = cid_of_bytes(b"another");
    let second = other.sign(&chain.authority);
    let first = chain.header(1).unwrap();
    for pair in [[&first, &second], [&second, &first]] {
        let mut follower = Follower::default();
        follower.take(&chain.anchor, pair[0]).unwrap();
        let told = follower.take(&chain.anchor, pair[1]).unwrap_err();
        assert!(matches!(told, FollowError::Equivocation(_)));
    }
}

#[test]
fn a_follower_remembers_a_bounded_number_of_headers() {
    let mut chain = SignedChain::new(1, Policy::default());
    let empty = state(&Policy::default(), 0, 0);
    let mut follower = Follower::default();
    for _ in 0..follower::MAX_HEADERS + 3 {
        let header = chain.push(Vec::new(), empty.clone());
        follower.take(&chain.anchor, &header).unwrap();
    }
    assert_eq!(follower.len(), follower::MAX_HEADERS);
}

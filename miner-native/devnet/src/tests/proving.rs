//! Headers and proofs of a chain that makes blocks: every claim is checked as a client does, from the genesis id alone.

use super::past::reopen;
use super::*;
use crate::store::Batch;
use shared::chain::light::{Anchor, Follower, StateEntry, StateKey};
use shared::chain::ChannelId;

fn anchor(devnet: &Devnet) -> Anchor {
    let record = devnet.node.genesis.bytes();
    Anchor::open(&devnet.genesis().parse().unwrap(), &record).unwrap()
}

fn keys(payer: &Address) -> Vec<StateKey> {
    let channel = |id| StateKey::Channel {
        payer: payer.clone(),
        id: ChannelId(id),
    };
    vec![
        StateKey::Account(payer.clone()),
        channel(0),
        channel(1),
        StateKey::Market,
    ]
}

/// A chain in which account 1 has money and one channel.
fn with_channel() -> (TempDir, Devnet, Cid) {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    let call = calls::create_channel(&key(99).address(), Epoch(5000), AttoFil::from_fil(1));
    let id = push(&devnet, message(&key(1), 0, call)).unwrap();
    produce(&devnet);
    (dir, devnet, id)
}

#[test]
fn the_genesis_record_names_the_authority_and_the_rules() {
    let (_dir, devnet) = chain();
    let anchor = anchor(&devnet);
    assert_eq!(anchor.authority(), &devnet.node.genesis.authority);
    assert_eq!(anchor.policy(), &devnet.node.genesis.policy);
    assert_eq!((anchor.network(), anchor.verifying_keys()), ("test", "keys"));
}

#[test]
fn every_block_has_a_signed_header_that_follows_the_one_before() {
    let (_dir, devnet, _) = with_channel();
    for _ in 0..3 {
        produce(&devnet);
    }
    let (anchor, mut follower) = (anchor(&devnet), Follower::default());
    let headers = devnet.node.headers(Epoch(0), devnet.head().height, 100).unwrap();
    assert_eq!(headers.len(), 6);
    for (height, signed) in (0..).zip(&headers) {
        follower.take(&anchor, signed).unwrap();
        assert_eq!(signed.header.height, Epoch(height));
        assert_eq!(devnet.node.header(Some(Epoch(height))).unwrap(), *signed);
    }
    let head = devnet.node.header(None).unwrap();
    assert_eq!(head.header.id().to_string(), devnet.head().block);
    let [.., last, end] = headers.as_slice() else {
        panic!("there are six")
    };
    assert_eq!(
        last.header.state_root, end.header.state_root,
        "an empty block changes no entry"
    );
    assert_eq!(devnet.node.headers(Epoch(0), Epoch(9), 2).unwrap().len(), 2);
    assert!(matches!(
        devnet.node.header(Some(Epoch(9))),
        Err(Refusal::Future { .. })
    ));
}

#[test]
fn a_message_is_proven_with_its_receipt_and_one_that_waits_is_not() {
    let (dir, devnet, id) = with_channel();
    let waiting = push(&devnet, pay(&key(1), 1, 1)).unwrap();
    assert_eq!(devnet.node.message_proof(&waiting).unwrap(), None);
    // Three in one block, one of which fails.
    let unknown = calls::cancel(ChannelId(77));
    push(&devnet, message(&key(1), 2, unknown)).unwrap();
    push(&devnet, pay(&key(1), 3, 1)).unwrap();
    produce(&devnet);
    let anchor = anchor(&devnet);
    let check = |devnet: &Devnet, id: &Cid| {
        let shown = devnet.node.message_proof(id).unwrap().unwrap().check(&anchor).unwrap();
        let Some(Outcome::Mined { height, receipt }) = devnet.node.outcome(id).unwrap() else {
            panic!("it is in a block");
        };
        assert_eq!((shown.id(), shown.height(), shown.receipt()), (id, height, &receipt));
        receipt.exit_code
    };
    assert_eq!(check(&devnet, &id), 0);
    let block = devnet.block(devnet.head().height).unwrap().unwrap();
    assert_eq!(block.messages.len(), 3);
    let codes = |devnet: &Devnet| block.messages.iter().map(|id| check(devnet, id)).collect::<Vec<_>>();
    let found = codes(&devnet);
    assert_eq!(found.iter().filter(|code| **code != 0).count(), 1);
    drop(devnet);
    assert_eq!(codes(&reopen(&dir)), found);
}

#[test]
fn entries_of_the_newest_and_of_past_states_are_proven_also_after_a_restart() {
    let (dir, devnet, _) = with_channel();
    produce(&devnet);
    let (anchor, payer) = (anchor(&devnet), key(1).address());
    let keys = keys(&payer);
    let proven = |devnet: &Devnet, height| {
        let proof = devnet.node.state_proof(&keys, height).unwrap();
        let (header, entries) = proof.check(&anchor).unwrap();
        assert!(entries.iter().map(|(key, _)| key).eq(&keys));
        (
            header.header().height,
            entries.into_iter().map(|(_, found)| found).collect::<Vec<_>>(),
        )
    };
    let check = |devnet: &Devnet| {
        let state = &devnet.node.current().state;
        let now: Vec<_> = keys.iter().map(|key| StateEntry::of(state, key)).collect();
        assert_eq!(proven(devnet, None), (Epoch(3), now.clone()));
        assert_eq!(proven(devnet, Some(Epoch(3))).1, now);
        assert!(matches!(now.as_slice(), [Some(_), Some(_), None, Some(_)]));
        assert_eq!(proven(devnet, Some(Epoch(2))).1, now, "nothing has changed since");
        let (height, then) = proven(devnet, Some(Epoch(1)));
        assert_eq!(height, Epoch(1));
        assert!(matches!(then.as_slice(), [Some(_), None, None, Some(_)]));
        assert!(matches!(
            proven(devnet, Some(Epoch(0))).1.as_slice(),
            [None, None, None, Some(_)]
        ));
    };
    check(&devnet);
    drop(devnet);
    check(&reopen(&dir));
}

#[test]
fn a_chain_goes_on_with_the_same_roots_after_a_restart() {
    let (dir, devnet, _) = with_channel();
    let root = devnet.node.header(None).unwrap().header.state_root;
    drop(devnet);
    let devnet = reopen(&dir);
    produce(&devnet);
    assert_eq!(devnet.node.header(None).unwrap().header.state_root, root);
}

/// Makes a chain's blocks what they were before blocks had headers.
fn without_headers(dir: &TempDir, head: Epoch) {
    let store = Store::open(dir.path()).unwrap();
    let mut batch = Batch::default();
    let mut parent = store.block(Epoch(0)).unwrap().unwrap().parent;
    for height in 0..=head.0 {
        let block = store.block(Epoch(height)).unwrap().unwrap();
        let old = Block {
            parent,
            seal: None,
            ..block
        };
        parent = old.cid();
        batch.insert([b"b".as_slice(), &height.to_be_bytes()].concat(), wire::encode(&old));
    }
    store.write(&batch).unwrap();
}

#[test]
fn a_chain_from_before_headers_goes_on_and_says_which_blocks_cannot_be_proven() {
    let (dir, devnet, id) = with_channel();
    let head = devnet.head().height;
    drop(devnet);
    without_headers(&dir, head);
    let devnet = reopen(&dir);
    let keys = keys(&key(1).address());
    let unsigned = |refused: Result<(), Refusal>| {
        let refused = refused.expect_err("there is no header");
        assert!(matches!(refused, Refusal::Unsigned { .. }), "{refused}");
        refused.to_string()
    };
    let words = unsigned(devnet.node.header(None).map(drop));
    assert!(words.contains("before blocks had signed headers"), "{words}");
    unsigned(devnet.node.state_proof(&keys, None).map(drop));
    unsigned(devnet.node.message_proof(&id).map(drop));
    let before = devnet.block(head).unwrap().unwrap();

    push(&devnet, pay(&key(1), 1, 1)).unwrap();
    produce(&devnet);
    let anchor = anchor(&devnet);
    let signed = devnet.node.header(None).unwrap();
    signed.check(&anchor).unwrap();
    assert_eq!(
        signed.header.parent,
        before.cid(),
        "it follows the old block under its old id"
    );
    let proof = devnet.node.state_proof(&keys, None).unwrap();
    assert!(
        matches!(proof.check(&anchor).unwrap().1[1], (_, Some(_))),
        "also what is older"
    );
    unsigned(devnet.node.message_proof(&id).map(drop));
    unsigned(devnet.node.state_proof(&keys, Some(head)).map(drop));
    assert_eq!(devnet.node.headers(Epoch(0), Epoch(9), 100).unwrap(), [signed]);
    assert_eq!(devnet.block(Epoch(1)).unwrap().unwrap().seal, None);
    drop(devnet);
    produce(&reopen(&dir));
}

//! Questions about the past: states, blocks and messages that are still kept, and those that are not.

use super::super::store::{Bounds, STATES_KEPT};
use super::*;
use sealdrop_database::testing::write_old;
use sealdrop_database::{DatabaseError, Entry};
use shared::chain::abi::Abi;
use shared::chain::ChannelId;

/// Opens the chain again. A store that was just closed may be held for a moment longer by the threads that wrote it.
pub(super) fn reopen(dir: &TempDir) -> Devnet {
    loop {
        match Devnet::open(config(dir.path())) {
            Err(DevnetError::InUse { .. }) => std::thread::yield_now(),
            other => return other.expect("the chain goes on"),
        }
    }
}

/// What the broker says about a payer's channels after a block.
fn channels(devnet: &Devnet, payer: &Address, height: Option<Epoch>) -> Result<Vec<Vec<u8>>, Refusal> {
    let broker = Address::id(Address::PAYMENT_BROKER);
    devnet.node.query(height, None, &broker, "ls", vec![payer.to_abi()])
}

fn open_channel(nonce: u64) -> SignedMessage {
    let call = calls::create_channel(&key(99).address(), Epoch(5000), AttoFil::from_fil(1));
    message(&key(1), nonce, call)
}

#[test]
fn a_query_at_a_height_says_what_it_said_then_also_after_a_restart() {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    let payer = key(1).address();
    let mut then = Vec::new();
    for nonce in 0..6 {
        push(&devnet, open_channel(nonce)).expect("the account can pay");
        for _ in 0..3 {
            let height = produce(&devnet).height;
            then.push((height, channels(&devnet, &payer, None).expect("anybody may ask")));
        }
    }
    assert_eq!(then.iter().filter(|(_, said)| *said == then[0].1).count(), 3);
    let check = |devnet: &Devnet| {
        for (height, said) in &then {
            let now = channels(devnet, &payer, Some(*height)).expect("the state is kept");
            assert_eq!(now, *said, "at height {height}");
        }
    };
    check(&devnet);
    drop(devnet);
    check(&reopen(&dir));
}

#[test]
fn a_query_sees_the_height_that_it_asks_about() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let create = calls::create_storage_miner(shared::piece::SectorSize::S2KiB, b"peer", AttoFil::from_fil(1));
    push(&devnet, message(&key(1), 0, create)).expect("the account can pay");
    let made = produce(&devnet).height;
    let miner = devnet.node.current().state.miners.keys().next().cloned();
    let miner = miner.expect("it was just made");
    let add = calls::add_ask(&miner, AttoFil(1), 2);
    push(&devnet, message(&key(1), 1, add)).expect("the account can pay");
    let asked = produce(&devnet).height;
    let asks = |height| devnet.node.query(Some(height), None, &miner, "getAsks", Vec::new());
    assert_ne!(
        asks(made).expect("there is a miner"),
        asks(asked).expect("there is a miner")
    );
    let before = Epoch(made.0 - 1);
    let unknown = asks(before).expect_err("there was no miner yet");
    assert!(
        matches!(&unknown, Refusal::Query(revert) if revert.code == 5),
        "{unknown}"
    );
}

#[test]
fn states_to_come_and_states_long_past_are_refused_with_what_is_kept() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let payer = key(1).address();
    let future = channels(&devnet, &payer, Some(Epoch(2))).expect_err("there is no such block yet");
    assert!(
        matches!(
            future,
            Refusal::Future {
                asked: Epoch(2),
                head: Epoch(1)
            }
        ),
        "{future}"
    );
    for _ in 0..STATES_KEPT {
        devnet.produce_block().expect("the disk has room");
    }
    let head = devnet.head().height;
    channels(&devnet, &payer, Some(Epoch(1))).expect("it is the oldest that is kept");
    let past = channels(&devnet, &payer, Some(Epoch(0))).expect_err("it is too old");
    let wanted = (Epoch(0), Epoch(1), head);
    assert!(
        matches!(&past, Refusal::Past { asked, oldest, head } if (*asked, *oldest, *head) == wanted),
        "{past}"
    );
}

#[test]
fn a_block_is_shown_by_height_and_spans_are_bounded() {
    let (_dir, devnet) = chain();
    for _ in 0..5 {
        produce(&devnet);
    }
    let block = devnet.node.kept_block(Epoch(3)).expect("it is kept");
    assert_eq!(
        block.parent,
        devnet.node.kept_block(Epoch(2)).expect("it is kept").cid()
    );
    let future = devnet.node.kept_block(Epoch(6)).expect_err("there is none yet");
    assert!(matches!(future, Refusal::Future { .. }));
    let heights = |from, to, most| {
        let blocks = devnet
            .node
            .blocks(Epoch(from), Epoch(to), most)
            .expect("the span is one");
        blocks.iter().map(|block| block.height.0).collect::<Vec<_>>()
    };
    assert_eq!(heights(2, 4, 100), [2, 3, 4]);
    assert_eq!(heights(4, 90, 100), [4, 5]);
    assert_eq!(heights(0, 90, 2), [0, 1]);
    let turned = devnet
        .node
        .blocks(Epoch(4), Epoch(2), 100)
        .expect_err("it ends before it begins");
    assert!(matches!(turned, Refusal::Span { .. }));
}

#[test]
fn messages_are_found_by_sender_and_receiver_newest_first() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let mut sent = Vec::new();
    for nonce in 0..6 {
        sent.push(push(&devnet, pay(&key(1), nonce, 1)).expect("the account can pay"));
        if nonce % 2 == 1 {
            produce(&devnet);
        }
    }
    sent.reverse();
    let of = |address: &Address, before, most| {
        let found = devnet.node.messages_of(address, before, most);
        found.expect("the disk can be read")
    };
    assert_eq!(of(&key(99).address(), None, 100), sent);
    // The faucet's grant came before them.
    assert_eq!(of(&key(1).address(), None, 100)[..6], sent);
    assert_eq!(of(&key(1).address(), None, 100).len(), 7);
    let last = devnet.head().height;
    assert_eq!(of(&key(99).address(), Some(last), 100), sent[2..]);
    assert_eq!(
        of(&key(99).address(), None, 1),
        sent[..2],
        "a block's messages come together"
    );
    assert!(of(&key(7).address(), None, 100).is_empty());
}

/// A chain that keeps the messages of two blocks, at most three of them, and the heights of two it has forgotten.
fn forgetful() -> (TempDir, Devnet) {
    let (dir, mut devnet) = chain();
    let node = Arc::get_mut(&mut devnet.node).expect("nobody else has it yet");
    node.store.bounds = Bounds {
        blocks: 2,
        messages: 3,
        forgotten: 2,
    };
    (dir, devnet)
}

#[test]
fn old_messages_are_forgotten_and_the_chain_says_so() {
    let (_dir, devnet) = forgetful();
    fund(&devnet, &key(1));
    let old = pay(&key(1), 0, 1);
    let cid = push(&devnet, old.clone()).expect("the account can pay");
    let height = produce(&devnet).height;
    produce(&devnet);
    produce(&devnet);
    assert_eq!(mined_at(&devnet, &cid), Some(height));
    assert_eq!(
        devnet
            .node
            .messages_of(&key(1).address(), None, 9)
            .expect("it can be read")
            .len(),
        1
    );
    produce(&devnet);
    let gone = |refusal: &Refusal| matches!(refusal, Refusal::Forgotten { message, height: at } if (*message, *at) == (cid, height));
    let refusal = devnet.node.outcome(&cid).expect_err("it is forgotten");
    assert!(gone(&refusal), "{refusal}");
    let refusal = devnet.node.message(&cid).expect_err("it is forgotten");
    assert!(gone(&refusal), "{refusal}");
    let block = devnet.node.kept_block(height).expect_err("it went with its messages");
    assert!(matches!(block, Refusal::BlockForgotten { .. }), "{block}");
    assert!(devnet
        .node
        .messages_of(&key(1).address(), None, 9)
        .expect("it can be read")
        .is_empty());
    assert_eq!(
        push(&devnet, old).expect("it is known still"),
        cid,
        "nobody takes it for a new one"
    );
    assert!(node::lock(&devnet.node.pool).listed(None, 9).is_empty());
}

#[test]
fn a_forgotten_message_is_known_by_height_within_a_bound_and_a_restart_changes_nothing() {
    let (dir, devnet) = forgetful();
    fund(&devnet, &key(1));
    let mut cids = Vec::new();
    for nonce in 0..6 {
        cids.push(push(&devnet, pay(&key(1), nonce, 1)).expect("the account can pay"));
        produce(&devnet);
    }
    let known = |devnet: &Devnet| -> Vec<&str> {
        let state = |cid| match devnet.node.outcome(cid) {
            Ok(Some(_)) => "kept",
            Ok(None) => "unknown",
            Err(Refusal::Forgotten { .. }) => "forgotten",
            Err(other) => panic!("{other}"),
        };
        cids.iter().map(state).collect()
    };
    let wanted = ["unknown", "forgotten", "forgotten", "kept", "kept", "kept"];
    assert_eq!(known(&devnet), wanted);
    drop(devnet);
    let devnet = reopen(&dir);
    assert_eq!(known(&devnet), wanted);
    let unknown = push(&devnet, pay(&key(1), 0, 1)).expect_err("its number was used");
    assert!(
        matches!(unknown, Refusal::Invalid(Invalid::NonceUsed { .. })),
        "{unknown}"
    );
}

#[test]
fn more_messages_than_are_kept_push_the_oldest_out_whatever_their_age() {
    let (_dir, devnet) = forgetful();
    fund(&devnet, &key(1));
    let first = push(&devnet, pay(&key(1), 0, 1)).expect("the account can pay");
    produce(&devnet);
    let rest: Vec<Cid> = (1..5)
        .map(|nonce| push(&devnet, pay(&key(1), nonce, 1)).expect("the account can pay"))
        .collect();
    produce(&devnet);
    assert!(matches!(devnet.node.outcome(&first), Err(Refusal::Forgotten { .. })));
    assert!(
        rest.iter().all(|cid| mined_at(&devnet, cid).is_some()),
        "the newest block stays whole"
    );
}

#[test]
fn a_preview_says_gas_and_exit_code_with_the_sender_present_and_changes_nothing() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let (from, target) = (key(1).address(), key(99).address());
    let before = devnet.node.current().state.clone();
    let preview = |call| devnet.node.preview(&from, call).expect("the account may send it");
    let channel = preview(calls::create_channel(&target, Epoch(5000), AttoFil::from_fil(1)));
    assert_eq!((channel.exit_code, channel.gas_used), (0, 100), "{}", channel.error);
    assert_eq!(channel.returns, [ChannelId(0).to_abi()]);
    let miner = calls::create_storage_miner(shared::piece::SectorSize::S2KiB, b"peer", AttoFil::from_fil(1));
    assert_eq!(preview(miner).exit_code, 0);
    let dear = preview(calls::create_channel(&target, Epoch(5000), AttoFil::from_fil(5000)));
    assert_eq!(dear.exit_code, 3, "{}", dear.error);
    assert_eq!(preview(calls::add_ask(&target, AttoFil(1), 1)).exit_code, 5);
    assert_eq!(preview(calls::transfer(&target, AttoFil(1))).gas_used, 0);
    let actor = devnet
        .node
        .preview(&Address::id(2), calls::transfer(&target, AttoFil(1)));
    let refused = actor.expect_err("an actor sends no messages");
    assert!(
        matches!(refused, Refusal::Invalid(Invalid::SenderNotAccount(_))),
        "{refused}"
    );
    assert_eq!(devnet.node.current().state, before);
}

#[test]
fn all_money_is_somewhere() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    push(&devnet, open_channel(0)).expect("the account can pay");
    let create = calls::create_storage_miner(shared::piece::SectorSize::S2KiB, b"peer", AttoFil::from_fil(7));
    push(&devnet, message(&key(1), 1, create)).expect("the account can pay");
    let burn = calls::transfer(&Address::id(Address::BURNT_FUNDS), AttoFil::from_fil(2));
    push(&devnet, message(&key(1), 2, burn)).expect("the account can pay");
    produce(&devnet);
    let supply = answer::views::supply(&devnet.node.current().state, &devnet.node.genesis.faucet);
    let fil = AttoFil::from_fil;
    assert_eq!((supply.channels, supply.miners, supply.burnt), (fil(1), fil(7), fil(2)));
    let parts = [
        supply.burnt,
        supply.treasury,
        supply.faucet,
        supply.channels,
        supply.miners,
        supply.accounts,
    ];
    assert_eq!(parts.iter().map(|part| part.0).sum::<u128>(), supply.total.0);
}

#[test]
fn a_chain_of_the_first_layout_goes_on_with_its_state_and_its_messages() {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    let cid = push(&devnet, pay(&key(1), 0, 1)).expect("the account can pay");
    produce(&devnet);
    produce(&devnet);
    let (head, state) = (devnet.head(), devnet.node.current().state.clone());
    drop(devnet);
    let mut records = stop(&dir);
    // The last one is the newest.
    let newest = records.iter().rfind(|(key, _)| key.starts_with(b"S"));
    let newest = newest.expect("a state is kept").1.clone();
    records.retain(|(key, _)| !key.starts_with(b"S") && !key.starts_with(b"A") && key != b"archive");
    records.push((b"state".to_vec(), newest));
    write_old(&dir.path().join("chain"), &[(None, records)]);
    for _ in 0..2 {
        let devnet = reopen(&dir);
        assert_eq!(
            (devnet.head(), devnet.node.current().state.clone()),
            (head.clone(), state.clone())
        );
        assert_eq!(
            devnet
                .node
                .messages_of(&key(99).address(), None, 9)
                .expect("it can be read"),
            [cid]
        );
    }
}

/// The records of a chain that nobody has open, whose folder is removed.
fn stop(dir: &TempDir) -> Vec<Entry> {
    let store = Store::open(dir.path()).expect("nobody else has it open");
    let records = store.all();
    drop(store);
    std::fs::remove_dir_all(dir.path().join("chain")).expect("it is there");
    records
}

#[test]
fn a_chain_of_version_0_1_goes_on_and_its_folder_is_kept() {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    produce(&devnet);
    let (head, state) = (devnet.head(), devnet.node.current().state.clone());
    drop(devnet);
    let mut records = stop(&dir);
    records.push((b"format".to_vec(), 2u64.to_be_bytes().to_vec()));
    write_old(&dir.path().join("chain"), &[(None, records)]);
    for _ in 0..2 {
        let devnet = reopen(&dir);
        assert_eq!(
            (devnet.head(), devnet.node.current().state.clone()),
            (head.clone(), state.clone())
        );
    }
    assert!(dir.path().join("chain.0.1.bak").is_dir());
}

#[test]
fn a_chain_of_a_later_version_is_refused() {
    let (dir, devnet) = chain();
    drop(devnet);
    Store::open_as_format(dir.path(), 9);
    let error = Devnet::open(config(dir.path())).err();
    assert!(
        matches!(
            &error,
            Some(DevnetError::Store(DatabaseError::LaterFormat {
                found: 9,
                known: 3,
                ..
            }))
        ),
        "{error:?}"
    );
    std::fs::remove_dir_all(dir.path().join("chain")).expect("it is there");
    let format = (b"format".to_vec(), 9u64.to_be_bytes().to_vec());
    write_old(&dir.path().join("chain"), &[(None, vec![format])]);
    let error = Devnet::open(config(dir.path())).err();
    assert!(
        matches!(
            &error,
            Some(DevnetError::OtherFormat {
                found: 9,
                wanted: 2,
                ..
            })
        ),
        "{error:?}"
    );
}

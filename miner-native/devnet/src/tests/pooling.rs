//! Who may wait in the pool, and for how long.

use super::super::pool::{Pool, PoolError, MAX_MESSAGES, MAX_PER_SENDER, MAX_WAIT};
use super::*;
use shared::chain::Signature;

/// A message that nobody signed: the pool does not look at signatures.
fn unsigned(sender: u64, nonce: u64) -> SignedMessage {
    let from = Address::actor(&key(1).address(), sender);
    let metered = calls::transfer(&key(99).address(), AttoFil(1)).message(&from, nonce);
    let signature = Signature([0; 65]);
    SignedMessage { metered, signature }
}

#[test]
fn the_pool_holds_a_bounded_number_of_messages_of_all_senders_together() {
    let mut pool = Pool::default();
    for number in 0..MAX_MESSAGES as u64 {
        let per_sender = MAX_PER_SENDER as u64;
        let message = unsigned(number / per_sender, number % per_sender);
        assert_eq!(pool.admits(&message, 100), Ok(()));
        let cid = message.cid();
        pool.insert(message, cid, Epoch(0), 100);
    }
    assert_eq!(pool.load(), (MAX_MESSAGES, MAX_MESSAGES * 100));
    let late = unsigned(u64::MAX, 0);
    assert_eq!(pool.admits(&late, 100), Err(PoolError::Full));
    pool.remove(&unsigned(0, 0));
    assert_eq!(pool.admits(&late, 100), Ok(()));
}

#[test]
fn the_pool_holds_a_bounded_number_of_bytes() {
    let mut pool = Pool::default();
    let large = unsigned(1, 0);
    let cid = large.cid();
    pool.insert(large, cid, Epoch(0), pool::MAX_BYTES - 100);
    assert_eq!(pool.admits(&unsigned(2, 0), 100), Ok(()));
    assert_eq!(pool.admits(&unsigned(2, 0), 101), Err(PoolError::Full));
}

#[test]
fn a_message_whose_turn_never_comes_is_dropped_with_the_reason_and_its_sender_can_go_on() {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    let early = push(&devnet, pay(&key(1), 1, 1)).expect("the account can pay");
    for _ in 0..MAX_WAIT / 2 {
        devnet.produce_block().expect("the disk has room");
    }
    drop(devnet);
    let devnet = past::reopen(&dir);
    let late = push(&devnet, pay(&key(1), 2, 1)).expect("the account can pay");
    for _ in 0..MAX_WAIT / 2 {
        assert_eq!(devnet.node.outcome(&early).expect("it can be read"), None);
        devnet.produce_block().expect("the disk has room");
    }
    let Some(Outcome::Dropped { height, reason }) = devnet.node.outcome(&early).expect("it can be read") else {
        panic!("it waited {MAX_WAIT} blocks")
    };
    assert_eq!(height, devnet.head().height);
    assert!(reason.contains("for message 0 of"), "{reason}");
    assert_eq!(devnet.node.outcome(&late).expect("it can be read"), None);
    let anew = push(&devnet, pay(&key(1), 0, 1)).expect("the account can pay");
    produce(&devnet);
    assert!(mined_at(&devnet, &anew).is_some());
}

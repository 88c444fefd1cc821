//! Who may wait in the pool, and for how long.

use super::super::pool::{
    Admission, Class, Pool, PoolError, Waiting, MAX_BYTES, MAX_GAPPED, MAX_MESSAGES, MAX_PER_SENDER, MAX_WAIT,
    URGENT_MESSAGES, URGENT_PER_SENDER,
};
use super::*;
use shared::chain::verifier::{ProofVerifier, SealClaim, VerifierFault, WindowPoStClaim};
use shared::chain::{ChainState, Genesis, Signature};
use shared::piece::{Commitment, SectorSize};

/// A message that nobody signed: the pool does not look at signatures.
fn priced(sender: u64, nonce: u64, price: u128) -> SignedMessage {
    let from = Address::actor(&key(1).address(), sender);
    let mut metered = calls::transfer(&key(99).address(), AttoFil(1)).message(&from, nonce);
    metered.gas_price = AttoFil(price);
    let signature = Signature([0; 65]);
    SignedMessage { metered, signature }
}

fn unsigned(sender: u64, nonce: u64) -> SignedMessage {
    priced(sender, nonce, 1)
}

/// A chain on which nobody sent anything yet.
fn state() -> ChainState {
    let genesis = Genesis {
        network: "test".into(),
        policy: Policy::default(),
        supply: AttoFil::from_fil(1),
        allocations: Default::default(),
    };
    ChainState::genesis(genesis).expect("the usual policy works")
}

/// A pool without a chain around it.
struct Alone {
    state: ChainState,
    pool: Pool,
}

impl Alone {
    fn new() -> Self {
        Self {
            state: state(),
            pool: Pool::default(),
        }
    }

    fn admits(&self, message: &SignedMessage, size: usize) -> Result<Admission, PoolError> {
        self.pool.admits(&self.state, message, size, Class::Ordinary)
    }

    /// Takes a message in as the chain does; the messages that made room for it.
    fn push(&mut self, message: SignedMessage, size: usize, class: Class) -> Result<Vec<SignedMessage>, PoolError> {
        let admission = self.pool.admits(&self.state, &message, size, class)?;
        for (waiting, _) in &admission.displaced {
            self.pool.remove(waiting);
        }
        let class = admission.class;
        let cid = message.cid();
        let message = message.into();
        self.pool.insert(Waiting {
            cid,
            message,
            since: Epoch(0),
            size,
            class,
        });
        let displaced = admission.displaced.into_iter();
        Ok(displaced.map(|(waiting, _)| (*waiting.message).clone()).collect())
    }

    fn take(&mut self, message: SignedMessage) -> Result<Vec<SignedMessage>, PoolError> {
        self.push(message, 100, Class::Ordinary)
    }

    /// As many messages as there is room for, `each` of a sender, at the usual price.
    fn fill(&mut self, each: usize) {
        for number in 0..MAX_MESSAGES {
            let (sender, nonce) = (number / each, number % each);
            let displaced = self.take(unsigned(sender as u64, nonce as u64));
            assert_eq!(displaced, Ok(vec![]));
        }
    }
}

#[test]
fn the_pool_holds_a_bounded_number_of_messages_of_all_senders_together() {
    let mut alone = Alone::new();
    alone.fill(1);
    assert_eq!(alone.pool.load(), (MAX_MESSAGES, MAX_MESSAGES * 100));
    let late = unsigned(u64::MAX, 0);
    let weakest = AttoFil(1);
    assert_eq!(alone.take(late.clone()), Err(PoolError::Full { weakest }));
    let first = alone.pool.listed(None, 1).remove(0);
    alone.pool.remove(&first);
    assert_eq!(alone.take(late), Ok(vec![]));
    assert_eq!(alone.pool.load().0, MAX_MESSAGES);
}

#[test]
fn the_pool_holds_a_bounded_number_of_bytes() {
    let mut alone = Alone::new();
    let large = alone.push(unsigned(1, 0), MAX_BYTES - 100, Class::Ordinary);
    assert_eq!(large, Ok(vec![]));
    assert!(alone.admits(&unsigned(2, 0), 100).is_ok());
    let refused = alone.admits(&unsigned(2, 0), 101).map(drop);
    let weakest = AttoFil(1);
    assert_eq!(refused, Err(PoolError::Full { weakest }));
}

#[test]
fn in_a_full_pool_the_last_message_of_whoever_has_the_most_makes_room_for_one_who_has_fewer() {
    let mut alone = Alone::new();
    alone.fill(MAX_PER_SENDER);
    let displaced = alone.take(unsigned(u64::MAX, 0)).expect("others have more");
    let [last] = displaced.as_slice() else {
        panic!("one makes room for one: {displaced:?}")
    };
    assert_eq!(last.message().nonce, MAX_PER_SENDER as u64 - 1);
    assert_eq!(alone.pool.load().0, MAX_MESSAGES);
}

#[test]
fn in_a_full_pool_what_waits_for_another_message_makes_room_first_and_for_nothing_that_waits_too() {
    let mut alone = Alone::new();
    let gapped = priced(u64::MAX, 1, 1_000);
    assert_eq!(alone.take(gapped.clone()), Ok(vec![]));
    for number in 1..MAX_MESSAGES as u64 {
        assert_eq!(alone.take(priced(number, 0, 2)), Ok(vec![]));
    }
    let weakest = AttoFil(1_000);
    assert_eq!(alone.take(priced(0, 1, 1_000)), Err(PoolError::Full { weakest }));
    assert_eq!(alone.take(priced(0, 0, 1)), Ok(vec![gapped]));
}

#[test]
fn in_a_full_pool_the_lower_gas_price_makes_room_for_the_higher() {
    let mut alone = Alone::new();
    alone.fill(1);
    let cheap = alone.take(priced(u64::MAX, 0, 2)).expect("it pays more");
    assert_eq!(cheap.len(), 1);
    assert_eq!(cheap[0].metered.gas_price, AttoFil(1));
}

#[test]
fn a_sender_has_a_bounded_number_of_messages_that_wait_for_another() {
    let mut alone = Alone::new();
    for nonce in 1..=MAX_GAPPED as u64 {
        assert_eq!(alone.take(unsigned(7, nonce)), Ok(vec![]));
    }
    let sender = unsigned(7, 0).message().from.clone();
    let full = alone.take(unsigned(7, 100));
    assert_eq!(full, Err(PoolError::GapsFull { sender, next: 0 }));
    assert_eq!(
        alone.take(unsigned(7, 0)),
        Ok(vec![]),
        "it is the one that they wait for"
    );
    assert_eq!(
        alone.take(unsigned(7, 100)),
        Ok(vec![]),
        "none of the others waits any more"
    );
}

#[test]
fn urgent_messages_have_room_of_their_own_with_a_share_for_each_sender() {
    let mut alone = Alone::new();
    alone.fill(1);
    let senders = URGENT_MESSAGES / URGENT_PER_SENDER;
    for number in 0..URGENT_MESSAGES {
        let (sender, nonce) = (1_000_000 + number / URGENT_PER_SENDER, number % URGENT_PER_SENDER);
        let pushed = alone.push(unsigned(sender as u64, nonce as u64), 100, Class::Urgent);
        assert_eq!(pushed, Ok(vec![]));
    }
    assert_eq!(alone.pool.load().0, MAX_MESSAGES + URGENT_MESSAGES);
    let beyond = unsigned(1_000_000 + senders as u64, 0);
    let weakest = AttoFil(1);
    let refused = alone.push(beyond, 100, Class::Urgent);
    assert_eq!(refused, Err(PoolError::Full { weakest }), "the room is bounded");
    let mut alone = Alone::new();
    for nonce in 0..=URGENT_PER_SENDER as u64 {
        assert_eq!(alone.push(unsigned(1, nonce), 100, Class::Urgent), Ok(vec![]));
    }
    let classes = alone.pool.listed(None, MAX_MESSAGES);
    let urgent = classes.iter().filter(|waiting| waiting.class == Class::Urgent).count();
    assert_eq!(urgent, URGENT_PER_SENDER);
}

#[test]
fn what_an_urgent_message_follows_makes_room_for_nobody() {
    let mut alone = Alone::new();
    assert_eq!(alone.take(unsigned(0, 0)), Ok(vec![]));
    assert_eq!(alone.push(unsigned(0, 1), 100, Class::Urgent), Ok(vec![]));
    for number in 1..MAX_MESSAGES as u64 {
        assert_eq!(alone.take(priced(number, 0, 2)), Ok(vec![]));
    }
    let weakest = AttoFil(2);
    assert_eq!(alone.take(priced(u64::MAX, 0, 2)), Err(PoolError::Full { weakest }));
}

#[test]
fn a_block_takes_what_is_urgent_first_then_the_higher_price_then_one_of_each_sender() {
    let mut alone = Alone::new();
    for message in [
        unsigned(1, 0),
        unsigned(1, 1),
        unsigned(2, 0),
        priced(3, 0, 5),
        unsigned(4, 0),
    ] {
        assert_eq!(alone.take(message), Ok(vec![]));
    }
    let proof = unsigned(4, 1);
    assert_eq!(alone.push(proof, 100, Class::Urgent), Ok(vec![]));
    let order = |most| -> Vec<(Address, u64)> {
        let ready = alone.pool.ready(&alone.state, most);
        let ids = ready.iter().map(|waiting| waiting.message.message());
        ids.map(|message| (message.from.clone(), message.nonce)).collect()
    };
    let slot = |sender, nonce| (unsigned(sender, 0).message().from.clone(), nonce);
    let all = order(9);
    assert_eq!(all[..3], [slot(4, 0), slot(4, 1), slot(3, 0)]);
    let mut once_each = all[3..5].to_vec();
    once_each.sort();
    let mut wanted = vec![slot(1, 0), slot(2, 0)];
    wanted.sort();
    assert_eq!(once_each, wanted);
    assert_eq!(all[5..], [slot(1, 1)]);
    assert_eq!(
        order(2),
        [slot(4, 0), slot(3, 0)],
        "urgent messages fill half of a block"
    );
}

#[test]
fn a_message_is_replaced_by_one_that_offers_more_for_gas_and_its_sender_is_told() {
    let (dir, devnet) = chain();
    fund(&devnet, &key(1));
    let dearer = |nonce, fil, price| {
        let mut metered = pay(&key(1), nonce, fil).metered;
        metered.gas_price = AttoFil(price);
        metered.sign(&key(1))
    };
    let first = push(&devnet, dearer(0, 1, 100)).expect("the account can pay");
    let refused = push(&devnet, dearer(0, 2, 109)).expect_err("it offers too little more");
    assert!(refused.to_string().contains("at least 110 attoFIL"), "{refused}");
    let second = push(&devnet, dearer(0, 2, 110)).expect("it offers a tenth more");
    let Some(Outcome::Dropped { reason, .. }) = devnet.node.outcome(&first).expect("it can be read") else {
        panic!("another message has its place")
    };
    assert!(reason.contains(&second.to_string()), "{reason}");
    drop(devnet);
    let devnet = past::reopen(&dir);
    produce(&devnet);
    assert!(mined_at(&devnet, &second).is_some());
    assert_eq!(balance(&devnet, &key(99).address()), AttoFil::from_fil(2));
}

/// A FAKE verifier that takes any proof: these tests are about the room for it.
struct TakesAll;

impl ProofVerifier for TakesAll {
    fn verify_seal(&self, _: &SealClaim) -> Result<bool, VerifierFault> {
        Ok(true)
    }
    fn verify_window_post(&self, _: &WindowPoStClaim) -> Result<bool, VerifierFault> {
        Ok(true)
    }
}

/// A chain on which `owner` has a miner with one sector that must be proven now.
fn with_a_proof_due(owner: &SecretKey) -> (TempDir, Devnet, Address) {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let policy = Policy {
        proving_period: 10,
        challenge_window: 6,
        grace: 10,
        post_delay: 1,
        ..Policy::default()
    };
    let devnet = Devnet::open(DevnetConfig {
        policy,
        verifier: std::sync::Arc::new(TakesAll),
        ..config(dir.path())
    });
    let devnet = devnet.expect("it begins");
    fund(&devnet, owner);
    let mut nonce = 0;
    let mut send = |call| {
        let sent = push(&devnet, message(owner, nonce, call)).expect("the owner can pay");
        nonce += 1;
        produce(&devnet);
        assert!(mined_at(&devnet, &sent).is_some());
    };
    send(calls::create_storage_miner(
        SectorSize::S2KiB,
        b"peer",
        AttoFil::from_fil(1),
    ));
    let miner = devnet.node.current().state.miners.keys().next().cloned();
    let miner = miner.expect("it was just made");
    let (comm_d, comm_r, comm_c) = (Commitment([1; 32]), Commitment([2; 32]), Commitment([3; 32]));
    let ticket = devnet.head().height;
    send(calls::pre_commit_sector(&miner, 1, &comm_d, &comm_r, ticket));
    produce(&devnet);
    produce(&devnet);
    send(calls::commit_sector(&miner, 1, &comm_d, &comm_r, &comm_c, &[]));
    for _ in 0..5 {
        produce(&devnet);
    }
    (dir, devnet, miner)
}

#[test]
fn sixteen_accounts_whose_first_message_is_missing_stop_neither_the_faucet_nor_asks_nor_proofs() {
    let owner = key(1);
    let (_dir, devnet, miner) = with_a_proof_due(&owner);
    let attackers: Vec<SecretKey> = (100..116).map(key).collect();
    for attacker in &attackers {
        devnet.node.grant(&attacker.address(), HERE).expect("the faucet gives");
    }
    produce(&devnet);
    let nonce = devnet.node.next_nonce(&owner.address());
    for attacker in &attackers {
        for nonce in 1..=MAX_PER_SENDER as u64 {
            // Whether it is taken or refused is the pool's affair.
            let _ = push(&devnet, pay(attacker, nonce, 0));
        }
    }
    let ask = message(&owner, nonce, calls::add_ask(&miner, AttoFil(1), 100));
    let ask = push(&devnet, ask).expect("there is room for an ask");
    let proof = calls::submit_post(&miner, &[], AttoFil::ZERO);
    let proof = push(&devnet, message(&owner, nonce + 1, proof)).expect("there is room for a proof");
    let (grant, _) = devnet
        .node
        .grant(&key(50).address(), HERE)
        .expect("there is room for a grant");
    produce(&devnet);
    for sent in [ask, proof, grant] {
        assert_eq!(mined_at(&devnet, &sent), Some(devnet.head().height));
    }
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

/// Finding A12: a signature was checked while blocks and all other messages waited for the pool's lock.
#[test]
fn a_signature_is_checked_while_others_have_the_pool() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let mut forged = pay(&key(1), 0, 1);
    forged.signature = pay(&key(1), 0, 2).signature;
    let (told, heard) = std::sync::mpsc::channel();
    let kept = crate::node::lock(&devnet.node.pool);
    let node = devnet.node.clone();
    let sending = std::thread::spawn(move || {
        let refused = node.push(wire::encode(&forged).len(), forged).map(|pushed| pushed.cid);
        told.send(refused).expect("it is awaited");
    });
    let refused = heard.recv_timeout(Duration::from_secs(30));
    drop(kept);
    sending.join().expect("nothing panics");
    let refused = refused.expect("nobody waits for the pool to learn that a signature is wrong");
    assert!(matches!(refused, Err(Refusal::Invalid(Invalid::Signature { .. }))));
}

#[test]
fn a_message_that_is_known_is_as_good_when_it_comes_again_waiting_or_in_a_block() {
    let (_dir, devnet) = chain();
    fund(&devnet, &key(1));
    let message = pay(&key(1), 0, 1);
    let again = || devnet.node.push(100, message.clone()).map(|pushed| pushed.is_known);
    assert!(matches!(again(), Ok(false)));
    assert!(matches!(again(), Ok(true)));
    produce(&devnet);
    assert!(matches!(again(), Ok(true)), "its nonce is used, by itself");
}

#[test]
fn the_miners_are_gathered_once_a_block_however_often_somebody_announces_a_peer() {
    let (_dir, devnet) = chain();
    let current = devnet.node.current();
    assert!(
        std::ptr::eq(current.miners(), current.miners()),
        "the same set each time"
    );
}

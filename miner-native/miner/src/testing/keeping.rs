//! Proofs-of-spacetime, faults, missed windows and the slasher.

use super::{World, SIZE, TICK};
use crate::chain_access::ChainAccess;
use crate::prover::fake::FakeEngine;
use crate::slashing::Slasher;
use crate::supervisor::Lifeline;
use sealdrop_devnet::testing::{key, produce};
use shared::chain::randomness::{draw, Purpose};
use shared::chain::view::MinerView;
use shared::chain::{calls, Address, AttoFil, Epoch};
use shared::piece::Commitment;
use shared::ports::verifier::{prover_id, FakeVerifier, SealClaim};

/// spec §9.33, host's side: nothing is sent before the window's delay, and the proof is on the chain soon after.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_sent_when_the_window_has_been_open_for_the_delay() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let window = world.view().await.proving_window.expect("there is a sector");
    world.skip_to(Epoch(window.start.0 + 14)).await;
    world.tick().await;
    assert_eq!(world.view().await.posts, 0);
    world.skip_to(Epoch(window.start.0 + 15)).await;
    world.tick().await;
    let view = world.view().await;
    assert_eq!((view.posts, view.power), (1, SIZE.bytes()));
    let post = world
        .miner()
        .store
        .last_post()
        .expect("the store is whole")
        .expect("kept");
    assert_eq!((post.window_end, post.sectors), (window.end, vec![1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_a_kill_left_unwritten_in_a_block_is_written_down_at_the_next_start() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let window = world.view().await.proving_window.expect("there is a sector");
    world.skip_to(Epoch(window.start.0 + 15)).await;
    let (miner, height) = (world.miner().clone(), world.height());
    let mut tasks = std::mem::take(&mut world.tasks);
    let (proving, lifeline) = (miner.proving(), Lifeline::unsupervised());
    let mut work = Box::pin(tasks.proving.tick(&proving, height, &lifeline));
    while world.view().await.posts == 0 {
        // The proof goes no further than into the pool before a block takes it.
        let done = tokio::time::timeout(TICK, &mut work).await;
        assert!(done.is_err(), "it waits for its block: {done:?}");
        produce(&world.devnet);
    }
    drop(work);
    drop((miner, proving));
    assert_eq!(world.miner().store.last_post().expect("the store is whole"), None);
    world.reopen().await;
    world.tick().await;
    let post = world.miner().store.last_post().expect("the store is whole");
    let post = post.expect("it is found on the chain");
    assert_eq!((post.window_end, post.sectors), (window.end, vec![1]));
    assert_eq!(world.view().await.posts, 1, "it was not sent again");
}

/// spec §9.36, spec §9.45, host's side: a late proof pays exactly the fee of the block that it gets into.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_proof_pays_the_exact_fee_and_gets_the_rest_back() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let window = world.view().await.proving_window.expect("there is a sector");
    let burnt = |world: &World| {
        let chain = world.client.clone();
        async move {
            chain
                .balance(&Address::id(Address::BURNT_FUNDS))
                .await
                .expect("the chain answers")
        }
    };
    let before = burnt(&world).await;
    world.skip_to(window.end.plus(100)).await;
    world.tick().await;
    let post = world
        .miner()
        .store
        .last_post()
        .expect("the store is whole")
        .expect("kept");
    let late = u128::from(post.height.0 - window.end.0);
    let policy = &world.miner().policy;
    let fee = policy.sector_collateral.0 * late / u128::from(policy.grace);
    let paid = burnt(&world).await.checked_sub(before);
    assert_eq!(paid, Some(AttoFil(fee)), "{late} blocks late");
}

/// [Q] of spec §7.8: the miner of 2019 never recovered from a missed window.
#[tokio::test(flavor = "multi_thread")]
async fn a_missed_window_is_paid_for_and_the_next_one_is_proven() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let window = world.view().await.proving_window.expect("there is a sector");
    world.skip_to(window.end.plus(world.miner().policy.grace + 5)).await;
    // As the daemon at its start: late miners are slashed by others, and this one comes before them.
    for _ in 0..60 {
        world.tick().await;
        world.skip(10).await;
    }
    let view = world.view().await;
    assert!(
        view.posts >= 1 && view.power == SIZE.bytes() && view.slashed_at.is_none(),
        "{view:?}"
    );
}

/// A sector whose files are gone is declared before the window opens, and recovered when they are back.
#[tokio::test(flavor = "multi_thread")]
async fn a_sector_without_its_files_is_declared_faulty_and_recovered() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    world.complete(2, 9000).await;
    let replica = FakeEngine::replica(&world.sectors(), 2);
    let aside = world.dir.path().join("aside");
    let proven = |view: &MinerView| view.sectors.iter().filter(|sector| sector.proven).count();
    world.until(|view| proven(view) == 2).await;
    std::fs::rename(&replica, &aside).expect("moved away");
    let faulty = |view: &MinerView| {
        view.sectors
            .iter()
            .any(|sector| sector.id == 2 && sector.fault.is_some())
    };
    world.until(faulty).await;
    assert_eq!(world.view().await.sectors.len(), 2, "declared, not given up");
    std::fs::rename(&aside, &replica).expect("moved back");
    world.until(|view| proven(view) == 2).await;
}

/// Another miner with a sector that it never proves.
async fn lazy_miner(world: &World, number: u8) -> Address {
    let tree = super::outbox();
    let chain = ChainAccess::connect(&world.devnet.url(), tree, key(number))
        .await
        .expect("the chain");
    chain.faucet(&chain.address()).await.expect("money");
    produce(&world.devnet);
    let create = calls::create_storage_miner(SIZE, &[number], AttoFil::from_fil(1));
    let (_, receipt) = world.during(chain.call("create", create)).await.expect("made");
    let receipt = receipt.receipt().expect("a receipt");
    let miner = calls::miner_address(&receipt).expect("an address");
    let [comm_d, comm_r, comm_c] = [1, 2, 3].map(|byte| Commitment([byte; 32]));
    let ticket_epoch = Epoch(world.height().0 - 1);
    let pre = calls::pre_commit_sector(&miner, 1, &comm_d, &comm_r, ticket_epoch);
    world
        .during(chain.call("pre-commit", pre))
        .await
        .expect("pre-committed");
    let view = chain.miner(&miner).await.expect("the chain answers").expect("known");
    let seed_epoch = view.pre_commits[0].seed_epoch;
    while world.height() < seed_epoch {
        produce(&world.devnet);
    }
    let beacon = |height| chain.beacon(height);
    let ticket = beacon(ticket_epoch).await.expect("a ticket");
    let seed = beacon(seed_epoch).await.expect("a seed");
    let proof = FakeVerifier::seal_tag(&SealClaim {
        sector_size: SIZE,
        comm_r,
        comm_d,
        prover_id: prover_id(&miner),
        sector: 1,
        ticket: draw(Purpose::SealTicket, &ticket, &miner),
        seed: draw(Purpose::SealSeed, &seed, &miner),
        proof: Vec::new(),
    });
    let commit = calls::commit_sector(&miner, 1, &comm_d, &comm_r, &comm_c, &proof);
    world.during(chain.call("commit", commit)).await.expect("committed");
    miner
}

/// spec §9.50, [Q] of spec §7.29: several late miners are slashed, once each, at the usual price of gas, and not this one.
#[tokio::test(flavor = "multi_thread")]
async fn late_miners_are_slashed_once_each_and_never_this_one() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    let lazy = [lazy_miner(&world, 5).await, lazy_miner(&world, 6).await];
    let grace = world.miner().policy.grace + world.miner().policy.proving_period;
    let end = world.height().plus(grace + 5);
    world.skip_to(end).await;
    let miner = world.miner().clone();
    let nonce = |world: &World| {
        let (chain, address) = (world.client.clone(), world.miner().owner.clone());
        async move {
            chain
                .actor(&address)
                .await
                .expect("the chain answers")
                .expect("known")
                .nonce
        }
    };
    let before = nonce(&world).await;
    let mut slasher = Slasher::default();
    for round in 0..6 {
        if round == 3 {
            // As after a restart.
            slasher = Slasher::default();
        }
        slasher.tick(&miner.slashing(), world.height()).await.expect("asked");
        world.skip(3).await;
    }
    for address in &lazy {
        let view = world
            .client
            .miner(address)
            .await
            .expect("the chain answers")
            .expect("known");
        assert!(view.slashed_at.is_some() && view.sectors.is_empty());
    }
    assert_eq!(nonce(&world).await - before, 2, "one message for each");
    assert_eq!(world.view().await.slashed_at, None);
}

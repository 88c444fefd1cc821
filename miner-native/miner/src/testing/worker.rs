//! A worker other than the owner (finding C1).

use super::{piece, World};
use crate::chain_access::ChainError;
use crate::registration;
use crate::worker::{WorkerError, WorkerKey};
use sealdrop_devnet::testing::key;
use sealdrop_wallet::Wallet;
use shared::chain::calls;
use shared::deal::MinerStage;

/// The new worker's key.
const WORKER: u8 = 7;

impl World {
    fn worker_key(&self) -> (WorkerKey, Wallet) {
        let wallet = Wallet::open(self.dir.path().join("wallet")).expect("a folder");
        let miner = self.miner();
        let worker = WorkerKey {
            miner: miner.address.clone(),
            chain: miner.chain.clone(),
            worker_chain: miner.worker_chain.clone(),
            wallets: vec![wallet.clone()],
            account: miner.worker.clone(),
        };
        (worker, wallet)
    }

    /// As `sealdrop miner set-worker`.
    async fn set_worker(&self, number: u8) {
        let miner = self.miner();
        let call = calls::change_worker(&miner.address, &key(number).address());
        let purpose = format!("set-worker-{number}");
        self.during(miner.chain.call(&purpose, call))
            .await
            .expect("the owner may");
        self.skip(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_key_of_the_wallet_the_chain_calls_worker_signs_and_sends_from_the_next_block_on() {
    let mut world = World::start().await;
    world.complete(1, 5000).await;
    let (worker, wallet) = world.worker_key();
    wallet.import(&hex::encode(key(WORKER).to_bytes())).expect("kept");
    world.set_worker(WORKER).await;
    let view = world.view().await;
    assert_eq!(view.worker, key(WORKER).address());
    world
        .during(worker.follow(&view.worker))
        .await
        .expect("its key is here");
    assert_eq!(world.miner().worker.address(), view.worker);
    // Answers, commitments and proofs are the new worker's.
    let deal = world.complete(2, 5000).await;
    let record = world.deal(&deal);
    assert!(matches!(record.deal.stage, MinerStage::Complete { .. }));
    let signed = world
        .miner()
        .answers()
        .sign(record.deal.response())
        .expect("the key is here");
    assert!(signed.is_signed_by(&view.worker));
    world.until(|view| view.posts > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_key_is_not_here_is_told_in_words_and_nothing_is_signed_with_another() {
    let world = World::start().await;
    let (worker, wallet) = world.worker_key();
    world.set_worker(WORKER).await;
    let address = key(WORKER).address();
    let refused = worker.follow(&address).await.expect_err("its key is elsewhere");
    assert!(matches!(&refused, WorkerError::NoKey { worker, .. } if *worker == address));
    let text = refused.to_string();
    assert!(
        text.contains("sealdrop wallet import") && text.contains("set-worker"),
        "{text}"
    );
    let miner = world.miner();
    let (_, summary) = piece(1, 500);
    let answer = miner.answers().sign(world.propose(world.free(&summary, 1000)).await);
    assert!(matches!(
        answer,
        Err(crate::network::ExchangeError::Chain(ChainError::NoKey { .. }))
    ));
    let unsent = miner
        .worker_chain
        .submit("ask-99", calls::add_ask(&miner.address, Default::default(), 100));
    assert!(matches!(unsent.await, Err(ChainError::NoKey { .. })));
    // The key may come at any time.
    wallet.import(&hex::encode(key(WORKER).to_bytes())).expect("kept");
    world.during(worker.follow(&address)).await.expect("its key is here");
    assert!(miner.worker.key().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_with_another_worker_starts_again() {
    let mut world = World::start().await;
    let (_, wallet) = world.worker_key();
    wallet.import(&hex::encode(key(WORKER).to_bytes())).expect("kept");
    world.set_worker(WORKER).await;
    let miner = world.miner().clone();
    let view = world
        .during(registration::register(
            &miner.chain,
            &miner.store,
            super::SIZE,
            &[0, 1, 2],
        ))
        .await;
    assert_eq!(view.expect("the owner is the same").worker, key(WORKER).address());
    drop(miner);
    world.tick().await;
}

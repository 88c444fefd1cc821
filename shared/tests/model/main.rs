//! The whole protocol under virtual time: the client's engine, the miner's and the sector's machine with the real actors, on a
//! network that loses and repeats messages, with restarts at any moment. Whatever happens, every deal comes to an end that
//! both sides agree on, and the chain's invariants hold after each block.
//!
//! spec §9.30, spec §9.31, spec §9.34, spec §9.35 are about the "deals awaiting seal" of 2019: here the deals of one sector and the sector
//! keep each other, and these runs cover their restarts, late arrivals and failures.
//!
//! A failing run names its seed: `MODEL_SEED=n cargo test -p sealdrop-shared --test model` runs it alone.

mod chain;
mod client;
mod miner;
#[path = "../random/mod.rs"]
mod random;

use chain::Chain;
use client::{Client, Order};
use miner::Miner;
use random::Random;
use serde::{de::DeserializeOwned, Serialize};
use shared::chain::{AttoFil, SecretKey};
use shared::deal::{ClientStage, MinerStage};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Runs of the test.
const SEEDS: u64 = 200;
/// A deal lasts at most 2500 blocks and its channel 2000 more; cancelling, proving and releasing follow.
const HORIZON: u64 = 20_000;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

/// What goes wrong in a run, beside losses, repetitions and restarts.
#[derive(Debug, Clone)]
struct Trouble {
    /// Percent of messages that are lost.
    loss: u64,
    /// Blocks in which the miner does nothing.
    miner_away: std::ops::Range<u64>,
    /// Percent of sealing steps that fail; 100 is a broken sector.
    step_failures: u64,
    /// The client cancels its channels behind the miner's back.
    cancels: bool,
    /// The client's user gives deals up now and then.
    gives_up: bool,
    /// The miner speaks the protocol of watches.
    watches: bool,
    /// The miner says what it would take before it is paid.
    quotes: bool,
    /// The miner closes channels of deals that came to nothing.
    closes: bool,
    /// Blocks of the shortest deal that the miner takes.
    min_duration: u64,
}

impl Trouble {
    fn any(random: &mut Random) -> Self {
        let away = if random.chance(40) { random.below(3000) } else { 0 };
        Self {
            loss: [0, 20, 50][random.below(3) as usize],
            miner_away: away..away + if away > 0 { random.below(900) } else { 0 },
            step_failures: [0, 10, 100][(random.below(10) / 4) as usize],
            cancels: random.chance(30),
            gives_up: random.chance(30),
            watches: random.chance(50),
            quotes: random.chance(50),
            closes: random.chance(50),
            min_duration: random.below(600),
        }
    }
}

/// What the machine would be after the process was killed and started again.
fn restart<T: Serialize + DeserializeOwned + PartialEq + Debug>(machine: &mut T) {
    let stored = serde_json::to_string(machine).expect("every stage is stored");
    let loaded: T = serde_json::from_str(&stored).expect("and read back");
    assert_eq!(loaded, *machine, "a restart forgets nothing");
    *machine = loaded;
}

/// How the deals of a run ended, for a look at what the runs cover.
type Ends = BTreeMap<String, u32>;

fn run(seed: u64, ends: &mut Ends) {
    let random = &mut Random::new(seed);
    let trouble = Trouble::any(random);
    let mut chain = Chain::new();
    let mut miner = Miner::register(&mut chain, trouble.clone());
    let orders = (0..=random.below(3)).map(|number| Order::any(number as u8, random));
    let mut client = Client::new(orders.collect(), &miner, trouble.clone());
    while !(client.is_done(&miner) && miner.is_done()) {
        assert!(
            chain.height() < HORIZON,
            "seed {seed} does not end: {client:#?} {miner:#?}"
        );
        for _ in 0..2 {
            match random.below(2) {
                0 => client.step(&mut chain, &mut miner, random),
                _ => miner.step(&mut chain, &client, random),
            }
        }
        chain.mine(random);
    }
    check_agreement(seed, &chain, &client, &miner);
    for deal in &client.deals {
        let end = match &deal.record.deal.stage {
            ClientStage::Failed { reason, .. } => reason.split(' ').take(5).collect::<Vec<_>>().join(" "),
            _ => "complete".to_owned(),
        };
        *ends.entry(end).or_default() += 1;
    }
}

fn check_agreement(seed: u64, chain: &Chain, client: &Client, miner: &Miner) {
    for deal in &client.deals {
        let other = deal
            .record
            .deal
            .cid()
            .or(deal.cid)
            .and_then(|cid| miner.deals.get(&cid));
        let channel = deal.record.deal.channel().map(|id| chain.channel(id));
        match (&deal.record.deal.stage, other.map(|deal| &deal.stage)) {
            (ClientStage::Complete { .. }, Some(MinerStage::Ended { .. })) => {
                let total = deal.record.deal.draft.total().unwrap_or_default();
                let paid = channel.flatten().map(|channel| channel.amount_redeemed);
                assert!(
                    total.is_zero() || paid == Some(total),
                    "seed {seed}: paid {paid:?} of {total} for a deal that was kept"
                );
            }
            // The miner may go on, and is paid for what it can prove; the rest came back.
            (ClientStage::Failed { .. }, _) if deal.given_up => {
                assert_eq!(channel.flatten(), None, "seed {seed}: its channel is taken back");
            }
            // A client to which nothing came through any more could not know.
            (ClientStage::Failed { .. }, Some(MinerStage::Ended { at, .. })) if deal.heard_at < Some(*at) => {
                assert_eq!(channel.flatten(), None, "seed {seed}: its channel is taken back");
            }
            (ClientStage::Failed { .. }, None | Some(MinerStage::Rejected { .. } | MinerStage::Failed { .. })) => {
                assert_eq!(
                    channel.flatten(),
                    None,
                    "seed {seed}: a failed deal's channel is taken back"
                );
            }
            (ours, theirs) => panic!("seed {seed}: the client says {ours:?}, the miner {theirs:?}"),
        }
    }
    let lost = chain.lost_by(&key(1)).0;
    let paid: u128 = client
        .deals
        .iter()
        .map(|deal| deal.record.deal.draft.total().unwrap_or_default().0)
        .sum();
    assert!(lost <= paid + chain.gas_of(&key(1)).0, "seed {seed}: {lost} is gone");
    assert!(
        chain.gas_of(&key(1)) < AttoFil(1_000_000),
        "seed {seed}: messages without end"
    );
}

#[test]
fn every_deal_ends_and_both_sides_agree_how() {
    let mut ends = Ends::new();
    if let Some(seed) = std::env::var("MODEL_SEED").ok().and_then(|text| text.parse().ok()) {
        run(seed, &mut ends);
        println!("{ends:#?}");
        return;
    }
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(move || {
            let mut ends = Ends::new();
            run(seed, &mut ends);
            ends
        });
        match outcome {
            Ok(found) => found
                .into_iter()
                .for_each(|(end, count)| *ends.entry(end).or_default() += count),
            Err(panic) => {
                println!("seed {seed} fails: run it alone with MODEL_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{ends:#?}");
    assert!(
        ends.get("complete").is_some_and(|count| u64::from(*count) > SEEDS / 2),
        "{ends:#?}"
    );
    assert!(ends.len() > 3, "the runs must end in different ways: {ends:#?}");
}

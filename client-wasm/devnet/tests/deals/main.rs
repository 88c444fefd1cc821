//! Whole deals on the in-page network, natively and in virtual time: the client's engine, the chain's actors and a miner with a FAKE
//! prover. After every block the invariants of the whole chain hold. The same network runs in a page (`tests/browser/devnet.test.mjs`).

mod wallets;
mod world;

use sealdrop_devnet_module::{Devnet, DevnetOptions, FaultError, Faults, Lie, OptionError};
use shared::chain::rpc;
use shared::chain::verifier::FAKE_KEYS;
use shared::client::{DealRecord, EngineError, RetrievalError, Step};
use shared::deal::verification::Verdict;
use shared::deal::{ClientStage, MinerStage, RejectionCode};
use world::{Trouble, World, DURATION};

/// Blocks in which a deal is complete.
const SOON: u64 = 40;
/// Blocks in which its first window's proof is accepted.
const PROVEN: u64 = 400;

fn complete(world: &World) -> DealRecord<()> {
    let mut record = world.record();
    let trouble = world.run(&mut record, SOON, DealRecord::is_complete);
    assert!(record.is_complete(), "{trouble:?}: {record:#?}");
    record
}

fn reason(record: &DealRecord<()>) -> &str {
    match &record.deal.stage {
        ClientStage::Failed { reason, .. } => reason,
        other => panic!("it has not failed: {other:?}"),
    }
}

#[test]
fn a_deal_goes_its_whole_way() {
    let world = World::usual();
    let mut record = complete(&world);
    assert_eq!(world.fetch().as_deref(), Ok(world.file()));
    world.run(&mut record, PROVEN, |record| record.step() == Step::Proven);
    assert_eq!(record.step(), Step::Proven);
    assert_eq!(
        world.verify(&record).verdict(),
        Verdict::Holds,
        "{:?}",
        world.verify(&record)
    );
    world.run(&mut record, DURATION + 200, |_| {
        matches!(world.stage(), MinerStage::Ended { .. })
    });
    assert!(matches!(world.stage(), MinerStage::Ended { .. }), "{:?}", world.stage());
    let total = record.deal.draft.total().expect("it is paid");
    let channel = world.channel(&record);
    assert!(
        channel.is_none_or(|channel| channel.amount_redeemed == total),
        "every voucher is redeemed"
    );
    world.run(&mut record, 3000, |_| world.view().power == 0);
    assert_eq!(world.view().sectors, [], "the sector is released");
    assert_eq!(world.view().power, 0, "and its power has lapsed");
}

#[test]
fn a_network_says_that_its_proofs_are_fake() {
    let devnet =
        Devnet::begin(&DevnetOptions::default(), |_| vec![vec![4, 127, 0, 0, 1, 6, 0, 1]]).expect("good options");
    let network = devnet.chain.call(&rpc::Network {}).expect("it answers");
    assert_eq!(network.verifying_keys, FAKE_KEYS);
    assert!(network.network.contains("fake proofs"), "{}", network.network);
}

#[test]
fn the_same_seed_is_the_same_network_and_another_is_another() {
    let of = |seed: &str| {
        let options = DevnetOptions {
            seed: seed.into(),
            miners: 2,
            ..DevnetOptions::default()
        };
        let world = World::new(&options);
        let record = complete(&world);
        (world.head(), world.miner(), record.deal.cid())
    };
    assert_eq!(of("one"), of("one"));
    assert_ne!(of("one").0, of("two").0);
    assert_ne!(of("one").1, of("two").1);
}

#[test]
fn options_that_make_no_network_are_refused() {
    let of = |options| Devnet::begin(&options, |_| vec![]).err();
    let (miners, usual) = (0, DevnetOptions::default());
    assert!(matches!(
        of(DevnetOptions {
            miners,
            ..usual.clone()
        }),
        Some(OptionError::Miners(0))
    ));
    let sector_size = 512 << 20;
    let refused = of(DevnetOptions {
        sector_size,
        ..usual.clone()
    });
    assert!(matches!(refused, Some(OptionError::SectorSize(536_870_912))));
    assert!(matches!(
        of(DevnetOptions {
            block_time_ms: 0,
            ..usual
        }),
        Some(OptionError::BlockTime)
    ));
}

#[test]
fn a_miner_that_refuses_is_told_by_its_code_before_anything_is_paid() {
    let world = World::usual();
    let code = RejectionCode::SealingBacklog;
    world.faults(Faults {
        refuse: Some(code as u16),
        ..Faults::default()
    });
    let mut record = world.record();
    world.run(&mut record, SOON, DealRecord::is_failed);
    assert!(
        reason(&record).contains("refused on purpose, with code 1044"),
        "{}",
        reason(&record)
    );
    assert_eq!(record.deal.channel(), None, "no money has moved");
    world.faults(Faults::default());
    complete(&world);
}

#[test]
fn a_code_that_no_miner_has_is_no_fault() {
    let faults = Faults {
        refuse: Some(7),
        ..Faults::default()
    };
    assert_eq!(faults.check(), Err(FaultError::NoCode(7)));
}

#[test]
fn a_miner_that_breaks_off_delays_a_deal_and_does_not_end_it() {
    let world = World::usual();
    world.faults(Faults {
        drop_connection: true,
        ..Faults::default()
    });
    let mut record = world.record();
    let trouble = world.run(&mut record, SOON, DealRecord::is_complete);
    assert_eq!(trouble, Some(Trouble::BrokenOff));
    assert!(!record.is_settled());
    world.faults(Faults::default());
    world.run(&mut record, SOON, DealRecord::is_complete);
    assert!(record.is_complete());
}

#[test]
fn a_replica_that_is_not_on_the_chain_does_not_verify() {
    let world = World::usual();
    world.faults(Faults {
        lie: Some(Lie::CommR),
        ..Faults::default()
    });
    let record = complete(&world);
    let verification = world.verify(&record);
    assert_eq!(
        verification.named(Verdict::Fails),
        ["commit message", "commitments"],
        "{verification:?}"
    );
}

#[test]
fn an_inclusion_proof_that_does_not_hold_is_not_accepted() {
    let world = World::usual();
    world.faults(Faults {
        lie: Some(Lie::Inclusion),
        ..Faults::default()
    });
    let mut record = world.record();
    let trouble = world.run(&mut record, SOON, DealRecord::is_complete);
    assert!(!record.is_complete());
    assert!(
        matches!(trouble, Some(Trouble::Engine(EngineError::Refused { .. }))),
        "{trouble:?}"
    );
}

#[test]
fn other_bytes_than_the_piece_are_not_handed_out() {
    let world = World::usual();
    complete(&world);
    world.faults(Faults {
        lie: Some(Lie::PieceBytes),
        ..Faults::default()
    });
    let fetched = world.fetch();
    assert!(
        matches!(fetched, Err(Trouble::Retrieval(RetrievalError::Corrupt { .. }))),
        "{fetched:?}"
    );
    world.faults(Faults::default());
    assert_eq!(world.fetch().as_deref(), Ok(world.file()));
}

#[test]
fn a_missed_proof_shows_in_the_verification() {
    let world = World::usual();
    let mut record = complete(&world);
    world.faults(Faults {
        miss_post: true,
        ..Faults::default()
    });
    // To the end of the window and of its grace.
    world.mine(950);
    world.run(&mut record, 1, |_| true);
    let verification = world.verify(&record);
    assert_eq!(verification.proven.verdict, Verdict::Fails, "{verification:?}");
    assert_eq!(verification.inclusion.verdict, Verdict::Holds);
    assert_eq!(world.view().posts, 0);
}

#[test]
fn a_slow_miner_seals_so_many_blocks_later() {
    let world = World::usual();
    let begun = world.height();
    complete(&world);
    let usual = world.height() - begun;
    let world = World::usual();
    world.faults(Faults {
        slow: 20,
        ..Faults::default()
    });
    let begun = world.height();
    complete(&world);
    assert_eq!(world.height() - begun, usual + 20);
}

#[test]
fn a_client_that_sends_other_bytes_gets_nothing_staged() {
    let world = World::usual();
    *world.serves.borrow_mut() = Some(vec![9; world.file().len()]);
    let mut record = world.record();
    world.run(&mut record, SOON, DealRecord::is_complete);
    assert!(matches!(world.stage(), MinerStage::Accepted), "{:?}", world.stage());
    *world.serves.borrow_mut() = None;
    world.run(&mut record, SOON, DealRecord::is_complete);
    assert!(record.is_complete());
}

//! Intake under a backlog, many sectors in one proof, damage found before the window, scrubbing, and unsealed copies.

use super::{piece, World, SIZE};
use crate::ask_publisher;
use crate::intake;
use crate::packing;
use crate::prover::fake::FakeEngine;
use crate::prover::{ProverError, Step};
use crate::scrubbing::{self, Scrubber};
use crate::sealing::{self, StepError};
use crate::settings::SettingsChange;
use shared::chain::view::MinerView;
use shared::chain::Epoch;
use shared::deal::{DealState, MinerStage};
use shared::sector::Phase;
use std::fs;

async fn set(world: &World, change: SettingsChange) {
    ask_publisher::change(&world.miner().ask_publisher(), &change)
        .await
        .expect("sensible settings");
}

fn now() -> u64 {
    crate::clock::now_ms()
}

/// A refusal is not kept: the same proposal is accepted when enough was sealed.
#[tokio::test(flavor = "multi_thread")]
async fn proposals_beyond_the_backlog_are_told_when_to_try_again_and_taken_then() {
    let mut world = World::start().await;
    set(
        &world,
        SettingsChange {
            staging_max_deals: Some(3),
            ..SettingsChange::default()
        },
    )
    .await;
    let mut taken = Vec::new();
    for number in 1..=3 {
        let (bytes, summary) = piece(number, 1500);
        let signed = world.paid(&summary, 1, 1500).await;
        let cid = signed.cid();
        assert_eq!(world.propose(signed).await.state, DealState::Accepted);
        world.deliver(&cid, &summary, &bytes);
        taken.push(cid);
    }
    let late = world.paid(&piece(4, 1500).1, 1, 1500).await;
    let answer = world.propose(late.clone()).await;
    assert_eq!(answer.state, DealState::Rejected);
    let text = &answer.message;
    assert!(
        text.contains("3 deals") && text.contains("propose again in about"),
        "{text}"
    );
    let status = intake::status(&world.miner().intake).expect("the store is whole");
    assert!(!status.open && status.reason.is_some());
    assert_eq!(
        (status.waiting_deals, status.max_deals, status.waiting_bytes),
        (3, 3, 4500)
    );
    world.seal(false).await;
    assert!(taken
        .iter()
        .all(|cid| matches!(world.deal(cid).deal.stage, MinerStage::Complete { .. })));
    assert_eq!(world.propose(late).await.state, DealState::Accepted);
    assert!(intake::status(&world.miner().intake).expect("the store is whole").open);
}

/// A clock that was set back by hours must not keep a sector open for hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_sector_is_closed_when_the_time_of_day_was_set_back_since_its_first_piece() {
    let world = World::start().await;
    let (bytes, summary) = piece(1, 500);
    let signed = world.paid(&summary, 1, 6000).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    world.deliver(&cid, &summary, &bytes);
    let (packing, now) = (world.miner().packing(), now());
    let closed = |at: u64| packing::place(&packing, at).expect("placed").0.len();
    assert_eq!(closed(now), 0);
    assert_eq!(closed(now + 1), 0, "it waits for more pieces");
    assert_eq!(closed(now - 3_600_000), 1);
}

/// spec §7.8 at scale: the whole proving set in every window, in one message.
#[tokio::test(flavor = "multi_thread")]
async fn six_sectors_are_proven_by_one_message_in_each_window() {
    let mut world = World::start().await;
    for number in 1..=6 {
        // Too large for two in a sector.
        let (bytes, summary) = piece(number, 1900);
        let signed = world.paid(&summary, 1, 6000).await;
        let cid = signed.cid();
        assert_eq!(world.propose(signed).await.message, "");
        world.deliver(&cid, &summary, &bytes);
        packing::place(&world.miner().packing(), 0).expect("placed");
    }
    world.seal(false).await;
    // All of them are in the proving set from the second period on.
    world.until(|view| view.posts >= 2).await;
    let before = world.view().await.posts;
    world.until(|view| view.posts > before).await;
    let view = world.view().await;
    assert_eq!((view.posts - before, view.power), (1, 6 * SIZE.bytes()));
    let post = world
        .miner()
        .store
        .last_post()
        .expect("the store is whole")
        .expect("kept");
    assert_eq!(post.sectors, [1, 2, 3, 4, 5, 6]);
}

/// Not a failure of the sector: three of them would give it up, and its deals with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_memory_for_sealing_fails_no_sector_and_takes_no_deals() {
    let mut world = World::start().await;
    let (bytes, summary) = piece(1, 500);
    let signed = world.paid(&summary, 1, 1500).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    world.deliver(&cid, &summary, &bytes);
    let memory = |mib| SettingsChange {
        memory_mib: Some(mib),
        ..SettingsChange::default()
    };
    packing::place(&world.miner().packing(), 0).expect("placed");
    packing::close_all(&world.miner().packing(), 0).expect("closed");
    set(&world, memory(1)).await;
    let miner = world.miner().clone();
    assert!(world
        .during(sealing::step(&miner.sealing(), 1))
        .await
        .expect("a ticket is drawn"));
    for _ in 0..4 {
        let outcome = world.during(sealing::step(&miner.sealing(), 1)).await;
        assert!(matches!(
            outcome,
            Err(StepError::Prover(ProverError::TooLittleMemory {
                step: Step::PreCommit1,
                ..
            }))
        ));
    }
    let record = miner.store.sector(1).expect("the store is whole").expect("kept");
    assert_eq!((record.sector.phase(), record.sector.attempts), (Phase::PreCommit1, 0));
    let other = world.paid(&piece(2, 500).1, 1, 1500).await;
    let answer = world.propose(other.clone()).await;
    assert!(answer.message.contains("too little memory"), "{}", answer.message);
    set(&world, memory(0)).await;
    assert_eq!(world.propose(other).await.message, "");
    drop((record, miner));
    world.seal(false).await;
    assert!(matches!(world.deal(&cid).deal.stage, MinerStage::Complete { .. }));
}

/// Lengths say nothing of it: the replica is really read before the window opens.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_with_other_bytes_is_declared_before_its_window_opens_and_recovered() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    world.complete(2, 9000).await;
    let proven = |view: &MinerView| view.sectors.iter().filter(|sector| sector.proven).count();
    world.until(|view| proven(view) == 2).await;
    let replica = FakeEngine::replica(&world.sectors(), 2);
    let whole = fs::read(&replica).expect("it is there");
    fs::write(&replica, vec![0; whole.len()]).expect("written");
    let window = world.view().await.proving_window.expect("there are sectors");
    world.skip_to(Epoch(window.start.0 - 41)).await;
    world.tick().await;
    let faulty = |view: &MinerView| {
        view.sectors
            .iter()
            .any(|sector| sector.fault.is_some() || sector.next_fault.is_some())
    };
    assert!(!faulty(&world.view().await), "nobody reads that early");
    world.skip_to(Epoch(window.start.0 - 40)).await;
    world.tick().await;
    let view = world.view().await;
    assert!(faulty(&view), "{view:?}");
    let posts = view.posts;
    world.until(|view| view.posts > posts).await;
    assert_eq!(world.view().await.sectors.len(), 2, "declared, not given up");
    fs::write(&replica, whole).expect("written");
    world.until(|view| proven(view) == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_copy_is_found_by_scrubbing_and_put_back_from_the_replica() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    world.complete(2, 9000).await;
    let (week, mut scrubber) = (7 * 24 * 3600 * 1000, Scrubber::default());
    let miner = world.miner().clone();
    assert!(
        !scrubber.tick(&miner.scrubbing(), now()).await.expect("looked"),
        "nothing is due yet"
    );
    let [(bytes, first), (_, second)] = [piece(1, 500), piece(2, 500)];
    let mut other = bytes.clone();
    other[499] ^= 1;
    fs::write(miner.staging.path(&first.data_cid), &other).expect("written");
    fs::remove_file(miner.staging.path(&second.data_cid)).expect("removed");
    let later = now() + week;
    assert!(scrubber.tick(&miner.scrubbing(), later).await.expect("scrubbed"));
    assert!(scrubber.tick(&miner.scrubbing(), later).await.expect("scrubbed"));
    assert!(
        !scrubber.tick(&miner.scrubbing(), later).await.expect("looked"),
        "each is due once a week"
    );
    let status = scrubbing::status(&miner.store).expect("the store is whole");
    assert_eq!(
        (status.sectors, status.restored, status.damage.len()),
        (2, 2, 0),
        "{status:?}"
    );
    assert_eq!(
        fs::read(miner.staging.path(&first.data_cid)).expect("it is back"),
        bytes
    );
    assert!(miner.staging.whole(&second.data_cid, 500).is_some());

    // What cannot be put back stays on record until it can.
    let replica = FakeEngine::replica(&world.sectors(), 1);
    let whole = fs::read(&replica).expect("it is there");
    fs::write(&replica, "short").expect("written");
    fs::write(miner.staging.path(&first.data_cid), &other).expect("written");
    let again = later + week;
    assert!(scrubber.tick(&miner.scrubbing(), again).await.expect("scrubbed"));
    let status = scrubbing::status(&miner.store).expect("the store is whole");
    assert_eq!(status.damage.len(), 2, "copy and replica: {status:?}");
    assert!(status.damage.iter().all(|damage| damage.sector == 1));
    assert_eq!(status.last_at, Some(again));
    fs::write(&replica, whole).expect("written");
    assert!(scrubber.tick(&miner.scrubbing(), again + week).await.expect("scrubbed"));
    assert!(scrubber.tick(&miner.scrubbing(), again + week).await.expect("scrubbed"));
    assert_eq!(scrubbing::status(&miner.store).expect("the store is whole").damage, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_copies_are_kept_they_go_after_a_rest_and_what_is_not_sealed_stays() {
    let mut world = World::start().await;
    world.complete(1, 9000).await;
    let (bytes, waiting) = piece(3, 500);
    let signed = world.paid(&waiting, 1, 1500).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    world.deliver(&cid, &waiting, &bytes);
    let no_copies = SettingsChange {
        keep_unsealed: Some(false),
        scrub_every_ms: Some(0),
        ..SettingsChange::default()
    };
    set(&world, no_copies).await;
    let miner = world.miner().clone();
    let sealed = piece(1, 500).1;
    let is_here = |data: &shared::piece::PieceSummary| miner.staging.whole(&data.data_cid, 500).is_some();
    let mut scrubber = Scrubber::default();
    scrubber.tick(&miner.scrubbing(), now()).await.expect("looked");
    assert!(is_here(&sealed), "it is kept for those who ask soon");
    scrubber
        .tick(&miner.scrubbing(), now() + 3_600_000)
        .await
        .expect("looked");
    assert!(!is_here(&sealed) && is_here(&waiting));
    assert!(
        miner
            .store
            .piece(&sealed.data_cid)
            .expect("the store is whole")
            .is_some(),
        "it can be asked for"
    );
}

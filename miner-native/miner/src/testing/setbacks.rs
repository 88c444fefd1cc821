//! Sectors that do not go on as planned: failed steps, old tickets, deals that are over.

use super::{piece, World};
use crate::{deal_expiry, packing, sealing};
use cid::Cid;
use shared::deal::{DealState, MinerEffect};
use shared::piece::PieceSummary;
use shared::sector::machine::MAX_ATTEMPTS;
use shared::sector::timing::blocks_to_commit;
use shared::sector::{Phase, Sector, SectorEffect, SectorInput};

/// A free deal whose piece is placed in sector 1, which is closed.
async fn closed(world: &World) -> (Cid, PieceSummary, Vec<u8>) {
    let (bytes, summary) = piece(5, 500);
    let signed = world.free(&summary, 5000);
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.state, DealState::Accepted);
    world.deliver(&cid, &summary, &bytes);
    packing::place(&world.miner().packing(), 0).expect("placed");
    packing::close_all(&world.miner().packing(), 0).expect("closed");
    (cid, summary, bytes)
}

fn sector(world: &World) -> Sector {
    let record = world.miner().store.sector(1).expect("the store is whole");
    record.expect("it was made").sector
}

async fn step(world: &World) -> bool {
    let miner = world.miner().clone();
    world
        .during(sealing::step(&miner.sealing(), 1))
        .await
        .expect("a step is done")
}

/// The price of free deals is set first: only they can be made without a channel.
async fn world() -> World {
    let world = World::start().await;
    let change = crate::settings::SettingsChange {
        price: Some(shared::chain::AttoFil::ZERO),
        ..Default::default()
    };
    let miner = world.miner().clone();
    world
        .during(crate::ask_publisher::change(&miner.ask_publisher(), &change))
        .await
        .expect("a price");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sector_waits_for_the_operator_and_is_sealed_at_its_order() {
    let mut world = world().await;
    let (cid, summary, bytes) = closed(&world).await;
    // The staged piece is gone: phase 1 cannot lay it out.
    world.miner().staging.remove(&summary.data_cid).expect("removed");
    while step(&world).await {}
    let failed = sector(&world);
    assert_eq!(
        (failed.effect(), failed.attempts),
        (SectorEffect::AwaitOperator, MAX_ATTEMPTS)
    );
    assert_eq!(failed.setback().expect("it failed").next, Some(Phase::PreCommit1));
    world.tick().await;
    assert_eq!(world.deal(&cid).deal.effect(), MinerEffect::AwaitSector { sector: 1 });

    let mut import = world.miner().staging.import().expect("room");
    import.push(&bytes).expect("written");
    import.finish().expect("staged");
    let retried = world.miner().store.advance_sector(1, SectorInput::RetryOrdered, 0);
    retried.expect("it failed");
    while step(&world).await {}
    assert_eq!(world.deal(&cid).deal.state(), DealState::Complete);
}

/// However long the disk is full, the operator is not asked.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_step_for_which_the_disk_has_no_room_is_no_failure_of_the_sector() {
    let world = world().await;
    let (cid, ..) = closed(&world).await;
    assert!(step(&world).await);
    let replica = world.sectors().join("1/sealed");
    std::fs::create_dir_all(world.sectors().join("1")).expect("a folder");
    std::os::unix::fs::symlink("/dev/full", &replica).expect("a link");
    for _ in 0..2 * MAX_ATTEMPTS {
        let miner = world.miner().clone();
        let done = world.during(sealing::step(&miner.sealing(), 1)).await;
        assert!(done.expect_err("no room").to_string().contains("No space left"));
    }
    let waiting = sector(&world);
    assert_eq!((waiting.phase(), waiting.attempts), (Phase::PreCommit1, 0));
    std::fs::remove_file(&replica).expect("the link");
    while step(&world).await {}
    assert_eq!(world.deal(&cid).deal.state(), DealState::Complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_nobody_needs_is_removed_when_it_can_be() {
    let mut world = world().await;
    let (cid, summary, _) = closed(&world).await;
    let deadline = world.deal(&cid).deal.deadline().expect("not sealed");
    let over = shared::deal::MinerInput::Ended { height: deadline };
    world.miner().store.advance_deal(&cid, over).expect("it is over");
    while step(&world).await {}
    let staged = world.miner().staging.path(&summary.data_cid);
    // A folder in the place of a file that goes with it.
    let blocking = staged.with_extension("part");
    std::fs::create_dir(&blocking).expect("a folder");
    let (miner, height) = (world.miner().clone(), world.height());
    let failed = world.during(deal_expiry::tick(&miner.deal_expiry(), height)).await;
    assert!(failed.is_err(), "it cannot be removed");
    std::fs::remove_dir(&blocking).expect("it is empty");
    std::fs::write(&staged, b"still here").expect("written");
    world.tick().await;
    assert!(!staged.exists());
}

/// Its cache would stay for ever: gigabytes for a large sector.
#[tokio::test(flavor = "multi_thread")]
async fn a_sector_that_is_given_up_leaves_nothing_on_the_disk() {
    let mut world = world().await;
    closed(&world).await;
    while sector(&world).phase() != Phase::PreCommitting {
        assert!(step(&world).await);
    }
    for _ in 0..MAX_ATTEMPTS {
        let failed = SectorInput::StepFailed {
            reason: "the disk".into(),
        };
        let store = &world.miner().store;
        let now = crate::clock::now_ms();
        store.advance_sector(1, failed, now).expect("a step can fail");
    }
    let dir = world.sectors().join("1");
    assert!(dir.exists(), "another try would need it");
    world.tick().await;
    assert!(dir.exists() && sector(&world).effect() == SectorEffect::AwaitOperator);
    let given_up = world.miner().store.advance_sector(1, SectorInput::GivenUp, 0);
    given_up.expect("it failed");
    world.tick().await;
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_too_old_is_drawn_anew_before_work_is_spent_under_it() {
    let world = world().await;
    closed(&world).await;
    assert!(step(&world).await);
    assert_eq!(sector(&world).phase(), Phase::PreCommit1);
    world.skip(world.miner().policy.max_ticket_age).await;
    assert!(step(&world).await);
    let expired = sector(&world);
    assert_eq!(expired.phase(), Phase::Closed);
    let reason = expired.last_error.expect("it says why");
    assert!(reason.contains("the ticket of block"), "{reason}");
    for _ in 0..3 {
        assert!(step(&world).await);
    }
    assert_eq!(sector(&world).phase(), Phase::PreCommitting);
    // Also between phase 2 and the pre-commit.
    world.skip(world.miner().policy.max_ticket_age).await;
    assert!(step(&world).await);
    assert_eq!(sector(&world).phase(), Phase::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_piece_of_a_deal_that_is_over_is_evicted_and_no_sector_is_sealed_for_nobody() {
    let mut world = world().await;
    let (bytes, summary) = piece(6, 500);
    let signed = world.free(&summary, 10);
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.state, DealState::Accepted);
    world.deliver(&cid, &summary, &bytes);
    packing::place(&world.miner().packing(), u64::MAX / 2).expect("placed");
    let deadline = world.deal(&cid).deal.deadline().expect("not sealed");
    // So few blocks before its deadline it cannot be committed any more.
    let needed = blocks_to_commit(&world.miner().policy, 0);
    world.skip_to(shared::chain::Epoch(deadline.0 - needed)).await;
    packing::place(&world.miner().packing(), u64::MAX).expect("looked after");
    let deal = world.deal(&cid).deal;
    assert_eq!(deal.state(), DealState::Failed);
    assert!(deal.response().message.contains("over before its piece can be sealed"));
    assert_eq!(
        (sector(&world).phase(), sector(&world).pieces.len()),
        (Phase::Packing, 0)
    );
    world.tick().await;
    let staging = &world.miner().staging;
    assert!(staging.whole(&summary.data_cid, summary.size).is_none(), "cleared away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_sector_whose_deals_are_over_is_abandoned_before_anything_of_it_is_on_the_chain() {
    let world = world().await;
    let (cid, ..) = closed(&world).await;
    assert!(step(&world).await);
    let deadline = world.deal(&cid).deal.deadline().expect("not sealed");
    let over = shared::deal::MinerInput::Ended { height: deadline };
    world.miner().store.advance_deal(&cid, over).expect("it is over");
    assert!(step(&world).await);
    assert_eq!(
        (sector(&world).phase(), sector(&world).effect()),
        (Phase::Failed, SectorEffect::Rest)
    );
}

//! A deal's whole life on the miner's side, with kills between its steps.

use super::{piece, World};
use crate::packing;
use crate::prover::fake::FakeEngine;
use crate::settings::AUTO_SEAL_MS;
use crate::store::{RedemptionRecord, RedemptionStage};
use sealdrop_devnet::testing::key;
use shared::chain::{calls, AttoFil};
use shared::deal::{DealState, MinerStage};
use shared::sector::Phase;
use std::time::Duration;

/// spec §9.23, spec §9.30, spec §9.31: a sufficient price is accepted with an empty message; what awaits sealing survives
/// every restart; the commitment completes the deal with its sector, commitments and inclusion proof. Then spec §7.18 and
/// §7.24: the conditional vouchers are redeemed with [sectorID, PIP], the deal ends, its sector is released and removed,
/// and the records stay. The miner is killed between all steps.
#[tokio::test(flavor = "multi_thread")]
async fn a_paid_deal_runs_from_acceptance_to_its_end_with_kills_between_all_steps() {
    let mut world = World::start().await;
    let (bytes, summary) = piece(7, 500);
    let signed = world.paid(&summary, 1, 1200).await;
    let (cid, total) = (signed.cid(), signed.proposal.total_price);
    let response = world.propose(signed.clone()).await;
    assert_eq!((response.state, response.message.as_str()), (DealState::Accepted, ""));
    world.reopen().await;
    assert_eq!(
        world.propose(signed).await,
        response,
        "the same proposal gets the same answer"
    );
    world.deliver(&cid, &summary, &bytes);
    world.seal(true).await;
    let response = world.deal(&cid).deal.response();
    let proof = response.proof_info.expect("a complete deal has a proof");
    assert_eq!(response.state, DealState::Complete);
    assert!(proof.piece_inclusion_proof.is_some());
    let sector = proof.sector_id;
    let replica = FakeEngine::replica(&world.sectors(), sector);
    assert!(replica.is_file());

    let mut rounds = 0u32;
    while phase(&world, sector) != Phase::Removed {
        world.skip(15).await;
        world.tick().await;
        rounds += 1;
        if rounds.is_multiple_of(8) {
            world.reopen().await;
        }
        assert!(rounds < 400, "{:?}", world.deal(&cid).deal.stage);
    }
    assert!(matches!(world.deal(&cid).deal.stage, MinerStage::Ended { .. }));
    let books = world.miner().store.redemptions(&cid).expect("the store is whole");
    let gained: Vec<_> = books.iter().filter_map(RedemptionRecord::gained).collect();
    assert_eq!(gained.len(), 2, "one conditional and one last voucher: {books:?}");
    assert_eq!(world.miner().store.earned().expect("the store is whole"), total);
    let view = world.view().await;
    assert_eq!((view.sectors.len(), view.collateral), (0, AttoFil::ZERO));
    assert!(view.posts >= 4 && view.slashed_at.is_none());
    assert!(!replica.exists() && world.miner().staging.whole(&summary.data_cid, summary.size).is_none());
    assert_eq!(
        world
            .miner()
            .store
            .piece(&summary.data_cid)
            .expect("the store is whole"),
        None
    );
}

/// Nothing like what filled it has room any more: it waits for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_sector_that_is_nearly_full_is_closed_at_once_and_another_when_its_timer_is_up() {
    let world = World::start().await;
    let timer = Duration::from_millis(AUTO_SEAL_MS);
    let (half, closed, pause) = packed(&world, 1, 1000).await;
    assert_eq!((closed, pause), (vec![], timer), "another half may come");
    let (quarter, closed, pause) = packed(&world, 2, 500).await;
    assert_eq!(
        (quarter, closed, pause),
        (half, vec![], timer),
        "another quarter may come"
    );
    let (rest, closed, _) = packed(&world, 3, 100).await;
    assert_eq!((rest, closed), (half, vec![half]));
    let (whole, closed, _) = packed(&world, 4, 1100).await;
    assert_eq!(closed, [half, whole]);
    let (alone, closed, _) = packed(&world, 5, 100).await;
    assert!(!closed.contains(&alone));
    let (closed, _) = packing::place(&world.miner().packing(), AUTO_SEAL_MS - 1).expect("looked at");
    assert!(!closed.contains(&alone));
    let (closed, _) = packing::place(&world.miner().packing(), AUTO_SEAL_MS).expect("looked at");
    assert!(closed.contains(&alone), "its timer is up");
}

/// A piece of that size arrives: its sector, the sectors that are closed then, and how long nothing else is due.
async fn packed(world: &World, number: u8, size: usize) -> (u64, Vec<u64>, Duration) {
    let (bytes, summary) = piece(number, size);
    let signed = world.paid(&summary, 1, 1500).await;
    let cid = signed.cid();
    let answer = world.propose(signed).await;
    assert_eq!(answer.state, DealState::Accepted, "{}", answer.message);
    world.deliver(&cid, &summary, &bytes);
    let (closed, pause) = packing::place(&world.miner().packing(), 0).expect("placed");
    let sector = world.deal(&cid).deal.sector();
    (sector.expect("it has its place"), closed, pause)
}

fn phase(world: &World, sector: u64) -> Phase {
    let record = world.miner().store.sector(sector).expect("the store is whole");
    record.expect("the record stays").sector.phase()
}

/// spec §7.18, the cancel attack: the payer cancels at once, and the first voucher's redemption undoes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_undone_by_the_first_voucher_that_falls_due() {
    let mut world = World::start().await;
    let cid = world.complete(1, 12_500).await;
    let payment = world.deal(&cid).deal.proposal.proposal.payment.clone();
    let id = payment.channel.expect("a paid deal");
    let cancelled = world.client.call("cancel", calls::cancel(id));
    world.during(cancelled).await.expect("not redeemed yet");
    let channel = |world: &World| {
        let client = world.client.clone();
        async move {
            let found = client.channel(&key(super::CLIENT).address(), id).await;
            found.expect("the chain answers").expect("it is open")
        }
    };
    let before = channel(&world).await;
    assert!(before.eol < before.agreed_eol);
    let due = payment.vouchers.expect("a paid deal")[0].clone();
    while world.height() < due.valid_at {
        world.skip(40).await;
        world.tick().await;
    }
    let mut after = before.clone();
    for _ in 0..40 {
        // The message needs a block.
        world.skip(1).await;
        world.tick().await;
        after = channel(&world).await;
        if !after.amount_redeemed.is_zero() {
            break;
        }
    }
    assert_eq!((after.amount_redeemed, after.eol), (due.amount, before.agreed_eol));
}

/// spec §9.34, spec §9.35: any number of deals of one sector complete or fail together, also those that ask late; there is
/// no list of waiting deals that could grow or be lost.
#[tokio::test(flavor = "multi_thread")]
async fn deals_of_one_sector_complete_together() {
    let mut world = World::start().await;
    let mut deals = Vec::new();
    for number in 1..=3 {
        let (bytes, summary) = piece(number, 400);
        let signed = world.paid(&summary, 1, 1500).await;
        let cid = signed.cid();
        assert_eq!(world.propose(signed).await.state, DealState::Accepted);
        world.deliver(&cid, &summary, &bytes);
        deals.push(cid);
    }
    world.seal(false).await;
    let proofs = deals
        .iter()
        .map(|cid| world.deal(cid).deal.response().proof_info.expect("complete"));
    let proofs: Vec<_> = proofs.collect();
    assert!(proofs.iter().all(|proof| proof.sector_id == proofs[0].sector_id));
    assert!(proofs[0].piece_inclusion_proof != proofs[1].piece_inclusion_proof);
    assert_eq!(world.miner().store.settle(proofs[0].sector_id).expect("again"), []);
}

/// A crash between writing a redemption down and sending it: the message is made at the next start, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_that_was_only_written_down_is_sent_after_a_restart() {
    let mut world = World::start().await;
    let cid = world.complete(1, 900).await;
    let voucher = world.deal(&cid).deal.vouchers()[0].clone();
    // It is proven meanwhile: the voucher pays for nothing else.
    while world.height().plus(40) < voucher.valid_at {
        world.skip(40).await;
        world.tick().await;
    }
    world.skip_to(voucher.valid_at).await;
    let record = RedemptionRecord {
        amount: voucher.amount,
        attempts: 1,
        stage: RedemptionStage::Sent {
            at: voucher.valid_at,
            before: AttoFil::ZERO,
        },
    };
    world.miner().store.keep_redemption(&cid, &record).expect("written");
    world.reopen().await;
    for _ in 0..4 {
        world.tick().await;
        world.skip(2).await;
    }
    let books = world.miner().store.redemptions(&cid).expect("the store is whole");
    assert_eq!(
        books.iter().map(RedemptionRecord::gained).collect::<Vec<_>>(),
        [Some(voucher.amount)]
    );
}

//! Rules of the store: what changes together, what is bounded, what repeating does.

use super::*;
use sealdrop_database::Memory;
use shared::chain::{AttoFil, BytesAmount, Epoch, SecretKey};
use shared::deal::retention::{Over, ENDED_KEPT_MS, FAILED_KEPT, FAILED_KEPT_MS, REFUSED_KEPT as MAX_REJECTIONS};
use shared::deal::{DealState, MinerDeal, PaymentInfo, Proposal, SignedProposal};
use shared::deal::{MinerEffect, MinerInput, MinerStage};
use shared::piece::SectorSize;
use shared::piece::{Commitment, PieceDigest};
use shared::sector::retention::KEPT_MS;
use shared::sector::{Phase, SectorInput};
use shared::sector::{Sealed, SectorStage};

const SIZE: SectorSize = SectorSize::S2KiB;

type Made = (tempfile::TempDir, MinerStore);

fn on_the_disk() -> Made {
    let dir = tempfile::tempdir().unwrap();
    let store = MinerStore::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

fn in_memory() -> Made {
    let store = MinerStore::of(Arc::new(Memory::default()));
    (tempfile::tempdir().unwrap(), store)
}

/// Rules that hold whatever database the records are in.
macro_rules! rules {
    ($($rule:ident)*) => {
        mod sqlite { $(#[test] fn $rule() { super::$rule(super::on_the_disk()) })* }
        mod memory { $(#[test] fn $rule() { super::$rule(super::in_memory()) })* }
    };
}

rules! {
    every_change_of_a_deal_is_told_once
    a_sector_of_which_nothing_is_left_to_do_is_looked_after_no_more_and_forgotten_one_day
    a_deal_and_its_sector_change_together_and_placing_again_gives_the_same_place
    pieces_fill_the_first_sector_with_room_and_sector_numbers_are_never_reused
    numbers_of_sectors_that_the_chain_has_seen_are_not_given_again
    a_deal_whose_piece_is_not_here_has_no_place
    a_channel_is_promised_to_one_deal
    refusals_are_kept_up_to_a_bound_and_the_oldest_go_first
    a_committed_sector_completes_its_deals_with_inclusion_proofs_that_hold
    a_phase_is_estimated_by_what_it_took_the_last_time_that_it_succeeded
    a_sector_given_up_fails_its_deals
    the_deals_of_a_failed_sector_wait_with_their_data_for_the_operators_order
    a_failed_step_is_tried_again_after_a_pause_that_a_restart_does_not_shorten
    an_evicted_piece_leaves_its_sector_and_its_deal_fails_with_the_reason
    a_sector_that_lost_all_its_pieces_takes_others_and_its_timer_begins_anew
    proofs_of_spacetime_are_kept_by_window
    a_flood_of_deals_that_come_to_nothing_does_not_close_the_miner
    what_is_asked_for_every_proposal_follows_the_deals
    a_piece_is_unwanted_when_the_last_deal_about_it_is_over
    a_forgotten_deal_leaves_nothing_behind
    deals_past_their_end_and_those_with_vouchers_are_found_without_the_others
    what_redemptions_brought_in_is_remembered_when_their_deals_are_forgotten
}

/// A proposal of `bytes`, told apart by `number`; paid over that channel if there is one.
fn proposal(number: u8, bytes: u64, channel: Option<u64>) -> (SignedProposal, Commitment) {
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    let mut digest = PieceDigest::new();
    digest.push(&vec![number; bytes as usize]).unwrap();
    let summary = digest.finish().unwrap();
    let proposal = Proposal {
        piece_ref: summary.data_cid,
        size: Some(BytesAmount(bytes)),
        total_price: AttoFil(5),
        duration: 2500,
        miner_address: Address::actor(&key.address(), 0),
        payment: PaymentInfo {
            payer: key.address(),
            pay_ch_actor: shared::chain::address::MaybeAddress(None),
            channel: channel.map(ChannelId),
            channel_msg_cid: None,
            vouchers: None,
        },
    };
    (proposal.sign(&key), summary.comm_p)
}

fn record(proposal: SignedProposal) -> DealRecord {
    DealRecord {
        deal: MinerDeal::accepted(proposal, Epoch(1)),
        created_ms: 1,
        source: "peer".into(),
    }
}

/// An accepted deal whose piece is here.
fn received(store: &MinerStore, number: u8, bytes: u64) -> Cid {
    let (proposal, comm_p) = proposal(number, bytes, None);
    let cid = proposal.cid();
    store.accept(&record(proposal)).unwrap();
    store.advance_deal(&cid, MinerInput::PieceReceived { comm_p }).unwrap();
    cid
}

fn every_change_of_a_deal_is_told_once((_dir, store): Made) {
    let mut told = store.deal_changes();
    let (accepted, comm_p) = proposal(1, 500, None);
    let cid = accepted.cid();
    store.accept(&record(accepted)).unwrap();
    store.advance_deal(&cid, MinerInput::PieceReceived { comm_p }).unwrap();
    store.place(&cid, SIZE, 10).unwrap();
    store.evict(&cid, "too late".into()).unwrap();
    let (refused, _) = proposal(2, 500, None);
    store.refuse(&record(refused.clone())).unwrap();
    for expected in [cid, cid, cid, cid, refused.cid()] {
        assert_eq!(told.try_recv(), Ok(expected));
    }
    assert!(told.try_recv().is_err());
}

fn a_deal_and_its_sector_change_together_and_placing_again_gives_the_same_place((_dir, store): Made) {
    let cid = received(&store, 1, 500);
    let sector = store.place(&cid, SIZE, 10).unwrap();
    let deal = store.deal(&cid).unwrap().unwrap().deal;
    assert_eq!(deal.effect(), MinerEffect::AwaitSector { sector });
    let pieces = store.sector(sector).unwrap().unwrap().sector.pieces;
    assert_eq!(pieces.iter().map(|piece| piece.deal).collect::<Vec<_>>(), [cid]);
    assert_eq!(store.place(&cid, SIZE, 20).unwrap(), sector);
    assert_eq!(store.sector(sector).unwrap().unwrap().sector.pieces.len(), 1);
}

fn pieces_fill_the_first_sector_with_room_and_sector_numbers_are_never_reused((_dir, store): Made) {
    let place = |number, bytes| store.place(&received(&store, number, bytes), SIZE, 10).unwrap();
    assert_eq!((place(1, 1000), place(2, 2000), place(3, 900)), (1, 2, 1));
    store.advance_sector(1, SectorInput::Close, 20).unwrap();
    store.advance_sector(2, SectorInput::Close, 20).unwrap();
    assert_eq!(place(4, 100), 3);
}

fn numbers_of_sectors_that_the_chain_has_seen_are_not_given_again((_dir, store): Made) {
    let place = |number| store.place(&received(&store, number, 1000), SIZE, 10).unwrap();
    assert_eq!(place(1), 1);
    store.advance_sector(1, SectorInput::Close, 20).unwrap();
    store.skip_sector_numbers(7).unwrap();
    store.skip_sector_numbers(3).unwrap();
    assert_eq!(place(2), 8);
    store.advance_sector(8, SectorInput::Close, 20).unwrap();
    store.skip_sector_numbers(u64::MAX).unwrap();
    let third = received(&store, 3, 1000);
    assert!(matches!(store.place(&third, SIZE, 10), Err(StoreError::NoSectorNumber)));
}

fn a_deal_whose_piece_is_not_here_has_no_place((_dir, store): Made) {
    let (proposal, _) = proposal(1, 500, None);
    let cid = proposal.cid();
    store.accept(&record(proposal)).unwrap();
    assert!(matches!(store.place(&cid, SIZE, 10), Err(StoreError::Deal { deal, .. }) if deal == cid));
    assert_eq!(store.sectors().count(), 0);
}

fn a_channel_is_promised_to_one_deal((_dir, store): Made) {
    let (first, second) = (proposal(1, 500, Some(9)).0, proposal(2, 500, Some(9)).0);
    let (owner, payer) = (first.cid(), first.proposal.payment.payer.clone());
    store.accept(&record(first.clone())).unwrap();
    let refused = store.accept(&record(second.clone()));
    assert!(matches!(refused, Err(StoreError::ChannelPromised { deal, .. }) if deal == owner));
    assert_eq!(store.deal(&second.cid()).unwrap(), None);
    assert_eq!(store.promised(&payer, ChannelId(9)).unwrap(), Some(owner));
}

#[test]
fn a_sector_whose_number_is_taken_gets_another_with_its_deals_and_no_other_does() {
    let store = MinerStore::of(std::sync::Arc::new(Memory::default()));
    let cid = received(&store, 1, 500);
    let from = store.place(&cid, SIZE, 10).unwrap();
    assert_eq!(store.renumber(&[from + 1].into()).unwrap(), []);
    store.skip_sector_numbers(from + 5).unwrap();
    let to = from + 6;
    assert_eq!(store.renumber(&[from].into()).unwrap(), [(from, to)]);
    assert!(store.sector(from).unwrap().is_none());
    let deal = store.deal(&cid).unwrap().unwrap().deal;
    assert_eq!(deal.effect(), MinerEffect::AwaitSector { sector: to });
    let packing = store.sectors_in(&[Phase::Packing]).unwrap();
    assert_eq!(packing.iter().map(|record| record.sector.id).collect::<Vec<_>>(), [to]);
    // What comes next goes there, too.
    assert_eq!(store.place(&received(&store, 2, 500), SIZE, 20).unwrap(), to);
    assert_eq!(store.renumber(&[from].into()).unwrap(), []);
}

#[test]
fn missed_windows_are_remembered_once_and_the_oldest_go() {
    let store = MinerStore::of(std::sync::Arc::new(Memory::default()));
    assert_eq!(store.missed_windows().unwrap(), []);
    let most = super::ledger::MAX_MISSED as u64;
    for end in (0..=most).chain([most]) {
        store.keep_missed(Epoch(end)).unwrap();
    }
    let kept = store.missed_windows().unwrap();
    assert_eq!(
        (kept.len() as u64, kept.first(), kept.last()),
        (most, Some(&Epoch(most)), Some(&Epoch(1)))
    );
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = MinerStore::open(&path).unwrap();
    let cid = received(&store, 1, 500);
    let sector = store.place(&cid, SIZE, 10).unwrap();
    let before = (store.deal(&cid).unwrap(), store.sector(sector).unwrap());
    drop(store);
    let store = MinerStore::open(&path).unwrap();
    assert_eq!((store.deal(&cid).unwrap(), store.sector(sector).unwrap()), before);
    let waiting = store.deals_to(&[EffectKind::AwaitSector]).unwrap();
    assert_eq!(waiting.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(), [cid]);
}

fn refusals_are_kept_up_to_a_bound_and_the_oldest_go_first((_dir, store): Made) {
    let refuse = |number: u64| {
        let (signed, _) = proposal((number % 250) as u8, 100 + number / 250, None);
        let refused = DealRecord {
            deal: MinerDeal::rejected(signed, "no".into(), Epoch(1)),
            created_ms: number,
            source: "x".into(),
        };
        store.refuse(&refused).unwrap();
        refused.deal.proposal.cid()
    };
    let cids: Vec<Cid> = (0..MAX_REJECTIONS + 2).map(refuse).collect();
    assert_eq!(store.deals().count() as u64, MAX_REJECTIONS);
    assert_eq!(store.deal(&cids[1]).unwrap(), None);
    assert_eq!(store.deal(&cids[2]).unwrap().unwrap().deal.state(), DealState::Rejected);
}

fn a_committed_sector_completes_its_deals_with_inclusion_proofs_that_hold((_dir, store): Made) {
    let cids = [received(&store, 1, 500), received(&store, 2, 900)];
    let sector = cids.map(|cid| store.place(&cid, SIZE, 10).unwrap())[0];
    let comm_d = commit(&store, sector);
    assert_eq!(store.settle(sector).unwrap(), cids);
    for cid in cids {
        let deal = store.deal(&cid).unwrap().unwrap().deal;
        let MinerStage::Complete { comm_p, proof } = &deal.stage else {
            panic!("{:?}", deal.stage)
        };
        let bytes = proof.piece_inclusion_proof.clone().unwrap();
        let inclusion = shared::piece::InclusionProof::from_bytes(&bytes.0).unwrap();
        let padded = shared::piece::padded_for(deal.proposal.size()).unwrap();
        assert_eq!(inclusion.verify(*comm_p, padded, comm_d, SIZE), Ok(()));
    }
    assert_eq!(store.settle(sector).unwrap(), []);
    let mut serving: Vec<Cid> = store.serving().unwrap().into_iter().map(|(cid, _)| cid).collect();
    let mut expected = cids.to_vec();
    serving.sort();
    expected.sort();
    assert_eq!(serving, expected, "complete deals are kept until they end");
}

/// Takes a sector to the chain with made-up proofs: only the store's part is looked at here.
fn commit(store: &MinerStore, id: u64) -> Commitment {
    let comm_d = store.sector(id).unwrap().unwrap().sector.layout().unwrap().comm_d();
    let (comm_r, comm_c) = (Commitment([1; 32]), Commitment([2; 32]));
    let message = proposal(9, 1, None).0.cid();
    let inputs = [
        SectorInput::Close,
        SectorInput::TicketDrawn {
            epoch: Epoch(3),
            ticket: [3; 32],
        },
        SectorInput::PreCommit1Done { output: vec![1] },
        SectorInput::PreCommit2Done { comm_d, comm_r, comm_c },
        SectorInput::PreCommitted { seed_epoch: Epoch(9) },
        SectorInput::SeedDrawn { seed: [4; 32] },
        SectorInput::Commit1Done { output: vec![2] },
        SectorInput::Commit2Done { proof: vec![3] },
        SectorInput::Committed {
            message,
            height: Epoch(12),
        },
    ];
    for (step, input) in inputs.into_iter().enumerate() {
        store.advance_sector(id, input, 100 * (step as u64 + 1)).unwrap();
    }
    let stage = store.sector(id).unwrap().unwrap().sector.stage;
    assert!(matches!(
        stage,
        SectorStage::Proving {
            sealed: Sealed {
                ticket_epoch: Epoch(3),
                ..
            },
            ..
        }
    ));
    comm_d
}

fn a_phase_is_estimated_by_what_it_took_the_last_time_that_it_succeeded((_dir, store): Made) {
    let sector = store.place(&received(&store, 1, 500), SIZE, 10).unwrap();
    assert_eq!(store.estimate(SIZE, Phase::Commit2).unwrap(), None);
    commit(&store, sector);
    assert_eq!(store.estimate(SIZE, Phase::Commit2).unwrap(), Some(100));
    assert_eq!(store.estimate(SectorSize::S8MiB, Phase::Commit2).unwrap(), None);
}

/// A sector whose step failed as often as it is tried.
fn stuck(store: &MinerStore) -> (Cid, u64) {
    let cid = received(store, 1, 500);
    let sector = store.place(&cid, SIZE, 10).unwrap();
    store.advance_sector(sector, SectorInput::Close, 20).unwrap();
    assert_eq!(store.settle(sector).unwrap(), []);
    for attempt in 0..shared::sector::machine::MAX_ATTEMPTS {
        let reason = "the disk is gone".into();
        store
            .advance_sector(sector, SectorInput::StepFailed { reason }, 30 + u64::from(attempt))
            .unwrap();
    }
    (cid, sector)
}

fn a_sector_given_up_fails_its_deals((_dir, store): Made) {
    let (cid, sector) = stuck(&store);
    store.advance_sector(sector, SectorInput::GivenUp, 50).unwrap();
    assert_eq!(store.settle(sector).unwrap(), [cid]);
    assert_eq!(store.deal(&cid).unwrap().unwrap().deal.state(), DealState::Failed);
}

fn a_sector_of_which_nothing_is_left_to_do_is_looked_after_no_more_and_forgotten_one_day((_dir, store): Made) {
    let (_, sector) = stuck(&store);
    let failed = || store.sectors_in(&[Phase::Failed]).unwrap().len();
    store.rest_sector(sector, 60).unwrap();
    assert_eq!(failed(), 1, "the operator may order another try");
    store.advance_sector(sector, SectorInput::GivenUp, 50).unwrap();
    store.settle(sector).unwrap();
    assert_eq!(failed(), 1, "its files are not removed yet");
    for _ in 0..2 {
        store.rest_sector(sector, 60).unwrap();
        assert_eq!(failed(), 0);
    }
    store.forget_old(60 + KEPT_MS - 1).unwrap();
    assert!(store.sector(sector).unwrap().is_some(), "who names it finds it");
    store.forget_old(60 + KEPT_MS).unwrap();
    assert_eq!(store.sector(sector).unwrap(), None);
    assert_eq!(
        store.place(&received(&store, 2, 500), SIZE, 10).unwrap(),
        sector + 1,
        "no number comes twice"
    );
}

fn the_deals_of_a_failed_sector_wait_with_their_data_for_the_operators_order((_dir, store): Made) {
    let (cid, sector) = stuck(&store);
    assert_eq!(store.settle(sector).unwrap(), []);
    let deal = store.deal(&cid).unwrap().unwrap().deal;
    assert_eq!(deal.effect(), MinerEffect::AwaitSector { sector });
    assert!(store.is_piece_wanted(&deal.proposal.proposal.piece_ref).unwrap());
    store.advance_sector(sector, SectorInput::RetryOrdered, 50).unwrap();
    let record = store.sector(sector).unwrap().unwrap();
    assert_eq!((record.sector.phase(), record.retry_at_ms), (Phase::Closed, None));
}

fn a_failed_step_is_tried_again_after_a_pause_that_a_restart_does_not_shorten((_dir, store): Made) {
    let sector = store.place(&received(&store, 1, 500), SIZE, 10).unwrap();
    store.advance_sector(sector, SectorInput::Close, 20).unwrap();
    let fail = |at| {
        let reason = "the disk is full".into();
        let record = store.advance_sector(sector, SectorInput::StepFailed { reason }, at);
        record.unwrap().retry_at_ms
    };
    assert_eq!((fail(1000), fail(7000)), (Some(6000), Some(27_000)));
    let drawn = SectorInput::TicketDrawn {
        epoch: Epoch(3),
        ticket: [3; 32],
    };
    let record = store.advance_sector(sector, drawn, 30_000).unwrap();
    assert_eq!(record.retry_at_ms, None);
}

fn an_evicted_piece_leaves_its_sector_and_its_deal_fails_with_the_reason((_dir, store): Made) {
    let (gone, stays) = (received(&store, 1, 500), received(&store, 2, 500));
    let sector = store.place(&gone, SIZE, 10).unwrap();
    assert_eq!(store.place(&stays, SIZE, 10).unwrap(), sector);
    for _ in 0..2 {
        store.evict(&gone, "too late".into()).unwrap();
        let pieces = store.sector(sector).unwrap().unwrap().sector.pieces;
        assert_eq!(pieces.iter().map(|piece| piece.deal).collect::<Vec<_>>(), [stays]);
        assert_eq!(store.deal(&gone).unwrap().unwrap().deal.response().message, "too late");
    }
    assert!(store
        .deals_to(&EffectKind::ALL)
        .unwrap()
        .iter()
        .all(|(cid, _)| *cid == stays));
}

fn a_sector_that_lost_all_its_pieces_takes_others_and_its_timer_begins_anew((_dir, store): Made) {
    let first = received(&store, 1, 500);
    let sector = store.place(&first, SIZE, 10).unwrap();
    store.evict(&first, "too late".into()).unwrap();
    assert_eq!(store.place(&received(&store, 2, 500), SIZE, 99).unwrap(), sector);
    assert_eq!(store.sector(sector).unwrap().unwrap().first_piece_ms, 99);
}

fn proofs_of_spacetime_are_kept_by_window((_dir, store): Made) {
    let post = |end| PostRecord {
        window_end: Epoch(end),
        height: Epoch(end - 1),
        message: "m".into(),
        sectors: vec![1],
        at_ms: end,
    };
    for end in [300, 900, 600, 900] {
        store.keep_post(&post(end)).unwrap();
    }
    assert_eq!(store.last_post().unwrap(), Some(post(900)));
    assert!(store.has_post(Epoch(600)).unwrap() && !store.has_post(Epoch(1200)).unwrap());
}

fn accepted(store: &MinerStore, number: u64) -> Cid {
    let (proposal, _) = proposal((number % 250) as u8, 100 + number / 250, None);
    let cid = proposal.cid();
    store.accept(&record(proposal)).unwrap();
    cid
}

fn a_flood_of_deals_that_come_to_nothing_does_not_close_the_miner((_dir, store): Made) {
    let served = received(&store, 251, 500);
    let cids: Vec<Cid> = (0..FAILED_KEPT + 20)
        .map(|number| {
            let cid = accepted(&store, number);
            store.advance_deal(&cid, MinerInput::TransferFailed).unwrap();
            cid
        })
        .collect();
    assert_eq!(store.tally(&EffectKind::ALL).unwrap().deals, 1, "only live deals count");
    assert_eq!(store.deals_by_state().unwrap()["failed"], FAILED_KEPT);
    assert_eq!(store.deal(&cids[19]).unwrap(), None, "the oldest are forgotten");
    assert!(store.deal(&cids[20]).unwrap().is_some());
    assert!(store.deal(&served).unwrap().is_some());
    store.forget_old(crate::clock::now_ms() + FAILED_KEPT_MS).unwrap();
    let left = store.deals_by_state().unwrap();
    assert!(
        left["failed"] < FAILED_KEPT,
        "old ones are forgotten by and by: {left:?}"
    );
    assert!(store.deal(&served).unwrap().is_some(), "whatever its age");
}

fn what_is_asked_for_every_proposal_follows_the_deals((_dir, store): Made) {
    let (signed, comm_p) = proposal(1, 500, Some(9));
    let cid = signed.cid();
    let asked = |source: &str| {
        let mut known = None;
        let look = |now: &Known| {
            known = Some(now.clone());
            Ok(Decision::Answer(()))
        };
        store.decide(&signed, source, look).unwrap();
        known.unwrap()
    };
    let nothing = asked("peer");
    assert!(nothing.deal.is_none() && !nothing.channel_is_promised);
    assert_eq!(
        (nothing.awaited, nothing.unsealed),
        (Tally::default(), Tally::default())
    );
    let keep = |_: &Known| Ok(Decision::Keep(Box::new(record(signed.clone())), ()));
    store.decide(&signed, "peer", keep).unwrap();
    let one = Tally { deals: 1, bytes: 500 };
    let (own, other) = (asked("peer"), asked("another"));
    assert!(own.deal.is_some() && own.channel_is_promised);
    assert_eq!((own.awaited, own.unsealed, own.awaited_of_source), (one, one, 1));
    assert_eq!(other.awaited_of_source, 0);
    store.advance_deal(&cid, MinerInput::PieceReceived { comm_p }).unwrap();
    let sector = store.place(&cid, SIZE, 10).unwrap();
    let placed = asked("peer");
    assert_eq!(
        (placed.awaited, placed.unsealed, placed.awaited_of_source),
        (Tally::default(), one, 0)
    );
    assert_eq!(
        store.awaited_sectors().unwrap().into_iter().collect::<Vec<_>>(),
        [sector]
    );
    commit(&store, sector);
    store.settle(sector).unwrap();
    assert_eq!(asked("peer").unsealed, Tally::default());
    assert_eq!(store.tally(&[EffectKind::Keep]).unwrap(), one);
}

fn a_piece_is_unwanted_when_the_last_deal_about_it_is_over((_dir, store): Made) {
    let cid = received(&store, 1, 500);
    let data = store.deal(&cid).unwrap().unwrap().deal.proposal.proposal.piece_ref;
    let (mut second, _) = proposal(1, 500, None);
    second.proposal.duration += 1;
    let second = second.proposal.sign(&SecretKey::from_bytes(&[7; 32]).unwrap());
    store.accept(&record(second.clone())).unwrap();
    store.evict(&cid, "too late".into()).unwrap();
    assert!(store.is_piece_wanted(&data).unwrap() && store.unwanted_pieces().unwrap().is_empty());
    store.advance_deal(&second.cid(), MinerInput::TransferFailed).unwrap();
    assert_eq!(store.unwanted_pieces().unwrap(), [data]);
    store.forget_piece(&data).unwrap();
    assert!(store.unwanted_pieces().unwrap().is_empty() && store.pieces().unwrap().is_empty());
}

fn a_forgotten_deal_leaves_nothing_behind((_dir, store): Made) {
    let (signed, _) = proposal(1, 500, Some(9));
    let (cid, payer) = (signed.cid(), signed.proposal.payment.payer.clone());
    store.accept(&record(signed)).unwrap();
    store.advance_deal(&cid, MinerInput::TransferFailed).unwrap();
    store.advance_deal(&cid, MinerInput::TransferFailed).unwrap();
    assert_eq!(store.promised(&payer, ChannelId(9)).unwrap(), Some(cid));
    store.forget_old(crate::clock::now_ms() + FAILED_KEPT_MS).unwrap();
    assert_eq!(store.promised(&payer, ChannelId(9)).unwrap(), None);
    let left = store.read(|records| {
        let tables = tables::SCHEMA.tables.iter();
        let count = |table: &Table| Ok((table.name, records.range(*table, &[], None, Order::Ascending, 9)?.len()));
        tables.map(count).collect::<Result<Vec<_>, StoreError>>()
    });
    let left: Vec<_> = left.unwrap().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(left, [("singles", 1)], "the number of the last deal that was over");
}

fn deals_past_their_end_and_those_with_vouchers_are_found_without_the_others((_dir, store): Made) {
    let cids = [received(&store, 1, 500), received(&store, 2, 500)];
    let sector = cids.map(|cid| store.place(&cid, SIZE, 10).unwrap())[0];
    commit(&store, sector);
    store.settle(sector).unwrap();
    let end = store.deal(&cids[0]).unwrap().unwrap().deal.end();
    assert_eq!(store.deals_past_end(Epoch(end.0 - 1), 9).unwrap(), []);
    assert_eq!(store.deals_past_end(end, 9).unwrap().len(), 2);
    assert_eq!(store.deals_past_end(end, 1).unwrap().len(), 1);
    assert_eq!(store.earning(None, 9).unwrap(), [], "free deals have no vouchers");
    store.advance_deal(&cids[0], MinerInput::Ended { height: end }).unwrap();
    let left = store.deals_past_end(end, 9).unwrap();
    assert_eq!(left.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(), [cids[1]]);
    assert_eq!(
        store
            .newest_deals(1, |record| record.deal.over() == Some(Over::Ended))
            .unwrap()
            .len(),
        1
    );
}

fn what_redemptions_brought_in_is_remembered_when_their_deals_are_forgotten((_dir, store): Made) {
    let cid = received(&store, 1, 500);
    let redemption = |amount, gained| RedemptionRecord {
        amount: AttoFil(amount),
        attempts: 1,
        stage: RedemptionStage::Done {
            message: "m".into(),
            height: Epoch(1),
            gained: AttoFil(gained),
        },
    };
    for (amount, gained) in [(5, 5), (9, 4), (9, 4)] {
        store.keep_redemption(&cid, &redemption(amount, gained)).unwrap();
    }
    assert_eq!(
        (store.earned().unwrap(), store.redemptions(&cid).unwrap().len()),
        (AttoFil(9), 2)
    );
    store.evict(&cid, "too late".into()).unwrap();
    store.forget_old(crate::clock::now_ms() + ENDED_KEPT_MS).unwrap();
    assert_eq!(
        (store.earned().unwrap(), store.redemptions(&cid).unwrap().len()),
        (AttoFil(9), 0)
    );
}

#[test]
fn the_records_of_version_0_1_are_taken_over_with_their_indexes() {
    let (dir, made) = on_the_disk();
    let cids = [received(&made, 1, 500), received(&made, 2, 500), accepted(&made, 700)];
    let sector = made.place(&cids[0], SIZE, 10).unwrap();
    let (refused, _) = proposal(9, 900, None);
    let refused = DealRecord {
        deal: MinerDeal::rejected(refused, "no".into(), Epoch(1)),
        ..record(proposal(9, 900, None).0)
    };
    let redemption = RedemptionRecord {
        amount: AttoFil(5),
        attempts: 1,
        stage: RedemptionStage::Done {
            message: "m".into(),
            height: Epoch(1),
            gained: AttoFil(4),
        },
    };
    let cbor = |table, record: &DealRecord| codec::write(table, record).unwrap();
    let deals = made.deals().map(|record| record.unwrap()).chain([refused.clone()]);
    let deals = deals.map(|record| (record.deal.proposal.cid().to_bytes(), cbor(tables::DEALS, &record)));
    let sectors = vec![(
        sector.to_be_bytes().to_vec(),
        codec::write(tables::SECTORS, &made.sector(sector).unwrap().unwrap()).unwrap(),
    )];
    let pieces = made
        .read(|records| Ok(records.range(tables::PIECES, &[], None, Order::Ascending, 9)?))
        .unwrap();
    let miner = SecretKey::from_bytes(&[7; 32]).unwrap().address();
    let counters = vec![
        (b"miner".to_vec(), miner.to_bytes()),
        (b"sector".to_vec(), 7u64.to_be_bytes().to_vec()),
        (b"accepted".to_vec(), 3u64.to_be_bytes().to_vec()),
        (b"serving".to_vec(), Vec::new()),
    ];
    let refusals = vec![(0u64.to_be_bytes().to_vec(), refused.deal.proposal.cid().to_bytes())];
    let paid = [cids[0].to_bytes().as_slice(), &5u128.to_be_bytes()].concat();
    let redemptions = vec![(paid, codec::write(tables::REDEMPTIONS, &redemption).unwrap())];
    let outbox = vec![(b"chain".to_vec(), b"genesis".to_vec())];
    let folder = dir.path().join("old");
    let trees = [
        (Some("deals"), deals.collect()),
        (Some("sectors"), sectors),
        (Some("pieces"), pieces),
        (Some("counters"), counters),
        (Some("refusals"), refusals),
        (Some("redemptions"), redemptions),
        (Some("outbox"), outbox),
    ];
    sealdrop_database::testing::write_old(&folder, &trees);
    for _ in 0..2 {
        let store = MinerStore::open(&folder).unwrap();
        for cid in cids {
            assert_eq!(store.deal(&cid).unwrap(), made.deal(&cid).unwrap());
        }
        assert_eq!(store.deal(&refused.deal.proposal.cid()).unwrap(), Some(refused.clone()));
        assert_eq!(store.sector(sector).unwrap(), made.sector(sector).unwrap());
        assert_eq!(
            store.tally(&EffectKind::UNSEALED).unwrap(),
            made.tally(&EffectKind::UNSEALED).unwrap()
        );
        assert_eq!(
            (store.pieces().unwrap().len(), store.unwanted_pieces().unwrap()),
            (2, vec![])
        );
        assert_eq!(
            (store.earned().unwrap(), store.miner_address().unwrap()),
            (AttoFil(4), Some(miner.clone()))
        );
        let chain = store.read(|records| Ok(records.get(crate::chain_access::OUTBOX, b"chain")?));
        assert_eq!(chain.unwrap().as_deref(), Some(b"genesis".as_slice()));
        assert_eq!(store.sectors_in(&[Phase::Packing]).unwrap().len(), 1);
    }
    let store = MinerStore::open(&folder).unwrap();
    store.advance_sector(sector, SectorInput::Close, 20).unwrap();
    assert_eq!(
        store.place(&cids[1], SIZE, 10).unwrap(),
        8,
        "numbers go on after the highest that was given"
    );
    assert!(sealdrop_database::takeover::backup_of(&folder).is_dir());
}

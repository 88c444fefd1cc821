//! Rules of the store: what changes together, what is bounded, what repeating does.

use super::*;
use shared::chain::{AttoFil, BytesAmount, Epoch, SecretKey};
use shared::deal::{DealState, MinerDeal, PaymentInfo, Proposal, SignedProposal};
use shared::piece::{Commitment, PieceDigest};
use shared::sector::{Sealed, SectorStage};

const SIZE: SectorSize = SectorSize::S2KiB;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
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
fn received(store: &Store, number: u8, bytes: u64) -> Cid {
    let (proposal, comm_p) = proposal(number, bytes, None);
    let cid = proposal.cid();
    store.accept(&record(proposal)).unwrap();
    store.advance_deal(&cid, MinerInput::PieceReceived { comm_p }).unwrap();
    cid
}

#[test]
fn every_change_of_a_deal_is_told_once() {
    let (_dir, store) = store();
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

#[test]
fn a_deal_and_its_sector_change_together_and_placing_again_gives_the_same_place() {
    let (_dir, store) = store();
    let cid = received(&store, 1, 500);
    let sector = store.place(&cid, SIZE, 10).unwrap();
    let deal = store.deal(&cid).unwrap().unwrap().deal;
    assert_eq!(deal.effect(), MinerEffect::AwaitSector { sector });
    let pieces = store.sector(sector).unwrap().unwrap().sector.pieces;
    assert_eq!(pieces.iter().map(|piece| piece.deal).collect::<Vec<_>>(), [cid]);
    assert_eq!(store.place(&cid, SIZE, 20).unwrap(), sector);
    assert_eq!(store.sector(sector).unwrap().unwrap().sector.pieces.len(), 1);
}

#[test]
fn pieces_fill_the_first_sector_with_room_and_sector_numbers_are_never_reused() {
    let (_dir, store) = store();
    let place = |number, bytes| store.place(&received(&store, number, bytes), SIZE, 10).unwrap();
    assert_eq!((place(1, 1000), place(2, 2000), place(3, 900)), (1, 2, 1));
    store.advance_sector(1, SectorInput::Close, 20).unwrap();
    store.advance_sector(2, SectorInput::Close, 20).unwrap();
    assert_eq!(place(4, 100), 3);
}

#[test]
fn a_deal_whose_piece_is_not_here_has_no_place() {
    let (_dir, store) = store();
    let (proposal, _) = proposal(1, 500, None);
    let cid = proposal.cid();
    store.accept(&record(proposal)).unwrap();
    assert!(matches!(store.place(&cid, SIZE, 10), Err(StoreError::Deal { deal, .. }) if deal == cid));
    assert_eq!(store.sectors().count(), 0);
}

#[test]
fn a_channel_is_promised_to_one_deal() {
    let (_dir, store) = store();
    let (first, second) = (proposal(1, 500, Some(9)).0, proposal(2, 500, Some(9)).0);
    let (owner, payer) = (first.cid(), first.proposal.payment.payer.clone());
    store.accept(&record(first.clone())).unwrap();
    let refused = store.accept(&record(second.clone()));
    assert!(matches!(refused, Err(StoreError::ChannelPromised { deal, .. }) if deal == owner));
    assert_eq!(store.deal(&second.cid()).unwrap(), None);
    assert_eq!(store.promised(&payer, ChannelId(9)).unwrap(), Some(owner));
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::open(&path).unwrap();
    let cid = received(&store, 1, 500);
    let sector = store.place(&cid, SIZE, 10).unwrap();
    let before = (store.deal(&cid).unwrap(), store.sector(sector).unwrap());
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!((store.deal(&cid).unwrap(), store.sector(sector).unwrap()), before);
    let waiting = store
        .deals_to(|effect| effect == MinerEffect::AwaitSector { sector })
        .unwrap();
    assert_eq!(waiting.iter().map(|(cid, _)| *cid).collect::<Vec<_>>(), [cid]);
}

#[test]
fn refusals_are_kept_up_to_a_bound_and_the_oldest_go_first() {
    let (_dir, store) = store();
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

#[test]
fn a_committed_sector_completes_its_deals_with_inclusion_proofs_that_hold() {
    let (_dir, store) = store();
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
fn commit(store: &Store, id: u64) -> Commitment {
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

#[test]
fn a_phase_is_estimated_by_what_it_took_the_last_time_that_it_succeeded() {
    let (_dir, store) = store();
    let sector = store.place(&received(&store, 1, 500), SIZE, 10).unwrap();
    assert_eq!(store.estimate(SIZE, Phase::Commit2).unwrap(), None);
    commit(&store, sector);
    assert_eq!(store.estimate(SIZE, Phase::Commit2).unwrap(), Some(100));
    assert_eq!(store.estimate(SectorSize::S8MiB, Phase::Commit2).unwrap(), None);
}

/// A sector whose step failed as often as it is tried.
fn stuck(store: &Store) -> (Cid, u64) {
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

#[test]
fn a_sector_given_up_fails_its_deals() {
    let (_dir, store) = store();
    let (cid, sector) = stuck(&store);
    store.advance_sector(sector, SectorInput::GivenUp, 50).unwrap();
    assert_eq!(store.settle(sector).unwrap(), [cid]);
    assert_eq!(store.deal(&cid).unwrap().unwrap().deal.state(), DealState::Failed);
}

#[test]
fn the_deals_of_a_failed_sector_wait_with_their_data_for_the_operators_order() {
    let (_dir, store) = store();
    let (cid, sector) = stuck(&store);
    assert_eq!(store.settle(sector).unwrap(), []);
    let deal = store.deal(&cid).unwrap().unwrap().deal;
    assert_eq!(deal.effect(), MinerEffect::AwaitSector { sector });
    assert!(store
        .wanted_pieces()
        .unwrap()
        .contains(&deal.proposal.proposal.piece_ref));
    store.advance_sector(sector, SectorInput::RetryOrdered, 50).unwrap();
    let record = store.sector(sector).unwrap().unwrap();
    assert_eq!((record.sector.phase(), record.retry_at_ms), (Phase::Closed, None));
}

#[test]
fn a_failed_step_is_tried_again_after_a_pause_that_a_restart_does_not_shorten() {
    let (_dir, store) = store();
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

#[test]
fn an_evicted_piece_leaves_its_sector_and_its_deal_fails_with_the_reason() {
    let (_dir, store) = store();
    let (gone, stays) = (received(&store, 1, 500), received(&store, 2, 500));
    let sector = store.place(&gone, SIZE, 10).unwrap();
    assert_eq!(store.place(&stays, SIZE, 10).unwrap(), sector);
    for _ in 0..2 {
        store.evict(&gone, "too late".into()).unwrap();
        let pieces = store.sector(sector).unwrap().unwrap().sector.pieces;
        assert_eq!(pieces.iter().map(|piece| piece.deal).collect::<Vec<_>>(), [stays]);
        assert_eq!(store.deal(&gone).unwrap().unwrap().deal.response().message, "too late");
    }
    assert!(store.deals_to(|_| true).unwrap().iter().all(|(cid, _)| *cid == stays));
}

#[test]
fn a_sector_that_lost_all_its_pieces_takes_others_and_its_timer_begins_anew() {
    let (_dir, store) = store();
    let first = received(&store, 1, 500);
    let sector = store.place(&first, SIZE, 10).unwrap();
    store.evict(&first, "too late".into()).unwrap();
    assert_eq!(store.place(&received(&store, 2, 500), SIZE, 99).unwrap(), sector);
    assert_eq!(store.sector(sector).unwrap().unwrap().first_piece_ms, 99);
}

#[test]
fn proofs_of_spacetime_are_kept_by_window() {
    let (_dir, store) = store();
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

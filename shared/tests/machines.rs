//! The machines of a deal and of a sector: every stage in order, the same effect after a restart, and what they refuse.

mod parties;

use cid::Cid;
use parties::{key, COMM_P};
use shared::chain::keys::cid_of_bytes;
use shared::chain::{AttoFil, ChannelId, Epoch};
use shared::deal::client::ClientRefusal;
use shared::deal::retention::Over;
use shared::deal::{
    ClientDeal, ClientEffect, ClientInput, ClientStage, DealState, Draft, MinerDeal, MinerEffect, MinerInput,
    ProofInfo, Proposal, Response, SignedProposal, SignedResponse,
};
use shared::piece::node::raw_cid;
use shared::piece::{padded_for, Commitment, InclusionProof, SectorLayout, SectorSize};
use shared::sector::machine::SectorRefusal;
use shared::sector::{Phase, Sector, SectorEffect, SectorInput, SectorPiece};
use shared::wire::cbor::Bytes;

fn cid(seed: &[u8]) -> Cid {
    cid_of_bytes(seed)
}

fn draft() -> Draft {
    parties::draft(2500)
}

fn signed_deal() -> (ClientDeal, SignedProposal) {
    let mut deal = ClientDeal::new(draft());
    deal.handle(ClientInput::ChannelOpened {
        channel: ChannelId(9),
        message: cid(b"message"),
    })
    .expect("opened");
    let proposal = deal.sign(&key(1)).expect("a schedule");
    deal.handle(ClientInput::Signed {
        proposal: proposal.clone(),
    })
    .expect("signed");
    (deal, proposal)
}

fn answer(proposal: &SignedProposal, state: DealState, proof_info: Option<ProofInfo>) -> SignedResponse {
    Response {
        state,
        message: "why".into(),
        proposal_cid: proposal.cid(),
        proof_info,
    }
    .sign(&key(3))
}

fn proof_of(comm_p: Commitment) -> ProofInfo {
    let mut layout = SectorLayout::new(SectorSize::S2KiB);
    layout
        .place(padded_for(300).expect("small"), Commitment([1; 32]))
        .expect("room");
    layout.place(padded_for(1000).expect("small"), comm_p).expect("room");
    let proof = InclusionProof::prove(&layout, 1).expect("the second piece");
    ProofInfo {
        sector_id: 1,
        comm_d: layout.comm_d(),
        comm_r: Commitment([2; 32]),
        comm_r_star: Commitment([3; 32]),
        commitment_message: cid(b"commit"),
        piece_inclusion_proof: Some(Bytes(proof.to_bytes())),
    }
}

#[test]
fn a_client_deal_opens_its_channel_signs_proposes_and_asks_until_it_is_proven() {
    let mut deal = ClientDeal::new(draft());
    let opening = ClientEffect::OpenChannel {
        target: key(2).address(),
        amount: AttoFil(5_000_000),
        eol: Epoch(773 + 2500 + 2000),
    };
    assert_eq!(deal.effect(), opening);
    deal.handle(ClientInput::ChannelOpened {
        channel: ChannelId(9),
        message: cid(b"message"),
    })
    .expect("opened");
    assert_eq!(deal.effect(), ClientEffect::Sign);
    let (mut deal, proposal) = signed_deal();
    assert_eq!(deal.effect(), ClientEffect::Propose);
    for state in [DealState::Accepted, DealState::Staged] {
        deal.handle(ClientInput::Answered {
            response: answer(&proposal, state, None),
        })
        .expect("running");
        assert_eq!(deal.effect(), ClientEffect::ServeAndQuery);
    }
    let complete = answer(&proposal, DealState::Complete, Some(proof_of(COMM_P)));
    deal.handle(ClientInput::Answered { response: complete })
        .expect("proven");
    assert_eq!(deal.effect(), ClientEffect::Rest);
    assert!(matches!(deal.stage, ClientStage::Complete { .. }));
}

#[test]
fn a_client_deal_survives_being_stored_at_every_stage() {
    let (mut deal, proposal) = signed_deal();
    let stored = serde_json::to_string(&deal).expect("stored");
    assert_eq!(serde_json::from_str::<ClientDeal>(&stored).expect("loaded"), deal);
    deal.handle(ClientInput::Answered {
        response: answer(&proposal, DealState::Accepted, None),
    })
    .expect("running");
    let stored = serde_json::to_string(&deal).expect("stored");
    assert_eq!(serde_json::from_str::<ClientDeal>(&stored).expect("loaded"), deal);
}

#[test]
fn an_answer_that_the_worker_did_not_sign_changes_nothing() {
    let (mut deal, proposal) = signed_deal();
    let before = deal.clone();
    let mut forged = answer(&proposal, DealState::Accepted, None);
    forged.response.state = DealState::Failed;
    assert_eq!(
        deal.handle(ClientInput::Answered { response: forged }),
        Err(ClientRefusal::ResponseSignature)
    );
    assert_eq!(deal, before);
}

#[test]
fn an_answer_about_another_deal_changes_nothing() {
    let (mut deal, proposal) = signed_deal();
    let answered = cid(b"other");
    let other = Response {
        state: DealState::Accepted,
        message: String::new(),
        proposal_cid: answered,
        proof_info: None,
    };
    let refusal = deal.handle(ClientInput::Answered {
        response: other.sign(&key(3)),
    });
    assert_eq!(
        refusal,
        Err(ClientRefusal::OtherDeal {
            asked: proposal.cid(),
            answered
        })
    );
}

#[test]
fn complete_without_a_proof_of_this_piece_is_not_believed() {
    let (mut deal, proposal) = signed_deal();
    for proof in [None, Some(proof_of(Commitment([8; 32])))] {
        let complete = answer(&proposal, DealState::Complete, proof);
        assert!(matches!(
            deal.handle(ClientInput::Answered { response: complete }),
            Err(ClientRefusal::Unproven(_))
        ));
    }
    assert_eq!(deal.effect(), ClientEffect::Propose);
}

#[test]
fn a_rejection_names_the_channel_to_cancel() {
    let (mut deal, proposal) = signed_deal();
    deal.handle(ClientInput::Answered {
        response: answer(&proposal, DealState::Rejected, None),
    })
    .expect("over");
    assert_eq!(
        deal.stage,
        ClientStage::Failed {
            reason: "deal rejected: why".into(),
            channel: Some(9)
        }
    );
}

#[test]
fn a_free_deal_opens_no_channel() {
    let mut deal = ClientDeal::new(Draft {
        price: AttoFil::ZERO,
        ..draft()
    });
    assert_eq!(deal.effect(), ClientEffect::Sign);
    let proposal = deal.sign(&key(1)).expect("no schedule needed");
    assert_eq!(
        (
            proposal.proposal.payment.channel,
            proposal.proposal.payment.vouchers.clone()
        ),
        (None, None)
    );
    deal.handle(ClientInput::Signed { proposal }).expect("signed");
}

#[test]
fn only_the_sector_that_a_deal_lies_in_gets_another_number_and_twice_is_as_once() {
    let (_, proposal) = signed_deal();
    let mut deal = MinerDeal::accepted(proposal, Epoch(775));
    let renumbered = MinerInput::Renumbered { from: 4, to: 9 };
    assert!(deal.handle(renumbered.clone()).is_err());
    deal.handle(MinerInput::PieceReceived { comm_p: COMM_P })
        .expect("accepted");
    deal.handle(MinerInput::Placed { sector: 4 }).expect("received");
    assert!(deal.handle(MinerInput::Renumbered { from: 5, to: 6 }).is_err());
    for _ in 0..2 {
        deal.handle(renumbered.clone()).expect("it lies there");
        assert_eq!((deal.sector(), deal.state()), (Some(9), DealState::Staged));
    }
}

#[test]
fn a_miner_deal_fetches_places_waits_and_completes_and_repeats_are_harmless() {
    let (_, proposal) = signed_deal();
    let mut deal = MinerDeal::accepted(proposal, Epoch(775));
    let steps = [
        (
            MinerInput::PieceReceived { comm_p: COMM_P },
            MinerEffect::Place,
            DealState::Accepted,
        ),
        (
            MinerInput::Placed { sector: 4 },
            MinerEffect::AwaitSector { sector: 4 },
            DealState::Staged,
        ),
        (
            MinerInput::Committed {
                proof: proof_of(COMM_P),
            },
            MinerEffect::Keep { until: Epoch(3273) },
            DealState::Complete,
        ),
    ];
    assert_eq!(deal.effect(), MinerEffect::FetchPiece);
    for (input, effect, state) in steps {
        for _ in 0..2 {
            deal.handle(input.clone()).expect("applies, also twice");
            assert_eq!((deal.effect(), deal.state()), (effect, state));
        }
    }
    assert!(deal.handle(MinerInput::Placed { sector: 5 }).is_err());
    assert!(deal.response().proof_info.is_some());
}

/// A deal that was reviewed at price 0: nothing of its payment was looked at.
fn unpaid(change: impl FnOnce(&mut Proposal)) -> MinerDeal {
    let (_, signed) = signed_deal();
    let mut proposal = signed.proposal;
    for voucher in proposal.payment.vouchers.iter_mut().flatten() {
        voucher.valid_at = Epoch(u64::MAX);
    }
    change(&mut proposal);
    MinerDeal::accepted(proposal.sign(&key(1)), Epoch(775))
}

#[test]
fn a_deal_ends_at_the_latest_its_duration_after_its_acceptance_whatever_its_vouchers_say() {
    let duration = unpaid(|_| {}).proposal.proposal.duration;
    assert_eq!(unpaid(|_| {}).end(), Epoch(775 + duration));
    let free = |proposal: &mut Proposal| proposal.total_price = AttoFil::ZERO;
    assert_eq!(unpaid(free).end(), Epoch(775 + duration));
    assert_eq!(
        unpaid(|proposal| {
            free(proposal);
            first_due(proposal);
        })
        .end(),
        Epoch(775 + duration),
        "vouchers of a free deal do not end it early either"
    );
    assert!(unpaid(free).vouchers().is_empty(), "there is nothing to redeem");
}

fn first_due(proposal: &mut Proposal) {
    for voucher in proposal.payment.vouchers.iter_mut().flatten() {
        voucher.valid_at = Epoch(1);
    }
}

#[test]
fn a_piece_that_the_vouchers_do_not_speak_of_fails_the_deal() {
    let (_, proposal) = signed_deal();
    let mut deal = MinerDeal::accepted(proposal, Epoch(775));
    deal.handle(MinerInput::PieceReceived {
        comm_p: Commitment([9; 32]),
    })
    .expect("applies");
    assert_eq!(deal.state(), DealState::Failed);
    assert!(deal.response().message.starts_with("payment error: piece commitment, "));
}

fn piece(seed: u8, size: u64) -> SectorPiece {
    SectorPiece {
        deal: cid(&[seed]),
        data_cid: raw_cid(&[seed, 1]),
        size,
        comm_p: Commitment([seed; 32]),
    }
}

fn commitments() -> SectorInput {
    let at = |byte| Commitment([byte; 32]);
    SectorInput::PreCommit2Done {
        comm_d: at(1),
        comm_r: at(2),
        comm_c: at(3),
    }
}

#[test]
fn a_sector_goes_through_its_phases_in_order() {
    let mut sector = Sector::new(1, SectorSize::S2KiB);
    assert_eq!(
        sector.handle(SectorInput::Close),
        Err(SectorRefusal::Empty { sector: 1 })
    );
    let inputs = [
        (SectorInput::PieceAdded(piece(1, 500)), Phase::Packing),
        (SectorInput::Close, Phase::Closed),
        (
            SectorInput::TicketDrawn {
                epoch: Epoch(5),
                ticket: [4; 32],
            },
            Phase::PreCommit1,
        ),
        (SectorInput::PreCommit1Done { output: vec![1] }, Phase::PreCommit2),
        (commitments(), Phase::PreCommitting),
        (SectorInput::PreCommitted { seed_epoch: Epoch(20) }, Phase::WaitSeed),
        (SectorInput::SeedDrawn { seed: [5; 32] }, Phase::Commit1),
        (SectorInput::Commit1Done { output: vec![2] }, Phase::Commit2),
        (SectorInput::Commit2Done { proof: vec![3; 192] }, Phase::Committing),
        (
            SectorInput::Committed {
                message: cid(b"m"),
                height: Epoch(30),
            },
            Phase::Proving,
        ),
    ];
    for (input, phase) in inputs {
        sector.handle(input).expect("in order");
        assert_eq!(sector.phase(), phase);
        assert_eq!(sector.sealed().is_some(), phase >= Phase::PreCommitting, "{phase:?}");
        let stored = serde_json::to_string(&sector).expect("stored");
        let loaded: Sector = serde_json::from_str(&stored).expect("loaded");
        assert_eq!(loaded.effect(), sector.effect());
    }
    assert_eq!(sector.effect(), SectorEffect::Prove);
    let late = sector.handle(SectorInput::PieceAdded(piece(2, 500)));
    assert_eq!(late, Err(SectorRefusal::NotPacking { sector: 1 }));
}

#[test]
fn a_sector_takes_pieces_while_they_fit_and_each_deal_once() {
    let mut sector = Sector::new(1, SectorSize::S2KiB);
    sector.handle(SectorInput::PieceAdded(piece(1, 1016))).expect("half");
    sector
        .handle(SectorInput::PieceAdded(piece(1, 1016)))
        .expect("the same again changes nothing");
    assert!(sector.fits(1016));
    assert_eq!(
        sector.handle(SectorInput::PieceAdded(piece(2, 1017))),
        Err(SectorRefusal::Full { sector: 1, size: 1017 })
    );
    sector
        .handle(SectorInput::PieceAdded(piece(2, 1016)))
        .expect("the other half");
    assert!(!sector.fits(1));
    assert_eq!(sector.pieces.len(), 2);
}

#[test]
fn a_sector_is_nearly_full_when_no_quarter_of_it_is_free_any_more() {
    let filled_with = |sizes: &[u64]| {
        let mut sector = Sector::new(1, SectorSize::S2KiB);
        for (deal, size) in (1..).zip(sizes) {
            sector
                .handle(SectorInput::PieceAdded(piece(deal, *size)))
                .expect("it fits");
        }
        sector.is_nearly_full()
    };
    assert!(!filled_with(&[]));
    assert!(!filled_with(&[1016]), "another half fits");
    assert!(!filled_with(&[1016, 508]), "another quarter fits");
    assert!(
        filled_with(&[1016, 508, 1]),
        "seven eighths at most are left of a quarter"
    );
    assert!(filled_with(&[1017]), "it takes the whole sector");
    assert!(
        filled_with(&[127, 1016]),
        "the gaps before aligned pieces are not free: {:?}",
        SectorSize::S2KiB
    );
}

/// spec §9.23, spec §9.25 (the signatures): every answer is signed by the worker, a rejection like an acceptance.
#[test]
fn acceptances_and_rejections_verify_under_the_workers_key() {
    let (_, proposal) = signed_deal();
    let reason = "no".to_owned();
    let accepted = MinerDeal::accepted(proposal.clone(), Epoch(775)).response();
    let rejected = MinerDeal::rejected(proposal, reason.clone(), Epoch(775)).response();
    assert_eq!((accepted.state, accepted.message.as_str()), (DealState::Accepted, ""));
    assert_eq!((rejected.state, &rejected.message), (DealState::Rejected, &reason));
    for response in [accepted, rejected] {
        let signed = response.sign(&key(3));
        assert!(signed.is_signed_by(&key(3).address()));
        assert!(!signed.is_signed_by(&key(4).address()));
    }
}

fn proving(pieces: &[SectorPiece]) -> Sector {
    let mut sector = Sector::new(1, SectorSize::S2KiB);
    let adding = pieces.iter().cloned().map(SectorInput::PieceAdded);
    let sealing = [
        SectorInput::Close,
        SectorInput::TicketDrawn {
            epoch: Epoch(5),
            ticket: [4; 32],
        },
        SectorInput::PreCommit1Done { output: vec![1] },
        commitments(),
        SectorInput::PreCommitted { seed_epoch: Epoch(20) },
        SectorInput::SeedDrawn { seed: [5; 32] },
        SectorInput::Commit1Done { output: vec![2] },
        SectorInput::Commit2Done { proof: vec![3; 192] },
        SectorInput::Committed {
            message: cid(b"m"),
            height: Epoch(30),
        },
    ];
    for input in adding.chain(sealing) {
        sector.handle(input).expect("in order");
    }
    sector
}

#[test]
fn a_sector_whose_deals_have_ended_is_proven_a_last_time_and_deleted() {
    let mut sector = proving(&[piece(1, 500)]);
    let steps = [
        (SectorInput::DealsEnded, SectorEffect::ProveAndRelease),
        (SectorInput::DealsEnded, SectorEffect::ProveAndRelease),
        (SectorInput::Dropped { height: Epoch(400) }, SectorEffect::DeleteFiles),
        (SectorInput::FilesDeleted, SectorEffect::Rest),
    ];
    for (input, effect) in steps {
        sector.handle(input).expect("in order");
        assert_eq!(sector.effect(), effect);
    }
    assert_eq!(sector.phase(), Phase::Removed);
    assert!(sector
        .handle(SectorInput::StepFailed { reason: "late".into() })
        .is_err());
}

#[test]
fn a_committed_sector_that_the_chain_took_away_has_failed_where_it_was() {
    let mut sector = proving(&[piece(1, 500)]);
    let dropped = sector.handle(SectorInput::Dropped { height: Epoch(9) });
    assert!(dropped.is_err(), "nobody named it done");
    let reason: String = "slashed".into();
    sector.handle(SectorInput::Lost { reason }).expect("committed");
    assert_eq!((sector.phase(), sector.effect()), (Phase::Failed, SectorEffect::Rest));
}

/// A deal whose piece lies in the sector of that number.
fn staged(sector: u64) -> MinerDeal {
    let mut deal = MinerDeal::accepted(signed_deal().1, Epoch(775));
    deal.handle(MinerInput::PieceReceived { comm_p: COMM_P })
        .expect("accepted");
    deal.handle(MinerInput::Placed { sector }).expect("received");
    deal
}

#[test]
fn a_deal_from_before_the_height_of_its_answer_was_kept_has_the_highest() {
    let mut stored = serde_json::to_value(staged(7)).expect("stored");
    let fields = stored.as_object_mut().expect("an object");
    assert!(fields.remove("answered_at").is_some());
    let loaded: MinerDeal = serde_json::from_value(stored).expect("loaded");
    assert_eq!(loaded.answered_at, Epoch(u64::MAX));
}

/// spec §9.30: a sector keeps the pieces that await its seal, and each deal its sector, over every restart.
#[test]
fn what_awaits_sealing_survives_being_stored() {
    let mut sector = Sector::new(4, SectorSize::S2KiB);
    for number in 1..=2 {
        sector
            .handle(SectorInput::PieceAdded(piece(number, 500)))
            .expect("there is room");
    }
    let stored = serde_json::to_string(&sector).expect("stored");
    let loaded: Sector = serde_json::from_str(&stored).expect("loaded");
    assert_eq!(loaded, sector);
    assert_eq!(loaded.pieces, [piece(1, 500), piece(2, 500)]);
    let stored = serde_json::to_string(&staged(4)).expect("stored");
    let loaded: MinerDeal = serde_json::from_str(&stored).expect("loaded");
    assert_eq!(loaded, staged(4));
    assert_eq!(loaded.effect(), MinerEffect::AwaitSector { sector: 4 });
}

/// spec §9.31: the commitment completes the deal with sector, message, three commitments and inclusion proof, under a
/// signature of its own; one without an inclusion proof completes it too, which the client does not believe.
#[test]
fn a_commitment_completes_the_deal_with_all_that_a_client_checks_signed_anew() {
    let before = staged(1).response().sign(&key(3));
    for inclusion in [true, false] {
        let mut proof = proof_of(COMM_P);
        if !inclusion {
            proof.piece_inclusion_proof = None;
        }
        let mut deal = staged(1);
        let committed = MinerInput::Committed { proof: proof.clone() };
        deal.handle(committed).expect("staged");
        let signed = deal.response().sign(&key(3));
        assert_eq!(signed.response.state, DealState::Complete);
        assert_eq!(signed.response.proof_info.as_ref(), Some(&proof));
        assert!(signed.is_signed_by(&key(3).address()) && signed.signature != before.signature);
        let (mut client, _) = signed_deal();
        let believed = client.handle(ClientInput::Answered { response: signed });
        match inclusion {
            true => assert_eq!((believed, client.proof()), (Ok(()), Some(&proof))),
            false => assert_eq!(believed, Err(ClientRefusal::Unproven("sends no inclusion proof"))),
        }
    }
}

/// spec §9.21 (a null condition is good): a deal of one interval had nothing but that in 2019.
#[test]
fn vouchers_without_a_condition_suit_any_piece_and_one_condition_suits_only_its_own() {
    let other = Commitment([9; 32]);
    for (duration, state) in [(999, DealState::Accepted), (1001, DealState::Failed)] {
        let mut client = ClientDeal::new(parties::draft(duration));
        let (channel, message) = (ChannelId(9), cid(b"message"));
        client
            .handle(ClientInput::ChannelOpened { channel, message })
            .expect("drafted");
        let ours = client.sign(&key(1)).expect("a schedule");
        let mut of_2019 = ours.clone();
        let last = of_2019
            .proposal
            .payment
            .vouchers
            .as_mut()
            .and_then(|all| all.last_mut());
        last.expect("a paid deal").condition = None;
        for (proposal, state) in [(of_2019, state), (ours, DealState::Failed)] {
            let mut deal = MinerDeal::accepted(proposal, Epoch(775));
            deal.handle(MinerInput::PieceReceived { comm_p: other })
                .expect("accepted");
            assert_eq!(deal.state(), state, "{duration} blocks");
        }
    }
}

/// spec §9.34, spec §9.35: any number of deals of a sector is told of its fate, at any time, those of another are not; what
/// 2019 kept beside ("deals awaiting seal", one late attach) is the sector's own record here.
#[test]
fn each_deal_of_a_sector_completes_whenever_it_asks_and_repeats_are_harmless() {
    for mut deal in [staged(1), staged(1), staged(1)] {
        let proof = proof_of(COMM_P);
        for _ in 0..2 {
            let committed = MinerInput::Committed { proof: proof.clone() };
            deal.handle(committed).expect("also twice");
        }
        assert_eq!(deal.response().proof_info, Some(proof));
    }
    for mut failed in [staged(7), staged(7)] {
        for _ in 0..2 {
            failed
                .handle(MinerInput::SectorFailed { sector: 7 })
                .expect("also twice");
        }
        let response = failed.response();
        assert_eq!((response.state, response.proof_info), (DealState::Failed, None));
        assert_eq!(response.message, "failed sealing sector: 7");
        assert_eq!((failed.over(), staged(7).over()), (Some(Over::Failed), None));
    }
    let mut kept = staged(1);
    let proof = proof_of(COMM_P);
    kept.handle(MinerInput::Committed { proof }).expect("complete");
    let refused = kept
        .handle(MinerInput::SectorFailed { sector: 2 })
        .expect_err("another's");
    assert!(refused.to_string().contains("a failed sector"), "{refused}");
    kept.handle(MinerInput::SectorFailed { sector: 1 }).expect("lost");
    let response = kept.response();
    assert_eq!(
        (response.state, &*response.message),
        (DealState::Failed, "sector 1 was lost")
    );
    assert_eq!(staged(2).effect(), MinerEffect::AwaitSector { sector: 2 });
}

#[test]
fn a_deal_that_is_not_sealed_when_its_time_is_over_fails_before_the_client_gives_up() {
    let (client, proposal) = signed_deal();
    let mut deal = MinerDeal::accepted(proposal, Epoch(775));
    assert_eq!(deal.deadline(), Some(Epoch(3273)));
    deal.handle(MinerInput::PieceReceived { comm_p: COMM_P })
        .expect("accepted");
    let deadline = deal.deadline().expect("not sealed");
    assert!(Some(deadline) < client.deadline(), "{deadline}");
    deal.handle(MinerInput::Ended { height: deadline }).expect("late");
    assert_eq!((deal.state(), deal.effect()), (DealState::Failed, MinerEffect::Rest));
}

#[test]
fn a_piece_that_cannot_be_committed_before_its_deal_is_given_up_fails_the_deal_with_both_heights() {
    let (_, proposal) = signed_deal();
    let mut deal = MinerDeal::accepted(proposal, Epoch(775));
    deal.handle(MinerInput::PieceReceived { comm_p: COMM_P })
        .expect("accepted");
    deal.handle(MinerInput::Placed { sector: 4 }).expect("received");
    let deadline = deal.deadline().expect("not sealed");
    let before = |blocks: u64| Epoch(deadline.0 - blocks);
    assert_eq!(deal.is_too_late(before(101), 100), None);
    let reason = deal.is_too_late(before(100), 100).expect("too late");
    for height in [deadline, before(100)] {
        assert!(reason.contains(&height.to_string()), "{reason}");
    }
    for _ in 0..2 {
        let reason = reason.clone();
        deal.handle(MinerInput::Evicted { reason }).expect("also twice");
    }
    assert_eq!((deal.state(), deal.response().message), (DealState::Failed, reason));
    assert_eq!(deal.is_too_late(deadline, 100), None, "it is over");
}

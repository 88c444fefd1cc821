//! What a failed step does to a sector: where it goes on, how often, and what is left to the operator.

use shared::chain::keys::cid_of_bytes;
use shared::chain::Epoch;
use shared::piece::node::raw_cid;
use shared::piece::{Commitment, SectorSize};
use shared::sector::machine::{SectorRefusal, MAX_ATTEMPTS};
use shared::sector::{
    pause_left_ms, retry_pause_ms, Phase, Sector, SectorEffect, SectorInput, SectorPiece, SectorStage,
};

fn fail(sector: &mut Sector) {
    let reason = "the disk is full".to_owned();
    sector.handle(SectorInput::StepFailed { reason }).expect("it is sealed");
}

fn go_on(sector: &mut Sector) {
    let comm = |byte| Commitment([byte; 32]);
    let input = match sector.effect() {
        SectorEffect::Pack => SectorInput::Close,
        SectorEffect::DrawTicket => SectorInput::TicketDrawn {
            epoch: Epoch(5),
            ticket: [4; 32],
        },
        SectorEffect::PreCommit1 { .. } => SectorInput::PreCommit1Done { output: vec![1] },
        SectorEffect::PreCommit2 { .. } => SectorInput::PreCommit2Done {
            comm_d: comm(1),
            comm_r: comm(2),
            comm_c: comm(3),
        },
        SectorEffect::SubmitPreCommit { .. } => SectorInput::PreCommitted { seed_epoch: Epoch(20) },
        SectorEffect::AwaitSeed { .. } => SectorInput::SeedDrawn { seed: [5; 32] },
        SectorEffect::Commit1 { .. } => SectorInput::Commit1Done { output: vec![2] },
        SectorEffect::Commit2 { .. } => SectorInput::Commit2Done { proof: vec![3; 192] },
        other => panic!("{other:?} is not of sealing"),
    };
    sector.handle(input).expect("it is in order");
}

/// A sector with one piece that has come to this phase.
fn sector_at(phase: Phase) -> Sector {
    let mut sector = Sector::new(1, SectorSize::S2KiB);
    sector.handle(SectorInput::PieceAdded(piece(1))).expect("room");
    while sector.phase() != phase {
        go_on(&mut sector);
    }
    sector
}

fn piece(seed: u8) -> SectorPiece {
    SectorPiece {
        deal: cid_of_bytes(&[seed]),
        data_cid: raw_cid(&[seed, 1]),
        size: 500,
        comm_p: Commitment([seed; 32]),
    }
}

#[test]
fn a_failed_step_goes_back_only_as_far_as_it_must() {
    let expected = [
        (Phase::Closed, Phase::Closed),
        (Phase::PreCommit1, Phase::PreCommit1),
        (Phase::PreCommit2, Phase::PreCommit1),
        (Phase::PreCommitting, Phase::PreCommitting),
        (Phase::WaitSeed, Phase::WaitSeed),
        (Phase::Commit1, Phase::Commit1),
        (Phase::Commit2, Phase::Commit1),
        (Phase::Committing, Phase::Committing),
    ];
    for (at, next) in expected {
        let mut sector = sector_at(at);
        fail(&mut sector);
        assert_eq!(sector.phase(), next, "after a failure in {at:?}");
        let setback = sector.setback().expect("it failed");
        assert_eq!((setback.failed, setback.next, setback.attempts), (at, Some(next), 1));
        assert_eq!((setback.reason, setback.awaits_operator), ("the disk is full", false));
    }
}

/// Openings that fail twice point at the replica: it is looked at from phase 1, under the same ticket, so that the
/// pre-commit on the chain still stands.
#[test]
fn a_replica_whose_openings_fail_again_is_made_anew_under_its_ticket() {
    let mut sector = sector_at(Phase::Commit1);
    fail(&mut sector);
    fail(&mut sector);
    let same_ticket = SectorStage::PreCommit1 {
        ticket_epoch: Epoch(5),
        ticket: [4; 32],
    };
    assert_eq!(sector.stage, same_ticket);
}

/// Else a phase that always fails would be tried for ever, since the one before it succeeds in between.
#[test]
fn what_is_repeated_before_the_failed_phase_does_not_count_as_progress() {
    let mut sector = sector_at(Phase::PreCommit2);
    for attempt in 1..MAX_ATTEMPTS {
        fail(&mut sector);
        assert_eq!((sector.phase(), sector.attempts), (Phase::PreCommit1, attempt));
        go_on(&mut sector);
        assert_eq!(sector.attempts, attempt, "phase 1 was done before");
    }
    fail(&mut sector);
    assert_eq!(sector.effect(), SectorEffect::AwaitOperator);
}

#[test]
fn a_sector_that_comes_further_than_ever_has_all_its_attempts_again() {
    let mut sector = sector_at(Phase::PreCommit2);
    fail(&mut sector);
    go_on(&mut sector);
    go_on(&mut sector);
    assert_eq!((sector.phase(), sector.attempts), (Phase::PreCommitting, 0));
    assert_eq!(sector.setback(), None);
}

#[test]
fn pauses_grow_from_seconds_to_an_hour() {
    let pauses: Vec<u64> = (1..=8).map(|attempts| retry_pause_ms(attempts) / 1000).collect();
    assert_eq!(pauses, [5, 20, 80, 320, 1280, 3600, 3600, 3600]);
    assert_eq!(retry_pause_ms(u32::MAX), 3_600_000);
}

fn stuck() -> Sector {
    let mut sector = sector_at(Phase::Commit2);
    while sector.effect() != SectorEffect::AwaitOperator {
        fail(&mut sector);
    }
    sector
}

#[test]
fn after_its_attempts_a_sector_keeps_its_reason_and_goes_on_at_the_operators_order() {
    let mut sector = stuck();
    let setback = sector.setback().expect("it failed");
    assert!(setback.awaits_operator);
    assert_eq!((setback.attempts, setback.reason), (MAX_ATTEMPTS, "the disk is full"));
    let next = setback.next.expect("there is a way on");
    let stored = serde_json::to_string(&sector).expect("stored");
    sector = serde_json::from_str(&stored).expect("loaded");
    sector.handle(SectorInput::RetryOrdered).expect("it failed");
    assert_eq!((sector.phase(), sector.attempts, sector.setback()), (next, 0, None));
}

#[test]
fn a_sector_that_is_given_up_or_lost_is_not_tried_again() {
    let mut sector = stuck();
    for _ in 0..2 {
        sector.handle(SectorInput::GivenUp).expect("also twice");
        assert_eq!(sector.effect(), SectorEffect::Rest);
    }
    let retry = |sector: &mut Sector| sector.handle(SectorInput::RetryOrdered);
    assert_eq!(retry(&mut sector), Err(SectorRefusal::NoWayOn { sector: 1 }));
    let mut sealing = sector_at(Phase::PreCommit2);
    let phase = Phase::PreCommit2;
    assert_eq!(retry(&mut sealing), Err(SectorRefusal::NotFailed { sector: 1, phase }));
    let given_up = sealing.handle(SectorInput::GivenUp);
    assert_eq!(given_up, Err(SectorRefusal::NotFailed { sector: 1, phase }));
}

#[test]
fn an_expired_seal_starts_again_with_a_new_ticket() {
    let mut sector = sector_at(Phase::PreCommitting);
    let reason: String = "ticket too old".into();
    sector.handle(SectorInput::SealExpired { reason }).expect("again");
    assert_eq!((sector.effect(), sector.attempts), (SectorEffect::DrawTicket, 1));
}

#[test]
fn no_pause_outlasts_a_time_of_day_that_was_set_back() {
    let (now, pause) = (10_000_000, retry_pause_ms(2));
    assert_eq!(pause_left_ms(now + pause, 2, now), pause);
    assert_eq!(pause_left_ms(now + pause, 2, now + pause - 1), 1);
    assert_eq!(pause_left_ms(now + pause, 2, now + pause), 0);
    assert_eq!(pause_left_ms(now + pause, 2, now - 3_600_000), 0);
}

#[test]
fn a_sector_is_abandoned_only_while_nothing_of_it_is_on_the_chain() {
    let abandon = |phase| {
        let mut sector = sector_at(phase);
        let reason: String = "nobody needs it".into();
        let done = sector.handle(SectorInput::Abandoned { reason });
        (done.is_ok(), sector.effect() == SectorEffect::Rest)
    };
    for phase in [Phase::Closed, Phase::PreCommit1, Phase::PreCommit2] {
        assert_eq!(abandon(phase), (true, true), "{phase:?}");
    }
    for phase in [Phase::Packing, Phase::PreCommitting, Phase::WaitSeed, Phase::Committing] {
        assert_eq!(abandon(phase), (false, false), "{phase:?}");
    }
}

#[test]
fn a_piece_is_evicted_only_while_its_sector_packs() {
    let mut sector = sector_at(Phase::Packing);
    sector.handle(SectorInput::PieceAdded(piece(2))).expect("room");
    let deal = piece(1).deal;
    for _ in 0..2 {
        sector.handle(SectorInput::PieceEvicted { deal }).expect("also twice");
        assert_eq!(sector.pieces, [piece(2)]);
    }
    let mut closed = sector_at(Phase::Closed);
    assert!(closed.handle(SectorInput::PieceEvicted { deal }).is_err());
    assert_eq!(closed.pieces, [piece(1)]);
}

/// Records of the version before this one have neither the phase that failed nor a stage to resume.
#[test]
fn sectors_that_an_earlier_version_wrote_are_read() {
    let failed = r#"{"id":1,"size":"2KiB","pieces":[],"attempts":3,"last_error":"disk",
        "stage":{"Failed":{"phase":"commit2","reason":"disk"}}}"#;
    let size = serde_json::to_string(&SectorSize::S2KiB).expect("stored");
    let sector: Sector = serde_json::from_str(&failed.replace("\"2KiB\"", &size)).expect("it is read");
    assert_eq!((sector.effect(), sector.failed_at), (SectorEffect::Rest, None));
}

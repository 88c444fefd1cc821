//! Every stage of a sector, explained.

mod shown;

use super::*;
use crate::chain::Epoch;
use crate::piece::{Commitment, SectorSize};
use crate::sector::machine::{Sector, SectorPiece};
use crate::sector::post::PostDuty;
use crate::sector::Sealed;
use crate::wire::cbor::Bytes;
use alloc::{format, vec};
use cid::Cid;

pub(crate) const NOW: u64 = 1_000_000_000;
const SECRET: &str = "/home/operator/sealed is gone";

fn cid() -> Cid {
    "bafy2bzacea45nf5vfkl36jrcvlucxkvt2yxivwg42tjkrk7gznnidmerdxvgi"
        .parse()
        .unwrap()
}

fn sealed() -> Sealed {
    let commitment = Commitment([1; 32]);
    Sealed {
        ticket_epoch: Epoch(90),
        ticket: [2; 32],
        comm_d: commitment,
        comm_r: commitment,
        comm_c: commitment,
    }
}

/// Every stage of the machine, in order.
fn stages() -> Vec<SectorStage> {
    let (ticket_epoch, ticket, sealed, seed) = (Epoch(90), [2; 32], sealed(), [3; 32]);
    let bytes = Bytes(vec![4]);
    let (message, committed_at, height) = (cid(), Epoch(110), Epoch(500));
    vec![
        SectorStage::Packing,
        SectorStage::Closed,
        SectorStage::PreCommit1 { ticket_epoch, ticket },
        SectorStage::PreCommit2 {
            ticket_epoch,
            ticket,
            output: bytes.clone(),
        },
        SectorStage::PreCommitting { sealed: sealed.clone() },
        SectorStage::WaitSeed {
            sealed: sealed.clone(),
            seed_epoch: Epoch(106),
        },
        SectorStage::Commit1 {
            sealed: sealed.clone(),
            seed,
        },
        SectorStage::Commit2 {
            sealed: sealed.clone(),
            seed,
            output: bytes.clone(),
        },
        SectorStage::Committing {
            sealed: sealed.clone(),
            proof: bytes,
        },
        SectorStage::Proving {
            sealed: sealed.clone(),
            message,
            committed_at,
        },
        SectorStage::Expired {
            sealed,
            message,
            committed_at,
        },
        SectorStage::Released { height },
        SectorStage::Removed { height },
        SectorStage::Failed {
            phase: Phase::Commit2,
            reason: SECRET.into(),
            resume: None,
        },
    ]
}

pub(crate) fn sector(stage: SectorStage) -> Sector {
    let mut sector = Sector::new(7, SectorSize::S8MiB);
    sector.pieces.push(SectorPiece {
        deal: cid(),
        data_cid: cid(),
        size: 1_000_000,
        comm_p: Commitment([5; 32]),
    });
    sector.stage = stage;
    sector
}

/// A sector that entered its phase 4 s ago, and does its step since.
pub(crate) fn facts(sector: &Sector) -> SectorFacts<'_> {
    SectorFacts {
        sector,
        first_piece_ms: NOW - 4_000,
        since_ms: NOW - 4_000,
        retry_at_ms: None,
        history: vec![(Phase::Packing, NOW - 60_000), (sector.phase(), NOW - 4_000)],
        turn: Turn::Running {
            since_ms: NOW - 4_000,
            expected: None,
        },
        message: None,
        on_chain: None,
    }
}

/// At block 100 of a chain with a block a second, on which everything was measured three times.
pub(crate) fn around() -> Around {
    let measured = [
        (Phase::Closed, 1_000),
        (Phase::PreCommit1, 10_000),
        (Phase::PreCommit2, 20_000),
        (Phase::PreCommitting, 2_000),
        (Phase::Commit1, 500),
        (Phase::Commit2, 60_000),
        (Phase::Committing, 3_000),
    ];
    Around {
        now_ms: NOW,
        size: SectorSize::S8MiB,
        auto_seal_ms: 10_000,
        measured: measured.map(|(phase, ms)| (phase, Measured { ms, samples: 3 })).into(),
        chain: ChainFacts {
            height: Epoch(100),
            head_ms: NOW - 500,
            block_time_ms: 1_000,
            seed_delay: 6,
            trouble: None,
            post: None,
        },
        audience: Audience::Operator,
    }
}

fn at(phase: Phase) -> Sector {
    let stage = stages()
        .into_iter()
        .find(|stage| sector(stage.clone()).phase() == phase);
    sector(stage.expect("every phase has a stage"))
}

fn code(explanation: &Explanation) -> CauseCode {
    explanation.because.first().map_or(CauseCode::Other, |cause| cause.code)
}

fn spans(explanation: &Explanation) -> (u64, u64) {
    let eta = explanation.eta.as_ref().expect("there is an estimate");
    (eta.earliest_ms, eta.expected_ms)
}

/// Surroundings of every kind: troubled chains, chains without a clock, numbers at their ends, nothing measured.
pub(crate) fn surroundings() -> Vec<Around> {
    let mut all = Vec::new();
    let posts = [
        None,
        Some(PostDuty::Nothing),
        Some(PostDuty::WaitUntil(Epoch(u64::MAX))),
        Some(PostDuty::Prove {
            randomness_at: Epoch(1),
            deadline: Epoch(2),
            fee: Default::default(),
        }),
        Some(PostDuty::Restart {
            value: Default::default(),
        }),
    ];
    for (index, post) in posts.into_iter().enumerate() {
        for audience in [Audience::Operator, Audience::Client] {
            let mut usual = Around { audience, ..around() };
            usual.chain.post = post;
            let mut still = usual.clone();
            still.chain.head_ms = 0;
            let mut away = usual.clone();
            away.chain.trouble = Some("connection refused".into());
            let mut bare = usual.clone();
            bare.measured.clear();
            bare.chain.block_time_ms = [0, 1, u64::MAX][index % 3];
            let mut huge = usual.clone();
            (huge.now_ms, huge.auto_seal_ms, huge.chain.height) = (u64::MAX, u64::MAX, Epoch(u64::MAX));
            huge.measured = Phase::UNSEALED
                .map(|phase| {
                    (
                        phase,
                        Measured {
                            ms: u64::MAX,
                            samples: u32::MAX,
                        },
                    )
                })
                .into();
            let early = Around {
                now_ms: 0,
                size: SectorSize::S32GiB,
                ..bare.clone()
            };
            all.extend([usual, still, away, bare, huge, early]);
        }
    }
    all
}

/// All that can stand around a sector, for each of its stages.
fn all_facts(sector: &Sector) -> Vec<SectorFacts<'_>> {
    let ahead = |phase, whole| QueuedJob {
        sector: 6,
        phase,
        since_ms: Some(NOW - 1_000),
        whole,
    };
    let turns = [
        facts(sector).turn,
        Turn::Running {
            since_ms: u64::MAX,
            expected: Some(Expected {
                ms: u64::MAX,
                basis: "a guess".into(),
            }),
        },
        Turn::Queued { behind: Vec::new() },
        Turn::Queued {
            behind: vec![ahead(Phase::Commit2, true), ahead(Phase::Failed, true)],
        },
        Turn::Queued {
            behind: vec![ahead(Phase::Closed, false); 9],
        },
    ];
    let mut all = Vec::new();
    for turn in turns {
        for in_block in [None, Some(false), Some(true)] {
            all.push(SectorFacts {
                turn: turn.clone(),
                message: in_block.map(|in_block| MessageFacts {
                    id: "bafy".into(),
                    in_block,
                }),
                on_chain: in_block.map(|_| OnChain {
                    proofs: 1,
                    fault: Some((Epoch(1), Epoch(2))),
                }),
                history: Vec::new(),
                ..facts(sector)
            });
        }
    }
    all
}

#[test]
fn whatever_is_not_done_has_a_cause_and_something_next() {
    for stage in stages() {
        for attempts in [0, 1, u32::MAX] {
            let sector = Sector {
                attempts,
                last_error: Some(SECRET.into()),
                ..sector(stage.clone())
            };
            for around in surroundings() {
                for facts in all_facts(&sector) {
                    let explanation = explain(&facts, &around);
                    assert!(explanation.done || !explanation.because.is_empty(), "{explanation:?}");
                    assert!(!explanation.next.is_empty(), "{explanation:?}");
                    assert!(
                        explanation.because.iter().all(|cause| !cause.text.is_empty()),
                        "{explanation:?}"
                    );
                    assert!(!explanation.done || explanation.eta.is_none(), "{explanation:?}");
                    assert_eq!(
                        explanation.clone().bounded(),
                        explanation,
                        "what is made here is never cut"
                    );
                }
            }
        }
    }
}

#[test]
fn what_has_nothing_more_to_come_is_done() {
    let done: Vec<_> = stages()
        .into_iter()
        .map(|stage| explain(&facts(&sector(stage)), &around()))
        .filter(|explanation| explanation.done)
        .map(|explanation| explanation.state)
        .collect();
    assert_eq!(done, ["proving", "removed", "failed"]);
}

#[test]
fn each_phase_has_its_reason() {
    use CauseCode::*;
    let reasons = [
        WaitingForAutoSeal,
        StepRunning,
        StepRunning,
        StepRunning,
        MessageNotOnChain,
        WaitingForSeed,
        StepSlow,
        StepRunning,
        MessageNotOnChain,
        Other,
        WaitingForRelease,
        DeletingFiles,
        Other,
        SectorFailed,
    ];
    for (stage, reason) in stages().into_iter().zip(reasons) {
        let explanation = explain(&facts(&sector(stage)), &around());
        assert_eq!(code(&explanation), reason, "{explanation:?}");
    }
}

#[test]
fn the_estimate_is_what_is_left_of_this_step_the_steps_after_it_and_the_blocks() {
    // 6 s of pre-commit 1 are left, then 20 + 2 s, 6 blocks, 0.5 + 60 + 3 s.
    let explanation = explain(&facts(&at(Phase::PreCommit1)), &around());
    assert_eq!(spans(&explanation), (97_500, 97_500));
    assert_eq!(
        explanation.eta.unwrap().basis,
        "the last 3 sectors of 8 MiB, with blocks of 1 s"
    );
    assert!(explanation.because[0]
        .text
        .contains("about 6 s left of 10 s, going by the median of the last 3 at 8 MiB"));
    // 6 s of the timer are left, and 1 s for the ticket.
    assert_eq!(
        spans(&explain(&facts(&at(Phase::Packing)), &around())),
        (108_500, 108_500)
    );
    // The seed is of block 106.
    assert_eq!(
        spans(&explain(&facts(&at(Phase::WaitSeed)), &around())),
        (69_500, 69_500)
    );
}

#[test]
fn what_stands_ahead_in_the_queue_makes_it_later_but_not_its_earliest() {
    let sector = at(Phase::PreCommit1);
    let behind = |whole| SectorFacts {
        turn: Turn::Queued {
            behind: vec![QueuedJob {
                sector: 6,
                phase: Phase::Commit2,
                since_ms: Some(NOW - 15_000),
                whole,
            }],
        },
        ..facts(&sector)
    };
    let explanation = explain(&behind(false), &around());
    assert_eq!(spans(&explanation), (101_500, 101_500 + 45_000));
    assert_eq!(code(&explanation), CauseCode::QueuedBehind);
    assert!(explanation.because[0]
        .text
        .contains("behind sector 6 (computing the proof (commit 2))"));
    assert_eq!(explanation.steps[2].state, StepState::Waiting);
    assert_eq!(spans(&explain(&behind(true), &around())), (101_500, 101_500 + 48_000));
}

#[test]
fn a_step_that_was_never_measured_goes_by_another_machine_and_says_so() {
    let mut around = around();
    around.measured.clear();
    let explanation = explain(&facts(&at(Phase::Commit2)), &around);
    // 4 of 8 s, then two blocks.
    assert_eq!(spans(&explanation), (6_000, 6_000));
    let basis =
        "another machine with two cores, since this miner has measured nothing of 8 MiB yet, with blocks of 1 s";
    assert_eq!(explanation.eta.unwrap().basis, basis);
    around
        .measured
        .insert(Phase::Commit2, Measured { ms: 60_000, samples: 1 });
    let explanation = explain(&facts(&at(Phase::Commit1)), &around);
    assert!(explanation
        .eta
        .unwrap()
        .basis
        .starts_with("the last sector of 8 MiB, and another machine"));
}

#[test]
fn nobody_guesses_at_a_size_of_which_nothing_is_known() {
    let around = Around {
        size: SectorSize::S32GiB,
        measured: Default::default(),
        ..around()
    };
    for phase in Phase::UNSEALED {
        let explanation = explain(&facts(&at(phase)), &around);
        let known = phase == Phase::Committing;
        assert_eq!(explanation.eta.is_some(), known, "{explanation:?}");
    }
}

#[test]
fn the_provers_own_word_counts_more_than_what_was_measured() {
    let sector = at(Phase::Commit2);
    let expected = Expected {
        ms: 30_000,
        basis: "the prover's table".into(),
    };
    let facts = SectorFacts {
        turn: Turn::Running {
            since_ms: NOW - 10_000,
            expected: Some(expected),
        },
        ..facts(&sector)
    };
    let explanation = explain(&facts, &around());
    assert_eq!(spans(&explanation), (23_000, 23_000));
    assert_eq!(explanation.steps[7].expected_ms, Some(30_000));
}

#[test]
fn a_step_that_takes_longer_than_expected_is_said_to() {
    let sector = at(Phase::Commit1);
    let explanation = explain(&facts(&sector), &around());
    assert_eq!(code(&explanation), CauseCode::StepSlow);
    // A quarter of what it took so far, and the steps after it.
    assert_eq!(spans(&explanation), (1_000 + 63_000, 1_000 + 63_000));
    assert!(explanation
        .eta
        .unwrap()
        .basis
        .ends_with("; the present step takes longer than that"));
}

#[test]
fn a_failed_attempt_is_told_with_its_reason_and_that_it_is_tried_again() {
    let sector = Sector {
        attempts: 1,
        last_error: Some("no space left".into()),
        ..at(Phase::PreCommit1)
    };
    let explanation = explain(&facts(&sector), &around());
    let failure = &explanation.because[1];
    assert_eq!(failure.code, CauseCode::StepFailed);
    assert_eq!(failure.text, "Attempt 1 of 5 failed: no space left.");
    assert!(failure.what_to_do.contains("tried again by itself"));
}

#[test]
fn a_chain_that_is_away_or_stands_still_comes_first_where_it_is_needed_and_ends_all_guessing() {
    let mut away = around();
    away.chain.trouble = Some("connection refused".into());
    let mut still = around();
    still.chain.head_ms = NOW - 60_000;
    for phase in [Phase::Closed, Phase::PreCommitting, Phase::WaitSeed, Phase::Committing] {
        let explanation = explain(&facts(&at(phase)), &away);
        assert_eq!(
            (code(&explanation), &explanation.eta),
            (CauseCode::ChainUnreachable, &None)
        );
        assert!(explanation.because.len() > 1);
        assert_eq!(
            code(&explain(&facts(&at(phase)), &still)),
            CauseCode::ChainNotMakingBlocks
        );
    }
    assert_eq!(
        code(&explain(&facts(&at(Phase::Commit2)), &still)),
        CauseCode::StepRunning
    );
    // A block that is a little late is no news.
    still.chain.head_ms = NOW - 14_000;
    assert_eq!(
        code(&explain(&facts(&at(Phase::WaitSeed)), &still)),
        CauseCode::WaitingForSeed
    );
}

#[test]
fn the_steps_of_a_failed_sector_end_where_it_failed() {
    let explanation = explain(&facts(&at(Phase::Failed)), &around());
    let last = explanation.steps.last().expect("it came to some");
    assert_eq!((last.phase, last.state), (StepName::Commit2, StepState::Failed));
    assert!(explanation.steps[..explanation.steps.len() - 1]
        .iter()
        .all(|step| step.state == StepState::Done));
}

#[test]
fn a_proof_of_spacetime_that_is_due_goes_before_a_step_that_waits() {
    let sector = at(Phase::Commit2);
    let mut around = around();
    around.chain.post = Some(PostDuty::Prove {
        randomness_at: Epoch(90),
        deadline: Epoch(400),
        fee: Default::default(),
    });
    assert_eq!(code(&explain(&facts(&sector), &around)), CauseCode::StepRunning);
    let waiting = SectorFacts {
        turn: Turn::Queued { behind: Vec::new() },
        ..facts(&sector)
    };
    let explanation = explain(&waiting, &around);
    assert_eq!(code(&explanation), CauseCode::PostFirst);
    assert!(explanation.because[0].text.contains("block 400"), "{explanation:?}");
}

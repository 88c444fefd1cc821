//! Every stage of a deal, explained by both sides.

use super::client::{ClientFacts, MinerReport};
use super::*;
use crate::chain::address::MaybeAddress;
use crate::chain::{Address, AttoFil, BytesAmount, ChannelId, SecretKey};
use crate::deal::client::{ClientDeal, ClientStage};
use crate::deal::response::{DealState, ProofInfo, Response, SignedResponse};
use crate::deal::{Draft, PaymentInfo, Proposal, SignedProposal};
use crate::explain::sector::tests::{around, facts as sector_facts, sector, surroundings, NOW};
use crate::piece::{Commitment, SectorSize};
use crate::sector::SectorStage;
use alloc::vec;

const SIZE: u64 = 1_000_000;

fn cid() -> Cid {
    "bafy2bzacea45nf5vfkl36jrcvlucxkvt2yxivwg42tjkrk7gznnidmerdxvgi"
        .parse()
        .unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

fn proposal() -> SignedProposal {
    let payment = PaymentInfo {
        payer: key().address(),
        pay_ch_actor: MaybeAddress(None),
        channel: None,
        channel_msg_cid: None,
        vouchers: None,
    };
    let proposal = Proposal {
        piece_ref: cid(),
        size: Some(BytesAmount(SIZE)),
        total_price: AttoFil::ZERO,
        duration: 1000,
        miner_address: Address::id(100),
        payment,
    };
    proposal.sign(&key())
}

fn proof() -> ProofInfo {
    let comm = Commitment([1; 32]);
    ProofInfo {
        sector_id: 7,
        comm_d: comm,
        comm_r: comm,
        comm_r_star: comm,
        commitment_message: cid(),
        piece_inclusion_proof: None,
    }
}

fn response(state: DealState) -> SignedResponse {
    let response = Response {
        state,
        message: String::new(),
        proposal_cid: proposal().cid(),
        proof_info: None,
    };
    response.sign(&key())
}

fn deal(stage: MinerStage) -> MinerDeal {
    MinerDeal {
        stage,
        ..MinerDeal::accepted(proposal(), Epoch(50))
    }
}

fn stages() -> Vec<MinerStage> {
    let comm_p = Commitment([1; 32]);
    vec![
        MinerStage::Rejected {
            reason: "too cheap".into(),
        },
        MinerStage::Accepted,
        MinerStage::Received { comm_p },
        MinerStage::Staged { comm_p, sector: 7 },
        MinerStage::Complete { comm_p, proof: proof() },
        MinerStage::Ended {
            comm_p,
            proof: proof(),
            at: Epoch(1050),
        },
        MinerStage::Failed {
            reason: "Transfer failed".into(),
        },
    ]
}

fn transfer(held: u64, sources: usize) -> TransferFacts {
    TransferFacts {
        since_ms: NOW - 10_000,
        held,
        sources,
        limit_ms: 86_400_000,
        no_room: None,
    }
}

fn facts(deal: &MinerDeal) -> DealFacts<'_> {
    DealFacts {
        deal,
        transfer: transfer(250_000, 1),
        sector: None,
    }
}

fn codes(explanation: &Explanation) -> Vec<CauseCode> {
    explanation.because.iter().map(|cause| cause.code).collect()
}

#[test]
fn whatever_is_not_done_has_a_cause_and_something_next() {
    let sectors = [
        sector(SectorStage::Packing),
        sector(SectorStage::Released { height: Epoch(1) }),
        sector(SectorStage::Removed { height: Epoch(1) }),
    ];
    for deal in stages().into_iter().map(deal) {
        for around in surroundings() {
            for (held, sources, since_ms) in [(0, 0, 0), (u64::MAX, 3, u64::MAX), (1, 1, NOW)] {
                for no_room in [None, Some("the disk is full".into())] {
                    for sector in [None].into_iter().chain(sectors.iter().map(Some)) {
                        let transfer = TransferFacts {
                            since_ms,
                            no_room: no_room.clone(),
                            ..transfer(held, sources)
                        };
                        let sector = sector.map(sector_facts);
                        let explanation = explain(
                            &DealFacts {
                                deal: &deal,
                                transfer,
                                sector,
                            },
                            &around,
                        );
                        assert!(explanation.done || !explanation.because.is_empty(), "{explanation:?}");
                        assert!(!explanation.next.is_empty(), "{explanation:?}");
                        assert_eq!(explanation.clone().bounded(), explanation);
                    }
                }
            }
        }
    }
}

#[test]
fn a_deal_that_is_complete_over_refused_or_failed_is_done() {
    let done = stages()
        .into_iter()
        .map(deal)
        .map(|deal| explain(&facts(&deal), &around()));
    let done: Vec<_> = done
        .filter(|explanation| explanation.done)
        .map(|explanation| explanation.state)
        .collect();
    assert_eq!(done, ["rejected", "complete", "ended", "failed"]);
}

#[test]
fn a_deal_that_waits_for_its_data_tells_how_much_is_here_and_goes_by_its_rate() {
    let deal = deal(MinerStage::Accepted);
    let explanation = explain(&facts(&deal), &around());
    assert_eq!(codes(&explanation), [CauseCode::WaitingForData]);
    assert!(explanation.because[0].text.contains("250000 of 1000000 bytes (25 %)"));
    let eta = explanation.eta.expect("there is a rate");
    // 30 s for the rest, 10 s of the timer, then 1 + 10 + 20 + 2 + 6 + 0.5 + 60 + 3 s.
    assert_eq!(eta.expected_ms, 30_000 + 10_000 + 102_500);
    assert!(eta.basis.starts_with("the transfer so far, then the last 3 sectors"));
    let nothing = DealFacts {
        transfer: transfer(0, 1),
        ..facts(&deal)
    };
    assert_eq!(
        explain(&nothing, &around()).eta,
        None,
        "nothing came yet: there is no rate"
    );
}

#[test]
fn a_deal_whose_client_is_away_says_so_and_for_how_long_it_waits() {
    let deal = deal(MinerStage::Accepted);
    let away = DealFacts {
        transfer: transfer(10, 0),
        ..facts(&deal)
    };
    let explanation = explain(&away, &around());
    assert_eq!(
        (codes(&explanation), &explanation.eta),
        (vec![CauseCode::ClientAway], &None)
    );
    assert!(
        explanation.because[0].text.contains("another 23 h 59 min"),
        "{}",
        explanation.because[0].text
    );
    assert!(explanation.because[0].what_to_do.contains("client resume"));
}

#[test]
fn a_full_disk_is_told_and_its_path_only_to_the_operator() {
    let deal = deal(MinerStage::Accepted);
    let mut full = facts(&deal);
    full.transfer.no_room = Some("/data/staging has 5 bytes left".into());
    let explanation = explain(&full, &around());
    assert_eq!(codes(&explanation), [CauseCode::DiskFull]);
    assert!(explanation.because[0].text.contains("/data/staging"));
    let client = Around {
        audience: Audience::Client,
        ..around()
    };
    assert!(!explain(&full, &client).because[0].text.contains("/data"));
}

#[test]
fn a_staged_deal_is_explained_by_its_sector() {
    let (deal, sector) = (deal(stages().remove(3)), sector(SectorStage::Packing));
    let staged = DealFacts {
        sector: Some(sector_facts(&sector)),
        ..facts(&deal)
    };
    let explanation = explain(&staged, &around());
    assert_eq!(codes(&explanation), [CauseCode::WaitingForAutoSeal]);
    assert_eq!(
        (explanation.state.as_str(), explanation.subject.kind),
        ("staged", SubjectKind::Deal)
    );
    let running: Vec<_> = explanation
        .steps
        .iter()
        .filter(|step| step.state == StepState::Running)
        .collect();
    assert_eq!((running.len(), running[0].phase), (1, StepName::Packing));
    assert_eq!(explanation.eta.unwrap().expected_ms, 108_500);
}

#[test]
fn a_deal_that_ends_before_it_can_be_sealed_is_told_so() {
    let deal = deal(MinerStage::Accepted);
    let mut around = around();
    around.chain.height = Epoch(1000);
    let explanation = explain(&facts(&deal), &around);
    assert_eq!(codes(&explanation), [CauseCode::WaitingForData, CauseCode::TimeIsUp]);
    assert!(explanation.because[1].text.contains("block 1050"));
}

#[test]
fn a_deal_that_nobody_knows_is_not_done() {
    let explanation = unknown(&cid(), NOW, None);
    assert_eq!(
        (codes(&explanation), explanation.done),
        (vec![CauseCode::DealUnknown], false)
    );
}

fn client_deal(stage: ClientStage) -> ClientDeal {
    let draft = Draft {
        data_cid: cid(),
        comm_p: Commitment([1; 32]),
        size: SIZE,
        payer: key().address(),
        miner: Address::id(100),
        owner: key().address(),
        worker: key().address(),
        sector_size: SectorSize::S8MiB,
        price: AttoFil(1),
        duration: 1000,
        start: Epoch(50),
    };
    ClientDeal { draft, stage }
}

fn client_stages() -> Vec<ClientStage> {
    let (proposal, accepted) = (proposal(), response(DealState::Accepted));
    vec![
        ClientStage::Drafted,
        ClientStage::ChannelOpen {
            channel: 1,
            message: cid(),
        },
        ClientStage::Signed {
            proposal: proposal.clone(),
        },
        ClientStage::Running {
            proposal: proposal.clone(),
            response: accepted.clone(),
        },
        ClientStage::Complete {
            proposal,
            response: accepted,
        },
        ClientStage::Failed {
            reason: "deal rejected: too cheap".into(),
            channel: Some(ChannelId(1).0),
        },
        ClientStage::Failed {
            reason: "Transfer failed".into(),
            channel: None,
        },
    ]
}

/// What a miner may say, honest or not.
fn words() -> Vec<MinerReport> {
    let of = |stage: usize| explain(&facts(&deal(stages().remove(stage))), &around());
    let mut silent = of(1);
    silent.because.clear();
    let mut other = of(1);
    other.subject.id = "another deal".into();
    let mut endless = of(1);
    endless.because = vec![endless.because[0].clone(); 100_000];
    let explanation = [
        of(0),
        of(1),
        of(2),
        of(4),
        of(6),
        unknown(&cid(), NOW, None),
        unknown(&proposal().cid(), NOW, Some("its operator has stopped mining")),
        silent,
        other,
        endless,
    ];
    let mut words = vec![
        MinerReport::NotAsked,
        MinerReport::CannotExplain {
            reason: "it is old".into(),
        },
        MinerReport::Unreachable {
            reason: "no connection within 15 seconds".into(),
        },
    ];
    words.extend(explanation.into_iter().map(MinerReport::Told));
    words
}

fn client(deal: &ClientDeal, word: MinerReport) -> Explanation {
    let name = "local";
    super::client::explain(ClientFacts {
        deal,
        name,
        now_ms: NOW,
        word,
    })
}

#[test]
fn a_client_has_a_cause_and_something_next_whatever_the_miner_says() {
    for deal in client_stages().into_iter().map(client_deal) {
        for word in words() {
            let explanation = client(&deal, word);
            assert!(explanation.done || !explanation.because.is_empty(), "{explanation:?}");
            assert!(
                !explanation.next.is_empty() && explanation.because.len() <= 32,
                "{explanation:?}"
            );
            let is_settled = matches!(deal.stage, ClientStage::Complete { .. } | ClientStage::Failed { .. });
            assert_eq!(
                explanation.done, is_settled,
                "only its own machine ends a deal: {explanation:?}"
            );
        }
    }
}

#[test]
fn a_client_takes_the_miners_reasons_in_and_adds_its_own_step() {
    let (running, word) = (client_deal(client_stages().remove(3)), words().remove(4));
    let explanation = client(&running, word);
    assert_eq!(codes(&explanation), [CauseCode::WaitingForData]);
    assert_eq!(
        (explanation.steps[0].phase, explanation.steps[0].state),
        (StepName::Channel, StepState::Done)
    );
    assert_eq!(explanation.steps[2].phase, StepName::Transfer);
    assert!(explanation.eta.is_some());
}

#[test]
fn a_client_says_what_it_knows_when_the_miner_is_away() {
    let (running, away) = (client_deal(client_stages().remove(3)), words().remove(2));
    let explanation = client(&running, away.clone());
    assert_eq!(codes(&explanation), [CauseCode::MinerUnreachable]);
    assert!(explanation.because[0].text.contains("no connection within 15 seconds"));
    assert!(explanation.because[0].text.contains("accepted"));
    let explanation = client(&client_deal(client_stages().remove(2)), away);
    assert_eq!(
        codes(&explanation),
        [CauseCode::MinerUnreachable, CauseCode::WaitingForAnswer]
    );
}

#[test]
fn a_client_whose_chain_is_away_says_so_first() {
    let word = || MinerReport::ChainUnreachable {
        reason: "connection refused".into(),
    };
    for stage in client_stages() {
        let explanation = client(&client_deal(stage), word());
        assert_eq!(
            explanation.is_because_of(CauseCode::ChainUnreachable),
            !explanation.done,
            "{explanation:?}"
        );
        assert!(
            explanation.done
                || (explanation.because.len() > 1 && codes(&explanation)[0] == CauseCode::ChainUnreachable)
        );
    }
}

#[test]
fn a_proposal_that_waits_for_a_miner_that_takes_none_says_so() {
    let paused = unknown(&proposal().cid(), NOW, Some("its operator has stopped mining"));
    assert_eq!(codes(&paused), [CauseCode::IntakePaused, CauseCode::DealUnknown]);
    let explanation = client(&client_deal(client_stages().remove(2)), MinerReport::Told(paused));
    assert_eq!(
        codes(&explanation),
        [CauseCode::IntakePaused, CauseCode::WaitingForAnswer]
    );
}

#[test]
fn an_answer_about_another_deal_or_without_a_reason_is_no_answer() {
    let running = client_deal(client_stages().remove(3));
    for word in words().into_iter().rev().skip(1).take(2) {
        assert_eq!(codes(&client(&running, word)), [CauseCode::MinerCannotExplain]);
    }
}

#[test]
fn a_refused_and_a_failed_deal_say_why() {
    let explanation = |stage: usize| client(&client_deal(client_stages().remove(stage)), MinerReport::NotAsked);
    assert_eq!(codes(&explanation(5)), [CauseCode::DealRejected]);
    assert!(explanation(5).because[0].text.contains("too cheap") && explanation(5).next.contains("comes back"));
    assert_eq!(codes(&explanation(6)), [CauseCode::DealFailed]);
}

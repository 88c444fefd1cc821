//! Why a deal is not done, asked of a whole miner at each step of its life.

use super::{piece, World, SIZE};
use crate::explaining::Explainer;
use crate::packing;
use crate::sealing;
use shared::deal::MinerInput;
use shared::explain::deal::{Audience, CauseCode, Explanation, StepName, StepState};
use shared::sector::failing::MAX_ATTEMPTS;
use shared::sector::{Phase, SectorInput, SectorPiece};
use std::collections::BTreeSet;

impl World {
    /// Asks without anything that was looked up before; `sources` peers have the piece.
    async fn explained(&self, cid: &cid::Cid, sources: usize) -> Explanation {
        let explainer = Explainer::new(self.miner().explainer_parts(), move |_| sources);
        let explanation = explainer.deal(cid, Audience::Operator).await;
        explanation.expect("the store is whole")
    }

    async fn explained_sector(&self, id: u64) -> Explanation {
        let explainer = Explainer::new(self.miner().explainer_parts(), |_| 0);
        let explanation = explainer.sector(id, Audience::Operator).await;
        explanation.expect("the store is whole").expect("there is this sector")
    }
}

fn first(explanation: &Explanation) -> CauseCode {
    assert!(!explanation.done && !explanation.next.is_empty(), "{explanation:?}");
    explanation.because.first().expect("what is not done has a cause").code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_explained_from_its_acceptance_to_its_completion() {
    let world = World::start().await;
    let (bytes, summary) = piece(7, 500);
    let signed = world.paid(&summary, 1, 1200).await;
    let cid = signed.cid();
    assert_eq!(first(&world.explained(&cid, 0).await), CauseCode::DealUnknown);
    world.propose(signed).await;
    assert_eq!(first(&world.explained(&cid, 0).await), CauseCode::ClientAway);
    assert_eq!(first(&world.explained(&cid, 1).await), CauseCode::WaitingForData);
    world.deliver(&cid, &summary, &bytes);
    assert_eq!(first(&world.explained(&cid, 0).await), CauseCode::WaitingForPlace);
    packing::place(&world.miner().packing(), crate::clock::now_ms()).expect("placed");
    assert_eq!(first(&world.explained(&cid, 0).await), CauseCode::WaitingForAutoSeal);

    packing::close_all(&world.miner().packing(), 0).expect("closed");
    let sector = world.deal(&cid).deal.sector().expect("it was placed");
    let (mut codes, mut states) = (BTreeSet::new(), Vec::new());
    loop {
        let (of_deal, of_sector) = (world.explained(&cid, 0).await, world.explained_sector(sector).await);
        if of_sector.done {
            break;
        }
        codes.insert(first(&of_deal));
        // Asked one after the other: their texts may speak of different times.
        let codes_of =
            |explanation: &Explanation| explanation.because.iter().map(|cause| cause.code).collect::<Vec<_>>();
        let steps_of = |explanation: &Explanation| {
            let steps = explanation.steps.iter().map(|step| (step.phase, step.state));
            steps.collect::<Vec<_>>()
        };
        assert_eq!(
            codes_of(&of_deal),
            codes_of(&of_sector),
            "a staged deal is explained by its sector"
        );
        assert!(steps_of(&of_deal).ends_with(&steps_of(&of_sector)) && of_deal.steps[1].phase == StepName::Transfer);
        states.push(of_sector.state);
        let miner = world.miner().clone();
        world
            .during(sealing::step(&miner.sealing(), sector))
            .await
            .expect("a step is done");
    }
    let expected = [
        "closed",
        "preCommit1",
        "preCommit2",
        "preCommitting",
        "waitSeed",
        "commit1",
        "commit2",
        "committing",
    ];
    assert_eq!(states, expected);
    assert!(codes.contains(&CauseCode::WaitingForSeed) && codes.contains(&CauseCode::MessageNotOnChain));
    assert_eq!(
        first(&world.explained(&cid, 0).await),
        CauseCode::StepRunning,
        "the deal is about to be explanation"
    );
    let miner = world.miner().clone();
    world
        .during(sealing::step(&miner.sealing(), sector))
        .await
        .expect("the deal is explanation");
    let explanation = world.explained(&cid, 0).await;
    assert!(
        explanation.done && explanation.state == "complete" && explanation.eta.is_none(),
        "{explanation:?}"
    );
    assert!(
        explanation.steps.iter().all(|step| step.state == StepState::Done),
        "{explanation:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_and_a_failed_deal_are_done_and_say_why() {
    let world = World::start().await;
    let (_, summary) = piece(7, 500);
    let refused = world.free(&summary, 1000);
    world.propose(refused.clone()).await;
    let explanation = world.explained(&refused.cid(), 0).await;
    assert!(
        explanation.done && explanation.is_because_of(CauseCode::DealRejected),
        "{explanation:?}"
    );
    let failing = world.paid(&summary, 1, 1000).await;
    world.propose(failing.clone()).await;
    let input = MinerInput::TransferFailed;
    world
        .miner()
        .store
        .advance_deal(&failing.cid(), input)
        .expect("it was accepted");
    let explanation = world.explained(&failing.cid(), 0).await;
    assert!(
        explanation.done && explanation.because[0].text.contains("Transfer failed"),
        "{explanation:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_explained_with_its_reason_and_a_given_up_sector_with_the_last() {
    let world = World::start().await;
    let sector = own_sector(&world, 1);
    world.sealing_comes_to(sector, Phase::PreCommit1).await;
    let told_with = async |code: CauseCode| {
        let explanation = world.explained_sector(sector).await;
        let failure = explanation.because.iter().find(|cause| cause.code == code);
        let failure = failure.expect("it is explanation").clone();
        assert!(failure.text.contains("no space left on the device"), "{failure:?}");
        (explanation.done, failure.what_to_do)
    };
    for attempt in 1..=MAX_ATTEMPTS {
        let input = SectorInput::StepFailed {
            reason: "no space left on the device".into(),
        };
        let failed = world.miner().store.advance_sector(sector, input, 1);
        failed.expect("it is sealed");
        match attempt < MAX_ATTEMPTS {
            true => assert!(!told_with(CauseCode::StepFailed).await.0),
            false => {
                let (done, advice) = told_with(CauseCode::SectorFailed).await;
                assert!(
                    !done && advice.contains("mining retry"),
                    "the operator may order it: {advice}"
                );
            }
        }
    }
    let given_up = world.miner().store.advance_sector(sector, SectorInput::GivenUp, 1);
    given_up.expect("it has failed");
    assert!(told_with(CauseCode::SectorFailed).await.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sector_that_waits_for_a_place_names_those_before_it() {
    let world = World::start().await;
    let places = u8::try_from(world.miner().prover.sectors_at_once()).expect("a small machine");
    let sectors: Vec<u64> = (1..=places + 1).map(|number| own_sector(&world, number)).collect();
    for with_place in &sectors[..sectors.len() - 1] {
        world.sealing_comes_to(*with_place, Phase::PreCommit1).await;
        let explanation = world.explained_sector(*with_place).await;
        assert_eq!(first(&explanation), CauseCode::StepSlow, "its clock began in 1970");
    }
    let explanation = world.explained_sector(sectors[sectors.len() - 1]).await;
    assert_eq!(first(&explanation), CauseCode::QueuedBehind, "{explanation:?}");
    assert!(
        explanation.because[0].text.contains(&format!("sector {}", sectors[0])),
        "{explanation:?}"
    );
}

/// A sector that a piece of the operator's own fills, closed.
fn own_sector(world: &World, number: u8) -> u64 {
    let (bytes, summary) = piece(number, 2000);
    let store = &world.miner().store;
    let mut import = world.miner().staging.import().expect("room");
    import.push(&bytes).expect("written");
    import.finish().expect("staged");
    let piece = SectorPiece {
        deal: summary.data_cid,
        data_cid: summary.data_cid,
        size: summary.size,
        comm_p: summary.comm_p,
    };
    let id = store.add_piece(piece, SIZE, 0).expect("it is placed");
    store.advance_sector(id, SectorInput::Close, 0).expect("it is closed");
    id
}

impl World {
    /// Seals a closed sector as far as the ticket: the clock of its phase stands at the sector's number.
    async fn sealing_comes_to(&self, sector: u64, phase: Phase) {
        let ticket = SectorInput::TicketDrawn {
            epoch: self.height(),
            ticket: [0; 32],
        };
        let after = self.miner().store.advance_sector(sector, ticket, sector);
        assert_eq!(after.expect("it is closed").sector.phase(), phase);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_away_is_named_within_seconds() {
    let world = World::start().await;
    let sector = own_sector(&world, 1);
    world.devnet.shutdown();
    // What is on its way is answered; then nothing is.
    while world.miner().chain.head().await.is_ok() {}
    let explanation = world.explained_sector(sector).await;
    assert_eq!(first(&explanation), CauseCode::ChainUnreachable, "{explanation:?}");
    assert_eq!(explanation.eta, None);
}

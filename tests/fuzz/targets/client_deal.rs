//! The client's machine of a deal: a miner, or another, that says anything in any order, and a user who gives up at any moment.
#![no_main]

use sealdrop_fuzz::machines::{proofs, proposals};
use sealdrop_fuzz::{reloaded, Script};
use shared::chain::keys::cid_of_bytes;
use shared::chain::ChannelId;
use shared::client::testing::key;
use shared::deal::{
    ClientDeal, ClientEffect, ClientInput, ClientStage, DealState, Response, SignedProposal, SignedResponse,
};
use std::sync::OnceLock;

/// What may be said of a deal: by its miner or another, of it or of another.
struct Answer {
    /// Whether it is the miner's, and of the deal.
    counts: bool,
    response: SignedResponse,
}

/// Of the proposal of this number; made when they are asked for, since each has a signature.
fn answers(which: usize) -> &'static [Answer] {
    static ALL: [OnceLock<Vec<Answer>>; 5] = [const { OnceLock::new() }; 5];
    ALL[which].get_or_init(|| answers_about(&proposals()[which].1))
}

fn answers_about(proposal: &SignedProposal) -> Vec<Answer> {
    let bare = DealState::ALL.map(|state| (state, None));
    let proven = [0, 1, 2, 3].map(|proof: usize| (DealState::Complete, Some(proofs()[proof].clone())));
    let mut all = Vec::new();
    for (state, proof_info) in bare.into_iter().chain(proven) {
        for (worker, deal) in [(3, proposal.cid()), (4, proposal.cid()), (3, cid_of_bytes(b"other"))] {
            let response = Response {
                state,
                message: "why".into(),
                proposal_cid: deal,
                proof_info: proof_info.clone(),
            };
            all.push(Answer {
                counts: worker == 3 && deal == proposal.cid(),
                response: response.sign(&key(worker)),
            });
        }
    }
    all
}

fn input(script: &mut Script, proposal: &SignedProposal, answers: &[Answer]) -> (ClientInput, bool) {
    let input = match script.below(12) {
        0 => ClientInput::ChannelOpened {
            channel: ChannelId(9),
            message: cid_of_bytes(b"message"),
        },
        1 => ClientInput::ChannelFailed { reason: script.text(8) },
        2 => ClientInput::Signed {
            proposal: proposal.clone(),
        },
        3 => ClientInput::GivenUp { reason: script.text(8) },
        _ => {
            let answer = &answers[usize::from(script.byte()) % answers.len()];
            let response = answer.response.clone();
            return (ClientInput::Answered { response }, answer.counts);
        }
    };
    (input, true)
}

fn check(deal: &ClientDeal) {
    let settled = matches!(deal.stage, ClientStage::Complete { .. } | ClientStage::Failed { .. });
    assert_eq!(deal.effect() == ClientEffect::Rest, settled);
    assert_eq!(deal.deadline().is_none(), settled);
    if let ClientStage::Complete { response, .. } = &deal.stage {
        assert_eq!(
            response.response.proof_info.as_ref(),
            Some(&proofs()[0]),
            "only what lies in the sector is complete"
        );
        assert!(response.is_signed_by(&deal.draft.worker));
    }
    if let Some((channel, _)) = deal.refund() {
        assert_eq!(Some(channel.0), deal.channel());
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let which = usize::from(script.below(proposals().len() as u8));
    let ((draft, proposal), answers) = (&proposals()[which], answers(which));
    let mut deal = ClientDeal::new(draft.clone());
    // Each answer has a signature to check: longer scripts say nothing that short ones do not.
    for _ in 0..12 {
        if script.is_over() {
            return;
        }
        let before = deal.clone();
        let (input, counts) = self::input(&mut script, proposal, answers);
        if matches!(input, ClientInput::ChannelOpened { .. }) && deal.effect() == ClientEffect::Sign {
            // Nobody opens a channel for a free deal.
            continue;
        }
        let taken = deal.handle(input.clone());
        if taken.is_err() || !counts {
            assert_eq!(before, deal, "a refusal, and a stranger's word, change nothing");
        }
        match (&before.stage, &deal.stage) {
            (ClientStage::Failed { .. }, after) => {
                assert!(matches!(after, ClientStage::Failed { .. }), "what is over stays so");
            }
            (ClientStage::Complete { .. }, after) => assert!(
                matches!(after, ClientStage::Complete { .. } | ClientStage::Failed { .. }),
                "a complete deal stays so, or has failed"
            ),
            _ => {}
        }
        if before.channel().is_some() {
            assert_eq!(before.channel(), deal.channel(), "a channel is not forgotten");
        }
        check(&deal);
        if script.chance() {
            let again = reloaded(&deal);
            assert_eq!((&again, again.effect()), (&deal, deal.effect()));
            deal = again;
        }
    }
});

//! The miner's machine of a deal under any inputs at any heights, with any channel, stored and read again at any moment.
#![no_main]

use sealdrop_fuzz::machines::{channel, miner_input, proposals};
use sealdrop_fuzz::{reloaded, Script};
use shared::chain::Epoch;
use shared::deal::{MinerDeal, MinerEffect, MinerStage};
use shared::payment::{ChannelFacts, Redemption};

/// How far a stage is; nothing leads back.
fn rank(stage: &MinerStage) -> u8 {
    match stage {
        MinerStage::Accepted => 0,
        MinerStage::Received { .. } => 1,
        MinerStage::Staged { .. } => 2,
        MinerStage::Complete { .. } => 3,
        MinerStage::Ended { .. } | MinerStage::Failed { .. } | MinerStage::Rejected { .. } => 4,
    }
}

/// What may be redeemed is due, adds something, and is in the channel.
fn check_redemption(deal: &MinerDeal, height: Epoch, channel: Option<&ChannelFacts>) {
    let redemption = deal.redemption(height, channel);
    let Some(channel) = channel else {
        return assert_eq!(redemption, Redemption::Finished);
    };
    match redemption {
        Redemption::Redeem {
            voucher,
            redeemer,
            gain,
            ..
        } => {
            assert!(
                deal.proof().is_some(),
                "nothing is redeemed before the sector is committed"
            );
            assert!(voucher.valid_at <= height && height < channel.eol);
            assert!(voucher.amount > channel.amount_redeemed && voucher.amount <= channel.amount);
            assert_eq!(channel.amount_redeemed.checked_add(gain), Some(voucher.amount));
            assert_eq!(voucher.condition.is_some(), !redeemer.is_empty());
        }
        Redemption::Wait { until, .. } | Redemption::Unproven { until, .. } => {
            assert!(until > height && until <= channel.eol, "{height} {until}");
        }
        Redemption::Finished | Redemption::Lost { .. } => {}
    }
}

fn check(deal: &MinerDeal, height: Epoch, channel: Option<&ChannelFacts>) {
    let (end, response) = (deal.end(), deal.response());
    assert!(end <= deal.answered_at.plus(deal.proposal.proposal.duration));
    assert_eq!(response.proof_info.as_ref(), deal.proof());
    assert_eq!(deal.effect() == MinerEffect::Rest, deal.deadline().is_none());
    assert_eq!(rank(&deal.stage) == 4, deal.deadline().is_none());
    if deal.has_ended(height, channel) {
        assert!(height >= end && deal.redemption(height, channel).is_over());
    }
    if let Some(deadline) = deal.deadline() {
        assert!(deal.is_too_late(deadline, 0).is_some());
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let all = proposals();
    let proposal = all[usize::from(script.below(all.len() as u8))].1.clone();
    let answered = Epoch(script.number());
    let mut deal = match script.below(8) {
        0 => MinerDeal::rejected(proposal, script.text(16), answered),
        _ => MinerDeal::accepted(proposal, answered),
    };
    while !script.is_over() {
        let (before, input) = (deal.clone(), miner_input(&mut script));
        match deal.handle(input.clone()) {
            Ok(()) => assert!(rank(&before.stage) <= rank(&deal.stage), "nothing leads back"),
            Err(_) => assert_eq!(before, deal, "a refusal changes nothing"),
        }
        if rank(&before.stage) == 4 {
            assert_eq!(before, deal, "what is over stays so");
        }
        let once = deal.clone();
        let _ = deal.handle(input);
        assert_eq!(once, deal, "said twice is said once");
        let height = Epoch(script.number());
        let channel = script.chance().then(|| channel(&mut script));
        check(&deal, height, channel.as_ref());
        check_redemption(&deal, height, channel.as_ref());
        if script.chance() {
            let again = reloaded(&deal);
            assert_eq!((&again, again.effect()), (&deal, deal.effect()));
            deal = again;
        }
    }
});

//! A FAKE proof-of-spacetime in every window, and vouchers redeemed as they fall due.

use super::{channel, Miner};
use cid::Cid;
use sealdrop_devnet::MemoryChain;
use shared::chain::randomness::{draw, Purpose};
use shared::chain::verifier::{prover_id, FakeVerifier, WindowPoStClaim};
use shared::chain::{calls, FaultSet, IntSet};
use shared::deal::MinerInput;
use shared::payment::Redemption;
use shared::sector::{post_duty, Phase, PostDuty, PostFacts, Sector, SectorStage};

impl Miner {
    /// Redeems what is due; says when the deal is over, or its sector lost.
    pub(super) fn keep(&mut self, cid: &Cid, chain: &MemoryChain) -> Option<MinerInput> {
        let (height, deal) = (chain.head().height, self.deals.get(cid)?);
        let sector = deal.sector()?;
        let is_lost = |found: &Sector| found.id == sector && matches!(found.stage, SectorStage::Failed { .. });
        if self.sectors.iter().any(is_lost) {
            return Some(MinerInput::SectorFailed { sector });
        }
        let payment = &deal.proposal.proposal.payment;
        let facts = channel(chain, &payment.payer, payment.channel);
        if deal.has_ended(height, facts.as_ref()) {
            return Some(MinerInput::Ended { height });
        }
        if let Redemption::Redeem { voucher, redeemer, .. } = deal.redemption(height, facts.as_ref()) {
            let purpose = format!("redeem/{cid}/{}", voucher.amount);
            // What came of it is seen in the channel.
            self.outbox.send(chain, &purpose, || calls::redeem(&voucher, redeemer));
        }
        None
    }

    /// Proves when it is due, naming expired sectors done.
    pub(super) fn prove(&mut self, chain: &MemoryChain) {
        if self.faults.miss_post || self.sectors.is_empty() {
            return;
        }
        let Some(view) = chain.miner(&self.address) else { return };
        let Some(window) = view.proving_window else { return };
        let (address, height) = (&self.address, chain.head().height);
        match post_duty(height, &PostFacts::of(&view), &chain.policy()) {
            PostDuty::Nothing | PostDuty::WaitUntil(_) => {}
            PostDuty::Restart { value } => {
                let purpose = format!("restart/{}", window.end);
                self.outbox
                    .send(chain, &purpose, || calls::restart_proving(address, value));
            }
            PostDuty::Prove { randomness_at, fee, .. } => {
                let Some(ticket) = chain.beacon(randomness_at) else {
                    return;
                };
                let covered = view.sectors.iter().filter(|sector| sector.in_proving_set);
                let claim = WindowPoStClaim {
                    sector_size: self.size,
                    prover_id: prover_id(address),
                    randomness: draw(Purpose::WindowPoSt, &ticket, address),
                    sectors: covered.map(|sector| (sector.id, sector.comm_r)).collect(),
                    proof: Vec::new(),
                };
                let expired = self.sectors.iter().filter(|sector| sector.phase() == Phase::Expired);
                let is_covered = |id: &u64| claim.sectors.iter().any(|(covered, _)| covered == id);
                let done = IntSet(expired.map(|sector| sector.id).filter(is_covered).collect());
                let proof = FakeVerifier::window_post_tag(&claim);
                let purpose = format!("post/{}", window.end);
                self.outbox.send(chain, &purpose, || {
                    calls::submit_post_without(address, &proof, &FaultSet::default(), &done, fee)
                });
            }
        }
    }
}

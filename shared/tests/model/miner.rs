//! The miner of the model: its machines, proofs that the fake verifier takes, and periods of absence.

use super::chain::{beacon, register, Chain, Outbox};
use super::client::Client;
use super::random::Random;
use super::{key, restart, Trouble};
use cid::Cid;
use shared::chain::keys::blake2b256;
use shared::chain::randomness::{draw, Purpose};
use shared::chain::{calls, Address, AttoFil, ChannelId, Epoch, FaultSet, IntSet};
use shared::deal::review::{review, review_terms, OperatorTerms, ReviewContext};
use shared::deal::{
    MinerDeal, MinerEffect, MinerInput, MinerStage, ProofInfo, Quote, QuoteRequest, Response, SignedProposal,
    SignedQuote, SignedResponse,
};
use shared::payment::closing::review_closing;
use shared::payment::{ChannelFacts, CloseResponse, PaymentVoucher, Redemption};
use shared::piece::{Commitment, InclusionProof, SectorSize};
use shared::ports::verifier::{prover_id, FakeVerifier, SealClaim, WindowPoStClaim};
use shared::sector::machine::SectorPiece;
use shared::sector::{post_duty, Phase, PostDuty, PostFacts, Sealed, Sector, SectorEffect, SectorInput, SectorStage};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Miner {
    pub address: Address,
    pub deals: BTreeMap<Cid, MinerDeal>,
    sectors: Vec<Sector>,
    /// Channels that it closes.
    closing: BTreeSet<ChannelId>,
    outbox: Outbox,
    trouble: Trouble,
    /// Messages that failed, by purpose: the next attempt is another message.
    attempts: BTreeMap<String, u32>,
}

fn is_given_up(sector: &Sector) -> bool {
    matches!(sector.stage, SectorStage::Failed { resume: None, .. })
}

impl Miner {
    pub fn register(chain: &mut Chain, trouble: Trouble) -> Self {
        Self {
            address: register(chain, &key(2)),
            deals: BTreeMap::new(),
            sectors: Vec::new(),
            closing: BTreeSet::new(),
            outbox: Outbox::new(key(2), 1, trouble.loss),
            trouble,
            attempts: BTreeMap::new(),
        }
    }

    pub fn is_done(&self) -> bool {
        let sector_is_done = |sector: &Sector| sector.phase() == Phase::Removed || is_given_up(sector);
        self.deals.values().all(|deal| deal.effect() == MinerEffect::Rest) && self.sectors.iter().all(sector_is_done)
    }

    pub fn has_ended(&self, deal: &Cid) -> bool {
        matches!(
            self.deals.get(deal).map(|deal| &deal.stage),
            Some(MinerStage::Ended { .. })
        )
    }

    fn is_away(&self, chain: &Chain) -> bool {
        self.trouble.miner_away.contains(&chain.height())
    }

    fn channel_of(chain: &Chain, proposal: &SignedProposal) -> Option<ChannelFacts> {
        chain.channel(proposal.proposal.payment.channel?.0)
    }

    /// Answers a proposal; one that is known gets the answer of now.
    pub fn propose(&mut self, chain: &Chain, signed: &SignedProposal) -> Option<SignedResponse> {
        if self.is_away(chain) {
            return None;
        }
        let (cid, payment) = (signed.cid(), &signed.proposal.payment);
        if !self.deals.contains_key(&cid) {
            let channel = payment.channel;
            let context = ReviewContext {
                channel: Self::channel_of(chain, signed),
                channel_is_promised: channel.is_some_and(|id| self.owes(id) || self.closing.contains(&id)),
                ..self.context(chain, signed.proposal.total_price)
            };
            let deal = match review(signed, &context) {
                Ok(()) => MinerDeal::accepted(signed.clone(), chain.now()),
                Err(rejection) => MinerDeal::rejected(signed.clone(), rejection.message, chain.now()),
            };
            self.deals.insert(cid, deal);
        }
        self.query(chain, &cid)
    }

    /// What the miner knows of a deal at this price, but for its channel.
    fn context(&self, chain: &Chain, price: AttoFil) -> ReviewContext {
        ReviewContext {
            miner: self.address.clone(),
            owner: key(2).address(),
            terms: OperatorTerms {
                min_duration: self.trouble.min_duration,
                ..OperatorTerms::at_price(if price.is_zero() { price } else { AttoFil(2) })
            },
            height: chain.now(),
            usable: SectorSize::S2KiB.usable(),
            channel: None,
            channel_is_promised: false,
        }
    }

    /// Whether a channel pays for a deal that is not over.
    fn owes(&self, id: ChannelId) -> bool {
        let pays = |deal: &MinerDeal| deal.proposal.proposal.payment.channel == Some(id);
        self.deals
            .values()
            .any(|deal| deal.effect() != MinerEffect::Rest && pays(deal))
    }

    /// Says what a deal would come to.
    pub fn quote(&self, chain: &Chain, request: &QuoteRequest) -> Option<SignedQuote> {
        if self.is_away(chain) {
            return None;
        }
        let verdict = review_terms(&request.terms(), &self.context(chain, request.total_price));
        Some(Quote::of(request, chain.now(), verdict.map_err(Into::into)).sign(&key(2)))
    }

    /// Closes a channel, if nothing is paid over it.
    pub fn close(&mut self, chain: &Chain, voucher: &PaymentVoucher) -> Option<CloseResponse> {
        if self.is_away(chain) {
            return None;
        }
        let (id, facts) = (voucher.channel, chain.channel(voucher.channel.0));
        let reviewed = review_closing(voucher, &key(2).address(), facts.as_ref(), chain.now());
        let closes = reviewed.is_ok() && !self.owes(id);
        if closes {
            self.closing.insert(id);
            self.outbox
                .call(chain, &format!("close/{id}"), || calls::close(voucher, Vec::new()));
        }
        let message = String::new();
        Some(CloseResponse { closes, message })
    }

    /// Answers a query, also about a deal that is not known.
    pub fn query(&self, chain: &Chain, cid: &Cid) -> Option<SignedResponse> {
        if self.is_away(chain) {
            return None;
        }
        let unknown = || Response {
            state: shared::deal::DealState::Unknown,
            message: "no such deal".into(),
            proposal_cid: *cid,
            proof_info: None,
        };
        let response = self.deals.get(cid).map_or_else(unknown, MinerDeal::response);
        Some(response.sign(&key(2)))
    }

    pub fn step(&mut self, chain: &mut Chain, client: &Client, random: &mut Random) {
        if self.is_away(chain) {
            return;
        }
        let cids: Vec<Cid> = self.deals.keys().copied().collect();
        for cid in cids.into_iter().filter(|_| random.chance(70)).collect::<Vec<_>>() {
            self.step_deal(&cid, chain, client, random);
        }
        for index in 0..self.sectors.len() {
            if random.chance(70) {
                self.step_sector(index, chain, random);
            }
        }
        self.prove(chain);
        if random.chance(10) {
            self.deals.values_mut().for_each(restart);
            self.sectors.iter_mut().for_each(restart);
        }
        self.outbox.tend(chain, random);
    }

    fn step_deal(&mut self, cid: &Cid, chain: &Chain, client: &Client, random: &mut Random) {
        let (now, deal) = (chain.now(), &self.deals[cid]);
        let is_late = deal.deadline().is_some_and(|deadline| now >= deadline);
        let input = match deal.effect() {
            MinerEffect::FetchPiece if is_late => Some(MinerInput::TransferFailed),
            MinerEffect::Place | MinerEffect::AwaitSector { .. } if is_late => Some(MinerInput::Ended { height: now }),
            MinerEffect::FetchPiece if random.chance(self.trouble.loss) => None,
            MinerEffect::FetchPiece => client.serve(cid).map(|comm_p| MinerInput::PieceReceived { comm_p }),
            MinerEffect::Place => self.place(cid, random),
            MinerEffect::AwaitSector { sector } => self.sector_report(cid, sector),
            MinerEffect::Keep { .. } => self.keep(cid, chain),
            MinerEffect::Rest => None,
        };
        if let Some(input) = input {
            let deal = self.deals.get_mut(cid).expect("known");
            deal.handle(input.clone()).expect("it applies");
            deal.handle(input).expect("and once more");
        }
    }

    /// Places a piece; a crash between the sector's record and the deal's loses nothing.
    fn place(&mut self, cid: &Cid, random: &mut Random) -> Option<MinerInput> {
        let deal = &self.deals[cid];
        let MinerStage::Received { comm_p } = deal.stage else {
            return None;
        };
        let piece = SectorPiece {
            deal: *cid,
            data_cid: deal.proposal.proposal.piece_ref,
            size: deal.proposal.size(),
            comm_p,
        };
        let holds = |sector: &&mut Sector| sector.pieces.iter().any(|known| known.deal == *cid);
        let known = self.sectors.iter_mut().find(holds).map(|sector| sector.id);
        let number = known.unwrap_or_else(|| {
            if !self.sectors.iter().any(|sector| sector.fits(piece.size)) {
                let id = self.sectors.len() as u64 + 1;
                self.sectors.push(Sector::new(id, SectorSize::S2KiB));
            }
            let sector = self.sectors.iter_mut().find(|sector| sector.fits(piece.size));
            let sector = sector.expect("one was made");
            sector.handle(SectorInput::PieceAdded(piece)).expect("it fits");
            sector.id
        });
        (!random.chance(20)).then_some(MinerInput::Placed { sector: number })
    }

    fn sector_report(&self, cid: &Cid, id: u64) -> Option<MinerInput> {
        let sector = self.sectors.iter().find(|sector| sector.id == id)?;
        let (sealed, message) = match &sector.stage {
            SectorStage::Proving { sealed, message, .. } => (sealed, message),
            SectorStage::Failed { resume: None, .. } => return Some(MinerInput::SectorFailed { sector: id }),
            _ => return None,
        };
        let index = sector.pieces.iter().position(|piece| piece.deal == *cid)?;
        let inclusion = InclusionProof::prove(&sector.layout()?, index).expect("it lies there");
        let proof = ProofInfo {
            sector_id: id,
            comm_d: sealed.comm_d,
            comm_r: sealed.comm_r,
            comm_r_star: sealed.comm_c,
            commitment_message: *message,
            piece_inclusion_proof: Some(inclusion.to_bytes().into()),
        };
        Some(MinerInput::Committed { proof })
    }

    /// Redeems what is due; says when the deal is over.
    fn keep(&mut self, cid: &Cid, chain: &Chain) -> Option<MinerInput> {
        let (now, deal) = (chain.now(), &self.deals[cid]);
        let sector = deal.sector().expect("complete");
        let is_lost = |found: &Sector| found.id == sector && is_given_up(found);
        if self.sectors.iter().any(is_lost) {
            return Some(MinerInput::SectorFailed { sector });
        }
        let channel = Self::channel_of(chain, &deal.proposal);
        if deal.has_ended(now, channel.as_ref()) {
            return Some(MinerInput::Ended { height: now });
        }
        if let Redemption::Redeem { voucher, redeemer, .. } = deal.redemption(now, channel.as_ref()) {
            let what = format!("redeem/{cid}/{}", voucher.amount);
            self.send(chain, &what, || calls::redeem(&voucher, redeemer.clone()));
        }
        None
    }

    /// The outcome of a message; one that failed is made anew the next time.
    fn send(
        &mut self,
        chain: &Chain,
        what: &str,
        call: impl FnOnce() -> shared::chain::Call,
    ) -> Option<Result<(Cid, Epoch), u64>> {
        let attempt = self.attempts.entry(what.to_owned()).or_default();
        let (cid, height, receipt) = self.outbox.call(chain, &format!("{what}/{attempt}"), call)?;
        if receipt.exit_code == 0 {
            return Some(Ok((cid, height)));
        }
        *attempt += 1;
        Some(Err(receipt.exit_code))
    }

    fn step_sector(&mut self, index: usize, chain: &Chain, random: &mut Random) {
        let (now, sector) = (chain.now(), self.sectors[index].clone());
        let view = chain.miner(&self.address);
        let on_chain = view.sectors.iter().any(|found| found.id == sector.id);
        let over = |piece: &SectorPiece| self.deals[&piece.deal].effect() == MinerEffect::Rest;
        let fails = random.chance(self.trouble.step_failures);
        let failed = || SectorInput::StepFailed { reason: "disk".into() };
        let input = match sector.effect() {
            SectorEffect::Pack => (!sector.pieces.is_empty() && random.chance(10)).then_some(SectorInput::Close),
            SectorEffect::DrawTicket => Some(SectorInput::TicketDrawn {
                epoch: now,
                ticket: draw(Purpose::SealTicket, &beacon(now).expect("a block"), &self.address),
            }),
            SectorEffect::PreCommit1 { .. } if fails => Some(failed()),
            SectorEffect::PreCommit1 { .. } => Some(SectorInput::PreCommit1Done { output: vec![1] }),
            SectorEffect::PreCommit2 { .. } => Some(SectorInput::PreCommit2Done {
                comm_d: sector.layout().expect("it fits").comm_d(),
                comm_r: Commitment(blake2b256(format!("{:?}", sector.stage).as_bytes())),
                comm_c: Commitment([3; 32]),
            }),
            SectorEffect::SubmitPreCommit { sealed } => self.pre_commit(chain, &sector, &sealed),
            SectorEffect::AwaitSeed { seed_epoch } => (now > seed_epoch).then(|| SectorInput::SeedDrawn {
                seed: draw(Purpose::SealSeed, &beacon(seed_epoch).expect("a block"), &self.address),
            }),
            SectorEffect::Commit1 { .. } if fails => Some(failed()),
            SectorEffect::Commit1 { .. } => Some(SectorInput::Commit1Done { output: vec![2] }),
            SectorEffect::Commit2 { .. } => self.seal_proof(&sector),
            SectorEffect::SubmitCommit { sealed, proof } => self.commit(chain, &sector, &sealed, &proof),
            SectorEffect::Prove if !on_chain => Some(SectorInput::Lost {
                reason: "slashed".into(),
            }),
            SectorEffect::Prove => sector.pieces.iter().all(over).then_some(SectorInput::DealsEnded),
            SectorEffect::ProveAndRelease => (!on_chain).then_some(SectorInput::Dropped { height: now }),
            SectorEffect::DeleteFiles => Some(SectorInput::FilesDeleted),
            SectorEffect::AwaitOperator if sector.pieces.iter().all(over) => Some(SectorInput::GivenUp),
            SectorEffect::AwaitOperator => Some(match random.chance(70) {
                true => SectorInput::RetryOrdered,
                false => SectorInput::GivenUp,
            }),
            SectorEffect::Rest => None,
        };
        if let Some(input) = input {
            self.sectors[index].handle(input).expect("it applies");
        }
    }

    fn pre_commit(&mut self, chain: &Chain, sector: &Sector, sealed: &Sealed) -> Option<SectorInput> {
        let (address, deposit) = (self.address.clone(), chain.state.policy.pre_commit_deposit);
        let what = format!("pre-commit/{}/{}", sector.id, sealed.comm_r);
        let call = || {
            let (comm_d, comm_r) = (&sealed.comm_d, &sealed.comm_r);
            calls::pre_commit_sector(&address, sector.id, comm_d, comm_r, sealed.ticket_epoch).with_value(deposit)
        };
        Some(match self.send(chain, &what, call)? {
            Ok((_, height)) => SectorInput::PreCommitted {
                seed_epoch: height.plus(chain.state.policy.seed_delay),
            },
            Err(code) => SectorInput::SealExpired {
                reason: format!("pre-commit refused with {code}"),
            },
        })
    }

    fn seal_proof(&self, sector: &Sector) -> Option<SectorInput> {
        let SectorStage::Commit2 { sealed, seed, .. } = &sector.stage else {
            return None;
        };
        let claim = SealClaim {
            sector_size: sector.size,
            comm_r: sealed.comm_r,
            comm_d: sealed.comm_d,
            prover_id: prover_id(&self.address),
            sector: sector.id,
            ticket: sealed.ticket,
            seed: *seed,
            proof: Vec::new(),
        };
        let proof = FakeVerifier::seal_tag(&claim);
        Some(SectorInput::Commit2Done { proof })
    }

    fn commit(&mut self, chain: &Chain, sector: &Sector, sealed: &Sealed, proof: &[u8]) -> Option<SectorInput> {
        let address = self.address.clone();
        let what = format!("commit/{}/{}", sector.id, sealed.comm_r);
        let call = || {
            let (comm_d, comm_r, comm_c) = (&sealed.comm_d, &sealed.comm_r, &sealed.comm_c);
            calls::commit_sector(&address, sector.id, comm_d, comm_r, comm_c, proof)
        };
        Some(match self.send(chain, &what, call)? {
            Ok((message, height)) => SectorInput::Committed { message, height },
            Err(code) => SectorInput::SealExpired {
                reason: format!("commit refused with {code}"),
            },
        })
    }

    /// Proves when it is due, naming expired sectors done.
    fn prove(&mut self, chain: &Chain) {
        let view = chain.miner(&self.address);
        let Some(window) = view.proving_window else { return };
        let address = self.address.clone();
        match post_duty(chain.now(), &PostFacts::of(&view), &chain.state.policy) {
            PostDuty::Nothing | PostDuty::WaitUntil(_) => {}
            PostDuty::Restart { value } => {
                self.send(chain, &format!("restart/{}", window.end), || {
                    calls::restart_proving(&address, value)
                });
            }
            PostDuty::Prove { randomness_at, fee, .. } => {
                let covered = view.sectors.iter().filter(|sector| sector.in_proving_set);
                let claim = WindowPoStClaim {
                    sector_size: SectorSize::S2KiB,
                    prover_id: prover_id(&address),
                    randomness: draw(Purpose::WindowPoSt, &beacon(randomness_at).expect("a block"), &address),
                    sectors: covered.map(|sector| (sector.id, sector.comm_r)).collect(),
                    proof: Vec::new(),
                };
                let expired = self.sectors.iter().filter(|sector| sector.phase() == Phase::Expired);
                let done = expired.map(|sector| sector.id);
                let done = IntSet(
                    done.filter(|id| claim.sectors.iter().any(|(covered, _)| covered == id))
                        .collect(),
                );
                let proof = FakeVerifier::window_post_tag(&claim);
                self.send(chain, &format!("post/{}", window.end), || {
                    calls::submit_post_without(&address, &proof, &FaultSet::default(), &done, fee)
                });
            }
        }
    }
}

//! Pieces into sectors, and sectors onto the chain, with a FAKE prover: nothing is encoded, and a proof is the hash of its claim that
//! [`FakeVerifier`] takes. Which step is next is decided by [`Sector`].

use super::Miner;
use cid::Cid;
use sealdrop_devnet::MemoryChain;
use shared::chain::calls;
use shared::chain::keys::blake2b256;
use shared::chain::randomness::{draw, Purpose};
use shared::chain::verifier::{prover_id, FakeVerifier, SealClaim};
use shared::deal::{MinerEffect, MinerInput, MinerStage, ProofInfo};
use shared::piece::{Commitment, InclusionProof};
use shared::sector::{Sealed, Sector, SectorEffect, SectorInput, SectorPiece, SectorStage};

impl Miner {
    /// Gives a deal's piece its place in a sector.
    pub(super) fn place(&mut self, cid: &Cid) -> Option<MinerInput> {
        let deal = self.deals.get(cid)?;
        let MinerStage::Received { comm_p } = deal.stage else {
            return None;
        };
        let piece = SectorPiece {
            deal: *cid,
            data_cid: deal.proposal.proposal.piece_ref,
            size: deal.proposal.size(),
            comm_p,
        };
        if !self.sectors.iter().any(|sector| sector.fits(piece.size)) {
            let id = self.sectors.len() as u64 + 1;
            self.sectors.push(Sector::new(id, self.size));
        }
        let sector = self.sectors.iter_mut().find(|sector| sector.fits(piece.size));
        let placed = sector.and_then(|sector| sector.handle(SectorInput::PieceAdded(piece)).ok().map(|()| sector.id));
        Some(placed.map_or(MinerInput::PlacingFailed, |sector| MinerInput::Placed { sector }))
    }

    /// What a deal hears of its sector.
    pub(super) fn report(&self, cid: &Cid, id: u64) -> Option<MinerInput> {
        let sector = self.sectors.iter().find(|sector| sector.id == id)?;
        let (sealed, message) = match &sector.stage {
            SectorStage::Proving { sealed, message, .. } => (sealed, message),
            SectorStage::Failed { resume: None, .. } => return Some(MinerInput::SectorFailed { sector: id }),
            _ => return None,
        };
        let index = sector.pieces.iter().position(|piece| piece.deal == *cid)?;
        let inclusion = InclusionProof::prove(&sector.layout()?, index).ok()?;
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

    /// Does the next thing for each sector; whether any came further.
    pub(super) fn step_sectors(&mut self, chain: &MemoryChain) -> bool {
        let mut changed = false;
        for index in 0..self.sectors.len() {
            if let Some(input) = self.next_sector_input(index, chain) {
                changed |= self
                    .sectors
                    .get_mut(index)
                    .is_some_and(|sector| sector.handle(input).is_ok());
            }
        }
        changed
    }

    fn next_sector_input(&mut self, index: usize, chain: &MemoryChain) -> Option<SectorInput> {
        let (height, sector) = (chain.head().height, self.sectors.get(index)?.clone());
        let over = |piece: &SectorPiece| {
            let deal = self.deals.get(&piece.deal);
            deal.is_none_or(|deal| deal.effect() == MinerEffect::Rest)
        };
        let is_over = sector.pieces.iter().all(over);
        match sector.effect() {
            // A test does not wait for other pieces.
            SectorEffect::Pack => (!sector.pieces.is_empty()).then_some(SectorInput::Close),
            SectorEffect::DrawTicket => Some(SectorInput::TicketDrawn {
                epoch: height,
                ticket: draw(Purpose::SealTicket, &chain.beacon(height)?, &self.address),
            }),
            SectorEffect::PreCommit1 { ticket } => {
                let SectorStage::PreCommit1 { ticket_epoch, .. } = sector.stage else {
                    return None;
                };
                let output = ticket.to_vec();
                (height >= ticket_epoch.plus(self.faults.slow)).then_some(SectorInput::PreCommit1Done { output })
            }
            SectorEffect::PreCommit2 { output } => {
                let fake = |what: &str| {
                    let id = sector.id.to_be_bytes();
                    let parts = [what.as_bytes(), output.as_slice(), id.as_slice()];
                    Commitment(blake2b256(&parts.concat()))
                };
                Some(SectorInput::PreCommit2Done {
                    comm_d: sector.layout()?.comm_d(),
                    comm_r: fake("fake replica"),
                    comm_c: fake("fake layers"),
                })
            }
            SectorEffect::SubmitPreCommit { sealed } => self.pre_commit(chain, &sector, &sealed),
            SectorEffect::AwaitSeed { seed_epoch } => match height > seed_epoch {
                true => Some(SectorInput::SeedDrawn {
                    seed: draw(Purpose::SealSeed, &chain.beacon(seed_epoch)?, &self.address),
                }),
                false => None,
            },
            SectorEffect::Commit1 { .. } => Some(SectorInput::Commit1Done { output: Vec::new() }),
            SectorEffect::Commit2 { .. } => self.fake_seal_proof(&sector),
            SectorEffect::SubmitCommit { sealed, proof } => self.commit(chain, &sector, &sealed, &proof),
            SectorEffect::Prove if !self.is_on_chain(chain, &sector) => Some(SectorInput::Lost {
                reason: "the chain took the sector away".into(),
            }),
            SectorEffect::Prove => is_over.then_some(SectorInput::DealsEnded),
            SectorEffect::ProveAndRelease => {
                (!self.is_on_chain(chain, &sector)).then_some(SectorInput::Dropped { height })
            }
            SectorEffect::DeleteFiles => Some(SectorInput::FilesDeleted),
            SectorEffect::AwaitOperator => Some(SectorInput::GivenUp),
            SectorEffect::Rest => None,
        }
    }

    fn is_on_chain(&self, chain: &MemoryChain, sector: &Sector) -> bool {
        let view = chain.miner(&self.address);
        view.is_some_and(|view| view.sectors.iter().any(|found| found.id == sector.id))
    }

    fn pre_commit(&mut self, chain: &MemoryChain, sector: &Sector, sealed: &Sealed) -> Option<SectorInput> {
        let (address, policy) = (&self.address, chain.policy());
        let call = || {
            let (comm_d, comm_r) = (&sealed.comm_d, &sealed.comm_r);
            calls::pre_commit_sector(address, sector.id, comm_d, comm_r, sealed.ticket_epoch)
                .with_value(policy.pre_commit_deposit)
        };
        let purpose = format!("pre-commit/{}/{}", sector.id, sealed.comm_r);
        Some(match self.outbox.send(chain, &purpose, call)? {
            Ok((_, height)) => SectorInput::PreCommitted {
                seed_epoch: height.plus(policy.seed_delay),
            },
            Err(reason) => SectorInput::SealExpired { reason },
        })
    }

    fn fake_seal_proof(&self, sector: &Sector) -> Option<SectorInput> {
        let SectorStage::Commit2 { sealed, seed, .. } = &sector.stage else {
            return None;
        };
        let proof = FakeVerifier::seal_tag(&SealClaim {
            sector_size: sector.size,
            comm_r: sealed.comm_r,
            comm_d: sealed.comm_d,
            prover_id: prover_id(&self.address),
            sector: sector.id,
            ticket: sealed.ticket,
            seed: *seed,
            proof: Vec::new(),
        });
        Some(SectorInput::Commit2Done { proof })
    }

    fn commit(&mut self, chain: &MemoryChain, sector: &Sector, sealed: &Sealed, proof: &[u8]) -> Option<SectorInput> {
        let address = &self.address;
        let call = || {
            let (comm_d, comm_r, comm_c) = (&sealed.comm_d, &sealed.comm_r, &sealed.comm_c);
            calls::commit_sector(address, sector.id, comm_d, comm_r, comm_c, proof)
        };
        let purpose = format!("commit/{}/{}", sector.id, sealed.comm_r);
        Some(match self.outbox.send(chain, &purpose, call)? {
            Ok((message, height)) => SectorInput::Committed { message, height },
            Err(reason) => SectorInput::SealExpired { reason },
        })
    }
}

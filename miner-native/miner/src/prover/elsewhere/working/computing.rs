//! What a step asks for, computed; and what it needs of a machine that is gone, made again.

use super::super::{decode, encode, Answer, Order, Request};
use super::{Worker, MOST_TRIES};
use crate::prover::{Commitments, ProverError, Step};
use sealdrop_database::jobs::Claim;
use shared::piece::Commitment;
use shared::sector::{Sealed, Sector};

impl Worker {
    /// Does a step that was taken; returns its result as it is told.
    pub(super) async fn compute(&self, step: Step, claim: &Claim) -> Result<Vec<u8>, ProverError> {
        let prover = &self.prover;
        let Order { own_code, request } = decode(step, &claim.input)?;
        // A daemon's own prover is its operator's, and changes with the setting.
        for apart in self.windows.iter().flat_map(|windows| [prover, windows]) {
            apart.use_own_code(own_code);
        }
        let answer = match request {
            Request::WindowPost { randomness, sectors } => {
                let sectors = sectors.into_iter().map(|(sector, comm_r)| (sector, Commitment(comm_r)));
                let windows = self.windows.as_ref().unwrap_or(prover);
                Answer::Output(windows.window_part(randomness, sectors.collect()).await?)
            }
            Request::PreCommit1 { sector, ticket } => {
                Answer::Output(prover.pre_commit1(&sector, ticket, &self.staging).await?)
            }
            Request::PreCommit2 { sector, ticket, .. } => {
                let labels = self.labels(&sector, ticket, claim.attempts).await?;
                let made = prover.pre_commit2(&sector, ticket, labels).await?;
                if let Some(scratch) = &self.scratch {
                    scratch.publish(prover, sector.id, made.comm_r).await?;
                }
                Answer::Commitments([made.comm_d.0, made.comm_r.0, made.comm_c.0])
            }
            Request::Commit1 { sector, sealed, seed } => {
                self.trees(&sector, &sealed, claim.attempts).await?;
                Answer::Output(prover.commit1(&sector, &sealed, seed).await?)
            }
            Request::Commit2 { sector, output } => Answer::Output(prover.commit2(sector, output).await?),
        };
        encode(step, &answer)
    }

    /// What phase 1 gave on this machine; it is done again where nothing of it is here, since whoever did it fell silent.
    ///
    /// The output of another machine would do for nothing: it names that one's folders.
    async fn labels(&self, sector: &Sector, ticket: [u8; 32], attempts: u32) -> Result<Vec<u8>, ProverError> {
        if let Some(kept) = self.prover.kept_pre_commit1(sector, ticket) {
            return Ok(kept);
        }
        if self.may_come(sector.id) && attempts < MOST_TRIES {
            return Err(ProverError::NotSeen { sector: sector.id });
        }
        tracing::warn!(
            sector = sector.id,
            "its layers are not on this machine: they are made again"
        );
        self.prover.pre_commit1(sector, ticket, &self.staging).await
    }

    /// Whether what the phases before left may be where this machine does not see it yet: in the folder that all share, or on its way there.
    fn may_come(&self, sector: u64) -> bool {
        self.scratch
            .as_ref()
            .is_none_or(|scratch| scratch.is_sealed_there(sector))
    }

    /// Sees that all is here that a replica is opened with.
    async fn trees(&self, sector: &Sector, sealed: &Sealed, attempts: u32) -> Result<(), ProverError> {
        let kept = self.prover.kept_pre_commit2(sector, sealed.ticket);
        if kept.is_some_and(|kept| is_of(&kept, sealed)) {
            return Ok(());
        }
        if self.may_come(sector.id) && attempts < MOST_TRIES {
            return Err(ProverError::NotSeen { sector: sector.id });
        }
        match self.scratch {
            Some(_) => self.seal_again(sector, sealed, kept.is_some()).await,
            // Opening changes no files, so that nothing may be made again in the folder that all share.
            None => Err(ProverError::LeftElsewhere { sector: sector.id }),
        }
    }

    /// Does both phases again in this machine's own folder, where what is there is `another` replica, or nothing.
    async fn seal_again(&self, sector: &Sector, sealed: &Sealed, another: bool) -> Result<(), ProverError> {
        let (id, prover) = (sector.id, &self.prover);
        tracing::warn!(
            sector = id,
            "its layers and trees are not on this machine: it is sealed again for its proof"
        );
        if another {
            prover.remove(id).await?;
        }
        let output = prover.pre_commit1(sector, sealed.ticket, &self.staging).await?;
        let made = prover.pre_commit2(sector, sealed.ticket, output).await?;
        if is_of(&made, sealed) {
            return Ok(());
        }
        prover.remove(id).await?;
        Err(ProverError::OtherReplica { sector: id })
    }
}

fn is_of(made: &Commitments, sealed: &Sealed) -> bool {
    (made.comm_d, made.comm_r, made.comm_c) == (sealed.comm_d, sealed.comm_r, sealed.comm_c)
}

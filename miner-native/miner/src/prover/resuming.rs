//! A prover whose finished phases survive a crash.
//!
//! Before a phase is computed, its output is looked for on the disk ([`super::outputs`]); one for exactly the same inputs
//! that is whole, and whose files are, is verified and taken up. After a phase was computed, its output is kept there
//! before anybody hears of it. So a crash between the end of a phase and the sector's new stage costs nothing, and a
//! failed step that goes back to phase 1 finds it done.

use super::engine::{Commitments, Engine};
use super::outputs::{Inputs, InputsOf, Outputs, Step};
use super::{work, Cost, OwnCode, ProverError};
use crate::failpoint;
use crate::staging::Staging;
use sealdrop_prover::Implementation;
use shared::piece::Commitment;
use shared::sector::{Sealed, Sector};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// See the module.
pub struct Resuming<E>(pub E);

impl<E: Engine> Resuming<E> {
    fn outputs(&self, sector: u64) -> Outputs {
        Outputs::of(self.0.dir(sector))
    }

    /// Computes a step and keeps its output with `files`. What builds on it is discarded before anything changes.
    fn compute<T>(
        &self,
        (step, sector, inputs): (Step, u64, Inputs),
        work: impl FnOnce() -> Result<T, ProverError>,
        bytes: impl FnOnce(&T) -> Vec<u8>,
        files: impl FnOnce(&Path) -> Result<Vec<PathBuf>, ProverError>,
    ) -> Result<T, ProverError> {
        let outputs = self.outputs(sector);
        outputs.discard(step)?;
        let [begun, computed, _, kept] = step.points();
        tracing::info!(sector, phase = step.name(), "computing");
        failpoint::hit_failpoint(begun);
        let began = Instant::now();
        let output = work()?;
        failpoint::hit_failpoint(computed);
        let files = files(&self.0.dir(sector))?;
        outputs.keep(step, inputs, &files, &bytes(&output))?;
        tracing::info!(sector, phase = step.name(), ms = elapsed(began), "kept");
        failpoint::hit_failpoint(kept);
        Ok(output)
    }

    fn found(&self, step: Step, sector: u64, inputs: Inputs) -> Result<Option<Vec<u8>>, ProverError> {
        let began = Instant::now();
        let found = self.outputs(sector).find(step, inputs)?;
        if found.is_some() {
            tracing::info!(
                sector,
                phase = step.name(),
                ms = elapsed(began),
                "found again on the disk"
            );
        }
        Ok(found)
    }
}

impl<E: Engine> Engine for Resuming<E> {
    fn dir(&self, sector: u64) -> PathBuf {
        self.0.dir(sector)
    }

    fn own_code(&self) -> Arc<OwnCode> {
        self.0.own_code()
    }

    fn prover_id(&self) -> [u8; 32] {
        self.0.prover_id()
    }

    fn kept_pre_commit1(&self, sector: &Sector, ticket: [u8; 32]) -> Option<Vec<u8>> {
        let inputs = self.pre_commit1_inputs(sector, ticket);
        self.outputs(sector.id).kept(Step::PreCommit1, inputs)
    }

    fn kept_pre_commit2(&self, sector: &Sector, ticket: [u8; 32]) -> Option<Commitments> {
        let output = self.kept_pre_commit1(sector, ticket)?;
        let inputs = self.pre_commit2_inputs(sector, ticket, &output);
        let kept = self.outputs(sector.id).kept(Step::PreCommit2, inputs)?;
        parse(&kept)
    }

    fn pre_commit1(&self, sector: &Sector, ticket: [u8; 32], staging: &Staging) -> Result<Vec<u8>, ProverError> {
        let inputs = self.pre_commit1_inputs(sector, ticket);
        if let Some(output) = self.found(Step::PreCommit1, sector.id, inputs)? {
            return Ok(output);
        }
        self.compute(
            (Step::PreCommit1, sector.id, inputs),
            || self.0.pre_commit1(sector, ticket, staging),
            Vec::clone,
            |dir| self.0.pre_commit1_files(dir),
        )
    }

    fn pre_commit2(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Result<Commitments, ProverError> {
        let inputs = self.pre_commit2_inputs(sector, ticket, output);
        if let Some(found) = self.found(Step::PreCommit2, sector.id, inputs)? {
            if let Some(commitments) = parse(&found) {
                match self.0.check_pre_commit(sector, ticket, &commitments) {
                    Ok(()) => return Ok(commitments),
                    Err(error) => {
                        tracing::warn!(sector = sector.id, %error, "the replica that was found is encoded again");
                    }
                }
            }
        }
        let done = self.compute(
            (Step::PreCommit2, sector.id, inputs),
            || self.0.pre_commit2(sector, ticket, output),
            bytes,
            |dir| self.0.pre_commit2_files(dir),
        );
        if let Err(ProverError::Step(sealdrop_prover::Error::InconsistentReplica { .. })) = &done {
            // The labels themselves may be wrong: they are not taken up again.
            self.outputs(sector.id).discard(Step::PreCommit1)?;
        }
        done
    }

    fn pre_commit1_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.0.pre_commit1_files(dir)
    }

    fn pre_commit2_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.0.pre_commit2_files(dir)
    }

    fn check_pre_commit(
        &self,
        sector: &Sector,
        ticket: [u8; 32],
        commitments: &Commitments,
    ) -> Result<(), ProverError> {
        self.0.check_pre_commit(sector, ticket, commitments)
    }

    fn commit1(&self, sector: &Sector, sealed: &Sealed, seed: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        let commitments = [sealed.comm_d, sealed.comm_r, sealed.comm_c];
        let inputs = self.inputs(Step::Commit1, sector).with(&sealed.ticket).with(&seed);
        let inputs = commitments.iter().fold(inputs, |inputs, comm| inputs.with(&comm.0));
        let inputs = inputs.digest();
        if let Some(output) = self.found(Step::Commit1, sector.id, inputs)? {
            return Ok(output);
        }
        self.compute(
            (Step::Commit1, sector.id, inputs),
            || self.0.commit1(sector, sealed, seed),
            Vec::clone,
            |_| Ok(Vec::new()),
        )
    }

    fn commit2(&self, sector: u64, output: &[u8], by: Implementation) -> Result<Vec<u8>, ProverError> {
        let inputs = InputsOf::step(Step::Commit2).with(&self.prover_id());
        let inputs = inputs.with(&sector.to_be_bytes()).with(output).digest();
        if let Some(proof) = self.found(Step::Commit2, sector, inputs)? {
            return Ok(proof);
        }
        let done = self.compute(
            (Step::Commit2, sector, inputs),
            || self.0.commit2(sector, output, by),
            Vec::clone,
            |_| Ok(Vec::new()),
        );
        if let Err(ProverError::Step(sealdrop_prover::Error::DamagedOutput { .. })) = &done {
            self.outputs(sector).discard(Step::Commit1)?;
        }
        done
    }

    fn clear_cache(&self, sector: u64) -> Result<(), ProverError> {
        failpoint::hit_failpoint("cache.clearing");
        // First the outputs: they speak of files that go now.
        self.outputs(sector).discard(Step::PreCommit1)?;
        self.0.clear_cache(sector)?;
        failpoint::hit_failpoint("cache.cleared");
        Ok(())
    }

    fn window_post(&self, randomness: [u8; 32], sectors: &[(u64, Commitment)]) -> Result<Vec<u8>, ProverError> {
        self.0.window_post(randomness, sectors)
    }

    fn unseal(&self, sector: &Sector, sealed: &Sealed, index: usize, out: &mut File) -> Result<(), ProverError> {
        self.0.unseal(sector, sealed, index, out)
    }

    fn check(&self, sector: u64) -> Result<(), ProverError> {
        self.0.check(sector)
    }

    fn kept_files(&self, dir: &Path) -> Result<Vec<PathBuf>, ProverError> {
        self.0.kept_files(dir)
    }

    fn remove(&self, sector: u64) -> Result<(), ProverError> {
        failpoint::hit_failpoint("files.removing");
        self.0.remove(sector)?;
        failpoint::hit_failpoint("files.removed");
        Ok(())
    }

    fn open_in(&self, dir: &Path, sector: u64, comm_r: Commitment) -> Result<(), ProverError> {
        self.0.open_in(dir, sector, comm_r)
    }

    fn remove_unsealed(&self, sector: u64) -> Result<(), ProverError> {
        self.0.remove_unsealed(sector)
    }

    fn cost(&self, step: work::Step) -> Cost {
        self.0.cost(step)
    }
}

impl<E: Engine> Resuming<E> {
    /// Who seals what: the same for all phases of a sector.
    fn inputs(&self, step: Step, sector: &Sector) -> InputsOf {
        let mut inputs = InputsOf::step(step)
            .with(&self.prover_id())
            .with(&sector.id.to_be_bytes())
            .with(&sector.size.bytes().to_be_bytes());
        for piece in &sector.pieces {
            inputs = inputs.with(&piece.size.to_be_bytes()).with(&piece.comm_p.0);
        }
        inputs
    }

    fn pre_commit1_inputs(&self, sector: &Sector, ticket: [u8; 32]) -> Inputs {
        self.inputs(Step::PreCommit1, sector).with(&ticket).digest()
    }

    fn pre_commit2_inputs(&self, sector: &Sector, ticket: [u8; 32], output: &[u8]) -> Inputs {
        let inputs = self.inputs(Step::PreCommit2, sector).with(&ticket);
        inputs.with(output).digest()
    }
}

fn bytes(commitments: &Commitments) -> Vec<u8> {
    let Commitments { comm_d, comm_r, comm_c } = commitments;
    [comm_d.0, comm_r.0, comm_c.0].concat()
}

fn parse(bytes: &[u8]) -> Option<Commitments> {
    let at = |index: usize| Some(Commitment(bytes.get(index * 32..)?.first_chunk::<32>().copied()?));
    Some(Commitments {
        comm_d: at(0)?,
        comm_r: at(1)?,
        comm_c: at(2)?,
    })
}

fn elapsed(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

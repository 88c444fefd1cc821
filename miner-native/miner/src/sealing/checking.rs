//! What is looked at before a step: whether its files are here, and whether what it gave holds. Nothing is committed that cannot be proven.

use super::{commit_purpose, Sealing, StepError};
use crate::failpoint;
use crate::prover::ProverError;
use sealdrop_database::blocking;
use shared::ports::verifier::{prover_id, SealClaim};
use shared::sector::{Sealed, Sector, SectorInput, SectorPiece, SectorStage};

/// Fails while a piece of the sector is on its way from the archive: that is no failure of the sector.
pub(super) fn check_pieces(service: &Sealing, sector: &Sector) -> Result<(), StepError> {
    let is_awaited = |piece: &&SectorPiece| {
        let is_here = service.staging.whole(&piece.data_cid, piece.size).is_some();
        !is_here && service.coming.has_piece(&piece.data_cid)
    };
    match sector.pieces.iter().find(is_awaited) {
        Some(piece) => Err(StepError::PieceComes {
            sector: sector.id,
            piece: piece.data_cid,
        }),
        None => Ok(()),
    }
}

/// Whether the replica of a sector that is not committed yet is gone. Where other machines write its files, this one may not see them yet.
pub(super) fn is_lost(service: &Sealing, sector: &Sector) -> Result<bool, ProverError> {
    let is_sent = |sealed| service.chain.made(&commit_purpose(sector, sealed)).is_some();
    let is_over = service.prover.shares_files() || sector.sealed().is_some_and(is_sent);
    Ok(!is_over && !blocking(|| service.prover.is_here(sector.id))?)
}

/// The input for a sector whose replica another machine brought to the storage, and which cannot be proven there: opened before the chain is told of it,
/// while the machine that made it still has everything.
pub(super) async fn unproven(
    service: &Sealing,
    sector: &Sector,
    sealed: &Sealed,
) -> Result<Option<SectorInput>, StepError> {
    let is_sent = service.chain.made(&commit_purpose(sector, sealed)).is_some();
    if is_sent || !service.prover.shares_files() {
        return Ok(None);
    }
    match service.prover.open(sector.id, sealed.comm_r).await {
        Ok(()) => Ok(None),
        Err(error) if error.is_damage() => {
            let reason = format!("its replica in the storage cannot be proven ({error}): it is sealed again");
            Ok(Some(SectorInput::ReplicaLost { reason }))
        }
        Err(error) => Err(error.into()),
    }
}

/// A proof that does not verify here is not sent: it would cost its gas, and the chain would refuse it.
pub(super) fn check_proof(service: &Sealing, sector: &Sector, proof: Vec<u8>) -> Result<SectorInput, StepError> {
    let SectorStage::Commit2 { sealed, seed, .. } = &sector.stage else {
        return Ok(SectorInput::Commit2Done { proof });
    };
    let claim = SealClaim {
        sector_size: sector.size,
        comm_r: sealed.comm_r,
        comm_d: sealed.comm_d,
        prover_id: prover_id(&service.address),
        sector: sector.id,
        ticket: sealed.ticket,
        seed: *seed,
        proof,
    };
    let holds = blocking(|| service.verifier.verify_seal(&claim))?;
    failpoint::hit_failpoint("proof.checked");
    Ok(match holds {
        true => SectorInput::Commit2Done { proof: claim.proof },
        false => SectorInput::StepFailed {
            reason: "the proof does not verify here: it was not sent".to_owned(),
        },
    })
}

//! The two messages of a sector: its pre-commit and its commit (step 11 of a deal).

use super::{Sealing, StepError, STALE};
use crate::chain_access::ChainError;
use crate::failpoint;
use cid::Cid;
use shared::chain::abi::{Abi, SectorNumber};
use shared::chain::view::{MinerView, SectorView};
use shared::chain::{calls, exit, Epoch};
use shared::sector::{Sealed, Sector, SectorInput};

/// The method of a commit.
const COMMIT: &str = "commitSector";

/// What the message of a sector's pre-commit is for, in the chain adapter's outbox.
pub(crate) fn pre_commit_purpose(sector: u64, ticket_epoch: Epoch) -> String {
    format!("sector-{sector}-precommit-{ticket_epoch}")
}

/// What the message of a sector's commit is for.
pub(crate) fn commit_purpose(sector: &Sector, sealed: &Sealed) -> String {
    format!("sector-{}-commit-{}", sector.id, sealed.ticket_epoch)
}

pub(super) async fn submit_pre_commit(
    service: &Sealing,
    sector: &Sector,
    sealed: &Sealed,
) -> Result<SectorInput, StepError> {
    if committed_before(service, sector, sealed).await?.is_some() {
        // Any seed will do: the commit is not sent either.
        let seed_epoch = service.chain.head().await?.height;
        return Ok(SectorInput::PreCommitted { seed_epoch });
    }
    let purpose = pre_commit_purpose(sector.id, sealed.ticket_epoch);
    let call = calls::pre_commit_sector(
        &service.address,
        sector.id,
        &sealed.comm_d,
        &sealed.comm_r,
        sealed.ticket_epoch,
    );
    let (_, receipt) = match service.chain.call(&purpose, call).await {
        Ok(called) => called,
        Err(error) => return failed_message(service, &purpose, error),
    };
    let view = service
        .chain
        .miner(&service.address)
        .await?
        .ok_or(StepError::UnknownMiner)?;
    let ours = view
        .pre_commits
        .iter()
        .find(|pre| pre.id == sector.id && pre.comm_r == sealed.comm_r);
    let Some(ours) = ours else {
        return without_pre_commit(service, (sector, sealed), &view, receipt.height).await;
    };
    let seed_epoch = ours.seed_epoch;
    failpoint::hit_failpoint("precommit.seen");
    Ok(SectorInput::PreCommitted { seed_epoch })
}

/// What comes next for a sector whose pre-commit was in a block at `height` and is not there any more: it was sealed again since.
async fn without_pre_commit(
    service: &Sealing,
    (sector, sealed): (&Sector, &Sealed),
    view: &MinerView,
    height: Epoch,
) -> Result<SectorInput, StepError> {
    let head = service.chain.head().await?.height;
    let is_sent = service.chain.made(&commit_purpose(sector, sealed)).is_some();
    let is_committed = |known: &SectorView| known.id == sector.id && known.comm_r == sealed.comm_r;
    if is_sent || view.sectors.iter().any(is_committed) {
        // Any seed will do: the commit is not sent again.
        return Ok(SectorInput::PreCommitted { seed_epoch: head });
    }
    if head <= height.plus(service.policy.pre_commit_expiry) {
        return Err(StepError::NoPreCommit { sector: sector.id });
    }
    service
        .chain
        .settle(&pre_commit_purpose(sector.id, sealed.ticket_epoch))?;
    let reason = "its pre-commit has expired while it was sealed again".to_owned();
    Ok(SectorInput::SealExpired { reason })
}

pub(super) async fn submit_commit(
    service: &Sealing,
    sector: &Sector,
    sealed: &Sealed,
    proof: &[u8],
) -> Result<SectorInput, StepError> {
    if let Some((message, height)) = committed_before(service, sector, sealed).await? {
        tracing::info!(sector = sector.id, %message, "the chain has this very replica already");
        return Ok(SectorInput::Committed { message, height });
    }
    let purpose = commit_purpose(sector, sealed);
    let Sealed {
        comm_d, comm_r, comm_c, ..
    } = sealed;
    let call = calls::commit_sector(&service.address, sector.id, comm_d, comm_r, comm_c, proof);
    match service.chain.call(&purpose, call).await {
        Ok((message, receipt)) => {
            failpoint::hit_failpoint("commit.seen");
            Ok(SectorInput::Committed {
                message,
                height: receipt.height,
            })
        }
        Err(error) => failed_message(service, &purpose, error),
    }
}

/// The message that committed this very replica, and its height, where the chain has it already: records that were restored from a backup
/// do not know what came after it, and the same data and ticket make the same replica.
async fn committed_before(
    service: &Sealing,
    sector: &Sector,
    sealed: &Sealed,
) -> Result<Option<(Cid, Epoch)>, StepError> {
    let purpose = commit_purpose(sector, sealed);
    if service.chain.message_for(&purpose).is_some() {
        // It was sent from these records: the chain adapter knows what became of it.
        return Ok(None);
    }
    let view = service
        .chain
        .miner(&service.address)
        .await?
        .ok_or(StepError::UnknownMiner)?;
    let is_ours = |known: &&SectorView| known.id == sector.id && known.comm_r == sealed.comm_r;
    let Some(known) = view.sectors.iter().find(is_ours) else {
        return Ok(None);
    };
    let number = hex::encode(SectorNumber(sector.id).to_abi());
    let listed = service
        .chain
        .messages(&service.address, Some(known.committed_at.plus(1)))
        .await?;
    let commits = listed
        .iter()
        .filter(|message| message.method == COMMIT && message.exit_code == Some(exit::SUCCESS));
    for summary in commits.filter(|message| message.height == Some(known.committed_at)) {
        let Ok(cid) = Cid::try_from(summary.message.as_str()) else {
            continue;
        };
        let message = service.chain.message(&cid).await?;
        if message.is_some_and(|message| message.params.first() == Some(&number)) {
            return Ok(Some((cid, known.committed_at)));
        }
    }
    Ok(None)
}

/// What a message that had no effect means for the sector. ApiError in reaching the chain means nothing: try again.
fn failed_message(service: &Sealing, purpose: &str, error: ChainError) -> Result<SectorInput, StepError> {
    let reason = error.to_string();
    let stale = match error {
        ChainError::Failed { exit_code, .. } => STALE.contains(&exit_code),
        ChainError::Dropped { .. } => false,
        other => return Err(other.into()),
    };
    service.chain.forget(purpose)?;
    Ok(match stale {
        true => SectorInput::SealExpired { reason },
        false => SectorInput::StepFailed { reason },
    })
}

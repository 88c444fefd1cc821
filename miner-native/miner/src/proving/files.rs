//! Looking at the sectors' files before a window opens, so that damage is found while it costs their power only.
//!
//! Now and then whether they are there and as long as they must be; once before each window by really reading them, as the
//! proof will ([`crate::prover::Prover::open`]); and in the same way before a sector counts as recovered.

use super::{ids, send, PostError, Proving};
use crate::prover::ProverError;
use shared::chain::faults::FaultSet;
use shared::chain::view::{MinerView, SectorView, WindowView};
use shared::chain::{calls, Epoch};
use std::collections::BTreeSet;

/// Blocks between two looks at the sectors' files while no proof is due.
const CHECK_EVERY: u64 = 50;
/// Blocks before a window opens in which its sectors are opened: enough for the messages that follow.
const OPEN_BEFORE: u64 = 40;

/// Blocks before a window opens until which what comes from the archive is awaited.
const AWAITED_UNTIL: u64 = 10;

/// What is remembered of the looks; losing it costs only another.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// When the files are looked at next.
    next: Epoch,
    /// Start of the window before which the sectors were opened.
    opened_before: Option<Epoch>,
}

impl Looks {
    /// The next look is due at once.
    pub(super) fn again(&mut self) {
        self.next = Epoch(0);
    }

    /// Declares sectors faulty that cannot be proven, and recovers those that can be again. Before a window opens that
    /// costs their power only; in the window it would cost the proof.
    pub(super) async fn tick(
        &mut self,
        service: &Proving,
        view: &MinerView,
        coming: Option<WindowView>,
        height: Epoch,
    ) -> Result<(), PostError> {
        let opens = coming
            .map(|window| window.start)
            .filter(|start| height.plus(OPEN_BEFORE) >= *start);
        let reads = opens.is_some() && self.opened_before != opens;
        if height < self.next && !reads {
            return Ok(());
        }
        let whole = whole_sectors(service, view, reads).await?;
        // What the archive brings back is not declared before it must be.
        let is_soon = coming.is_some_and(|window| height.plus(AWAITED_UNTIL) >= window.start);
        let is_awaited = |sector: &SectorView| !is_soon && service.coming.has_sector(sector.id);
        let broken = |sector: &&SectorView| {
            sector.next_fault.is_none() && !is_out(sector) && !whole.contains(&sector.id) && !is_awaited(sector)
        };
        let mended = |sector: &&SectorView| is_out(sector) && whole.contains(&sector.id);
        let broken: Vec<u64> = ids(view.sectors.iter().filter(broken));
        let mended: Vec<u64> = ids(view.sectors.iter().filter(mended));
        if !broken.is_empty() {
            tracing::error!(sectors = ?broken, "these sectors cannot be proven: declared faulty until they can");
            let call = calls::add_faults(&service.address, &FaultSet::of(broken));
            send(service, &format!("faults-{height}"), call).await?;
        }
        if !mended.is_empty() {
            tracing::info!(sectors = ?mended, "these sectors' files are whole again");
            let call = calls::recover_faults(&service.address, &mended.into_iter().collect());
            send(service, &format!("recover-{height}"), call).await?;
        }
        let awaits = view
            .sectors
            .iter()
            .any(|sector| !whole.contains(&sector.id) && is_awaited(sector));
        self.next = height.plus(if awaits { AWAITED_UNTIL / 2 } else { CHECK_EVERY });
        if reads {
            self.opened_before = opens;
        }
        Ok(())
    }
}

fn is_out(sector: &SectorView) -> bool {
    sector.fault.as_ref().is_some_and(|fault| !fault.recovering)
}

/// The committed sectors that look as if they could be proven: by their files' lengths, or by their content.
async fn whole_sectors(service: &Proving, view: &MinerView, reads: bool) -> Result<BTreeSet<u64>, PostError> {
    let mut whole = BTreeSet::new();
    for sector in &view.sectors {
        match look_at(service, sector, reads || is_out(sector)).await {
            Ok(()) => drop(whole.insert(sector.id)),
            Err(error) if !error.passes() => {
                tracing::warn!(sector = sector.id, %error, "a sector cannot be proven");
            }
            // The machine's trouble, which says nothing of the sector.
            Err(error) => return Err(error.into()),
        }
    }
    Ok(whole)
}

async fn look_at(service: &Proving, sector: &SectorView, reads: bool) -> Result<(), ProverError> {
    service.prover.check(sector.id).await?;
    if !reads {
        return Ok(());
    }
    let mut opened = service.prover.open(sector.id, sector.comm_r).await;
    // A disk may stumble once; a fault costs a period's power.
    if let Err(error) = &opened {
        tracing::warn!(sector = sector.id, %error, "a sector could not be opened; trying once more");
        opened = service.prover.open(sector.id, sector.comm_r).await;
    }
    match &opened {
        Ok(()) => service.coming.note_whole(sector.id),
        Err(error) if error.is_damage() => service.coming.note_damaged(sector.id),
        Err(_) => {}
    }
    opened
}

//! Puts into the archive what is new, one item at a time, and takes away what is over.
//!
//! What belongs there: the sectors that the chain wants proven, and the pieces that something needs of which no sector is there. Only what these
//! records know to be over is taken away: records that were restored from an older backup do not know what came after it, and nothing of that is lost.

use super::tending::{tend, Memory, Tends, LONGEST_MOVE};
use super::transfer::Pace;
use super::{Archive, ArchiveError, Archiving, Item};
use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use sealdrop_database::blocking;
use shared::piece::Commitment;
use shared::sector::{Phase, SectorEffect};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a piece stays there that these records do not know, from when it was first seen.
const UNKNOWN_RESTS: Duration = Duration::from_secs(7 * 24 * 3600);

impl Archiving {
    /// Keeps the archive until it is to stop.
    pub async fn keep(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        tend::<Keeper>(&self, &lifeline).await;
        Ok(())
    }
}

/// What is to be done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Put(Item),
    Remove(Item),
}

impl Task {
    fn item(&self) -> Item {
        match self {
            Self::Put(item) | Self::Remove(item) => *item,
        }
    }
}

/// See [`Archiving::keep`].
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    memory: Memory,
    /// Pieces that the records do not know, and since when.
    unknown: BTreeMap<Cid, Instant>,
}

impl Tends for Keeper {
    const TROUBLE: &'static str = "the archive cannot be kept";

    /// Does what is to be done now; after each item it looks again.
    async fn tick(&mut self, service: &Archiving, lifeline: &Lifeline) -> Result<(), ArchiveError> {
        self.memory.begin(service).await?;
        loop {
            let tasks = self.tasks(service).await?;
            self.memory
                .forget(lifeline, |item| tasks.iter().any(|task| task.item() == *item));
            let resting = &self.memory.resting;
            let task = tasks.into_iter().find(|task| !resting.rests(&task.item()));
            let (Some(task), Some(opened)) = (task, self.memory.opened()) else {
                return Ok(());
            };
            let performed = service.perform(&opened.archive, task);
            let came = lifeline.busy(LONGEST_MOVE, performed).await;
            let is_done = self.memory.note(lifeline, task.item(), "could not be archived", came)?;
            if let (true, Some(opened)) = (is_done, self.memory.opened()) {
                match task {
                    Task::Put(item) => drop(opened.there.insert(item, true)),
                    Task::Remove(item) => drop(opened.there.remove(&item)),
                }
            }
        }
    }

    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

impl Keeper {
    /// What is to be done: new pieces, then new sectors, then what is over.
    async fn tasks(&mut self, service: &Archiving) -> Result<Vec<Task>, ArchiveError> {
        let Some(opened) = self.memory.opened() else {
            return Ok(Vec::new());
        };
        let there = &opened.there;
        let is_there = |item: &Item| there.get(item) == Some(&true);
        let committed = service.committed().await?;
        let mut tasks = Vec::new();
        for (cid, size) in blocking(|| service.needed_pieces())? {
            let item = Item::Piece(cid);
            if !is_there(&item) && service.staging.whole(&cid, size).is_some() {
                tasks.push(Task::Put(item));
            }
        }
        for (id, comm_r) in &committed {
            let item = Item::sector(*id, *comm_r);
            // One that cannot be looked at is told by whoever brings.
            if !is_there(&item) && blocking(|| service.is_finished(*id)).unwrap_or(false) {
                tasks.push(Task::Put(item));
            }
        }
        let mut unknown = std::mem::take(&mut self.unknown);
        for item in there.keys() {
            let is_over = match item {
                Item::Sector(id, _) if committed.contains_key(id) => false,
                Item::Sector(id, _) => blocking(|| service.is_removed(*id))?,
                Item::Piece(cid) => match blocking(|| service.piece_is_over(cid, &committed, &is_there))? {
                    Some(is_over) => is_over,
                    None => {
                        let since = *unknown.entry(*cid).or_insert_with(Instant::now);
                        self.unknown.insert(*cid, since);
                        since.elapsed() > UNKNOWN_RESTS
                    }
                },
            };
            if is_over {
                tasks.push(Task::Remove(*item));
            }
        }
        Ok(tasks)
    }
}

impl Archiving {
    /// Whether a sector's files are here and as they stay: committed, and its cache cleared away.
    fn is_finished(&self, id: u64) -> Result<bool, ArchiveError> {
        let record = self.store.sector(id)?;
        // One that older records do not know as committed was, by the chain.
        let is_sealing = record.is_some_and(|record| {
            let effect = record.sector.effect();
            !matches!(effect, SectorEffect::Prove | SectorEffect::ProveAndRelease)
        });
        Ok(!is_sealing && self.prover.is_here(id)?)
    }

    fn is_removed(&self, id: u64) -> Result<bool, ArchiveError> {
        let record = self.store.sector(id)?;
        Ok(record.is_some_and(|record| record.sector.phase() == Phase::Removed))
    }

    /// Whether nothing needs a piece in the archive any more; `None` where the records do not know it. Sectors that have it come first.
    fn piece_is_over(
        &self,
        cid: &Cid,
        committed: &BTreeMap<u64, Commitment>,
        is_there: &dyn Fn(&Item) -> bool,
    ) -> Result<Option<bool>, ArchiveError> {
        if self.store.is_copy_needed(cid)? {
            return Ok(Some(false));
        }
        let sectors = self.store.sectors_with(cid)?;
        let waits = sectors.iter().any(|record| {
            let comm_r = committed.get(&record.sector.id);
            comm_r.is_some_and(|comm_r| !is_there(&Item::sector(record.sector.id, *comm_r)))
        });
        let is_known = !sectors.is_empty() || self.store.piece(cid)?.is_some();
        Ok(match (waits, is_known) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        })
    }

    async fn perform(&self, archive: &Archive, task: Task) -> Result<(), ArchiveError> {
        match task {
            Task::Put(item) => self.put(archive, &item).await,
            Task::Remove(item) => {
                archive.remove(&item).await?;
                tracing::info!(%item, "taken out of the archive");
                Ok(())
            }
        }
    }

    async fn put(&self, archive: &Archive, item: &Item) -> Result<(), ArchiveError> {
        let began = Instant::now();
        let (dir, files) = match item {
            Item::Sector(id, comm_r) => {
                // A replica that is not this one, or damaged, would be of no use there.
                self.prover.open(*id, Commitment(*comm_r)).await?;
                let dir = self.prover.dir(*id);
                let files = blocking(|| self.prover.kept_files(&dir))?;
                (dir, files)
            }
            Item::Piece(cid) => {
                let Some(record) = blocking(|| self.store.piece(cid))? else {
                    return Ok(());
                };
                blocking(|| self.staging.digest(cid, record.size))?;
                (self.staging.dir().to_owned(), vec![cid.to_string().into()])
            }
        };
        // Proofs read the same disks.
        let idle = self.prover.post_idle_waiter();
        let pace: Pace = Arc::new(move || idle.wait());
        let bytes = archive.put(item, (&dir, &files), &pace).await?;
        let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
        tracing::info!(%item, bytes, seconds, "archived");
        Ok(())
    }
}

//! Puts into the archive what is new, one item at a time, and takes away what is over.
//!
//! What belongs there: the sectors that the chain wants proven, and the pieces that something needs of which no sector is there. Only what these
//! records know to be over is taken away: records that were restored from an older backup do not know what came after it, and nothing of that is lost.

use super::bringing::{Opened, LONGEST_MOVE, MOST_FAILED, OPEN_EVERY, PLACE};
use super::transfer::Pace;
use super::{Archive, ArchiveError, Archiving, Item, Resting};
use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use sealdrop_database::blocking;
use shared::piece::Commitment;
use shared::sector::{Phase, SectorEffect};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks at what is to be done.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a piece stays there that these records do not know, from when it was first seen.
const UNKNOWN_RESTS: Duration = Duration::from_secs(7 * 24 * 3600);

impl Archiving {
    /// Keeps the archive until it is to stop.
    pub async fn keep(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let work = async {
            let mut keeper = Keeper::default();
            loop {
                match keeper.tick(&self, &lifeline).await {
                    Ok(()) => lifeline.well(PLACE),
                    Err(error) => {
                        tracing::warn!(%error, archive = %self.config, "the archive cannot be kept; trying again");
                        lifeline.failing(PLACE, &error);
                        keeper.opened = None;
                    }
                }
                lifeline.beat();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        lifeline.unless_stopping(work).await;
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

/// What is remembered from look to look; losing it costs another list of what is there.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    opened: Option<Opened>,
    resting: Resting,
    /// Pieces that the records do not know, and since when.
    unknown: BTreeMap<Cid, Instant>,
}

impl Keeper {
    /// Does what is to be done now; after each item it looks again. The trouble of one item is told, and keeps no other one waiting.
    pub(crate) async fn tick(&mut self, service: &Archiving, lifeline: &Lifeline) -> Result<(), ArchiveError> {
        self.opened = self.opened.take().filter(|opened| opened.since.elapsed() < OPEN_EVERY);
        if self.opened.is_none() {
            let (archive, there) = service.open().await?;
            let since = Instant::now();
            self.opened = Some(Opened { archive, there, since });
            self.resting.wake();
        }
        let mut failed = 0;
        loop {
            let tasks = self.tasks(service).await?;
            for item in self
                .resting
                .forget(|item| tasks.iter().any(|task| task.item() == *item))
            {
                lifeline.well(&item.to_string());
            }
            let task = tasks.into_iter().find(|task| !self.resting.rests(&task.item()));
            let (Some(task), Some(opened)) = (task, &mut self.opened) else {
                return Ok(());
            };
            let item = task.item();
            match lifeline
                .busy(LONGEST_MOVE, service.perform(&opened.archive, task))
                .await
            {
                Ok(()) => {
                    lifeline.well(&item.to_string());
                    failed = 0;
                    match task {
                        Task::Put(item) => drop(opened.there.insert(item, true)),
                        Task::Remove(item) => drop(opened.there.remove(&item)),
                    }
                }
                Err(error) if error.is_of_the_store() && failed >= MOST_FAILED => return Err(error),
                Err(error) if error.is_of_one() => {
                    tracing::warn!(%item, %error, "could not be archived; trying again later");
                    lifeline.failing(&item.to_string(), &error);
                    self.resting.failed(item);
                    failed += usize::from(error.is_of_the_store());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What is to be done: new pieces, then new sectors, then what is over.
    async fn tasks(&mut self, service: &Archiving) -> Result<Vec<Task>, ArchiveError> {
        let Some(opened) = &self.opened else {
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

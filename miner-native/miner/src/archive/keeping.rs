//! Keeps an archive: brings in what is missing here, brings there what is new, and takes away what nobody needs any more.
//!
//! What belongs there: the sectors that are proven, and the pieces that something unsealed still needs. What is missing comes first, since a
//! proof may be due. Only what these records know to be over is taken away: records that were restored from an older backup do not know
//! the sectors after it, and nothing of those is lost.

use super::transfer::sync_tree;
use super::{file_error, Archive, ArchiveConfig, ArchiveError, Item, Owner};
use crate::clock::now_ms;
use crate::prover::Prover;
use crate::scrubbing;
use crate::staging::Staging;
use crate::store::MinerStore;
use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use sealdrop_database::blocking;
use shared::piece::SectorSize;
use shared::sector::{Phase, Sector, SectorEffect};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks at what is to be done.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long an item rests that could not be moved, while others are.
const REST: Duration = Duration::from_secs(60);
/// Longest time that one item may take: a sector of 64 GiB at 2 MB/s.
const LONGEST_MOVE: Duration = Duration::from_secs(10 * 3600);
/// How long a piece stays there that these records do not know.
const UNKNOWN_RESTS_MS: u64 = 24 * 3600 * 1000;
/// A finished sector's bytes, in sectors: the replica, its tree's top rows, and what describes them.
const FINISHED_FACTOR: u64 = 2;
/// In the folder of sectors: what is being brought there.
const COMING: &str = ".coming";
/// What health calls the archive.
const PLACE: &str = "archive";
/// What the name of a piece's file is while it comes.
const PIECE_FILE: &str = "piece";

/// What the archive is kept with.
#[derive(Clone)]
pub struct Archiving {
    pub config: ArchiveConfig,
    pub owner: Owner,
    pub sector_size: SectorSize,
    pub store: MinerStore,
    pub staging: Staging,
    pub prover: Arc<Prover>,
    /// Where sectors lie.
    pub sectors: PathBuf,
}

impl Archiving {
    /// Keeps the archive until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        lifeline.unless_stopping(self.keep(&lifeline)).await;
        Ok(())
    }

    async fn keep(&self, lifeline: &Lifeline) {
        let mut keeper = Keeper::default();
        loop {
            match lifeline.busy(LONGEST_MOVE, keeper.tick(self, lifeline)).await {
                Ok(()) => lifeline.well(PLACE),
                Err(error) => {
                    tracing::warn!(%error, archive = %self.config, "the archive cannot be kept; trying again");
                    lifeline.failing(PLACE, &error);
                    keeper.begin_again();
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// What is to be done with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    Bring(Item),
    Put(Item),
    Remove(Item),
}

impl Task {
    fn item(&self) -> Item {
        match self {
            Self::Bring(item) | Self::Put(item) | Self::Remove(item) => *item,
        }
    }
}

/// What is remembered from look to look; losing it costs another list of what is there.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// The archive, and what is there.
    open: Option<(Archive, BTreeMap<Item, u64>)>,
    /// Items that could not be moved, and until when they rest.
    resting: BTreeMap<Item, Instant>,
}

impl Keeper {
    /// Nothing of what was known of the archive is believed any more.
    fn begin_again(&mut self) {
        self.open = None;
    }

    /// Does all that is to be done now. The trouble of one item is told, and keeps no other one waiting.
    pub(crate) async fn tick(&mut self, service: &Archiving, lifeline: &Lifeline) -> Result<(), ArchiveError> {
        if self.open.is_none() {
            let archive = blocking(|| service.config.open())?;
            archive.claim(&service.owner).await?;
            let there = archive.items().await?;
            self.open = Some((archive, there));
        }
        let Some((archive, there)) = &mut self.open else {
            return Ok(());
        };
        self.resting.retain(|_, until| *until > Instant::now());
        let mut tasks = wanted(service, there).await?;
        while let Some(task) = tasks.pop_front() {
            let item = task.item();
            if self.resting.contains_key(&item) {
                continue;
            }
            match perform(service, archive, &task).await {
                Ok(()) => lifeline.well(&item.to_string()),
                Err(error) if error.is_of_one() => {
                    tracing::warn!(%item, %error, "could not be archived or brought back; trying again in a minute");
                    lifeline.failing(&item.to_string(), &error);
                    self.resting.insert(item, Instant::now() + REST);
                    continue;
                }
                Err(error) => return Err(error),
            }
            match task {
                Task::Put(item) => drop(there.insert(item, now_ms())),
                Task::Remove(item) => drop(there.remove(&item)),
                Task::Bring(_) => {}
            }
        }
        Ok(())
    }
}

/// What is to be done, the most urgent first.
async fn wanted(service: &Archiving, there: &BTreeMap<Item, u64>) -> Result<VecDeque<Task>, ArchiveError> {
    let (mut first, mut then) = (VecDeque::new(), VecDeque::new());
    let mut belongs = BTreeSet::new();
    for record in blocking(|| service.store.sectors_in(&[Phase::Proving, Phase::Expired]))? {
        let (sector, item) = (&record.sector, Item::Sector(record.sector.id));
        if !is_proven(sector) {
            continue;
        }
        belongs.insert(item);
        let is_whole = !blocking(|| scrubbing::is_replica_damaged(&service.store, sector.id))?;
        let is_here = is_whole && service.prover.check(sector.id).await.is_ok();
        match (is_here, there.contains_key(&item)) {
            (false, true) => first.push_back(Task::Bring(item)),
            // That it is gone is told by whoever proves.
            (false, false) | (true, true) => {}
            (true, false) => then.push_back(Task::Put(item)),
        }
    }
    for (cid, size) in blocking(|| needed_pieces(service))? {
        let item = Item::Piece(cid);
        belongs.insert(item);
        let is_here = service.staging.whole(&cid, size).is_some();
        match (is_here, there.contains_key(&item)) {
            (false, true) => first.push_back(Task::Bring(item)),
            (false, false) | (true, true) => {}
            (true, false) => then.push_front(Task::Put(item)),
        }
    }
    first.append(&mut then);
    for (item, since_ms) in there {
        if !belongs.contains(item) && blocking(|| is_over(service, item, *since_ms))? {
            first.push_back(Task::Remove(*item));
        }
    }
    Ok(first)
}

fn is_proven(sector: &Sector) -> bool {
    matches!(sector.effect(), SectorEffect::Prove | SectorEffect::ProveAndRelease)
}

/// The pieces that came in whole and that something needs which is not sealed yet, with their sizes.
fn needed_pieces(service: &Archiving) -> Result<Vec<(Cid, u64)>, ArchiveError> {
    let mut needed = Vec::new();
    for cid in service.store.pieces()? {
        if !service.store.is_copy_needed(&cid)? {
            continue;
        }
        if let Some(record) = service.store.piece(&cid)? {
            needed.push((cid, record.size));
        }
    }
    Ok(needed)
}

/// Whether these records know that an item is needed no more.
fn is_over(service: &Archiving, item: &Item, since_ms: u64) -> Result<bool, ArchiveError> {
    Ok(match item {
        Item::Sector(id) => service.store.sector(*id)?.is_some_and(|record| {
            let effect = record.sector.effect();
            matches!(effect, SectorEffect::Rest | SectorEffect::DeleteFiles)
        }),
        Item::Piece(cid) => {
            let is_known = service.store.piece(cid)?.is_some() || !service.store.sectors_with(cid)?.is_empty();
            is_known || now_ms().saturating_sub(since_ms) > UNKNOWN_RESTS_MS
        }
    })
}

async fn perform(service: &Archiving, archive: &Archive, task: &Task) -> Result<(), ArchiveError> {
    match task {
        Task::Put(item) => put(service, archive, item).await,
        Task::Bring(Item::Sector(id)) => bring_sector(service, archive, *id).await,
        Task::Bring(Item::Piece(cid)) => bring_piece(service, archive, cid).await,
        Task::Remove(item) => {
            archive.remove(item).await?;
            tracing::info!(%item, "taken out of the archive");
            Ok(())
        }
    }
}

async fn put(service: &Archiving, archive: &Archive, item: &Item) -> Result<(), ArchiveError> {
    let began = Instant::now();
    let (comm_r, dir, files) = match item {
        Item::Sector(id) => {
            let record = blocking(|| service.store.sector(*id))?;
            let Some(comm_r) = record.as_ref().and_then(|record| comm_r(&record.sector)) else {
                return Ok(());
            };
            let dir = service.sectors.join(id.to_string());
            (Some(comm_r), dir, service.prover.kept_files(*id)?)
        }
        Item::Piece(cid) => (None, service.staging.dir().to_owned(), vec![cid.to_string().into()]),
    };
    let bytes = archive.put(item, comm_r, &dir, &files).await?;
    let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
    tracing::info!(%item, bytes, seconds, "archived");
    Ok(())
}

/// Puts a sector's files back where they are missing.
async fn bring_sector(service: &Archiving, archive: &Archive, id: u64) -> Result<(), ArchiveError> {
    let item = Item::Sector(id);
    let manifest = archive
        .manifest(&item, service.sector_size.bytes().saturating_mul(FINISHED_FACTOR))
        .await?;
    let ours = blocking(|| service.store.sector(id))?.and_then(|record| comm_r(&record.sector));
    if manifest.comm_r.is_none() || manifest.comm_r != ours {
        return Err(ArchiveError::Damaged {
            what: format!("manifest of {item}"),
            reason: "it is that of another replica".into(),
        });
    }
    service.staging.check_room(manifest.bytes())?;
    tracing::info!(
        sector = id,
        bytes = manifest.bytes(),
        "bringing a sector's files from the archive"
    );
    let coming = service.sectors.join(COMING).join(id.to_string());
    archive.fetch(&item, &manifest, &coming).await?;
    // It may be over by now: then nothing of it is to lie here.
    let is_wanted = blocking(|| service.store.sector(id))?.is_some_and(|record| is_proven(&record.sector));
    if is_wanted {
        let dir = service.sectors.join(id.to_string());
        blocking(|| {
            for entry in &manifest.files {
                let (from, to) = (entry.below(&coming), entry.below(&dir));
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder).map_err(file_error("create", folder))?;
                }
                fs::rename(&from, &to).map_err(file_error("rename", &from))?;
            }
            sync_tree(&dir)?;
            // What was found of the former files says nothing of these.
            service.store.forget_scrub(id)?;
            Ok::<_, ArchiveError>(())
        })?;
        tracing::info!(sector = id, "the sector's files are here again");
    }
    blocking(|| fs::remove_dir_all(&coming)).map_err(file_error("remove", &coming))
}

async fn bring_piece(service: &Archiving, archive: &Archive, cid: &Cid) -> Result<(), ArchiveError> {
    let item = Item::Piece(*cid);
    let Some(record) = blocking(|| service.store.piece(cid))? else {
        return Ok(());
    };
    // Whoever brings it otherwise has its files.
    let Some(_claim) = service.staging.claim(*cid) else {
        return Ok(());
    };
    let manifest = archive.manifest(&item, record.size).await?;
    let [entry] = manifest.files.as_slice() else {
        return Err(ArchiveError::Damaged {
            what: format!("manifest of {item}"),
            reason: "a piece is one file".into(),
        });
    };
    service.staging.check_room(record.size)?;
    let coming = service.sectors.join(COMING).join(PIECE_FILE).join(cid.to_string());
    archive.fetch(&item, &manifest, &coming).await?;
    let (from, to) = (entry.below(&coming), service.staging.path(cid));
    blocking(|| {
        fs::rename(&from, &to).map_err(file_error("rename", &from))?;
        // Whatever the archive says it is, it is what its name says or nothing.
        service.staging.take_up(cid, record.size)?;
        fs::remove_dir_all(&coming).map_err(file_error("remove", &coming))
    })?;
    tracing::info!(piece = %cid, "the piece is here again");
    Ok(())
}

fn comm_r(sector: &Sector) -> Option<String> {
    sector.sealed().map(|sealed| hex::encode(sealed.comm_r.0))
}

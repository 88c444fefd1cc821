//! Puts back what is missing here and in the archive: what proofs and sealing wait for. It never waits for what is on its way to the archive.
//!
//! Which sectors are missing is known by the chain, which wants them proven; records that were restored from an older backup do not know the last
//! ones. Files come to a folder of their own, are opened against the CommR of the chain or hashed for the piece's CID, and take their places then.

use super::manifest::Manifest;
use super::tending::{tend, Memory, Tends, LONGEST_MOVE};
use super::transfer::sync_tree;
use super::{damaged, file_error, Archive, ArchiveError, Archiving, Item};
use crate::storage_check::free_space_at;
use crate::store::EffectKind;

use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use sealdrop_database::blocking;
use shared::piece::Commitment;
use shared::sector::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After this time the archive is opened anew where something is neither here nor there.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A finished sector's bytes, in sectors: the replica, its tree's rows, and what describes them.
const FINISHED_FACTOR: u64 = 2;
/// Left free on the disk.
const SPARE_BYTES: u64 = 64 << 20;
/// Beside sectors and pieces: what is being brought there.
const COMING: &str = ".coming";
/// What health calls the files of sectors that cannot be looked at.
const FILES: &str = "files of sectors";

impl Archiving {
    /// Brings what is missing until it is to stop.
    pub async fn bring(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        tend::<Bringer>(&self, &lifeline).await;
        Ok(())
    }
}

/// See [`Archiving::bring`].
#[derive(Debug, Default)]
pub(crate) struct Bringer {
    memory: Memory,
}

impl Tends for Bringer {
    const TROUBLE: &'static str = "nothing is brought from the archive";

    /// Brings all that is missing now, and looks again after each.
    async fn tick(&mut self, service: &Archiving, lifeline: &Lifeline) -> Result<(), ArchiveError> {
        self.memory.begin(service).await?;
        let mut tried = BTreeSet::new();
        loop {
            let missing = missing(service, lifeline).await?;
            let Some(opened) = self.memory.opened() else {
                return Ok(());
            };
            let since = opened.since;
            let (archived, lost): (Vec<Item>, Vec<Item>) = missing
                .into_iter()
                .partition(|item| opened.there.get(item) == Some(&true));
            // Nobody waits for what failed again and again.
            let resting = &self.memory.resting;
            let awaited = archived.iter().filter(|item| !resting.is_hopeless(item)).copied();
            service.tell_coming(&awaited.collect::<Vec<_>>());
            self.memory.forget(lifeline, |item| archived.contains(item));
            blocking(|| service.tidy_coming(&archived))?;
            let resting = &self.memory.resting;
            let next = archived
                .into_iter()
                .find(|item| !resting.rests(item) && !tried.contains(item));
            let (Some(item), Some(opened)) = (next, self.memory.opened()) else {
                // The archive may know more by now, where another daemon or this one has put it there.
                if !lost.is_empty() && since.elapsed() > LOOK_AGAIN {
                    self.memory.close();
                }
                return Ok(());
            };
            // One that comes by another way meanwhile is left to that.
            tried.insert(item);
            let brought = service.bring_item(&opened.archive, &item);
            let came = lifeline.busy(LONGEST_MOVE, brought).await;
            self.memory
                .note(lifeline, item, "could not be brought from the archive", came)?;
        }
    }

    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

/// What is to be here and is not: pieces that sealing waits for, then sectors.
async fn missing(service: &Archiving, lifeline: &Lifeline) -> Result<Vec<Item>, ArchiveError> {
    // A storage that is not mounted has nothing, and nothing is to be brought beside it.
    let staging = service.staging.dir();
    if !staging.is_dir() {
        let dir = staging.to_owned();
        return Err(ArchiveError::NoStorage { dir });
    }
    let pieces = blocking(|| service.needed_pieces())?;
    let mut missing: Vec<Item> = pieces
        .into_iter()
        .filter(|(cid, size)| service.staging.whole(cid, *size).is_none())
        .map(|(cid, _)| Item::Piece(cid))
        .collect();
    let mut unread = None;
    for (id, comm_r) in service.committed().await? {
        let is_here = blocking(|| service.prover.is_here(id));
        if service.coming.is_damaged(id) || matches!(is_here, Ok(false)) {
            missing.push(Item::sector(id, comm_r));
        }
        // A disk that does not say whether it has a file keeps no other sector waiting.
        unread = unread.or(is_here.err());
    }
    match unread {
        Some(error) => lifeline.failing(FILES, &error),
        None => lifeline.well(FILES),
    }
    Ok(missing)
}

impl Archiving {
    /// The sectors that the chain wants proven.
    pub(super) async fn committed(&self) -> Result<BTreeMap<u64, Commitment>, ArchiveError> {
        let view = self.chain.miner(&self.address).await?;
        let sectors = view.ok_or(ArchiveError::UnknownMiner)?.sectors.into_iter();
        Ok(sectors.map(|sector| (sector.id, sector.comm_r)).collect())
    }

    /// The pieces that came in whole and that something needs which is not sealed yet, with their sizes.
    pub(super) fn needed_pieces(&self) -> Result<Vec<(Cid, u64)>, ArchiveError> {
        let deals = self.store.deals_to(&EffectKind::UNSEALED)?;
        let of_deals = deals.iter().map(|(_, record)| record.deal.proposal.proposal.piece_ref);
        let sectors = self.store.sectors_in(&Phase::UNSEALED)?;
        let of_sectors = sectors.iter().flat_map(|record| &record.sector.pieces);
        let needed: BTreeSet<Cid> = of_deals.chain(of_sectors.map(|piece| piece.data_cid)).collect();
        let mut sized = Vec::new();
        for cid in needed {
            // One that has not come in whole is fetched from whoever has it.
            if let Some(record) = self.store.piece(&cid)? {
                sized.push((cid, record.size));
            }
        }
        Ok(sized)
    }

    fn tell_coming(&self, items: &[Item]) {
        let (mut sectors, mut pieces) = (BTreeSet::new(), BTreeSet::new());
        for item in items {
            match item {
                Item::Sector(id, _) => drop(sectors.insert(*id)),
                Item::Piece(cid) => drop(pieces.insert(*cid)),
            }
        }
        self.coming.know(sectors, pieces);
    }

    /// Where an item's files come first: on the disk on which their places are.
    fn coming_dir(&self, item: &Item) -> PathBuf {
        let beside = match item {
            Item::Sector(..) => self.sectors.as_path(),
            Item::Piece(_) => self.staging.dir(),
        };
        beside.join(COMING).join(item.name().replace('/', "-"))
    }

    /// Removes what came of items that nobody waits for any more.
    fn tidy_coming(&self, awaited: &[Item]) -> Result<(), ArchiveError> {
        let awaited: BTreeSet<PathBuf> = awaited.iter().map(|item| self.coming_dir(item)).collect();
        for dir in [self.sectors.join(COMING), self.staging.dir().join(COMING)] {
            let Ok(listed) = fs::read_dir(&dir) else { continue };
            for path in listed.flatten().map(|entry| entry.path()) {
                if !awaited.contains(&path) {
                    fs::remove_dir_all(&path).map_err(file_error("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    async fn bring_item(&self, archive: &Archive, item: &Item) -> Result<(), ArchiveError> {
        match item {
            Item::Sector(id, comm_r) => self.bring_sector(archive, item, (*id, Commitment(*comm_r))).await,
            Item::Piece(cid) => self.bring_piece(archive, item, cid).await,
        }
    }

    /// Puts a sector's files back where they are missing or damaged.
    async fn bring_sector(
        &self,
        archive: &Archive,
        item: &Item,
        (id, comm_r): (u64, Commitment),
    ) -> Result<(), ArchiveError> {
        let most = self.sector_size.bytes().saturating_mul(FINISHED_FACTOR);
        let manifest = archive.manifest(item, most).await?;
        let coming = self.coming_dir(item);
        blocking(|| check_room(&manifest, &coming))?;
        tracing::info!(
            sector = id,
            bytes = manifest.bytes(),
            "bringing a sector's files from the archive"
        );
        archive.fetch(item, &manifest, &coming).await?;
        // Just what proofs need, and of this very replica: the manifest is only somebody's word.
        let mut needed = self.prover.kept_files(&coming)?;
        let mut named: Vec<PathBuf> = manifest.files.iter().map(|entry| PathBuf::from(&entry.path)).collect();
        needed.sort();
        named.sort();
        let opened = match needed == named {
            true => self.prover.open_in(coming.clone(), id, comm_r).await,
            false => return Err(damaged(item, "its files are not just those that proofs need")),
        };
        if let Err(error) = opened {
            return Err(match error.is_damage() {
                true => damaged(item, error),
                false => error.into(),
            });
        }
        if self.committed().await?.get(&id) == Some(&comm_r) {
            let (dir, from, store) = (self.prover.dir(id), coming.clone(), self.store.clone());
            let swap = move || -> Result<(), ArchiveError> {
                needed
                    .iter()
                    .try_for_each(|file| take_place(&from.join(file), &dir.join(file)))?;
                sync_tree(&dir)?;
                // What was found of the former files says nothing of these.
                let is_told = store.scrub(id)?.is_some_and(|scrub| !scrub.damage.is_empty());
                if is_told {
                    store.forget_scrub(id)?;
                }
                Ok(())
            };
            self.prover.tidy(id, swap).await??;
            self.coming.note_whole(id);
            tracing::info!(sector = id, "the sector's files are here again");
        }
        blocking(|| fs::remove_dir_all(&coming)).map_err(file_error("remove", &coming))
    }

    async fn bring_piece(&self, archive: &Archive, item: &Item, cid: &Cid) -> Result<(), ArchiveError> {
        let Some(record) = blocking(|| self.store.piece(cid))? else {
            return Ok(());
        };
        // Whoever brings it otherwise has its files.
        let Some(claim) = self.staging.claim(*cid) else {
            return Ok(());
        };
        let manifest = archive.manifest(item, record.size).await?;
        let [entry] = manifest.files.as_slice() else {
            return Err(damaged(item, "a piece is one file"));
        };
        let coming = self.coming_dir(item);
        blocking(|| check_room(&manifest, &coming))?;
        tokio::select! {
            biased;
            fetched = archive.fetch(item, &manifest, &coming) => fetched?,
            // Its client sends it again: that is as good.
            () = claim.wanted() => return Ok(()),
        }
        blocking(|| {
            self.staging.adopt(cid, record.size, &entry.below(&coming))?;
            fs::remove_dir_all(&coming).map_err(file_error("remove", &coming))
        })?;
        tracing::info!(piece = %cid, "the piece is here again");
        Ok(())
    }
}

fn take_place(from: &Path, to: &Path) -> Result<(), ArchiveError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(file_error("create", folder))?;
    }
    fs::rename(from, to).map_err(file_error("rename", from))
}

/// Fails unless there is room for what has not come yet.
fn check_room(manifest: &Manifest, coming: &Path) -> Result<(), ArchiveError> {
    let here: u64 = manifest.files.iter().map(|entry| allocated(&entry.below(coming))).sum();
    let needed = manifest.bytes().saturating_sub(here).saturating_add(SPARE_BYTES);
    let available = free_space_at(coming).map_err(file_error("inspect", coming))?;
    match available < needed {
        true => Err(ArchiveError::Staging(crate::staging::StagingError::NoRoom {
            needed,
            available,
            dir: coming.to_owned(),
        })),
        false => Ok(()),
    }
}

/// Bytes that a file takes on the disk; it may have holes.
fn allocated(path: &Path) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).map_or(0, |found| found.blocks().saturating_mul(512))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        0
    }
}

//! Reads what is stored now and then, so that damage is found before a client or a window finds it.
//!
//! One sector at a time, the one that was not scrubbed for longest: the unsealed copy of each of its pieces is read whole,
//! its CommP and data root compared with the record; a copy that is damaged or gone is put back from the replica. Then the
//! replica is opened at random places. At the lowest priority, at the operator's pace, and not while a proof-of-spacetime
//! is due. What stays damaged is on record for [`crate::operator`]; a replica that cannot be proven is declared faulty by
//! [`crate::proving`]. Where the operator keeps no unsealed copies, this removes them.

use crate::clock::now_ms;
use crate::coming::Coming;
use crate::operator::{Damage, ScrubStatus};
use crate::prover::{PostIdleWaiter, Prover, ProverError, UnsealError};
use crate::settings::SettingsStore;
use crate::staging::{Staging, StagingError};
use crate::store::{reads_copies, EffectKind, MinerStore, ScrubRecord, SectorRecord, StoreError};
use crate::supervisor::{Backoff, Lifeline, ServiceError};
use cid::Cid;
use sealdrop_prover::is_shortage;
use shared::piece::{PieceDigest, PieceSummary};
use shared::sector::{Phase, Sector, SectorEffect, SectorPiece};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Longest scrub of one sector: 32 GiB at half a megabyte a second.
const LONGEST_SCRUB: Duration = Duration::from_secs(24 * 3600);
/// Time between two ticks while no sector is due.
const TICK: Duration = Duration::from_secs(30);
/// Bytes that are read between two looks at the pace.
const CHUNK: usize = 1 << 20;
/// How long an unsealed copy stays where none are kept: pieces are often asked for more than once.
const COPY_RESTS_MS: u64 = 10 * 60 * 1000;
/// Damage on record for one sector, at most.
const MAX_DAMAGE: usize = 16;

/// Why a scrub could not be done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Prover(#[from] ProverError),
}

/// What scrubbing works with.
#[derive(Clone)]
pub struct Scrubbing {
    pub store: MinerStore,
    pub staging: Staging,
    pub prover: Arc<Prover>,
    pub settings: Arc<SettingsStore>,
    /// Told of replicas that are damaged.
    pub coming: Coming,
}

impl Scrubbing {
    /// Scrubs until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        lifeline.unless_stopping(self.scrub_for_ever(&lifeline)).await;
        Ok(())
    }

    async fn scrub_for_ever(&self, lifeline: &Lifeline) {
        let mut backoff = Backoff::default();
        let mut scrubber = Scrubber::default();
        loop {
            match lifeline.busy(LONGEST_SCRUB, scrubber.tick(self, now_ms())).await {
                Ok(was_due) => {
                    lifeline.well("");
                    backoff = Backoff::default();
                    if !was_due {
                        tokio::time::sleep(TICK).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "stored data could not be scrubbed; trying again");
                    lifeline.failing("", &error);
                    backoff.pause().await;
                }
            }
        }
    }
}

/// What is remembered from tick to tick; losing it costs only work.
#[derive(Debug, Default)]
pub(crate) struct Scrubber {
    /// Sectors whose unsealed data was removed.
    bare: BTreeSet<u64>,
}

impl Scrubber {
    /// Scrubs the sector that is due most, if any is; whether one was.
    pub(crate) async fn tick(&mut self, service: &Scrubbing, now: u64) -> Result<bool, ScrubError> {
        forget_gone(service)?;
        let settings = service.settings.now();
        if !settings.keep_unsealed {
            self.remove_copies(service, now).await?;
        }
        if settings.scrub_every_ms == 0 {
            return Ok(false);
        }
        let Some(record) = due(service, now, settings.scrub_every_ms)? else {
            return Ok(false);
        };
        let found = scrub(service, &record.sector, settings.keep_unsealed).await?;
        service.store.keep_scrub(&ScrubRecord { at_ms: now, ..found })?;
        Ok(true)
    }

    /// Removes the unsealed copies of sealed sectors that nobody asked for lately, and the sectors' unsealed data.
    async fn remove_copies(&mut self, service: &Scrubbing, now: u64) -> Result<(), ScrubError> {
        let needed = needed_copies(service)?;
        for record in proven(service)? {
            let id = record.sector.id;
            if !self.bare.contains(&id) {
                match service.prover.remove_unsealed(id).await {
                    Ok(()) => drop(self.bare.insert(id)),
                    Err(error) => tracing::debug!(sector = id, %error, "the sector's unsealed data stays for now"),
                }
            }
            for piece in &record.sector.pieces {
                let path = service.staging.path(&piece.data_cid);
                let rests = changed_ms(&path).is_some_and(|at| now.saturating_sub(at) >= COPY_RESTS_MS);
                if rests && !needed.contains(&piece.data_cid) {
                    // A deal that was accepted since may need it: asked once more when nobody can begin to fetch it.
                    let Some(_claim) = service.staging.claim(piece.data_cid) else {
                        continue;
                    };
                    if service.store.is_copy_needed(&piece.data_cid)? {
                        continue;
                    }
                    service.staging.remove(&piece.data_cid)?;
                    tracing::info!(piece = %piece.data_cid, sector = id, "the unsealed copy was removed");
                }
            }
        }
        Ok(())
    }
}

/// What scrubbing found, for the operator.
pub(crate) fn status(store: &MinerStore) -> Result<ScrubStatus, StoreError> {
    let records = store.scrubs()?;
    let of = |record: &ScrubRecord| {
        let sector = record.sector;
        let texts = record.damage.iter().cloned();
        texts.map(|text| Damage { sector, text }).collect::<Vec<_>>()
    };
    Ok(ScrubStatus {
        sectors: records.len() as u64,
        last_at: records.iter().map(|record| record.at_ms).max(),
        restored: records.iter().map(|record| record.restored).sum(),
        damage: records.iter().flat_map(of).collect(),
    })
}

/// The sectors that are proven and will be.
fn proven(service: &Scrubbing) -> Result<Vec<SectorRecord>, StoreError> {
    let all: Vec<SectorRecord> = service.store.sectors_in(&[Phase::Proving])?;
    let is_proven = |record: &SectorRecord| record.sector.effect() == SectorEffect::Prove;
    Ok(all.into_iter().filter(is_proven).collect())
}

/// The sector whose last scrub, or whose commitment if there was none, is longest ago, when that is `every` ago.
fn due(service: &Scrubbing, now: u64, every: u64) -> Result<Option<SectorRecord>, StoreError> {
    let mut oldest: Option<(u64, SectorRecord)> = None;
    for record in proven(service)? {
        let scrubbed = service.store.scrub(record.sector.id)?.map(|scrub| scrub.at_ms);
        let at = scrubbed.unwrap_or_else(|| record.since_ms());
        let is_due = now.saturating_sub(at) >= every;
        if is_due && oldest.as_ref().is_none_or(|(other, _)| at < *other) {
            oldest = Some((at, record));
        }
    }
    Ok(oldest.map(|(_, record)| record))
}

/// Forgets the scrubs of sectors that are gone.
fn forget_gone(service: &Scrubbing) -> Result<(), StoreError> {
    let scrubs = service.store.scrubs()?;
    if scrubs.is_empty() {
        return Ok(());
    }
    let there: BTreeSet<u64> = proven(service)?.iter().map(|record| record.sector.id).collect();
    for record in scrubs.iter().filter(|record| !there.contains(&record.sector)) {
        service.store.forget_scrub(record.sector)?;
    }
    Ok(())
}

/// Data whose unsealed copies something still needs: what is not sealed yet.
fn needed_copies(service: &Scrubbing) -> Result<BTreeSet<Cid>, StoreError> {
    let deals = service.store.deals_to(&EffectKind::UNSEALED)?;
    let mut needed: BTreeSet<Cid> = deals
        .iter()
        .map(|(_, record)| record.deal.proposal.proposal.piece_ref)
        .collect();
    let mut phases = Phase::UNSEALED.to_vec();
    phases.push(Phase::Failed);
    for record in service.store.sectors_in(&phases)? {
        let sector = record.sector;
        if reads_copies(&sector) {
            needed.extend(sector.pieces.iter().map(|piece| piece.data_cid));
        }
    }
    Ok(needed)
}

async fn scrub(service: &Scrubbing, sector: &Sector, keep_unsealed: bool) -> Result<ScrubRecord, ScrubError> {
    let mut found = ScrubRecord {
        sector: sector.id,
        at_ms: 0,
        copies: 0,
        restored: 0,
        damage: Vec::new(),
    };
    for (index, piece) in sector.pieces.iter().enumerate() {
        let is_there = service.staging.path(&piece.data_cid).exists();
        if !is_there && !keep_unsealed {
            continue;
        }
        let Some(wrong) = wrong_copy(service, sector.id, piece).await? else {
            found.copies += 1;
            continue;
        };
        tracing::error!(piece = %piece.data_cid, sector = sector.id, wrong, "an unsealed copy is damaged");
        match restore(service, sector, index).await? {
            Ok(()) => {
                tracing::info!(piece = %piece.data_cid, sector = sector.id, "the copy was put back from the replica");
                found.copies += 1;
                found.restored += 1;
            }
            Err(reason) => found
                .damage
                .push(format!("piece {}: {wrong}; {reason}", piece.data_cid)),
        }
    }
    found.damage.truncate(MAX_DAMAGE - 1);
    if let Some(sealed) = sector.sealed() {
        match service.prover.open(sector.id, sealed.comm_r).await {
            Ok(()) => service.coming.note_whole(sector.id),
            Err(error) if error.passes() => return Err(error.into()),
            Err(error) => {
                tracing::error!(sector = sector.id, %error, "a replica is damaged");
                if error.is_damage() {
                    service.coming.note_damaged(sector.id);
                }
                found.damage.push(format!("the replica: {error}"));
            }
        }
    }
    Ok(found)
}

/// What is wrong with a piece's copy, if anything is.
async fn wrong_copy(service: &Scrubbing, sector: u64, piece: &SectorPiece) -> Result<Option<String>, ScrubError> {
    let (path, size) = (service.staging.path(&piece.data_cid), piece.size);
    let rate = service.settings.now().scrub_bytes_per_second;
    let idle = service.prover.post_idle_waiter();
    let file = path.clone();
    let job = move || Ok(digest(&file, size, Pace::new(rate, idle)));
    Ok(match service.prover.scrub(sector, job).await? {
        Ok(found) if found.data_cid == piece.data_cid && found.comm_p == piece.comm_p => None,
        Ok(found) => Some(format!("its bytes are those of {}", found.data_cid)),
        Err(source) if is_shortage(&source) => return Err(StagingError::unreadable(&path, source).into()),
        Err(error) => Some(error.to_string()),
    })
}

/// Puts a piece's copy back from the replica; says why that cannot be. A full disk is no reason: it passes.
async fn restore(service: &Scrubbing, sector: &Sector, index: usize) -> Result<Result<(), String>, ScrubError> {
    let Some(sealed) = sector.sealed() else {
        return Ok(Err("the sector is not sealed".into()));
    };
    match service.prover.unseal(sector, sealed, index, &service.staging).await {
        Ok(()) => Ok(Ok(())),
        Err(UnsealError::Prover(error)) if error.passes() => Err(error.into()),
        Err(UnsealError::Staging(error)) if error.passes() => Err(error.into()),
        Err(error) => Ok(Err(format!("it cannot be unsealed: {error}"))),
    }
}

/// Both names of a file's bytes, read at a pace.
fn digest(path: &Path, size: u64, mut pace: Pace) -> io::Result<PieceSummary> {
    let mut file = File::open(path)?;
    let found = file.metadata()?.len();
    if found != size {
        let text = format!("it has {found} bytes instead of {size}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let (mut digest, mut buffer, mut left) = (PieceDigest::new(), vec![0; CHUNK], size);
    while left > 0 {
        pace.wait();
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        buffer.truncate(wanted);
        file.read_exact(&mut buffer)?;
        digest.push(&buffer).map_err(io::Error::other)?;
        pace.read(wanted as u64);
        left -= wanted as u64;
    }
    digest.finish().map_err(io::Error::other)
}

/// Holds reading to so many bytes per second, and off while a proof-of-spacetime is due.
struct Pace {
    /// 0 does not hold it.
    rate: u64,
    idle: PostIdleWaiter,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(rate: u64, idle: PostIdleWaiter) -> Self {
        Self {
            rate,
            idle,
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Blocks its thread until the next bytes may be read.
    fn wait(&mut self) {
        self.idle.wait();
        if let Some(due) = due_after(self.bytes, self.rate) {
            std::thread::sleep(due.saturating_sub(self.since.elapsed()));
        }
    }
}

/// When so many bytes may have been read, from the beginning; `None` for at once.
fn due_after(bytes: u64, rate: u64) -> Option<Duration> {
    let ms = u128::from(bytes) * 1000 / u128::from(rate.max(1));
    (rate > 0).then(|| Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// When a file changed last, in milliseconds since 1970.
fn changed_ms(path: &Path) -> Option<u64> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    u64::try_from(changed.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_held_to_its_rate() {
        assert_eq!(due_after(3 << 20, 1 << 20), Some(Duration::from_secs(3)));
        assert_eq!(due_after(0, 5), Some(Duration::ZERO));
        assert_eq!(due_after(3 << 20, 0), None);
    }
}

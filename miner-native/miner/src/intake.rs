//! Whether more deals are taken in while many still wait to be sealed.
//!
//! What waits is bounded in bytes and in deals. A proposal that would go beyond the bound is refused with the time after
//! which to try again, and from then on so is every other, until a quarter of the bound has been sealed: otherwise each
//! finished sector would let in a handful and turn the rest away. Asked by [`crate::network`] for every proposal that is
//! good otherwise; refusals are not kept, so the same proposal may be accepted later.

use crate::prover::{Prover, Step};
use crate::settings::SettingsStore;
use crate::store::{EffectKind, MinerStore, StoreError, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::deal::quote::{span, Refusal};
use shared::deal::{Rejection, RejectionCode};
use shared::piece::SectorSize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The usual bound of bytes, in sectors.
const USUAL_SECTORS: u64 = 64;
/// The least usual bound of bytes, for sectors that are tiny.
const USUAL_LEAST: u64 = 64 << 20;

/// Whether more deals are taken in while many wait to be sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntakeStatus {
    pub open: bool,
    /// Why not, as proposals are told.
    pub reason: Option<String>,
    /// Bytes of accepted deals that are not sealed yet.
    pub waiting_bytes: u64,
    pub max_bytes: u64,
    /// Accepted deals that are not sealed yet.
    pub waiting_deals: u64,
    pub max_deals: u64,
}

/// Deals that are accepted and not sealed yet, or how many there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub bytes: u64,
    pub deals: u64,
}

impl Load {
    /// Below this intake opens again: three quarters of the bound.
    fn reopens_at(self) -> Self {
        let part = |bound: u64| bound - bound.div_ceil(4);
        Self {
            bytes: part(self.bytes),
            deals: part(self.deals),
        }
    }

    fn exceeds(self, other: Self) -> bool {
        self.bytes > other.bytes || self.deals > other.deals
    }

    fn with(self, bytes: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_add(bytes),
            deals: self.deals.saturating_add(u64::from(bytes > 0)),
        }
    }
}

impl From<Tally> for Load {
    fn from(Tally { deals, bytes }: Tally) -> Self {
        Self { bytes, deals }
    }
}

/// Whether intake is closed, as it was decided last.
#[derive(Debug, Default)]
struct AdmissionControl {
    is_closed: bool,
}

impl AdmissionControl {
    /// Whether a piece of `size` bytes comes in; 0 asks for none in particular.
    fn admits(&mut self, load: Load, bound: Load, size: u64) -> bool {
        let is_high = load.exceeds(bound.reopens_at());
        if !is_high {
            self.is_closed = false;
        }
        // The first piece comes in whatever its size: nothing else would ever make room for it.
        let is_over = load.with(size).exceeds(bound) && load.deals > 0;
        if is_over && is_high {
            self.is_closed = true;
        }
        !self.is_closed && !is_over
    }
}

/// The intake of one miner.
pub struct Intake {
    sector_size: SectorSize,
    store: MinerStore,
    prover: Arc<Prover>,
    settings: Arc<SettingsStore>,
    admission: Mutex<AdmissionControl>,
}

impl Intake {
    pub fn new(sector_size: SectorSize, store: MinerStore, prover: Arc<Prover>, settings: Arc<SettingsStore>) -> Self {
        Self {
            sector_size,
            store,
            prover,
            settings,
            admission: Mutex::default(),
        }
    }

    fn admission(&self) -> MutexGuard<'_, AdmissionControl> {
        // One flag: whole after a panic, too.
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much may wait, by the operator's settings.
pub fn bounds(size: SectorSize, max_bytes: u64, max_deals: u64) -> Load {
    let usual = size.bytes().saturating_mul(USUAL_SECTORS).max(USUAL_LEAST);
    Load {
        bytes: if max_bytes == 0 { usual } else { max_bytes },
        deals: max_deals,
    }
}

/// What is known of the machine before a proposal is decided on. Taken outside of the store's transaction: the prover's and the
/// settings' locks are held by others who wait for the disk.
#[derive(Debug, Clone)]
pub(crate) struct Capacity {
    can_seal: bool,
    bound: Load,
    /// How long sealing a sector takes here, when that is known.
    sector_ms: Option<u64>,
}

impl Capacity {
    /// Bytes that still come in while `unsealed` waits; nothing where nothing can be sealed.
    pub(crate) fn room(&self, unsealed: Tally) -> u64 {
        match self.can_seal && unsealed.deals < self.bound.deals {
            true => self.bound.bytes.saturating_sub(unsealed.bytes),
            false => 0,
        }
    }
}

/// How the machine stands now.
pub(crate) fn capacity(service: &Intake) -> Capacity {
    let memory = service.prover.check_memory();
    if let Err(error) = &memory {
        tracing::warn!(%error, "the machine cannot seal: proposals are refused");
    }
    Capacity {
        can_seal: memory.is_ok(),
        bound: bound_of(service),
        sector_ms: sector_ms(service),
    }
}

/// Why a piece of `size` bytes does not come in now; `None` when it does.
/// `unsealed` is what waits now. Waits for nobody: it is asked within the store's transaction.
pub(crate) fn refuses(service: &Intake, capacity: &Capacity, unsealed: Tally, size: u64) -> Option<Refusal> {
    let refused = |code, message: String, retry_ms| {
        let rejection = Rejection { code, message };
        Some(Refusal { rejection, retry_ms })
    };
    if !capacity.can_seal {
        let text = "this miner's machine has too little memory to seal a sector at present: propose again later, or to another";
        return refused(RejectionCode::CannotSeal, text.to_owned(), None);
    }
    let (load, bound) = (Load::from(unsealed), capacity.bound);
    let mut admission = service.admission();
    let was_closed = admission.is_closed;
    if admission.admits(load, bound, size) {
        if was_closed {
            tracing::info!("enough was sealed: new deals are taken again");
        }
        return None;
    }
    if admission.is_closed && !was_closed {
        tracing::warn!(
            bytes = load.bytes,
            deals = load.deals,
            "too much waits to be sealed: no new deals for now"
        );
    }
    let retry_ms = retry_ms(service, capacity.sector_ms, load, bound, size);
    refused(RejectionCode::SealingBacklog, reason(load, retry_ms), retry_ms)
}

/// How intake is doing.
pub(crate) fn status(service: &Intake) -> Result<IntakeStatus, StoreError> {
    let unsealed = service.store.tally(&EffectKind::UNSEALED)?;
    let (load, bound) = (Load::from(unsealed), bound_of(service));
    let reason = match service.prover.check_memory() {
        Err(error) => Some(error.to_string()),
        Ok(()) if !service.admission().admits(load, bound, 0) => {
            Some(reason(load, retry_ms(service, sector_ms(service), load, bound, 0)))
        }
        Ok(()) => None,
    };
    Ok(IntakeStatus {
        open: reason.is_none(),
        reason,
        waiting_bytes: load.bytes,
        max_bytes: bound.bytes,
        waiting_deals: load.deals,
        max_deals: bound.deals,
    })
}

fn bound_of(service: &Intake) -> Load {
    let settings = service.settings.now();
    bounds(
        service.sector_size,
        settings.staging_max_bytes,
        settings.staging_max_deals,
    )
}

fn reason(load: Load, retry_ms: Option<u64>) -> String {
    let Load { bytes, deals } = load;
    let when = retry_ms.map_or("later".into(), |ms| format!("in about {}", span(ms)));
    format!("{deals} deals with {bytes} bytes wait to be sealed by this miner, as much as it takes in: propose again {when}")
}

/// When enough will be sealed, by how long steps take here; `None` when that is not known.
fn retry_ms(service: &Intake, sector_ms: Option<u64>, load: Load, bound: Load, size: u64) -> Option<u64> {
    Some(sectors_until(load, bound, size, service.sector_size.usable()).saturating_mul(sector_ms?))
}

/// How long sealing a sector takes here; `None` when that is not known.
fn sector_ms(service: &Intake) -> Option<u64> {
    let expected = |step| service.prover.expected(step, 1).ms;
    let encoding = expected(Step::PreCommit1)?.saturating_add(expected(Step::PreCommit2)?);
    // Encoding and proving overlap: the slower of both sets the pace.
    Some(encoding.max(expected(service.prover.proving_step())?))
}

/// Sectors that must be sealed before a piece of `size` bytes comes in; at least one.
fn sectors_until(load: Load, bound: Load, size: u64, usable: u64) -> u64 {
    let mark = bound.reopens_at();
    let room = mark.bytes.min(bound.bytes.saturating_sub(size));
    let too_many_deals = load.deals.saturating_sub(mark.deals);
    let average = load.bytes / load.deals.max(1);
    let bytes = load
        .bytes
        .saturating_sub(room)
        .max(too_many_deals.saturating_mul(average));
    bytes.div_ceil(usable.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Load = Load { bytes: 100, deals: 8 };

    fn load(bytes: u64, deals: u64) -> Load {
        Load { bytes, deals }
    }

    #[test]
    fn intake_closes_at_the_bound_and_opens_again_when_a_quarter_of_it_is_sealed() {
        let mut admission = AdmissionControl::default();
        assert!(admission.admits(load(80, 2), BOUND, 20));
        assert!(!admission.admits(load(90, 3), BOUND, 20));
        // A smaller piece would fit, and waits for its turn all the same.
        assert!(!admission.admits(load(90, 3), BOUND, 1));
        assert!(!admission.admits(load(76, 3), BOUND, 1));
        assert!(admission.admits(load(75, 3), BOUND, 1));
        assert!(
            admission.admits(load(76, 4), BOUND, 1),
            "open until the bound is reached again"
        );
    }

    #[test]
    fn many_small_deals_close_it_as_well() {
        let mut admission = AdmissionControl::default();
        assert!(admission.admits(load(7, 7), BOUND, 1));
        assert!(!admission.admits(load(8, 8), BOUND, 1));
        assert!(!admission.admits(load(7, 7), BOUND, 1));
        assert!(admission.admits(load(6, 6), BOUND, 1));
    }

    #[test]
    fn a_large_piece_that_has_no_room_closes_nothing_for_small_ones() {
        let mut admission = AdmissionControl::default();
        assert!(!admission.admits(load(50, 2), BOUND, 60));
        assert!(admission.admits(load(50, 2), BOUND, 10));
        assert!(
            admission.admits(load(0, 0), BOUND, 500),
            "the first comes in whatever its size"
        );
    }

    #[test]
    fn the_time_to_try_again_follows_from_what_has_to_be_sealed_first() {
        assert_eq!(sectors_until(load(100, 4), BOUND, 10, 10), 3, "down to three quarters");
        assert_eq!(
            sectors_until(load(100, 4), BOUND, 60, 10),
            6,
            "and until the piece fits"
        );
        assert_eq!(
            sectors_until(load(80, 8), BOUND, 1, 10),
            2,
            "two deals too many of 10 bytes each"
        );
        assert_eq!(sectors_until(load(1, 1), BOUND, 1, 10), 1);
        assert_eq!(
            [1, 90_000, 91_000, 7_200_000].map(span),
            ["a second", "90 seconds", "2 minutes", "2 hours"]
        );
    }

    #[test]
    fn there_is_room_for_what_is_left_of_the_bound() {
        let capacity = |can_seal| Capacity {
            can_seal,
            bound: BOUND,
            sector_ms: None,
        };
        let room = |bytes, deals| capacity(true).room(Tally { deals, bytes });
        assert_eq!([room(0, 0), room(30, 1), room(130, 1)], [100, 70, 0]);
        assert_eq!(room(30, 8), 0, "there are as many deals as there may be");
        assert_eq!(capacity(false).room(Tally::default()), 0);
    }

    #[test]
    fn the_usual_bound_grows_with_the_sector() {
        assert_eq!(bounds(SectorSize::S2KiB, 0, 5), load(64 << 20, 5));
        assert_eq!(bounds(SectorSize::S8MiB, 0, 5), load(512 << 20, 5));
        assert_eq!(bounds(SectorSize::S8MiB, 7, 5), load(7, 5));
    }
}

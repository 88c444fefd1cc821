//! Where the bytes of a piece are read: from the staged copy, or from its sector, which is unsealed into one first.
//!
//! The one way to them for whoever gives pieces away: [`crate::network`] over libp2p, [`crate::http`] over HTTP (step 15 of a deal).
//! Unsealing takes seconds to hours by the sector's size, so one piece is unsealed at a time, once for all who wait for it, and it goes on
//! when they do not wait any more: whoever asks again finds it.

use crate::delivery_places::DeliveryPlaces;
use crate::prover::Prover;
use crate::staging::Staging;
use crate::store::{MinerStore, PieceRecord, StoreError};
use cid::Cid;
use sealdrop_database::blocking;
use shared::sector::SectorEffect;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, Notify};

/// Pieces that wait to be unsealed: as many as requests are taken in ([`crate::delivery_places`]).
const MAX_IN_LINE: usize = 32;
/// Pieces that were unsealed and whose listeners have not heard of it; one who missed some looks for itself.
const RESTORED_KEPT: usize = 64;

/// Where a piece's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// In this file, whole.
    Staged(PathBuf),
    /// In a proven sector alone.
    Sealed,
    /// Nowhere any more.
    Lost,
}

/// Why a piece that is in a sector does not come out of it now.
#[derive(Debug, thiserror::Error)]
pub enum UnsealFailure {
    #[error("{MAX_IN_LINE} pieces wait to be unsealed: try again in a moment")]
    Busy,
    #[error("no sector gives the piece")]
    NoSector,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads pieces. Clones are the same.
#[derive(Clone)]
pub struct PieceReader {
    store: MinerStore,
    staging: Staging,
    prover: Arc<Prover>,
    line: Arc<Line>,
    places: DeliveryPlaces,
    restored: broadcast::Sender<Cid>,
}

/// The pieces that are being unsealed.
#[derive(Default)]
struct Line {
    pieces: Mutex<BTreeSet<Cid>>,
    /// Told when one leaves.
    changed: Notify,
    /// Held while one is unsealed.
    turn: tokio::sync::Mutex<()>,
}

impl Line {
    fn pieces(&self) -> MutexGuard<'_, BTreeSet<Cid>> {
        // Each change is one call: whole after a panic, too.
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece's place in the line; it leaves when this is dropped.
struct InLine {
    line: Arc<Line>,
    data: Cid,
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.line.pieces().remove(&self.data);
        self.line.changed.notify_waiters();
    }
}

impl PieceReader {
    pub fn new(store: MinerStore, staging: Staging, prover: Arc<Prover>) -> Self {
        Self {
            store,
            staging,
            prover,
            line: Arc::default(),
            places: DeliveryPlaces::default(),
            restored: broadcast::Sender::new(RESTORED_KEPT),
        }
    }

    /// Where whoever takes bytes of pieces stands in line.
    pub(crate) fn places(&self) -> &DeliveryPlaces {
        &self.places
    }

    /// What is known of a piece, and where its bytes are; `None` for one that is not stored here.
    pub fn find(&self, data: &Cid) -> Result<Option<(PieceRecord, Whereabouts)>, StoreError> {
        blocking(|| {
            let Some(piece) = self.store.piece(data)? else {
                return Ok(None);
            };
            let whereabouts = match self.staging.whole(data, piece.size) {
                Some(path) => Whereabouts::Staged(path),
                None if self.is_sealed(data)? => Whereabouts::Sealed,
                None => Whereabouts::Lost,
            };
            Ok(Some((piece, whereabouts)))
        })
    }

    /// Tells which pieces were unsealed, from now on.
    pub fn restored(&self) -> broadcast::Receiver<Cid> {
        self.restored.subscribe()
    }

    /// Whether a proven sector holds the piece.
    fn is_sealed(&self, data: &Cid) -> Result<bool, StoreError> {
        let sectors = self.store.sectors_with(data)?;
        Ok(sectors
            .iter()
            .any(|record| record.sector.effect() == SectorEffect::Prove))
    }

    /// The piece's file, from its sector. Dropping this does not end the unsealing.
    pub async fn unseal(&self, data: &Cid, size: u64) -> Result<PathBuf, UnsealFailure> {
        let mut is_asked = false;
        loop {
            let mut changed = pin!(self.line.changed.notified());
            // Who leaves from here on is not missed.
            changed.as_mut().enable();
            // Looked at before the file: what leaves the line in between is there.
            let is_in_line = self.line.pieces().contains(data);
            if let Some(path) = self.staging.whole(data, size) {
                return Ok(path);
            }
            if !is_in_line {
                if is_asked {
                    return Err(UnsealFailure::NoSector);
                }
                self.enter(*data, size)?;
            }
            is_asked = true;
            changed.await;
        }
    }

    /// Puts the piece into the line, and sees to it that it gets its turn.
    fn enter(&self, data: Cid, size: u64) -> Result<(), UnsealFailure> {
        let mut pieces = self.line.pieces();
        if pieces.len() >= MAX_IN_LINE {
            return Err(UnsealFailure::Busy);
        }
        if pieces.insert(data) {
            let line = self.line.clone();
            let in_line = InLine { line, data };
            let reader = self.clone();
            tokio::spawn(async move {
                let _turn = in_line.line.turn.lock().await;
                match reader.take_out(&data, size).await {
                    Ok(true) => drop(reader.restored.send(data)),
                    Ok(false) => tracing::error!(piece = %data, "no sector gives the piece"),
                    Err(error) => tracing::error!(piece = %data, %error, "the piece cannot be unsealed"),
                }
            });
        }
        Ok(())
    }

    /// Unseals the piece from the first sector that gives it.
    async fn take_out(&self, data: &Cid, size: u64) -> Result<bool, StoreError> {
        if self.staging.whole(data, size).is_some() {
            return Ok(true);
        }
        for record in blocking(|| self.store.sectors_with(data))? {
            let sector = record.sector;
            let index = sector.pieces.iter().position(|piece| piece.data_cid == *data);
            let (Some(index), SectorEffect::Prove, Some(sealed)) = (index, sector.effect(), sector.sealed()) else {
                continue;
            };
            tracing::info!(piece = %data, sector = sector.id, "unsealing a piece");
            let unsealed = self.prover.unseal(&sector, sealed, index, &self.staging);
            match unsealed.await {
                Ok(()) => return Ok(true),
                Err(error) => {
                    tracing::error!(piece = %data, sector = sector.id, %error, "the piece cannot be unsealed");
                }
            }
        }
        Ok(false)
    }
}

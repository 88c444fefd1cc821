//! Handing pieces back, free of charge (step 15 of a deal): from the staged copy, or unsealed when that is gone.
//!
//! Whoever asks computes the data root of what arrives; the miner is not believed.

use super::exchange::{Exchange, SHORT};
use super::refused::Limit;
use super::stream_limiter::StreamLimiter;
use super::{frames, ExchangeError};
use crate::prover::Prover;
use crate::staging::Staging;
use crate::store::MinerStore;
use cid::Cid;
use libp2p::Stream;
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse, MAX_CHUNK};
use shared::sector::SectorEffect;
use shared::transfer::Pace;
use shared::wire::encode;
use shared::wire::frame::{frame, MAX_MESSAGE};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Time between two signs of life while a piece is unsealed: a third of what peers wait ([`frames::SILENCE_LIMIT`]).
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Gives pieces out.
#[derive(Clone)]
pub struct RetrievalServer {
    store: MinerStore,
    staging: Staging,
    prover: Arc<Prover>,
    deliveries: StreamLimiter,
    /// Held while a piece is unsealed: those who ask for it meanwhile find it staged.
    unsealing: Arc<Mutex<()>>,
}

impl RetrievalServer {
    pub fn new(store: MinerStore, staging: Staging, prover: Arc<Prover>) -> Self {
        Self {
            store,
            staging,
            prover,
            deliveries: StreamLimiter::of_deliveries(),
            unsealing: Arc::default(),
        }
    }

    /// Reads a request; answers with the status, and the piece's bytes in order.
    pub(super) async fn answer(self, mut exchange: Exchange) -> Result<(), ExchangeError> {
        let RetrievePieceRequest { piece_ref } = exchange.request(SHORT).await?;
        let Some(place) = self.deliveries.enter(exchange.peer) else {
            exchange.refused(Limit::Deliveries);
            let reason = "too many pieces are being retrieved: try again in a moment";
            return refuse(&mut exchange.stream, reason.into()).await;
        };
        let stream = &mut exchange.stream;
        // A delivery makes no room for others, but for its speed.
        place.asked();
        let Some(piece) = self.store.piece(&piece_ref)? else {
            return refuse(stream, format!("piece {piece_ref} is not stored here")).await;
        };
        let staged = self.staging.whole(&piece_ref, piece.size);
        let is_staged = staged.is_some();
        let path = match staged {
            Some(path) => path,
            None if !self.holds(&piece_ref)? => {
                return refuse(stream, format!("piece {piece_ref} was lost here")).await;
            }
            None => {
                accept(stream).await?;
                match self.unseal_meanwhile(&piece_ref, piece.size, stream).await? {
                    Some(path) => path,
                    // The stream breaks off: too few bytes are no piece, and the peer tries again.
                    None => return Ok(()),
                }
            }
        };
        let mut file = match File::open(&path).await {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a staged piece cannot be read");
                return match is_staged {
                    true => refuse(stream, format!("piece {piece_ref} cannot be read just now")).await,
                    false => Ok(()),
                };
            }
        };
        if is_staged {
            accept(stream).await?;
        }
        send(stream, &mut file, piece.size).await?;
        frames::close(stream).await?;
        tracing::info!(piece = %piece_ref, size = piece.size, "gave a piece back");
        Ok(())
    }

    /// Whether a proven sector holds the piece.
    fn holds(&self, data: &Cid) -> Result<bool, ExchangeError> {
        let sectors = self.store.sectors_with(data)?;
        Ok(sectors
            .iter()
            .any(|record| record.sector.effect() == SectorEffect::Prove))
    }

    /// Unseals, which takes seconds to hours by the sector's size, and sends an empty chunk now and then, so that the
    /// peer knows that somebody is at work.
    async fn unseal_meanwhile(
        &self,
        data: &Cid,
        size: u64,
        stream: &mut Stream,
    ) -> Result<Option<PathBuf>, ExchangeError> {
        let unsealing = self.unseal(data, size);
        tokio::pin!(unsealing);
        loop {
            tokio::select! {
                found = &mut unsealing => return found,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    let nothing = RetrievePieceChunk { data: Vec::new().into() };
                    frames::write(stream, &nothing).await?;
                }
            }
        }
    }

    /// The piece's file, from its sector; `None` when no sector gives it.
    async fn unseal(&self, data: &Cid, size: u64) -> Result<Option<PathBuf>, ExchangeError> {
        let _turn = self.unsealing.lock().await;
        if let Some(path) = self.staging.whole(data, size) {
            return Ok(Some(path));
        }
        for record in self.store.sectors_with(data)? {
            let sector = record.sector;
            let index = sector.pieces.iter().position(|piece| piece.data_cid == *data);
            let (Some(index), SectorEffect::Prove, Some(sealed)) = (index, sector.effect(), sector.sealed()) else {
                continue;
            };
            tracing::info!(piece = %data, sector = sector.id, "unsealing a piece");
            let unsealed = self.prover.unseal(&sector, sealed, index, &self.staging);
            match unsealed.await {
                Ok(()) => return Ok(Some(self.staging.path(data))),
                Err(error) => {
                    tracing::error!(piece = %data, sector = sector.id, %error, "the piece cannot be unsealed");
                }
            }
        }
        Ok(None)
    }
}

async fn accept(stream: &mut Stream) -> Result<(), ExchangeError> {
    let accepted = RetrievePieceResponse {
        status: RetrievalStatus::Success,
        error_message: String::new(),
    };
    frames::write(stream, &accepted).await?;
    Ok(())
}

async fn refuse(stream: &mut Stream, reason: String) -> Result<(), ExchangeError> {
    let refusal = RetrievePieceResponse {
        status: RetrievalStatus::Failure,
        error_message: reason,
    };
    frames::write(stream, &refusal).await?;
    frames::close(stream).await?;
    Ok(())
}

async fn send(stream: &mut Stream, file: &mut File, size: u64) -> Result<(), ExchangeError> {
    let (begun, mut pace, mut left) = (Instant::now(), Pace::begin(0), size);
    while left > 0 {
        let mut data = vec![0; left.min(MAX_CHUNK as u64) as usize];
        file.read_exact(&mut data).await.map_err(frames::StreamError::from)?;
        left -= data.len() as u64;
        let chunk = encode(&RetrievePieceChunk { data: data.into() });
        frames::write_bytes(stream, &frame(&chunk, MAX_MESSAGE).map_err(frames::StreamError::from)?).await?;
        // Whoever reads too slowly asks again; a delivery cannot go on where it was, so it has no turn that ends.
        let paced = pace.moved(chunk.len() as u64, begun.elapsed().as_millis() as u64, false);
        paced.map_err(frames::StreamError::from)?;
    }
    Ok(())
}

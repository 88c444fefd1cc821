//! Handing pieces back, free of charge (step 15 of a deal): from the staged copy, or unsealed when that is gone.
//!
//! Whoever asks computes the data root of what arrives; the miner is not believed.

use super::{frames, ExchangeError};
use crate::miner::Miner;
use cid::Cid;
use libp2p::Stream;
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse, MAX_CHUNK};
use shared::sector::Phase;
use shared::wire::encode;
use shared::wire::frame::{frame, MAX_MESSAGE};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::{Mutex, Semaphore};

/// Deliveries at once, of all peers together.
const MAX_DELIVERIES: usize = 16;

/// Gives pieces out.
#[derive(Clone)]
pub(super) struct Giver {
    miner: Arc<Miner>,
    places: Arc<Semaphore>,
    /// Held while a piece is unsealed: those who ask for it meanwhile find it staged.
    unsealing: Arc<Mutex<()>>,
}

impl Giver {
    pub(super) fn new(miner: Arc<Miner>) -> Self {
        Self {
            miner,
            places: Arc::new(Semaphore::new(MAX_DELIVERIES)),
            unsealing: Arc::default(),
        }
    }

    /// Reads a request; answers with the status, and the piece's bytes in order.
    pub(super) async fn answer(self, mut stream: Stream) -> Result<(), ExchangeError> {
        let RetrievePieceRequest { piece_ref } = frames::read(&mut stream).await?;
        let Ok(_place) = self.places.try_acquire() else {
            return refuse(
                &mut stream,
                "too many pieces are being retrieved: try again in a moment".into(),
            )
            .await;
        };
        let Some(piece) = self.miner.store.piece(&piece_ref)? else {
            return refuse(&mut stream, format!("piece {piece_ref} is not stored here")).await;
        };
        let path = match self.find(&piece_ref, piece.size).await? {
            Ok(path) => path,
            Err(reason) => return refuse(&mut stream, reason).await,
        };
        let mut file = match File::open(&path).await {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a staged piece cannot be read");
                return refuse(&mut stream, format!("piece {piece_ref} cannot be read just now")).await;
            }
        };
        let accepted = RetrievePieceResponse {
            status: RetrievalStatus::Success,
            error_message: String::new(),
        };
        frames::write(&mut stream, &accepted).await?;
        send(&mut stream, &mut file, piece.size).await?;
        frames::close(&mut stream).await?;
        tracing::info!(piece = %piece_ref, size = piece.size, "gave a piece back");
        Ok(())
    }

    /// The piece's file; unsealed first when the staged copy is lost. The inner error is for the peer.
    async fn find(&self, data: &Cid, size: u64) -> Result<Result<PathBuf, String>, ExchangeError> {
        if let Some(path) = self.miner.staging.whole(data, size) {
            return Ok(Ok(path));
        }
        let _turn = self.unsealing.lock().await;
        if let Some(path) = self.miner.staging.whole(data, size) {
            return Ok(Ok(path));
        }
        for record in self.miner.store.sectors() {
            let sector = record?.sector;
            let index = sector.pieces.iter().position(|piece| piece.data_cid == *data);
            let (Some(index), Phase::Proving, Some(sealed)) = (index, sector.phase(), sector.sealed()) else {
                continue;
            };
            tracing::info!(piece = %data, sector = sector.id, "unsealing a piece");
            match self
                .miner
                .prover
                .unseal(&sector, sealed, index, &self.miner.staging)
                .await
            {
                Ok(()) => return Ok(Ok(self.miner.staging.path(data))),
                Err(error) => {
                    tracing::error!(piece = %data, sector = sector.id, %error, "the piece cannot be unsealed")
                }
            }
        }
        Ok(Err(format!("piece {data} was lost here")))
    }
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
    let mut left = size;
    while left > 0 {
        let mut data = vec![0; left.min(MAX_CHUNK as u64) as usize];
        file.read_exact(&mut data).await.map_err(frames::StreamError::from)?;
        left -= data.len() as u64;
        let chunk = encode(&RetrievePieceChunk { data: data.into() });
        frames::write_bytes(stream, &frame(&chunk, MAX_MESSAGE).map_err(frames::StreamError::from)?).await?;
    }
    Ok(())
}

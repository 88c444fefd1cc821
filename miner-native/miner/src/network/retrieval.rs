//! Handing pieces back, free of charge (step 15 of a deal): from the staged copy, or unsealed when that is gone. A manifest is given by its own
//! id, too.
//!
//! Whoever asks computes the data root of what arrives; the miner is not believed.

use super::exchange::{Exchange, SHORT};
use super::refused::Limit;
use super::{frames, ExchangeError};
use crate::block_index::BlockIndex;
use crate::delivery_places::{Taker, Ticket};
use crate::piece_reader::{PieceReader, UnsealFailure, Whereabouts};
use cid::Cid;
use libp2p::Stream;
use sealdrop_database::blocking;
use shared::file::Manifest;
use shared::piece::node::{cid_of, RAW};
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse, MAX_CHUNK};
use shared::transfer::PlaceLost;
use shared::wire::encode;
use shared::wire::frame::{frame, MAX_MESSAGE};
use std::future::Future;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// The answer where there is no room.
const TOO_MANY: &str = "too many pieces are being retrieved: try again in a moment";
/// Time between two signs of life while a piece is unsealed, or waits for its turn after that: a third of what peers wait ([`frames::SILENCE_LIMIT`]).
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Gives pieces out.
#[derive(Clone)]
pub struct RetrievalServer {
    reader: PieceReader,
    index: BlockIndex,
}

impl RetrievalServer {
    pub fn new(reader: PieceReader, index: BlockIndex) -> Self {
        Self { reader, index }
    }

    /// Reads a request; answers with the status, and the piece's bytes in order.
    pub(super) async fn answer(self, mut exchange: Exchange) -> Result<(), ExchangeError> {
        let RetrievePieceRequest { piece_ref } = exchange.request(SHORT).await?;
        let Some(ticket) = self.reader.places().take_in(Taker::peer(&exchange.peer.to_bytes())) else {
            exchange.refused(Limit::Deliveries);
            return refuse(&mut exchange.stream, TOO_MANY.into()).await;
        };
        let (mut has_begun, stored_as) = (false, self.stored_as(piece_ref));
        let given = tokio::select! {
            given = self.give(&mut exchange.stream, &stored_as, &ticket, &mut has_begun) => Some(given),
            () = ticket.ended() => None,
        };
        match given {
            Some(given) => given,
            None if has_begun => Err(frames::StreamError::from(PlaceLost::TurnOver).into()),
            None => {
                exchange.refused(Limit::Deliveries);
                refuse(&mut exchange.stream, TOO_MANY.into()).await
            }
        }
    }

    /// The piece that is asked for: by a manifest's id the one that it is stored as.
    fn stored_as(&self, wanted: Cid) -> Cid {
        if !Manifest::is_id(&wanted) {
            return wanted;
        }
        let digest = wanted.hash().digest();
        let found = blocking(|| self.index.manifest(digest)).unwrap_or_else(|error| {
            // THEN: it is made again when the daemon starts; a manifest of one leaf is found all the same.
            tracing::warn!(%error, "the index of blocks cannot be asked for a manifest");
            None
        });
        let leaf = || digest.try_into().map_or(wanted, |digest| cid_of(RAW, digest));
        found.unwrap_or_else(leaf)
    }

    /// Gives the piece when it is its turn; `has_begun` from the first word on.
    async fn give(
        &self,
        stream: &mut Stream,
        piece_ref: &Cid,
        ticket: &Ticket,
        has_begun: &mut bool,
    ) -> Result<(), ExchangeError> {
        let Some((piece, whereabouts)) = self.reader.find(piece_ref)? else {
            return refuse(stream, format!("piece {piece_ref} is not stored here")).await;
        };
        let path = match whereabouts {
            Whereabouts::Staged(path) => {
                ticket.place().await;
                path
            }
            Whereabouts::Lost => return refuse(stream, format!("piece {piece_ref} was lost here")).await,
            Whereabouts::Sealed => {
                *has_begun = true;
                accept(stream).await?;
                let path = match meanwhile(stream, self.reader.unseal(piece_ref, piece.size)).await? {
                    Ok(path) => path,
                    Err(UnsealFailure::Store(error)) => return Err(error.into()),
                    // The stream breaks off: too few bytes are no piece, and the peer tries again.
                    Err(_) => return Ok(()),
                };
                meanwhile(stream, ticket.place()).await?;
                path
            }
        };
        let mut file = match File::open(&path).await {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a staged piece cannot be read");
                return match *has_begun {
                    true => Ok(()),
                    false => refuse(stream, format!("piece {piece_ref} cannot be read just now")).await,
                };
            }
        };
        if !*has_begun {
            *has_begun = true;
            accept(stream).await?;
        }
        send(stream, &mut file, piece.size, ticket).await?;
        frames::close(stream).await?;
        tracing::info!(piece = %piece_ref, size = piece.size, "gave a piece back");
        Ok(())
    }
}

/// Does what takes long, and sends an empty chunk now and then, so that the peer knows that somebody is at work.
async fn meanwhile<T>(stream: &mut Stream, work: impl Future<Output = T>) -> Result<T, ExchangeError> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(KEEP_ALIVE) => {
                let nothing = RetrievePieceChunk { data: Vec::new().into() };
                frames::write(stream, &nothing).await?;
            }
        }
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

async fn send(stream: &mut Stream, file: &mut File, size: u64, ticket: &Ticket) -> Result<(), ExchangeError> {
    let mut left = size;
    while left > 0 {
        let mut data = vec![0; left.min(MAX_CHUNK as u64) as usize];
        file.read_exact(&mut data).await.map_err(frames::StreamError::from)?;
        left -= data.len() as u64;
        let chunk = encode(&RetrievePieceChunk { data: data.into() });
        frames::write_bytes(stream, &frame(&chunk, MAX_MESSAGE).map_err(frames::StreamError::from)?).await?;
        // Whoever reads too slowly asks again.
        ticket.moved(chunk.len() as u64).map_err(frames::StreamError::from)?;
    }
    Ok(())
}

//! A miner's HTTP listener as a page reaches it: where it is, and pieces from it (step 15 of a deal).
//!
//! Called by [`crate::retrieve`] and [`crate::uploading`]. What comes is checked like what comes over libp2p; a miner that gives nothing here
//! may still give it there.

use crate::engine::{peer_of, Engine};
use crate::error::ClientError;
use crate::record::Record;
use js_sys::Uint8Array;
use shared::client::retrieval::{leaves_are, RANGE_MS};
use shared::client::uploading::bases;
use shared::piece::{PieceSize, SizedPieceCid};
use wasm_bindgen::{JsCast, JsValue};

/// Why a piece does not come over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the miner has no address over HTTP that this page may ask")]
    NoAddress,
    #[error("{url}: {reason}")]
    Failed { url: String, reason: String },
    #[error("{url} gave something else than the piece")]
    Corrupt { url: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Where the peer says that it listens, the best first, as far as this page may ask there without a question to its user.
pub async fn find(engine: &Engine, peer_id: &str) -> Result<Vec<String>, ClientError> {
    let (found, dialer) = engine.addresses_of(&peer_of(peer_id)?).await?;
    let mut urls = bases(found.iter().map(String::as_str));
    if let Some(page) = dialer.page {
        urls.retain(|url| page.may_ask(url));
    }
    Ok(urls)
}

/// Fetches the piece of a deal from the miner at `peer_id`, handing `sink` its bytes in order. They are worth nothing unless this
/// succeeds: only then is it sure that they are the piece.
pub async fn fetch_piece(
    engine: &Engine,
    record: &Record,
    peer_id: &str,
    sink: &js_sys::Function,
) -> Result<(), HttpError> {
    let draft = &record.deal.draft;
    let base = find(engine, peer_id)
        .await?
        .into_iter()
        .next()
        .ok_or(HttpError::NoAddress)?;
    // By version 2 of the CID: the same bytes with zeros behind them have the same version 1.
    let name = match PieceSize::new(draft.size) {
        Ok(size) => SizedPieceCid::new(draft.comm_p, size).to_string(),
        Err(_) => record.piece_cid().to_string(),
    };
    let url = format!("{base}/piece/{name}");
    let failed = |error: JsValue| HttpError::Failed {
        url: url.clone(),
        reason: ClientError::text_of(&error),
    };
    let fetching = engine.host.fetch_leaves(&url, draft.size as f64, RANGE_MS as f64, sink);
    let digests = fetching.await.map_err(failed)?;
    let digests = digests.dyn_into::<Uint8Array>().map_err(failed)?.to_vec();
    match leaves_are(&draft.data_cid, draft.size, &digests) {
        true => Ok(()),
        false => Err(HttpError::Corrupt { url }),
    }
}

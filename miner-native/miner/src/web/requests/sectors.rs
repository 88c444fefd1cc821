//! Sectors: listed, explained, tried again, given up, sealed now; and the operator's own pieces.

use super::input::{Of, SectorPath};
use super::mining::mining_status;
use super::{Answer, ApiError, Asked};
use crate::clock::now_ms;
use crate::operator::{AddedPiece, MiningStatus, SectorSummary};
use crate::web::views;
use axum::body::Body;
use axum::extract::State;
use axum::Json;
use futures::StreamExt;
use sealdrop_database::blocking;
use shared::explain::deal::{Audience, Explanation};
use shared::sector::{SectorInput, SectorPiece};

pub(super) async fn explain_sector(State(shown): Asked, Of(SectorPath { id }): Of<SectorPath>) -> Answer<Explanation> {
    let explanation = shown.api.explainer.sector(id, Audience::Operator).await?;
    Ok(Json(explanation.ok_or(ApiError::NoSector(id))?))
}

pub(super) async fn sectors(State(shown): Asked) -> Answer<Vec<SectorSummary>> {
    Ok(Json(blocking(|| views::sectors(&shown.api))?))
}

/// A failed sector is tried again.
pub(super) async fn retry(State(shown): Asked, Of(SectorPath { id }): Of<SectorPath>) -> Answer<SectorSummary> {
    let api = &shown.api;
    let record = blocking(|| api.store.advance_sector(id, SectorInput::RetryOrdered, now_ms()))?;
    tracing::info!(sector = id, "the operator ordered another try");
    api.wake.piece_arrived.notify_one();
    Ok(Json(views::sector(api, &record)?))
}

/// A failed sector is not tried again; its deals are told.
pub(super) async fn give_up(State(shown): Asked, Of(SectorPath { id }): Of<SectorPath>) -> Answer<SectorSummary> {
    let api = &shown.api;
    let record = blocking(|| api.store.advance_sector(id, SectorInput::GivenUp, now_ms()))?;
    for deal in blocking(|| api.store.settle(id))? {
        tracing::error!(%deal, sector = id, "the deal failed with its sector");
    }
    Ok(Json(views::sector(api, &record)?))
}

pub(super) async fn seal_now(State(shown): Asked) -> Answer<MiningStatus> {
    shown.api.wake.seal_now.notify_one();
    Ok(Json(mining_status(&shown.api).await?))
}

/// Stores a piece of the operator's own: staged like a deal's, kept for as long as its sector is.
pub(super) async fn add_piece(State(shown): Asked, body: Body) -> Answer<AddedPiece> {
    let api = &shown.api;
    let usable = api.sector_size.usable();
    let mut import = api.staging.import()?;
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|e| ApiError::Upload(e.to_string()))?;
        if import.size().saturating_add(bytes.len() as u64) > usable {
            return Err(ApiError::PieceTooLarge { usable });
        }
        blocking(|| import.push(&bytes))?;
    }
    if import.size() == 0 {
        return Err(ApiError::EmptyPiece);
    }
    let summary = blocking(|| import.finish())?;
    let piece = SectorPiece {
        // No deal's id: a deal's is the CID of its proposal.
        deal: summary.data_cid,
        data_cid: summary.data_cid,
        size: summary.size,
        comm_p: summary.comm_p,
    };
    let sector = blocking(|| api.store.add_piece(piece, api.sector_size, now_ms()))?;
    tracing::info!(piece = %summary.data_cid, sector, "the operator's piece is staged");
    api.wake.piece_arrived.notify_one();
    Ok(Json(AddedPiece {
        data_cid: summary.data_cid.to_string(),
        comm_p: summary.comm_p,
        size: summary.size,
        sector,
    }))
}

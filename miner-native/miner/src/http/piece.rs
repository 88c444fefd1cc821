//! `GET /piece/{pieceCid}`: a piece's bytes as they were stored, or a range of them.

use super::body::{Part, Place};
use super::{joined, later, refusal, trouble, Reading};
use crate::block_index::IndexError;
use crate::piece_reader::{UnsealFailure, Whereabouts};
use crate::store::{PieceRecord, StoreError};
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{header, HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use cid::Cid;
use sealdrop_database::blocking;
use sealdrop_listener::Caller;
use shared::piece::{PieceName, PieceSize, SizedPieceCid};
use shared::retrieval::http::{none_match_names, range_applies, requested_range, Ranged, IMMUTABLE, OF_SEVERAL};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// How long a request waits until its piece is unsealed, which goes on without it.
pub(super) const UNSEAL_WAIT: Duration = Duration::from_secs(60);
/// After how many seconds it is told to ask again.
pub(super) const ASK_AGAIN: u32 = 30;

/// Why a piece is not found.
#[derive(Debug, thiserror::Error)]
enum FindError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A stored piece.
pub(super) struct Found {
    pub data: Cid,
    pub cid: SizedPieceCid,
    pub size: PieceSize,
    whereabouts: Whereabouts,
}

pub(super) async fn answer(
    State(reading): State<Reading>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    method: Method,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (name, found) = match named(&reading, &text) {
        Ok(named) => named,
        Err(refused) => return *refused,
    };
    let size = found.size.bytes();
    // Under version 1 of a CID there may be several pieces; each has a tag of its own.
    let etag = format!("\"{}\"", found.cid);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if joined(&headers, &header::IF_NONE_MATCH).is_some_and(|header| none_match_names(&header, &etag)) {
        return lasting(with_headers(StatusCode::NOT_MODIFIED.into_response(), &etag), &name);
    }
    let asked = text(header::RANGE).filter(|_| range_applies(text(header::IF_RANGE), &etag));
    let (status, range) = match requested_range(asked, size) {
        Ranged::Whole => (StatusCode::OK, 0..size),
        Ranged::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Ranged::Unsatisfiable => return unsatisfiable(&etag, size),
    };
    let body = match method {
        Method::HEAD => Ok(Body::empty()),
        _ => body(&reading, &caller, &found, &range).await,
    };
    match body {
        Ok(body) => {
            let content = HeaderValue::from_static("application/octet-stream");
            let response = with_headers(ranged(status, &range, size, body), &etag);
            lasting(with(response, header::CONTENT_TYPE, content), &name)
        }
        Err(refused) => *refused,
    }
}

/// The piece that a URL names, with its name.
pub(super) fn named(reading: &Reading, text: &str) -> Result<(PieceName, Found), Box<Response>> {
    let name: PieceName = text
        .parse()
        .map_err(|error| Box::new(refusal(StatusCode::BAD_REQUEST, error)))?;
    let found = find(reading, &name).map_err(|error| Box::new(trouble(&error)))?;
    let missing = || {
        let text = format_args!("the piece {name} is not stored here");
        Box::new(refusal(StatusCode::NOT_FOUND, text))
    };
    Ok((name, found.ok_or_else(missing)?))
}

/// The piece with this name: a staged one before others, of version 1 of a CID the shortest.
fn find(reading: &Reading, name: &PieceName) -> Result<Option<Found>, FindError> {
    let mut best = None;
    for data in blocking(|| reading.index.pieces_of(name))? {
        let Some((PieceRecord { size, comm_p }, whereabouts)) = reading.reader.find(&data)? else {
            continue;
        };
        if comm_p != name.comm_p() || !name.admits(size) {
            continue;
        }
        let Ok(size) = PieceSize::new(size) else { continue };
        let found = Found {
            data,
            cid: SizedPieceCid::new(comm_p, size),
            size,
            whereabouts,
        };
        match found.whereabouts {
            Whereabouts::Staged(_) => return Ok(Some(found)),
            Whereabouts::Sealed => {
                best.get_or_insert(found);
            }
            Whereabouts::Lost => {}
        }
    }
    Ok(best)
}

async fn body(reading: &Reading, caller: &Caller, found: &Found, range: &Range<u64>) -> Result<Body, Box<Response>> {
    let path = found.file(reading).await?;
    let place = Place::wait(&reading.reader, caller).await.ok_or_else(no_place)?;
    let part = blocking(|| Part::open(&path, range)).map_err(|error| Box::new(trouble(&error)))?;
    Ok(part.into_body(place))
}

impl Found {
    /// Its file, taken out of its sector if need be.
    pub async fn file(&self, reading: &Reading) -> Result<PathBuf, Box<Response>> {
        match &self.whereabouts {
            Whereabouts::Staged(path) => Ok(path.clone()),
            _ => unsealed(reading, &self.data, self.size.bytes()).await,
        }
    }
}

/// For how long it is kept: version 1 of a CID names the same bytes with more zeros behind them, too, so that another piece may answer to it
/// some day.
pub(super) fn lasting(mut response: Response, name: &PieceName) -> Response {
    if let PieceName::V1(_) = name {
        let an_hour = HeaderValue::from_static(OF_SEVERAL);
        response.headers_mut().insert(header::CACHE_CONTROL, an_hour);
    }
    response
}

pub(super) fn no_place() -> Box<Response> {
    Box::new(later(
        ASK_AGAIN,
        "too many take from this miner at once: try again in a moment",
    ))
}

/// The piece's file, once it was taken out of its sector.
pub(super) async fn unsealed(reading: &Reading, data: &Cid, size: u64) -> Result<PathBuf, Box<Response>> {
    let unsealing = tokio::time::timeout(UNSEAL_WAIT, reading.reader.unseal(data, size)).await;
    let refused = match unsealing {
        Ok(Ok(path)) => return Ok(path),
        Ok(Err(UnsealFailure::NoSector)) => refusal(StatusCode::NOT_FOUND, "the piece was lost here"),
        Ok(Err(error @ UnsealFailure::Busy)) => later(ASK_AGAIN, error),
        Ok(Err(UnsealFailure::Store(error))) => trouble(&error),
        Err(_) => later(ASK_AGAIN, "the piece is being taken out of its sector: ask again"),
    };
    Err(Box::new(refused))
}

/// An answer with a body of these bytes of `size`.
pub(super) fn ranged(status: StatusCode, range: &Range<u64>, size: u64, body: Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(range.end.saturating_sub(range.start)),
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
        insert(headers, header::CONTENT_RANGE, &text);
    }
    response
}

pub(super) fn unsatisfiable(etag: &str, size: u64) -> Response {
    let text = format!("there are {size} bytes, and the range begins behind them");
    let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE, text);
    insert(
        response.headers_mut(),
        header::CONTENT_RANGE,
        &format!("bytes */{size}"),
    );
    insert(response.headers_mut(), header::ETAG, etag);
    response
}

/// With what is said of bytes that never change and of which parts can be had.
pub(super) fn with_headers(response: Response, etag: &str) -> Response {
    let mut response = with(response, header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    insert(headers, header::ETAG, etag);
    response
}

pub(super) fn with(mut response: Response, name: header::HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

/// What we write ourselves out of CIDs and numbers is a header's value; a name that a client chose may be none, and is left out.
pub(super) fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

//! `GET /piece/{pieceCid}/proof?range=FIRST-LAST`: what a range of a piece is checked with by whoever has the piece CID and nothing else.
//!
//! A request of its own, and no header of `/piece`: the bytes stay what plain tools ask for with `Range`, both are kept by caches under
//! their own tags, and a proof may be longer than what proxies take in headers. The reader asks for whole quads of 127 bytes, hashes
//! them, and goes up to CommP with the proof ([`shared::piece::range`]). It is made from the roots in the index and at most two slices of
//! the piece, of 1 MiB each: some milliseconds, by whoever holds a place in the line.

use super::body::{of_bytes, Place};
use super::piece::{lasting, named, no_place, unsatisfiable, with, with_headers, Found};
use super::{joined, later, refusal, trouble, Reading};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{header, HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sealdrop_database::blocking;
use sealdrop_listener::Caller;
use shared::piece::{Outline, PieceName, QuadRange, RangeError};
use shared::retrieval::http::{none_match_names, Ranged};
use shared::retrieval::proof::{asked_for, NODE_BYTES};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use tokio::sync::Semaphore;

/// After how many seconds a piece is looked for again whose roots are not in the index yet.
const SOON: u32 = 5;

/// A proof costs whoever asks 200 bytes, and this miner ten milliseconds of a processor that its windows may need.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
enum ProofError {
    #[error("the piece cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Range(#[from] RangeError),
}

pub(super) async fn answer(
    State(reading): State<Reading>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    method: Method,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let (name, found) = match named(&reading, &text) {
        Ok(named) => named,
        Err(refused) => return *refused,
    };
    let size = found.size.bytes();
    let range = match asked_for(query.as_deref().unwrap_or_default(), size) {
        Some(Ranged::Whole) => 0..size,
        Some(Ranged::Part(range)) => range,
        Some(Ranged::Unsatisfiable) => return unsatisfiable(&format!("\"{}\"", found.cid), size),
        None => {
            let text = "say of which bytes, as ?range=FIRST-LAST, ?range=FIRST- or ?range=-COUNT";
            return refusal(StatusCode::BAD_REQUEST, text);
        }
    };
    let range = match QuadRange::around(&range, found.size) {
        Ok(range) => range,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
    };
    let etag = etag(&found, &range);
    if joined(&headers, &header::IF_NONE_MATCH).is_some_and(|header| none_match_names(&header, &etag)) {
        return described(StatusCode::NOT_MODIFIED.into_response(), &etag, &name);
    }
    let body = match method {
        Method::HEAD => Ok(Body::empty()),
        _ => body(&reading, &caller, &found, range).await,
    };
    match body {
        Ok(body) => {
            let length = HeaderValue::from(range.nodes() * NODE_BYTES);
            let response = with((StatusCode::OK, body).into_response(), header::CONTENT_LENGTH, length);
            described(response, &etag, &name)
        }
        Err(refused) => *refused,
    }
}

/// All ranges that are widened to the same quads have one proof.
fn etag(found: &Found, range: &QuadRange) -> String {
    let bytes = range.bytes();
    format!(
        "\"{}.{}-{}.proof\"",
        found.cid,
        bytes.start,
        bytes.end.saturating_sub(1)
    )
}

fn described(response: Response, etag: &str, name: &PieceName) -> Response {
    let content = HeaderValue::from_static("application/octet-stream");
    let response = with(with_headers(response, etag), header::CONTENT_TYPE, content);
    let response = with(response, header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    lasting(response, name)
}

async fn body(reading: &Reading, caller: &Caller, found: &Found, range: QuadRange) -> Result<Body, Box<Response>> {
    let failed = |error: &dyn std::error::Error| Box::new(trouble(error));
    let file = found.file(reading).await?;
    let place = Place::wait(&reading.reader, caller).await.ok_or_else(no_place)?;
    // It is never closed.
    let turn = ONE_AT_A_TIME.acquire().await.map_err(|error| failed(&error))?;
    let outline = blocking(|| reading.index.outline_of(&found.data, found.size.bytes()));
    let Some(outline) = outline.map_err(|error| failed(&error))? else {
        // It has just come, or the index was lost and the piece was in a sector alone: now that it is out, it is looked through.
        return Err(Box::new(later(SOON, "the piece is being looked through: ask again")));
    };
    let proving = tokio::task::spawn_blocking(move || (prove(&file, &outline, &range), turn).0);
    let proof = proving.await.map_err(|error| failed(&error))?;
    Ok(of_bytes(proof.map_err(|error| failed(&error))?, place))
}

fn prove(path: &std::path::Path, outline: &Outline, range: &QuadRange) -> Result<Bytes, ProofError> {
    let mut file = File::open(path)?;
    let mut read = |bytes: &Range<u64>| -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes.end.saturating_sub(bytes.start) as usize];
        file.seek(SeekFrom::Start(bytes.start))?;
        file.read_exact(&mut buffer)?;
        Ok(buffer)
    };
    let [left, right] = outline.edges(range);
    let (left, right) = (read(&left)?, read(&right)?);
    Ok(outline.prove(range, [&left, &right])?.to_bytes().into())
}

//! The routes of uploads: reads what a request carries, and moves its body.

use super::piece::Piece;
use super::refusal::UploadError;
use super::sessions::{InUse, Uploads};
use axum::body::{Body, BodyDataStream};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{header, Extensions, HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use cid::Cid;
use futures::StreamExt;
use sealdrop_listener::Caller;
use shared::transfer::upload::{read_nodes, MAX_OPENING, PATH};
use shared::wire::decode;
use std::net::IpAddr;
use std::time::Duration;

type Asked = State<Uploads>;
type Answer = Result<Response, UploadError>;

/// How long an opening may take to come: a kilobyte on a slow line.
const OPENING_LIMIT: Duration = Duration::from_secs(10);

/// All routes of uploads. Whoever serves them names the other side as `ConnectInfo<Caller>`, so that each address has its share.
pub fn router(uploads: Uploads) -> Router {
    Router::new()
        .route(&format!("{PATH}/{{deal}}"), post(open).get(missing))
        .route(&format!("{PATH}/{{deal}}/nodes"), put(put_nodes))
        .route(&format!("{PATH}/{{deal}}/finalize"), post(finalize))
        .route(&format!("{PATH}/{{deal}}/{{chunk}}"), put(put_chunk))
        .with_state(uploads)
}

async fn open(State(uploads): Asked, Path(deal): Path<String>, request: Request) -> Answer {
    let deal = deal_of(&deal)?;
    let declared = declared(request.headers());
    let most = MAX_OPENING as u64;
    if declared.is_none_or(|declared| declared > most) {
        return Err(UploadError::TooLong { most, declared });
    }
    let reading = axum::body::to_bytes(request.into_body(), MAX_OPENING);
    let read = tokio::time::timeout(OPENING_LIMIT, reading).await;
    let read = read.map_err(|_| UploadError::Silent(OPENING_LIMIT))?;
    let body = read.map_err(|error| UploadError::Broken(error.to_string()))?;
    let (view, is_new) = uploads.open(deal, decode(&body)?).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(view)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{PATH}/{deal}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(kept_nowhere(response))
}

async fn missing(State(uploads): Asked, Path(deal): Path<String>, headers: HeaderMap) -> Answer {
    let in_use = uploads.session(&deal_of(&deal)?, token(&headers))?;
    let view = tokio::task::spawn_blocking(move || in_use.session().piece.view(None)).await;
    let view = view.map_err(|_| UploadError::Interrupted)??;
    Ok(kept_nowhere(Json(view).into_response()))
}

async fn put_nodes(State(uploads): Asked, Path(deal): Path<String>, request: Request) -> Answer {
    let deal = deal_of(&deal)?;
    let in_use = uploads.session(&deal, token(request.headers()))?;
    let (most, declared) = (
        in_use.session().piece.chunks().most_nodes_bytes(),
        declared(request.headers()),
    );
    let Some(length) = declared.filter(|length| *length <= most) else {
        return Err(UploadError::TooLong { most, declared });
    };
    keep(&uploads, in_use, length, request, |piece, body| {
        let nodes = read_nodes(body).ok_or(UploadError::WrongNodes)?;
        piece.keep_nodes(nodes)
    })
    .await
    .or_else(|error| match error {
        UploadError::NotAFile(fault) => {
            uploads.fail(&deal, &fault)?;
            Err(UploadError::NotAFile(fault))
        }
        error => Err(error),
    })
}

async fn put_chunk(State(uploads): Asked, Path((deal, number)): Path<(String, String)>, request: Request) -> Answer {
    let in_use = uploads.session(&deal_of(&deal)?, token(request.headers()))?;
    let piece = &in_use.session().piece;
    let chunk = number.parse::<u64>().ok();
    let range = chunk.and_then(|chunk| piece.chunks().bytes(chunk));
    let (Some(chunk), Some(range)) = (chunk, range) else {
        return Err(piece.no_such_chunk(&number));
    };
    let (expected, declared) = (range.end - range.start, declared(request.headers()));
    if declared != Some(expected) {
        return Err(UploadError::Length { expected, declared });
    }
    keep(&uploads, in_use, expected, request, move |piece, body| {
        piece.keep_chunk(chunk, body)
    })
    .await
}

async fn finalize(State(uploads): Asked, Path(deal): Path<String>, headers: HeaderMap) -> Answer {
    let deal = deal_of(&deal)?;
    let in_use = uploads.session(&deal, token(&headers))?;
    let view = uploads.finalize(&deal, in_use).await?;
    Ok(kept_nowhere(Json(view).into_response()))
}

/// Reads a body in its turn, and keeps what it carries.
async fn keep(
    uploads: &Uploads,
    in_use: InUse,
    length: u64,
    request: Request,
    keep: impl FnOnce(&Piece, &[u8]) -> Result<(), UploadError> + Send + 'static,
) -> Answer {
    let from = remote(request.extensions());
    let place = uploads.bodies().enter(&in_use.session().payer, from).await;
    let mut place = place.ok_or(UploadError::NoPlace)?;
    let mut stream: BodyDataStream = Body::into_data_stream(request.into_body());
    let mut body = Vec::with_capacity(length as usize);
    loop {
        let patience = place.patience();
        let next = tokio::time::timeout(patience, stream.next()).await;
        let Some(bytes) = next.map_err(|_| UploadError::Silent(patience))? else {
            break;
        };
        let bytes = bytes.map_err(|error| UploadError::Broken(error.to_string()))?;
        // What declares its length is held to it below; this is for whoever serves this otherwise.
        if body.len() + bytes.len() > length as usize {
            return Err(UploadError::Broken("more came than was announced".to_owned()));
        }
        place.moved(bytes.len())?;
        body.extend_from_slice(&bytes);
    }
    if body.len() as u64 != length {
        let came = body.len();
        return Err(UploadError::Broken(format!("{came} of {length} bytes came")));
    }
    let uploads = uploads.clone();
    let kept = tokio::task::spawn_blocking(move || {
        let kept = keep(&in_use.session().piece, &body);
        match &kept {
            Ok(()) => in_use.session().brought(),
            Err(UploadError::Staging(_) | UploadError::Store(_)) => uploads.note_failure(&in_use),
            Err(_) => {}
        }
        // The place stands for the memory, and the session is in use for so long.
        drop((place, body, in_use));
        kept
    });
    kept.await.map_err(|_| UploadError::Interrupted)??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn deal_of(text: &str) -> Result<Cid, UploadError> {
    let no_cid = |_| UploadError::NoCid(text.chars().take(80).collect());
    text.parse().map_err(no_cid)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    given.strip_prefix("Bearer ")
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn remote(extensions: &Extensions) -> Option<IpAddr> {
    let ConnectInfo(caller) = extensions.get::<ConnectInfo<Caller>>()?;
    Some(caller.address.ip())
}

/// It carries a token, and changes with every chunk.
fn kept_nowhere(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

//! `GET /ipfs/{cid}`: one block, or a CAR of the blocks that a file or a part of it has (IPFS's trustless gateway). What a request means and
//! which blocks answer it is decided in [`shared::retrieval::gateway`].

use super::blocks::{locate, read, BlockError, Located};
use super::body::{of_bytes, of_source, of_unknown_length, Place, Source};
use super::piece::{insert, no_place, ranged, unsatisfiable, unsealed, with_headers, ASK_AGAIN, UNSEAL_WAIT};
use super::{joined, later, refusal, trouble, Reading};
use crate::piece_reader::{UnsealFailure, Whereabouts};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, OriginalUri, State};
use axum::http::{header, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use cid::Cid;
use sealdrop_listener::Caller;
use shared::piece::node::{cid_of, parse_node, DAG_PB, RAW};
use shared::piece::unixfs::LEAF_BYTES;
use shared::retrieval::gateway::entity::Touched;
use shared::retrieval::gateway::{car, Format, GatewayError, Request, Scope, Walk};
use shared::retrieval::http::{none_match_names, range_applies, requested_range, Ranged};
use std::io;
use std::ops::Range;
use std::time::Duration;

const PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
const ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");
/// How long a CAR under way waits until the next piece of its file is unsealed.
const NEXT_PIECE_WAIT: Duration = Duration::from_secs(600);
/// After how many seconds a piece that has just come is looked for again.
const SOON: u32 = 2;

/// A request is not answered with what it names; boxed, since it is rare and large.
type Refused = Box<Response>;

pub(super) async fn answer(
    State(reading): State<Reading>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let path = uri.path().strip_prefix("/ipfs/").unwrap_or_default();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let accept = joined(&headers, &header::ACCEPT);
    let request = match Request::parse(path, uri.query().unwrap_or_default(), accept.as_deref()) {
        Ok(request) => request,
        Err(error) => return *refused(&error),
    };
    let none_match = joined(&headers, &header::IF_NONE_MATCH);
    let asked = Asked {
        is_head: method == Method::HEAD,
        only_if_cached: text(header::CACHE_CONTROL).is_some_and(|says| says.contains("only-if-cached")),
        none_match: none_match.as_deref(),
        range: text(header::RANGE).filter(|_| range_applies(text(header::IF_RANGE), &request.etag())),
    };
    let response = give(&reading, &caller, &request, &asked).await;
    response.unwrap_or_else(|refused| *refused)
}

/// What a request's other headers ask for.
struct Asked<'a> {
    is_head: bool,
    only_if_cached: bool,
    none_match: Option<&'a str>,
    range: Option<&'a str>,
}

fn refused(error: &GatewayError) -> Refused {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Box::new(refusal(status, error))
}

async fn give(reading: &Reading, caller: &Caller, request: &Request, asked: &Asked<'_>) -> Result<Response, Refused> {
    if let Some(bytes) = request.identity() {
        request.check_path().map_err(|error| refused(&error))?;
        return Ok(of_identity(request, bytes, asked));
    }
    let root = root(reading, request, asked).await?;
    request.check_path().map_err(|error| refused(&error))?;
    let etag = request.etag();
    if asked.none_match.is_some_and(|header| none_match_names(header, &etag)) {
        return Ok(described(StatusCode::NOT_MODIFIED.into_response(), request));
    }
    match request.format {
        Format::Raw => block(reading, caller, request, asked, root).await,
        Format::Car(_) => archive(reading, caller, request, asked, root).await,
    }
}

/// The root block, or why there is none.
async fn root(reading: &Reading, request: &Request, asked: &Asked<'_>) -> Result<Located, Refused> {
    let cid = &request.cid;
    let missing = || {
        let (status, text) = match asked.only_if_cached {
            true => (StatusCode::PRECONDITION_FAILED, "is not at hand here"),
            false => (StatusCode::NOT_FOUND, "is not stored here"),
        };
        Box::new(refusal(status, format_args!("the block {} {text}", request.text)))
    };
    match locate(reading, cid) {
        Ok(located) if asked.only_if_cached && !located.is_at_hand() => Err(missing()),
        Ok(located) => Ok(located),
        Err(BlockError::NotHere(_)) => {
            // A piece may be here whose blocks are not in the index: it has just come, or the index was lost and the piece is in a sector.
            let digest = cid.hash().digest().try_into().ok();
            let names = digest.map(|digest| [RAW, DAG_PB].map(|codec| cid_of(codec, digest)));
            for name in names.into_iter().flatten() {
                match reading.reader.find(&name) {
                    Err(error) => return Err(Box::new(trouble(&error))),
                    Ok(Some((_, Whereabouts::Staged(_)))) => {}
                    Ok(Some((piece, Whereabouts::Sealed))) if !asked.only_if_cached => {
                        unsealed(reading, &name, piece.size).await?;
                    }
                    _ => continue,
                }
                return Err(Box::new(later(SOON, "its blocks are being looked through: ask again")));
            }
            Err(missing())
        }
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: BlockError) -> Refused {
    Box::new(match error {
        BlockError::NotHere(_) => refusal(StatusCode::NOT_FOUND, error),
        BlockError::BeingUnsealed | BlockError::Unseal(UnsealFailure::Busy) => later(ASK_AGAIN, error),
        BlockError::Unseal(UnsealFailure::NoSector) => {
            refusal(StatusCode::NOT_FOUND, "the block's piece was lost here")
        }
        error => trouble(&error),
    })
}

/// With the headers of a gateway's answer.
fn described(response: Response, request: &Request) -> Response {
    let mut response = with_headers(response, &request.etag());
    let headers = response.headers_mut();
    insert(headers, header::CONTENT_TYPE, request.content_type());
    insert(headers, header::CONTENT_DISPOSITION, &request.disposition());
    insert(headers, PATH, &format!("/ipfs/{}", request.text));
    insert(headers, ROOTS, &request.text);
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Some(location) = request.location() {
        insert(headers, header::CONTENT_LOCATION, &location);
    }
    if request.format != Format::Raw {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    }
    response
}

/// What is in the CID itself: the client has it, and asks whether this is a gateway.
fn of_identity(request: &Request, bytes: &[u8], asked: &Asked<'_>) -> Response {
    let body = match request.format {
        Format::Raw => bytes.to_vec(),
        // Such a block is never sent.
        Format::Car(_) => car::header(&request.cid),
    };
    let length = body.len() as u64;
    let body = if asked.is_head { Body::empty() } else { Body::from(body) };
    described(ranged(StatusCode::OK, &(0..length), length, body), request)
}

/// One block, or a range of its bytes.
async fn block(
    reading: &Reading,
    caller: &Caller,
    request: &Request,
    asked: &Asked<'_>,
    root: Located,
) -> Result<Response, Refused> {
    let size = root.bytes();
    let (status, range) = match requested_range(asked.range, size) {
        Ranged::Whole => (StatusCode::OK, 0..size),
        Ranged::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Ranged::Unsatisfiable => return Ok(unsatisfiable(&request.etag(), size)),
    };
    let body = if asked.is_head {
        Body::empty()
    } else {
        // A place is held by whoever can be served.
        let root = at_hand(reading, root).await?;
        let place = Place::wait(&reading.reader, caller).await.ok_or_else(no_place)?;
        let bytes = read(reading, &request.cid, root, Vec::new(), UNSEAL_WAIT)
            .await
            .map_err(failed)?;
        let part = Bytes::from(bytes).slice(range.start as usize..range.end as usize);
        of_bytes(part, place)
    };
    Ok(described(ranged(status, &range, size, body), request))
}

/// The block, out of its sector.
async fn at_hand(reading: &Reading, block: Located) -> Result<Located, Refused> {
    Ok(match block {
        Located::Sealed {
            piece,
            size,
            offset,
            bytes,
        } => {
            let path = unsealed(reading, &piece, size).await?;
            Located::Staged { path, offset, bytes }
        }
        at_hand => at_hand,
    })
}

/// A CAR.
async fn archive(
    reading: &Reading,
    caller: &Caller,
    request: &Request,
    asked: &Asked<'_>,
    root: Located,
) -> Result<Response, Refused> {
    // The root says how long the file is, so that it is read before anything is answered.
    let is_file = request.cid.codec() == DAG_PB;
    if !is_file && request.cid.codec() != RAW && request.scope == Scope::All {
        let what = format!("everything below a block of codec {:#x}", request.cid.codec());
        return Err(refused(&GatewayError::Unsupported(what)));
    }
    let place = match asked.is_head {
        true => None,
        false => Some(Place::wait(&reading.reader, caller).await.ok_or_else(no_place)?),
    };
    let size = match is_file {
        false => root.bytes(),
        true => {
            let bytes = read(reading, &request.cid, root.clone(), Vec::new(), UNSEAL_WAIT).await;
            let links = parse_node(&bytes.map_err(failed)?);
            let links = links.map_err(|error| {
                let text = format!(
                    "the block {} is no root of a file that is stored here: {error}",
                    request.text
                );
                Box::new(refusal(StatusCode::NOT_FOUND, text))
            })?;
            links.iter().map(|link| link.file_bytes).fold(0, u64::saturating_add)
        }
    };
    let bytes = touched(request, size)?;
    let blocks = bytes
        .end
        .saturating_sub(bytes.start)
        .div_ceil(LEAF_BYTES)
        .saturating_add(2);
    let duplicates = request.duplicates(blocks).map_err(|error| refused(&error))?;
    let body = place.map_or_else(of_unknown_length, |place| {
        let archive = Archive {
            reading: reading.clone(),
            root: request.cid,
            has_begun: false,
            walk: Walk::new(request.cid, bytes, duplicates),
        };
        of_source(archive, place)
    });
    Ok(described((StatusCode::OK, body).into_response(), request))
}

/// The bytes whose blocks are sent; none for the root alone.
fn touched(request: &Request, size: u64) -> Result<Range<u64>, Refused> {
    match request.scope {
        Scope::Block => Ok(0..0),
        Scope::All => Ok(0..size),
        Scope::Entity(bytes) => match bytes.of(size) {
            Touched::Bytes(range) => Ok(range),
            Touched::Nothing => Ok(0..0),
            Touched::Outside => Err(refused(&GatewayError::OutOfEntity { asked: bytes, size })),
        },
    }
}

/// A CAR that is being sent.
struct Archive {
    reading: Reading,
    root: Cid,
    has_begun: bool,
    walk: Walk,
}

impl Archive {
    /// The next block in its frame; `None` at the end.
    async fn next_block(&mut self) -> Result<Option<Bytes>, BlockError> {
        while let Some(wanted) = self.walk.next() {
            let located = locate(&self.reading, &wanted.cid)?;
            let front = match wanted.is_sent {
                true => car::frame(&wanted.cid, located.bytes() as usize),
                false => Vec::new(),
            };
            let begin = front.len();
            let framed = read(&self.reading, &wanted.cid, located, front, NEXT_PIECE_WAIT).await?;
            if wanted.is_node {
                self.walk.read(&wanted, framed.get(begin..).unwrap_or_default())?;
            }
            if wanted.is_sent {
                return Ok(Some(framed.into()));
            }
        }
        Ok(None)
    }
}

impl Source for Archive {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if !self.has_begun {
            self.has_begun = true;
            return Ok(Some((car::header(&self.root).into(), self)));
        }
        match self.next_block().await {
            Ok(block) => Ok(block.map(|block| (block, self))),
            Err(error) => {
                // The status was sent: breaking off is what tells the client.
                tracing::warn!(root = %self.root, %error, "a CAR breaks off");
                Err(io::Error::other(error))
            }
        }
    }
}

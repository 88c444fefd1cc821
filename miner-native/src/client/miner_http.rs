//! A miner's public HTTP, as a client reads from it: asked again while a piece is taken out of its sector, given up when it falls silent,
//! and believed nothing. Whoever calls checks what comes: [`super::proven_range`] by the piece CID, [`super::ranged`] block by block.

use super::error::ClientError;
use reqwest::{header, Client, Response, StatusCode};
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::network::texts;
use shared::client::retrieval::printable;
use shared::client::uploading::bases;
use shared::transfer::Pace;
use std::error::Error;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long the chain's directory may take to say where the miner is.
const FIND_LIMIT: Duration = Duration::from_secs(5);
/// How long making a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a miner may say nothing: it waits so long itself until it has a place, and for a piece to be unsealed.
const SILENCE: Duration = Duration::from_secs(150);
/// How long it may take until a piece is out of its sector, where there is no other way to it.
const UNSEAL_LIMIT: Duration = Duration::from_secs(3600);
/// How long a miner may be busy that is one of several, or has the piece over libp2p, too.
const BUSY_LIMIT: Duration = Duration::from_secs(60);
/// Pause until it is asked again, unless it names one, in seconds.
const AGAIN: u64 = 10;
/// Longest pause that it may ask for, in seconds.
const LONGEST_PAUSE: u64 = 60;
/// Bytes of a miner's words that are shown.
const MAX_WORDS: usize = 512;

/// Where the miner of this peer id is reached over HTTP, by what it has signed itself.
pub(super) async fn bases_of(chain: &ChainAccess, peer: &str) -> Vec<String> {
    let record = match tokio::time::timeout(FIND_LIMIT, chain.find_peer(peer)).await {
        Ok(Ok(Some(record))) => record,
        _ => return Vec::new(),
    };
    let addresses = texts(record.addresses());
    bases(addresses.iter().map(String::as_str))
}

/// The HTTP of one miner.
pub(super) struct MinerHttp<'a> {
    http: Client,
    /// Its URL without a path.
    base: &'a str,
    /// How long it may say that it is busy.
    patience: Duration,
}

/// An answer's body, as it comes.
pub(super) struct Body<'a> {
    of: &'a MinerHttp<'a>,
    response: Response,
    begun: Instant,
    pace: Pace,
}

impl<'a> MinerHttp<'a> {
    pub fn at(base: &'a str) -> Result<Self, ClientError> {
        let http = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            // The same ways as libp2p takes, and to nobody else.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let base = base.trim_end_matches('/');
        let failed = |error: reqwest::Error| ClientError::Http {
            url: base.to_owned(),
            reason: innermost(&error),
        };
        let http = http.build().map_err(failed)?;
        Ok(Self {
            http,
            base,
            patience: BUSY_LIMIT,
        })
    }

    /// Waits until a piece is taken out of its sector.
    pub fn patiently(self) -> Self {
        let patience = UNSEAL_LIMIT;
        Self { patience, ..self }
    }

    /// The miner does not give what it was asked for, or gives something else.
    pub fn failed(&self, reason: impl std::fmt::Display) -> ClientError {
        ClientError::Http {
            url: self.base.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Asks for a path, or for some bytes of what is there, until they are given; a piece may have to be taken out of its sector first.
    pub async fn get(&self, path: &str, bytes: Option<&Range<u64>>) -> Result<Body<'_>, ClientError> {
        let status = match bytes {
            None => StatusCode::OK,
            Some(_) => StatusCode::PARTIAL_CONTENT,
        };
        let begun = Instant::now();
        loop {
            let request = self.http.get(format!("{}{path}", self.base));
            let request = match bytes {
                None => request,
                Some(Range { start, end }) => {
                    let last = end.saturating_sub(1);
                    request.header(header::RANGE, format!("bytes={start}-{last}"))
                }
            };
            let sent = tokio::time::timeout(SILENCE, request.send()).await;
            let sent = sent.map_err(|_| self.failed("it does not answer"))?;
            let response = sent.map_err(|error| self.failed(innermost(&error)))?;
            let found = response.status();
            let pause = response.headers().get(header::RETRY_AFTER);
            let pause = pause
                .and_then(|after| after.to_str().ok()?.parse().ok())
                .unwrap_or(AGAIN);
            let body = Body {
                of: self,
                response,
                begun: Instant::now(),
                pace: Pace::begin(0),
            };
            if found == status {
                return Ok(body);
            }
            if found != StatusCode::SERVICE_UNAVAILABLE || begun.elapsed() > self.patience {
                let words = body.first(MAX_WORDS).await.unwrap_or_default();
                let words = String::from_utf8_lossy(&words);
                return Err(self.failed(format_args!("status {found}: {}", printable(words.trim()))));
            }
            drop(body);
            tokio::time::sleep(Duration::from_secs(pause.clamp(1, LONGEST_PAUSE))).await;
        }
    }
}

impl Body<'_> {
    /// What comes next; `None` at the end. Fails when it comes too slowly.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let next = tokio::time::timeout(SILENCE, self.response.chunk()).await;
        let next = next.map_err(|_| self.of.failed("it has fallen silent"))?;
        let chunk = next.map_err(|error| self.of.failed(innermost(&error)))?;
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let kept = self.pace.moved(bytes, now, false);
        if chunk.is_some() {
            kept.map_err(|error| self.of.failed(error))?;
        }
        Ok(chunk.map(Into::into))
    }

    /// The first bytes of it, at most so many.
    pub async fn first(mut self, most: usize) -> Result<Vec<u8>, ClientError> {
        let mut first = Vec::new();
        while let Some(chunk) = self.next().await? {
            first.extend_from_slice(&chunk);
            if first.len() >= most {
                first.truncate(most);
                break;
            }
        }
        Ok(first)
    }
}

/// reqwest's own text says only that sending failed.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

//! JSON-RPC calls over HTTP, with retries while the endpoint cannot be reached. An endpoint that was away is asked which chain it
//! serves before anything else: another may have come in its place, and what is signed for one chain means nothing there.

use super::error::ChainError;
use serde::Serialize;
use serde_json::Value;
use shared::chain::rpc::{code, ErrorObject, Method, Network, Request, Response, MAX_ANSWER};
use shared::chain::view::NetworkView;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing of a request may be acknowledged. Whoever verifies a proof meanwhile acknowledges all the same.
#[cfg(any(target_os = "linux", target_os = "android"))]
const DEAD_PATH: Duration = Duration::from_secs(5);
/// Longest wait for an answer: a query may verify a proof.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts of one call.
const ATTEMPTS: u32 = 5;
/// Wait before the second attempt; it doubles with every further one (about 3 s in all).
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Most characters of a redirect's target that are shown.
const MAX_TARGET: usize = 200;

/// A JSON-RPC endpoint.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    pub url: String,
    served: Arc<Served>,
}

/// Which chain the endpoint serves.
#[derive(Debug, Default)]
struct Served {
    /// The genesis id of the chain that this client keeps to.
    genesis: OnceLock<String>,
    /// Whether another may be there meanwhile.
    is_in_doubt: AtomicBool,
}

/// Users give the endpoint's address; the calls go to its path `/rpc`.
pub fn rpc_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.ends_with("/rpc") {
        true => url.to_owned(),
        false => format!("{url}/rpc"),
    }
}

/// Tells apart what a caller can act on.
fn refused(ErrorObject { code, data, message }: ErrorObject) -> ChainError {
    let data = data.unwrap_or_default();
    match (code, data.exit_code, data.height) {
        // The chain's own text ends with the code.
        (code::QUERY, Some(exit_code), _) => ChainError::Reverted {
            exit_code,
            error: message,
        },
        (code::PRUNED, _, Some(height)) => ChainError::Pruned {
            height,
            reason: message,
        },
        _ => ChainError::Rpc {
            code,
            message,
            hint: data.hint.map(Cow::into_owned),
        },
    }
}

impl Client {
    pub fn new(url: &str) -> Result<Self, ChainError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            // A proxy of the environment has no business between two programs on this machine.
            .no_proxy()
            // Whoever serves the chain would otherwise choose to whom this machine sends requests.
            .redirect(reqwest::redirect::Policy::none());
        // The connections that are kept are dead after this machine has moved to another address; each would be waited for.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let http = http.tcp_user_timeout(DEAD_PATH);
        let http = http.build().map_err(|e| ChainError::Unreachable {
            url: url.to_owned(),
            reason: chain_of(&e),
        })?;
        Ok(Self {
            http,
            url: url.to_owned(),
            served: Arc::default(),
        })
    }

    /// From now on only the chain of this genesis id is talked to.
    pub fn keep_to(&self, genesis: &str) {
        // Set once, by whoever connects.
        let _ = self.served.genesis.set(genesis.to_owned());
    }

    /// Another chain may be there now: the next call finds out first.
    pub fn doubt(&self) {
        self.served.is_in_doubt.store(true, Ordering::Relaxed);
    }

    /// Makes sure that the endpoint still serves the chain that this client keeps to.
    pub async fn settle_doubt(&self) -> Result<(), ChainError> {
        let Some(ours) = self.served.genesis.get() else {
            return Ok(());
        };
        if !self.served.is_in_doubt.load(Ordering::Relaxed) {
            return Ok(());
        }
        let network = self.once(&Request::new(1, &Network {})).await?;
        let network: NetworkView = serde_json::from_value(network).map_err(|e| self.strange(e.to_string()))?;
        if network.genesis != *ours {
            return Err(ChainError::OtherChain {
                url: self.url.clone(),
                ours: ours.clone(),
                theirs: network.genesis,
                network: network.network,
            });
        }
        self.served.is_in_doubt.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Calls a method. Every method may be called again: reads change nothing, and a message is known by its id.
    pub async fn call<M: Method>(&self, method: &M) -> Result<M::Result, ChainError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.try_call(method).await {
                Err(ChainError::Unreachable { .. }) => {}
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        self.try_call(method).await
    }

    /// Calls a method once, without waiting for an endpoint that is away.
    pub async fn try_call<M: Method>(&self, method: &M) -> Result<M::Result, ChainError> {
        self.settle_doubt().await?;
        let result = self.once(&Request::new(1, method)).await;
        if let Err(ChainError::Unreachable { .. }) = result {
            self.doubt();
        }
        serde_json::from_value(result?).map_err(|e| self.strange(e.to_string()))
    }

    async fn once(&self, request: &impl Serialize) -> Result<Value, ChainError> {
        // The URL is told by our own text.
        let away = |e: reqwest::Error| ChainError::Unreachable {
            url: self.url.clone(),
            reason: chain_of(&e.without_url()),
        };
        let send = || self.http.post(&self.url).json(request).send();
        let sent = match send().await {
            Err(error) if is_stale(&error) => send().await,
            sent => sent,
        };
        let mut response = sent.map_err(away)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(ChainError::Redirected {
                url: self.url.clone(),
                to: redirect_target(&response),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(self.strange(format!("its answer has more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let answer: Response<Value> = serde_json::from_slice(&body)
            .map_err(|e| self.strange(format!("HTTP status {status}, and no JSON-RPC answer: {e}")))?;
        match (answer.error, answer.result) {
            (Some(error), _) => Err(refused(error)),
            // A result of null arrives as `None`.
            (None, result) => Ok(result.unwrap_or_default()),
        }
    }

    fn strange(&self, reason: String) -> ChainError {
        ChainError::Protocol {
            url: self.url.clone(),
            reason,
        }
    }
}

/// Where an answer sends its reader on, as far as it may be shown on a line.
fn redirect_target(response: &reqwest::Response) -> String {
    let to = response.headers().get(reqwest::header::LOCATION);
    let to = to.and_then(|to| to.to_str().ok()).unwrap_or("no address");
    to.chars().take(MAX_TARGET).collect()
}

/// Whether a connection broke that stood: one that lay idle, say, which the endpoint closed as it was used again. Every method may be called
/// again, so that the next connection tells whether the endpoint is away.
fn is_stale(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// An error with its causes: reqwest's own text says only that sending failed.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

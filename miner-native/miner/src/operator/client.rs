//! The command line's way to a running daemon: one method for each route.

use super::{
    route, AddedPiece, AlertsStatus, ChangedSettings, DealDetail, DealFilter, DealSummary, Explanation, Health,
    LogChange, LogQuery, LogTail, MinedBlock, MinerStatus, MiningStatus, RedeemOutcome, RedeemRequest, Refusal,
    SectorSummary,
};
use crate::settings::{Settings, SettingsChange};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longest wait for a connection to this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer: a redemption or an ask has to get into a block.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest wait for an answer to a file.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a file that are read at a time.
const PART: usize = 1 << 18;

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error(
        "no daemon answers at {base} ({reason}): start one with `sealdrop daemon`, or name its port with --web-port"
    )]
    Unreachable { base: String, reason: String },
    #[error("the file cannot be read to its end: {reason}; nothing was stored, check the file")]
    Unreadable { reason: String },
    #[error("{0}")]
    Refused(String),
    #[error("the daemon at {base} takes orders from its operator only: {reason}")]
    NotOperator { base: String, reason: String },
    #[error("the daemon at {base} sends its askers elsewhere, which is not followed: orders go to the daemon itself; is another program at this port? Name the daemon's with --web-port")]
    Redirected { base: String },
    #[error("the daemon at {base} answered something else than expected: {reason}; is it of this version?")]
    Strange { base: String, reason: String },
}

/// A running daemon.
#[derive(Debug, Clone)]
pub struct Operator {
    http: reqwest::Client,
    base: String,
    /// What shows that the operator asks, or why there is nothing.
    token: Result<String, String>,
}

impl Operator {
    /// The daemon whose web listener is `base`, such as `http://127.0.0.1:4400`, and a token of it; without one, the reason
    /// is told when it is needed.
    pub fn at(base: &str, token: Result<String, String>) -> Result<Self, OperatorError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            // A proxy of the environment has no business between two programs on this machine.
            .no_proxy()
            // Nor do its orders, and the token with them, go where another program that answers here sends them.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let base = base.trim_end_matches('/').to_owned();
        match http {
            Ok(http) => Ok(Self { http, base, token }),
            Err(error) => Err(OperatorError::Unreachable {
                base,
                reason: error.to_string(),
            }),
        }
    }

    /// See [`route::STATUS`].
    pub async fn status(&self) -> Result<MinerStatus, OperatorError> {
        self.ask(self.request(Method::GET, route::STATUS)).await
    }

    /// See [`route::HEALTH`].
    pub async fn health(&self) -> Result<Health, OperatorError> {
        let request = self.request(Method::GET, route::HEALTH);
        let answer = self.send(request).await?;
        let body = answer.bytes().await.map_err(|e| self.strange(e.to_string()))?;
        serde_json::from_slice(&body).map_err(|e| self.strange(e.to_string()))
    }

    /// See [`route::DEALS`].
    pub async fn deals(&self, filter: &DealFilter) -> Result<Vec<DealSummary>, OperatorError> {
        self.ask(self.request(Method::GET, route::DEALS).query(filter)).await
    }

    /// See [`route::DEAL`].
    pub async fn deal(&self, cid: &str) -> Result<DealDetail, OperatorError> {
        self.ask(self.request(Method::GET, &of(route::DEAL, cid)?)).await
    }

    /// See [`route::DEAL_EXPLANATION`].
    pub async fn explain_deal(&self, cid: &str) -> Result<Explanation, OperatorError> {
        self.ask(self.request(Method::GET, &of(route::DEAL_EXPLANATION, cid)?))
            .await
    }

    /// See [`route::SECTOR_EXPLANATION`].
    pub async fn explain_sector(&self, id: u64) -> Result<Explanation, OperatorError> {
        let path = route::SECTOR_EXPLANATION.replace("{id}", &id.to_string());
        self.ask(self.request(Method::GET, &path)).await
    }

    /// See [`route::REDEEM`].
    pub async fn redeem(&self, cid: &str, request: RedeemRequest) -> Result<RedeemOutcome, OperatorError> {
        self.ask(self.request(Method::POST, &of(route::REDEEM, cid)?).json(&request))
            .await
    }

    /// See [`route::SECTORS`].
    pub async fn sectors(&self) -> Result<Vec<SectorSummary>, OperatorError> {
        self.ask(self.request(Method::GET, route::SECTORS)).await
    }

    /// See [`route::RETRY`].
    pub async fn retry_sector(&self, id: u64) -> Result<SectorSummary, OperatorError> {
        let path = route::RETRY.replace("{id}", &id.to_string());
        self.ask(self.request(Method::POST, &path)).await
    }

    /// See [`route::GIVE_UP`].
    pub async fn give_up_sector(&self, id: u64) -> Result<SectorSummary, OperatorError> {
        let path = route::GIVE_UP.replace("{id}", &id.to_string());
        self.ask(self.request(Method::POST, &path)).await
    }

    /// See [`route::SEAL_NOW`].
    pub async fn seal_now(&self) -> Result<MiningStatus, OperatorError> {
        self.ask(self.request(Method::POST, route::SEAL_NOW)).await
    }

    /// See [`route::MINING`].
    pub async fn mining(&self) -> Result<MiningStatus, OperatorError> {
        self.ask(self.request(Method::GET, route::MINING)).await
    }

    /// See [`route::MINING_START`].
    pub async fn start_mining(&self) -> Result<MiningStatus, OperatorError> {
        self.ask(self.request(Method::POST, route::MINING_START)).await
    }

    /// See [`route::MINING_STOP`].
    pub async fn stop_mining(&self) -> Result<MiningStatus, OperatorError> {
        self.ask(self.request(Method::POST, route::MINING_STOP)).await
    }

    /// See [`route::MINING_ONCE`].
    pub async fn mine_once(&self) -> Result<MinedBlock, OperatorError> {
        self.ask(self.request(Method::POST, route::MINING_ONCE)).await
    }

    /// See [`route::ADD_PIECE`]; `content` is a file's, read as it is sent: however large it is, it lies in memory only
    /// [`PART`] bytes at a time.
    pub async fn add_piece(&self, content: impl Read + Send + 'static) -> Result<AddedPiece, OperatorError> {
        let unreadable = Arc::new(OnceLock::new());
        let parts = futures::stream::try_unfold((content, unreadable.clone()), |(mut content, unreadable)| async {
            let read = tokio::task::spawn_blocking(move || {
                let mut part = Vec::with_capacity(PART);
                match content.by_ref().take(PART as u64).read_to_end(&mut part) {
                    Ok(length) => Ok((length > 0).then_some((part, (content, unreadable)))),
                    Err(error) => Err(unreadable.get_or_init(|| error.to_string()).clone()),
                }
            });
            read.await.unwrap_or_else(|ended| Err(ended.to_string()))
        });
        let request = self.request(Method::POST, route::ADD_PIECE);
        // As long as it takes: a sector's bytes may come over a pipe.
        let request = request.timeout(UPLOAD_TIMEOUT).body(Body::wrap_stream(parts));
        let added = self.ask(request).await;
        added.map_err(|error| match unreadable.get() {
            Some(reason) => OperatorError::Unreadable { reason: reason.clone() },
            None => error,
        })
    }

    /// See [`route::SETTINGS`].
    pub async fn settings(&self) -> Result<Settings, OperatorError> {
        self.ask(self.request(Method::GET, route::SETTINGS)).await
    }

    /// See [`route::SETTINGS`].
    pub async fn change_settings(&self, change: &SettingsChange) -> Result<ChangedSettings, OperatorError> {
        self.ask(self.request(Method::POST, route::SETTINGS).json(change)).await
    }

    /// See [`route::LOG`].
    pub async fn log(&self, query: &LogQuery) -> Result<LogTail, OperatorError> {
        self.ask(self.request(Method::GET, route::LOG).query(query)).await
    }

    /// See [`route::LOG`].
    pub async fn change_log(&self, change: &LogChange) -> Result<LogTail, OperatorError> {
        self.ask(self.request(Method::POST, route::LOG).json(change)).await
    }

    /// See [`route::ALERTS_TEST`].
    pub async fn test_alerts(&self) -> Result<AlertsStatus, OperatorError> {
        self.ask(self.request(Method::POST, route::ALERTS_TEST)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        let request = self.http.request(method, url);
        match &self.token {
            Ok(token) => request.bearer_auth(token),
            Err(_) => request,
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, OperatorError> {
        let answer = self.send(request).await?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|e| self.strange(e.to_string()))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| self.strange(e.to_string()));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) if status == StatusCode::UNAUTHORIZED => Err(OperatorError::NotOperator {
                base: self.base.clone(),
                reason: self.token.as_ref().err().cloned().unwrap_or(refusal.error),
            }),
            Ok(refusal) => Err(OperatorError::Refused(refusal.error)),
            Err(_) => Err(self.strange(format!("HTTP status {status}"))),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, OperatorError> {
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        match answer.status().is_redirection() {
            true => Err(OperatorError::Redirected {
                base: self.base.clone(),
            }),
            false => Ok(answer),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> OperatorError {
        OperatorError::Unreachable {
            base: self.base.clone(),
            reason: error.without_url().to_string(),
        }
    }

    fn strange(&self, reason: String) -> OperatorError {
        OperatorError::Strange {
            base: self.base.clone(),
            reason,
        }
    }
}

/// A route with a deal's id in it; an id that is none is told here, before it could name another route.
fn of(route: &str, cid: &str) -> Result<String, OperatorError> {
    match cid::Cid::try_from(cid) {
        Ok(cid) => Ok(route.replace("{cid}", &cid.to_string())),
        Err(_) => Err(OperatorError::Refused(format!(
            "{cid:?} is no deal's id: a deal's id is a CID such as `deals list` shows"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::redirecting;

    #[tokio::test]
    async fn orders_are_not_sent_on_to_where_an_answer_says() {
        let (base, followed) = redirecting().await;
        let operator = Operator::at(&base, Ok("a token".to_owned())).expect("a client");
        for answer in [operator.seal_now().await.err(), operator.health().await.err()] {
            let error = answer.expect("nothing is done");
            assert!(matches!(error, OperatorError::Redirected { .. }), "{error}");
        }
        assert!(!followed.load(std::sync::atomic::Ordering::Relaxed));
    }
}

//! Tells somebody who does not look: what is wrong, and when it is well again, is sent to the operator's webhook.
//!
//! What is sent is decided by [`watch`]: a problem that lasts, once, and its end. One message at a time, at most one a minute; one that
//! is not taken is tried again until it is, with what is so by then. Slack, Mattermost and whatever else shows `text` take it as it is.

mod watch;

pub use watch::Alert;

use crate::clock::now_ms;
use crate::supervisor::{HealthBoard, Lifeline, ServiceError, ServiceState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use shared::chain::Address;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watch::Watch;

/// Time between two looks at health.
const EVERY: Duration = Duration::from_secs(5);
/// How long a webhook may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest pause between two tries to send.
const LONGEST_PAUSE_MS: u64 = 5 * 60 * 1000;
const FIRST_PAUSE_MS: u64 = 5000;
/// How long the last alert of a daemon that ends may take.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What health calls the sending.
const WEBHOOK: &str = "webhook";

/// Where alerts are sent. Whoever knows it can send there, too, so that only its host is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook(reqwest::Url);

impl FromStr for Webhook {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = text.parse::<reqwest::Url>().ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.map(Self)
            .ok_or("a webhook is a URL that begins with https:// or http://")
    }
}

impl std::fmt::Display for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        write!(
            f,
            "{}://{}{port}/…",
            self.0.scheme(),
            self.0.host_str().unwrap_or_default()
        )
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// How alerts are doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertsStatus {
    /// The webhook's host; what is behind it stays secret. None where there is none.
    pub webhook: Option<String>,
    /// When the last alert was taken, in milliseconds since 1970.
    pub last_sent: Option<u64>,
    /// Why the last try failed; none after one that did not.
    pub last_error: Option<String>,
    /// Messages that wait to be sent.
    pub pending: u64,
}

/// Why an alert was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    #[error("there is no webhook: name one by alerts.webhook in sealdrop.toml, and start the daemon anew")]
    NoWebhook,
    #[error("the webhook {webhook} was not reached: {reason}; check its name, its certificate and the network")]
    Unreached { webhook: String, reason: String },
    #[error("the webhook {webhook} answered {status}; check the address behind its host")]
    Refused { webhook: String, status: u16 },
}

/// Sends alerts. Clones are the same.
#[derive(Clone)]
pub struct Alerts {
    inner: Arc<Inner>,
}

struct Inner {
    webhook: Option<Webhook>,
    board: HealthBoard,
    miner: Address,
    network: String,
    /// None where it could not be made, or nothing is sent.
    http: Option<reqwest::Client>,
    /// What times are counted from: nobody sets this clock.
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watch: Watch,
    status: AlertsStatus,
    last_failure: Option<AlertError>,
    /// Tries that failed in a row, and when the next is made.
    failures: u32,
    next_try_ms: u64,
}

impl Alerts {
    /// Of the miner at `miner` on the network of this name; without a webhook nothing is sent.
    pub fn new(webhook: Option<Webhook>, board: HealthBoard, miner: Address, network: String) -> Self {
        let client = || {
            let client = reqwest::Client::builder().timeout(ANSWER);
            client.redirect(reqwest::redirect::Policy::none()).build().ok()
        };
        let http = webhook.as_ref().and_then(|_| client());
        let status = AlertsStatus {
            webhook: webhook.as_ref().map(ToString::to_string),
            ..AlertsStatus::default()
        };
        Self {
            inner: Arc::new(Inner {
                webhook,
                board,
                miner,
                network,
                http,
                started: Instant::now(),
                state: Mutex::new(State {
                    status,
                    ..State::default()
                }),
            }),
        }
    }

    /// How it is doing.
    pub fn status(&self) -> AlertsStatus {
        let state = self.state();
        AlertsStatus {
            pending: u64::from(state.watch.is_due(self.passed_ms())),
            ..state.status.clone()
        }
    }

    /// Watches health until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let mut clock = tokio::time::interval(EVERY);
        while lifeline.unless_stopping(clock.tick()).await.is_some() {
            lifeline.beat();
            if self.inner.webhook.is_none() {
                continue;
            }
            let sent = lifeline.unless_stopping(self.look(self.passed_ms())).await;
            match sent {
                Some(Err(error)) => lifeline.failing(WEBHOOK, &error),
                Some(Ok(())) => lifeline.well(WEBHOOK),
                None => break,
            }
        }
        self.last_words().await;
        Ok(())
    }

    /// A daemon that ends because a service cannot be kept running says so, whatever was told before.
    async fn last_words(&self) {
        let health = self.inner.board.health();
        let is_down = health
            .services
            .iter()
            .any(|service| service.state == ServiceState::Down);
        if !is_down || self.inner.webhook.is_none() {
            return;
        }
        let text = format!(
            "Sealdrop miner {}: the daemon ends, since a service cannot be kept running",
            self.inner.miner
        );
        let message = self.message(&text, json!({ "ok": false, "problems": health.problems }));
        if tokio::time::timeout(LAST_WORDS, self.send(&message)).await.is_err() {
            tracing::warn!("the webhook did not take the last alert in time");
        }
    }

    /// Milliseconds since the start.
    fn passed_ms(&self) -> u64 {
        u64::try_from(self.inner.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sends what is due at `now`, in [`Self::passed_ms`]; fails with why the last try failed while that is not made good.
    async fn look(&self, now: u64) -> Result<(), AlertError> {
        // Its own failure is told by health, and cannot be told by itself.
        let problems = self.inner.board.health().problems;
        let told: Vec<_> = problems.into_iter().filter(|problem| problem.of != WEBHOOK).collect();
        let (due, waits) = {
            let mut state = self.state();
            let due = state.watch.look(now, &told);
            (due, now < state.next_try_ms)
        };
        match due {
            Some(alert) if !waits => {
                let sent = self.send(&self.told(&alert)).await;
                self.note(now, &sent);
                if sent.is_ok() {
                    self.state().watch.sent(now, &alert);
                }
                sent
            }
            // The last failure stands until something is taken.
            Some(_) => Err(self.state().last_failure.clone().unwrap_or(AlertError::NoWebhook)),
            None => Ok(()),
        }
    }

    fn note(&self, now: u64, sent: &Result<(), AlertError>) {
        let mut state = self.state();
        match sent {
            Ok(()) => {
                state.status.last_sent = Some(now_ms());
                state.status.last_error = None;
                (state.failures, state.next_try_ms) = (0, 0);
            }
            Err(error) => {
                tracing::warn!(%error, "an alert could not be sent; it is tried again");
                state.status.last_error = Some(error.to_string());
                state.last_failure = Some(error.clone());
                let pause = FIRST_PAUSE_MS
                    .saturating_mul(1 << state.failures.min(10))
                    .min(LONGEST_PAUSE_MS);
                state.failures = state.failures.saturating_add(1);
                state.next_try_ms = now.saturating_add(pause);
            }
        }
    }

    /// Sends a message that says that it is a test.
    pub async fn test(&self) -> Result<AlertsStatus, AlertError> {
        let text = format!("Sealdrop miner {}: this is a test of its alerts", self.inner.miner);
        let sent = self.send(&self.message(&text, json!({ "test": true }))).await;
        {
            // Whatever waits to be sent keeps its turn.
            let mut state = self.state();
            match &sent {
                Ok(()) => state.status.last_sent = Some(now_ms()),
                Err(error) => state.status.last_error = Some(error.to_string()),
            }
        }
        sent.map(|()| self.status())
    }

    async fn send(&self, message: &Value) -> Result<(), AlertError> {
        let webhook = self.inner.webhook.as_ref().ok_or(AlertError::NoWebhook)?;
        let unreached = |error: reqwest::Error| AlertError::Unreached {
            webhook: webhook.to_string(),
            // Its own text names the URL, which is secret.
            reason: reason(&error.without_url()),
        };
        let Some(http) = &self.inner.http else {
            return Err(AlertError::Unreached {
                webhook: webhook.to_string(),
                reason: "TLS cannot be set up on this machine".to_owned(),
            });
        };
        let asked = http.post(webhook.0.clone()).json(message);
        let answer = asked.send().await.map_err(unreached)?;
        let status = answer.status();
        match status.is_success() {
            true => Ok(()),
            false => Err(AlertError::Refused {
                webhook: webhook.to_string(),
                status: status.as_u16(),
            }),
        }
    }

    fn message(&self, text: &str, about: Value) -> Value {
        let mut message = json!({
            "source": "sealdrop",
            "version": env!("CARGO_PKG_VERSION"),
            "network": self.inner.network,
            "miner": self.inner.miner,
            "at": now_ms(),
            "text": text,
        });
        if let (Some(message), Value::Object(about)) = (message.as_object_mut(), about) {
            message.extend(about);
        }
        message
    }

    fn told(&self, alert: &Alert) -> Value {
        let about = json!({
            // The same when it is sent again: whoever took it and answered too late can tell.
            "id": alert.id(),
            "ok": alert.is_well(),
            "began": alert.began,
            "ended": alert.ended,
            "problems": alert.problems,
        });
        self.message(&alert.text(&self.inner.miner.to_string()), about)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with what is behind it, in one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_webhook_only_its_host_is_shown() {
        let webhook: Webhook = "https://hooks.example.org:8443/services/SECRET?token=SECRET"
            .parse()
            .expect("a URL");
        assert_eq!(webhook.to_string(), "https://hooks.example.org:8443/…");
        assert!(!format!("{webhook:?}").contains("SECRET"));
        for wrong in ["ftp://a.example/", "hooks.example.org/x", "", "https://"] {
            assert!(wrong.parse::<Webhook>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_test_without_a_webhook_and_with_one_that_is_not_there_says_what_to_do() {
        let of = |webhook: Option<&str>| {
            let webhook = webhook.map(|url| url.parse().expect("a URL"));
            Alerts::new(webhook, HealthBoard::default(), Address::id(5), "test".into())
        };
        assert_eq!(of(None).test().await, Err(AlertError::NoWebhook));
        // Port 9 is taken by nobody here.
        let alerts = of(Some("http://127.0.0.1:9/SECRET"));
        let refused = alerts.test().await.expect_err("nobody listens").to_string();
        assert!(
            refused.contains("http://127.0.0.1:9/…") && !refused.contains("SECRET"),
            "{refused}"
        );
        let status = alerts.status();
        assert!(status.last_error.is_some_and(|error| !error.contains("SECRET")));
    }
}

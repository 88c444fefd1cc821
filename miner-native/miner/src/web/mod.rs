//! The web listener: the page, the browser client, and the operator's requests ([`requests`], [`views`], described by [`openapi`]), by the
//! names of this machine and those that its operator gave ([`guard`]); for pages what changes ([`events`]), for monitors [`probes`] and
//! [`figures`].
//!
//! What it says of deals is for showing progress only: unsigned, and nothing depends on it. The page learns the chain's
//! URL here and asks the chain itself for everything that matters (design §8).

mod events;
mod figures;
mod files;
mod guard;
mod openapi;
mod probes;
mod requests;
mod views;

use crate::alerts::Alerts;
use crate::ask_publisher::AskPublisher;
use crate::chain_access::{Account, ChainAccess};
use crate::explaining::Explainer;
use crate::intake::Intake;
use crate::logging::Log;
use crate::network::Host;
use crate::operator::{route, ConfigurationView};
use crate::prover::Prover;
use crate::proving::Proving;
use crate::redeeming::Redeeming;
use crate::sealing::SealingWake;
use crate::settings::SettingsStore;
use crate::staging::Staging;
use crate::store::MinerStore;
use crate::supervisor::{HealthBoard, Lifeline, ServiceError};
use aide::openapi::OpenApi;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{header, HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::FutureExt;
use sealdrop_listener::{BoundedListener, Tls};
use serde_json::{json, Value};
use shared::access::{host_is_local, without_port, Access};
use shared::chain::{Address, Policy};
use shared::piece::SectorSize;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once: a browser opens six for a page.
const MAX_CONNECTIONS: usize = 128;
/// Longest request, in bytes: a change of settings.
const MAX_BODY: usize = 64 * 1024;
/// Time between two signs of life of the web listener.
const BEAT: Duration = Duration::from_secs(10);

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("port {} for the web page is taken by another program: stop that one, or choose another port with --web-port", address.port())]
    PortInUse { address: SocketAddr },
    #[error("cannot listen for the web page on {address}: {source}; choose another port with --web-port, or another address with --web-listen")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{} is no folder, so there is nothing to serve from it; build it first with `cargo xtask build`, or name another with {option}", dir.display())]
    NoFolder { dir: PathBuf, option: &'static str },
}

/// What is served.
#[derive(Debug, Clone)]
pub struct WebConfig {
    pub chain_url: String,
    /// The page's folder, at `/`.
    pub web: Option<PathBuf>,
    /// The browser client's folder, at `/client/`.
    pub client: Option<PathBuf>,
    /// Names by which the listener may be asked, beside those of this machine and its addresses.
    pub hosts: Vec<String>,
    /// What accepts TLS, where there is a certificate.
    pub tls: Option<Tls>,
}

impl WebConfig {
    /// Fails with [`WebError::NoFolder`] when a folder that was named is not there.
    pub fn check(&self) -> Result<(), WebError> {
        for (dir, option) in [(&self.web, "--web"), (&self.client, "--client")] {
            if let Some(dir) = dir.as_ref().filter(|dir| !dir.is_dir()) {
                return Err(WebError::NoFolder {
                    dir: dir.clone(),
                    option,
                });
            }
        }
        Ok(())
    }
}

/// What the operator's requests are answered from.
#[derive(Clone)]
pub struct Api {
    pub address: Address,
    pub owner: Address,
    pub sector_size: SectorSize,
    pub store: MinerStore,
    pub staging: Staging,
    pub chain: ChainAccess,
    pub prover: Arc<Prover>,
    pub settings: Arc<SettingsStore>,
    pub intake: Arc<Intake>,
    /// The miner's worker.
    pub worker: Account,
    pub ask_publisher: AskPublisher,
    pub redeeming: Redeeming,
    pub proving: Proving,
    pub wake: Arc<SealingWake>,
    pub host: Host,
    pub explainer: Explainer,
    pub health: HealthBoard,
    /// Opens the page at this miner; none where an address in it cannot be written as a link.
    pub link: Option<String>,
    /// The file with the operator's tokens.
    pub tokens: PathBuf,
    /// The data folder.
    pub home: PathBuf,
    /// When the daemon started, in milliseconds since 1970.
    pub started_ms: u64,
    pub policy: Policy,
    pub log: Log,
    pub alerts: Alerts,
    /// What the daemon goes by now.
    pub configuration: Arc<Mutex<ConfigurationView>>,
}

struct Shown {
    config: WebConfig,
    api: Api,
    lifeline: Lifeline,
    readers: events::Readers,
}

/// The web service.
#[derive(Clone)]
pub struct Web {
    /// Where it listens; no port is 0: [`bind`] has taken some.
    pub addresses: Vec<SocketAddr>,
    pub config: WebConfig,
    pub api: Api,
}

impl Web {
    /// Serves until it is to stop; on `listeners`, or where they are gone, on the same addresses anew.
    pub async fn run(self, listeners: Option<Vec<TcpListener>>, lifeline: Lifeline) -> Result<(), ServiceError> {
        let listeners = match listeners {
            Some(listeners) => listeners,
            None => bind(&self.addresses)?,
        };
        let access = Access::of(self.addresses, self.config.hosts.iter().cloned());
        let listener = BoundedListener::new(listeners, MAX_CONNECTIONS).with_tls(self.config.tls.clone());
        let router = router(self.config, self.api, access, lifeline.clone());
        let stop = lifeline.clone();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.stopping().await });
        let serving = serving.into_future();
        tokio::pin!(serving);
        loop {
            tokio::select! {
                served = &mut serving => return Ok(served?),
                () = tokio::time::sleep(BEAT) => lifeline.beat(),
            }
        }
    }
}

/// Takes the page's addresses; port 0 takes a free one.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, WebError> {
    addresses.iter().map(|address| bind_one(*address)).collect()
}

/// How the page is reached from this machine: by a loopback address, if by any.
pub fn url(bound: &[SocketAddr]) -> String {
    let from_here = bound.iter().copied().map(sealdrop_listener::from_here);
    let first = from_here.min_by_key(|address| !address.ip().is_loopback());
    first.map_or_else(String::new, |address| format!("http://{address}"))
}

fn bind_one(address: SocketAddr) -> Result<TcpListener, WebError> {
    let bound = sealdrop_listener::bind(address).and_then(TcpListener::from_std);
    bound.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => WebError::PortInUse { address },
        _ => WebError::Listen { address, source },
    })
}

fn router(config: WebConfig, api: Api, access: Access, lifeline: Lifeline) -> Router {
    let (web, client) = (config.web.clone(), config.client.clone());
    let shown = Arc::new(Shown {
        config,
        api,
        lifeline: lifeline.clone(),
        readers: Arc::new(Semaphore::new(events::MAX_READERS)),
    });
    let (requests, document) = described(&shown.api.tokens);
    let mut router = Router::new()
        .route("/config.json", get(configuration))
        .route(route::OPENAPI, get(move || async move { Json(document) }))
        .merge(requests)
        .with_state(shown);
    if let Some(dir) = client {
        router = router.nest_service("/client", files::of(&dir));
    }
    router = match web {
        Some(dir) => router.fallback_service(files::of(&dir)),
        None => router.fallback(no_page),
    };
    let router = router.layer(DefaultBodyLimit::max(MAX_BODY));
    let router = router.layer(middleware::from_fn_with_state(lifeline, catch_panic));
    router.layer(middleware::from_fn_with_state(
        Arc::new(access),
        guard::known_names_only,
    ))
}

/// The operator's requests, and the document that describes them.
fn described(tokens: &Path) -> (Router<Arc<Shown>>, Arc<OpenApi>) {
    aide::generate::extract_schemas(true);
    let mut document = OpenApi::default();
    let router = requests::router(tokens).finish_api_with(&mut document, openapi::about);
    (router, Arc::new(document))
}

/// A panic while a request is answered is the service's: logged, counted, and told to who asked.
pub(crate) async fn catch_panic(State(lifeline): State<Lifeline>, request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            lifeline.panicked("answering a request", &*panic);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn no_page() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "This daemon serves no web page, and none is installed in ../share/sealdrop/www beside the program or in /usr/share/sealdrop/www: start it with --web DIR, or run `cargo xtask up`.\n",
    )
}

async fn configuration(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> Json<Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let chain = chain_from(&shown.config.chain_url, host, shown.config.tls.is_some());
    Json(json!({ "chain": chain, "miner": null }))
}

/// Where a page finds the chain that was loaded by the name `host`. One of this machine is reached from elsewhere by the name that
/// the page was.
fn chain_from(chain_url: &str, host: Option<&str>, has_tls: bool) -> String {
    let elsewhere = host.filter(|host| !host_is_local(host)).and_then(without_port);
    let of_here = chain_url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
    let of_here = of_here.filter(|(authority, _)| host_is_local(authority));
    match (elsewhere, of_here) {
        (Some(name), Some((authority, path))) => {
            let scheme = if has_tls { "https" } else { "http" };
            let port = authority.rsplit_once(':').map_or("80", |(_, port)| port);
            format!("{scheme}://{name}:{port}/{path}")
        }
        _ => chain_url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each operation of the document, by its path and method.
    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let paths = document["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods").iter();
                methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    #[test]
    fn the_kept_document_is_what_the_handlers_say() {
        let (_, document) = described(Path::new(""));
        let written = serde_json::to_string_pretty(&*document).expect("JSON") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/docs/miner.openapi.json");
        if std::env::var_os("SEALDROP_WRITE_DOCS").is_some() {
            std::fs::write(path, &written).expect("it can be written");
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == written,
            "run this test with SEALDROP_WRITE_DOCS=1 to write it anew"
        );
    }

    #[test]
    fn the_document_says_of_each_operation_who_may_ask_and_what_comes_back() {
        let (_, document) = described(Path::new(""));
        let document = serde_json::to_value(&*document).expect("JSON");
        let all = operations(&document);
        assert!(all.len() > 25, "{}", all.len());
        for (name, operation) in all {
            assert!(
                operation["operationId"].is_string() && operation["summary"].is_string(),
                "{name}"
            );
            assert!(operation["security"][0]["token"].is_array(), "{name}");
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            assert!(schema.is_object(), "{name}: {operation}");
            let refusal = operation["responses"]["default"].to_string();
            assert!(refusal.contains("Refusal"), "{name}: {refusal}");
            let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
            assert!(parameters >= name.matches('{').count(), "{name}");
        }
    }

    #[test]
    fn a_page_of_elsewhere_finds_a_chain_of_this_machine_by_the_name_that_it_was_loaded_by() {
        let own = "http://127.0.0.1:4403/rpc";
        for (host, has_tls, expected) in [
            (Some("127.0.0.1:4400"), true, own),
            (None, true, own),
            (Some("miner.example:4400"), false, "http://miner.example:4403/rpc"),
            (Some("[2001:db8::1]:4400"), true, "https://[2001:db8::1]:4403/rpc"),
        ] {
            assert_eq!(chain_from(own, host, has_tls), expected, "{host:?}");
        }
        let anothers = "http://192.0.2.7:4403/rpc";
        assert_eq!(chain_from(anothers, Some("miner.example:4400"), true), anothers);
    }
}

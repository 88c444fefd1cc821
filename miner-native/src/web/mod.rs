//! The web listener: the page, the browser client, and the operator's requests ([`requests`], [`views`]).
//!
//! What it says of deals is for showing progress only: unsigned, and nothing depends on it. The page learns the chain's
//! URL here and asks the chain itself for everything that matters (design §5).

mod requests;
mod views;

use crate::explaining::Explainer;
use crate::miner::Miner;
use crate::network::Host;
use axum::extract::State;
use axum::http::{header, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{json, Value};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("port {port} for the web page is taken by another program: stop that one, or choose another port with --web-port")]
    PortInUse { port: u16 },
    #[error("cannot listen for the web page on port {port}: {source}; choose another port with --web-port")]
    Listen { port: u16, source: std::io::Error },
    #[error("{} is no folder, so there is nothing to serve from it; build it first with `cargo xtask build`, or name another with {option}", dir.display())]
    NoFolder { dir: PathBuf, option: &'static str },
    #[error("the web server stopped: {0}")]
    Stopped(String),
}

/// What is served.
#[derive(Debug, Clone)]
pub struct WebConfig {
    pub chain_url: String,
    /// The page's folder, at `/`.
    pub web: Option<PathBuf>,
    /// The browser client's folder, at `/client/`.
    pub client: Option<PathBuf>,
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

struct Shown {
    config: WebConfig,
    miner: Arc<Miner>,
    host: Host,
    explainer: Explainer,
}

/// Takes the page's port on 127.0.0.1; 0 takes a free one.
pub async fn bind(port: u16) -> Result<TcpListener, WebError> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => WebError::PortInUse { port },
            _ => WebError::Listen { port, source },
        })
}

/// Serves until the process ends.
pub async fn serve(
    listener: TcpListener,
    config: WebConfig,
    miner: Arc<Miner>,
    host: Host,
    explainer: Explainer,
) -> Result<(), WebError> {
    let (web, client) = (config.web.clone(), config.client.clone());
    let shown = Arc::new(Shown {
        config,
        miner,
        host,
        explainer,
    });
    let mut router = Router::new()
        .route("/config.json", get(configuration))
        .merge(requests::router())
        .with_state(shown);
    if let Some(dir) = client {
        router = router.nest_service("/client", ServeDir::new(dir));
    }
    router = match web {
        Some(dir) => router.fallback_service(ServeDir::new(dir)),
        None => router.fallback(no_page),
    };
    let no_cache = HeaderValue::from_static("no-cache");
    let router = router.layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, no_cache));
    axum::serve(listener, router)
        .await
        .map_err(|e| WebError::Stopped(e.to_string()))
}

async fn no_page() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "This daemon serves no web page: start it with --web DIR, or run `cargo xtask up`.\n",
    )
}

async fn configuration(State(shown): State<Arc<Shown>>) -> Json<Value> {
    Json(json!({ "chain": shown.config.chain_url, "miner": null }))
}

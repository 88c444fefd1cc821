//! A server that sends whoever asks it on, by the kind of redirect that repeats the request, body and all.

use axum::http::{header, StatusCode};
use axum::Router;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Its URL, and whether somebody went where it sent them.
pub(crate) async fn redirecting() -> (String, Arc<AtomicBool>) {
    let followed = Arc::new(AtomicBool::new(false));
    let seen = followed.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let target = format!("{base}/internal");
    let answer = move |asked: axum::extract::Request| async move {
        if asked.uri().path() == "/internal" {
            seen.store(true, Ordering::Relaxed);
        }
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target)])
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, followed)
}

//! What watches the daemon without a token: whether it lives, is ready, and is well (as Kubernetes asks, `z` and all).

use super::Shown;
use crate::supervisor::{Health, ServiceState};
use axum::extract::{RawQuery, State};
use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::Json;
use std::sync::Arc;

type Asked = State<Arc<Shown>>;

/// Answers with 503 while anything is wrong, so that whatever watches the daemon need not read on.
pub(super) async fn health(State(shown): Asked) -> (StatusCode, Json<Health>) {
    let health = shown.api.health.health();
    (status(health.ok), Json(health))
}

/// The process answers: nothing that starting it anew would mend.
pub(super) async fn live() -> Response {
    text(true, "ok\n".to_owned())
}

/// Every service runs: requests and peers are served. What fails is [`health`]'s business.
pub(super) async fn ready(State(shown): Asked, query: RawQuery) -> Response {
    let health = shown.api.health.health();
    let lines = lines(&health, |service| service.state == ServiceState::Up);
    told("ready", lines, is_verbose(&query))
}

/// As [`health`], in lines.
pub(super) async fn healthz(State(shown): Asked, query: RawQuery) -> Response {
    let health = shown.api.health.health();
    let lines = lines(&health, |service| {
        let of = |problem: &crate::supervisor::Problem| problem.service == service.name;
        !health.problems.iter().any(of)
    });
    told("healthz", lines, is_verbose(&query))
}

type Line = (bool, String);

fn lines(health: &Health, is_well: impl Fn(&crate::supervisor::ServiceHealth) -> bool) -> Vec<Line> {
    let line = |service: &crate::supervisor::ServiceHealth| {
        if is_well(service) {
            return (true, format!("[+]{} ok", service.name));
        }
        let problems = health.problems.iter().filter(|problem| problem.service == service.name);
        let texts: Vec<&str> = problems.map(|problem| problem.text.as_str()).collect();
        (false, format!("[-]{} failed: {}", service.name, texts.join("; ")))
    };
    health.services.iter().map(line).collect()
}

/// The lines of what fails; all of them when they are asked for.
fn told(what: &str, lines: Vec<Line>, is_verbose: bool) -> Response {
    let is_well = !lines.is_empty() && lines.iter().all(|(is_well, _)| *is_well);
    let shown = lines.into_iter().filter(|(is_well, _)| is_verbose || !is_well);
    let mut said: Vec<String> = shown.map(|(_, line)| line).collect();
    said.push(match (is_well, is_verbose) {
        (true, false) => "ok".to_owned(),
        (true, true) => format!("{what} check passed"),
        (false, _) => format!("{what} check failed"),
    });
    text(is_well, said.join("\n") + "\n")
}

fn is_verbose(RawQuery(query): &RawQuery) -> bool {
    let mut words = query.iter().flat_map(|query| query.split('&'));
    words.any(|word| word == "verbose" || word.starts_with("verbose="))
}

fn status(is_well: bool) -> StatusCode {
    match is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn text(is_well: bool, text: String) -> Response {
    (
        status(is_well),
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(response: Response) -> (StatusCode, String) {
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .expect("a text");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn what_fails_is_told_always_and_what_is_well_when_asked() {
        let lines = || {
            vec![
                (true, "[+]web ok".to_owned()),
                (false, "[-]disk failed: full".to_owned()),
            ]
        };
        let (status, text) = read(told("healthz", lines(), false)).await;
        assert_eq!(
            (status, text.as_str()),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "[-]disk failed: full\nhealthz check failed\n"
            )
        );
        let (_, text) = read(told("healthz", lines(), true)).await;
        assert!(text.starts_with("[+]web ok\n"), "{text}");
        let well = vec![(true, "[+]web ok".to_owned())];
        assert_eq!(
            read(told("readyz", well, false)).await,
            (StatusCode::OK, "ok\n".to_owned())
        );
        // Nothing runs yet: that is not ready.
        assert_eq!(
            read(told("readyz", Vec::new(), false)).await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(is_verbose(&RawQuery(Some("a=1&verbose".into()))) && !is_verbose(&RawQuery(None)));
    }
}

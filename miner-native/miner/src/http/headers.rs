//! Headers that all answers have: pages of every site may read them, and no browser shows one in place of a page of ours.

use axum::extract::{Request, State};
use axum::http::{header, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::Router;

/// What pages may read of an answer beside its body.
const EXPOSED: &str = "Location, ETag, Content-Range, Content-Length, Accept-Ranges, X-Ipfs-Path, X-Ipfs-Roots";
/// What pages may send.
const ACCEPTED: &str = "Accept, Authorization, Cache-Control, Content-Type, If-None-Match, If-Range, Range";
/// How long a browser remembers that it may ask: a day.
const REMEMBERED: &str = "86400";
/// Of Chromium's private network access: a public page asks before it reaches a local network.
const ASKS_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const MAY_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

const ON_ALL: [(HeaderName, &str); 5] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    // Should a browser show it after all: as a page that may do nothing.
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
];

/// The routes, for pages of every site, by these methods.
pub(crate) fn open_to_pages(routes: Router, methods: &'static str) -> Router {
    routes.layer(middleware::from_fn_with_state(methods, cross_origin))
}

async fn cross_origin(State(methods): State<&'static str>, request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let asks_private = request.headers().get(ASKS_PRIVATE).is_some_and(|asks| asks == "true");
    let mut response = match is_preflight {
        true => StatusCode::NO_CONTENT.into_response(),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in ON_ALL {
        set(headers, name, value);
    }
    if is_preflight {
        set(headers, header::ALLOW, methods);
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, ACCEPTED);
        set(headers, header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        if asks_private {
            set(headers, MAY_PRIVATE, "true");
        }
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

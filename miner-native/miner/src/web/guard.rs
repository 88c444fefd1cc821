//! Who is answered at all, and what browsers may do with what they get.
//!
//! Before anything of a request is read: the `Host`, the page that it comes from ([`Access`]), and for the operator's
//! requests a token ([`crate::operator::token`]). After it: headers that keep a page of this listener to itself. Files are
//! served by [`super::files`].

use super::requests::refuse;
use super::Shown;
use crate::operator::route;
use crate::operator::token::{Scope, Tokens};
use aide::axum::ApiRouter;
use axum::extract::{Request, State};
use axum::http::{header, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use sealdrop_database::blocking;
use shared::access::Access;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the page needs: its own scripts and WebAssembly, its own style, workers, the chain (`http:`, `https:`), and miners'
/// WebSockets and WebTransport (`https:`), all of which may be anywhere. `data:` are SVG images of stored files. `blob:` is what it shows of stored files that
/// it has fetched and checked: images, media and PDF, never a script; `'self'` in frames and media is its player, which its Service Worker
/// answers. Scripts are named by the page through one policy of trusted types alone (`www/src/trusted.ts`). `www/index.html` has the same, as far as a page can say it of itself, for servers that send no headers.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data: blob:; media-src 'self' blob:; frame-src 'self' blob:; worker-src 'self'; manifest-src 'self'; \
     connect-src 'self' http: https: ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types lit-html default";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lets requests by known names, and of pages of these, through.
pub(super) async fn known_names_only(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let mut response = match check(&access, request.headers(), request.uri().path()) {
        Ok(()) => next.run(request).await,
        Err((status, text)) => refuse(status, text.to_owned()),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // Asked for anew each time, except what says of itself that it never changes.
    let caching = response.headers_mut().entry(header::CACHE_CONTROL);
    caching.or_insert(HeaderValue::from_static("no-cache"));
    response
}

fn check(access: &Access, headers: &HeaderMap, path: &str) -> Result<(), (StatusCode, &'static str)> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(host) = text(header::HOST).filter(|host| access.admits_host(host)) else {
        let text = "this daemon is not known by that name: ask it by 127.0.0.1, localhost, an address that it listens on, or a name of \
                    its web.hosts";
        return Err((StatusCode::FORBIDDEN, text));
    };
    if text(header::ORIGIN).is_some_and(|origin| !access.admits_origin(origin, host)) {
        let text = "this daemon serves pages of its own machine and names, and this page is of another site";
        return Err((StatusCode::FORBIDDEN, text));
    }
    // A piece of the operator's own has no length that is known before; nothing else is sent so, and two lengths never are.
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    if is_chunked && (path != route::ADD_PIECE || headers.contains_key(header::CONTENT_LENGTH)) {
        let text = "send the request with its Content-Length, and without Transfer-Encoding";
        return Err((StatusCode::LENGTH_REQUIRED, text));
    }
    Ok(())
}

/// Routes for whoever has a token of `scope` or more, of those in the file `tokens`.
pub(super) fn scoped(routes: ApiRouter<Arc<Shown>>, tokens: &Path, scope: Scope) -> ApiRouter<Arc<Shown>> {
    let state = (tokens.to_owned(), scope);
    routes.route_layer(middleware::from_fn_with_state(state, authorise))
}

async fn authorise(State((tokens, needed)): State<(PathBuf, Scope)>, mut request: Request, next: Next) -> Response {
    match granted(&tokens, request.headers()) {
        Ok(Some(scope)) if scope >= needed => {
            request.extensions_mut().insert(scope);
            next.run(request).await
        }
        Ok(Some(scope)) => {
            let text = format!("this token is for {scope}, and this needs one for {needed}");
            refuse(StatusCode::FORBIDDEN, text)
        }
        Ok(None) => {
            let text =
                "only for this daemon's operator: send a token of its operator.token, as `Authorization: Bearer TOKEN`";
            let mut response = refuse(StatusCode::UNAUTHORIZED, text.to_owned());
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            response
        }
        Err(error) => {
            tracing::error!(%error, "the operator's orders cannot be taken");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, error)
        }
    }
}

/// What the request's token may do. The file is read anew: `sealdrop token rotate` holds at once.
fn granted(tokens: &Path, headers: &HeaderMap) -> Result<Option<Scope>, String> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|given| given.strip_prefix("Bearer ")) else {
        return Ok(None);
    };
    let tokens = blocking(|| Tokens::read(tokens)).map_err(|error| error.to_string())?;
    Ok(tokens.scope_of(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_the_same_policy_of_itself() {
        let page = include_str!("../../../../www/index.html");
        let said = CONTENT_SECURITY_POLICY.replace(" frame-ancestors 'none';", "");
        assert!(page.contains(&format!("content=\"{said}\"")), "{said}");
    }

    #[test]
    fn names_and_pages_of_others_and_two_lengths_are_refused() {
        let of = |pairs: &[(HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:4400"));
            for (name, value) in pairs {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers
        };
        let status =
            |headers: &HeaderMap, path| check(&Access::default(), headers, path).err().map(|(status, _)| status);
        assert_eq!(status(&of(&[]), "/"), None);
        assert_eq!(status(&of(&[(header::ORIGIN, "http://localhost:1")]), "/"), None);
        let forbidden = Some(StatusCode::FORBIDDEN);
        assert_eq!(status(&HeaderMap::new(), "/"), forbidden);
        assert_eq!(status(&of(&[(header::HOST, "page.example:4400")]), "/"), forbidden);
        assert_eq!(status(&of(&[(header::ORIGIN, "http://page.example")]), "/"), forbidden);
        let chunked = (header::TRANSFER_ENCODING, "chunked");
        let refused = Some(StatusCode::LENGTH_REQUIRED);
        assert_eq!(status(&of(&[chunked.clone()]), route::SETTINGS), refused);
        assert_eq!(status(&of(&[chunked.clone()]), route::ADD_PIECE), None);
        assert_eq!(
            status(&of(&[chunked, (header::CONTENT_LENGTH, "1")]), route::ADD_PIECE),
            refused
        );
    }
}

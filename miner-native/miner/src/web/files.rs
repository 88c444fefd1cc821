//! The files of a folder: which of them are served, in which encoding, and how long a browser may keep them.
//!
//! From the folder and from nowhere else, whatever links lie in it. Beside a file may lie the same compressed, `NAME.br` and `NAME.gz`, as the
//! page's build makes them: a browser that takes such an encoding gets that file. What lies below [`HASHED`] has a digest of its
//! content in its name, so it is kept without being asked for again; everything else is asked for each time, with the tag that came with it.
//! The web service ([`super`]) calls this for the page and for the client.

use axum::extract::{Request, State};
use axum::http::{header, HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::Router;
use sealdrop_database::blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tower_http::services::ServeDir;

/// Where the page's build (`www/build.mjs`) puts what it names after its content.
const HASHED: &str = "/assets/";
/// A year, which is as long as is promised of anything.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Of files that lie there compressed, too.
const ENCODINGS: [&str; 2] = ["br", "gz"];

/// The files of a folder.
pub(super) fn of(dir: &Path) -> Router {
    let served = ServeDir::new(dir).precompressed_br().precompressed_gzip();
    let root = Arc::new(dir.to_owned());
    Router::new()
        .fallback_service(served)
        .layer(middleware::from_fn(caching))
        .layer(middleware::from_fn_with_state(root, inside_only))
}

async fn inside_only(State(root): State<Arc<PathBuf>>, request: Request, next: Next) -> Response {
    match blocking(|| leads_outside(&root, request.uri().path())) {
        true => StatusCode::NOT_FOUND.into_response(),
        false => next.run(request).await,
    }
}

/// Whether a path names a file elsewhere, through a link; compressed ones are looked at as well. No file that is served has a name
/// that must be escaped.
fn leads_outside(root: &Path, path: &str) -> bool {
    if path.contains('%') {
        return true;
    }
    let Ok(root) = root.canonicalize() else { return true };
    let named = root.join(path.trim_start_matches('/'));
    let all = [named.join("index.html"), named];
    let compressed = all
        .iter()
        .flat_map(|path| ENCODINGS.map(|encoding| with_ending(path, encoding)));
    // What is not there is not served either.
    compressed
        .chain(all.iter().cloned())
        .filter_map(|path| path.canonicalize().ok())
        .any(|found| !found.starts_with(&root))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Says how long an answer may be kept and what it depends on, and answers whoever has it already with nothing but that.
async fn caching(mut request: Request, next: Next) -> Response {
    let is_hashed = request.uri().path().starts_with(HASHED);
    let known = request.headers_mut().remove(header::IF_NONE_MATCH);
    if known.is_some() {
        // A tag tells more than a time does: a file that was put back has an older one.
        request.headers_mut().remove(header::IF_MODIFIED_SINCE);
    }
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_success() && status != StatusCode::NOT_MODIFIED {
        return response;
    }
    let tag = tag_of(response.headers());
    let is_known = known.is_some_and(|known| tag.as_ref().is_some_and(|tag| names(&known, tag)));
    if status == StatusCode::OK && is_known {
        response = StatusCode::NOT_MODIFIED.into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag);
    }
    if is_hashed {
        headers.insert(header::CACHE_CONTROL, FOR_EVER);
    }
    response
}

/// Names a file as it is sent: when it was last written, how long it is, and how it is encoded. Weak, since a file may be written twice in a
/// second. None of an answer that brings only a part.
fn tag_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.contains_key(header::CONTENT_RANGE) {
        return None;
    }
    let (written, length) = (text(header::LAST_MODIFIED)?, text(header::CONTENT_LENGTH)?);
    let encoding = text(header::CONTENT_ENCODING).unwrap_or("identity");
    let written: String = written.chars().filter(char::is_ascii_alphanumeric).collect();
    HeaderValue::from_str(&format!("W/\"{written}-{length}-{encoding}\"")).ok()
}

/// Whether the list of tags in an `If-None-Match` has this one.
fn names(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else {
        return false;
    };
    known.split(',').map(str::trim).any(|one| one == "*" || one == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{to_bytes, Body};
    use std::fs;
    use tower::ServiceExt;

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (root, secret) = (dir.path().join("web"), dir.path().join("secret"));
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir_all(&secret).unwrap();
        fs::write(secret.join("index.html"), "key").unwrap();
        fs::write(root.join("main.js"), "").unwrap();
        fs::write(root.join("other.js"), "").unwrap();
        let link = |from: &Path, to: &str| std::os::unix::fs::symlink(from, root.join(to)).unwrap();
        link(&secret.join("index.html"), "key");
        link(&secret, "folder");
        link(&secret.join("index.html"), "sub/index.html");
        link(&root.join("main.js"), "again.js");
        link(&secret.join("index.html"), "other.js.br");
        for path in [
            "/key",
            "/folder",
            "/folder/",
            "/folder/index.html",
            "/sub/",
            "/sub",
            "/%6bey",
            "/../secret/index.html",
            "/other.js",
        ] {
            assert!(leads_outside(&root, path), "{path}");
        }
        for path in ["/", "/main.js", "/again.js", "/nowhere", "/client/index.js"] {
            assert!(!leads_outside(&root, path), "{path}");
        }
    }

    /// A page of three files, of which one has a digest in its name and lies there compressed.
    fn page() -> (tempfile::TempDir, Router) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("assets")).unwrap();
        for (name, content) in [
            ("index.html", "page"),
            ("index.html.gz", "zipped page"),
            ("assets/main-1A2B.js", "script"),
            ("assets/main-1A2B.js.br", "brotli"),
            ("assets/main-1A2B.js.gz", "zipped"),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let router = of(dir.path());
        (dir, router)
    }

    /// Status, headers and body of the answer.
    async fn ask(page: &Router, path: &str, headers: &[(header::HeaderName, &str)]) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = page
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, 1000).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_file_is_sent_in_the_best_encoding_that_the_browser_takes() {
        let (_dir, page) = page();
        for (accepted, encoding, content) in [
            ("gzip, deflate, br", Some("br"), "brotli"),
            ("gzip", Some("gzip"), "zipped"),
            ("br;q=0, gzip", Some("gzip"), "zipped"),
            ("identity", None, "script"),
            ("zstd", None, "script"),
        ] {
            let asked = [(header::ACCEPT_ENCODING, accepted)];
            let (status, headers, body) = ask(&page, "/assets/main-1A2B.js", &asked).await;
            let said = headers
                .get(header::CONTENT_ENCODING)
                .map(|value| value.to_str().unwrap());
            assert_eq!(
                (status, said, body.as_str()),
                (StatusCode::OK, encoding, content),
                "{accepted}"
            );
            assert_eq!(headers[header::CONTENT_TYPE], "text/javascript", "{accepted}");
            assert_eq!(headers[header::VARY], "accept-encoding", "{accepted}");
        }
        let (_, headers, body) = ask(&page, "/", &[(header::ACCEPT_ENCODING, "br, gzip")]).await;
        assert_eq!(
            (headers[header::CONTENT_TYPE].as_bytes(), body.as_str()),
            (&b"text/html"[..], "zipped page")
        );
    }

    #[tokio::test]
    async fn only_what_is_named_after_its_content_is_kept_without_asking() {
        let (_dir, page) = page();
        let caching = |headers: &HeaderMap| headers.get(header::CACHE_CONTROL).cloned();
        let (_, headers, _) = ask(&page, "/assets/main-1A2B.js", &[]).await;
        assert_eq!(caching(&headers), Some(FOR_EVER));
        for (path, expected) in [("/", StatusCode::OK), ("/assets/other.js", StatusCode::NOT_FOUND)] {
            let (status, headers, _) = ask(&page, path, &[]).await;
            assert_eq!((status, caching(&headers)), (expected, None), "{path}");
        }
    }

    #[tokio::test]
    async fn who_has_a_file_as_it_is_now_gets_no_content_again() {
        let (dir, page) = page();
        let zipped = (header::ACCEPT_ENCODING, "gzip");
        let (_, first, _) = ask(&page, "/", &[zipped.clone()]).await;
        let tag = first[header::ETAG].to_str().unwrap();
        let known = (header::IF_NONE_MATCH, tag);
        let (status, headers, body) = ask(&page, "/", &[zipped.clone(), known.clone()]).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(
            (&headers[header::ETAG], &headers[header::VARY]),
            (&first[header::ETAG], &first[header::VARY])
        );
        let (status, _, body) = ask(&page, "/", &[known.clone()]).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::OK, "page"),
            "another encoding is another answer"
        );

        // Put back from a copy: older than what the browser has, and other.
        fs::write(dir.path().join("index.html.gz"), "the page of last year").unwrap();
        let file = fs::File::options()
            .write(true)
            .open(dir.path().join("index.html.gz"))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let since = (
            header::IF_MODIFIED_SINCE,
            first[header::LAST_MODIFIED].to_str().unwrap(),
        );
        let (status, _, body) = ask(&page, "/", &[zipped, known, since]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "the page of last year"));
    }
}

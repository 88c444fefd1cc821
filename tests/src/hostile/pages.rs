//! What pages of other sites, other users of the machine and confused proxies send.

use super::attacks::{Attack, Over, Target};
use super::http::Http;

fn over(outcome: Result<String, String>) -> Box<dyn Attack> {
    Box::new(Over(outcome))
}

const QUESTION: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"chain.head","params":{}}"#;

/// Says each, and finds none of it obeyed.
fn all_refused(said: Vec<(String, (u16, String))>) -> Result<String, String> {
    let taken: Vec<&(String, (u16, String))> = said
        .iter()
        .filter(|(_, (status, _))| (200..300).contains(status))
        .collect();
    match taken.is_empty() {
        true => Ok(format!("{} refused", said.len())),
        false => Err(format!("it obeyed: {taken:?}")),
    }
}

/// Requests as a page of another site makes them, or of a name that was bent to this machine.
pub(super) fn foreign(target: &Target) -> Box<dyn Attack> {
    let [_, _, chain, web] = target.ports;
    let headers: [(&str, &str); 6] = [
        ("Origin", "https://example.com"),
        ("Origin", "null"),
        ("Host", "example.com"),
        ("Host", "chain.example.com:4403"),
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let mut said = Vec::new();
    for header in headers {
        said.push((
            format!("{header:?} to the chain"),
            Http::to(chain).post("/rpc", &[header], QUESTION),
        ));
        said.push((
            format!("{header:?} to the miner"),
            Http::to(web).post("/api/v1/miner/mining/stop", &[header], b""),
        ));
    }
    for origin in ["https://example.com", "http://example.com:4400"] {
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{chain}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let (status, text) = Http::to(chain).say(upgrade.as_bytes());
        // An upgrade is what it must not get.
        let status = if status == 101 { 200 } else { status };
        said.push((format!("{origin} to the chain's WebSocket"), (status, text)));
    }
    over(all_refused(said))
}

/// Orders as another user of the machine gives them.
pub(super) fn orders(target: &Target) -> Box<dyn Attack> {
    let web = target.ports[3];
    let paths = [
        "/api/v1/miner/mining/stop",
        "/api/v1/miner/mining/once",
        "/api/v1/miner/seal-now",
        "/api/v1/miner/settings",
    ];
    let long = "x".repeat(4000);
    let tokens = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0",
        "Basic YTpi",
        "Bearer ../../operator.token",
        long.as_str(),
    ];
    let mut said = Vec::new();
    for path in paths {
        for token in tokens {
            let body = br#"{"price":"0.5"}"#;
            said.push((
                format!("{path} {token:.20}"),
                Http::to(web).post(path, &[("Authorization", token)], body),
            ));
        }
    }
    for path in [
        "/../operator.token",
        "/%2e%2e/operator.token",
        "/..%2foperator.token",
        "//etc/passwd",
        "/client/../../operator.token",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        said.push((path.to_owned(), Http::to(web).say(request.as_bytes())));
    }
    over(all_refused(said))
}

/// A length and chunks at once, two lengths, and a length that is none: what a proxy reads as one request and the daemon as two.
pub(super) fn two_lengths(target: &Target) -> Box<dyn Attack> {
    let [_, _, chain, web] = target.ports;
    let lengths = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked, identity",
    ];
    let mut said = Vec::new();
    for port in [chain, web] {
        for length in lengths {
            let request = format!(
                "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{length}\r\n\r\n0\r\n\r\n"
            );
            said.push((format!("{length:?}"), Http::to(port).say(request.as_bytes())));
        }
    }
    over(all_refused(said))
}

//! What watches a running daemon: probes, metrics, the API's document, events, the log, alerts.

use crate::{daemon, text};
use sealdrop_tests::Daemon;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// How long an event or an alert may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Asks the daemon's web listener; `head` is the request's line, `token` what it is sent with.
fn ask(daemon: &Daemon, head: &str, token: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.ports()[3])).expect("it listens");
    stream.set_read_timeout(Some(SOON)).expect("a time");
    let bearer = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let rest = "Host: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream
        .write_all(format!("{head} HTTP/1.1\r\n{bearer}{rest}").as_bytes())
        .expect("it reads");
    stream
}

/// The answer's status and body.
fn answer(daemon: &Daemon, head: &str, token: Option<&str>) -> (u16, String) {
    let mut whole = String::new();
    ask(daemon, head, token).read_to_string(&mut whole).expect("it answers");
    let (head, body) = whole
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {whole}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
}

fn token(daemon: &Daemon, scope: &str) -> String {
    daemon.operate(&["token", "show", "--scope", scope]).lines().remove(0)
}

#[test]
fn monitors_ask_without_a_token_whether_the_daemon_lives_is_ready_and_is_well() {
    let daemon = daemon();
    let probe = |path: &str| answer(&daemon, &format!("GET {path}"), None);
    assert_eq!(probe("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(probe("/readyz"), (200, "ok\n".to_owned()));
    let (status, lines) = probe("/healthz?verbose");
    for service in ["sealing", "proving", "self checks", "alerts", "web"] {
        assert!(lines.contains(&format!("[+]{service} ok")), "{status}: {lines}");
    }
}

/// The document is kept in shared/docs; what it says of tokens and answers is so.
#[test]
fn every_operation_of_the_document_is_there_and_needs_its_token() {
    let daemon = daemon();
    let (status, body) = answer(&daemon, "GET /api/v1/openapi.json", None);
    let document: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, 200);
    let (read, operate) = (token(&daemon, "read"), token(&daemon, "operate"));
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let path = path.replace("{cid}", crate::NOBODYS).replace("{id}", "999999");
            let head = format!("{} {path}", method.to_uppercase());
            assert_eq!(answer(&daemon, &head, None).0, 401, "{head}");
            assert_eq!(answer(&daemon, &head, Some("wrong")).0, 401, "{head}");
            count += 1;
            let scope = operation["security"][0]["token"][0].as_str().expect("a scope");
            if scope == "read" {
                let (status, body) = answer(&daemon, &head, Some(&read));
                assert!(matches!(status, 200 | 404), "{head}: {status} {body}");
                serde_json::from_str::<Value>(&body).unwrap_or_else(|error| panic!("{head}: {error}: {body}"));
            } else {
                assert_eq!(answer(&daemon, &head, Some(&read)).0, 403, "{head}");
            }
            if scope == "admin" {
                assert_eq!(answer(&daemon, &head, Some(&operate)).0, 403, "{head}");
            }
        }
    }
    assert!(count > 25, "{count}");
    let list = settings_of_a_list(&daemon);
    assert_eq!(list, 422);
    for (head, asked) in [
        ("GET /api/v1/miner/sectors/none/explain", "openapi.json"),
        ("GET /api/v1/miner/log?level=loud", "is no level"),
        ("GET /api/v1/miner/deals?limit=many", "openapi.json"),
    ] {
        let (status, body) = answer(&daemon, head, Some(&read));
        let refusal: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{head}: {error}: {body}"));
        assert!(
            status == 400 && text(&refusal, "error").contains(asked),
            "{head}: {status} {body}"
        );
    }
}

/// What settings as a list come to: they have no names then.
fn settings_of_a_list(daemon: &Daemon) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.ports()[3])).expect("it listens");
    let head = format!(
        "POST /api/v1/miner/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n",
        token(daemon, "admin")
    );
    let body = "[null, null]";
    let rest = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all((head + &rest).as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer}"))
}

#[test]
fn prometheus_reads_metrics_with_a_token() {
    let daemon = daemon();
    assert_eq!(answer(&daemon, "GET /metrics", None).0, 401);
    let (status, metrics) = answer(&daemon, "GET /metrics", Some(&token(&daemon, "read")));
    assert!(status == 200 && metrics.ends_with("# EOF\n"), "{status}: {metrics}");
    for line in [
        "sealdrop_service_up{service=\"proving\"} 1",
        "sealdrop_sectors{phase=\"proving\"} ",
        "sealdrop_disk_free_bytes ",
    ] {
        assert!(metrics.contains(line), "{line} is missing: {metrics}");
    }
}

#[test]
fn a_page_is_told_what_changes() {
    let daemon = daemon();
    let stream = ask(&daemon, "GET /api/v1/miner/events", Some(&token(&daemon, "read")));
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut next = || {
        lines
            .by_ref()
            .find_map(|line| line.strip_prefix("data: ").map(str::to_owned))
            .expect("an event")
    };
    // Everything at first, then what changes: blocks come.
    let first = next();
    assert!(
        ["health", "deals", "sectors", "jobs", "head", "settings"]
            .iter()
            .all(|topic| first.contains(topic)),
        "{first}"
    );
    assert!((0..20).any(|_| next().contains("head")));
}

#[test]
fn the_log_is_shown_and_its_levels_change_while_the_daemon_runs() {
    let daemon = Daemon::start(&["--auto-seal", "24h", "--log-format", "json"]);
    let shown = daemon.operate_json(&["mining", "log"]).expect("the daemon answers");
    assert!(!shown["lines"].as_array().expect("lines").is_empty(), "{shown}");
    let written = daemon.log();
    let line = written
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_else(|| panic!("no JSON: {written}"));
    let line: Value = serde_json::from_str(line).expect("one object a line");
    assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
    daemon
        .operate(&["mining", "log", "--filter", "sealdrop=loud"])
        .failed_saying_once(&["says no levels of a log", "sealdrop=debug"]);
    let changed = daemon
        .operate_json(&["mining", "log", "--filter", "error"])
        .expect("the daemon answers");
    assert_eq!(text(&changed, "filter"), "error");
    daemon.operate(&["mining", "stop"]).succeeded();
    let quiet = daemon.operate_json(&["mining", "log"]).expect("the daemon answers");
    assert!(
        !quiet["lines"].to_string().contains("whether new deals are taken"),
        "{quiet}"
    );
    daemon.operate(&["mining", "log", "--filter", "info"]).succeeded();
    daemon.operate(&["mining", "start"]).succeeded();
    let told = daemon.operate(&["mining", "log", "--lines", "5"]).lines().join("\n");
    assert!(told.contains("whether new deals are taken"), "{told}");
}

#[test]
fn an_alert_reaches_the_webhook_and_the_webhook_stays_secret() {
    let daemon_without = daemon();
    daemon_without
        .operate(&["mining", "test-alert"])
        .failed_saying_once(&["there is no webhook"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let url = format!("http://127.0.0.1:{port}/hooks/SECRET");
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the daemon comes");
        let mut reader = BufReader::new(stream.try_clone().expect("the same stream"));
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).is_ok_and(|_| line.trim() != "") {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it reads");
        serde_json::from_slice::<Value>(&body).expect("JSON")
    });
    let daemon = Daemon::start(&["--auto-seal", "24h", "--alerts-webhook", &url]);
    let status = daemon.operate_json(&["mining", "test-alert"]).expect("it is taken");
    assert_eq!(text(&status, "webhook"), format!("http://127.0.0.1:{port}/…"));
    let message = taken.join().expect("it was taken");
    assert!(
        text(&message, "text").contains("a test of its alerts") && message["test"] == true,
        "{message}"
    );
    let read = token(&daemon, "read");
    for path in ["alerts", "configuration", "status", "log"] {
        let (status, body) = answer(&daemon, &format!("GET /api/v1/miner/{path}"), Some(&read));
        assert!(status == 200 && !body.contains("SECRET"), "{path}: {body}");
    }
    assert!(!daemon.log().contains("SECRET"));
}

//! An HTTP client that says whatever it is told to, over a connection that stays open.

use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MOST: usize = 1 << 20;

/// See the module.
pub(super) struct Http {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

impl Http {
    pub fn to(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// The status and the body of the answer to these very bytes; 0 where there is none.
    pub fn say(&mut self, request: &[u8]) -> (u16, String) {
        let answer = self.exchange(request);
        if answer.is_none() {
            self.stream = None;
        }
        answer.unwrap_or_default()
    }

    fn exchange(&mut self, request: &[u8]) -> Option<(u16, String)> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut()?;
        stream.get_mut().write_all(request).ok()?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; MOST.min(length)];
        stream.read_exact(&mut body).ok()?;
        if head.to_lowercase().contains("connection: close") {
            self.stream = None;
        }
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// POSTs a body with these headers.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut request = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        let usual = [("Host", "127.0.0.1"), ("Content-Type", "application/json")];
        let is_named = |name: &str| headers.iter().any(|(other, _)| *other == name);
        for (name, value) in usual.iter().filter(|(name, _)| !is_named(name)).chain(headers) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend(body);
        self.say(&bytes)
    }

    /// Calls a method of the chain: its result, or the number and text of its error.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, (i64, String)> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let (status, text) = self.post("/rpc", &[], body.as_bytes());
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => {
                let code = answer["error"]["code"].as_i64().unwrap_or_else(|| i64::from(status));
                Err((code, answer["error"]["message"].as_str().unwrap_or_default().to_owned()))
            }
        }
    }
}

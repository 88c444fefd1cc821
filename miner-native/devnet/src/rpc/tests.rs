//! The RPC as its askers see it.

use super::{code, ErrorObject, MAX_BODY};
use crate::node::Refusal;
use crate::testing::config;
use crate::tests::{key, pay, produce};
use crate::{Devnet, DevnetConfig};
use serde_json::{json, Value};
use shared::chain::keys::cid_of_bytes;
use shared::chain::{calls, ChannelId, Epoch, Invalid, SignedMessage};
use shared::wire;
use tempfile::TempDir;

/// A chain with its RPC running; the chain stops when this is dropped.
pub(super) struct Served {
    _dir: TempDir,
    pub devnet: Devnet,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.devnet.shutdown();
    }
}

pub(super) fn serve() -> Served {
    serve_with(|_| {})
}

fn serve_with(change: impl FnOnce(&mut DevnetConfig)) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    change(&mut config);
    let devnet = Devnet::open(config).unwrap();
    tokio::spawn({
        let devnet = devnet.clone();
        async move { devnet.run().await }
    });
    Served { _dir: dir, devnet }
}

impl Served {
    async fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        reqwest::Client::new()
            .post(self.devnet.url())
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
    }

    pub async fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params });
        let answer: Value = self.post(request.to_string()).await.json().await.unwrap();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!("a")));
        answer
    }

    async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.call(method, params).await;
        let error = &answer["error"];
        (
            error["code"].as_i64().unwrap(),
            error["message"].as_str().unwrap().to_owned(),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_json_rpc_are_told_so() {
    let served = serve();
    let cases = [
        ("{", -32700),
        ("[]", -32600),
        (r#"{"id":1,"method":"chain.head"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"chain.head"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"chain.head","params":[1]}"#, -32602),
    ];
    for (body, code) in cases {
        let answer: Value = served.post(body).await.json().await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    let long = served.post(vec![b' '; MAX_BODY + 1]).await;
    assert_eq!(long.status(), 413);
    let answer: Value = long.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32600);
    let notification = served.post(r#"{"jsonrpc":"2.0","method":"chain.head"}"#).await;
    assert_eq!(notification.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_methods_and_malformed_parameters_are_refused() {
    let served = serve();
    let address = key(1).address();
    assert_eq!(served.error("chain.tail", json!({})).await.0, -32601);
    for (method, params) in [
        ("chain.head", json!({ "height": 1 })),
        ("chain.actor", json!({})),
        ("chain.actor", json!({ "address": "t1nonsense" })),
        ("chain.actor", json!({ "address": address, "adress": address })),
        ("chain.channel", json!({ "payer": address, "id": -1 })),
        ("chain.beacon", json!({ "height": "1" })),
        ("chain.push", json!({ "message": "zz" })),
        ("chain.push", json!({ "message": "a0" })),
        ("chain.receipt", json!({ "message": "bafy" })),
        (
            "chain.query",
            json!({ "to": "t02", "method": "getTotalStorage", "params": ["0"] }),
        ),
        ("peers.announce", json!({ "record": 7 })),
    ] {
        let (code, message) = served.error(method, params.clone()).await;
        assert_eq!(code, -32602, "{method} {params}: {message}");
    }
    let long = served
        .error("chain.actor", json!({ "address": 1, "x".repeat(10_000): 1 }))
        .await;
    assert!(long.1.len() < 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_chain_have_codes_of_their_own() {
    let served = serve();
    let unsigned = SignedMessage {
        signature: key(2).sign(b"x"),
        ..pay(&key(1), 0, 0)
    };
    let broke = hex::encode(wire::encode(&unsigned));
    assert_eq!(served.error("chain.push", json!({ "message": broke })).await.0, -32001);
    assert_eq!(
        served.error("devnet.faucet", json!({ "address": "t099" })).await.0,
        -32003
    );
    assert_eq!(served.error("chain.beacon", json!({ "height": 1 })).await.0, -32004);
    let answer = served
        .call(
            "chain.query",
            json!({ "to": "t02", "method": "nonsense", "params": [] }),
        )
        .await;
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["data"]["exitCode"]),
        (&json!(-32005), &json!(1))
    );
    assert_eq!(
        served.error("peers.announce", json!({ "record": "00" })).await.0,
        -32006
    );
    assert_eq!(
        served.error("peers.find", json!({ "peerId": "nobody" })).await.0,
        -32006
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn views_have_the_documented_shape() {
    let served = serve();
    let network = served.call("chain.network", Value::Null).await["result"].clone();
    assert_eq!(network["network"], "test");
    assert_eq!(
        (&network["height"], &network["blockTimeMs"], &network["verifyingKeys"]),
        (&json!(0), &json!(0), &json!("keys"))
    );
    let query = json!({ "to": "t00", "method": "getNetwork" });
    assert_eq!(
        served.call("chain.query", query).await["result"]["returns"],
        json!([hex::encode("test")])
    );
    let grant = served
        .call("devnet.faucet", json!({ "address": key(1).address() }))
        .await["result"]
        .clone();
    assert_eq!(grant["amount"], "1000");
    let by_id = json!({ "message": grant["message"] });
    assert_eq!(served.call("chain.receipt", by_id.clone()).await["result"], Value::Null);
    let waiting = served.call("chain.message", by_id.clone()).await["result"].clone();
    assert_eq!((&waiting["height"], &waiting["value"]), (&Value::Null, &json!("1000")));
    produce(&served.devnet);
    assert_eq!(
        served.call("chain.receipt", by_id.clone()).await["result"]["exitCode"],
        0
    );
    assert_eq!(served.call("chain.message", by_id).await["result"]["height"], 1);
    let unknown = json!({ "message": cid_of_bytes(b"nothing").to_string() });
    assert_eq!(served.call("chain.message", unknown).await["result"], Value::Null);
    assert_eq!(
        served.call("chain.actor", json!({ "address": key(9).address() })).await["result"],
        Value::Null
    );
}

/// What the chain answers to bytes that no client would send.
async fn raw(served: &Served, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(served.devnet.addresses[0])
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Finding A9: any page could have the chain's faucet give, with a body of text/plain that needs no leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let served = serve();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"chain.head"}"#;
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let request = reqwest::Client::new().post(served.devnet.url()).body(body);
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 415, "{kind:?}");
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("application/json"));
    }
    let request = reqwest::Client::new().post(served.devnet.url()).body(body);
    let request = request.header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_this_machine_may_ask_and_those_of_other_sites_may_not() {
    let served = serve();
    let asked = |origin: &'static str| {
        let request = reqwest::Client::new()
            .post(served.devnet.url())
            .header("origin", origin);
        request.header("content-type", "application/json").body("{}").send()
    };
    for origin in ["http://127.0.0.1:4400", "http://localhost:5173"] {
        let answer = asked(origin).await.unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                &answer.headers()["access-control-allow-origin"]
            ),
            (200, &origin.parse().unwrap())
        );
    }
    for origin in ["http://page.example", "null", "http://127.0.0.1.page.example"] {
        let answer = asked(origin).await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
        assert!(
            !answer.headers().contains_key("access-control-allow-origin"),
            "{origin}"
        );
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["error"]["code"], code::FORBIDDEN);
    }
    let may = reqwest::Client::new()
        .request(reqwest::Method::OPTIONS, served.devnet.url())
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let page = may
        .try_clone()
        .unwrap()
        .header("origin", "http://127.0.0.1:4400")
        .send()
        .await
        .unwrap();
    assert_eq!(page.headers()["access-control-allow-headers"], "content-type");
    let other = may.header("origin", "http://page.example").send().await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
}

async fn asked_as(served: &Served, host: &str, origin: &str) -> reqwest::Response {
    let request = reqwest::Client::new().post(served.devnet.url());
    let request = request.header("host", host).header("origin", origin);
    let request = request.header("content-type", "application/json");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"chain.head"}"#;
    request.body(body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_every_site_may_ask_a_public_chain_by_whatever_name() {
    let served = serve_with(|config| config.is_public = true);
    for origin in ["https://page.example", "null"] {
        let answer = asked_as(&served, "chain.example:443", origin).await;
        assert_eq!(answer.status(), 200, "{origin}");
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["result"]["height"], 0);
    }
    let may = reqwest::Client::new()
        .request(reqwest::Method::OPTIONS, served.devnet.url())
        .header("origin", "https://page.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .header("access-control-request-private-network", "true");
    let may = may.send().await.unwrap();
    assert_eq!(may.headers()["access-control-allow-private-network"], "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_asked_by_its_own_names_and_by_pages_of_these() {
    let served = serve_with(|config| config.hosts = vec!["chain.example".into()]);
    for (host, origin, status) in [
        ("chain.example:4403", "http://chain.example:4400", 200),
        ("chain.example", "https://page.example", 403),
        ("page.example", "https://page.example", 403),
    ] {
        assert_eq!(
            asked_as(&served, host, origin).await.status(),
            status,
            "{host} {origin}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_made_to_point_here_is_not_answered_on_any_path() {
    let served = serve();
    for path in ["rpc", "ws", "nowhere"] {
        let url = format!("http://{}/{path}", served.devnet.addresses[0]);
        let answer = reqwest::Client::new()
            .get(url)
            .header("host", "page.example")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    let nameless = raw(&served, "POST /rpc HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}").await;
    assert!(nameless.contains(" 403 "), "{nameless}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_told_in_two_ways_is_refused_whichever_comes_first() {
    let served = serve();
    let head = "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        let answer = raw(&served, &format!("{head}{lengths}\r\n2\r\n{{}}\r\n0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 411"), "{lengths}: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(
            answer.matches("HTTP/1.1").count(),
            1,
            "nothing of the rest is read as a request"
        );
    }
}

#[test]
fn every_answer_about_the_past_has_a_code_of_its_own() {
    let (asked, oldest, head) = (Epoch(1), Epoch(5), Epoch(9));
    let message = cid_of_bytes(b"old");
    let told = |refusal: Refusal| {
        let told = json!(ErrorObject::from(refusal));
        (told["code"].clone(), told["data"]["height"].clone())
    };
    let forgotten = Refusal::Forgotten { message, height: asked };
    assert_eq!(told(forgotten), (json!(code::PRUNED), json!(1)));
    assert_eq!(told(Refusal::Past { asked, oldest, head }).0, code::PAST);
    assert_eq!(told(Refusal::BlockForgotten { asked }).0, code::PAST);
    assert_eq!(told(Refusal::Future { asked, head }).0, code::FUTURE);
    let used = Invalid::NonceUsed { nonce: 1, next: 2 };
    assert_eq!(told(used.into()).0, code::NONCE_USED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_height_that_is_no_number_of_a_block_is_refused() {
    let served = serve();
    for height in [json!(-1), json!(1.5), json!("1"), json!(1e30)] {
        for method in ["chain.beacon", "chain.block"] {
            let (code, message) = served.error(method, json!({ "height": height })).await;
            assert_eq!(code, -32602, "{method} {height}: {message}");
        }
    }
    let query = json!({ "to": "t00", "method": "getNetwork", "height": 1 });
    assert_eq!(served.error("chain.query", query).await.0, -32004);
    assert_eq!(served.error("chain.block", json!({ "height": 1 })).await.0, -32004);
    assert_eq!(
        served.error("chain.blocks", json!({ "from": 2, "to": 1 })).await.0,
        -32602
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_messages_the_pool_and_the_supply_have_the_documented_shape() {
    let served = serve();
    let address = key(1).address();
    served.call("devnet.faucet", json!({ "address": address })).await;
    let pool = served.call("chain.pool", json!({})).await["result"].clone();
    assert_eq!((&pool["count"], &pool["messages"][0]["since"]), (&json!(1), &json!(0)));
    assert_eq!(pool["messages"][0]["to"], address.to_string());
    let of_another = served.call("chain.pool", json!({ "address": address })).await["result"].clone();
    assert_eq!((&of_another["count"], &of_another["messages"]), (&json!(1), &json!([])));
    produce(&served.devnet);
    let block = served.call("chain.block", json!({ "height": 1 })).await["result"].clone();
    let listed = served.call("chain.messages", json!({ "address": address })).await["result"].clone();
    assert_eq!(block["messages"], json!([listed[0]["message"]]));
    assert_eq!((&listed[0]["height"], &listed[0]["exitCode"]), (&json!(1), &json!(0)));
    let blocks = served.call("chain.blocks", json!({ "from": 0, "to": 9 })).await["result"].clone();
    assert_eq!((&blocks[1], &blocks[2]), (&block, &Value::Null));
    let supply = served.call("chain.supply", json!({})).await["result"].clone();
    assert_eq!(
        (&supply["total"], &supply["accounts"]),
        (&json!("2000000000"), &json!("1000"))
    );
    assert_eq!(
        served.call("chain.nonce", json!({ "address": address })).await["result"],
        0
    );
    let preview = json!({ "from": address, "to": "t02", "method": "getTotalStorage" });
    let preview = served.call("chain.preview", preview).await["result"].clone();
    assert_eq!((&preview["gas"], &preview["exitCode"]), (&json!(100), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_come_with_their_meaning_to_that_kind_of_actor() {
    let served = serve();
    served
        .call("devnet.faucet", json!({ "address": key(1).address() }))
        .await;
    produce(&served.devnet);
    for (to, code, text) in [
        ("t03", 38, json!("payment channel is unknown")),
        ("t02", 34, json!("unknown miner")),
        ("t02", 77, json!("Error executing command. Consult the logs.")),
        ("t099", 3, json!("not enough balance")),
        ("t03", 0, Value::Null),
    ] {
        let answer = served.call("chain.exitText", json!({ "to": to, "code": code })).await;
        assert_eq!(answer["result"]["text"], text, "{to} {code}");
    }
    let call = calls::cancel(ChannelId(7)).message(&key(1).address(), 0).sign(&key(1));
    let message = json!({ "message": hex::encode(wire::encode(&call)) });
    served.call("chain.push", message).await;
    produce(&served.devnet);
    let by_id = json!({ "message": call.cid().to_string() });
    let view = served.call("chain.message", by_id).await["result"].clone();
    assert_eq!(
        (&view["receipt"]["exitCode"], &view["exitText"]),
        (&json!(38), &json!("payment channel is unknown"))
    );
    let listed = served
        .call("chain.messages", json!({ "address": key(1).address() }))
        .await["result"]
        .clone();
    assert_eq!(
        (&listed[0]["exitText"], &listed[1]["exitText"]),
        (&view["exitText"], &Value::Null)
    );
    let preview = json!({ "from": key(1).address(), "to": "t03", "value": "5000", "method": "extend" });
    let preview = served.call("chain.preview", preview).await["result"].clone();
    assert!(preview["exitCode"] != 0, "{preview}");
}

/// Finding A11: anybody may have proofs verified by previews.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_waits_for_its_turn_without_keeping_others_from_theirs() {
    use super::{call, Server, Serving};
    use futures::FutureExt;
    let (_dir, devnet) = crate::tests::chain();
    let places = |count| std::sync::Arc::new(tokio::sync::Semaphore::new(count));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let server = || {
        let (block_time, access) = Default::default();
        Server::new(
            devnet.node.clone(),
            Serving {
                block_time,
                access,
                tls: None,
            },
            stopped.clone(),
        )
    };
    let usual = server();
    let server = Server {
        at_work: places(1),
        costly: places(0),
        ..server()
    };
    assert_eq!(
        usual.costly.available_permits(),
        2,
        "blocks are made on the same processors"
    );
    let here = crate::tests::HERE;
    let params = json!({ "from": key(1).address(), "to": "t02", "method": "getTotalStorage" });
    let preview = || call(&server, here, "chain.preview".into(), params.clone());
    let waiting = preview();
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none(), "no preview may run");
    let head = call(&server, here, "chain.head".into(), json!({})).await;
    assert!(head.is_ok(), "it holds no place of others: {head:?}");
    server.costly.add_permits(1);
    assert_eq!(waiting.await.expect("it runs now")["exitCode"], 0);
    assert_eq!(preview().await.expect("the place is free again")["exitCode"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_genesis_id_checks_what_the_chain_proves() {
    use shared::chain::light::{Anchor, MessageProof, SignedHeader, StateKey, StateProof};
    let served = serve();
    served.devnet.node.grant(&key(1).address(), crate::tests::HERE).unwrap();
    produce(&served.devnet);
    let bytes = |answer: &Value| hex::decode(answer.as_str().expect("it is text")).expect("it is hexadecimal");
    let record = served.call("chain.genesis", json!({})).await["result"].clone();
    let genesis = served.devnet.genesis().parse().unwrap();
    let anchor = Anchor::open(&genesis, &bytes(&record)).expect("it is this network's");
    let header = served.call("chain.header", json!({})).await["result"].clone();
    let header: SignedHeader = wire::decode(&bytes(&header)).expect("it is canonical");
    header.check(&anchor).expect("the authority signed it");
    let headers = served.call("chain.headers", json!({ "from": 0, "to": 5 })).await["result"].clone();
    assert_eq!(headers.as_array().map(Vec::len), Some(2));

    let sent = served
        .call("chain.messages", json!({ "address": key(1).address() }))
        .await;
    let id = sent["result"][0]["message"].clone();
    let proof = served.call("chain.messageProof", json!({ "message": id })).await["result"].clone();
    let proof: MessageProof = wire::decode(&bytes(&proof)).expect("it is canonical");
    assert_eq!(proof.check(&anchor).expect("it holds").id().to_string(), id);
    let unknown = json!({ "message": cid_of_bytes(b"unknown").to_string() });
    assert_eq!(served.call("chain.messageProof", unknown).await["result"], Value::Null);

    let account = hex::encode(StateKey::Account(key(1).address()).to_bytes());
    for height in [Value::Null, json!(1), json!(0)] {
        let asked = json!({ "keys": [account], "height": height });
        let proof = served.call("chain.stateProof", asked).await["result"].clone();
        let proof: StateProof = wire::decode(&bytes(&proof)).expect("it is canonical");
        let (_, entries) = proof.check(&anchor).expect("it holds");
        assert_eq!(entries[0].1.is_some(), height != json!(0), "after block {height}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_bounded_and_heights_to_come_are_refused() {
    let served = serve();
    let key = "74";
    let proof = |count: usize, height: Value| json!({ "keys": vec![key; count], "height": height });
    for count in [0, 65] {
        let (code, reason) = served.error("chain.stateProof", proof(count, Value::Null)).await;
        assert_eq!(code, code::PARAMS, "{reason}");
    }
    assert!(served.call("chain.stateProof", proof(64, Value::Null)).await["result"].is_string());
    let malformed = served.error("chain.stateProof", json!({ "keys": ["00"] })).await;
    assert_eq!(malformed.0, code::PARAMS, "{}", malformed.1);
    assert_eq!(
        served.error("chain.stateProof", proof(1, json!(9))).await.0,
        code::FUTURE
    );
    assert_eq!(
        served.error("chain.header", json!({ "height": 9 })).await.0,
        code::FUTURE
    );
}

#[test]
fn proofs_of_past_states_and_previews_are_costly() {
    assert!(super::is_costly("chain.preview", &json!({})));
    assert!(super::is_costly(
        "chain.stateProof",
        &json!({ "keys": [], "height": 3 })
    ));
    assert!(!super::is_costly(
        "chain.stateProof",
        &json!({ "keys": [], "height": null })
    ));
    assert!(!super::is_costly("chain.stateProof", &json!({ "keys": [] })));
    assert!(!super::is_costly("chain.query", &json!({ "height": 3 })));
}

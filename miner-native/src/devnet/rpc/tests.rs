//! The RPC as its askers see it.

use crate::devnet::tests::{chain, key, pay, produce};
use crate::devnet::Devnet;
use serde_json::{json, Value};
use shared::chain::keys::cid_of_bytes;
use shared::chain::SignedMessage;
use shared::wire;
use tempfile::TempDir;

/// A chain with its RPC running; the chain stops when this is dropped.
struct Served {
    _dir: TempDir,
    devnet: Devnet,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.devnet.shutdown();
    }
}

fn serve() -> Served {
    let (dir, devnet) = chain();
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
            .body(body)
            .send()
            .await
            .unwrap()
    }

    async fn call(&self, method: &str, params: Value) -> Value {
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
    let long = served.post(vec![b' '; 1024 * 1024 + 1]).await;
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
async fn views_have_the_documented_shape_and_any_page_may_ask() {
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
    let asked = reqwest::Client::new()
        .post(served.devnet.url())
        .header("origin", "http://page.example")
        .body("{}");
    assert_eq!(
        asked.send().await.unwrap().headers()["access-control-allow-origin"],
        "*"
    );
}

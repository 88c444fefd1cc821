//! The chain's JSON-RPC on the wire: pinned here, so that a change of a type cannot change it unseen.

use serde_json::{json, Value};
use shared::chain::keys::cid_of_bytes;
use shared::chain::rpc::{
    self, code, AnyMethod, ErrorObject, Heads, Method, Notification, Request, Response, Subscription,
};
use shared::chain::{calls, Address, AttoFil, Epoch, SecretKey};
use shared::wire;

fn params(method: &impl serde::Serialize) -> Value {
    serde_json::to_value(method).expect("it is JSON")
}

fn parse(name: &str, params: Value) -> Result<AnyMethod, String> {
    AnyMethod::parse(name, params)
        .expect("there is such a method")
        .map_err(|e| e.to_string())
}

#[test]
fn a_call_names_its_method_and_its_parameters() {
    let address = Address::id(2);
    let call = rpc::Query {
        to: address.clone(),
        from: None,
        method: "getTotalStorage".into(),
        params: vec![vec![0xab, 1]],
        height: Some(Epoch(7)),
    };
    let request = json!({ "jsonrpc": "2.0", "id": 3, "method": "chain.query", "params": {
        "to": "t02", "from": null, "method": "getTotalStorage", "params": ["ab01"], "height": 7,
    } });
    assert_eq!(params(&Request::new(3, &call)), request);
    assert_eq!(params(&Request::new(1, &rpc::Head {}))["params"], json!({}));
    assert_eq!(
        params(&rpc::FindPeer { peer_id: "12D3".into() }),
        json!({ "peerId": "12D3" })
    );
}

#[test]
fn every_call_reads_as_it_was_written() {
    let key = SecretKey::from_bytes(&[7; 32]).expect("it is a key");
    let message = calls::transfer(&Address::id(99), AttoFil(5))
        .message(&key.address(), 1)
        .sign(&key);
    let push = rpc::Push {
        message: message.clone(),
    };
    assert_eq!(params(&push), json!({ "message": hex::encode(wire::encode(&message)) }));
    assert!(matches!(parse("chain.push", params(&push)), Ok(AnyMethod::Push(read)) if read == push));
    let receipt = rpc::Receipt {
        message: cid_of_bytes(b"message"),
    };
    assert!(matches!(parse("chain.receipt", params(&receipt)), Ok(AnyMethod::Receipt(read)) if read == receipt));
    let preview = json!({ "to": "t02", "from": key.address() });
    let Ok(AnyMethod::Preview(preview)) = parse("chain.preview", preview) else {
        panic!("what is left out has its default");
    };
    assert_eq!(
        (preview.value, preview.method.as_str(), preview.params.len()),
        (AttoFil::ZERO, "", 0)
    );
}

#[test]
fn an_unknown_method_is_none_and_a_parameter_that_cannot_be_read_is_named() {
    assert!(AnyMethod::parse("chain.tail", json!({})).is_none());
    for (name, params, reason) in [
        (
            "chain.push",
            json!({ "message": "zz" }),
            "message: it is not hexadecimal: Invalid character 'z' at position 0",
        ),
        (
            "chain.push",
            json!({ "message": "a0" }),
            "message: it is not a signed message in canonical CBOR: ",
        ),
        ("chain.receipt", json!({ "message": "x".repeat(500) }), "message: \"xxx"),
        (
            "chain.query",
            json!({ "to": "t02", "method": "m", "params": ["0"] }),
            "params: it is not hexadecimal: Odd number",
        ),
        (
            "peers.announce",
            json!({ "record": "1" }),
            "record: it is not hexadecimal: ",
        ),
        ("chain.head", json!({ "height": 1 }), "unknown field `height`"),
        ("chain.actor", json!({}), "missing field `address`"),
    ] {
        let told = parse(name, params).expect_err("it cannot be read");
        assert!(told.starts_with(reason) && told.len() < 300, "{name}: {told}");
    }
}

#[test]
fn errors_and_news_have_the_shape_of_json_rpc() {
    let error = ErrorObject::new(code::PRUNED, "old")
        .with_height(Epoch(4))
        .with_hint("wait");
    let told = json!({ "code": -32007, "message": "old", "data": { "height": 4, "hint": "wait" } });
    assert_eq!(params(&error), told);
    assert_eq!(
        params(&ErrorObject::new(code::BUSY, "full")),
        json!({ "code": -32011, "message": "full" })
    );
    let answer: Response<Value> = serde_json::from_value(json!({ "id": 1, "error": told })).expect("it is an answer");
    assert_eq!((answer.result, answer.error), (None, Some(error)));
    let head = shared::chain::view::HeadView {
        height: Epoch(1),
        block: "b".into(),
        time_ms: 2,
    };
    let news = json!({ "jsonrpc": "2.0", "method": "chain.head", "params": {
        "subscription": 9, "result": { "height": 1, "block": "b", "timeMs": 2 },
    } });
    assert_eq!(params(&Notification::of::<Heads>(9, &head)), news);
    assert_eq!(Heads::NOTIFICATION, "chain.head");
    assert_eq!(<Heads as Subscription>::Subscribe::NAME, "chain.subscribe");
}

#[test]
fn the_codes_are_those_that_programs_know() {
    let known = [
        (code::PARSE, -32700),
        (code::REQUEST, -32600),
        (code::METHOD, -32601),
        (code::PARAMS, -32602),
        (code::INTERNAL, -32603),
        (code::MESSAGE_INVALID, -32001),
        (code::POOL, -32002),
        (code::FAUCET, -32003),
        (code::FUTURE, -32004),
        (code::QUERY, -32005),
        (code::PEER, -32006),
        (code::PRUNED, -32007),
        (code::NONCE_USED, -32008),
        (code::NONCE_TAKEN, -32009),
        (code::PAST, -32010),
        (code::BUSY, -32011),
        (code::FORBIDDEN, -32012),
        (code::UNSIGNED, -32013),
    ];
    assert_eq!(known.len(), code::ALL.len());
    for (code, number) in known {
        assert_eq!(code, number);
    }
    assert_eq!((shared::chain::exit::SUCCESS, shared::chain::exit::DROPPED), (0, 1000));
}

//! A connection at the chain's `/ws`: sequences of frames of every kind, requests and nonsense among them. Each request that has an
//! id is answered once and in order, and nothing is said after a broken rule.
#![no_main]

use sealdrop_devnet::fuzzing::{Frame, Session};
use sealdrop_fuzz::Script;
use serde_json::Value;
use std::cell::OnceCell;

thread_local! {
    static CHAIN: OnceCell<Session> = const { OnceCell::new() };
}

/// Longest script: a session is as many turns of the runtime.
const FRAMES: usize = 32;

fn request(script: &mut Script) -> String {
    const METHODS: [&str; 12] = [
        "chain.subscribe",
        "chain.unsubscribe",
        "chain.head",
        "chain.network",
        "chain.actor",
        "chain.miner",
        "chain.nonce",
        "chain.blocks",
        "chain.query",
        "chain.push",
        "chain.findPeer",
        "chain.announcePeer",
    ];
    let method = METHODS[usize::from(script.below(METHODS.len() as u8))];
    let id = match script.below(4) {
        0 => String::new(),
        _ => format!(r#""id":{},"#, script.byte()),
    };
    let params = match script.below(4) {
        0 => format!(r#"{{"subscription":{}}}"#, script.below(20)),
        1 => script.text(255),
        2 => format!("{:?}", script.text(64)),
        _ => "{}".to_owned(),
    };
    format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{params}}}"#)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let mut frames = Vec::new();
    while !script.is_over() && frames.len() < FRAMES {
        frames.push(match script.below(16) {
            0 => Frame::Binary(script.bytes(64).to_vec()),
            1 => Frame::Ping(script.bytes(64).to_vec()),
            2 => Frame::Close,
            3..=5 => Frame::Text(script.text(255)),
            _ => Frame::Text(request(&mut script)),
        });
    }
    let ends = |frame: &Frame| matches!(frame, Frame::Binary(_) | Frame::Close);
    let heard = frames.iter().take_while(|frame| !ends(frame));
    // What has to be answered: everything but what is a request without an id.
    let expected: Vec<Value> = heard
        .filter_map(|frame| match frame {
            Frame::Text(text) => sealdrop_devnet::fuzzing::id_of(text),
            _ => None,
        })
        .collect();
    let said = CHAIN.with(|chain| chain.get_or_init(Session::open).run(frames));
    let answers: Vec<Value> = said
        .iter()
        .filter(|said| said.get("id").is_some())
        .map(|said| said["id"].clone())
        .collect();
    assert_eq!(answers, expected, "{said:?}");
});

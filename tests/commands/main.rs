//! Every command of the command line once, against a real daemon: what it prints, how it ends, and that its JSON is JSON.
//! No sector is sealed here; `client`'s own steps are in `lifecycle.rs` and `misbehaviour.rs`.

mod asking;
mod configuring;
mod operating;
mod paying;
#[cfg(unix)]
mod printing;
mod registering;
mod sending;
mod watching;

use sealdrop_tests::{Client, Daemon};
use serde_json::Value;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How long a block or two may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// A CID that nothing here has.
const NOBODYS: &str = "bafy2bzacea45nf5vfkl36jrcvlucxkvt2yxivwg42tjkrk7gznnidmerdxvgi";

/// One daemon for the tests that run at the same time; it never seals. The last one ends it.
fn daemon() -> Arc<Daemon> {
    static SHARED: Mutex<Weak<Daemon>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let daemon = Arc::new(Daemon::start(&["--auto-seal", "24h"]));
        *shared = Arc::downgrade(&daemon);
        daemon
    })
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is missing in {value}"))
}

/// An account with money.
fn funded(client: &Client) -> String {
    let made = client.sealdrop_json(&["wallet", "new"]).expect("a key is made");
    let address = text(&made, "address").to_owned();
    client.sealdrop(&["wallet", "default", &address]).succeeded();
    let gift = client.sealdrop_json(&["wallet", "fund"]).expect("the faucet gives");
    assert_eq!(text(&gift, "address"), address);
    address
}

fn height(client: &Client) -> u64 {
    let head = client.sealdrop_json(&["chain", "head"]).expect("the chain answers");
    head["height"].as_u64().expect("a head has a height")
}

//! Attacks on the chain by its RPC.

use super::attacks::{Attack, Over, Target};
use super::http::Http;
use serde_json::{json, Value};
use shared::chain::message::{Message, MeteredMessage};
use shared::chain::{Address, AttoFil, SecretKey};
use shared::wire::encode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Accounts of the attack on the pool, and messages of each whose first is missing.
const ACCOUNTS: u8 = 16;
const GAPS: u64 = 256;
/// Connections of a flood of requests.
const ASKING: usize = 24;
/// How long an attack takes to unfold.
const UNFOLDING: Duration = Duration::from_secs(4);
/// How long a block with a message may take.
const MINED_WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);
/// attoFIL for a unit of gas, and units that are paid for.
const GAS: (u128, u64) = (1_000_000, 100_000);
/// Accounts that somebody makes from one.
const NEW_ACCOUNTS: u64 = 100;

fn over(outcome: Result<String, String>) -> Box<dyn Attack> {
    Box::new(Over(outcome))
}

fn key(number: u64) -> SecretKey {
    let mut bytes = [0x41; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("it is below the curve's order")
}

fn transfer(key: &SecretKey, to: Address, nonce: u64, value: AttoFil) -> Value {
    let message = Message {
        to,
        from: key.address(),
        nonce,
        value,
        method: String::new(),
        params: Vec::new(),
    };
    let metered = MeteredMessage {
        message,
        gas_price: AttoFil(GAS.0),
        gas_limit: GAS.1,
    };
    json!({ "message": hex::encode(encode(&metered.sign(key))) })
}

fn balance(http: &mut Http, address: &Address) -> Option<AttoFil> {
    let actor = http.call("chain.actor", &json!({ "address": address })).ok()?;
    serde_json::from_value(actor["balance"].clone()).ok()
}

/// Gives these accounts money, and waits until they have it.
fn fund(http: &mut Http, keys: &[SecretKey]) -> Result<(), String> {
    for key in keys {
        let asked = http.call("devnet.faucet", &json!({ "address": key.address() }));
        asked.map_err(|error| format!("the faucet gives nothing: {error:?}"))?;
    }
    let began = Instant::now();
    while keys.iter().any(|key| balance(http, &key.address()).is_none()) {
        if began.elapsed() > MINED_WITHIN {
            return Err("no money came from the faucet".to_owned());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Many accounts whose messages wait for one that never comes; then somebody's ordinary transfer must get into a block.
pub(super) fn gaps(target: &Target) -> Box<dyn Attack> {
    over(fill_with_gaps(target.ports[2]))
}

fn fill_with_gaps(port: u16) -> Result<String, String> {
    let mut http = Http::to(port);
    let keys: Vec<SecretKey> = (0..u64::from(ACCOUNTS)).map(key).collect();
    fund(&mut http, &keys)?;
    let (mut taken, mut refused) = (0, 0);
    for key in &keys {
        for nonce in 1..=GAPS {
            match http.call("chain.push", &transfer(key, Address::id(99), nonce, AttoFil(1))) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
            // An account that may have no more waiting has none of the rest.
            if refused > 0 && nonce > 64 {
                refused += (GAPS - nonce) as usize;
                break;
            }
        }
    }
    let honest = key(1000);
    fund(&mut http, std::slice::from_ref(&honest))?;
    let to = key(1001).address();
    let pushed = http.call("chain.push", &transfer(&honest, to.clone(), 0, AttoFil::from_fil(1)));
    pushed.map_err(|error| format!("an ordinary transfer is refused: {error:?}"))?;
    let began = Instant::now();
    while balance(&mut http, &to).is_none() {
        if began.elapsed() > MINED_WITHIN {
            return Err("an ordinary transfer gets into no block".to_owned());
        }
        std::thread::sleep(LOOK);
    }
    Ok(format!(
        "{taken} wait, {refused} refused; an ordinary transfer was mined"
    ))
}

/// What a hundred accounts cost whoever makes them.
pub(super) fn accounts(target: &Target) -> Box<dyn Attack> {
    over(make_accounts(target.ports[2]))
}

fn make_accounts(port: u16) -> Result<String, String> {
    let mut http = Http::to(port);
    let rich = key(2000);
    fund(&mut http, std::slice::from_ref(&rich))?;
    let before = balance(&mut http, &rich.address()).ok_or("it has no money")?;
    let mut sent = 0;
    for number in 0..NEW_ACCOUNTS {
        let push = transfer(&rich, key(3000 + number).address(), sent, AttoFil(1));
        if http.call("chain.push", &push).is_ok() {
            sent += 1;
        }
    }
    let began = Instant::now();
    let last = key(3000 + NEW_ACCOUNTS - 1).address();
    while balance(&mut http, &last).is_none() && began.elapsed() < MINED_WITHIN {
        std::thread::sleep(LOOK);
    }
    let after = balance(&mut http, &rich.address()).ok_or("it has no money")?;
    let paid = AttoFil(before.0.saturating_sub(after.0));
    let least = AttoFil(
        shared::chain::Policy::of_new_network(shared::piece::SectorSize::S2KiB)
            .account_price
            .0,
    );
    match paid.0 >= least.0 * u128::from(sent) && sent > 0 {
        true => Ok(format!("{sent} accounts for {paid} FIL")),
        false => Err(format!("{sent} accounts for {paid} FIL")),
    }
}

/// New accounts ask the faucet, one after the other, from one address.
pub(super) fn faucet(target: &Target) -> Box<dyn Attack> {
    let Ok(relay) = super::Relay::from([127, 0, 8, 8].into(), target.ports) else {
        return over(Err("there is no other address".to_owned()));
    };
    let mut http = Http::to(relay.ports()[2]);
    let (mut given, mut refused) = (0, None);
    for number in 0..400 {
        match http.call("devnet.faucet", &json!({ "address": key(5000 + number).address() })) {
            Ok(_) => given += 1,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    over(match refused {
        Some((_, text)) => Ok(format!("{given} grants, then: {text}")),
        None => Err(format!("{given} grants, and no end")),
    })
}

/// Connections that ask the same without a pause.
struct Flood {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn begin(port: u16, method: &'static str, params: Value) -> Box<dyn Attack> {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let begin = |_| {
            let (stop, answered, params) = (stop.clone(), answered.clone(), params.clone());
            std::thread::spawn(move || {
                let mut http = Http::to(port);
                while !stop.load(Ordering::Relaxed) {
                    // Refused or not: it was asked.
                    let _ = http.call(method, &params);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..ASKING).map(begin).collect();
        std::thread::sleep(UNFOLDING);
        Box::new(Self {
            stop,
            answered,
            threads,
        })
    }
}

impl Attack for Flood {
    fn outcome(&self) -> Result<String, String> {
        Ok(format!("{} answered", self.answered.load(Ordering::Relaxed)))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It ends with its last answer.
            let _ = thread.join();
        }
    }
}

pub(super) fn requests(target: &Target) -> Box<dyn Attack> {
    Flood::begin(target.ports[2], "chain.miners", json!({}))
}

pub(super) fn previews(target: &Target) -> Box<dyn Attack> {
    let mut http = Http::to(target.ports[2]);
    let miners = http.call("chain.miners", &json!({})).unwrap_or_default();
    let (miner, worker) = (miners[0]["address"].clone(), miners[0]["worker"].clone());
    let params = json!({
        "to": miner, "from": worker, "method": "commitSector", "params": ["01", "00".repeat(32), "00".repeat(32),
        "00".repeat(32), "00".repeat(192)],
    });
    Flood::begin(target.ports[2], "chain.preview", params)
}

/// Bodies that are no JSON, no JSON-RPC, nested, batched, too long; every method with params of every kind; messages with each byte
/// changed. All get an error, or an answer that changes nothing.
pub(super) fn wrong_bytes(target: &Target) -> Box<dyn Attack> {
    over(say_wrong_bytes(target.ports[2]))
}

const METHODS: [&str; 14] = [
    "chain.actor",
    "chain.miner",
    "chain.channel",
    "chain.beacon",
    "chain.receipt",
    "chain.message",
    "chain.query",
    "chain.preview",
    "chain.nonce",
    "chain.block",
    "chain.blocks",
    "chain.messages",
    "devnet.faucet",
    "peers.announce",
];

fn say_wrong_bytes(port: u16) -> Result<String, String> {
    let mut http = Http::to(port);
    let (mut said, nested) = (0, "[".repeat(100_000));
    let bodies: [&[u8]; 8] = [
        b"",
        b"\xff\xfe",
        b"null",
        b"{\"jsonrpc\":\"1.0\"}",
        b"[]",
        nested.as_bytes(),
        br#"{"jsonrpc":"2.0","id":{},"method":7,"params":3}"#,
        br#"[{"jsonrpc":"2.0","id":1,"method":"chain.head","params":{}}]"#,
    ];
    for body in bodies {
        let (status, text) = http.post("/rpc", &[], body);
        said += 1;
        if text.contains("\"result\"") {
            return Err(format!("{body:02x?} is answered: {status} {text}"));
        }
    }
    let values = [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!("\u{0}x"),
        json!("ff".repeat(2000)),
        json!([[[]]]),
        json!({"a": {"b": 1}}),
    ];
    for method in METHODS {
        for value in &values {
            let params = json!({
                "address": value, "payer": value, "id": value, "height": value, "message": value, "to": value, "from": value,
                "method": value, "params": value, "record": value,
            });
            for params in [value, &params] {
                said += 1;
                if let Ok(result) = http.call(method, params) {
                    return Err(format!("{method} answers {params} with {result}"));
                }
            }
        }
    }
    // A message that would do something, with each of its bytes changed in turn.
    let payer = key(7000);
    fund(&mut http, std::slice::from_ref(&payer))?;
    let push = transfer(&payer, Address::id(99), 0, AttoFil(1));
    let whole = push.clone();
    let whole = hex::decode(whole["message"].as_str().unwrap_or_default()).unwrap_or_default();
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        said += 1;
        if let Ok(result) = http.call("chain.push", &json!({ "message": hex::encode(&changed) })) {
            return Err(format!("a message with byte {place} changed is taken: {result}"));
        }
    }
    match http.call("chain.push", &push) {
        Ok(_) => Ok(format!("{said} refused")),
        Err(error) => Err(format!("afterwards the message itself is refused: {error:?}")),
    }
}

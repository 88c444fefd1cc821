//! The RPC's methods: parameters in, JSON out. Parameters are named, and unknown names are refused, so that a mistyped
//! one is not taken for one left out.
//!
//! | method | params | result |
//! |---|---|---|
//! | `chain.network` | | [`NetworkView`] |
//! | `chain.head` | | [`HeadView`](shared::chain::view::HeadView) |
//! | `chain.actor` | address | [`ActorView`] or null |
//! | `chain.miners` | | list of [`MinerView`] |
//! | `chain.miner` | address | [`MinerView`] or null |
//! | `chain.channel` | payer, id | [`ChannelView`] or null |
//! | `chain.beacon` | height | the block's ticket, hexadecimal |
//! | `chain.push` | message: hexadecimal CBOR of a [`SignedMessage`] | {message: its id, known: whether the chain had it before} |
//! | `chain.receipt` | message: id | [`ReceiptView`](shared::chain::view::ReceiptView), null while it waits |
//! | `chain.message` | message: id | [`MessageView`](views::MessageView) or null |
//! | `chain.query` | to, method, from?, params?: hexadecimal ABI values, height? | [`QueryView`] |
//! | `chain.preview` | to, from, value?, method, params?: hexadecimal ABI values | [`PreviewView`](views::PreviewView) |
//! | `chain.nonce` | address | number of the account's next message, after those that wait |
//! | `chain.block` | height | [`BlockView`](views::BlockView) |
//! | `chain.blocks` | from, to | at most [`MAX_LISTED`] [`BlockView`](views::BlockView)s, oldest first |
//! | `chain.messages` | address, before?: height | about [`MAX_LISTED`] [`MessageSummary`](views::MessageSummary)s, newest first |
//! | `chain.pool` | address? | [`PoolView`] |
//! | `chain.exitText` | to: an actor's address, code | [`ExitTextView`](views::ExitTextView) |
//! | `chain.subscribe` | | over WebSocket: a subscription's number; see [`super::socket`] |
//! | `chain.unsubscribe` | subscription | over WebSocket: whether there was one |
//! | `chain.supply` | | [`SupplyView`](views::SupplyView) |
//! | `devnet.faucet` | address | [`FaucetView`] |
//! | `peers.announce` | record: hexadecimal signed envelope | true |
//! | `peers.find` | peerId | addresses |

use super::views::{self, FaucetView, PoolView, QueryView, MAX_LISTED};
use super::{code, RpcError};
use crate::devnet::node::{lock, Node};
use cid::Cid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};
use shared::chain::view::{ActorView, ChannelView, MinerView, NetworkView};
use shared::chain::{Address, AttoFil, Call, ChannelId, Epoch, SignedMessage};
use shared::wire;
use std::time::Duration;

/// Longest reason that is sent back: it may quote the asker.
const MAX_REASON: usize = 300;

type Reply = Result<Value, RpcError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfAddress {
    address: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfChannel {
    payer: Address,
    id: ChannelId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfHeight {
    height: Epoch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfMessage {
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRecord {
    record: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OfPeer {
    peer_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    to: Address,
    from: Option<Address>,
    method: String,
    #[serde(default)]
    params: Vec<String>,
    height: Option<Epoch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Previewed {
    to: Address,
    from: Address,
    #[serde(default)]
    value: AttoFil,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    from: Epoch,
    to: Epoch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    address: Address,
    before: Option<Epoch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfCode {
    to: Address,
    code: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSender {
    address: Option<Address>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSubscription {
    subscription: u64,
}

/// Answers one call.
pub(super) fn call(node: &Node, block_time: Duration, method: &str, params: Value) -> Reply {
    match method {
        "chain.network" => none(params).and_then(|()| network(node, block_time)),
        "chain.head" => none(params).and_then(|()| to_json(&views::head(&node.current()))),
        "chain.miners" => none(params).and_then(|()| to_json(&MinerView::all(&node.current().state))),
        "chain.supply" => none(params).and_then(|()| supply(node)),
        "chain.actor" => actor(node, parse(params)?),
        "chain.miner" => miner(node, parse(params)?),
        "chain.channel" => channel(node, parse(params)?),
        "chain.nonce" => nonce(node, parse(params)?),
        "chain.query" => query(node, parse(params)?),
        "chain.preview" => preview(node, parse(params)?),
        "chain.exitText" => exit_text(node, parse(params)?),
        "chain.beacon" => beacon(node, parse(params)?),
        "chain.block" => block(node, parse(params)?),
        "chain.blocks" => blocks(node, parse(params)?),
        "chain.push" => push(node, parse(params)?),
        "chain.receipt" => receipt(node, parse(params)?),
        "chain.message" => message(node, parse(params)?),
        "chain.messages" => messages(node, parse(params)?),
        "chain.pool" => to_json(&pool(node, parse(params)?)),
        "chain.subscribe" | "chain.unsubscribe" => Err(RpcError::new(
            code::METHOD,
            "news of heads need a connection that stays open: connect by WebSocket to /ws",
        )),
        "devnet.faucet" => faucet(node, parse(params)?),
        "peers.announce" => announce(node, parse(params)?),
        "peers.find" => find(node, parse(params)?),
        _ => Err(RpcError::new(
            code::METHOD,
            format_args!("there is no method {:?}", clip(method)),
        )),
    }
}

fn actor(node: &Node, OfAddress { address }: OfAddress) -> Reply {
    to_json(&ActorView::of(&node.current().state, &address))
}

fn miner(node: &Node, OfAddress { address }: OfAddress) -> Reply {
    to_json(&MinerView::of(&node.current().state, &address))
}

fn channel(node: &Node, OfChannel { payer, id }: OfChannel) -> Reply {
    to_json(&ChannelView::of(&node.current().state, &payer, id))
}

fn nonce(node: &Node, OfAddress { address }: OfAddress) -> Reply {
    Ok(node.next_nonce(&address).into())
}

fn supply(node: &Node) -> Reply {
    to_json(&views::supply(&node.current().state, &node.genesis.faucet))
}

fn exit_text(node: &Node, OfCode { to, code }: OfCode) -> Reply {
    to_json(&views::exit_text_of(&node.current().state, &to, code))
}

fn beacon(node: &Node, OfHeight { height }: OfHeight) -> Reply {
    Ok(hex::encode(node.beacon(height)?).into())
}

fn block(node: &Node, OfHeight { height }: OfHeight) -> Reply {
    to_json(&views::block(&node.kept_block(height)?))
}

fn blocks(node: &Node, Span { from, to }: Span) -> Reply {
    let blocks = node.blocks(from, to, MAX_LISTED)?;
    to_json(&blocks.iter().map(views::block).collect::<Vec<_>>())
}

fn faucet(node: &Node, OfAddress { address }: OfAddress) -> Reply {
    let (message, amount) = node.grant(&address)?;
    to_json(&FaucetView {
        message: Some(message.to_string()),
        amount,
    })
}

fn announce(node: &Node, OfRecord { record }: OfRecord) -> Reply {
    let record = from_hex("record", &record)?;
    lock(&node.peers).announce(&record).map_err(super::Refusal::Peer)?;
    Ok(true.into())
}

fn find(node: &Node, OfPeer { peer_id }: OfPeer) -> Reply {
    to_json(&lock(&node.peers).find(&peer_id).map_err(super::Refusal::Peer)?)
}

fn network(node: &Node, block_time: Duration) -> Reply {
    let current = node.current();
    to_json(&NetworkView {
        network: node.genesis.network.clone(),
        genesis: node.genesis_cid.to_string(),
        height: current.block.height,
        block_time_ms: u64::try_from(block_time.as_millis()).unwrap_or(u64::MAX),
        policy: current.state.policy.clone(),
        verifying_keys: node.genesis.verifying_keys.clone(),
    })
}

fn push(node: &Node, OfMessage { message }: OfMessage) -> Reply {
    let bytes = from_hex("message", &message)?;
    let message: SignedMessage = wire::decode(&bytes).map_err(|e| {
        invalid(
            "message",
            format_args!("it is not a signed message in canonical CBOR: {e}"),
        )
    })?;
    let pushed = node.push(bytes.len(), message)?;
    Ok(json!({ "message": pushed.cid.to_string(), "known": pushed.is_known }))
}

fn receipt(node: &Node, OfMessage { message }: OfMessage) -> Reply {
    let cid = cid("message", &message)?;
    to_json(&node.outcome(&cid)?.map(|outcome| views::receipt(message, &outcome)))
}

fn message(node: &Node, OfMessage { message }: OfMessage) -> Reply {
    let cid = cid("message", &message)?;
    let Some(signed) = node.message(&cid)? else {
        return Ok(Value::Null);
    };
    let state = &node.current().state;
    to_json(&views::message(state, message, &signed, node.outcome(&cid)?.as_ref()))
}

fn query(node: &Node, query: Query) -> Reply {
    let params = abi_values(&query.params)?;
    let returns = node.query(query.height, query.from.as_ref(), &query.to, &query.method, params)?;
    let returns = returns.iter().map(hex::encode).collect();
    to_json(&QueryView { returns })
}

fn preview(node: &Node, previewed: Previewed) -> Reply {
    let Previewed {
        to,
        from,
        value,
        method,
        params,
    } = previewed;
    let params = abi_values(&params)?;
    let call = Call {
        to,
        value,
        method,
        params,
    };
    let to = call.to.clone();
    let previewed = node.preview(&from, call)?;
    to_json(&views::preview(&node.current().state, &to, &previewed))
}

fn abi_values(params: &[String]) -> Result<Vec<Vec<u8>>, RpcError> {
    params.iter().map(|param| from_hex("params", param)).collect()
}

fn messages(node: &Node, Listed { address, before }: Listed) -> Reply {
    let state = &node.current().state;
    let mut list = Vec::new();
    for cid in node.messages_of(&address, before, MAX_LISTED)? {
        // A block made meanwhile may have pushed it out.
        if let Some(message) = node.message(&cid)? {
            let outcome = node.outcome(&cid)?;
            list.push(views::summary(state, cid.to_string(), &message, outcome.as_ref()));
        }
    }
    to_json(&list)
}

fn pool(node: &Node, OfSender { address }: OfSender) -> PoolView {
    let state = &node.current().state;
    let pool = lock(&node.pool);
    let (count, bytes) = pool.load();
    let waiting = pool.listed(address.as_ref(), MAX_LISTED);
    PoolView {
        count: count as u64,
        bytes: bytes as u64,
        messages: waiting.iter().map(|waiting| views::pooled(state, waiting)).collect(),
    }
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    let params = match params {
        Value::Null => Value::Object(Map::new()),
        Value::Object(_) => params,
        _ => {
            return Err(RpcError::new(
                code::PARAMS,
                "params must be an object of named parameters",
            ));
        }
    };
    serde_json::from_value(params).map_err(|e| {
        let reason: String = e.to_string().chars().take(MAX_REASON).collect();
        RpcError::new(code::PARAMS, format_args!("invalid params: {reason}"))
    })
}

/// Refuses parameters where there are none.
pub(super) fn none(params: Value) -> Result<(), RpcError> {
    parse::<Nothing>(params).map(|Nothing {}| ())
}

/// The number of a subscription.
pub(super) fn subscription(params: Value) -> Result<u64, RpcError> {
    parse::<OfSubscription>(params).map(|OfSubscription { subscription }| subscription)
}

fn invalid(name: &str, reason: impl std::fmt::Display) -> RpcError {
    RpcError::new(code::PARAMS, format_args!("invalid params: {name}: {reason}"))
}

fn from_hex(name: &str, text: &str) -> Result<Vec<u8>, RpcError> {
    hex::decode(text).map_err(|e| invalid(name, format_args!("it is not hexadecimal: {e}")))
}

fn cid(name: &str, text: &str) -> Result<Cid, RpcError> {
    text.parse()
        .map_err(|e| invalid(name, format_args!("{:?} is not a CID: {e}", clip(text))))
}

fn to_json<T: Serialize>(value: &T) -> Reply {
    serde_json::to_value(value).map_err(|e| RpcError::new(code::INTERNAL, e))
}

/// Text of a peer, short enough to be sent back.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

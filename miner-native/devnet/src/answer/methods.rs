//! What each method of [`shared::chain::rpc`] answers, from the chain's node.

use super::views;
use crate::node::{lock, Node, Refusal};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::chain::peers::peer_from_text;
use shared::chain::rpc::{self, code, AnyMethod, Canonical, ErrorObject, HexBytes, Method, MAX_LISTED};
use shared::chain::view::{ActorView, ChannelView, MinerView, NetworkView};
use shared::chain::Call;
use shared::wire;
use std::net::IpAddr;
use std::time::Duration;

/// Longest reason that is sent back: it may quote the asker.
const MAX_REASON: usize = 300;
/// Longest name of a method that is sent back.
const MAX_NAME: usize = 80;

type Reply<M> = Result<<M as Method>::Result, ErrorObject>;

/// What methods are answered from.
pub(crate) struct Chain<'a> {
    pub node: &'a Node,
    pub block_time: Duration,
    /// Who asks.
    pub from: IpAddr,
}

/// A method that is answered here.
trait Answer: Method {
    fn answer(self, chain: &Chain) -> Reply<Self>;
}

/// Answers one call.
pub(crate) fn call(chain: &Chain, method: &str, params: Value) -> Result<Value, ErrorObject> {
    match parse(method, params)? {
        AnyMethod::Network(call) => run(call, chain),
        AnyMethod::Head(call) => run(call, chain),
        AnyMethod::Actor(call) => run(call, chain),
        AnyMethod::Miners(call) => run(call, chain),
        AnyMethod::Miner(call) => run(call, chain),
        AnyMethod::Channel(call) => run(call, chain),
        AnyMethod::Beacon(call) => run(call, chain),
        AnyMethod::Push(call) => run(call, chain),
        AnyMethod::Receipt(call) => run(call, chain),
        AnyMethod::Message(call) => run(call, chain),
        AnyMethod::Query(call) => run(call, chain),
        AnyMethod::Preview(call) => run(call, chain),
        AnyMethod::Nonce(call) => run(call, chain),
        AnyMethod::Block(call) => run(call, chain),
        AnyMethod::Blocks(call) => run(call, chain),
        AnyMethod::GenesisRecord(call) => run(call, chain),
        AnyMethod::Header(call) => run(call, chain),
        AnyMethod::Headers(call) => run(call, chain),
        AnyMethod::ProveMessage(call) => run(call, chain),
        AnyMethod::ProveState(call) => run(call, chain),
        AnyMethod::Messages(call) => run(call, chain),
        AnyMethod::Pool(call) => run(call, chain),
        AnyMethod::ExitText(call) => run(call, chain),
        AnyMethod::Supply(call) => run(call, chain),
        AnyMethod::Faucet(call) => run(call, chain),
        AnyMethod::AnnouncePeer(call) => run(call, chain),
        AnyMethod::FindPeer(call) => run(call, chain),
        AnyMethod::Subscribe(_) | AnyMethod::Unsubscribe(_) => Err(needs_socket()),
    }
}

fn run<M: Answer>(call: M, chain: &Chain) -> Result<Value, ErrorObject> {
    call.answer(chain).and_then(|result| to_json(&result))
}

/// Reads a call.
pub(crate) fn parse(method: &str, params: Value) -> Result<AnyMethod, ErrorObject> {
    let params = match params {
        Value::Null => Value::Object(Map::new()),
        params => params,
    };
    let is_named = params.is_object();
    let call = AnyMethod::parse(method, params).ok_or_else(|| {
        let name: String = method.chars().take(MAX_NAME).collect();
        ErrorObject::new(code::METHOD, format_args!("there is no method {name:?}"))
    })?;
    if !is_named {
        let reason = "params must be an object of named parameters";
        return Err(ErrorObject::new(code::PARAMS, reason));
    }
    call.map_err(|e| {
        let reason: String = e.to_string().chars().take(MAX_REASON).collect();
        ErrorObject::new(code::PARAMS, format_args!("invalid params: {reason}"))
    })
}

/// Subscriptions need a connection that stays open; they are made where those are held.
pub(crate) fn needs_socket() -> ErrorObject {
    let reason = "news of heads need a connection that stays open: connect by WebSocket to /ws";
    ErrorObject::new(code::METHOD, reason)
}

fn to_json<T: Serialize>(value: &T) -> Result<Value, ErrorObject> {
    serde_json::to_value(value).map_err(|e| ErrorObject::new(code::INTERNAL, e))
}

impl Answer for rpc::Network {
    fn answer(self, Chain { node, block_time, .. }: &Chain) -> Reply<Self> {
        let current = node.current();
        Ok(NetworkView {
            network: node.genesis.network.clone(),
            genesis: node.genesis_cid.to_string(),
            height: current.block.height,
            block_time_ms: u64::try_from(block_time.as_millis()).unwrap_or(u64::MAX),
            policy: current.state.policy.clone(),
            verifying_keys: node.genesis.verifying_keys.clone(),
        })
    }
}

impl Answer for rpc::Head {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(chain.node.current().head())
    }
}

impl Answer for rpc::Actor {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(ActorView::of(&chain.node.current().state, &self.address))
    }
}

impl Answer for rpc::Miners {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(MinerView::all(&chain.node.current().state))
    }
}

impl Answer for rpc::Miner {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(MinerView::of(&chain.node.current().state, &self.address))
    }
}

impl Answer for rpc::Channel {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(ChannelView::of(&chain.node.current().state, &self.payer, self.id))
    }
}

impl Answer for rpc::Beacon {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(HexBytes(chain.node.beacon(self.height)?))
    }
}

impl Answer for rpc::Push {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        // Canonical, so these are the bytes that came.
        let length = wire::encode(&self.message).len();
        let pushed = chain.node.push(length, self.message)?;
        Ok(rpc::Pushed {
            message: pushed.cid.to_string(),
            known: pushed.is_known,
        })
    }
}

impl Answer for rpc::Receipt {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let outcome = chain.node.outcome(&self.message)?;
        Ok(outcome.map(|outcome| views::receipt(self.message.to_string(), &outcome)))
    }
}

impl Answer for rpc::Message {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let node = chain.node;
        let Some(signed) = node.message(&self.message)? else {
            return Ok(None);
        };
        let (state, outcome) = (&node.current().state, node.outcome(&self.message)?);
        let id = self.message.to_string();
        Ok(Some(views::message(state, id, &signed, outcome.as_ref())))
    }
}

impl Answer for rpc::Query {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let Self {
            to,
            from,
            method,
            params,
            height,
        } = self;
        let returns = chain.node.query(height, from.as_ref(), &to, &method, params)?;
        let returns = returns.iter().map(hex::encode).collect();
        Ok(rpc::QueryView { returns })
    }
}

impl Answer for rpc::Preview {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let Self {
            to,
            from,
            value,
            method,
            params,
        } = self;
        let call = Call {
            to: to.clone(),
            value,
            method,
            params,
        };
        let preview = chain.node.preview(&from, call)?;
        Ok(views::preview(&chain.node.current().state, &to, &preview))
    }
}

impl Answer for rpc::Nonce {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(chain.node.next_nonce(&self.address))
    }
}

impl Answer for rpc::Block {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(views::block(&chain.node.kept_block(self.height)?))
    }
}

impl Answer for rpc::Blocks {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let blocks = chain.node.blocks(self.from, self.to, MAX_LISTED)?;
        Ok(blocks.iter().map(views::block).collect())
    }
}

impl Answer for rpc::GenesisRecord {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(HexBytes(chain.node.genesis.bytes()))
    }
}

impl Answer for rpc::Header {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(Canonical(chain.node.header(self.height)?))
    }
}

impl Answer for rpc::Headers {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let headers = chain.node.headers(self.from, self.to, MAX_LISTED)?;
        Ok(headers.into_iter().map(Canonical).collect())
    }
}

impl Answer for rpc::ProveMessage {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(chain.node.message_proof(&self.message)?.map(Canonical))
    }
}

impl Answer for rpc::ProveState {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(Canonical(chain.node.state_proof(&self.keys, self.height)?))
    }
}

impl Answer for rpc::Messages {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let node = chain.node;
        let state = &node.current().state;
        let mut list = Vec::new();
        for cid in node.messages_of(&self.address, self.before, MAX_LISTED)? {
            // A block made meanwhile may have pushed it out.
            if let Some(message) = node.message(&cid)? {
                let outcome = node.outcome(&cid)?;
                list.push(views::summary(state, cid.to_string(), &message, outcome.as_ref()));
            }
        }
        Ok(list)
    }
}

impl Answer for rpc::Pool {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let state = &chain.node.current().state;
        let pool = lock(&chain.node.pool);
        let (count, bytes) = pool.load();
        let waiting = pool.listed(self.address.as_ref(), MAX_LISTED);
        Ok(rpc::PoolView {
            count: count as u64,
            bytes: bytes as u64,
            messages: waiting.iter().map(|waiting| views::pooled(state, waiting)).collect(),
        })
    }
}

impl Answer for rpc::ExitText {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        Ok(views::exit_text_of(&chain.node.current().state, &self.to, self.code))
    }
}

impl Answer for rpc::Supply {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let node = chain.node;
        Ok(views::supply(&node.current().state, &node.genesis.faucet))
    }
}

impl Answer for rpc::Faucet {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let (message, amount) = chain.node.grant(&self.address, chain.from)?;
        Ok(rpc::FaucetView {
            message: Some(message.to_string()),
            amount,
        })
    }
}

impl Answer for rpc::AnnouncePeer {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let current = chain.node.current();
        let announced = lock(&chain.node.peers).announce(&self.record, |peer| current.miners().contains(peer));
        Ok(announced.map(|()| true).map_err(Refusal::Peer)?)
    }
}

impl Answer for rpc::FindPeer {
    fn answer(self, chain: &Chain) -> Reply<Self> {
        let quoted = || self.peer_id.chars().take(MAX_NAME).collect();
        let peer = peer_from_text(&self.peer_id).ok_or_else(|| Refusal::PeerId(quoted()))?;
        let peers = lock(&chain.node.peers);
        Ok(peers.find(&peer).map(|record| HexBytes(record.envelope().to_vec())))
    }
}

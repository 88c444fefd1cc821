//! The development chain without disk, clock and server: for a page that has its network in itself, and for tests in virtual time.
//!
//! The same node as the daemon's: state, pool, blocks, tickets, faucet and the answers to JSON-RPC. Time is what whoever drives
//! it says, and keys are given, so that a run is the same every time.

use crate::answer::{failure, methods, parse, success};
use crate::error::DevnetError;
use crate::genesis::{Authority, Genesis};
use crate::node::{Node, Refusal};
use crate::store::{Outcome, Store};
use cid::Cid;
use serde_json::Value;
use shared::chain::rpc::{code, ErrorObject, Method};
use shared::chain::state::Violation;
use shared::chain::verifier::Verifier;
use shared::chain::view::{ChannelView, HeadView, MinerView};
use shared::chain::{Address, ChannelId, Epoch, Policy, Receipt, SecretKey, SignedMessage};
use shared::wire;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Everybody asks from here.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a chain in memory begins with.
#[derive(Clone)]
pub struct MemoryConfig {
    pub network: String,
    pub policy: Policy,
    /// What is said of the time between blocks.
    pub block_time: Duration,
    /// When block 0 is made, in milliseconds since 1970.
    pub begins_ms: u64,
    /// Signs tickets.
    pub block_key: SecretKey,
    /// Whose money the faucet gives.
    pub faucet_key: SecretKey,
    pub verifier: Verifier,
    /// Digest of the verifying keys.
    pub verifying_keys: String,
}

/// A development chain that is gone when it is dropped.
pub struct MemoryChain {
    node: Node,
    block_time: Duration,
}

impl MemoryChain {
    /// Begins a chain.
    pub fn begin(config: MemoryConfig) -> Result<Self, DevnetError> {
        let MemoryConfig {
            network,
            policy,
            block_time,
            begins_ms,
            block_key,
            faucet_key,
            verifier,
            verifying_keys,
        } = config;
        let authority = Authority::of(block_key, faucet_key);
        let genesis = Genesis::new(&network, &verifying_keys, &policy, &authority, begins_ms);
        let node = Node::begin(Store::in_memory()?, authority, genesis, verifier)?;
        Ok(Self { node, block_time })
    }

    /// Makes the next block, at `now_ms`.
    pub fn produce(&self, now_ms: u64) -> Result<HeadView, DevnetError> {
        self.node.produce_at(|| now_ms).map(|made| made.head())
    }

    /// The newest block.
    pub fn head(&self) -> HeadView {
        self.node.current().head()
    }

    /// The network's rules.
    pub fn policy(&self) -> Policy {
        self.node.genesis.policy.clone()
    }

    /// The ticket of a block that was made.
    pub fn beacon(&self, height: Epoch) -> Option<Vec<u8>> {
        self.node.beacon(height).ok()
    }

    /// `None` when there is no such miner.
    pub fn miner(&self, address: &Address) -> Option<MinerView> {
        MinerView::of(&self.node.current().state, address)
    }

    /// `None` when the payer has no such channel (any more).
    pub fn channel(&self, payer: &Address, id: ChannelId) -> Option<ChannelView> {
        ChannelView::of(&self.node.current().state, payer, id)
    }

    /// The nonce of an account's next message, after those that wait.
    pub fn next_nonce(&self, address: &Address) -> u64 {
        self.node.next_nonce(address)
    }

    /// Takes a message in; why not, otherwise.
    pub fn push(&self, message: SignedMessage) -> Result<Cid, ErrorObject> {
        let pushed = self.node.push(wire::encode(&message).len(), message)?;
        Ok(pushed.cid)
    }

    /// What became of a message: its receipt, or why it was dropped. `None` while it waits, and for one that is not known.
    pub fn receipt(&self, message: &Cid) -> Option<(Epoch, Result<Receipt, String>)> {
        match self.node.outcome(message).ok()?? {
            Outcome::Mined { height, receipt } => Some((height, Ok(receipt))),
            Outcome::Dropped { height, reason } => Some((height, Err(reason))),
        }
    }

    /// Sends money of the faucet to an account, within the faucet's limits; the message that brings it.
    pub fn grant(&self, address: &Address) -> Result<Cid, ErrorObject> {
        Ok(self.node.grant(address, HERE).map(|(message, _)| message)?)
    }

    /// Keeps a peer's record, as `peers.announce` does.
    pub fn announce(&self, record: &[u8]) -> Result<(), ErrorObject> {
        let current = self.node.current();
        let announced = crate::node::lock(&self.node.peers).announce(record, |peer| current.miners().contains(peer));
        Ok(announced.map_err(Refusal::Peer)?)
    }

    /// Answers a request of JSON-RPC; `None` for a notification, which nobody waits for.
    pub fn answer(&self, request: &[u8]) -> Option<Value> {
        let request = match parse(request) {
            Ok(request) => request,
            Err((id, error)) => return Some(failure(id, &error)),
        };
        let result = methods::call(&self.asked(), &request.method, request.params);
        let id = request.id?;
        Some(match result {
            Ok(result) => success(id, result),
            Err(error) => failure(id, &error),
        })
    }

    /// The same for one method, typed.
    pub fn call<M: Method>(&self, call: &M) -> Result<M::Result, ErrorObject> {
        let unreadable = |error: serde_json::Error| ErrorObject::new(code::INTERNAL, error);
        let params = serde_json::to_value(call).map_err(unreadable)?;
        let result = methods::call(&self.asked(), M::NAME, params)?;
        serde_json::from_value(result).map_err(unreadable)
    }

    fn asked(&self) -> methods::Chain<'_> {
        methods::Chain {
            node: &self.node,
            block_time: self.block_time,
            from: HERE,
        }
    }

    /// Checks that no money appeared or vanished, and the other rules of the whole chain.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        self.node.current().state.check_invariants()
    }
}

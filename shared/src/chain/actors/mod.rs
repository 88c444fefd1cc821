//! The actors of 2019 as functions over [`ChainState`] (spec §5): what a message may change, and with which code it reverts.
//!
//! Called by [`super::apply()`] for messages and queries. A method that reverts leaves changes behind in the state that it
//! was given: the caller works on a copy and drops it.

pub mod account;
pub mod broker;
pub mod init;
pub mod market;
pub mod miner;

use super::abi::Abi;
use super::address::Address;
use super::amount::{AttoFil, Epoch};
use super::randomness::{self, Purpose};
use super::state::ChainState;
use crate::chain::verifier::{ProofVerifier, VerifierFault};
use crate::wire::DecodeError;
use alloc::{format, string::String, vec::Vec};
use cid::Cid;

/// Deepest call of an actor by an actor. A condition that redeems a voucher with a condition would otherwise recurse
/// for as long as its gas lasts.
const MAX_DEPTH: u32 = 1;

/// Exit codes that every actor shares (spec §5.1).
pub mod code {
    pub use crate::chain::exit::common::*;
    pub use crate::chain::exit::GENERIC;
}

/// A message had no effect; the sender pays for gas all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} (exit code {code})")]
pub struct Revert {
    pub code: u64,
    pub text: String,
}

impl Revert {
    pub(crate) fn new(code: u64, text: impl core::fmt::Display) -> Self {
        Self {
            code,
            text: format!("{text}"),
        }
    }
}

/// Why a method did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The message's doing: it is recorded with its exit code.
    #[error(transparent)]
    Revert(#[from] Revert),
    /// The host's doing: the message must not be recorded.
    #[error(transparent)]
    Fault(#[from] VerifierFault),
}

/// Return values in ABI form.
pub type Returns = Vec<Vec<u8>>;

/// What a block gives to the messages in it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Height of the block that the message is applied in.
    pub height: Epoch,
    /// The genesis id of the network: a wallet signs for one network.
    pub network: &'a Cid,
    /// The ticket of the block at a height of this chain; `None` where there is no such block (yet).
    pub beacon: &'a dyn Fn(Epoch) -> Option<Vec<u8>>,
    pub verifier: &'a dyn ProofVerifier,
}

/// One call of an actor.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub from: Address,
    pub to: Address,
    pub value: AttoFil,
    /// The number of the message that started it.
    pub nonce: u64,
    pub method: String,
    pub params: Vec<Vec<u8>>,
}

/// What one message carries through its calls: the block's context, gas and depth.
pub(crate) struct Env<'a> {
    pub ctx: Context<'a>,
    gas_limit: u64,
    gas_used: u64,
    depth: u32,
    /// Height at which the voucher fell due whose condition is checked now.
    pub due_since: Option<Epoch>,
}

impl<'a> Env<'a> {
    pub fn new(ctx: Context<'a>, gas_limit: u64) -> Self {
        Self {
            ctx,
            gas_limit,
            gas_used: 0,
            depth: 0,
            due_since: None,
        }
    }

    pub fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// Whether the message has no gas left.
    pub fn is_spent(&self) -> bool {
        self.gas_used >= self.gas_limit
    }

    /// Charges an exported method's flat price; over the limit, all of it is used up.
    pub fn charge(&mut self, price: u64) -> Result<(), Revert> {
        let used = self.gas_used.saturating_add(price);
        self.gas_used = used.min(self.gas_limit);
        if used > self.gas_limit {
            return Err(Revert::new(
                code::OUT_OF_GAS,
                "Insufficient gas: gas cost exceeds gas limit",
            ));
        }
        Ok(())
    }

    /// Randomness of this chain for `miner`, from the block at `height`.
    pub fn randomness(&self, purpose: Purpose, height: Epoch, miner: &Address) -> Result<[u8; 32], Revert> {
        let ticket = (self.ctx.beacon)(height).ok_or_else(|| {
            Revert::new(
                code::GENERIC,
                format!("there is no randomness at height {height}: the chain has no such block"),
            )
        })?;
        Ok(randomness::draw(purpose, &ticket, miner))
    }
}

/// How a method is exported: what it costs, and whether value may come with it.
#[derive(Clone, Copy)]
pub(crate) struct Export {
    pub gas: bool,
    pub payable: bool,
}

impl Export {
    pub const METHOD: Self = Self {
        gas: true,
        payable: false,
    };
    pub const PAYABLE: Self = Self {
        gas: true,
        payable: true,
    };
    pub const FREE: Self = Self {
        gas: false,
        payable: false,
    };
}

/// The kinds of actors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Account,
    Init,
    Market,
    Broker,
    Miner,
}

/// What kind of actor has this address; `None` for one that the chain does not know.
pub fn kind_of(state: &ChainState, address: &Address) -> Option<Kind> {
    if *address == Address::id(Address::INIT) {
        return Some(Kind::Init);
    }
    if *address == Address::id(Address::STORAGE_MARKET) {
        return Some(Kind::Market);
    }
    if *address == Address::id(Address::PAYMENT_BROKER) {
        return Some(Kind::Broker);
    }
    if state.miners.contains_key(address) {
        return Some(Kind::Miner);
    }
    state.accounts.contains_key(address).then_some(Kind::Account)
}

/// Calls an actor: value moves first, then the method runs (spec §5.1).
pub(crate) fn invoke(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    if call.method.is_empty() {
        env.charge(state.policy.gas_per_transfer)?;
        return account::transfer(state, call).map(|()| Vec::new()).map_err(Halt::from);
    }
    let kind = kind_of(state, &call.to).ok_or_else(no_such_actor)?;
    let export = match kind {
        Kind::Account => None,
        Kind::Init => init::export(&call.method),
        Kind::Market => market::export(&call.method),
        Kind::Broker => broker::export(&call.method),
        Kind::Miner => miner::export(&call.method),
    };
    let export = export.ok_or_else(|| Revert::new(code::GENERIC, "actor does not export method"))?;
    if export.gas {
        env.charge(state.policy.gas_per_method)?;
    }
    // The actors of 2019 swallowed value that came with such a method; money must not get lost here.
    if !export.payable && !call.value.is_zero() {
        return Err(Revert::new(
            code::GENERIC,
            format!("{} takes no value: send it without", call.method),
        )
        .into());
    }
    match kind {
        Kind::Account => Err(Revert::new(code::GENERIC, "actor does not export method").into()),
        Kind::Init => init::call(state, call),
        Kind::Market => market::call(state, env, call),
        Kind::Broker => broker::call(state, env, call),
        Kind::Miner => miner::call(state, env, call),
    }
}

/// A call by an actor in the course of a message, on the message's gas.
pub(crate) fn send(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    if env.depth >= MAX_DEPTH {
        return Err(Revert::new(code::GENERIC, "calls nest too deeply").into());
    }
    env.depth = env.depth.saturating_add(1);
    let result = invoke(state, env, call);
    env.depth = env.depth.saturating_sub(1);
    result
}

fn no_such_actor() -> Revert {
    Revert::new(code::NO_SUCH_ACTOR, "actor code not found")
}

/// The parameters of a method that takes `N`.
pub(crate) fn params<const N: usize>(call: &Invocation) -> Result<&[Vec<u8>; N], Revert> {
    call.params.as_slice().try_into().map_err(|_| {
        let found = call.params.len();
        Revert::new(
            code::GENERIC,
            format!("invalid params: expected {N} parameters, but got {found}"),
        )
    })
}

/// One parameter.
pub(crate) fn param<T: Abi>(bytes: &[u8]) -> Result<T, Revert> {
    T::from_abi(bytes).map_err(|e: DecodeError| Revert::new(code::GENERIC, format!("invalid params: {e}")))
}

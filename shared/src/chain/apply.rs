//! Messages applied to the state, one after the other (spec §5.1), and read-only queries (spec §5.6).
//!
//! Called by the development chain: [`validate`] when a message arrives, [`apply()`] when a block takes it, [`end_block`]
//! when the block has no more, [`query`] and [`preview`] for everybody who asks. What became of a message is in its [`Receipt`].

use super::actors::account::makes_account;
use super::actors::miner::end_block as end_miner_block;
use super::actors::{code, invoke, Context, Env, Halt, Invocation, Returns, Revert};
use super::address::Address;
use super::amount::{AttoFil, Epoch};
use super::calls::Call;
use super::message::{Message, MeteredMessage, Receipt, SignedMessage};
use super::session;
use super::state::ChainState;
use crate::chain::verifier::VerifierFault;
use crate::wire::cbor::Bytes;
use alloc::{string::String, vec::Vec};
use cid::Cid;

/// Longest method name that is looked at.
pub const MAX_METHOD: usize = 64;
/// Most parameters of a message; the longest list of the ABI has 7.
pub const MAX_PARAMS: usize = 16;
/// Most bytes of all parameters together: a 32 GiB seal proof has 1920, a voucher's inclusion proof about 1000, and
/// 340 partitions of a proof-of-spacetime 64 KiB.
pub const MAX_PARAM_BYTES: usize = 64 * 1024;
/// Most messages that one sender may have waiting for their turn.
pub const MAX_NONCE_GAP: u64 = 256;

/// What a miner must do within a span of blocks.
const URGENT_METHODS: [&str; 5] = [
    "submitPoSt",
    "commitSector",
    "addFaults",
    "recoverFaults",
    "restartProving",
];

/// Why a message cannot be in a block at all. Nothing changes, not even its sender's nonce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("the message's signature is not its sender's: sign it with the key of {from}")]
    Signature { from: Address },
    #[error("sender and receiver are the same")]
    ToSelf,
    #[error("the gas price is 0: offer at least 1 attoFIL")]
    GasPriceZero,
    #[error("the gas limit {limit} is above a block's {block_limit}")]
    GasLimit { limit: u64, block_limit: u64 },
    #[error("{0} is not an account, so it cannot send messages")]
    SenderNotAccount(Address),
    #[error("the method's name has {0} bytes, more than any method's")]
    MethodTooLong(usize),
    #[error("{count} parameters of {bytes} bytes are more than the {MAX_PARAMS} of {MAX_PARAM_BYTES} bytes allowed")]
    ParamsTooLarge { count: usize, bytes: usize },
    #[error("value and gas are more money than can exist")]
    Overflow,
    #[error("the sender has {balance} FIL and needs {needed} FIL for value and gas, and for the receiver's account when that is new")]
    Balance { balance: AttoFil, needed: AttoFil },
    #[error("nonce {nonce} was used already; the next is {next}")]
    NonceUsed { nonce: u64, next: u64 },
    #[error("nonce {nonce} is too far ahead of the next, {next}")]
    NonceTooHigh { nonce: u64, next: u64 },
}

/// Why a message was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The message does not belong in a block.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The host cannot tell what the message does; it may stay in the pool.
    #[error(transparent)]
    Fault(#[from] VerifierFault),
}

/// Whether a message may wait in the pool of the network with this genesis id: everything but its turn is right.
pub fn validate(state: &ChainState, signed: &SignedMessage, network: &Cid) -> Result<(), Invalid> {
    check_unsigned(state, signed)?;
    if !signed.is_signed_on(network) && !session::signs_message(state, signed) {
        return Err(Invalid::Signature {
            from: signed.message().from.clone(),
        });
    }
    Ok(())
}

/// [`validate`] without the signature, for one that was checked before: what a block may have changed since.
pub fn check_unsigned(state: &ChainState, signed: &SignedMessage) -> Result<(), Invalid> {
    let metered = &signed.metered;
    check_shape(state, metered)?;
    let (nonce, next) = (metered.message.nonce, state.nonce(&metered.message.from));
    match nonce.checked_sub(next) {
        None => return Err(Invalid::NonceUsed { nonce, next }),
        Some(gap) if gap > MAX_NONCE_GAP => return Err(Invalid::NonceTooHigh { nonce, next }),
        Some(_) => {}
    }
    check_balance(state, metered)
}

/// Whether a miner loses money when this message waits: a proof, a commit or a word about faults, by the worker of a miner
/// that has sectors or pre-commits, and so money at stake.
pub fn is_urgent(state: &ChainState, message: &Message) -> bool {
    let is_due = URGENT_METHODS.contains(&message.method.as_str());
    let miner = state
        .miners
        .get(&message.to)
        .filter(|miner| miner.worker == message.from);
    is_due && miner.is_some_and(|miner| !miner.sectors.is_empty() || !miner.pre_commits.is_empty())
}

/// Checks that need no keys and no money.
fn check_shape(state: &ChainState, metered: &MeteredMessage) -> Result<(), Invalid> {
    let message = &metered.message;
    if !message.from.can_sign() || state.miners.contains_key(&message.from) {
        return Err(Invalid::SenderNotAccount(message.from.clone()));
    }
    if message.from == message.to {
        return Err(Invalid::ToSelf);
    }
    check_size(&message.method, &message.params)?;
    if metered.gas_price.is_zero() {
        return Err(Invalid::GasPriceZero);
    }
    let (limit, block_limit) = (metered.gas_limit, state.policy.block_gas_limit);
    if limit > block_limit {
        return Err(Invalid::GasLimit { limit, block_limit });
    }
    Ok(())
}

fn check_size(method: &str, params: &[Vec<u8>]) -> Result<(), Invalid> {
    if method.len() > MAX_METHOD {
        return Err(Invalid::MethodTooLong(method.len()));
    }
    let (count, bytes) = (params.len(), params.iter().map(Vec::len).sum());
    if count > MAX_PARAMS || bytes > MAX_PARAM_BYTES {
        return Err(Invalid::ParamsTooLarge { count, bytes });
    }
    Ok(())
}

fn check_balance(state: &ChainState, metered: &MeteredMessage) -> Result<(), Invalid> {
    let gas = metered.gas_price.checked_mul(u128::from(metered.gas_limit));
    let needed = gas
        .and_then(|gas| gas.checked_add(metered.message.value))
        .and_then(|needed| needed.checked_add(price_of_account(state, &metered.message)))
        .ok_or(Invalid::Overflow)?;
    let balance = state.balance(&metered.message.from);
    if balance < needed {
        return Err(Invalid::Balance { balance, needed });
    }
    Ok(())
}

/// What a transfer costs beside its value and its gas: the price of the account that it makes.
fn price_of_account(state: &ChainState, message: &Message) -> AttoFil {
    match message.method.is_empty() && makes_account(state, &message.to) {
        true => state.policy.account_price,
        false => AttoFil::ZERO,
    }
}

/// Applies a message whose turn it is. When it reverts, only its sender's nonce and the gas that it paid remain; on `Err`
/// nothing changed.
pub fn apply(state: &mut ChainState, signed: &SignedMessage, ctx: &Context) -> Result<Receipt, ApplyError> {
    validate(state, signed, ctx.network)?;
    let metered = &signed.metered;
    let (nonce, next) = (metered.message.nonce, state.nonce(&metered.message.from));
    if nonce != next {
        return Err(Invalid::NonceTooHigh { nonce, next }.into());
    }
    let mut env = Env::new(*ctx, metered.gas_limit);
    let mut changed = state.clone();
    let outcome = match invoke(&mut changed, &mut env, &invocation(&metered.message)) {
        Ok(returns) => Ok((changed, returns)),
        Err(Halt::Revert(revert)) => Err(revert),
        Err(Halt::Fault(fault)) => return Err(fault.into()),
    };
    let gas_cost = metered
        .gas_price
        .checked_mul(u128::from(env.gas_used()))
        .ok_or(Invalid::Overflow)?;
    let receipt = |exit_code, returns: Returns, error| Receipt {
        exit_code,
        returns: returns.into_iter().map(Bytes).collect(),
        gas_cost,
        error,
    };
    let (mut settled, receipt) = match outcome {
        Ok((changed, returns)) => (changed, receipt(0, returns, String::new())),
        Err(revert) => (state.clone(), receipt(revert.code, Vec::new(), revert.text)),
    };
    settle_gas(&mut settled, &metered.message.from, gas_cost).ok_or(Invalid::Overflow)?;
    *state = settled;
    Ok(receipt)
}

fn invocation(message: &Message) -> Invocation {
    Invocation {
        from: message.from.clone(),
        to: message.to.clone(),
        value: message.value,
        nonce: message.nonce,
        method: message.method.clone(),
        params: message.params.clone(),
    }
}

/// Counts the message and moves what its gas cost to the treasury: the single authority that makes the blocks of this
/// chain is no miner that could earn it. The balance check left the money for it.
fn settle_gas(state: &mut ChainState, from: &Address, cost: AttoFil) -> Option<()> {
    let sender = state.accounts.get_mut(from)?;
    sender.nonce = sender.nonce.checked_add(1)?;
    sender.balance = sender.balance.checked_sub(cost)?;
    state
        .accounts
        .change(&Address::id(Address::NETWORK_TREASURY), |treasury| {
            treasury.balance = treasury.balance.checked_add(cost)?;
            Some(())
        })
}

/// What the end of a block did by itself, without a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockEnd {
    /// Pre-commits whose commit did not come in time.
    pub pre_commits: usize,
    /// Sectors that were faulty for too long.
    pub sectors: usize,
    /// Deposits and collateral that went to the burnt funds.
    pub burnt: AttoFil,
    /// Bytes of power that lapsed.
    pub power: u64,
}

impl BlockEnd {
    /// Whether anything but the height changed, so that the state must be stored.
    pub fn changed(&self) -> bool {
        *self != Self::default()
    }
}

/// Ends the block at `height`, once, after its messages: sets the state's height, burns the deposits of pre-commits that
/// expired and the collateral of sectors that were faulty for too long, and lets the power of done sectors lapse.
pub fn end_block(state: &mut ChainState, height: Epoch) -> BlockEnd {
    state.height = height;
    let miners: Vec<Address> = state.miners.keys().cloned().collect();
    miners.iter().fold(BlockEnd::default(), |mut all, address| {
        let one = end_miner_block(state, address, height);
        all.pre_commits = all.pre_commits.saturating_add(one.pre_commits);
        all.sectors = all.sectors.saturating_add(one.sectors);
        all.burnt.0 = all.burnt.0.saturating_add(one.burnt.0);
        all.power = all.power.saturating_add(one.power);
        all
    })
}

fn stopped(halt: Halt) -> Revert {
    match halt {
        Halt::Revert(revert) => revert,
        Halt::Fault(fault) => Revert::new(code::GENERIC, fault),
    }
}

/// Runs a method against `state` and drops its changes. Value is 0 and gas a block's; without `from`, the caller is the
/// init actor, which owns nothing.
pub fn query(
    state: &ChainState,
    ctx: &Context,
    from: Option<&Address>,
    to: &Address,
    method: &str,
    params: Vec<Vec<u8>>,
) -> Result<Returns, Revert> {
    check_size(method, &params).map_err(|e| Revert::new(code::GENERIC, e))?;
    let call = Invocation {
        from: from.cloned().unwrap_or_else(|| Address::id(Address::INIT)),
        to: to.clone(),
        value: AttoFil::ZERO,
        nonce: from.map_or(0, |from| state.nonce(from)),
        method: method.into(),
        params,
    };
    let mut env = Env::new(*ctx, state.policy.block_gas_limit);
    invoke(&mut state.clone(), &mut env, &call).map_err(stopped)
}

/// What a call would do if it were sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// 0 = it would be applied.
    pub exit_code: u64,
    /// Why, when the exit code is not 0.
    pub error: String,
    /// Units of gas that it would use.
    pub gas_used: u64,
    /// Return values in ABI form.
    pub returns: Returns,
}

/// Runs a call of the account `from` against `state` and drops its changes; gas is a block's. Unlike in the previews of
/// 2019 the sender is there, with its money and its nonce, so that calls which look at them say what they would say
/// when sent (spec §5.6). Errs when such a message could not be in a block at all, whatever its gas.
pub fn preview(state: &ChainState, ctx: &Context, from: &Address, call: Call) -> Result<Preview, ApplyError> {
    let limit = state.policy.block_gas_limit;
    let mut metered = call.message(from, state.nonce(from));
    metered.gas_limit = limit;
    check_shape(state, &metered)?;
    let mut env = Env::new(*ctx, limit);
    let (exit_code, error, returns) = match invoke(&mut state.clone(), &mut env, &invocation(&metered.message)) {
        Ok(returns) => (0, String::new(), returns),
        Err(Halt::Revert(revert)) => (revert.code, revert.text, Vec::new()),
        Err(Halt::Fault(fault)) => return Err(fault.into()),
    };
    Ok(Preview {
        exit_code,
        error,
        gas_used: env.gas_used(),
        returns,
    })
}

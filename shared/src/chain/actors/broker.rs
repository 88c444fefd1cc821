//! The payment broker, t03: channels that a payer fills and vouchers empty (spec §5.2).
//!
//! The client opens, cancels and reclaims; the miner redeems and closes. The vouchers are drawn up in [`crate::payment`].

use super::account::{add, credit, debit, take};
use super::{code, param, params, send, Env, Export, Halt, Invocation, Returns, Revert};
use crate::chain::abi::{Abi, Channels, Parameters};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, ChannelId, Epoch};
use crate::chain::exit::broker as exit;
use crate::chain::keys::Signature;
use crate::chain::session;
use crate::chain::state::{ChainState, PaymentChannel, Table};
use crate::chain::voucher::{encode_parameters, payload};
use crate::chain::voucher::{PaymentVoucher, Predicate};
use crate::wire::cbor::{Bytes, Value};
use crate::wire::encode;
use alloc::string::String;
use alloc::{vec, vec::Vec};

/// Most open channels of one payer: `ls` and the payer's own book walk them all.
pub const MAX_CHANNELS: usize = 4096;

/// Why the broker refuses (spec §5.2; from 46 on our own).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    #[error("Only account actors may create payment channels")]
    NonAccountActor,
    #[error("Duplicate create channel attempt")]
    DuplicateChannel,
    #[error("payment channel eol may not be decreased")]
    EolTooLow,
    #[error("payment channel may not reclaimed before eol")]
    ReclaimBeforeEol,
    #[error("voucher amount exceeds amount in channel")]
    InsufficientChannelFunds,
    #[error("payment channel is unknown")]
    UnknownChannel,
    #[error("attempt to redeem channel from wrong target account")]
    WrongTarget,
    #[error("block height has exceeded channel's end of life")]
    Expired,
    #[error("update amount has already been redeemed")]
    AlreadyWithdrawn,
    #[error("signature failed to validate")]
    InvalidSignature,
    #[error("block height too low to redeem voucher")]
    TooEarly,
    #[error("failed to validate voucher condition: {0}")]
    ConditionInvalid(String),
    #[error("channel cannot be cancelled due to successful redeem")]
    InvalidCancel,
    #[error("the payer has {MAX_CHANNELS} open channels already: close or reclaim some")]
    TooManyChannels,
    #[error(
        "the agreed end of a cancelled channel may not be brought forward: extend it to {agreed} or later, not to {to}"
    )]
    AgreedEolTooLow { agreed: Epoch, to: Epoch },
    #[error("a channel's session key is a secp256k1 address, t1…, and another than its payer's")]
    SessionKey,
}

impl BrokerError {
    /// The exit code.
    pub fn code(&self) -> u64 {
        match self {
            Self::NonAccountActor => exit::NON_ACCOUNT_ACTOR,
            Self::DuplicateChannel => exit::DUPLICATE_CHANNEL,
            Self::EolTooLow => exit::EOL_TOO_LOW,
            Self::ReclaimBeforeEol => exit::RECLAIM_BEFORE_EOL,
            Self::InsufficientChannelFunds => exit::INSUFFICIENT_CHANNEL_FUNDS,
            Self::UnknownChannel => exit::UNKNOWN_CHANNEL,
            Self::WrongTarget => exit::WRONG_TARGET,
            Self::Expired => exit::EXPIRED,
            Self::AlreadyWithdrawn => exit::ALREADY_WITHDRAWN,
            Self::InvalidSignature => exit::INVALID_SIGNATURE,
            Self::TooEarly => exit::TOO_EARLY,
            Self::ConditionInvalid(_) => exit::CONDITION_INVALID,
            Self::InvalidCancel => exit::INVALID_CANCEL,
            Self::TooManyChannels => exit::TOO_MANY_CHANNELS,
            Self::AgreedEolTooLow { .. } => exit::AGREED_EOL_TOO_LOW,
            Self::SessionKey => exit::SESSION_KEY,
        }
    }
}

impl From<BrokerError> for Revert {
    fn from(error: BrokerError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<BrokerError> for Halt {
    fn from(error: BrokerError) -> Self {
        Self::Revert(error.into())
    }
}

pub(super) fn export(method: &str) -> Option<Export> {
    match method {
        "createChannel" | "extend" => Some(Export::PAYABLE),
        "redeem" | "close" | "voucher" | "cancel" | "reclaim" | "ls" => Some(Export::METHOD),
        _ => None,
    }
}

pub(super) fn call(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    match call.method.as_str() {
        "createChannel" => create_channel(state, call).map_err(Halt::from),
        "extend" => extend(state, call).map_err(Halt::from),
        "redeem" => redeem(state, env, call),
        "close" => close(state, env, call),
        "voucher" => voucher(state, call).map_err(Halt::from),
        "cancel" => cancel(state, env, call),
        "reclaim" => reclaim(state, env, call).map_err(Halt::from),
        _ => ls(state, call).map_err(Halt::from),
    }
}

fn channel_mut<'s>(
    state: &'s mut ChainState,
    payer: &Address,
    id: ChannelId,
) -> Result<&'s mut PaymentChannel, BrokerError> {
    state
        .broker
        .channels
        .get_mut(payer)
        .and_then(|channels| channels.get_mut(&id))
        .ok_or(BrokerError::UnknownChannel)
}

/// Moves the message's value from the caller to the broker.
fn deposit(state: &mut ChainState, call: &Invocation) -> Result<(), Revert> {
    debit(state, &call.from, call.value)?;
    add(&mut state.broker.balance, call.value)
}

/// Moves money from the broker to an account.
fn pay(state: &mut ChainState, to: &Address, amount: AttoFil) -> Result<(), Revert> {
    take(&mut state.broker.balance, amount)?;
    credit(state, to, amount)
}

/// `createChannel(target, eol) -> ChannelID`: the id is the message's number. A third parameter, unlike in 2019, is the
/// channel's session key ([`session`]).
fn create_channel(state: &mut ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let (target, eol, session) = match call.params.as_slice() {
        [target, eol, session] => (target, eol, Some(param::<Address>(session)?)),
        _ => {
            let [target, eol] = params(call)?;
            (target, eol, None)
        }
    };
    let (target, eol): (Address, Epoch) = (param(target)?, param(eol)?);
    let is_key = |session: &Address| session::can_be(session) && *session != call.from;
    if session.as_ref().is_some_and(|session| !is_key(session)) {
        return Err(BrokerError::SessionKey.into());
    }
    if !state.accounts.contains_key(&call.from) {
        return Err(BrokerError::NonAccountActor.into());
    }
    let id = ChannelId(call.nonce);
    let channels = state.broker.channels.get(&call.from);
    if channels.is_some_and(|channels| channels.contains_key(&id)) {
        return Err(BrokerError::DuplicateChannel.into());
    }
    if channels.is_some_and(|channels| channels.len() >= MAX_CHANNELS) {
        return Err(BrokerError::TooManyChannels.into());
    }
    deposit(state, call)?;
    let channel = PaymentChannel {
        target,
        amount: call.value,
        amount_redeemed: AttoFil::ZERO,
        agreed_eol: eol,
        condition: None,
        eol,
        redeemed: false,
        session,
    };
    state
        .broker
        .channels
        .change(&call.from, |channels| channels.insert(id, channel));
    Ok(vec![id.to_abi()])
}

/// `extend(channel, eol)`: the value is added to the channel. The agreed end only ever comes later: a payer that cancels and
/// then extends would otherwise take back what it agreed to, and a redemption restores the agreed end (the broker of 2019
/// compared with the cancelled channel's nearer end alone).
fn extend(state: &mut ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [id, eol] = params(call)?;
    let (id, eol): (ChannelId, Epoch) = (param(id)?, param(eol)?);
    let channel = channel_mut(state, &call.from, id)?;
    if channel.eol > eol {
        return Err(BrokerError::EolTooLow.into());
    }
    if channel.agreed_eol > eol {
        let (agreed, to) = (channel.agreed_eol, eol);
        return Err(BrokerError::AgreedEolTooLow { agreed, to }.into());
    }
    add(&mut channel.amount, call.value)?;
    channel.agreed_eol = eol;
    channel.eol = eol;
    deposit(state, call)?;
    Ok(Vec::new())
}

/// What `redeem` and `close` are given.
struct Claim {
    payer: Address,
    channel: ChannelId,
    amount: AttoFil,
    valid_at: Epoch,
    condition: Option<Predicate>,
    signature: Vec<u8>,
    redeemer: Vec<Value>,
}

impl Claim {
    fn of(call: &Invocation) -> Result<Self, Revert> {
        let [payer, channel, amount, valid_at, condition, signature, redeemer] = params(call)?;
        Ok(Self {
            payer: param(payer)?,
            channel: param(channel)?,
            amount: param(amount)?,
            valid_at: param(valid_at)?,
            condition: param(condition)?,
            signature: param::<Bytes>(signature)?.0,
            redeemer: param::<Parameters>(redeemer)?.0,
        })
    }

    /// By the payer, or by the channel's session key.
    fn is_signed(&self, session: Option<&Address>) -> bool {
        let Ok(signature) = self.signature.as_slice().try_into() else {
            return false;
        };
        let payload = payload(self.channel, self.amount, self.valid_at, self.condition.as_ref());
        session::signs(&Signature(signature), &payload, &self.payer, session)
    }
}

/// Steps 1 to 11 of the spec without the resets: checks the claim and pays what it adds to what was paid before.
fn settle(state: &mut ChainState, env: &mut Env, call: &Invocation, claim: &Claim) -> Result<(), Halt> {
    let channel = state.channel(&claim.payer, claim.channel);
    if !claim.is_signed(channel.and_then(|channel| channel.session.as_ref())) {
        return Err(BrokerError::InvalidSignature.into());
    }
    let channel = channel_mut(state, &claim.payer, claim.channel)?;
    cache_condition(channel, claim);
    let condition = channel.condition.clone();
    env.due_since = Some(claim.valid_at);
    let checked = check_condition(state, env, call, condition.as_ref());
    env.due_since = None;
    checked.map_err(|halt| match halt {
        Halt::Revert(inner) => BrokerError::ConditionInvalid(inner.text).into(),
        fault => fault,
    })?;
    let height = env.ctx.height;
    let channel = channel_mut(state, &claim.payer, claim.channel)?;
    if call.from != channel.target {
        return Err(BrokerError::WrongTarget.into());
    }
    if height < claim.valid_at {
        return Err(BrokerError::TooEarly.into());
    }
    if height >= channel.eol {
        return Err(BrokerError::Expired.into());
    }
    if claim.amount > channel.amount {
        return Err(BrokerError::InsufficientChannelFunds.into());
    }
    let due = claim
        .amount
        .checked_sub(channel.amount_redeemed)
        .filter(|due| !due.is_zero());
    let due = due.ok_or(BrokerError::AlreadyWithdrawn)?;
    channel.amount_redeemed = claim.amount;
    pay(state, &call.from, due).map_err(Halt::from)
}

/// Which condition counts from now on (spec §5.2, "Condition caching"): a redeemer who proved once need not repeat it.
fn cache_condition(channel: &mut PaymentChannel, claim: &Claim) {
    let Some(condition) = &claim.condition else {
        channel.condition = None;
        return;
    };
    if channel.redeemed && channel.condition.is_some() && claim.redeemer.is_empty() {
        return;
    }
    let mut all = condition.params.clone().unwrap_or_default();
    all.extend(claim.redeemer.iter().cloned());
    channel.condition = Some(Predicate {
        params: Some(all),
        ..condition.clone()
    });
}

/// Calls what a condition names. Only its success counts: its changes are dropped, or a voucher could carry any call.
fn check_condition(
    state: &ChainState,
    env: &mut Env,
    call: &Invocation,
    condition: Option<&Predicate>,
) -> Result<(), Halt> {
    let Some(condition) = condition else { return Ok(()) };
    let params = condition.params.as_deref().unwrap_or_default();
    let params = match params {
        [] => Vec::new(),
        params => crate::chain::message::parse_params(&encode_parameters(params))
            .map_err(|e| Revert::new(code::GENERIC, e))?,
    };
    let inner = Invocation {
        from: Address::id(Address::PAYMENT_BROKER),
        to: condition.to.clone(),
        value: AttoFil::ZERO,
        nonce: call.nonce,
        method: condition.method.clone(),
        params,
    };
    send(&mut state.clone(), env, &inner).map(|_| ())
}

/// `redeem(payer, channel, amount, validAt, condition, signature, redeemerParams)`.
fn redeem(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    let claim = Claim::of(call)?;
    settle(state, env, call, &claim)?;
    let channel = channel_mut(state, &claim.payer, claim.channel)?;
    channel.eol = channel.agreed_eol;
    channel.redeemed = true;
    Ok(Vec::new())
}

/// `close(as redeem)`: redeems, pays the rest to the payer and removes the channel, also when nothing is left (the
/// broker of 2019 kept an empty channel for ever).
fn close(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    let claim = Claim::of(call)?;
    settle(state, env, call, &claim)?;
    remove(state, &claim.payer, claim.channel)?;
    Ok(Vec::new())
}

/// Pays what is left in a channel to its payer and forgets the channel.
fn remove(state: &mut ChainState, payer: &Address, id: ChannelId) -> Result<(), Revert> {
    let channels = state
        .broker
        .channels
        .get_mut(payer)
        .ok_or(BrokerError::UnknownChannel)?;
    let channel = channels.remove(&id).ok_or(BrokerError::UnknownChannel)?;
    if channels.is_empty() {
        state.broker.channels.remove(payer);
    }
    pay(state, payer, channel.remaining())
}

/// `voucher(channel, amount, validAt, condition) -> Bytes`: an unsigned voucher on the caller's channel.
fn voucher(state: &mut ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [id, amount, valid_at, condition] = params(call)?;
    let (id, amount): (ChannelId, AttoFil) = (param(id)?, param(amount)?);
    let (valid_at, condition): (Epoch, Option<Predicate>) = (param(valid_at)?, param(condition)?);
    let channel = channel_mut(state, &call.from, id)?;
    if channel.amount < amount {
        return Err(BrokerError::InsufficientChannelFunds.into());
    }
    let target = channel.target.clone();
    let voucher = PaymentVoucher {
        channel: id,
        payer: call.from.clone(),
        target,
        amount,
        valid_at,
        condition,
        signature: None,
    };
    Ok(vec![encode(&voucher)])
}

/// `cancel(channel)`: brings the end of life near, unless the payee has shown that it earns the money.
fn cancel(state: &mut ChainState, env: &mut Env, call: &Invocation) -> Result<Returns, Halt> {
    let [id] = params(call)?;
    let id: ChannelId = param(id)?;
    let channel = channel_mut(state, &call.from, id)?;
    if channel.redeemed {
        let Some(condition) = channel.condition.clone() else {
            return Err(BrokerError::InvalidCancel.into());
        };
        match check_condition(state, env, call, Some(&condition)) {
            Ok(()) => return Err(BrokerError::InvalidCancel.into()),
            // The gas was the canceller's: running out of it must not count as a failed condition.
            Err(Halt::Revert(revert)) if revert.code == code::OUT_OF_GAS && env.is_spent() => {
                return Err(revert.into());
            }
            Err(Halt::Revert(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    let soon = env.ctx.height.plus(state.policy.cancel_delay);
    let channel = channel_mut(state, &call.from, id)?;
    channel.eol = channel.eol.min(soon);
    Ok(Vec::new())
}

/// `reclaim(channel)`: what is left goes back to the payer once the channel's life has ended.
fn reclaim(state: &mut ChainState, env: &Env, call: &Invocation) -> Result<Returns, Revert> {
    let [id] = params(call)?;
    let id: ChannelId = param(id)?;
    let channel = channel_mut(state, &call.from, id)?;
    if env.ctx.height < channel.eol {
        return Err(BrokerError::ReclaimBeforeEol.into());
    }
    remove(state, &call.from, id)?;
    Ok(Vec::new())
}

/// `ls(payer) -> Bytes`: the payer's channels by decimal id.
fn ls(state: &ChainState, call: &Invocation) -> Result<Returns, Revert> {
    let [payer] = params(call)?;
    let payer: Address = param(payer)?;
    let channels = state.broker.channels.get(&payer);
    let channels = channels.into_iter().flat_map(Table::iter);
    let listed = channels.map(|(id, channel)| (*id, channel.clone())).collect();
    Ok(vec![Channels(listed).to_abi()])
}

//! From the chain's own types to those that its JSON-RPC answers with.

use crate::block::Block;
use crate::pool::{Waiting, MAX_WAIT};
use crate::store::Outcome;
use shared::chain::rpc::{BlockView, ExitTextView, MessageSummary, MessageView, PooledView, PreviewView, SupplyView};
use shared::chain::view::ReceiptView;
use shared::chain::{
    exit, exit_text, kind_of, Address, AttoFil, ChainState, Kind, Preview, SignedMessage, UNKNOWN_EXIT,
};

pub fn receipt(message: String, outcome: &Outcome) -> ReceiptView {
    match outcome {
        Outcome::Mined { height, receipt } => ReceiptView::of(message, *height, receipt),
        Outcome::Dropped { height, reason } => ReceiptView {
            message,
            height: *height,
            exit_code: exit::DROPPED,
            error: format!("dropped: {reason}"),
            returns: Vec::new(),
            gas_cost: AttoFil::ZERO,
        },
    }
}

/// What an exit code of the actor at `to` means, where it has a meaning of its own.
pub fn meaning(state: &ChainState, to: &Address, exit_code: u64) -> Option<String> {
    if exit_code == exit::DROPPED {
        return Some("the pool dropped the message: it is in no block".to_owned());
    }
    // An actor that is not there has no codes of its own, and neither has an account.
    let kind = kind_of(state, to).unwrap_or(Kind::Account);
    exit_text(kind, exit_code).map(ToOwned::to_owned)
}

pub fn exit_text_of(state: &ChainState, to: &Address, exit_code: u64) -> ExitTextView {
    let known = meaning(state, to, exit_code);
    let text = known.or_else(|| (exit_code != exit::SUCCESS).then(|| UNKNOWN_EXIT.to_owned()));
    ExitTextView { text }
}

fn exit_code(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Mined { receipt, .. } => receipt.exit_code,
        Outcome::Dropped { .. } => exit::DROPPED,
    }
}

pub fn message(state: &ChainState, cid: String, signed: &SignedMessage, outcome: Option<&Outcome>) -> MessageView {
    let message = signed.message();
    MessageView {
        message: cid.clone(),
        to: message.to.clone(),
        from: message.from.clone(),
        nonce: message.nonce,
        value: message.value,
        method: message.method.clone(),
        params: message.params.iter().map(hex::encode).collect(),
        gas_price: signed.metered.gas_price,
        gas_limit: signed.metered.gas_limit,
        height: outcome.and_then(Outcome::mined_at),
        receipt: outcome.map(|outcome| receipt(cid, outcome)),
        exit_text: outcome.and_then(|outcome| meaning(state, &message.to, exit_code(outcome))),
    }
}

pub fn summary(state: &ChainState, cid: String, signed: &SignedMessage, outcome: Option<&Outcome>) -> MessageSummary {
    let message = signed.message();
    MessageSummary {
        message: cid,
        to: message.to.clone(),
        from: message.from.clone(),
        nonce: message.nonce,
        value: message.value,
        method: message.method.clone(),
        gas_price: signed.metered.gas_price,
        gas_limit: signed.metered.gas_limit,
        height: outcome.and_then(Outcome::mined_at),
        exit_code: outcome.map(exit_code),
        exit_text: outcome.and_then(|outcome| meaning(state, &message.to, exit_code(outcome))),
    }
}

pub fn block(block: &Block) -> BlockView {
    BlockView {
        height: block.height,
        block: block.cid().to_string(),
        parent: block.parent.to_string(),
        ticket: hex::encode(block.ticket.0),
        messages: block.messages.iter().map(ToString::to_string).collect(),
        state: hex::encode(block.state),
        time_ms: block.time_ms,
    }
}

pub fn pooled(state: &ChainState, waiting: &Waiting) -> PooledView {
    PooledView {
        message: summary(state, waiting.cid.to_string(), &waiting.message, None),
        since: waiting.since,
        expires: waiting.since.plus(MAX_WAIT),
        size: waiting.size as u64,
    }
}

pub fn preview(state: &ChainState, to: &Address, preview: &Preview) -> PreviewView {
    PreviewView {
        exit_text: meaning(state, to, preview.exit_code),
        gas: preview.gas_used,
        exit_code: preview.exit_code,
        error: preview.error.clone(),
        returns: preview.returns.iter().map(hex::encode).collect(),
    }
}

pub fn supply(state: &ChainState, faucet: &Address) -> SupplyView {
    let sum =
        |amounts: &mut dyn Iterator<Item = AttoFil>| AttoFil(amounts.fold(0, |sum: u128, a| sum.saturating_add(a.0)));
    let id = |number| state.balance(&Address::id(number));
    let (burnt, treasury) = (id(Address::BURNT_FUNDS), id(Address::NETWORK_TREASURY));
    let given = state.balance(faucet);
    let all = sum(&mut state.accounts.values().map(|account| account.balance));
    let apart = burnt.0.saturating_add(treasury.0).saturating_add(given.0);
    SupplyView {
        total: state.supply,
        burnt,
        treasury,
        faucet: given,
        channels: state.broker.balance,
        miners: sum(&mut state.miners.values().map(|miner| miner.balance)),
        collateral: sum(&mut state.miners.values().map(|miner| miner.active_collateral)),
        accounts: AttoFil(all.0.saturating_sub(apart)),
    }
}

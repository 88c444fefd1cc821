//! Accounts, the treasury (t01) and the burnt funds (t099): money without methods (spec §5.1).

use super::{code, no_such_actor, Invocation, Revert};
use crate::chain::address::Address;
use crate::chain::amount::AttoFil;
use crate::chain::state::{Account, ChainState, Table};
use alloc::format;

/// Accounts by address.
pub(super) type Accounts = Table<Address, Account>;

/// A message without a method: value goes to an account, which it may create, or to a miner as collateral. Money sent
/// to the other actors could never leave them and is refused.
pub(super) fn transfer(state: &mut ChainState, call: &Invocation) -> Result<(), Revert> {
    debit(state, &call.from, call.value)?;
    if let Some(miner) = state.miners.get_mut(&call.to) {
        return add(&mut miner.balance, call.value);
    }
    let singletons = [0, Address::STORAGE_MARKET, Address::PAYMENT_BROKER];
    if singletons.iter().any(|number| call.to == Address::id(*number)) {
        return Err(Revert::new(
            code::GENERIC,
            format!("{} takes money with its methods only", call.to),
        ));
    }
    if makes_account(state, &call.to) {
        pay_for_account(state, call)?;
    }
    credit(state, &call.to, call.value)
}

/// Whether money sent to this address makes an account.
pub(in crate::chain) fn makes_account(state: &ChainState, to: &Address) -> bool {
    to.can_sign() && !state.accounts.contains_key(to) && !state.miners.contains_key(to)
}

/// An account is kept for ever, so its sender pays for it: burnt.
fn pay_for_account(state: &mut ChainState, call: &Invocation) -> Result<(), Revert> {
    let price = state.policy.account_price;
    debit(state, &call.from, price).map_err(|_| {
        let text = format!(
            "{} is new, and a new account costs {price} FIL beside what is sent",
            call.to
        );
        Revert::new(code::INSUFFICIENT_BALANCE, text)
    })?;
    credit(state, &Address::id(Address::BURNT_FUNDS), price)
}

/// Takes money from an account.
pub(super) fn debit(state: &mut ChainState, from: &Address, value: AttoFil) -> Result<(), Revert> {
    if value.is_zero() {
        return Ok(());
    }
    let account = state.accounts.get_mut(from).ok_or_else(insufficient)?;
    account.balance = account.balance.checked_sub(value).ok_or_else(insufficient)?;
    Ok(())
}

/// Gives money to an account; only an account with a key comes into being by it, since nobody could sign for others.
pub(super) fn credit(state: &mut ChainState, to: &Address, value: AttoFil) -> Result<(), Revert> {
    if !state.accounts.contains_key(to) && !to.can_sign() {
        return Err(no_such_actor());
    }
    state.accounts.change(to, |account| add(&mut account.balance, value))
}

/// `balance + value`. The supply is fixed and far below what the type holds, so this cannot fail in a sound state.
pub(super) fn add(balance: &mut AttoFil, value: AttoFil) -> Result<(), Revert> {
    *balance = balance
        .checked_add(value)
        .ok_or_else(|| Revert::new(code::GENERIC, "the balance would overflow"))?;
    Ok(())
}

/// `balance - value` of an actor other than an account.
pub(super) fn take(balance: &mut AttoFil, value: AttoFil) -> Result<(), Revert> {
    *balance = balance.checked_sub(value).ok_or_else(insufficient)?;
    Ok(())
}

/// Moves up to `value` from an actor's balance to the burnt funds, t099, where nobody can take it from. Returns what it
/// moved.
pub(super) fn burn(accounts: &mut Accounts, balance: &mut AttoFil, value: AttoFil) -> AttoFil {
    let burnt = value.min(*balance);
    // Both sums are below the supply: neither can leave its range.
    accounts.change(&Address::id(Address::BURNT_FUNDS), |funds| {
        funds.balance.0 = funds.balance.0.saturating_add(burnt.0);
    });
    balance.0 = balance.0.saturating_sub(burnt.0);
    burnt
}

fn insufficient() -> Revert {
    Revert::new(code::INSUFFICIENT_BALANCE, "not enough balance")
}

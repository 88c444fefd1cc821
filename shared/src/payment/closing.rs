//! Closing a channel by both signatures, when its deal has come to nothing (design §9).
//!
//! The broker of 2019 has a call for it: `close` by the payee, with a voucher that the payer signed, pays the voucher and gives the
//! rest back in that block, where a cancellation takes [`CANCEL_DELAY`](crate::chain::policy::CANCEL_DELAY) blocks. After the miner has
//! said that there is no deal, the client offers it a voucher for the call's gas, and the miner closes. Drawn up by
//! [`crate::client::refunds`]; reviewed by the miner's daemon with [`review_closing`], which also sees to it that no deal that it has
//! taken is paid over the channel. A miner that does not answer costs nothing: the channel is cancelled and reclaimed as before.

use super::{ChannelFacts, PaymentVoucher};
use crate::chain::calls::{GAS_LIMIT, GAS_PRICE};
use crate::chain::{Address, AttoFil, ChannelId, Epoch, SecretKey};
use crate::wire::cbor::cbor_map;
use alloc::string::String;

/// What the payer offers for the miner's message: the most that its gas can cost.
pub const CLOSING_FEE: AttoFil = AttoFil(GAS_PRICE.0 * GAS_LIMIT as u128);
/// Blocks that the client waits for the miner's message before it cancels all the same: a message that is in no block after
/// ten rounds was dropped (spec §5.1), and is sent again.
pub const CLOSING_WAIT: u64 = 30;

/// Asks the payee to close the channel of a voucher.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseRequest {
    pub voucher: PaymentVoucher,
}
cbor_map!(CloseRequest { "voucher" => voucher });

/// What the payee says. The proof that it holds is on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseResponse {
    /// Whether its message is on the way to a block.
    pub closes: bool,
    /// Why not; empty when it is.
    pub message: String,
}
cbor_map!(CloseResponse { "closes" => closes, "message" => message });

/// The voucher with which `channel` of `payer` may be closed now: for the payee's gas beyond what it has taken. `key` is the payer's
/// own, or the channel's session key. `None` when the channel does not hold as much: nothing would come back.
pub fn closing_voucher(
    key: &SecretKey,
    payer: &Address,
    id: ChannelId,
    channel: &ChannelFacts,
) -> Option<PaymentVoucher> {
    let amount = channel.amount_redeemed.checked_add(CLOSING_FEE)?;
    let mut voucher = PaymentVoucher {
        channel: id,
        payer: payer.clone(),
        target: channel.target.clone(),
        amount,
        valid_at: Epoch(0),
        condition: None,
        signature: None,
    };
    voucher.signature = Some(key.sign(&voucher.payload()).0.to_vec().into());
    (amount < channel.amount).then_some(voucher)
}

/// Why a payee does not close a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClosingError {
    #[error("there is no such channel")]
    NoChannel,
    #[error("the channel pays {0}, not this miner")]
    Target(Address),
    #[error("the voucher has a condition, is not due, or was not signed by its payer or its channel's session key")]
    Voucher,
    #[error("the voucher pays {gain} FIL and the message costs {fee} FIL of gas")]
    Fee { gain: AttoFil, fee: AttoFil },
    #[error("the channel pays for a deal that this miner has taken")]
    Promised,
    #[error("the miner closes as many channels as it can just now")]
    Busy,
}

/// Whether `owner` may close the voucher's channel at `height` without a loss. Whether a deal is paid over it is for the caller to
/// find out.
pub fn review_closing(
    voucher: &PaymentVoucher,
    owner: &Address,
    channel: Option<&ChannelFacts>,
    height: Epoch,
) -> Result<(), ClosingError> {
    let channel = channel.ok_or(ClosingError::NoChannel)?;
    if channel.target != *owner || voucher.target != *owner {
        return Err(ClosingError::Target(channel.target.clone()));
    }
    if voucher.condition.is_some() || voucher.valid_at > height || !voucher.is_signed_for(channel.session.as_ref()) {
        return Err(ClosingError::Voucher);
    }
    let gain = voucher.amount.checked_sub(channel.amount_redeemed).unwrap_or_default();
    if gain < CLOSING_FEE || voucher.amount > channel.amount {
        let fee = CLOSING_FEE;
        return Err(ClosingError::Fee { gain, fee });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    const ID: ChannelId = ChannelId(9);

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).expect("a valid key")
    }

    fn owner() -> Address {
        Address::id(7)
    }

    fn channel() -> ChannelFacts {
        ChannelFacts {
            target: owner(),
            amount: AttoFil(1_000_000),
            amount_redeemed: AttoFil(20),
            eol: Epoch(5000),
            agreed_eol: Epoch(5000),
            session: None,
        }
    }

    fn voucher() -> PaymentVoucher {
        closing_voucher(&key(), &key().address(), ID, &channel()).expect("it holds enough")
    }

    fn review(change: impl FnOnce(&mut PaymentVoucher)) -> Result<(), ClosingError> {
        let mut voucher = voucher();
        change(&mut voucher);
        voucher.signature = Some(key().sign(&voucher.payload()).0.to_vec().into());
        review_closing(&voucher, &owner(), Some(&channel()), Epoch(100))
    }

    #[test]
    fn the_payers_voucher_pays_the_gas_of_the_payees_message_and_nothing_else() {
        assert_eq!(voucher().amount, AttoFil(20 + CLOSING_FEE.0));
        assert_eq!(review(|_| {}), Ok(()));
        let asked = CloseRequest { voucher: voucher() };
        assert_eq!(decode::<CloseRequest>(&encode(&asked)), Ok(asked));
        let mut poor = channel();
        poor.amount = AttoFil(20 + CLOSING_FEE.0);
        assert_eq!(
            closing_voucher(&key(), &key().address(), ID, &poor),
            None,
            "nothing would come back"
        );
    }

    #[test]
    fn a_payee_closes_only_its_own_channel_and_at_no_loss() {
        let stranger = Address::id(8);
        let closing = |owner: &Address, channel: Option<&ChannelFacts>| {
            review_closing(&voucher(), owner, channel, Epoch(100)).expect_err("refused")
        };
        assert_eq!(closing(&owner(), None), ClosingError::NoChannel);
        assert_eq!(closing(&stranger, Some(&channel())), ClosingError::Target(owner()));
        let (low, fee) = (review(|v| v.amount.0 -= 1), CLOSING_FEE);
        let gain = AttoFil(fee.0 - 1);
        assert_eq!(low, Err(ClosingError::Fee { gain, fee }));
        let more = review(|v| v.amount.0 = channel().amount.0 + 1);
        assert!(
            matches!(more, Err(ClosingError::Fee { .. })),
            "the broker would not pay it"
        );
    }

    #[test]
    fn the_session_key_that_the_channel_names_closes_it_for_the_payer() {
        let session = SecretKey::from_bytes(&[2; 32]).expect("a valid key");
        let voucher = closing_voucher(&session, &key().address(), ID, &channel()).expect("it holds enough");
        let review = |channel: &ChannelFacts| review_closing(&voucher, &owner(), Some(channel), Epoch(100));
        assert_eq!(review(&channel()), Err(ClosingError::Voucher));
        let named = ChannelFacts {
            session: Some(session.address()),
            ..channel()
        };
        assert_eq!(review(&named), Ok(()));
    }

    #[test]
    fn a_voucher_that_the_broker_would_not_pay_now_closes_nothing() {
        assert_eq!(review(|v| v.valid_at = Epoch(101)), Err(ClosingError::Voucher));
        let condition = super::super::Predicate {
            to: owner(),
            method: "no".into(),
            params: None,
        };
        assert_eq!(review(|v| v.condition = Some(condition)), Err(ClosingError::Voucher));
        let mut forged = voucher();
        forged.amount.0 += 1;
        let refused = review_closing(&forged, &owner(), Some(&channel()), Epoch(100));
        assert_eq!(refused, Err(ClosingError::Voucher));
    }
}

//! Calls of the payment broker (spec §5.2).

use super::Call;
use crate::chain::abi::{Abi, Parameters};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, ChannelId, Epoch};
use crate::chain::voucher::{PaymentVoucher, Predicate};
use crate::wire::cbor::Value;
use alloc::{vec, vec::Vec};

fn broker() -> Address {
    Address::id(Address::PAYMENT_BROKER)
}

/// Opens a channel that pays `target` until the height `eol`. Returns its id: [`super::channel_id`].
pub fn create_channel(target: &Address, eol: Epoch, amount: AttoFil) -> Call {
    Call::new(&broker(), "createChannel", vec![target.to_abi(), eol.to_abi()]).with_value(amount)
}

/// [`create_channel`] whose vouchers the session key signs in the sender's place ([`crate::chain::session`]).
pub fn create_channel_with_session(target: &Address, eol: Epoch, amount: AttoFil, session: &Address) -> Call {
    let mut call = create_channel(target, eol, amount);
    call.params.push(session.to_abi());
    call
}

/// Lengthens the sender's channel and adds money to it.
pub fn extend(channel: ChannelId, eol: Epoch, amount: AttoFil) -> Call {
    Call::new(&broker(), "extend", vec![channel.to_abi(), eol.to_abi()]).with_value(amount)
}

/// Asks for an unsigned voucher on the sender's channel: [`super::returns::voucher`].
pub fn voucher(channel: ChannelId, amount: AttoFil, valid_at: Epoch, condition: Option<&Predicate>) -> Call {
    let condition = condition.cloned().to_abi();
    Call::new(
        &broker(),
        "voucher",
        vec![channel.to_abi(), amount.to_abi(), valid_at.to_abi(), condition],
    )
}

/// The redeemer's parameters of a storage deal's condition: which sector, and the proof that the piece is in it.
pub fn inclusion_parameters(sector: u64, proof: &[u8]) -> Vec<Value> {
    vec![Value::Integer(sector.into()), Value::Bytes(proof.to_vec())]
}

/// Takes what `voucher` adds to what was redeemed before; `redeemer` completes its condition: [`inclusion_parameters`].
pub fn redeem(voucher: &PaymentVoucher, redeemer: Vec<Value>) -> Call {
    Call::new(&broker(), "redeem", claim(voucher, redeemer))
}

/// Redeems, and gives the rest back to the payer.
pub fn close(voucher: &PaymentVoucher, redeemer: Vec<Value>) -> Call {
    Call::new(&broker(), "close", claim(voucher, redeemer))
}

fn claim(voucher: &PaymentVoucher, redeemer: Vec<Value>) -> Vec<Vec<u8>> {
    vec![
        voucher.payer.to_abi(),
        voucher.channel.to_abi(),
        voucher.amount.to_abi(),
        voucher.valid_at.to_abi(),
        voucher.condition.to_abi(),
        voucher.signature.clone().unwrap_or_default().0,
        Parameters(redeemer).to_abi(),
    ]
}

/// Brings the end of the sender's channel near.
pub fn cancel(channel: ChannelId) -> Call {
    Call::new(&broker(), "cancel", vec![channel.to_abi()])
}

/// Takes back what is left in the sender's channel after its end.
pub fn reclaim(channel: ChannelId) -> Call {
    Call::new(&broker(), "reclaim", vec![channel.to_abi()])
}

/// Asks for the channels of a payer: [`super::returns::channels`].
pub fn channels(payer: &Address) -> Call {
    Call::new(&broker(), "ls", vec![payer.to_abi()])
}

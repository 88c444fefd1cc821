//! Session keys: who may sign for a payment channel beside its payer (design §8).
//!
//! A wallet asks its user for every signature, and a deal has dozens. So the message that opens a deal's channel, which the wallet
//! signs, may name a key: an ordinary secp256k1 address that the client holds. It signs in the payer's place
//!
//! - the channel's vouchers (the broker pays them, [`super::actors::broker`]) and the proposal that they belong to
//!   ([`crate::deal::review()`]), and so whatever else the deal's payer signs to its miner: uploads ([`crate::transfer::upload`]);
//! - the messages that bring the channel's rest back: `cancel` and `reclaim` of this channel, without value, at the usual price
//!   of gas at most. They pay the payer alone, so that the worst that a stolen key does with them is to end the channel
//!   ([`signs_message`], asked by [`super::validate`]).
//!
//! It owns nothing, and it holds as long as the channel does: with the channel the chain forgets it.

use super::abi::Abi;
use super::address::{Address, Protocol};
use super::amount::ChannelId;
use super::calls::{GAS_LIMIT, GAS_PRICE};
use super::keys::Signature;
use super::message::SignedMessage;
use super::state::ChainState;
use crate::wire::encode;

/// The messages that a session key sends for its payer.
const METHODS: [&str; 2] = ["cancel", "reclaim"];

/// Whether `address` can be a session key: it signs with secp256k1 over blake2b-256, as accounts of 2019 do.
pub fn can_be(address: &Address) -> bool {
    address.protocol() == Protocol::Secp256k1
}

/// Whether the payer signed `data`, or else the session key of the channel that it is about.
pub fn signs(signature: &Signature, data: &[u8], payer: &Address, session: Option<&Address>) -> bool {
    let signer = signature.signer(data);
    signer.is_some_and(|signer| signer == *payer || Some(&signer) == session)
}

/// Whether a message in its payer's name is one that a session key may sign, and did.
pub fn signs_message(state: &ChainState, signed: &SignedMessage) -> bool {
    let (metered, message) = (&signed.metered, signed.message());
    let is_refund = message.to == Address::id(Address::PAYMENT_BROKER) && METHODS.contains(&message.method.as_str());
    if !is_refund || !message.value.is_zero() || metered.gas_price > GAS_PRICE || metered.gas_limit > GAS_LIMIT {
        return false;
    }
    let [id] = message.params.as_slice() else {
        return false;
    };
    let channel = ChannelId::from_abi(id)
        .ok()
        .and_then(|id| state.channel(&message.from, id));
    let session = channel.and_then(|channel| channel.session.as_ref());
    session.is_some_and(|session| signed.signature.verifies(&encode(metered), session))
}

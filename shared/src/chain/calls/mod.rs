//! The chain's methods as a host calls them: typed parameters in, typed return values out (spec §1.9, §5).
//!
//! Called by both hosts. A [`Call`] becomes a message with [`Call::message`], which the sender's key signs, or is asked of
//! a state without a message. What comes back is read by [`returns`]; each builder names its reader.

mod broker;
mod miner;
pub mod returns;

pub use broker::*;
pub use miner::*;
pub use returns::{ask_id, channel_id, miner_address, ReturnError};

use super::abi::Abi;
use super::address::Address;
use super::amount::{AttoFil, BytesAmount};
use super::message::{Message, MeteredMessage};
use crate::piece::SectorSize;
use alloc::{string::String, vec, vec::Vec};

/// What the tools of 2019 offered for a unit of gas, in attoFIL.
pub const GAS_PRICE: AttoFil = AttoFil(1);
/// Gas that is enough for every method: the dearest uses 200 (spec §5.1).
pub const GAS_LIMIT: u64 = 300;

/// A call of an actor, without its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub to: Address,
    pub value: AttoFil,
    pub method: String,
    pub params: Vec<Vec<u8>>,
}

impl Call {
    fn new(to: &Address, method: &str, params: Vec<Vec<u8>>) -> Self {
        Self {
            to: to.clone(),
            value: AttoFil::ZERO,
            method: method.into(),
            params,
        }
    }

    /// The same call with money.
    pub fn with_value(self, value: AttoFil) -> Self {
        Self { value, ..self }
    }

    /// The call as the sender's message with this nonce, at the usual price and limit.
    pub fn message(self, from: &Address, nonce: u64) -> MeteredMessage {
        let Self {
            to,
            value,
            method,
            params,
        } = self;
        let message = Message {
            to,
            from: from.clone(),
            nonce,
            value,
            method,
            params,
        };
        MeteredMessage {
            message,
            gas_price: GAS_PRICE,
            gas_limit: GAS_LIMIT,
        }
    }
}

fn market() -> Address {
    Address::id(Address::STORAGE_MARKET)
}

/// Moves money to an account, or to a miner as free collateral.
pub fn transfer(to: &Address, value: AttoFil) -> Call {
    Call::new(to, "", Vec::new()).with_value(value)
}

/// Registers a miner of the sender; `peer_id` is the libp2p peer id's bytes. Returns its address: [`miner_address`].
pub fn create_storage_miner(sector_size: SectorSize, peer_id: &[u8], collateral: AttoFil) -> Call {
    let params = vec![BytesAmount(sector_size.bytes()).to_abi(), peer_id.to_vec()];
    Call::new(&market(), "createStorageMiner", params).with_value(collateral)
}

/// Asks for a method's value that needs no parameters, such as `getOwner`.
pub fn read(actor: &Address, method: &str) -> Call {
    Call::new(actor, method, Vec::new())
}

/// Asks for the network's name: [`returns::network`].
pub fn network() -> Call {
    read(&Address::id(Address::INIT), "getNetwork")
}

/// Asks for the bytes of all proven sectors: [`returns::size`].
pub fn total_storage() -> Call {
    read(&market(), "getTotalStorage")
}

/// Asks whether proofs are verified: [`returns::proofs_mode`].
pub fn proofs_mode() -> Call {
    read(&market(), "getProofsMode")
}

/// Asks for the miners that missed a proof and its grace: [`returns::late_miners`].
pub fn late_miners() -> Call {
    read(&market(), "getLateMiners")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::amount::{ChannelId, Epoch};
    use crate::chain::message::encode_params;
    use crate::chain::state::PaymentChannel;
    use crate::chain::voucher::PaymentVoucher;
    use crate::chain::SecretKey;
    use crate::piece::Commitment;
    use crate::wire::cbor::Bytes;

    fn address(byte: u8) -> Address {
        SecretKey::from_bytes(&[byte; 32]).unwrap().address()
    }

    fn abi(call: &Call) -> String {
        hex::encode(encode_params(&call.params))
    }

    #[test]
    fn parameters_match_the_vectors() {
        let channel = create_channel(&address(2), Epoch(5273), AttoFil(1));
        assert_eq!(abi(&channel), "825501e45549f96a2d188deda9ffbb3e2968d33e086263429929");
        let voucher = voucher(ChannelId(9), AttoFil(2_000_000), Epoch(1773), None);
        assert_eq!(abi(&voucher), "844109448089fa0042ed0d41f6");
        let fil = AttoFil::from_fil(20);
        assert_eq!(abi(&add_ask(&address(2), fil, 10)), "824a8080c09e91c191c79502410a");
        assert_eq!(abi(&ask(&address(2), 0)), "8140");
    }

    #[test]
    fn a_redemption_matches_the_vector() {
        let signature = "63c4c63d8b7794856181d06ce5d2ddcb6992ec89c80d6fb242973fb732f9636621a53c010ff5abc5246761e6d264\
                         36e101d7bcb380f82ba87931d94a5e58ef6a01";
        let voucher = PaymentVoucher {
            channel: ChannelId(9),
            payer: address(1),
            target: address(2),
            amount: AttoFil(5_000_000),
            valid_at: Epoch(3273),
            condition: None,
            signature: Some(Bytes(hex::decode(signature).unwrap())),
        };
        assert!(voucher.is_signed_by(&address(1)));
        let expected =
            alloc::format!("87550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05410944c096b10242c91941f65841{signature}4180");
        assert_eq!(abi(&redeem(&voucher, vec![])), expected);
        assert_eq!(redeem(&voucher, vec![]).params, close(&voucher, vec![]).params);
    }

    #[test]
    fn an_inclusion_call_matches_the_vector() {
        let comm_p = Commitment(core::array::from_fn(|i| i as u8));
        let call = verify_piece_inclusion(&address(2), &comm_p, BytesAmount(1000), 1, &[0; 8]);
        let expected =
            "845820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f42e8074101480000000000000000";
        assert_eq!(abi(&call), expected);
    }

    #[test]
    fn a_channels_cbor_matches_the_vector() {
        let channel = PaymentChannel {
            target: address(2),
            amount: AttoFil(5_000_000),
            amount_redeemed: AttoFil::ZERO,
            agreed_eol: Epoch(5273),
            condition: None,
            eol: Epoch(5273),
            redeemed: false,
            session: None,
        };
        let expected = "a763656f6c42992966616d6f756e7444c096b102667461726765745501e45549f96a2d188deda9ffbb3e2968d33e08\
                        62636872656465656d6564f469616772656564456f6c42992969636f6e646974696f6ef66e616d6f756e7452656465\
                        656d65644100";
        assert_eq!(hex::encode(crate::wire::encode(&channel)), expected);
    }
}

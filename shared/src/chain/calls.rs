//! The chain's methods as a host calls them: typed parameters in, typed return values out (spec §1.9, §5).
//!
//! Called by both hosts. A [`Call`] becomes a message with [`Call::message`], which the sender's key signs.

use super::abi::{Abi, Integer, Parameters, SectorNumber};
use super::address::Address;
use super::amount::{AttoFil, BytesAmount, ChannelId, Epoch};
use super::faults::{FaultSet, IntSet};
use super::message::{Message, MeteredMessage, Receipt};
use crate::payment::{PaymentVoucher, Predicate};
use crate::piece::{Commitment, SectorSize};
use crate::wire::cbor::{Bytes, DecodeError, Value};
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

    /// The call as the sender's message number `nonce`, at the usual price and limit.
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

fn broker() -> Address {
    Address::id(Address::PAYMENT_BROKER)
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

/// Offers storage at `price` attoFIL for a byte in a block, for the next `expiry` blocks. Returns its id: [`ask_id`].
pub fn add_ask(miner: &Address, price: AttoFil, expiry: u64) -> Call {
    Call::new(miner, "addAsk", vec![price.to_abi(), Integer(expiry).to_abi()])
}

/// Asks for one ask.
pub fn ask(miner: &Address, id: u64) -> Call {
    Call::new(miner, "getAsk", vec![Integer(id).to_abi()])
}

/// Asks for a method's value that needs no parameters, such as `getOwner`.
pub fn read(actor: &Address, method: &str) -> Call {
    Call::new(actor, method, Vec::new())
}

/// Names another libp2p host for the miner; from its worker.
pub fn update_peer_id(miner: &Address, peer_id: &[u8]) -> Call {
    Call::new(miner, "updatePeerID", vec![peer_id.to_vec()])
}

/// Names another worker for the miner; from its owner.
pub fn change_worker(miner: &Address, worker: &Address) -> Call {
    Call::new(miner, "changeWorker", vec![worker.to_abi()])
}

/// Announces a replica before its seed is known (design §6); `ticket` is the height its ticket was drawn at. Locks
/// [`super::Policy::pre_commit_deposit`] of the miner's free money; value sent along (with [`Call::with_value`]) becomes
/// free money first.
pub fn pre_commit_sector(miner: &Address, id: u64, comm_d: &Commitment, comm_r: &Commitment, ticket: Epoch) -> Call {
    let params = vec![
        SectorNumber(id).to_abi(),
        comm_d.to_abi(),
        comm_r.to_abi(),
        ticket.to_abi(),
    ];
    Call::new(miner, "preCommitSector", params)
}

/// Commits a pre-committed sector with its seal proof.
pub fn commit_sector(
    miner: &Address,
    id: u64,
    comm_d: &Commitment,
    comm_r: &Commitment,
    comm_r_star: &Commitment,
    proof: &[u8],
) -> Call {
    let mut params = vec![SectorNumber(id).to_abi()];
    params.extend([comm_d, comm_r, comm_r_star].map(Abi::to_abi));
    params.push(proof.to_vec());
    Call::new(miner, "commitSector", params)
}

/// Proves all sectors of the proving set; `fee` is what [`late_fee`] asks, 0 when on time.
pub fn submit_post(miner: &Address, proof: &[u8], fee: AttoFil) -> Call {
    submit_post_without(miner, proof, &FaultSet::default(), &IntSet::default(), fee)
}

/// As [`submit_post`]; the proof leaves out the sectors in `faults`, which are dropped and lose their collateral, and
/// those in `done` are dropped after this proof and set their collateral free.
pub fn submit_post_without(miner: &Address, proof: &[u8], faults: &FaultSet, done: &IntSet, fee: AttoFil) -> Call {
    let params = vec![proof.to_vec(), faults.to_abi(), done.to_abi()];
    Call::new(miner, "submitPoSt", params).with_value(fee)
}

/// Declares sectors faulty for now: they lose their power, and before the window opens they leave its proof.
pub fn add_faults(miner: &Address, faults: &FaultSet) -> Call {
    Call::new(miner, "addFaults", vec![faults.to_abi()])
}

/// Says that faulty sectors can be proven again; the next proof must cover them.
pub fn recover_faults(miner: &Address, sectors: &IntSet) -> Call {
    Call::new(miner, "recoverFaults", vec![sectors.to_abi()])
}

/// Begins a new proving period after one was missed; burns the collateral of one slash from the miner's free money and
/// `value`. After a slash it costs nothing.
pub fn restart_proving(miner: &Address, value: AttoFil) -> Call {
    Call::new(miner, "restartProving", Vec::new()).with_value(value)
}

/// Asks what a proof at `height` costs.
pub fn late_fee(miner: &Address, height: Epoch) -> Call {
    Call::new(miner, "calculateLateFee", vec![height.to_abi()])
}

/// Takes a miner's power away that missed a proof and its grace.
pub fn slash_storage_fault(miner: &Address) -> Call {
    Call::new(miner, "slashStorageFault", Vec::new())
}

/// Asks whether a piece lies in a sector of the miner.
pub fn verify_piece_inclusion(
    miner: &Address,
    comm_p: &Commitment,
    size: BytesAmount,
    sector: u64,
    proof: &[u8],
) -> Call {
    let params = vec![
        comm_p.to_abi(),
        size.to_abi(),
        SectorNumber(sector).to_abi(),
        proof.to_vec(),
    ];
    Call::new(miner, "verifyPieceInclusion", params)
}

/// Opens a channel that pays `target` until the height `eol`. Returns its id: [`channel_id`].
pub fn create_channel(target: &Address, eol: Epoch, amount: AttoFil) -> Call {
    Call::new(&broker(), "createChannel", vec![target.to_abi(), eol.to_abi()]).with_value(amount)
}

/// Lengthens the sender's channel and adds money to it.
pub fn extend(channel: ChannelId, eol: Epoch, amount: AttoFil) -> Call {
    Call::new(&broker(), "extend", vec![channel.to_abi(), eol.to_abi()]).with_value(amount)
}

/// Asks for an unsigned voucher on the sender's channel.
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

/// Asks for the channels of a payer.
pub fn channels(payer: &Address) -> Call {
    Call::new(&broker(), "ls", vec![payer.to_abi()])
}

/// Why a receipt does not hold what its message was to return.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReturnError {
    #[error("the message failed with exit code {code}: {text}")]
    Failed { code: u64, text: String },
    #[error("the receipt holds no return value")]
    Missing,
    #[error("the receipt's return value is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

fn first<T: Abi>(receipt: &Receipt) -> Result<T, ReturnError> {
    if !receipt.is_ok() {
        return Err(ReturnError::Failed {
            code: receipt.exit_code,
            text: receipt.error.clone(),
        });
    }
    let Bytes(value) = receipt.returns.first().ok_or(ReturnError::Missing)?;
    Ok(T::from_abi(value)?)
}

/// The id of the channel that a [`create_channel`] opened.
pub fn channel_id(receipt: &Receipt) -> Result<ChannelId, ReturnError> {
    first(receipt)
}

/// The address of the miner that a [`create_storage_miner`] registered.
pub fn miner_address(receipt: &Receipt) -> Result<Address, ReturnError> {
    first(receipt)
}

/// The id of the ask that an [`add_ask`] made.
pub fn ask_id(receipt: &Receipt) -> Result<u64, ReturnError> {
    first::<Integer>(receipt).map(|id| id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::message::encode_params;
    use crate::chain::state::PaymentChannel;
    use crate::chain::SecretKey;

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
        };
        let expected = "a763656f6c42992966616d6f756e7444c096b102667461726765745501e45549f96a2d188deda9ffbb3e2968d33e08\
                        62636872656465656d6564f469616772656564456f6c42992969636f6e646974696f6ef66e616d6f756e7452656465\
                        656d65644100";
        assert_eq!(hex::encode(crate::wire::encode(&channel)), expected);
    }
}

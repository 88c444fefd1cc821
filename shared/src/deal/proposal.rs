//! The proposal that a client signs (spec §1.7). The id of a deal is the CID of the whole signed proposal.

use crate::chain::address::MaybeAddress;
use crate::chain::{cid_of, Address, AttoFil, BytesAmount, ChannelId, SecretKey, Signature};
use crate::payment::PaymentVoucher;
use crate::wire::cbor::{cbor_map, map, Cbor, DecodeError, Fields, Value};
use crate::wire::encode;
use alloc::{vec, vec::Vec};
use cid::Cid;

/// How a deal is paid for. A free deal has a payer (who signs) and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct PaymentInfo {
    pub payer: Address,
    /// The payment broker, or undefined in a free deal.
    pub pay_ch_actor: MaybeAddress,
    pub channel: Option<ChannelId>,
    /// The createChannel message.
    pub channel_msg_cid: Option<Cid>,
    pub vouchers: Option<Vec<PaymentVoucher>>,
}
cbor_map!(PaymentInfo {
    "payer" => payer, "channel" => channel, "vouchers" => vouchers, "payChActor" => pay_ch_actor,
    "channelMsgCid" => channel_msg_cid,
});

/// What a client asks a miner to store, and at which price.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Root of the piece's UnixFS DAG.
    pub piece_ref: Cid,
    /// Unpadded bytes of the piece.
    pub size: Option<BytesAmount>,
    /// attoFIL for the entire deal.
    pub total_price: AttoFil,
    /// Blocks.
    pub duration: u64,
    pub miner_address: Address,
    pub payment: PaymentInfo,
}

/// A proposal with its payer's signature.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedProposal {
    pub proposal: Proposal,
    pub signature: Signature,
}

const PROPOSAL_KEYS: [&str; 6] = ["size", "payment", "duration", "pieceRef", "totalPrice", "minerAddress"];

impl Proposal {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("size", self.size.to_value()),
            ("payment", self.payment.to_value()),
            ("duration", self.duration.to_value()),
            ("pieceRef", self.piece_ref.to_value()),
            ("totalPrice", self.total_price.to_value()),
            ("minerAddress", self.miner_address.to_value()),
        ]
    }

    fn take(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            size: fields.take("size")?,
            payment: fields.take("payment")?,
            duration: fields.take("duration")?,
            piece_ref: fields.take("pieceRef")?,
            total_price: fields.take("totalPrice")?,
            miner_address: fields.take("minerAddress")?,
        })
    }

    /// Whether nothing is paid for the deal, whatever price it names.
    pub fn is_free(&self) -> bool {
        self.total_price.is_zero() || self.payment.vouchers.as_ref().is_none_or(Vec::is_empty)
    }

    /// Signs the proposal as its payer.
    pub fn sign(self, key: &SecretKey) -> SignedProposal {
        let signature = key.sign(&encode(&self));
        SignedProposal {
            proposal: self,
            signature,
        }
    }
}

impl Cbor for Proposal {
    fn to_value(&self) -> Value {
        map(self.fields())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Self::take(&mut Fields::open(value, "Proposal", &PROPOSAL_KEYS)?)
    }
}

impl Cbor for SignedProposal {
    fn to_value(&self) -> Value {
        let mut fields = self.proposal.fields();
        fields.push(("signature", self.signature.to_value()));
        map(fields)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let keys: Vec<&str> = PROPOSAL_KEYS.iter().copied().chain(["signature"]).collect();
        let mut fields = Fields::open(value, "SignedProposal", &keys)?;
        Ok(Self {
            proposal: Proposal::take(&mut fields)?,
            signature: fields.take("signature")?,
        })
    }
}

impl SignedProposal {
    /// The deal's id.
    pub fn cid(&self) -> Cid {
        cid_of(self)
    }

    /// Whether the payer signed exactly this proposal.
    pub fn signature_is_valid(&self) -> bool {
        self.signature
            .verifies(&encode(&self.proposal), &self.proposal.payment.payer)
    }

    /// The account whose key signed the proposal: its payer's, or the session key of its channel.
    pub fn signer(&self) -> Option<Address> {
        self.signature.signer(&encode(&self.proposal))
    }

    /// The key that signed the proposal and its first voucher, when it is not the payer's: the session key of the deal's channel,
    /// if that names it ([`crate::chain::session`]). A damaged signature has no such key.
    pub fn session_key(&self) -> Option<Address> {
        let first = self.proposal.payment.vouchers.as_ref().and_then(|all| all.first());
        let signer = self.signer().filter(|signer| *signer != self.proposal.payment.payer)?;
        (first?.signer()? == signer).then_some(signer)
    }

    /// Unpadded bytes of the piece; 0 when the proposal names none.
    pub fn size(&self) -> u64 {
        self.proposal.size.map_or(0, |size| size.0)
    }
}

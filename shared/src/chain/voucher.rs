//! Vouchers: a payer's signed promise of a cumulative amount, from a height on, under a condition (spec §1.7, §1.8).
//!
//! The broker actor pays them out, and a miner actor judges their conditions; which vouchers a deal has and when they are
//! redeemed is decided in [`crate::payment`].

use super::{Address, AttoFil, BytesAmount, ChannelId, Epoch, Signature};
use crate::piece::Commitment;
use crate::wire::cbor::{cbor_map, Bytes, DecodeError, Value};
use crate::wire::encode;
use alloc::{string::String, vec, vec::Vec};

/// The miner actor's method that a storage deal's vouchers are conditional on.
pub const CONDITION_METHOD: &str = "verifyPieceInclusion";

/// A call that must succeed before the voucher pays: the redeemer's own parameters are appended to `params`.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    pub to: Address,
    pub method: String,
    pub params: Option<Vec<Value>>,
}
cbor_map!(Predicate { "to" => to, "method" => method, "params" => params });

/// A voucher; `amount` is cumulative over the channel.
#[derive(Debug, Clone, PartialEq)]
pub struct PaymentVoucher {
    pub channel: ChannelId,
    pub payer: Address,
    pub target: Address,
    pub amount: AttoFil,
    /// First height at which it may be redeemed.
    pub valid_at: Epoch,
    pub condition: Option<Predicate>,
    /// `None` until the payer has signed.
    pub signature: Option<Bytes>,
}
cbor_map!(PaymentVoucher {
    "payer" => payer, "amount" => amount, "target" => target, "channel" => channel, "validAt" => valid_at,
    "condition" => condition, "signature" => signature,
});

/// Why a voucher's condition is not the one that this deal calls for (spec §3.5, texts as there).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("voucher condition addressed to {found}, should be {expected}")]
    Address { found: Address, expected: Address },
    #[error("payment condition method, {found}, should be {CONDITION_METHOD}")]
    Method { found: String },
    #[error("payment condition does not contain exactly 2 parameters")]
    ParameterCount,
    #[error("piece commitment is not a CommP")]
    NotACommitment,
    #[error("piece commitment, {expected} does not match payment condition commitment: {found}")]
    Commitment { expected: Commitment, found: Commitment },
    #[error("piece size is not a bytes amount")]
    NotASize,
    #[error("piece size, {expected},  does not match piece size supplied in payment condition: {found}")]
    Size { expected: BytesAmount, found: BytesAmount },
}

impl Predicate {
    /// The condition of a storage deal: `miner` proves that the piece lies in one of its sectors.
    pub fn piece_inclusion(miner: &Address, comm_p: &Commitment, size: BytesAmount) -> Self {
        let params = vec![Value::Bytes(comm_p.0.to_vec()), Value::Bytes(size.to_bytes())];
        Self {
            to: miner.clone(),
            method: CONDITION_METHOD.into(),
            params: Some(params),
        }
    }

    /// The piece that this condition speaks of; refuses a condition that is not one of `miner`'s deals.
    pub fn commitment(&self, miner: &Address) -> Result<Commitment, ConditionError> {
        self.parameters(miner).map(|(commitment, _)| commitment)
    }

    /// Checks that this is [`Predicate::piece_inclusion`] of the deal at hand (spec §3.5, in its order).
    pub fn check(&self, miner: &Address, comm_p: &Commitment, size: BytesAmount) -> Result<(), ConditionError> {
        let (found, amount) = self.parameters(miner)?;
        if found != *comm_p {
            return Err(ConditionError::Commitment {
                expected: *comm_p,
                found,
            });
        }
        let bytes = amount.as_bytes().ok_or(ConditionError::NotASize)?;
        let found = BytesAmount::from_bytes(bytes).map_err(|_| ConditionError::NotASize)?;
        if found != size {
            return Err(ConditionError::Size { expected: size, found });
        }
        Ok(())
    }

    /// The commitment and the still unread size of a condition that asks `miner` for a piece's inclusion.
    fn parameters(&self, miner: &Address) -> Result<(Commitment, &Value), ConditionError> {
        if self.to != *miner {
            return Err(ConditionError::Address {
                found: self.to.clone(),
                expected: miner.clone(),
            });
        }
        if self.method != CONDITION_METHOD {
            return Err(ConditionError::Method {
                found: self.method.chars().take(64).collect(),
            });
        }
        let Some([commitment, size]) = self.params.as_deref() else {
            return Err(ConditionError::ParameterCount);
        };
        let bytes = commitment.as_bytes().ok_or(ConditionError::NotACommitment)?;
        let found = bytes
            .as_slice()
            .try_into()
            .map(Commitment)
            .map_err(|_| ConditionError::NotACommitment)?;
        Ok((found, size))
    }
}

impl PaymentVoucher {
    /// The bytes that the payer signs (spec §1.8). Payer, target, broker and network are not bound by them.
    pub fn payload(&self) -> Vec<u8> {
        payload(self.channel, self.amount, self.valid_at, self.condition.as_ref())
    }

    /// Whether `payer` signed this voucher's channel, amount, height and condition.
    pub fn is_signed_by(&self, payer: &Address) -> bool {
        self.signer().is_some_and(|signer| signer == *payer)
    }

    /// Whether its payer signed it, or else the session key of its channel ([`super::session`]).
    pub fn is_signed_for(&self, session: Option<&Address>) -> bool {
        let signer = self.signer();
        signer.is_some_and(|signer| signer == self.payer || Some(&signer) == session)
    }

    /// The account whose key signed it, if one did.
    pub fn signer(&self) -> Option<Address> {
        let bytes = self.signature.as_ref()?.0.as_slice();
        Signature(bytes.try_into().ok()?).signer(&self.payload())
    }
}

/// Signed bytes of a voucher, from its parts: the broker actor gets them as message parameters.
pub fn payload(channel: ChannelId, amount: AttoFil, valid_at: Epoch, condition: Option<&Predicate>) -> Vec<u8> {
    let mut out = channel.to_bytes();
    out.push(0);
    out.extend_from_slice(&amount.to_bytes());
    out.push(0);
    if let Some(condition) = condition {
        out.extend_from_slice(&condition.to.to_bytes());
        out.extend_from_slice(condition.method.as_bytes());
        if let Some(params) = condition.params.as_ref().filter(|params| !params.is_empty()) {
            out.extend_from_slice(&encode_parameters(params));
        }
    }
    out.extend_from_slice(&valid_at.to_bytes());
    out
}

/// The ABI form of a condition's parameters: an array of byte strings, each one parameter serialised (spec §1.9).
pub fn encode_parameters(params: &[Value]) -> Vec<u8> {
    encode(&params.iter().map(|param| Bytes(abi_bytes(param))).collect::<Vec<_>>())
}

fn abi_bytes(param: &Value) -> Vec<u8> {
    match param {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Text(text) => text.as_bytes().to_vec(),
        Value::Integer(integer) => match u64::try_from(*integer) {
            Ok(number) => crate::wire::leb128::unsigned(number),
            Err(_) => crate::wire::cbor::encode_value(param),
        },
        Value::Bool(flag) => vec![u8::from(*flag)],
        other => crate::wire::cbor::encode_value(other),
    }
}

/// A voucher as text: base58btc multibase of its CBOR (spec §1.7).
pub fn to_text(voucher: &PaymentVoucher) -> String {
    cid::multibase::encode(cid::multibase::Base::Base58Btc, encode(voucher))
}

/// The inverse of [`to_text`].
pub fn from_text(text: &str) -> Result<PaymentVoucher, DecodeError> {
    let (_, bytes) =
        cid::multibase::decode(text).map_err(|_| DecodeError::invalid("voucher", "voucher could not be decoded"))?;
    crate::wire::decode(&bytes)
        .map_err(|_| DecodeError::invalid("voucher", "voucher string could not be decoded into voucher"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMM_P: Commitment = Commitment([7; 32]);
    const SIZE: BytesAmount = BytesAmount(1000);

    fn miner() -> Address {
        Address::id(1000)
    }

    fn condition() -> Predicate {
        Predicate::piece_inclusion(&miner(), &COMM_P, SIZE)
    }

    fn refused(change: impl FnOnce(&mut Predicate)) -> Option<ConditionError> {
        let mut condition = condition();
        change(&mut condition);
        condition.check(&miner(), &COMM_P, SIZE).err()
    }

    fn params(condition: &mut Predicate) -> &mut Vec<Value> {
        condition.params.as_mut().expect("two of them")
    }

    /// spec §9.21 (null conditions are passed over by who checks a deal's vouchers)
    #[test]
    fn a_condition_is_checked_field_by_field() {
        assert_eq!(refused(|_| {}), None);
        let again: Predicate = crate::wire::decode(&encode(&condition())).expect("canonical");
        assert_eq!(again.check(&miner(), &COMM_P, SIZE), Ok(()));
        let (found, expected) = (Address::id(5), miner());
        assert_eq!(
            refused(|c| c.to = Address::id(5)),
            Some(ConditionError::Address { found, expected })
        );
        let found = "somethingElse".into();
        assert_eq!(
            refused(|c| c.method = "somethingElse".into()),
            Some(ConditionError::Method { found })
        );
        for count in [None, Some(0), Some(1), Some(3)] {
            let values = |count| alloc::vec![Value::Null; count];
            let error = refused(|c| c.params = count.map(values));
            assert_eq!(error, Some(ConditionError::ParameterCount), "{count:?}");
        }
        let (expected, found) = (COMM_P, Commitment([8; 32]));
        assert_eq!(
            refused(|c| params(c)[0] = Value::Bytes([8; 32].to_vec())),
            Some(ConditionError::Commitment { expected, found })
        );
        for wrong in [Value::Text("x".into()), Value::Bytes([7; 31].to_vec())] {
            let error = refused(|c| params(c)[0] = wrong);
            assert_eq!(error, Some(ConditionError::NotACommitment));
        }
        let (expected, found) = (SIZE, BytesAmount(1001));
        assert_eq!(
            refused(|c| params(c)[1] = Value::Bytes(found.to_bytes())),
            Some(ConditionError::Size { expected, found })
        );
        for wrong in [Value::Integer(1000.into()), Value::Bytes([0x80].to_vec())] {
            assert_eq!(refused(|c| params(c)[1] = wrong), Some(ConditionError::NotASize));
        }
    }

    #[test]
    fn text_that_is_no_voucher_is_refused_with_the_reason() {
        let text = |text: &str| from_text(text).expect_err("no voucher").to_string();
        use alloc::string::ToString;
        assert_eq!(text("l0O"), "voucher: voucher could not be decoded");
        assert_eq!(text(""), "voucher: voucher could not be decoded");
        let other = cid::multibase::encode(cid::multibase::Base::Base58Btc, [0xa0]);
        let undecodable = "voucher: voucher string could not be decoded into voucher";
        assert_eq!(text(&other), undecodable);
    }
}

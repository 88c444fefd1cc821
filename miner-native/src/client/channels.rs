//! Payment channels without a deal (spec §6.5): opened, listed, paid from by vouchers, redeemed, and ended by hand.
//!
//! Called by `sealdrop paych`. The channels of deals are opened by [`shared::client`], and taken back by it.

use super::account::Account;
use super::error::ClientError;
use sealdrop_miner::chain_access::ChainAccess;
use serde::Serialize;
use shared::chain::calls;
use shared::chain::state::PaymentChannel;
use shared::chain::{Address, AttoFil, ChannelId, Epoch};
use shared::payment::{voucher, PaymentVoucher};
use shared::wire::cbor::{Cbor, DecodeError, Value};

/// A channel as `paych ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    pub id: ChannelId,
    pub target: Address,
    /// FIL that was paid in.
    pub amount: AttoFil,
    /// FIL that the target has taken.
    pub amount_redeemed: AttoFil,
    /// First height at which nothing can be redeemed any more.
    pub eol: Epoch,
    /// The end that payer and payee agreed on; later than `eol` after a cancel.
    pub agreed_eol: Epoch,
}

impl std::fmt::Display for Channel {
    /// As the tools of 2019 printed it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            id,
            target,
            amount,
            amount_redeemed,
            eol,
            ..
        } = self;
        write!(
            f,
            "{id}: target: {target}, amt: {amount}, amt redeemed: {amount_redeemed}, eol: {eol}"
        )
    }
}

/// The channels that `payer` has open, by their ids.
pub async fn list(chain: &ChainAccess, payer: &Address) -> Result<Vec<Channel>, ClientError> {
    let returned = chain.ask(&calls::channels(payer)).await.map_err(ClientError::chain)?;
    let malformed = |e: DecodeError| ClientError::ChainAnswer {
        what: "the payer's channels",
        reason: e.to_string(),
    };
    let bytes = returned.first().map(Vec::as_slice).unwrap_or_default();
    let mut channels = channels_of(bytes).map_err(malformed)?;
    channels.sort_by_key(|channel| channel.id);
    Ok(channels)
}

/// Reads the broker's answer: a map from decimal ids to channels.
fn channels_of(bytes: &[u8]) -> Result<Vec<Channel>, DecodeError> {
    let Value::Map(entries) = shared::wire::decode::<Value>(bytes)? else {
        return Err(DecodeError::Type { expected: "a map" });
    };
    let channel = |(key, value): (Value, Value)| {
        let id = String::from_value(key)?;
        let id = id.parse().map_err(|_| DecodeError::invalid("channel id", id))?;
        let channel = PaymentChannel::from_value(value)?;
        Ok(Channel {
            id: ChannelId(id),
            target: channel.target,
            amount: channel.amount,
            amount_redeemed: channel.amount_redeemed,
            eol: channel.eol,
            agreed_eol: channel.agreed_eol,
        })
    };
    entries.into_iter().map(channel).collect()
}

/// Draws up a voucher on a channel of the account and signs it; the broker says whether the channel covers it.
pub async fn sign_voucher(
    account: &Account,
    chain: &ChainAccess,
    channel: ChannelId,
    amount: AttoFil,
    valid_at: Epoch,
) -> Result<PaymentVoucher, ClientError> {
    let call = calls::voucher(channel, amount, valid_at, None);
    let returned = chain.ask(&call).await.map_err(ClientError::chain)?;
    let bytes = returned.first().map(Vec::as_slice).unwrap_or_default();
    let unsigned: Result<PaymentVoucher, DecodeError> = shared::wire::decode(bytes);
    let mut voucher = unsigned.map_err(|e| ClientError::ChainAnswer {
        what: "the voucher",
        reason: e.to_string(),
    })?;
    // What is signed is what was asked for, whatever the endpoint answered.
    (voucher.channel, voucher.amount, voucher.valid_at) = (channel, amount, valid_at);
    (voucher.payer, voucher.condition) = (account.address(), None);
    voucher.signature = Some(account.key().sign(&voucher.payload()).0.to_vec().into());
    Ok(voucher)
}

/// Reads a voucher's text, with the texts of 2019 for what is none.
pub fn voucher_of(text: &str) -> Result<PaymentVoucher, ClientError> {
    voucher::from_text(text.trim()).map_err(|e| ClientError::VoucherText { reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::chain::SecretKey;
    use shared::wire::cbor::encode_value;

    #[test]
    fn a_channel_is_listed_with_target_amounts_and_end() {
        let target = SecretKey::from_bytes(&[2; 32])
            .expect("a small number is a key")
            .address();
        let channel = PaymentChannel {
            target: target.clone(),
            amount: AttoFil::from_fil(1000),
            amount_redeemed: AttoFil::from_fil(100),
            agreed_eol: Epoch(20_000),
            condition: None,
            eol: Epoch(10_100),
            redeemed: true,
            session: None,
        };
        let entries = vec![(Value::Text("7".into()), channel.to_value())];
        let listed = channels_of(&encode_value(&Value::Map(entries))).expect("it is a map of channels");
        let expected = format!("7: target: {target}, amt: 1000, amt redeemed: 100, eol: 10100");
        assert_eq!(listed.iter().map(Channel::to_string).collect::<Vec<_>>(), [expected]);
        assert_eq!(channels_of(&[0xa0]), Ok(Vec::new()));
        assert!(channels_of(&[]).is_err());
    }
}

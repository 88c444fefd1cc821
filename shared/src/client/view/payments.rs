//! What a deal pays, and how vouchers of anybody stand, as the chain has it (spec §1.7, §3.7).

use super::super::record::DealRecord;
use crate::chain::view::ChannelView;
use crate::chain::{Address, AttoFil, ChannelId, Epoch};
use crate::payment::standing::{due_by, VoucherStanding};
use crate::payment::{voucher, ChannelFacts, PaymentVoucher};
use crate::ports::Chain;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// Channels that the vouchers of one text may speak of: each is asked for.
pub const MAX_CHANNELS: usize = 32;

/// A payer's signed promise to pay.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Voucher {
    pub payer: Address,
    /// Who is paid.
    pub target: Address,
    /// Id of the payer's channel that it is paid from.
    pub channel: ChannelId,
    /// FIL, cumulative over the channel: redeeming a voucher pays what it exceeds the last redeemed one by.
    pub amount: AttoFil,
    /// First height at which it may be redeemed.
    pub valid_at: Epoch,
    /// Whether the payee must show on the chain that it stores the file.
    pub conditional: bool,
    pub state: VoucherStanding,
    /// Its text form (`z…`), which `sealdrop` and `importVouchers` read.
    pub text: String,
}

/// How a payment channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ChannelState {
    Open,
    /// Its payer cancelled it, and it has not ended.
    Cancelled,
    /// Nothing can be redeemed from it any more.
    Ended,
    /// It is gone from the chain, and what was left went back to the payer.
    Closed,
}

/// A payment channel.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    pub id: ChannelId,
    /// Who is paid; absent once the channel is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Address>,
    /// FIL that were set aside.
    pub amount: AttoFil,
    /// FIL that the target has taken.
    pub redeemed: AttoFil,
    /// First height at which nothing can be redeemed; absent once the channel is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eol: Option<Epoch>,
    pub state: ChannelState,
}

/// How a deal is paid, at one height of the chain.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Payments {
    pub height: Epoch,
    /// FIL for the whole deal; 0 for a free one.
    pub total: AttoFil,
    /// FIL that have fallen due, redeemed or not.
    pub due: AttoFil,
    /// FIL that the miner has redeemed.
    pub redeemed: AttoFil,
    /// Absent for a free deal, and until the channel is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// In the order in which they fall due; none for a free deal, before it is signed, and after it failed.
    pub vouchers: Vec<Voucher>,
}

/// The payments of a deal's present attempt.
pub async fn payments<F, C: Chain>(record: &DealRecord<F>, chain: &C) -> Result<Payments, C::Error> {
    let draft = &record.deal.draft;
    let (total, vouchers) = (draft.total().unwrap_or_default(), record.deal.vouchers());
    let id = record.deal.channel().map(ChannelId);
    let height = chain.height().await?;
    let view = match id {
        Some(id) => chain.channel(&draft.payer, id).await?,
        None => None,
    };
    let shown = |voucher| Voucher::of(voucher, view.as_ref(), height);
    Ok(Payments {
        height,
        total,
        due: due_by(vouchers, height),
        redeemed: view.as_ref().map_or(AttoFil::ZERO, |view| view.amount_redeemed),
        channel: id.map(|id| Channel::of(id, total, view.as_ref(), height)),
        vouchers: vouchers.iter().map(shown).collect(),
    })
}

/// How vouchers of anybody stand; `None` when they speak of more than [`MAX_CHANNELS`].
pub async fn standing<C: Chain>(vouchers: &[PaymentVoucher], chain: &C) -> Result<Option<Vec<Voucher>>, C::Error> {
    let named = vouchers.iter().map(|voucher| (voucher.payer.clone(), voucher.channel));
    let mut channels: BTreeMap<(Address, ChannelId), Option<ChannelView>> = named.map(|name| (name, None)).collect();
    if channels.len() > MAX_CHANNELS {
        return Ok(None);
    }
    for ((payer, id), view) in &mut channels {
        *view = chain.channel(payer, *id).await?;
    }
    let height = chain.height().await?;
    let shown = |voucher: &PaymentVoucher| {
        let channel = channels.get(&(voucher.payer.clone(), voucher.channel));
        Voucher::of(voucher, channel.and_then(Option::as_ref), height)
    };
    Ok(Some(vouchers.iter().map(shown).collect()))
}

impl Voucher {
    /// `channel` is `None` when its payer has no such channel any more.
    pub fn of(voucher: &PaymentVoucher, channel: Option<&ChannelView>, height: Epoch) -> Self {
        Self {
            payer: voucher.payer.clone(),
            target: voucher.target.clone(),
            channel: voucher.channel,
            amount: voucher.amount,
            valid_at: voucher.valid_at,
            conditional: voucher.condition.is_some(),
            state: VoucherStanding::of(voucher, channel.map(ChannelFacts::from).as_ref(), height),
            text: voucher::to_text(voucher),
        }
    }
}

impl Channel {
    /// `amount` is what the channel was opened with.
    pub fn of(id: ChannelId, amount: AttoFil, view: Option<&ChannelView>, height: Epoch) -> Self {
        let Some(view) = view else {
            return Self {
                id,
                target: None,
                amount,
                redeemed: AttoFil::ZERO,
                eol: None,
                state: ChannelState::Closed,
            };
        };
        let state = match ChannelFacts::from(view).is_cancelled() {
            _ if height >= view.eol => ChannelState::Ended,
            true => ChannelState::Cancelled,
            false => ChannelState::Open,
        };
        Self {
            id,
            target: Some(view.target.clone()),
            amount: view.amount,
            redeemed: view.amount_redeemed,
            eol: Some(view.eol),
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{key, now, record, FakeHost};
    use super::*;
    use crate::client::engine;

    #[test]
    fn what_a_deal_pays_is_shown_with_its_channel_and_every_voucher() {
        let host = FakeHost::default();
        let mut record = record(2, 20_000);
        while record.deal.vouchers().is_empty() {
            now(engine::step(&mut record, &host)).expect("nothing hinders it");
            host.mine();
        }
        let shown = now(payments(&record, &host.chain)).expect("the chain answers");
        let last = shown.vouchers.last().expect("there are vouchers");
        assert_eq!((last.amount, shown.redeemed), (shown.total, AttoFil::ZERO));
        let channel = shown.channel.expect("it is open");
        assert_eq!((channel.state, channel.amount), (ChannelState::Open, shown.total));
    }

    #[test]
    fn vouchers_of_more_channels_than_are_asked_for_are_refused() {
        let host = FakeHost::default();
        let voucher = |channel| PaymentVoucher {
            channel: ChannelId(channel),
            payer: key(1).address(),
            target: key(2).address(),
            amount: AttoFil(1),
            valid_at: Epoch(1),
            condition: None,
            signature: None,
        };
        let of = |most: usize| (0..most as u64).map(voucher).collect::<Vec<_>>();
        let asked = |vouchers: &[PaymentVoucher]| now(standing(vouchers, &host.chain)).expect("the chain answers");
        assert_eq!(asked(&of(MAX_CHANNELS)).map(|shown| shown.len()), Some(MAX_CHANNELS));
        assert!(asked(&of(MAX_CHANNELS + 1)).is_none());
    }
}

//! What a deal pays, and when: its vouchers and its channel as the chain has it; vouchers as text (spec §1.7, §3.7).

use crate::error::ClientError;
use crate::public_types::{Channel, Payments, Voucher};
use crate::record::{to_js, Record};
use crate::rpc::Rpc;
use shared::chain::view::ChannelView;
use shared::chain::{Address, AttoFil, ChannelId};
use shared::client::voucher_text;
use shared::payment::standing::due_by;
use shared::payment::PaymentVoucher;
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;

/// Channels that one text's vouchers may speak of: each is asked for.
const MAX_CHANNELS: usize = 32;

/// The payments of a deal's present attempt.
pub async fn payments(rpc: &Rpc, record: &Record) -> Result<JsValue, ClientError> {
    let draft = &record.deal.draft;
    let (total, vouchers) = (draft.total().unwrap_or_default(), record.deal.vouchers());
    let id = record.deal.channel().map(ChannelId);
    let height = rpc.head().await?.height;
    let view = match id {
        Some(id) => rpc.channel(&draft.payer, id).await?,
        None => None,
    };
    to_js(&Payments {
        height,
        total,
        due: due_by(vouchers, height),
        redeemed: view.as_ref().map_or(AttoFil::ZERO, |view| view.amount_redeemed),
        channel: id.map(|id| Channel::of(id, total, view.as_ref(), height)),
        vouchers: vouchers
            .iter()
            .map(|voucher| Voucher::of(voucher, view.as_ref(), height))
            .collect(),
    })
}

/// The deal's vouchers as text, one a line; empty for a free deal and before the proposal is signed.
pub fn export(record: &Record) -> String {
    voucher_text::lines(record.deal.vouchers()).trim_end().to_owned()
}

/// Reads vouchers from text, and asks the chain how they stand.
pub async fn import(rpc: &Rpc, text: &str) -> Result<JsValue, ClientError> {
    let unusable = |reason: String| ClientError::Argument {
        what: "the vouchers' text",
        reason,
    };
    let vouchers = voucher_text::read(text).map_err(|e| unusable(e.to_string()))?;
    let mut channels: BTreeMap<(Address, ChannelId), Option<ChannelView>> = BTreeMap::new();
    for PaymentVoucher { payer, channel, .. } in &vouchers {
        channels.insert((payer.clone(), *channel), None);
    }
    if channels.len() > MAX_CHANNELS {
        return Err(unusable(format!(
            "its vouchers are of {} channels, more than {MAX_CHANNELS}",
            channels.len()
        )));
    }
    for ((payer, id), view) in &mut channels {
        *view = rpc.channel(payer, *id).await?;
    }
    let height = rpc.head().await?.height;
    let list: Vec<Voucher> = vouchers
        .iter()
        .map(|voucher| {
            let channel = channels.get(&(voucher.payer.clone(), voucher.channel));
            Voucher::of(voucher, channel.and_then(Option::as_ref), height)
        })
        .collect();
    to_js(&list)
}

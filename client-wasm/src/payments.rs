//! What a deal pays, and when, and vouchers as text (spec §1.7, §3.7): asks the chain for what [`shared::client::view`] shows.

use crate::error::ClientError;
use crate::record::{to_js, Record};
use crate::rpc::Rpc;
use shared::chain::view::ChannelView;
use shared::chain::{Address, ChannelId};
use shared::client::view::{PaymentsView, VoucherView};
use shared::client::voucher_text;
use shared::payment::PaymentVoucher;
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;

/// Channels that one text's vouchers may speak of: each is asked for.
const MAX_CHANNELS: usize = 32;

/// The payments of a deal's present attempt: `Payments` of the public types.
pub async fn payments(rpc: &Rpc, record: &Record) -> Result<JsValue, ClientError> {
    let height = rpc.head().await?.height;
    let channel = match record.deal.channel() {
        Some(id) => rpc.channel(&record.deal.draft.payer, ChannelId(id)).await?,
        None => None,
    };
    to_js(&PaymentsView::of(record, channel.as_ref(), height))
}

/// The deal's vouchers as text, one a line; empty for a free deal and before the proposal is signed.
pub fn export(record: &Record) -> String {
    voucher_text::lines(record.deal.vouchers()).trim_end().to_owned()
}

/// Reads vouchers from text, and asks the chain how they stand: `Voucher[]` of the public types.
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
        let count = channels.len();
        return Err(unusable(format!(
            "its vouchers are of {count} channels, more than {MAX_CHANNELS}"
        )));
    }
    for ((payer, id), view) in &mut channels {
        *view = rpc.channel(payer, *id).await?;
    }
    let height = rpc.head().await?.height;
    let view = |voucher: &PaymentVoucher| {
        let channel = channels.get(&(voucher.payer.clone(), voucher.channel));
        VoucherView::of(voucher, channel.and_then(Option::as_ref), height)
    };
    to_js(&vouchers.iter().map(view).collect::<Vec<_>>())
}

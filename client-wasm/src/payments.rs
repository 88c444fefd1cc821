//! What a deal pays, and when: its vouchers and its channel as the chain has it; vouchers as text (spec §1.7, §3.7).

use crate::chain::Outbox;
use crate::error::ClientError;
use crate::record::{to_js, Record};
use shared::client::{view, voucher_text};
use wasm_bindgen::JsValue;

/// The payments of a deal's present attempt.
pub async fn payments(chain: &Outbox, record: &Record) -> Result<JsValue, ClientError> {
    to_js(&view::payments(record, chain).await?)
}

/// The deal's vouchers as text, one a line; empty for a free deal and before the proposal is signed.
pub fn export(record: &Record) -> String {
    voucher_text::lines(record.deal.vouchers()).trim_end().to_owned()
}

/// Reads vouchers from text, and asks the chain how they stand.
pub async fn import(chain: &Outbox, text: &str) -> Result<JsValue, ClientError> {
    let unusable = |reason: String| ClientError::Argument {
        what: "the vouchers' text",
        reason,
    };
    let vouchers = voucher_text::read(text).map_err(|e| unusable(e.to_string()))?;
    let most = view::MAX_CHANNELS;
    let too_many = || unusable(format!("its vouchers are of more than {most} channels"));
    to_js(&view::standing(&vouchers, chain).await?.ok_or_else(too_many)?)
}

//! A deal as this browser keeps it, and as the page sees it.
//!
//! The record is the engine's ([`shared::client::DealRecord`]); the page gets a [`Deal`].

use crate::error::ClientError;
use crate::former;
use crate::json;
use serde::{Deserialize, Serialize};
use shared::client::view::Deal;
use shared::client::DealRecord;

/// What a page knows a file by; its bytes are kept beside the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedFile {
    pub name: String,
    /// MIME type.
    pub kind: String,
}

/// One deal with all that is known of it here.
pub type Record = DealRecord<NamedFile>;

/// Reads what [`to_text`] wrote.
pub fn from_text(text: &str) -> Result<Record, ClientError> {
    let unreadable = |e: serde_json::Error| ClientError::Storage(format!("a kept deal cannot be read: {e}"));
    former::read(text).map_err(unreadable)
}

/// The record for the page's storage.
pub fn to_text(record: &Record) -> Result<String, ClientError> {
    json::write(record).map_err(|e| ClientError::Internal(format!("a deal cannot be written: {e}")))
}

/// [`Deal`] for the page.
pub fn view(record: &Record, connected: bool) -> Result<wasm_bindgen::JsValue, ClientError> {
    to_js(&Deal::of(record, &record.file.name, &record.file.kind, connected))
}

/// Plain JavaScript data: objects, arrays, numbers and text.
pub fn to_js<T: Serialize>(value: &T) -> Result<wasm_bindgen::JsValue, ClientError> {
    json::to_js(value).map_err(|e| ClientError::Internal(format!("a value cannot be handed to the page: {e}")))
}

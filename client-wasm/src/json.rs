//! Values on their way to and from JavaScript, and text that is kept or comes over HTTP: all of it as JSON, by one reader and one writer.
//!
//! A second way (objects field by field) would compile every type's reading and writing twice, which was a tenth of the module; the
//! browser's own `JSON` is faster at it, too. [`crate::record`], [`crate::client`] and whoever hands plain data over call this.

use js_sys::JSON;
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Error;
use wasm_bindgen::JsValue;

pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text)
}

pub fn write<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value)
}

/// Plain JavaScript data: objects, arrays, numbers and text.
pub fn to_js<T: Serialize>(value: &T) -> Result<JsValue, String> {
    let text = write(value).map_err(|e| e.to_string())?;
    JSON::parse(&text).map_err(|_| "it is no JSON".to_owned())
}

/// What [`to_js`] made, or a page. Fields that are `undefined` are not there.
pub fn from_js<T: DeserializeOwned>(value: &JsValue) -> Result<T, String> {
    let text = JSON::stringify(value).ok().and_then(|text| text.as_string());
    let text = text.ok_or_else(|| "it is no plain data".to_owned())?;
    read(&text).map_err(|e| e.to_string())
}

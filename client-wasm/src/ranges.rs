//! Some bytes of a piece over HTTP, checked: [`shared::retrieval::ranges`] for the network worker, which moves and hashes the bytes
//! (`js/ranges.ts`).

use crate::client::Client;
use crate::error::ClientError;
use crate::record::{from_text, to_js};
use cid::Cid;
use serde::Serialize;
use shared::client::engine;
use shared::file::Span;
use shared::retrieval::ranges::{windows, RangeFault, RangeReader, WINDOWS_AT_ONCE};
use wasm_bindgen::prelude::*;

/// A part of one piece, as the page gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PieceSpan {
    pub data_cid: String,
    /// Bytes of the piece.
    pub size: u64,
    /// The part, counted from the piece's start.
    pub from: u64,
    pub to: u64,
}

/// These parts of pieces, or the reads that they are fetched in from the first on: a bounded number of them.
pub fn planned(spans: impl Iterator<Item = Span>, in_windows: bool) -> Vec<Span> {
    match in_windows {
        true => windows(spans).take(WINDOWS_AT_ONCE).collect(),
        false => spans.collect(),
    }
}

/// The reads that bytes `from` to `to` of a piece are fetched in: the first of them, where they are many.
#[wasm_bindgen(
    js_name = pieceWindows,
    unchecked_return_type = "import('../../js/protocol.js').PieceSpan[]"
)]
pub fn piece_windows(data_cid: &str, size: f64, from: f64, to: f64) -> Result<JsValue, JsValue> {
    let (size, from, to) = (size as u64, from as u64, to as u64);
    if from > to || to > size {
        return Err(argument(RangeFault::Outside {
            start: from,
            end: to,
            size,
        }));
    }
    let whole = Span {
        piece: 0,
        bytes: from..to,
    };
    let spans = planned([whole].into_iter(), true).into_iter().map(|span| PieceSpan {
        data_cid: data_cid.to_owned(),
        size,
        from: span.bytes.start,
        to: span.bytes.end,
    });
    Ok(to_js(&spans.collect::<Vec<_>>())?)
}

#[wasm_bindgen]
impl Client {
    /// Where the miner of a deal gives ranges over HTTP, the best first, as far as this page may ask there without a question to its user.
    #[wasm_bindgen(js_name = httpAddresses)]
    pub async fn http_addresses(&self, state: String) -> Result<Vec<String>, JsValue> {
        let record = from_text(&state)?;
        let (there, _) = engine::where_it_is(&record, &self.0.edges(&record)).await?;
        Ok(crate::http::find(&self.0, &there.peer).await?)
    }
}

/// One read of a piece. Whatever throws is the miner's fault: the next one is asked from `position` on.
#[wasm_bindgen]
pub struct PieceRange(RangeReader);

#[wasm_bindgen]
impl PieceRange {
    /// Of bytes `from` to `to` of the piece with this data CID, which has `size` bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(data_cid: &str, size: f64, from: f64, to: f64) -> Result<PieceRange, JsValue> {
        let root: Cid = data_cid.parse().map_err(argument)?;
        let reader = RangeReader::new(root, size as u64, from as u64..to as u64);
        reader.map(PieceRange).map_err(argument)
    }

    /// What is fetched, below a miner's address.
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// Milliseconds in which all of it must come.
    #[wasm_bindgen(js_name = limitMs)]
    pub fn limit_ms(&self) -> f64 {
        self.0.limit_ms() as f64
    }

    /// The first byte of the piece that was not handed out.
    pub fn position(&self) -> f64 {
        self.0.position() as f64
    }

    /// How many bytes of the answer are wanted next; 0 when all is here.
    pub fn wants(&self) -> usize {
        self.0.wants().unwrap_or_default()
    }

    /// Whether they are a leaf, of which the digest alone comes in here.
    #[wasm_bindgen(js_name = isLeaf)]
    pub fn is_leaf(&self) -> bool {
        self.0.leaf().is_some()
    }

    /// Takes what was wanted, and is no leaf.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.0.take(bytes).map(drop).map_err(fault)
    }

    /// Takes the SHA-256 digest of the leaf that was wanted, and says from where to where in it the bytes are that were asked for.
    #[wasm_bindgen(js_name = takeDigest)]
    pub fn take_digest(&mut self, digest: &[u8]) -> Result<Vec<u32>, JsValue> {
        let digest = digest.try_into().map_err(argument)?;
        let part = self.0.take_digest(&digest).map_err(fault)?;
        Ok(vec![part.start as u32, part.end as u32])
    }
}

fn argument(reason: impl ToString) -> JsValue {
    let reason = reason.to_string();
    JsValue::from(ClientError::Argument {
        what: "the range",
        reason,
    })
}

/// Why a miner is not believed.
fn fault(fault: RangeFault) -> JsValue {
    js_sys::Error::new(&fault.to_string()).into()
}

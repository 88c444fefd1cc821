//! The names of a file, computed in the piece worker while the file streams by (step 2 of a deal).

use crate::fault::Fault;
use shared::piece::{DigestError, PieceDigest};
use wasm_bindgen::prelude::*;

/// Computes CommP and data root of a file.
#[wasm_bindgen]
#[derive(Default)]
pub struct Digest(PieceDigest);

impl From<DigestError> for Fault {
    fn from(error: DigestError) -> Self {
        Self::Argument {
            what: "the file",
            reason: error.to_string(),
        }
    }
}

#[wasm_bindgen]
impl Digest {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.0.push(bytes).map_err(|e| Fault::from(e).into())
    }

    /// The file's names: `Piece` of the public types.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Piece")]
    pub fn finish(self) -> Result<JsValue, JsValue> {
        let summary = self.0.finish().map_err(Fault::from)?;
        let nodes = js_sys::Array::new();
        for (cid, bytes) in &summary.nodes {
            let node = js_sys::Object::new();
            set(&node, "cid", cid.to_string())?;
            set(&node, "bytes", js_sys::Uint8Array::from(bytes.as_slice()))?;
            nodes.push(&node);
        }
        let piece = js_sys::Object::new();
        // Sizes stay below 2^45, so a JavaScript number holds them exactly.
        set(&piece, "size", summary.size as f64)?;
        set(&piece, "paddedSize", summary.padded.bytes() as f64)?;
        set(&piece, "commP", summary.comm_p.to_string())?;
        set(&piece, "pieceCid", summary.piece_cid.to_string())?;
        set(&piece, "dataCid", summary.data_cid.to_string())?;
        set(&piece, "nodes", nodes)?;
        Ok(piece.into())
    }
}

fn set(object: &js_sys::Object, key: &str, value: impl Into<JsValue>) -> Result<(), JsValue> {
    js_sys::Reflect::set(object, &key.into(), &value.into()).map(|_| ())
}

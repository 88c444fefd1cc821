//! Receipts of deals: made for the page of what this browser and the chain have, and read from anybody. Proofs are checked by a module of
//! their own: what they claim goes out, and the verdicts come back ([`shared::client::passport`]).

use crate::engine::Engine;
use crate::error::ClientError;
use crate::record::{to_js, Record};
use serde::Deserialize;
use shared::client::evidence::{seal_view, window_view};
use shared::client::passport::{
    gather, GatherError, Inspection, Measured, PassportView, ProofVerdict, Receipt, Verdicts, Viewpoint,
};
use shared::piece::Commitment;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The receipt of a deal; `manifest` is that of the file that it is about, where it is about one of several pieces.
pub async fn make(client: &Rc<Engine>, record: &Record, manifest: Option<&[u8]>) -> Result<Vec<u8>, ClientError> {
    let made = gather(record, manifest, &client.rpc, &client.rpc).await;
    let receipt = made.map_err(|error| match error {
        GatherError::NotSigned => ClientError::NotProposed,
        GatherError::Genesis(text) => ClientError::Storage(format!("a kept deal names {text:?} as its network")),
        GatherError::Chain(error) | GatherError::Proofs(error) => error,
    })?;
    Ok(receipt.to_bytes())
}

fn opened(bytes: &[u8]) -> Result<Inspection, ClientError> {
    let refused = |error: &dyn std::fmt::Display| ClientError::Argument {
        what: "the receipt",
        reason: error.to_string(),
    };
    let receipt = Receipt::read(bytes).map_err(|error| refused(&error))?;
    Inspection::open(&receipt).map_err(|error| refused(&error))
}

/// What the proofs of a receipt claim, for the verifying module.
#[wasm_bindgen(
    js_name = receiptClaims,
    unchecked_return_type = "import('../../js/receipts.js').ReceiptClaims"
)]
pub fn receipt_claims(receipt: &[u8]) -> Result<JsValue, JsValue> {
    let claims = opened(receipt)?.claims();
    let posts = claims.posts.iter().map(|claim| claim.as_ref().map(window_view));
    let claims = Shown {
        seal: claims.seal.as_ref().map(seal_view),
        posts: posts.collect(),
    };
    Ok(to_js(&claims)?)
}

#[derive(serde::Serialize)]
struct Shown<S, W> {
    seal: Option<S>,
    posts: Vec<Option<W>>,
}

/// The network of a receipt, by its genesis id.
#[wasm_bindgen(js_name = receiptGenesis)]
pub fn receipt_genesis(receipt: &[u8]) -> Result<String, JsValue> {
    let refused = |error: shared::client::passport::ReceiptError| ClientError::Argument {
        what: "the receipt",
        reason: error.to_string(),
    };
    Ok(Receipt::read(receipt).map_err(refused)?.genesis.to_string())
}

/// As the verifying module says it (`js/verify-types.ts`).
#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
enum SaidVerdict {
    Holds { key: String },
    Fails { detail: String },
    Unchecked { detail: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MeasuredData {
    data_cid: String,
    size: f64,
    comm_p: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Looking {
    seal: Option<SaidVerdict>,
    posts: Vec<Option<SaidVerdict>>,
    own: bool,
    knows_network: bool,
    data: Option<MeasuredData>,
}

impl From<SaidVerdict> for ProofVerdict {
    fn from(said: SaidVerdict) -> Self {
        match said {
            SaidVerdict::Holds { key } => Self::Holds { key },
            SaidVerdict::Fails { detail } => Self::Fails { reason: detail },
            SaidVerdict::Unchecked { detail } => Self::Unchecked { reason: detail },
        }
    }
}

impl MeasuredData {
    fn read(self) -> Result<Measured, ClientError> {
        let refused = |reason: String| ClientError::Argument {
            what: "the measured data",
            reason,
        };
        let mut comm_p = Commitment([0; 32]);
        hex::decode_to_slice(&self.comm_p, &mut comm_p.0).map_err(|error| refused(format!("commP: {error}")))?;
        let data_cid = self.data_cid.parse::<cid::Cid>();
        let data_cid = data_cid.map_err(|error| refused(format!("dataCid: {error}")))?;
        let size = self.size as u64;
        Ok(Measured { data_cid, size, comm_p })
    }
}

/// How the steps of a receipt's deal stand, with the verdicts on [`receipt_claims`] in their order.
#[wasm_bindgen(js_name = judgeReceipt, unchecked_return_type = "import('../../js/types.js').Passport")]
pub fn judge_receipt(
    receipt: &[u8],
    #[wasm_bindgen(unchecked_param_type = "import('../../js/receipts.js').Looking")] looking: JsValue,
) -> Result<JsValue, JsValue> {
    let inspection = opened(receipt)?;
    let looking: Looking = crate::client::from_js("the verdicts", looking)?;
    let verdicts = Verdicts {
        seal: looking.seal.map(Into::into),
        posts: looking.posts.into_iter().map(|said| said.map(Into::into)).collect(),
    };
    let view = Viewpoint {
        own: looking.own,
        measured: looking.data.map(MeasuredData::read).transpose()?,
        knows_network: looking.knows_network,
    };
    let passport = inspection.judge(&verdicts, &view);
    Ok(to_js(&PassportView::of(passport, &inspection, &verdicts))?)
}

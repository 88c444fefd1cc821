//! Drills: copies that are fetched from now and then, to see whether they come back. Which one, and what a failure means, is decided by
//! [`shared::client::files::Drills`]; `js/drilling.ts` fetches and keeps what came of it.

use super::{file_text, object, OpenFile};
use crate::client::{from_js, Client};
use crate::clock;
use crate::error::ClientError;
use serde::{Deserialize, Serialize};
use shared::chain::Epoch;
use shared::client::files::{Drill, DrillVerdict};
use std::ops::Range;
use wasm_bindgen::prelude::*;

/// A copy that is to be fetched from, as it is posted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DrillView {
    deal: String,
    miner: String,
    data_cid: String,
    /// Bytes of the piece.
    size: u64,
    from: u64,
    to: u64,
    piece: usize,
}

impl OpenFile {
    fn next_drill(&self, height: Epoch, seed: u64) -> Option<DrillView> {
        let drill = self.placement.file().drills.next(&self.placement, height, seed)?;
        let names = &self.placement.pieces().get(drill.piece)?.names;
        Some(DrillView {
            deal: drill.deal,
            miner: drill.miner.to_string(),
            data_cid: names.data_cid.to_string(),
            size: names.size,
            from: drill.range.start,
            to: drill.range.end,
            piece: drill.piece,
        })
    }

    /// Notes what a drill came to; the record is to be kept. A lost copy is replaced where that was consented to.
    fn heard_drill(&mut self, drill: &Drill, came_back: bool) -> DrillVerdict {
        let mut record = self.placement.file().clone();
        let (verdict, _) = record.heard_drill(drill, came_back, clock::now() as u64);
        self.placement.renew(record);
        verdict
    }
}

#[wasm_bindgen]
impl Client {
    /// Milliseconds since 1970 when the next drill of a file is due; undefined of one that is not carried on here.
    #[wasm_bindgen(js_name = drillDue)]
    pub fn drill_due(&self, id: &str) -> Option<f64> {
        self.0
            .files
            .with(id, |file| file.placement.file().drills.due_ms() as f64)
    }

    /// Which copy of a file comes next, and which of its bytes; undefined while none is kept. `seed` is random.
    #[wasm_bindgen(js_name = nextDrill, unchecked_return_type = "import('../../js/drilling.js').NextDrill | undefined")]
    pub async fn next_drill(&self, id: String, seed: u64) -> Result<JsValue, JsValue> {
        let height = self.0.rpc.head().await?.height;
        let drill = self.0.files.with(&id, |file| file.next_drill(height, seed)).flatten();
        let view = drill.map(|drill| crate::record::to_js(&drill)).transpose()?;
        Ok(view.unwrap_or(JsValue::UNDEFINED))
    }

    /// Notes what a drill came to: `state` is to be kept. `strikes` are its failures in a row.
    #[wasm_bindgen(
        js_name = heardDrill,
        unchecked_return_type = "{ state: string; verdict: 'kept' | 'doubtful' | 'lost'; strikes: number }"
    )]
    pub fn heard_drill(&self, id: &str, drill: JsValue, came_back: bool) -> Result<JsValue, JsValue> {
        let view: DrillView = from_js("the drill", drill)?;
        let miner = view.miner.parse().map_err(|_| ClientError::Argument {
            what: "the drill",
            reason: format!("{} is no address", view.miner),
        })?;
        let range: Range<u64> = view.from..view.to;
        let (deal, piece) = (view.deal, view.piece);
        let drill = Drill {
            deal,
            miner,
            piece,
            range,
        };
        let heard = self.0.files.with(id, |file| {
            let verdict = file.heard_drill(&drill, came_back);
            (verdict, file_text(file.placement.file()))
        });
        let (verdict, state) = heard.ok_or(ClientError::Aborted)?;
        let (verdict, strikes) = match verdict {
            DrillVerdict::Kept => ("kept", 0),
            DrillVerdict::Doubtful { strikes } => ("doubtful", strikes),
            DrillVerdict::Lost => ("lost", shared::client::files::STRIKES),
        };
        Ok(object([
            ("state", JsValue::from_str(&state?)),
            ("verdict", JsValue::from_str(verdict)),
            ("strikes", JsValue::from_f64(f64::from(strikes))),
        ])?)
    }
}

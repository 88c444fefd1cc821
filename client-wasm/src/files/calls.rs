//! The functions about files that the network worker calls.

use super::preparing::{self, OrderRequest, Plan};
use super::{next_deal, nodes_of_manifest, Drawn, OpenFile, Turn};
use crate::client::{from_js, kept, Client};
use crate::clock;
use crate::error::ClientError;
use crate::json;
use crate::ranges::{planned, PieceSpan};
use crate::record::{from_text, to_js};
use js_sys::{Array, Object, Reflect, Uint8Array};
use serde::{Deserialize, Serialize};
use shared::chain::AttoFil;
use shared::client::files::{Encryption, FileOrder, FileRecord, FileView, PieceSource, PieceView};
use shared::file::{FileEntry, Manifest};
use wasm_bindgen::prelude::*;

/// Where a file of a folder lies in its pieces.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spans {
    /// The file's place in the manifest.
    at: usize,
    path: String,
    size: u64,
    spans: Vec<PieceSpan>,
}

/// One file of a folder, as it is shown.
#[derive(Serialize)]
struct EntryView {
    path: String,
    size: u64,
    root: String,
    pieces: usize,
}

/// A file with everything in it.
#[derive(Serialize)]
struct Whole {
    view: FileView,
    files: Vec<EntryView>,
    pieces: Vec<PieceView>,
}

impl Whole {
    fn of(file: &OpenFile) -> Self {
        let entry = |entry: &FileEntry| EntryView {
            path: entry.path().as_str().to_owned(),
            size: entry.size(),
            root: entry.root().to_string(),
            pieces: entry.pieces().len(),
        };
        Self {
            view: file.view(),
            files: file.manifest.files().iter().map(entry).collect(),
            pieces: file.pieces(),
        }
    }
}

#[derive(Deserialize)]
struct NewFile {
    order: OrderRequest,
    /// Of what is encrypted.
    #[serde(default)]
    encryption: Option<NewEncrypted>,
}

/// What is said of an encryption where its files are shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewEncrypted {
    /// The name of the file or folder: the manifest has a neutral one.
    name: String,
    recipients: u32,
    passphrase: bool,
    plain_size: f64,
}

#[wasm_bindgen]
impl Client {
    /// Bytes of the sectors that files are cut for; refuses names that cannot be stored.
    #[wasm_bindgen(js_name = planFiles)]
    pub async fn plan_files(&self, request: JsValue) -> Result<f64, JsValue> {
        let plan: Plan = from_js("the files", request)?;
        Ok(preparing::plan(&self.0, plan).await?.bytes() as f64)
    }

    /// What keeping the files of a manifest costs.
    #[wasm_bindgen(js_name = quoteFiles, unchecked_return_type = "import('../../js/types.js').FilesQuote")]
    pub async fn quote_files(&self, manifest: Vec<u8>, order: JsValue) -> Result<JsValue, JsValue> {
        let order: OrderRequest = from_js("the order", order)?;
        Ok(to_js(&preparing::quote(&self.0, &manifest, &order.read()?).await?)?)
    }

    /// What it costs to keep a file once more whose time is over, in the same way and for as long.
    #[wasm_bindgen(js_name = quoteAgain, unchecked_return_type = "import('../../js/types.js').FilesQuote")]
    pub async fn quote_again(&self, state: String, manifest: Vec<u8>) -> Result<JsValue, JsValue> {
        let order = file_of(&state)?.order;
        Ok(to_js(&preparing::quote(&self.0, &manifest, &order).await?)?)
    }

    /// The record of a file whose time is over, ordered once more from now on, of which all deals may cost `most` FIL; it is to be kept.
    #[wasm_bindgen(js_name = orderAgain)]
    pub async fn order_again(&self, state: String, most: String) -> Result<String, JsValue> {
        let record = file_of(&state)?;
        let height = self.0.rpc.head().await?.height;
        let most = Some(limit(&most)?);
        let order = FileOrder {
            most,
            ..record.order.clone()
        };
        Ok(file_text(&record.ordered_again(order, height, true))?)
    }

    /// The record of a file with this manifest: to be kept before [`Client::open_file`].
    #[wasm_bindgen(js_name = newFile, unchecked_return_type = "{ id: string; state: string; view: import('../../js/types.js').FileView }")]
    pub async fn new_file(&self, manifest: Vec<u8>, request: JsValue) -> Result<JsValue, JsValue> {
        let NewFile { order, encryption } = from_js("the order", request)?;
        let order: FileOrder = order.read()?;
        let read = read_manifest(&manifest)?;
        let (network, head) = futures::try_join!(self.0.rpc.network(), self.0.rpc.head())?;
        let now = clock::now() as u64;
        let place = (network.genesis, head.height);
        let record = FileRecord::new((&read, &manifest), order, place, now)
            .map_err(|e| ClientError::Internal(format!("the manifest cannot be hashed: {e}")))?;
        let record = match encryption {
            None => record,
            Some(new) => record.encrypted(
                new.name,
                Encryption {
                    recipients: new.recipients,
                    passphrase: new.passphrase,
                    plain_size: new.plain_size as u64,
                },
            ),
        };
        let view = OpenFile::new(record.clone(), read, now).view();
        let id = record.id.clone();
        Ok(object([
            ("id", JsValue::from_str(&id)),
            ("state", JsValue::from_str(&file_text(&record)?)),
            ("view", to_js(&view)?),
        ])?)
    }

    /// Carries a file on from now: `deals` are the states of all deals that are kept.
    #[wasm_bindgen(js_name = openFile)]
    pub fn open_file(&self, state: &str, manifest: &[u8], deals: Vec<String>) -> Result<(), JsValue> {
        let mut file = opened(state, manifest, &deals)?;
        // What is carried on may be further than what was read.
        self.0.each_deal(|record| {
            file.take(record);
        });
        let id = file.view().file;
        self.0.files.open(id, file);
        Ok(())
    }

    /// Carries a file on no longer.
    #[wasm_bindgen(js_name = closeFile)]
    pub fn close_file(&self, id: &str) {
        self.0.files.close(id);
    }

    /// A file that is carried on, as it is now.
    #[wasm_bindgen(js_name = fileView, unchecked_return_type = "import('../../js/types.js').FileView | undefined")]
    pub fn file_view(&self, id: &str) -> Result<JsValue, JsValue> {
        let view = self.0.files.with(id, |file| file.view());
        Ok(view.map(|view| to_js(&view)).transpose()?.unwrap_or(JsValue::UNDEFINED))
    }

    /// The same with everything in it.
    #[wasm_bindgen(js_name = wholeFile, unchecked_return_type = "import('../../js/folders.js').LookedAt | undefined")]
    pub fn whole_file(&self, id: &str) -> Result<JsValue, JsValue> {
        let whole = self.0.files.with(id, |file| Whole::of(file));
        Ok(whole
            .map(|whole| to_js(&whole))
            .transpose()?
            .unwrap_or(JsValue::UNDEFINED))
    }

    /// Draws the next deal of a file up, under the local id `deal`. `next` says what came of it: `deal`, which is to be kept and driven;
    /// `wait`, ask again later; `rest`, ask again when a deal has changed; `stop`, keep `state`.
    #[wasm_bindgen(
        js_name = nextDeal,
        unchecked_return_type = "import('../../js/folders.js').NextDeal"
    )]
    pub async fn next_deal(&self, id: String, deal: String) -> Result<JsValue, JsValue> {
        let turn = next_deal(&self.0, &id, &deal).await?;
        let next = |name: &str| ("next", JsValue::from_str(name));
        Ok(match turn {
            Turn::Wait => object([next("wait")])?,
            Turn::Rest => object([next("rest")])?,
            Turn::Stop(record) => object([next("stop"), ("state", JsValue::from_str(&file_text(&record)?))])?,
            Turn::Deal(drawn) => {
                let Drawn { record, source } = *drawn;
                let size = JsValue::from_f64(record.deal.draft.size as f64);
                let place = match source {
                    PieceSource::Manifest => object([("size", size)])?,
                    PieceSource::File { file, offset } => object([
                        ("at", JsValue::from_f64(file as f64)),
                        ("offset", JsValue::from_f64(offset as f64)),
                        ("size", size),
                    ])?,
                };
                object([next("deal"), ("deal", kept(&record)?), ("place", place)])?
            }
        })
    }
}

/// What a miner needs to fetch a manifest, beside its bytes.
#[wasm_bindgen(js_name = manifestNodes, unchecked_return_type = "import('../../js/types.js').PieceNode[]")]
pub fn manifest_nodes(bytes: &[u8]) -> Result<JsValue, JsValue> {
    let nodes = nodes_of_manifest(bytes)?.into_iter().map(|(cid, bytes)| {
        object([
            ("cid", JsValue::from_str(&cid.to_string())),
            ("bytes", Uint8Array::from(bytes.as_slice()).into()),
        ])
    });
    Ok(nodes.collect::<Result<Array, _>>()?.into())
}

/// A file that is kept, as it is now: for those that are not carried on here.
#[wasm_bindgen(js_name = lookAtFile, unchecked_return_type = "import('../../js/folders.js').LookedAt")]
pub fn look_at_file(state: &str, manifest: &[u8], deals: Vec<String>) -> Result<JsValue, JsValue> {
    let file = opened(state, manifest, &deals)?;
    Ok(to_js(&Whole::of(&file))?)
}

/// The file's record with no more deals to be made for it, at its user's wish; `deals` are the states of all that may count for it.
#[wasm_bindgen(js_name = abandonFile)]
pub fn abandon_file(state: &str, manifest: &[u8], deals: Vec<String>) -> Result<String, JsValue> {
    let progress = opened(state, manifest, &deals)?.view().progress;
    let record = file_of(state)?.abandoned(&progress).map_err(ClientError::from)?;
    Ok(file_text(&record)?)
}

/// The file's record with deals to be made for it again, of which all may cost `most` FIL.
#[wasm_bindgen(js_name = goOnWithFile)]
pub fn go_on_with_file(state: &str, most: Option<String>) -> Result<String, JsValue> {
    let mut record = file_of(state)?;
    record.stopped = None;
    if let Some(most) = most {
        record.order.most = Some(limit(&most)?);
    }
    Ok(file_text(&record)?)
}

/// An amount of FIL that something may cost.
pub(crate) fn limit(most: &str) -> Result<AttoFil, ClientError> {
    most.parse().map_err(|_| ClientError::Argument {
        what: "the limit",
        reason: format!("{most} is no amount of FIL"),
    })
}

/// Where a range of one of a manifest's files lies in its pieces: of the file at `path`, or of the only one; to its end without `to`. In
/// windows: the reads that it is fetched in, the first of them where they are many.
#[wasm_bindgen(js_name = fileSpans, unchecked_return_type = "import('../../js/protocol.js').FileSpans")]
pub fn file_spans(
    manifest: &[u8],
    path: Option<String>,
    from: f64,
    to: Option<f64>,
    in_windows: bool,
) -> Result<JsValue, JsValue> {
    let manifest = read_manifest(manifest)?;
    let wrong = |reason: String| ClientError::Argument {
        what: "what is to be retrieved",
        reason,
    };
    let files = manifest.files();
    let named = |path: &String| files.iter().position(|file| file.path().as_str() == path.as_str());
    let at = match (&path, files) {
        (Some(path), _) => named(path).ok_or_else(|| wrong(format!("there is no file {path:?} in it")))?,
        (None, [_]) => 0,
        (None, _) => return Err(wrong("a folder comes back file by file: name one".into()).into()),
    };
    let file = files.get(at).ok_or_else(|| wrong("it has no files".into()))?;
    let range = from as u64..to.map_or(file.size(), |to| to as u64);
    let spans = file.spans(range).map_err(|e| wrong(e.to_string()))?;
    let spans = planned(spans, in_windows).into_iter().filter_map(|span| {
        let piece = file.pieces().get(span.piece)?;
        Some(PieceSpan {
            data_cid: piece.data_cid.to_string(),
            size: piece.size,
            from: span.bytes.start,
            to: span.bytes.end,
        })
    });
    Ok(to_js(&Spans {
        at,
        path: file.path().as_str().to_owned(),
        size: file.size(),
        spans: spans.collect(),
    })?)
}

fn opened(state: &str, manifest: &[u8], deals: &[String]) -> Result<OpenFile, ClientError> {
    let mut file = OpenFile::new(file_of(state)?, read_manifest(manifest)?, clock::now() as u64);
    // One that cannot be read is no copy, and is told of where it is carried on.
    for deal in deals.iter().filter_map(|deal| from_text(deal).ok()) {
        file.take(&deal);
    }
    Ok(file)
}

pub(super) fn read_manifest(bytes: &[u8]) -> Result<Manifest, ClientError> {
    Manifest::read(bytes).map_err(|e| ClientError::Storage(format!("a kept manifest cannot be read: {e}")))
}

fn file_of(state: &str) -> Result<FileRecord, ClientError> {
    json::read(state).map_err(|e| ClientError::Storage(format!("a kept file cannot be read: {e}")))
}

pub(super) fn file_text(record: &FileRecord) -> Result<String, ClientError> {
    json::write(record).map_err(|e| ClientError::Internal(format!("a file cannot be written: {e}")))
}

/// An object with these fields.
pub(crate) fn object<const N: usize>(pairs: [(&str, JsValue); N]) -> Result<JsValue, ClientError> {
    let object = Object::new();
    for (key, value) in pairs {
        Reflect::set(&object, &key.into(), &value).map_err(|e| ClientError::Internal(ClientError::text_of(&e)))?;
    }
    Ok(object.into())
}

//! The client as the network worker sees it: thin functions over the other modules, values as plain data.

use crate::choosing::{self, Question};
use crate::clock;
use crate::engine::{Engine, Redrawn};
use crate::error::ClientError;
use crate::files::limit;
use crate::host::Host;
use crate::json;
use crate::offer::{self, PieceFacts, Wanted};
use crate::public_types::MinerInfo;
use crate::record::{from_text, to_js, to_text, view, NamedFile, Record};
use crate::rpc::Rpc;
use crate::signing::Signing;
use crate::{payments, questions, receipts, retrieve};
use cid::Cid;
use serde::Deserialize;
use shared::chain::{Address, AttoFil, Epoch, SecretKey};
use shared::client::duplicates::{refuse_duplicate, Duplicates, KnownDeal};
use shared::client::link::Link;
use shared::client::offer::within_limit;
use shared::client::offers::Nodes;
use shared::client::MinerRule;
use shared::deal::ClientDeal;
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Interior nodes of a piece, at most: those of a file of 32 TiB. More are a mistake of the caller.
const MAX_NODES: u32 = 1 << 16;

/// A deal to be drawn up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    piece: PieceFacts,
    /// An address, or the name of a rule.
    miner: String,
    duration: u64,
    /// Whether a second deal with the same miner about the same file is meant.
    #[serde(default)]
    allow_duplicates: bool,
    /// FIL that it may cost; absent: there is no limit.
    #[serde(default)]
    most: Option<AttoFil>,
    /// The deals that are kept here.
    #[serde(default)]
    existing: Vec<Existing>,
}

/// What tells two deals of this browser apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Existing {
    miner: Address,
    data_cid: String,
    #[serde(default)]
    deal_cid: Option<String>,
    failed: bool,
}

/// What miners are asked about.
#[derive(Deserialize)]
struct SurveyRequest {
    rule: MinerRule,
    size: u64,
    duration: u64,
    existing: Vec<Existing>,
}

/// The running client.
#[wasm_bindgen]
pub struct Client(pub(crate) Rc<Engine>);

#[wasm_bindgen]
impl Client {
    /// Starts a client of the chain at `chain`, which signs with `key` (32 bytes).
    #[wasm_bindgen(constructor)]
    pub fn new(chain: &str, key: &[u8], host: Host) -> Result<Client, JsValue> {
        let bad = || ClientError::Argument {
            what: "the signing key",
            reason: "it is no secp256k1 secret of 32 bytes".into(),
        };
        let key = key.try_into().ok().and_then(SecretKey::from_bytes).ok_or_else(bad)?;
        let host = Rc::new(host);
        Ok(Self(Engine::start(
            Rpc::new(chain, host.clone()),
            Signing::own(key),
            host,
        )?))
    }

    /// The same for an account whose key is with a signer elsewhere, on the network with the genesis id `network`: `root` is what
    /// the client's session key comes from. The signer is asked once for each channel ([`Host`]'s `sign`).
    #[wasm_bindgen(js_name = withSigner)]
    pub fn with_signer(chain: &str, root: &[u8], network: &str, payer: &str, host: Host) -> Result<Client, JsValue> {
        let host = Rc::new(host);
        let signing = Signing::outside(root, network, payer)?;
        Ok(Self(Engine::start(Rpc::new(chain, host.clone()), signing, host)?))
    }

    /// The account's address.
    pub fn address(&self) -> String {
        self.0.payer.to_string()
    }

    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').NetworkInfo")]
    pub async fn network(&self) -> Result<JsValue, JsValue> {
        Ok(to_js(&self.0.rpc.network().await?)?)
    }

    /// The next head after the block with this id. Rejected as often as the chain turns out to be away.
    #[wasm_bindgen(js_name = nextHead, unchecked_return_type = "import('../../js/types.js').Head")]
    pub async fn next_head(&self, block: String) -> Result<JsValue, JsValue> {
        Ok(to_js(&self.0.heads.next(&block).await?)?)
    }

    /// What the account holds, in FIL.
    pub async fn balance(&self) -> Result<String, JsValue> {
        Ok(offer::balance(&self.0.rpc, &self.0.payer).await?.to_string())
    }

    /// Asks the devnet for FIL and waits until it is there.
    pub async fn faucet(&self) -> Result<(), JsValue> {
        let (rpc, heads, address) = (&self.0.rpc, &self.0.heads, self.0.payer.clone());
        let before = offer::balance(rpc, &address).await?;
        rpc.faucet(&address).await?;
        let arriving = async {
            loop {
                let count = heads.count();
                if offer::balance(rpc, &address).await? > before {
                    return Ok::<(), ClientError>(());
                }
                heads.after(count).await;
            }
        };
        let late = || ClientError::Faucet {
            message: "the money was sent, but has not arrived within 30 seconds".into(),
            hint: "Look at the balance again in a while.".into(),
        };
        Ok(clock::within(30_000, arriving).await.ok_or_else(late)??)
    }

    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').MinerInfo[]")]
    pub async fn miners(&self) -> Result<JsValue, JsValue> {
        let (miners, head) = futures::try_join!(self.0.rpc.miners(), self.0.rpc.head())?;
        let miners: Vec<_> = miners
            .into_iter()
            .map(|miner| MinerInfo::of(miner, head.height))
            .collect();
        Ok(to_js(&miners)?)
    }

    /// How a miner is reached, over which of its addresses and why not over the others; makes a connection first where
    /// `connect` says so and there is none.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Route")]
    pub async fn route(&self, miner: String, connect: bool) -> Result<JsValue, JsValue> {
        let address = address_of(&miner)?;
        let peer_id = self.0.rpc.miner(&address).await?.peer_id;
        if connect {
            // What hinders it stands in the route.
            let _ = self.0.reach(&address, &peer_id).await;
        }
        Ok(to_js(&self.0.route(&peer_id).await?)?)
    }

    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Quote")]
    pub async fn quote(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Pick<import('../../js/types.js').Piece, 'size' | 'commP' | 'dataCid'>")]
        piece: JsValue,
        miner: String,
        duration: f64,
    ) -> Result<JsValue, JsValue> {
        let piece: PieceFacts = from_js("the piece", piece)?;
        let miner = address_of(&miner)?;
        Ok(to_js(&offer::quote(&self.0, &piece, &miner, blocks(duration)?).await?)?)
    }

    /// Asks the miners that could take a deal whether they would, and says whom a rule takes.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Survey")]
    pub async fn survey(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let SurveyRequest {
            rule,
            size,
            duration,
            existing,
        } = from_js("the survey", request)?;
        let question = Question {
            rule,
            size,
            duration,
            deals: counts(&existing),
        };
        Ok(to_js(&choosing::survey(&self.0, question).await?)?)
    }

    /// Draws a deal up, after all checks that cost nothing, among them whether the miner is there. Returns its state,
    /// which is to be kept and handed to [`Client::drive`].
    #[wasm_bindgen(unchecked_return_type = "{ state: string; view: import('../../js/types.js').Deal }")]
    pub async fn draft(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let Request {
            id,
            name,
            kind,
            piece,
            miner,
            duration,
            allow_duplicates,
            most,
            existing,
        } = from_js("the deal", request)?;
        let (miner, by_rule) = match Wanted::parse(&miner)? {
            Wanted::Miner(miner) => (miner, None),
            Wanted::Rule(rule) => {
                let question = Question {
                    rule,
                    size: piece.size,
                    duration,
                    deals: counts(&existing),
                };
                let mut choice = choosing::choose(&self.0, question, most).await?;
                choice.by_rule.leave_out(&holders(&existing, &piece.data_cid));
                (choice.offer.view.address, Some(choice.by_rule))
            }
        };
        let drafted = offer::draft(&self.0.rpc, &self.0.payer, &piece, &miner, duration).await?;
        within_limit(drafted.draft.total(), most).map_err(ClientError::from)?;
        let duplicates = Duplicates::allowed(allow_duplicates);
        refuse_duplicate(&drafted.draft, &self.0.key, &known(&existing), duplicates).map_err(ClientError::from)?;
        offer::check_and_reach(&self.0, &drafted).await?;
        let genesis = self.0.rpc.network().await?.genesis;
        let (file, deal) = (NamedFile { name, kind }, ClientDeal::new(drafted.draft));
        let mut record = Record::new(id, clock::now() as u64, genesis, drafted.peer_id, file, deal);
        (record.by_rule, record.most) = (by_rule, most);
        Ok(kept(&record)?)
    }

    /// Draws a failed deal up anew, with the miner's present price; it may cost `most` FIL from now on, else its limit stays. What is returned
    /// is handed to [`Client::redraw`].
    pub async fn redraft(&self, state: String, most: Option<String>) -> Result<String, JsValue> {
        let record = from_text(&state)?;
        let most = most.map(|most| limit(&most)).transpose()?.or(record.most);
        if !record.is_failed() {
            return Err(ClientError::Argument {
                what: "the deal",
                reason: "it has not failed".into(),
            }
            .into());
        }
        let drafted = offer::redraft(&self.0.rpc, &record.deal.draft, most).await?;
        offer::check_and_reach(&self.0, &drafted).await?;
        let redrawn = Redrawn {
            deal: ClientDeal::new(drafted.draft),
            peer: drafted.peer_id,
            most,
        };
        let unwritable = |e: serde_json::Error| ClientError::Internal(format!("a draft cannot be written: {e}"));
        Ok(json::write(&redrawn).map_err(unwritable)?)
    }

    /// Begins a failed deal anew with what [`Client::redraft`] has drawn up; resolves when that is kept. `state` and `nodes`
    /// are as for [`Client::drive`].
    pub async fn redraw(
        &self,
        state: String,
        #[wasm_bindgen(unchecked_param_type = "readonly import('../../js/types.js').PieceNode[]")] nodes: js_sys::Array,
        draft: String,
    ) -> Result<(), JsValue> {
        let redrawn = json::read(&draft).map_err(|e| ClientError::Argument {
            what: "the draft",
            reason: e.to_string(),
        })?;
        Ok(self.0.redraw(from_text(&state)?, nodes_of(&nodes)?, redrawn).await?)
    }

    /// Sends messages again that are kept and not on the chain; to be called before the first deal is driven.
    pub async fn resend(&self) -> Result<(), JsValue> {
        Ok(self.0.outbox.resend().await?)
    }

    /// Carries a deal on from where it is.
    pub fn drive(
        &self,
        state: &str,
        #[wasm_bindgen(unchecked_param_type = "readonly import('../../js/types.js').PieceNode[]")] nodes: js_sys::Array,
    ) -> Result<(), JsValue> {
        self.0.drive(from_text(state)?, nodes_of(&nodes)?);
        Ok(())
    }

    /// Tries a waiting deal now; false when it is not under way.
    pub fn wake(&self, id: &str) -> bool {
        self.0.wake(id)
    }

    /// Gives a working deal up at the page's wish, which is kept then; false when it is not under way here.
    #[wasm_bindgen(js_name = giveUp)]
    pub async fn give_up(&self, id: String) -> Result<bool, JsValue> {
        Ok(self.0.give_up(&id, "you asked for it").await?)
    }

    /// Whether nothing is lost when a kept deal is forgotten.
    #[wasm_bindgen(js_name = mayBeForgotten)]
    pub fn may_be_forgotten(&self, state: &str) -> Result<bool, JsValue> {
        let record = from_text(state)?;
        // Whoever has the key of another account carries its deals on from the backup that this one came from.
        let is_foreign = record.deal.draft.payer != self.0.payer;
        Ok(is_foreign || record.may_be_forgotten())
    }

    /// Stops carrying a deal on.
    pub fn stop(&self, id: &str) {
        self.0.stop(id);
    }

    /// Fetches the file of a deal, as far as its miner has it. Its parts go to `sink`, which returns false to stop; now and then
    /// it is asked with an empty part. They are the file only if this succeeds.
    pub async fn retrieve(
        &self,
        state: String,
        #[wasm_bindgen(unchecked_param_type = "(part: Blob | Uint8Array<ArrayBuffer> | null) => boolean")]
        sink: js_sys::Function,
    ) -> Result<(), JsValue> {
        Ok(retrieve::retrieve(&self.0, &from_text(&state)?, &sink).await?)
    }

    /// Keeps with a deal that all of its data came back from its miner.
    #[wasm_bindgen(js_name = noteRetrieved)]
    pub async fn note_retrieved(&self, state: String) -> Result<(), JsValue> {
        Ok(self.0.note_retrieved(&from_text(&state)?).await?)
    }

    /// Where a deal's miner gives its piece over HTTP; undefined where this page may not ask it so.
    #[wasm_bindgen(js_name = pieceUrl)]
    pub async fn piece_url(&self, state: String) -> Result<Option<String>, JsValue> {
        Ok(retrieve::piece_url(&self.0, &from_text(&state)?).await?)
    }

    /// Fetches data that no deal here is about, from any miner: of `size` bytes, or else of at most `most`. `sink` is as in `retrieve`.
    #[wasm_bindgen(js_name = retrieveAny)]
    pub async fn retrieve_any(
        &self,
        data_cid: String,
        size: Option<f64>,
        most: f64,
        #[wasm_bindgen(unchecked_param_type = "(part: Blob | Uint8Array<ArrayBuffer> | null) => boolean")]
        sink: js_sys::Function,
    ) -> Result<(), JsValue> {
        let cid = Cid::try_from(data_cid.as_str()).map_err(|e| ClientError::Argument {
            what: "the CID",
            reason: e.to_string(),
        })?;
        let wanted = (cid, size.map(|size| size as u64), most as u64);
        Ok(retrieve::retrieve_any(&self.0, wanted, &sink).await?)
    }

    /// Checks a complete deal against the chain.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Verification")]
    pub async fn verify(&self, state: String) -> Result<JsValue, JsValue> {
        Ok(questions::verify(&self.0, &from_text(&state)?).await?)
    }

    /// Gathers the proofs of a complete deal's sector from the chain.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/verify-types.js').ProofEvidence")]
    pub async fn evidence(&self, state: String) -> Result<JsValue, JsValue> {
        Ok(questions::evidence(&self.0, &from_text(&state)?).await?)
    }

    /// Everything that shows a deal, as a file; `manifest` is that of the file that it is about, where it is about one of several pieces.
    pub async fn receipt(&self, state: String, manifest: Option<Vec<u8>>) -> Result<Vec<u8>, JsValue> {
        Ok(receipts::make(&self.0, &from_text(&state)?, manifest.as_deref()).await?)
    }

    /// Asks a deal's miner how it stands.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Answer")]
    pub async fn query(&self, state: String) -> Result<JsValue, JsValue> {
        Ok(questions::query(&self.0, &from_text(&state)?).await?)
    }

    /// Why a deal is not done, and when it will be.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/explanation.js').Explanation")]
    pub async fn explain(&self, state: String) -> Result<JsValue, JsValue> {
        Ok(questions::explain(&self.0, &from_text(&state)?).await?)
    }

    /// What a deal pays, and what was paid.
    #[wasm_bindgen(unchecked_return_type = "import('../../js/types.js').Payments")]
    pub async fn payments(&self, state: String) -> Result<JsValue, JsValue> {
        Ok(payments::payments(&self.0.outbox, &from_text(&state)?).await?)
    }

    /// A deal's vouchers as text, one a line.
    #[wasm_bindgen(js_name = exportVouchers)]
    pub fn export_vouchers(&self, state: &str) -> Result<String, JsValue> {
        Ok(payments::export(&from_text(state)?))
    }

    /// Reads vouchers from text and asks the chain how they stand.
    #[wasm_bindgen(js_name = importVouchers, unchecked_return_type = "import('../../js/types.js').Voucher[]")]
    pub async fn import_vouchers(&self, text: String) -> Result<JsValue, JsValue> {
        Ok(payments::import(&self.0.outbox, &text).await?)
    }
}

/// Reads a link to a miner or a chain; `undefined` when it is none.
#[wasm_bindgen(js_name = readLink, unchecked_return_type = "import('../../js/types.js').PageLink | undefined")]
pub fn read_link(text: &str) -> Result<JsValue, JsValue> {
    let link = Link::parse(text).map_err(|e| ClientError::Argument {
        what: "the address",
        reason: e.to_string(),
    })?;
    Ok(link.map(|link| to_js(&link)).transpose()?.unwrap_or(JsValue::UNDEFINED))
}

/// The kept deals as the rules know them; one that cannot be read is none.
fn known(existing: &[Existing]) -> Vec<KnownDeal> {
    let known = |deal: &Existing| {
        Some(KnownDeal {
            // The page does not say.
            ends: Epoch(u64::MAX),
            miner: deal.miner.clone(),
            data: Cid::try_from(deal.data_cid.as_str()).ok()?,
            deal: deal.deal_cid.clone(),
            failed: deal.failed,
        })
    };
    existing.iter().filter_map(known).collect()
}

/// How many deals there are with each miner, without those that have failed.
fn counts(existing: &[Existing]) -> BTreeMap<Address, usize> {
    let mut counts = BTreeMap::new();
    for deal in existing.iter().filter(|deal| !deal.failed) {
        *counts.entry(deal.miner.clone()).or_default() += 1;
    }
    counts
}

/// The miners that have this data already.
fn holders(existing: &[Existing], data: &str) -> Vec<Address> {
    let same = |deal: &&Existing| !deal.failed && deal.data_cid == data;
    existing.iter().filter(same).map(|deal| deal.miner.clone()).collect()
}

pub(crate) fn kept(record: &Record) -> Result<JsValue, ClientError> {
    let kept = js_sys::Object::new();
    let pairs = [
        ("state", JsValue::from_str(&to_text(record)?)),
        ("view", view(record, true)?),
    ];
    for (key, value) in pairs {
        js_sys::Reflect::set(&kept, &key.into(), &value)
            .map_err(|e| ClientError::Internal(ClientError::text_of(&e)))?;
    }
    Ok(kept.into())
}

pub(crate) fn from_js<T: serde::de::DeserializeOwned>(what: &'static str, value: JsValue) -> Result<T, ClientError> {
    json::from_js(&value).map_err(|reason| ClientError::Argument { what, reason })
}

fn address_of(text: &str) -> Result<Address, ClientError> {
    text.parse()
        .map_err(|e: shared::chain::address::AddressError| ClientError::Argument {
            what: "the address",
            reason: e.to_string(),
        })
}

/// A number of JavaScript as a count of blocks.
fn blocks(number: f64) -> Result<u64, ClientError> {
    if number.fract() == 0.0 && (0.0..=9e15).contains(&number) {
        return Ok(number as u64);
    }
    Err(ClientError::Argument {
        what: "the duration",
        reason: format!("{number} is no count of blocks"),
    })
}

pub(crate) fn nodes_of(list: &js_sys::Array) -> Result<Nodes, ClientError> {
    let bad = |reason: String| ClientError::Argument {
        what: "the piece's nodes",
        reason,
    };
    if list.length() > MAX_NODES {
        return Err(bad(format!("{} nodes are more than any file has", list.length())));
    }
    let mut nodes = Nodes::new();
    for node in list.iter() {
        let field = |name: &str| js_sys::Reflect::get(&node, &name.into()).map_err(|e| bad(ClientError::text_of(&e)));
        let text = field("cid")?.as_string().ok_or_else(|| bad("one has no CID".into()))?;
        let cid = Cid::try_from(text.as_str()).map_err(|e| bad(e.to_string()))?;
        let bytes: js_sys::Uint8Array = field("bytes")?.dyn_into().map_err(|_| bad("one has no bytes".into()))?;
        nodes.insert(cid, bytes.to_vec());
    }
    Ok(nodes)
}

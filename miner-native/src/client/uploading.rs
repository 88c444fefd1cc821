//! Sending a deal's file over HTTP, where its miner takes it so: moves what [`shared::client::uploading`] decides.
//!
//! The file stays on offer over libp2p meanwhile ([`super::serving`]), so an upload that ends early costs nothing. Started by
//! [`super::cli_host`] for a deal that its miner has accepted.

use super::miner_http::{bases_of, innermost};
use super::reading::PieceReader;
use super::report::Report;
use cid::Cid;
use futures::stream::FuturesUnordered;
use futures::StreamExt;
use reqwest::{header, RequestBuilder, Response};
use sealdrop_miner::chain_access::ChainAccess;
use shared::chain::{Address, SecretKey};
use shared::client::uploading::{Ask, Reply, Step, Uploading, ANSWER_LIMIT_MS, CHUNK_LIMIT_MS, MAX_ANSWER};
use shared::transfer::upload::{write_nodes, Opening, SignedOpening, PATH};
use shared::wire::cbor::Bytes;
use shared::wire::encode;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long making a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long nothing may be acknowledged of what was sent: the other side moved or was cut off.
#[cfg(any(target_os = "linux", target_os = "android"))]
const DEAD_PATH: Duration = Duration::from_secs(30);

/// An upload that is under way; it ends with this.
pub(super) struct Upload {
    task: AbortHandle,
    sent: watch::Receiver<bool>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upload {
    /// Whether the miner has said that it has all of the file.
    pub(super) fn is_sent(&self) -> bool {
        *self.sent.borrow()
    }
}

/// A deal whose file is sent.
pub(super) struct UploadOrder {
    pub chain: ChainAccess,
    /// The payer's.
    pub key: SecretKey,
    pub miner: Address,
    /// The miner's peer id, by which the chain's directory knows its addresses.
    pub peer: String,
    pub deal: Cid,
    pub piece: PieceReader,
    /// Interior nodes of its DAG.
    pub nodes: Vec<Bytes>,
}

/// Starts to send a deal's file, where its miner has an address over HTTP; `progress` hears how many bytes the miner has.
pub(super) fn start(order: UploadOrder, report: Report, progress: impl Fn(u64) + Send + Sync + 'static) -> Upload {
    let (sent, watching) = watch::channel(false);
    let task = tokio::spawn(async move {
        let Some(uploading) = Uploading::new(order.piece.size(), bases_of(&order.chain, &order.peer).await) else {
            return;
        };
        let Ok(network) = order.chain.network_id() else { return };
        let heads = order.chain.heads();
        let opening = move || {
            let height = heads.borrow().height;
            Opening::new(network, order.miner.clone(), order.deal, height).sign(&order.key)
        };
        let sender = Sender::new(order.deal, (order.piece, order.nodes), opening);
        match sender.send(uploading, progress).await {
            Ok(true) => {
                sent.send_replace(true);
                report.step("the miner has all of the file, over HTTP");
            }
            // It had it, or has fetched it meanwhile.
            Ok(false) => {}
            Err(reason) => report.note(format!(
                "the file cannot be sent over HTTP: {reason}. The miner fetches it over libp2p instead"
            )),
        }
    });
    Upload {
        task: task.abort_handle(),
        sent: watching,
    }
}

/// Moves the requests of one upload.
struct Sender<O> {
    http: Option<reqwest::Client>,
    deal: Cid,
    piece: PieceReader,
    nodes: Vec<Bytes>,
    opening: O,
}

impl<O: Fn() -> SignedOpening> Sender<O> {
    fn new(deal: Cid, (piece, nodes): (PieceReader, Vec<Bytes>), opening: O) -> Self {
        Self {
            http: client(),
            deal,
            piece,
            nodes,
            opening,
        }
    }

    /// Sends until the miner has the file, and tells whether any of it went this way; errs with why it is left to libp2p.
    async fn send(&self, mut uploading: Uploading, progress: impl Fn(u64)) -> Result<bool, String> {
        let begun = Instant::now();
        let now = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut under_way = FuturesUnordered::new();
        loop {
            match uploading.next(now()) {
                Step::Send(ask) => {
                    let (base, token) = (uploading.base().to_owned(), uploading.token().map(str::to_owned));
                    let range = match ask {
                        Ask::Chunk(chunk) => uploading.bytes(chunk),
                        _ => 0..0,
                    };
                    under_way.push(async move { (ask, self.ask(ask, &base, token.as_deref(), range).await) });
                }
                Step::Await => {
                    if let Some((ask, reply)) = under_way.next().await {
                        uploading.on_reply(ask, reply, now());
                        progress(uploading.sent());
                    }
                }
                Step::Pause(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Step::Done => return Ok(uploading.has_sent()),
                Step::FallBack(reason) => return Err(reason),
            }
        }
    }

    async fn ask(&self, ask: Ask, base: &str, token: Option<&str>, range: std::ops::Range<u64>) -> Reply {
        let Some(http) = &self.http else {
            return Reply::Lost("this machine's certificates cannot be read".to_owned());
        };
        let url = format!("{base}{PATH}/{}", self.deal);
        let request = match ask {
            Ask::Open => http.post(url).body(encode(&(self.opening)())),
            Ask::Nodes => match write_nodes(self.nodes.iter().map(|node| node.0.as_slice())) {
                Ok(nodes) => http.put(format!("{url}/nodes")).body(nodes),
                Err(error) => return Reply::Lost(error.to_string()),
            },
            Ask::Chunk(chunk) => {
                let length = u32::try_from(range.end.saturating_sub(range.start)).unwrap_or_default();
                let Some(bytes) = self.piece.range(range.start, length).await else {
                    return Reply::Unreadable;
                };
                let limit = Duration::from_millis(CHUNK_LIMIT_MS);
                http.put(format!("{url}/{chunk}")).body(bytes).timeout(limit)
            }
            Ask::Finalize => http.post(format!("{url}/finalize")).body(Vec::new()),
        };
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        answered(request)
            .await
            .unwrap_or_else(|error| Reply::Lost(innermost(&error)))
    }
}

fn client() -> Option<reqwest::Client> {
    let http = reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .timeout(Duration::from_millis(ANSWER_LIMIT_MS))
        // The same ways as libp2p takes.
        .no_proxy()
        // Whoever answers would otherwise choose to whom the file is sent.
        .redirect(reqwest::redirect::Policy::none());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let http = http.tcp_user_timeout(DEAD_PATH);
    http.build().ok()
}

async fn answered(request: RequestBuilder) -> Result<Reply, reqwest::Error> {
    let response = request.header(header::ACCEPT, "application/json").send().await?;
    let status = response.status();
    let foreign = Reply::Foreign {
        status: status.as_u16(),
    };
    let Some(body) = short_body(response).await? else {
        return Ok(foreign);
    };
    let reply = match status.is_success() {
        true if body.is_empty() => Some(Reply::Done(None)),
        true => serde_json::from_slice(&body).ok().map(|view| Reply::Done(Some(view))),
        false => serde_json::from_slice(&body).ok().map(Reply::Refused),
    };
    Ok(reply.unwrap_or(foreign))
}

/// The answer's body; `None` when it is longer than any answer of a miner.
async fn short_body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_ANSWER {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::book::{FilePart, LocalFile};
    use crate::client::source::FileFacts;
    use axum::extract::{Request, State};
    use axum::http::Method;
    use axum::middleware::{self, Next};
    use axum::response::IntoResponse;
    use axum::Router;
    use sealdrop_database::Memory;
    use sealdrop_miner::staging::Staging;
    use sealdrop_miner::store::{DealRecord, MinerStore};
    use sealdrop_miner::uploads::{router, UploadParts, Uploads};
    use shared::chain::address::MaybeAddress;
    use shared::chain::keys::cid_of_bytes;
    use shared::chain::view::HeadView;
    use shared::chain::{AttoFil, BytesAmount, Epoch};
    use shared::deal::{MinerDeal, MinerEffect, PaymentInfo, Proposal};
    use shared::piece::{PieceDigest, PieceSummary};
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::sync::Arc;

    /// What goes wrong between client and miner: the requests with a body of chunks that are cut, by their number.
    #[derive(Clone, Default)]
    struct Faults {
        cut: Vec<usize>,
        seen: Arc<AtomicUsize>,
        chunk_bytes: Arc<AtomicU64>,
    }

    /// Bytes of the file before the piece.
    const BEFORE: u64 = 77;

    struct Miner {
        dir: tempfile::TempDir,
        store: MinerStore,
        deal: Cid,
        file: LocalFile,
        summary: PieceSummary,
        bytes: Vec<u8>,
        _heads: watch::Sender<HeadView>,
    }

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[1; 32]).unwrap()
    }

    /// A miner that has accepted a deal about a file of two chunks.
    async fn miner(faults: Faults) -> (Miner, String) {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..(9 << 20) + 5u32).map(|at| (at >> 12) as u8).collect();
        let path = dir.path().join("file");
        std::fs::write(&path, [vec![7; BEFORE as usize], bytes.clone(), vec![8; 9]].concat()).unwrap();
        let mut digest = PieceDigest::new();
        digest.push(&bytes).unwrap();
        let summary = digest.finish().unwrap();
        let payment = PaymentInfo {
            payer: key().address(),
            pay_ch_actor: MaybeAddress(None),
            channel: None,
            channel_msg_cid: None,
            vouchers: None,
        };
        let proposal = Proposal {
            piece_ref: summary.data_cid,
            size: Some(BytesAmount(summary.size)),
            total_price: AttoFil::ZERO,
            duration: 1000,
            miner_address: Address::id(1000),
            payment,
        };
        let record = DealRecord {
            deal: MinerDeal::accepted(proposal.sign(&key()), Epoch(1)),
            created_ms: 1,
            source: "peer".into(),
        };
        let store = MinerStore::of(Arc::new(Memory::default()));
        store.accept(&record).unwrap();
        let head = HeadView {
            height: Epoch(1),
            block: String::new(),
            time_ms: 0,
        };
        let (heads, watching) = watch::channel(head);
        let uploads = Uploads::new(UploadParts {
            address: Address::id(1000),
            network: cid_of_bytes(b"genesis"),
            store: store.clone(),
            staging: Staging::open(dir.path().join("staging")).unwrap(),
            heads: watching,
            wake: Arc::default(),
        });
        let router = router(uploads).layer(middleware::from_fn_with_state(faults, between));
        let base = serve(router).await;
        let miner = Miner {
            file: LocalFile {
                facts: FileFacts::of(&path).unwrap(),
                // A piece of a larger file.
                part: Some(FilePart {
                    offset: BEFORE,
                    size: summary.size,
                }),
                key: None,
                nodes: summary.nodes.iter().map(|(_, bytes)| Bytes(bytes.clone())).collect(),
            },
            deal: record.deal.proposal.cid(),
            dir,
            store,
            summary,
            bytes,
            _heads: heads,
        };
        (miner, base)
    }

    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn between(State(faults): State<Faults>, request: Request, next: Next) -> axum::response::Response {
        let is_chunk = request.method() == Method::PUT && !request.uri().path().ends_with("nodes");
        if is_chunk {
            let number = faults.seen.fetch_add(1, Ordering::SeqCst);
            if faults.cut.contains(&number) {
                return axum::http::StatusCode::BAD_GATEWAY.into_response();
            }
            let length = request.headers()[header::CONTENT_LENGTH].to_str().unwrap();
            let length = length.parse().unwrap();
            faults.chunk_bytes.fetch_add(length, Ordering::SeqCst);
        }
        next.run(request).await
    }

    impl Miner {
        async fn send_to(&self, bases: Vec<String>, network: &[u8]) -> (Result<bool, String>, u64) {
            let opening = || Opening::new(cid_of_bytes(network), Address::id(1000), self.deal, Epoch(1)).sign(&key());
            let piece = PieceReader::of(&self.file, &self.summary.data_cid, None).unwrap();
            let uploading = Uploading::new(piece.size(), bases).unwrap();
            let sender = Sender::new(self.deal, (piece, self.file.nodes.clone()), opening);
            let most = AtomicU64::new(0);
            let sent = sender
                .send(uploading, |bytes| {
                    most.fetch_max(bytes, Ordering::SeqCst);
                })
                .await;
            (sent, most.into_inner())
        }

        fn has_it(&self) -> bool {
            let record = self.store.deal(&self.deal).unwrap().unwrap();
            let staged = self.dir.path().join("staging").join(self.summary.data_cid.to_string());
            let is_whole = std::fs::read(staged).is_ok_and(|staged| staged == self.bytes);
            is_whole && record.deal.effect() == MinerEffect::Place
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_goes_to_a_miner_over_http_and_the_deal_goes_on() {
        let faults = Faults::default();
        let (miner, base) = miner(faults.clone()).await;
        // The first address is nobody's.
        let sent = miner
            .send_to(vec!["http://127.0.0.1:1".into(), base.clone()], b"genesis")
            .await;
        assert_eq!(sent, (Ok(true), miner.summary.size));
        assert!(miner.has_it());
        assert_eq!(faults.chunk_bytes.load(Ordering::SeqCst), miner.summary.size);
        // Again, it has nothing to send.
        assert_eq!(miner.send_to(vec![base], b"genesis").await.0, Ok(false));
        assert_eq!(faults.chunk_bytes.load(Ordering::SeqCst), miner.summary.size);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_chunk_that_is_cut_is_sent_again_and_no_other() {
        for cut in [vec![0], vec![1], vec![0, 1, 2]] {
            let faults = Faults {
                cut,
                ..Faults::default()
            };
            let (miner, base) = miner(faults.clone()).await;
            assert_eq!(miner.send_to(vec![base], b"genesis").await.0, Ok(true));
            assert!(miner.has_it());
            assert_eq!(faults.chunk_bytes.load(Ordering::SeqCst), miner.summary.size);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_left_to_libp2p_when_something_else_answers_or_the_miner_refuses() {
        let (miner, base) = miner(Faults::default()).await;
        let other = serve(Router::new()).await;
        let (sent, _) = miner.send_to(vec![other], b"genesis").await;
        assert!(sent.unwrap_err().contains("no miner of this network (status 404)"));
        let (sent, _) = miner.send_to(vec!["http://127.0.0.1:1".into()], b"genesis").await;
        assert!(sent.unwrap_err().contains("refused"));
        let (sent, _) = miner.send_to(vec![base], b"another network").await;
        assert!(sent.unwrap_err().contains("another network"));
        assert!(!miner.has_it());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_changed_is_not_sent() {
        let (miner, base) = miner(Faults::default()).await;
        std::fs::write(&miner.file.facts.path, b"other").unwrap();
        let (sent, _) = miner.send_to(vec![base], b"genesis").await;
        assert!(sent.unwrap_err().contains("cannot be read"));
        assert!(!miner.has_it());
    }
}

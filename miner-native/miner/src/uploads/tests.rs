//! Rules of uploads, over the router itself: what arrives, what is kept, what is refused, and what a restart leaves.

#[cfg(unix)]
mod crashes;

use super::sessions::{IDLE_LIMIT, IDLE_LIMIT_AFTER_FAILURE, MAX_SESSIONS_OF_A_PAYER};
use super::*;
use crate::sealing::SealingWake;
use crate::staging::Staging;
use crate::store::{DealRecord, MinerStore};
use axum::body::{Body, Bytes};
use axum::http::{header, Method, Request, Response, StatusCode};
use axum::Router;
use cid::Cid;
use futures::stream;
use sealdrop_database::Memory;
use shared::chain::address::MaybeAddress;
use shared::chain::keys::cid_of_bytes;
use shared::chain::view::HeadView;
use shared::chain::{Address, AttoFil, BytesAmount, Epoch, SecretKey};
use shared::deal::{MinerDeal, MinerInput, MinerStage, PaymentInfo, Proposal};
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{DagShape, PieceDigest, PieceSummary};
use shared::transfer::upload::{
    write_nodes, Chunks, Opening, SessionState, SessionView, SignedOpening, UploadCode, UploadProblem,
};
use shared::transfer::{Kept, KnownDag};
use shared::wire::encode;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

const HEIGHT: Epoch = Epoch(50);
/// A file of three chunks, of which the last has two leaves, one of them short.
static FILE: LazyLock<(Vec<u8>, PieceSummary)> = LazyLock::new(|| file(17 * LEAF_BYTES as usize + 7, 1));

fn file(size: usize, seed: u8) -> (Vec<u8>, PieceSummary) {
    let mut bytes = vec![seed; size];
    for (leaf, bytes) in bytes.chunks_mut(LEAF_BYTES as usize).enumerate() {
        bytes[0] = leaf as u8;
    }
    let mut digest = PieceDigest::new();
    digest.push(&bytes).unwrap();
    (bytes, digest.finish().unwrap())
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

fn network() -> Cid {
    cid_of_bytes(b"genesis")
}

fn miner() -> Address {
    Address::id(1000)
}

/// A miner's disk and records, and its uploads.
struct World {
    dir: PathBuf,
    /// Removes the folder at the end, where it is this world's alone.
    _temporary: Option<TempDir>,
    store: MinerStore,
    staging: Staging,
    wake: Arc<SealingWake>,
    heads: watch::Sender<HeadView>,
    router: Router,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self::at(dir.path().to_owned(), MinerStore::of(Arc::new(Memory::default())));
        world._temporary = Some(dir);
        world
    }

    /// In a folder that may have been another's.
    fn at(dir: PathBuf, store: MinerStore) -> Self {
        let (block, time_ms) = (String::new(), 0);
        let (heads, _) = watch::channel(HeadView {
            height: HEIGHT,
            block,
            time_ms,
        });
        let staging = Staging::open(&dir).unwrap();
        let mut world = Self {
            dir,
            _temporary: None,
            store,
            staging,
            wake: Arc::default(),
            heads,
            router: Router::new(),
        };
        world.restart();
        world
    }

    /// As after a kill: what is in memory is gone.
    fn restart(&mut self) {
        self.router = Router::new();
        self.staging = Staging::open(&self.dir).unwrap();
        self.router = router(Uploads::new(UploadParts {
            address: miner(),
            network: network(),
            store: self.store.clone(),
            staging: self.staging.clone(),
            heads: self.heads.subscribe(),
            wake: self.wake.clone(),
        }));
    }

    /// An accepted deal of the key's account about a piece; `duration` tells those of the same data apart.
    fn deal(&self, payer: u8, data: Cid, size: u64, duration: u64) -> Cid {
        let key = key(payer);
        let payment = PaymentInfo {
            payer: key.address(),
            pay_ch_actor: MaybeAddress(None),
            channel: None,
            channel_msg_cid: None,
            vouchers: None,
        };
        let proposal = Proposal {
            piece_ref: data,
            size: Some(BytesAmount(size)),
            total_price: AttoFil::ZERO,
            duration,
            miner_address: miner(),
            payment,
        };
        let record = DealRecord {
            deal: MinerDeal::accepted(proposal.sign(&key), HEIGHT),
            created_ms: 1,
            source: "peer".into(),
        };
        let cid = record.deal.proposal.cid();
        if self.store.deal(&cid).unwrap().is_none() {
            self.store.accept(&record).unwrap();
        }
        cid
    }

    fn stage(&self, deal: &Cid) -> MinerStage {
        self.store.deal(deal).unwrap().unwrap().deal.stage
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    async fn open_with(&self, deal: &Cid, signed: &SignedOpening) -> Answer {
        let body = encode(signed);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/uploads/{deal}"))
            .header(header::CONTENT_LENGTH, body.len());
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn try_open(&self, deal: &Cid, payer: u8) -> Answer {
        let opening = Opening::new(network(), miner(), *deal, HEIGHT);
        self.open_with(deal, &opening.sign(&key(payer))).await
    }

    async fn open(&self, deal: &Cid) -> Client<'_> {
        let answer = self.try_open(deal, 1).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let view = answer.view();
        Client {
            world: self,
            deal: *deal,
            token: view.token.unwrap(),
        }
    }

    /// Names of what lies in staging.
    fn staged(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut endings: Vec<String> = names
            .map(|name| name.rsplit_once('.').map_or("whole", |(_, ending)| ending).to_owned())
            .collect();
        endings.sort();
        endings
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    fn view(&self) -> SessionView {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn problem(&self) -> UploadProblem {
        let problem: UploadProblem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.code.status(), self.status.as_u16());
        assert!(!problem.message.is_empty() && !problem.hint.is_empty());
        problem
    }

    fn code(&self) -> UploadCode {
        self.problem().code
    }
}

/// Somebody who has a session's token.
struct Client<'a> {
    world: &'a World,
    deal: Cid,
    token: String,
}

impl Client<'_> {
    fn request(&self, method: Method, rest: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("/uploads/{}{rest}", self.deal))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
    }

    async fn put(&self, rest: &str, body: Vec<u8>) -> Answer {
        let request = self
            .request(Method::PUT, rest)
            .header(header::CONTENT_LENGTH, body.len());
        self.world.send(request.body(body.into()).unwrap()).await
    }

    async fn nodes(&self, summary: &PieceSummary) -> Answer {
        let nodes = summary.nodes.iter().map(|(_, bytes)| bytes.as_slice());
        self.put("/nodes", write_nodes(nodes).unwrap()).await
    }

    async fn chunk(&self, file: &[u8], chunk: u64) -> Answer {
        self.put(&format!("/{chunk}"), bytes_of(file, chunk)).await
    }

    async fn view(&self) -> SessionView {
        let request = self.request(Method::GET, "").body(Body::empty()).unwrap();
        let answer = self.world.send(request).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.view()
    }

    async fn finalize(&self) -> Answer {
        let request = self.request(Method::POST, "/finalize").body(Body::empty()).unwrap();
        self.world.send(request).await
    }
}

fn bytes_of(file: &[u8], chunk: u64) -> Vec<u8> {
    let range = Chunks::new(file.len() as u64).bytes(chunk).unwrap();
    file[range.start as usize..range.end as usize].to_vec()
}

/// A world with a deal about [`FILE`].
fn world() -> (World, Cid) {
    let (world, summary) = (World::new(), &FILE.1);
    let deal = world.deal(1, summary.data_cid, summary.size, 1000);
    (world, deal)
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_arrive_in_any_order_and_twice_and_the_deal_goes_on_as_if_pulled() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let answer = world.try_open(&deal, 1).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers[header::LOCATION], format!("/uploads/{deal}"));
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let view = answer.view();
    assert_eq!((view.chunk_bytes, view.chunks), (8 << 20, 3));
    assert!(view.nodes_missing && view.missing == [(0, 3)] && !view.more_missing);
    let client = world.open(&deal).await;
    assert_eq!(Some(&client.token), view.token.as_ref(), "opened again it is the same");
    let early = client.chunk(bytes, 0).await;
    assert_eq!(early.code(), UploadCode::NodesMissing);
    for _ in 0..2 {
        assert_eq!(client.nodes(summary).await.status, StatusCode::NO_CONTENT);
    }
    for (chunk, missing) in [(2, vec![(0, 2)]), (0, vec![(1, 2)]), (0, vec![(1, 2)]), (1, vec![])] {
        let unfinished = client.finalize().await;
        assert_eq!(unfinished.code(), UploadCode::Incomplete);
        assert!(!unfinished.problem().session.unwrap().missing.is_empty());
        assert_eq!(client.chunk(bytes, chunk).await.status, StatusCode::NO_CONTENT);
        assert_eq!(client.view().await.missing, missing);
    }
    let done = client.finalize().await;
    assert_eq!(
        (done.status, done.view().state),
        (StatusCode::OK, SessionState::Received)
    );
    assert_eq!(world.stage(&deal), MinerStage::Received { comm_p: summary.comm_p });
    world.wake.piece_arrived.notified().await;
    assert_eq!(std::fs::read(world.staging.path(&summary.data_cid)).unwrap(), *bytes);
    assert_eq!(world.staged(), ["whole"]);
    // Whoever did not hear of it opens it again.
    assert_eq!(client.finalize().await.code(), UploadCode::NoSession);
    let again = world.try_open(&deal, 1).await.view();
    assert_eq!((again.state, again.token), (SessionState::Received, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_any_two_chunks_costs_no_chunk() {
    let ((mut world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    let (token, mut missing) = (client.token.clone(), vec![0, 1, 2]);
    for chunk in [1, 2, 0] {
        world.restart();
        let lost = Client {
            world: &world,
            deal,
            token: token.clone(),
        };
        assert_eq!(lost.chunk(bytes, chunk).await.code(), UploadCode::NoSession);
        let client = world.open(&deal).await;
        let view = client.view().await;
        assert!(!view.nodes_missing);
        let named: Vec<u64> = view.missing.iter().flat_map(|(from, to)| *from..*to).collect();
        assert_eq!(named, missing);
        assert_eq!(client.chunk(bytes, chunk).await.status, StatusCode::NO_CONTENT);
        missing.retain(|other| *other != chunk);
    }
    world.restart();
    let client = world.open(&deal).await;
    assert!(client.view().await.is_whole());
    assert_eq!(client.finalize().await.status, StatusCode::OK);
    assert_eq!(world.stage(&deal), MinerStage::Received { comm_p: summary.comm_p });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_after_the_piece_was_whole_and_before_the_deal_knew_finishes_it() {
    let ((mut world, deal), (bytes, summary)) = (world(), &*FILE);
    std::fs::write(world.staging.path(&summary.data_cid), bytes).unwrap();
    world.restart();
    let client = world.open(&deal).await;
    assert!(client.view().await.is_whole());
    assert_eq!(client.chunk(bytes, 0).await.status, StatusCode::NO_CONTENT);
    assert_eq!(client.finalize().await.status, StatusCode::OK);
    assert_eq!(world.stage(&deal), MinerStage::Received { comm_p: summary.comm_p });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_cut_keeps_nothing_and_can_be_sent_again() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    for chunk in 0..3 {
        let body = bytes_of(bytes, chunk);
        let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
        for breaks in [true, false] {
            let mut parts = vec![Ok(half.clone())];
            if breaks {
                parts.push(Err(std::io::Error::other("gone")));
            }
            let request = client
                .request(Method::PUT, &format!("/{chunk}"))
                .header(header::CONTENT_LENGTH, body.len());
            let cut = world
                .send(request.body(Body::from_stream(stream::iter(parts))).unwrap())
                .await;
            assert_eq!(cut.code(), UploadCode::BadRequest);
        }
        assert_eq!(client.view().await.missing, [(chunk, 3)]);
        assert_eq!(client.chunk(bytes, chunk).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(client.finalize().await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_chunk_with_one_wrong_byte_nothing_is_kept() {
    let ((mut world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    for chunk in 0..3 {
        let right = bytes_of(bytes, chunk);
        for at in [0, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            let refused = client.put(&format!("/{chunk}"), wrong).await;
            assert_eq!(refused.code(), UploadCode::WrongBytes);
            let leaf = (chunk << 3) + at as u64 / LEAF_BYTES;
            assert!(refused.problem().message.contains(&format!("leaf {leaf} ")));
        }
        // Another chunk's bytes are as wrong.
        if chunk < 2 {
            let swapped = client.put(&format!("/{chunk}"), bytes_of(bytes, 1 - chunk)).await;
            assert_eq!(swapped.code(), UploadCode::WrongBytes);
        }
    }
    assert_eq!(client.view().await.missing, [(0, 3)]);
    assert_eq!(world.staging.held(&summary.data_cid), 0);
    world.restart();
    assert_eq!(world.open(&deal).await.view().await.missing, [(0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_deals_payer_opens_a_session_and_only_for_this_miner_now() {
    let (world, deal) = world();
    let opening = || Opening::new(network(), miner(), deal, HEIGHT);
    let until = |until| {
        let mut opening = opening();
        opening.until = until;
        opening
    };
    let other_deal = world.deal(1, FILE.1.data_cid, FILE.1.size, 1001);
    for (case, signed) in [
        ("another key", opening().sign(&key(2))),
        (
            "another network",
            Opening::new(cid_of_bytes(b"x"), miner(), deal, HEIGHT).sign(&key(1)),
        ),
        (
            "another miner",
            Opening::new(network(), Address::id(1001), deal, HEIGHT).sign(&key(1)),
        ),
        (
            "another deal",
            Opening::new(network(), miner(), other_deal, HEIGHT).sign(&key(1)),
        ),
        ("expired", until(Epoch(HEIGHT.0 - 1)).sign(&key(1))),
        ("for ever", until(Epoch(u64::MAX)).sign(&key(1))),
    ] {
        let refused = world.open_with(&deal, &signed).await;
        assert_eq!(refused.code(), UploadCode::NotAuthorised, "{case}");
    }
    // One that held when it was signed holds no longer.
    let signed = opening().sign(&key(1));
    world.heads.send_modify(|head| head.height = Epoch(HEIGHT.0 + 101));
    assert_eq!(world.open_with(&deal, &signed).await.code(), UploadCode::NotAuthorised);
    assert_eq!(world.staged(), [""; 0], "nothing was stored for any of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_token_a_session_does_nothing() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    let stranger = |token: &str| Client {
        world: &world,
        deal,
        token: token.to_owned(),
    };
    for token in ["", "00", &client.token[1..], "0".repeat(64).as_str()] {
        let stranger = stranger(token);
        assert_eq!(stranger.chunk(bytes, 0).await.code(), UploadCode::NoSession);
        assert_eq!(stranger.finalize().await.code(), UploadCode::NoSession);
    }
    let bare = Request::get(format!("/uploads/{deal}")).body(Body::empty()).unwrap();
    assert_eq!(world.send(bare).await.code(), UploadCode::NoSession);
    assert_eq!(client.view().await.missing, [(0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_is_unknown_over_or_received_takes_nothing() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let unknown = cid_of_bytes(b"unknown");
    assert_eq!(world.try_open(&unknown, 1).await.code(), UploadCode::UnknownDeal);
    let no_cid = Request::post("/uploads/nonsense")
        .header(header::CONTENT_LENGTH, 0)
        .body(Body::empty());
    assert_eq!(world.send(no_cid.unwrap()).await.code(), UploadCode::BadRequest);

    // It fails in the middle: the session ends, and what is here of its piece goes.
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    client.chunk(bytes, 1).await;
    assert_eq!(world.staged(), ["have", "nodes", "part"]);
    world.store.advance_deal(&deal, MinerInput::TransferFailed).unwrap();
    let late = client.chunk(bytes, 0).await;
    assert_eq!(late.code(), UploadCode::DealOver);
    assert_eq!(world.staged(), [""; 0]);
    assert_eq!(world.try_open(&deal, 1).await.code(), UploadCode::DealOver);
    assert!(!world.staging.is_claimed(&summary.data_cid));

    // Its piece came another way.
    let other = world.deal(1, summary.data_cid, summary.size, 1001);
    let client = world.open(&other).await;
    let comm_p = summary.comm_p;
    world
        .store
        .advance_deal(&other, MinerInput::PieceReceived { comm_p })
        .unwrap();
    assert_eq!(client.chunk(bytes, 0).await.view().state, SessionState::Received);
    assert_eq!(world.try_open(&other, 1).await.view().state, SessionState::Received);
}

/// The file of what has come, where nothing can be written.
fn nothing_can_be_written(world: &World, summary: &PieceSummary) -> std::path::PathBuf {
    let part = world.dir.join(format!("{}.part", summary.data_cid));
    std::fs::rename(&part, world.dir.join("aside")).unwrap();
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    part
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_when_there_is_room_again_it_goes_on() {
    let ((mut world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    client.chunk(bytes, 0).await;
    let part = nothing_can_be_written(&world, summary);
    world.restart();
    let client = world.open(&deal).await;
    for chunk in 0..3 {
        assert_eq!(client.chunk(bytes, chunk).await.code(), UploadCode::NoRoom);
    }
    assert_eq!(client.view().await.missing, [(0, 3)]);
    std::fs::remove_file(&part).unwrap();
    world.restart();
    let client = world.open(&deal).await;
    for chunk in 0..3 {
        assert_eq!(client.chunk(bytes, chunk).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(client.finalize().await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_for_which_the_disk_has_no_room_opens_no_session() {
    let world = World::new();
    let largest = shared::transfer::puller::MAX_TRANSFER;
    let data = FILE.1.data_cid;
    let deal = world.deal(1, data, largest, 1000);
    if world.staging.check_room(largest).is_ok() {
        // A machine of that size has nothing to show here.
        return;
    }
    assert_eq!(world.try_open(&deal, 1).await.code(), UploadCode::NoRoom);
    assert!(!world.staging.is_claimed(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deals_about_one_piece_share_what_either_sends() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let other = world.deal(1, summary.data_cid, summary.size, 1001);
    let (one, two) = (world.open(&deal).await, world.open(&other).await);
    assert_ne!(one.token, two.token);
    one.nodes(summary).await;
    one.chunk(bytes, 0).await;
    two.chunk(bytes, 2).await;
    assert_eq!(one.view().await.missing, [(1, 2)]);
    assert_eq!(two.view().await.missing, [(1, 2)]);
    one.chunk(bytes, 1).await;
    for client in [&one, &two] {
        assert_eq!(client.finalize().await.status, StatusCode::OK);
        assert_eq!(
            world.stage(&client.deal),
            MinerStage::Received { comm_p: summary.comm_p }
        );
    }
    // One says another size of the same data: which is wrong is not known before one of them is through.
    let wrong = world.deal(1, summary.data_cid, summary.size - 1, 1002);
    std::fs::remove_file(world.staging.path(&summary.data_cid)).unwrap();
    let third = world.deal(1, summary.data_cid, summary.size, 1003);
    let third = world.open(&third).await;
    assert_eq!(world.try_open(&wrong, 1).await.code(), UploadCode::Busy);
    drop(third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chunks_sent_at_once_all_arrive() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    let all = [2, 1, 0, 1, 2].map(|chunk| client.chunk(bytes, chunk));
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(client.finalize().await.status, StatusCode::OK);
    assert_eq!(std::fs::read(world.staging.path(&summary.data_cid)).unwrap(), *bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_under_way_makes_room_and_what_it_brought_is_not_missing() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let data = summary.data_cid;
    let claim = world.staging.claim(data).unwrap();
    let file = KnownDag::new(data, summary.size, DagShape::STANDARD).unwrap();
    let mut incoming = world.staging.begin(file).unwrap();
    for (cid, bytes) in summary.nodes.clone() {
        incoming.keep(Kept::Node { cid, bytes }).unwrap();
    }
    // One chunk, and a leaf of the next.
    incoming.keep_leaves(0, &bytes[..9 << 20]).unwrap();
    let transfer = async {
        claim.wanted().await;
        drop((incoming, claim));
    };
    let (client, ()) = tokio::join!(world.open(&deal), transfer);
    assert!(world.staging.claim(data).is_none(), "the upload has it");
    let view = client.view().await;
    assert_eq!((view.nodes_missing, view.missing), (false, vec![(1, 3)]));
    for chunk in 1..3 {
        assert_eq!(client.chunk(bytes, chunk).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(client.finalize().await.status, StatusCode::OK);
    assert!(world.staging.claim(data).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_somebody_keeps_is_not_taken_from_them() {
    let (world, deal) = world();
    let claim = world.staging.claim(FILE.1.data_cid).unwrap();
    let refused = world.try_open(&deal, 1).await;
    assert_eq!(refused.code(), UploadCode::Busy);
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(refused.problem().retry_ms, Some(1000));
    drop(claim);
    assert_eq!(world.try_open(&deal, 1).await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn a_silent_session_ends_and_leaves_the_piece_to_whoever_fetches_it() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    tokio::time::sleep(IDLE_LIMIT - Duration::from_secs(1)).await;
    client.chunk(bytes, 1).await;
    tokio::time::sleep(IDLE_LIMIT - Duration::from_secs(1)).await;
    assert!(world.staging.is_claimed(&summary.data_cid), "a chunk keeps it alive");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!world.staging.is_claimed(&summary.data_cid));
    assert_eq!(client.chunk(bytes, 0).await.code(), UploadCode::NoSession);
    let file = KnownDag::new(summary.data_cid, summary.size, DagShape::STANDARD).unwrap();
    let incoming = world.staging.begin(file).unwrap();
    assert_eq!(incoming.kept().iter().collect::<Vec<_>>(), (8..16).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_session_on_which_the_miner_failed_leaves_the_piece_soon() {
    let ((mut world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    client.chunk(bytes, 0).await;
    nothing_can_be_written(&world, summary);
    world.restart();
    let client = world.open(&deal).await;
    tokio::time::sleep(IDLE_LIMIT - Duration::from_secs(3)).await;
    assert_eq!(client.chunk(bytes, 1).await.code(), UploadCode::NoRoom);
    tokio::time::sleep(IDLE_LIMIT_AFTER_FAILURE - Duration::from_secs(1)).await;
    assert!(world.staging.is_claimed(&summary.data_cid), "it may be tried again");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!world.staging.is_claimed(&summary.data_cid));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(&bytes[..1000]))]);
    let body = Body::from_stream(futures::StreamExt::chain(begun, stream::pending()));
    let request = client
        .request(Method::PUT, "/0")
        .header(header::CONTENT_LENGTH, 8 << 20);
    let silent = world.send(request.body(body).unwrap()).await;
    assert_eq!(silent.code(), UploadCode::TooSlow);
    assert_eq!(client.view().await.missing, [(0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_payer_has_a_share_of_the_sessions_and_idle_ones_make_room() {
    let world = World::new();
    let (_, summary) = file(9, 7);
    let deal = |number: u64| {
        // Roots of files of one leaf: any digest is one.
        let data = shared::piece::node::raw_cid(&number.to_le_bytes());
        world.deal(1, data, summary.size, 1000)
    };
    let most = MAX_SESSIONS_OF_A_PAYER as u64;
    for number in 0..most {
        assert_eq!(world.try_open(&deal(number), 1).await.status, StatusCode::CREATED);
    }
    let next = deal(most);
    assert_eq!(world.try_open(&next, 1).await.code(), UploadCode::Busy);
    let other = world.deal(2, summary.data_cid, summary.size, 1000);
    assert_eq!(
        world.try_open(&other, 2).await.status,
        StatusCode::CREATED,
        "others have theirs"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.try_open(&next, 1).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_another_length_and_chunks_that_there_are_not_are_refused_unread() {
    let ((world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    for chunk in ["3", "18446744073709551616", "-1", "x"] {
        let refused = client.put(&format!("/{chunk}"), vec![1]).await;
        assert_eq!(refused.code(), UploadCode::NoSuchChunk, "{chunk}");
    }
    for length in [0, 1, (8 << 20) - 1, (8 << 20) + 1] {
        let refused = client.put("/0", bytes[..length].to_vec()).await;
        assert_eq!(refused.code(), UploadCode::WrongLength, "{length}");
    }
    let unread = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    for (rest, length) in [("/0", None), ("/nodes", None), ("/nodes", Some("99999999"))] {
        let mut request = client.request(Method::PUT, rest);
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        let refused = world.send(request.body(unread()).unwrap()).await;
        assert_eq!(refused.code(), UploadCode::WrongLength, "{rest}");
    }
    let long = Request::post(format!("/uploads/{deal}")).header(header::CONTENT_LENGTH, "1025");
    assert_eq!(
        world.send(long.body(unread()).unwrap()).await.code(),
        UploadCode::WrongLength
    );
    // More than was announced.
    let lying = client
        .request(Method::PUT, "/2")
        .header(header::CONTENT_LENGTH, bytes_of(bytes, 2).len());
    let refused = world.send(lying.body(bytes_of(bytes, 0).into()).unwrap()).await;
    assert_eq!(refused.code(), UploadCode::BadRequest);
    assert_eq!(client.view().await.missing, [(0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_nodes_are_refused_and_a_root_that_is_no_such_file_fails_the_deal() {
    let ((world, deal), (_, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    let foreign = &file(3 << 20, 9).1;
    assert_eq!(client.nodes(foreign).await.code(), UploadCode::WrongNodes);
    assert_eq!(client.put("/nodes", vec![5, 1]).await.code(), UploadCode::WrongNodes);
    assert_eq!(client.put("/nodes", vec![]).await.code(), UploadCode::WrongNodes);
    assert_eq!(client.nodes(summary).await.status, StatusCode::NO_CONTENT);
    // Of another size than its root says.
    let wrong = world.deal(1, foreign.data_cid, foreign.size + 1, 1001);
    let client = world.open(&wrong).await;
    assert_eq!(client.nodes(foreign).await.code(), UploadCode::NotAFile);
    assert!(matches!(world.stage(&wrong), MinerStage::Failed { .. }));
    // Of no file at all.
    let none = world.deal(1, foreign.data_cid, 5, 1002);
    assert_eq!(world.try_open(&none, 1).await.code(), UploadCode::NotAFile);
    assert!(matches!(world.stage(&none), MinerStage::Failed { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_of_another_size_fails_and_takes_nothing_of_what_is_here() {
    let ((mut world, deal), (bytes, summary)) = (world(), &*FILE);
    let client = world.open(&deal).await;
    client.nodes(summary).await;
    client.chunk(bytes, 1).await;
    world.restart();
    let other = world.deal(2, summary.data_cid, summary.size - 1, 1000);
    assert_eq!(world.try_open(&other, 2).await.code(), UploadCode::NotAFile);
    assert!(matches!(world.stage(&other), MinerStage::Failed { .. }));
    let view = world.open(&deal).await.view().await;
    assert_eq!((view.nodes_missing, view.missing), (false, vec![(0, 1), (2, 3)]));
}

#[tokio::test(start_paused = true)]
async fn who_only_asks_is_not_waited_for_and_takes_nothing_from_others_the_next_time() {
    let ((world, deal), data) = (world(), FILE.1.data_cid);
    let client = world.open(&deal).await;
    for _ in 0..8 {
        tokio::time::sleep(IDLE_LIMIT / 7).await;
        let asking = client.request(Method::GET, "").body(Body::empty());
        world.send(asking.unwrap()).await;
    }
    assert!(!world.staging.is_claimed(&data));
    let claim = world.staging.claim(data).unwrap();
    tokio::select! {
        () = claim.wanted() => panic!("whoever fetches it is asked to make room"),
        refused = world.try_open(&deal, 1) => assert_eq!(refused.code(), UploadCode::Busy),
    }
}

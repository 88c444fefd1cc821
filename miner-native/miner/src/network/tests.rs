//! What peers see of the miner: a client of its own, over real streams, against a real chain.

mod asking;
mod hostile;
mod transports;

use super::*;
use crate::assembly::Assembly;
use crate::block_index::BlockIndex;
use crate::chain_access::ChainAccess;
use crate::clock::now_ms;
use crate::intake::Intake;
use crate::piece_reader::PieceReader;
use crate::prover::fake::FakeEngine;
use crate::prover::Prover;
use crate::registration;
use crate::settings::{Kept, Settings, SettingsStore};
use crate::staging::Staging;
use crate::store::MinerStore;
use crate::uploads;
use cid::Cid;
use libp2p::{PeerId, Stream};
use libp2p_stream::Control;
use sealdrop_database::Memory;
use sealdrop_devnet::{Devnet, DevnetConfig};
use shared::chain::address::MaybeAddress;
use shared::chain::{Address, AttoFil, BytesAmount, Epoch, Policy, SecretKey, Signature};
use shared::deal::quote::MAX_REQUEST;
use shared::deal::{
    DealState, FailureCode, MinerEffect, MinerInput, PaymentInfo, Proposal, QueryRequest, QuoteRequest, Response,
    SignedProposal, SignedQuote, SignedResponse, WatchRequest,
};
use shared::explain::deal::{Explanation, MAX_JSON};
use shared::file::{FileEntry, FilePiece, Manifest, RelativePath};
use shared::piece::{PieceDigest, PieceSummary, SectorSize};
use shared::ports::verifier::FakeVerifier;
use shared::retrieval::{RetrievalStatus, RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse};
use shared::transfer::upload::{Opening, SessionView};
use shared::transfer::{serve as decide, PieceSource, Request, Response as Answer, Serve};
use shared::wire::frame::{next_frame, MAX_MESSAGE};
use shared::wire::{decode, Cbor};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tower::ServiceExt;

/// A miner that asks for nothing, so that deals need no channel.
struct World {
    miner: Assembly,
    host: Host,
    transfers: TransferManager,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::open(DevnetConfig {
            dir: dir.path().join("devnet"),
            network: "test".into(),
            block_time: Duration::from_millis(20),
            policy: Policy::default(),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            hosts: Vec::new(),
            is_public: false,
            tls: None,
            verifier: Arc::new(FakeVerifier::default()),
            verifying_keys: "keys".into(),
        })
        .unwrap();
        let running = devnet.clone();
        tokio::spawn(async move { running.run().await });
        let host = Host::start(
            Keypair::generate_ed25519(),
            HostConfig::on_loopback(0, 0, dir.path().join("certificates")),
        )
        .await
        .unwrap();
        let store = MinerStore::open(&dir.path().join("store")).unwrap();
        let worker = SecretKey::from_bytes(&[3; 32]).unwrap();
        let chain = ChainAccess::connect(&devnet.url(), store.outbox(), worker.clone())
            .await
            .unwrap();
        let (size, peer, free) = (SectorSize::S8MiB, host.peer_id(), AttoFil::ZERO);
        let registered = registration::register(&chain, &store, size, &peer.to_bytes())
            .await
            .unwrap();
        let engine = FakeEngine {
            prover_id: [0; 32],
            size,
            dir: dir.path().join("sectors"),
            refuses_own: false,
        };
        let settings = Settings {
            price: free,
            auto_seal_ms: 3_600_000,
            ..Settings::default()
        };
        let kept = Kept {
            settings,
            ..Kept::default()
        };
        let prover = Arc::new(Prover::start(Arc::new(engine), size, store.rates()));
        let settings = Arc::new(SettingsStore::new(kept));
        let account = Account::of(worker);
        let staging = Staging::open(dir.path().join("staging")).unwrap();
        let miner = Assembly {
            reader: PieceReader::new(store.clone(), staging.clone(), prover.clone()),
            index: BlockIndex::of(Arc::new(Memory::default())),
            address: registered.address,
            owner: registered.owner,
            sector_size: size,
            policy: Policy::default(),
            intake: Arc::new(Intake::new(size, store.clone(), prover.clone(), settings.clone())),
            settings,
            prover,
            store,
            staging,
            worker_chain: chain.with_account(account.clone()),
            chain,
            worker: account,
            verifier: Arc::new(FakeVerifier::default()),
            wake: Arc::default(),
            sectors: dir.path().join("sectors"),
            storage_doubt: StorageDoubt::default(),
            coming: crate::coming::Coming::nothing(),
            redemptions: Arc::default(),
        };
        let transfers = TransferManager::new(miner.transfer_parts(), host.clone());
        let sources = transfers.clone();
        let network = Network {
            host: host.clone(),
            chain: miner.chain.clone(),
            reviewer: Arc::new(miner.reviewer()),
            answers: miner.answers(),
            transfers: transfers.clone(),
            explainer: Explainer::new(miner.explainer_parts(), move |deal| sources.sources(deal)),
            retrieval: miner.retrieval(),
            storage_doubt: miner.storage_doubt.clone(),
        };
        tokio::spawn(network.run(Lifeline::unsupervised()));
        Self {
            miner,
            host,
            transfers,
            _dir: dir,
        }
    }

    /// Where the host listens by a transport.
    fn address(&self, kind: TransportKind) -> libp2p::Multiaddr {
        let listening = self.host.listening();
        let mut of_kind = listening.into_iter().filter(|a| TransportKind::of(a) == Some(kind));
        of_kind.next().unwrap()
    }

    /// A client that is connected; over WebSocket when `browser`.
    async fn client(&self, browser: bool) -> Client {
        let kind = match browser {
            true => TransportKind::WebSocket,
            false => TransportKind::Tcp,
        };
        self.client_over(kind).await
    }

    async fn client_over(&self, kind: TransportKind) -> Client {
        let mut swarm = swarm::swarm(
            &Keypair::generate_ed25519(),
            &swarm::Certificates::default(),
            &refused::Refused::default(),
        )
        .unwrap();
        let address = self.address(kind);
        let control = swarm.behaviour().stream.new_control();
        let address = address.with_p2p(self.host.peer_id()).unwrap();
        swarm::dial(&mut swarm, address.into()).unwrap();
        let connected = Arc::new(Notify::new());
        let tell = connected.clone();
        tokio::spawn(async move {
            loop {
                if let libp2p::swarm::SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
                    tell.notify_one();
                }
            }
        });
        connected.notified().await;
        Client {
            control,
            miner: self.host.peer_id(),
            transfers: Arc::default(),
        }
    }
}

struct Client {
    control: Control,
    miner: PeerId,
    /// Streams that the miner opened for data.
    transfers: Arc<AtomicUsize>,
}

impl Client {
    async fn ask<Q: Cbor, A: Cbor>(&mut self, protocol: &'static str, question: &Q) -> A {
        let mut stream = self
            .control
            .open_stream(self.miner, StreamProtocol::new(protocol))
            .await
            .unwrap();
        frames::write(&mut stream, question).await.unwrap();
        frames::read(&mut stream).await.unwrap()
    }

    async fn propose(&mut self, signed: &SignedProposal) -> SignedResponse {
        self.ask(protocol::MAKE_DEAL, signed).await
    }

    async fn query(&mut self, cid: Cid) -> SignedResponse {
        self.ask(protocol::QUERY_DEAL, &QueryRequest { cid }).await
    }

    /// The whole piece, or the refusal's text.
    async fn retrieve(&mut self, piece_ref: Cid) -> Result<Vec<u8>, String> {
        let mut stream = self
            .control
            .open_stream(self.miner, StreamProtocol::new(protocol::RETRIEVAL))
            .await
            .unwrap();
        frames::write(&mut stream, &RetrievePieceRequest { piece_ref })
            .await
            .unwrap();
        let mut received = Vec::new();
        futures::AsyncReadExt::read_to_end(&mut stream, &mut received)
            .await
            .unwrap();
        let mut bodies = Vec::new();
        let mut rest = received.as_slice();
        while let Some(body) = next_frame(rest, MAX_MESSAGE).unwrap() {
            bodies.push(rest[body.clone()].to_vec());
            rest = &rest[body.end..];
        }
        let response: RetrievePieceResponse = decode(&bodies[0]).unwrap();
        if response.status == RetrievalStatus::Failure {
            return Err(response.error_message);
        }
        let chunk = |body: &Vec<u8>| decode::<RetrievePieceChunk>(body).unwrap().data.0;
        Ok(bodies[1..].iter().flat_map(chunk).collect())
    }

    /// Serves a piece whenever the miner asks; `bytes` may be others than the summary's.
    fn serve(&mut self, summary: &PieceSummary, bytes: Vec<u8>) {
        self.serve_some(summary, bytes, usize::MAX);
    }

    /// The same, and says no more after so many answers on a stream.
    fn serve_some(&mut self, summary: &PieceSummary, bytes: Vec<u8>, answers: usize) {
        let mut incoming = self.control.accept(StreamProtocol::new(protocol::TRANSFER)).unwrap();
        let (summary, transfers) = (summary.clone(), self.transfers.clone());
        tokio::spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                transfers.fetch_add(1, Ordering::SeqCst);
                let nodes = summary.nodes.iter().cloned().collect();
                let source = PieceSource {
                    root: summary.data_cid,
                    size: summary.size,
                    nodes: &nodes,
                };
                let (mut buffer, mut answered) = (Vec::new(), 0);
                while let Ok(request) = next_request(&mut stream, &mut buffer).await {
                    if answered == answers {
                        std::future::pending::<()>().await;
                    }
                    answered += 1;
                    let answer = match decide(&request, &source) {
                        Serve::Node(node) => Answer::Data(node.to_vec()),
                        Serve::Range { offset, len } => Answer::Data(bytes[offset as usize..][..len as usize].to_vec()),
                        Serve::Refuse(code) => Answer::refusal(code),
                    };
                    if frames::write_bytes(&mut stream, &answer.to_frame().unwrap())
                        .await
                        .is_err()
                        || frames::flush(&mut stream).await.is_err()
                    {
                        break;
                    }
                }
            }
        });
    }
}

async fn next_request(stream: &mut Stream, buffer: &mut Vec<u8>) -> Result<Request, StreamError> {
    loop {
        match Request::take(buffer)? {
            Some(request) => return Ok(request),
            None => frames::read_more(stream, buffer).await?,
        }
    }
}

/// A file of two leaves and a bit, so that its DAG has a node.
fn file() -> (Vec<u8>, PieceSummary) {
    let bytes: Vec<u8> = (0..(2 << 20) + 1000usize).map(|i| (i / 7 % 256) as u8).collect();
    let summary = summary_of(&bytes);
    (bytes, summary)
}

fn summary_of(bytes: &[u8]) -> PieceSummary {
    let mut digest = PieceDigest::new();
    digest.push(bytes).unwrap();
    digest.finish().unwrap()
}

/// The manifest of so many files.
fn manifest(files: usize) -> Vec<u8> {
    let piece = summary_of(b"each has this");
    let entry = |number: usize| {
        let path = RelativePath::parse(&format!("{number:0>200}")).unwrap();
        let pieces = vec![FilePiece {
            offset: 0,
            size: piece.size,
            data_cid: piece.data_cid,
            comm_p: piece.comm_p,
        }];
        FileEntry::new(path, piece.size, piece.data_cid, pieces).unwrap()
    };
    let name = RelativePath::parse("folder").unwrap();
    let manifest = Manifest::folder(name, (0..files).map(entry).collect());
    manifest.unwrap().to_bytes().unwrap()
}

fn free_deal(miner: &Assembly, summary: &PieceSummary) -> SignedProposal {
    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    let payment = PaymentInfo {
        payer: key.address(),
        pay_ch_actor: MaybeAddress(None),
        channel: None,
        channel_msg_cid: None,
        vouchers: None,
    };
    let proposal = Proposal {
        piece_ref: summary.data_cid,
        size: Some(BytesAmount(summary.size)),
        total_price: AttoFil::ZERO,
        // Long after the test, at fifty blocks a second.
        duration: 50_000,
        miner_address: miner.address.clone(),
        payment,
    };
    proposal.sign(&key)
}

fn response(answer: &SignedResponse, worker: &Address) -> Response {
    assert!(answer.is_signed_by(worker));
    answer.response.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_deals_piece_is_fetched_and_given_back() {
    let world = World::start().await;
    let (bytes, summary) = file();
    for browser in [false, true] {
        let mut client = world.client(browser).await;
        client.serve(&summary, bytes.clone());
        let mut signed = free_deal(&world.miner, &summary);
        // Another deal about the same data, which is already here the second time.
        signed.proposal.duration += u64::from(browser);
        let signed = signed.proposal.sign(&SecretKey::from_bytes(&[1; 32]).unwrap());
        let answer = client.propose(&signed).await;
        assert_eq!(response(&answer, &world.miner.owner).state, DealState::Accepted);
        world.miner.wake.piece_arrived.notified().await;
        let record = world.miner.store.deal(&signed.cid()).unwrap().unwrap();
        assert_eq!(record.deal.effect(), MinerEffect::Place);
        assert_eq!(
            world.miner.store.piece(&summary.data_cid).unwrap().unwrap().comm_p,
            summary.comm_p
        );
        assert_eq!(client.retrieve(summary.data_cid).await, Ok(bytes.clone()));
        assert_eq!(client.transfers.load(Ordering::SeqCst), usize::from(!browser));
    }
}

/// The transfer over libp2p has brought a leaf and is under way; what comes over HTTP goes first, and the deal is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_being_fetched_is_taken_over_by_an_upload_and_arrives_once() {
    let world = World::start().await;
    let (bytes, summary) = file();
    let mut client = world.client(false).await;
    // The node and the first leaf.
    client.serve_some(&summary, bytes.clone(), 1 + 4);
    let signed = free_deal(&world.miner, &summary);
    client.propose(&signed).await;
    let staging = &world.miner.staging;
    while staging.held(&summary.data_cid) == 0 {
        tokio::task::yield_now().await;
    }
    let router = uploads::router(world.miner.uploads().unwrap());
    let (deal, network) = (signed.cid(), world.miner.chain.network_id().unwrap());
    let ask = |method: &str, rest: &str, token: &str, body: Vec<u8>| {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(format!("/uploads/{deal}{rest}"))
            .header("content-length", body.len())
            .header("authorization", format!("Bearer {token}"));
        let answering = router
            .clone()
            .oneshot(request.body(axum::body::Body::from(body)).unwrap());
        async move {
            let answer = answering.await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
            axum::body::to_bytes(answer.into_body(), 65_536).await.unwrap()
        }
    };
    let height = world.miner.chain.heads().borrow().height;
    let opening = Opening::new(network, world.miner.address.clone(), deal, height);
    let opening = opening.sign(&SecretKey::from_bytes(&[1; 32]).unwrap());
    let view = ask("POST", "", "", shared::wire::encode(&opening)).await;
    let view: SessionView = serde_json::from_slice(&view).unwrap();
    assert!(!view.nodes_missing, "it came over libp2p");
    assert_eq!(view.missing, [(0, 1)]);
    let token = view.token.unwrap();
    ask("PUT", "/0", &token, bytes.clone()).await;
    ask("POST", "/finalize", &token, Vec::new()).await;
    let record = world.miner.store.deal(&deal).unwrap().unwrap();
    assert_eq!(record.deal.effect(), MinerEffect::Place);
    assert_eq!(client.retrieve(summary.data_cid).await, Ok(bytes));
    assert_eq!(client.transfers.load(Ordering::SeqCst), 1);
}

/// An upload that falls silent is no loss: the miner fetches what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_is_fetched_when_nobody_has_its_files_any_more() {
    let world = World::start().await;
    let (bytes, summary) = file();
    let mut client = world.client(false).await;
    client.serve(&summary, bytes.clone());
    let claim = world.miner.staging.claim(summary.data_cid).unwrap();
    let signed = free_deal(&world.miner, &summary);
    client.propose(&signed).await;
    // As long as somebody sends it, it is not fetched.
    client.query(signed.cid()).await;
    assert_eq!(client.transfers.load(Ordering::SeqCst), 0);
    drop(claim);
    world.miner.wake.piece_arrived.notified().await;
    assert_eq!(client.retrieve(summary.data_cid).await, Ok(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lies_is_not_asked_again_and_an_honest_one_that_asks_about_the_deal_is() {
    let world = World::start().await;
    let (bytes, summary) = file();
    let mut liar = world.client(false).await;
    let mut other = bytes.clone();
    other[1 << 20] ^= 1;
    liar.serve(&summary, other);
    let signed = free_deal(&world.miner, &summary);
    liar.propose(&signed).await;
    let mut honest = world.client(true).await;
    honest.serve(&summary, bytes.clone());
    assert_eq!(honest.query(signed.cid()).await.response.state, DealState::Accepted);
    world.miner.wake.piece_arrived.notified().await;
    liar.query(signed.cid()).await;
    assert!(liar.transfers.load(Ordering::SeqCst) <= 1);
    assert_eq!(honest.retrieve(summary.data_cid).await, Ok(bytes));
}

/// The finding: a list of some thousand files is more than one leaf, and nobody who had only its id got it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_given_by_its_own_id_whether_it_is_one_leaf_or_several() {
    let world = World::start().await;
    for files in [3, 3000] {
        let bytes = manifest(files);
        let (summary, id) = (summary_of(&bytes), Manifest::cid_of(&bytes));
        assert_eq!(bytes.len() > 1 << 20, summary.data_cid.hash() != id.hash());
        let mut client = world.client(false).await;
        let refusal = client.retrieve(id).await;
        assert!(matches!(refusal, Err(reason) if reason.ends_with("is not stored here")));
        client.serve(&summary, bytes.clone());
        client.propose(&free_deal(&world.miner, &summary)).await;
        world.miner.wake.piece_arrived.notified().await;
        world.miner.indexing().settle_now(&summary.data_cid).unwrap();
        assert_eq!(client.retrieve(id).await, Ok(bytes));
    }
}

/// Finding C8: the client whose file has changed hears of it, from the query and from the watch that it has open.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_whose_only_source_sends_something_else_fails_with_a_code_that_the_client_sees() {
    let world = World::start().await;
    let (bytes, summary) = file();
    let (mut client, mut watcher) = (world.client(false).await, world.client(true).await);
    let mut other = bytes.clone();
    other[1 << 20] ^= 1;
    client.serve(&summary, other);
    let signed = free_deal(&world.miner, &summary);
    let cid = signed.cid();
    client.propose(&signed).await;
    let watch = WatchRequest {
        cid,
        state: DealState::Accepted,
    };
    let watching = tokio::spawn(async move { watcher.ask(protocol::WATCH_DEAL, &watch).await });
    let height = world.miner.chain.heads().borrow().height;
    let failed = async {
        loop {
            // Others have a while to come.
            world.transfers.fail_overdue(now_ms(), height).unwrap();
            let asked = client.query(cid).await.response;
            assert_eq!((asked.state, asked.message.as_str()), (DealState::Accepted, ""));
            if client.transfers.load(Ordering::SeqCst) > 0 {
                world.transfers.fail_overdue(now_ms() + 60_000, height).unwrap();
                let asked = client.query(cid).await.response;
                if asked.state == DealState::Failed {
                    return asked;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(30), failed).await.unwrap();
    assert_eq!(FailureCode::of(&asked.message), Some(FailureCode::WrongData));
    let watched: SignedResponse = watching.await.unwrap();
    let watched = response(&watched, &world.miner.owner);
    assert_eq!((watched.state, watched.message), (DealState::Failed, asked.message));
}

/// Finding C3.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_still_awaited_at_the_deals_own_end_is_awaited_no_longer() {
    let world = World::start().await;
    let mut client = world.client(false).await;
    let signed = free_deal(&world.miner, &file().1);
    client.propose(&signed).await;
    let record = world.miner.store.deal(&signed.cid()).unwrap().unwrap();
    let deadline = record.deal.deadline().expect("an accepted deal has one");
    let before = Epoch(deadline.0 - 1);
    world.transfers.fail_overdue(now_ms(), before).unwrap();
    assert_eq!(client.query(signed.cid()).await.response.state, DealState::Accepted);
    world.transfers.fail_overdue(now_ms(), deadline).unwrap();
    let asked = client.query(signed.cid()).await.response;
    assert_eq!(asked.state, DealState::Failed);
    assert_eq!(FailureCode::of(&asked.message), Some(FailureCode::TransferFailed));
}

/// Finding C1: what cannot be signed by the chain's worker is not answered at all, and nothing is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_or_signed_while_the_workers_key_is_not_here() {
    let world = World::start().await;
    let mut client = world.client(false).await;
    let (signed, other) = (
        free_deal(&world.miner, &file().1),
        SecretKey::from_bytes(&[9; 32]).unwrap(),
    );
    world.miner.worker.replace(other.address(), None);
    let protocol = StreamProtocol::new(protocol::MAKE_DEAL);
    let mut stream = client.control.open_stream(client.miner, protocol).await.unwrap();
    frames::write(&mut stream, &signed).await.unwrap();
    assert!(frames::read::<SignedResponse, _>(&mut stream).await.is_err());
    assert_eq!(world.miner.store.deals().count(), 0);
    world.miner.worker.replace(other.address(), Some(other.clone()));
    let answer = client.propose(&signed).await;
    assert_eq!(response(&answer, &other.address()).state, DealState::Accepted);
}

/// A host that stopped listening is started again where it was, and peers find it there.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_started_again_listens_on_the_same_ports() {
    let world = World::start().await;
    let config = HostConfig::on_loopback(0, 0, tempfile::tempdir().unwrap().path().join("certificates"));
    let host = Host::start(Keypair::generate_ed25519(), config).await.unwrap();
    drop(host.open().await.unwrap());
    let open = host.open().await.unwrap();
    tokio::spawn(open.run());
    let again = World { host, ..world };
    again.client(false).await;
    again.client(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_no_peer_can_ever_send_fails_the_deal() {
    let world = World::start().await;
    let (bytes, summary) = file();
    let mut client = world.client(false).await;
    client.serve(&summary, bytes);
    let mut signed = free_deal(&world.miner, &summary);
    signed.proposal.size = Some(BytesAmount(summary.size + 1));
    let signed = signed.proposal.sign(&SecretKey::from_bytes(&[1; 32]).unwrap());
    client.propose(&signed).await;
    let over = async {
        loop {
            let answer = client.query(signed.cid()).await.response;
            if answer.state.is_terminal() {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), over).await.unwrap();
    assert_eq!(
        (answer.state, answer.message.as_str()),
        (DealState::Failed, "Transfer failed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_for_a_proposal_that_its_payer_did_not_sign() {
    let world = World::start().await;
    let mut client = world.client(false).await;
    let mut signed = free_deal(&world.miner, &file().1);
    signed.signature = Signature([1; 65]);
    let answer = response(&client.propose(&signed).await, &world.miner.owner);
    assert_eq!(
        (answer.state, answer.message.as_str()),
        (DealState::Rejected, "invalid deal signature")
    );
    assert_eq!(world.miner.store.deals().count(), 0);
    let answer = response(&client.query(signed.cid()).await, &world.miner.owner);
    assert_eq!((answer.state, answer.proposal_cid), (DealState::Unknown, signed.cid()));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = HostConfig::on_loopback(0, port, std::path::PathBuf::new());
    let refused = Host::start(Keypair::generate_ed25519(), config).await.err().unwrap();
    assert!(matches!(refused, NetworkError::PortInUse { port: p, option: "--p2p-ws-port", .. } if p == port));
}

/// Both listeners would share it, and half of the browsers would talk to the wrong one.
#[tokio::test]
async fn one_port_for_both_transports_is_refused() {
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = held.local_addr().expect("it is bound").port();
    drop(held);
    let config = HostConfig::on_loopback(port, port, std::path::PathBuf::new());
    let refused = Host::start(Keypair::generate_ed25519(), config).await.map(|_| ());
    assert!(matches!(refused, Err(NetworkError::PortInUse { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_the_same_over_quic() {
    let world = World::start().await;
    let mut client = world.client_over(TransportKind::Quic).await;
    let (data, summary) = file();
    client.serve(&summary, data);
    let signed = free_deal(&world.miner, &summary);
    let accepted = client.propose(&signed).await;
    assert_eq!(accepted.response.state, DealState::Accepted, "{accepted:?}");
}

/// The chain takes no older record than the one that it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_miner_whose_clock_went_back_is_found_where_it_is_now() {
    let world = World::start().await;
    let (host, chain) = (&world.host, &world.miner.chain);
    let ahead = now_ms() / 1000 + 100_000;
    let before = announcer::sign(host.key(), ahead, &["/ip4/192.0.2.1/tcp/1".parse().unwrap()]).unwrap();
    chain.announce(&before).await.unwrap();
    let mut announcer = Announcer::new(host.clone(), chain.clone());
    announced(&mut announcer).await;
    let found = chain.find_peer(&host.peer_id().to_string()).await.unwrap().unwrap();
    let addresses: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
    // The miner's own announcer counts on, too.
    assert!(found.seq() > ahead, "{} is not after {ahead}", found.seq());
    assert_eq!(texts(found.addresses()), addresses);
    assert!(chain.announce(&before).await.is_err());
}

/// Announces until the chain takes it: the miner's own announcer may be there in between.
async fn announced(announcer: &mut Announcer) {
    while let Err(error) = announcer.announce().await {
        assert!(error.to_string().contains("a newer record"), "{error}");
    }
}

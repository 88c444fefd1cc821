//! The routes, asked without a socket: over pieces that are staged and indexed as they are in a daemon.

mod cars;
mod files;
mod pieces;
mod proofs;
mod raw;
mod sealed;

use super::{open_to_pages, reading, Reading, READS};
use crate::block_index::{BlockIndex, Indexing};
use crate::piece_reader::PieceReader;
use crate::prover::fake::FakeEngine;
use crate::prover::{Prover, Resuming};
use crate::staging::Staging;
use crate::store::MinerStore;
use axum::body::{to_bytes, Body};
use axum::extract::ConnectInfo;
use axum::http::{header, HeaderMap, HeaderName, Method, Request, StatusCode};
use axum::Router;
use cid::Cid;
use sealdrop_database::Memory;
use sealdrop_listener::Caller;
use shared::piece::node::raw_cid;
use shared::piece::{PieceSummary, SectorSize};
use shared::sector::SectorPiece;
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;

const SIZE: SectorSize = SectorSize::S8MiB;
const MIB: usize = 1 << 20;

/// A miner's pieces, and what serves them.
struct Miner {
    _dir: TempDir,
    store: MinerStore,
    staging: Staging,
    indexing: Indexing,
    router: Router,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &'static str) -> &str {
        let value = self.headers.get(HeaderName::from_static(name));
        value.map_or("", |value| value.to_str().expect("it is text"))
    }
}

fn miner() -> Miner {
    let dir = tempfile::tempdir().expect("a folder");
    let store = MinerStore::of(Arc::new(Memory::default()));
    let staging = Staging::open(dir.path().join("staging")).expect("a folder");
    let engine = FakeEngine {
        prover_id: [0; 32],
        size: SIZE,
        dir: dir.path().join("sectors"),
        refuses_own: false,
    };
    let prover = Arc::new(Prover::start(Arc::new(Resuming(engine)), SIZE, store.rates()));
    let reader = PieceReader::new(store.clone(), staging.clone(), prover);
    let index = BlockIndex::of(Arc::new(Memory::default()));
    let indexing = Indexing {
        store: store.clone(),
        staging: staging.clone(),
        reader: reader.clone(),
        index: index.clone(),
    };
    let router = open_to_pages(reading(Reading { reader, index }), READS);
    Miner {
        _dir: dir,
        store,
        staging,
        indexing,
        router,
    }
}

impl Miner {
    /// Stores a piece, which is indexed.
    fn put(&self, bytes: &[u8]) -> PieceSummary {
        let piece = self.stage(bytes);
        self.indexing.settle_now(&piece.data_cid).expect("it is indexed");
        piece
    }

    /// Stores a piece, which is not looked through yet.
    fn stage(&self, bytes: &[u8]) -> PieceSummary {
        let mut import = self.staging.import().expect("there is room");
        import.push(bytes).expect("it is written");
        let piece = import.finish().expect("it is staged");
        let placed = SectorPiece {
            // Of another deal each time: the same bytes come and go.
            deal: raw_cid(&rand::random::<[u8; 16]>()),
            data_cid: piece.data_cid,
            size: piece.size,
            comm_p: piece.comm_p,
        };
        self.store.add_piece(placed, SIZE, 0).expect("it is placed");
        piece
    }

    /// Lets a piece go.
    fn remove(&self, data: &Cid) {
        self.staging.remove(data).expect("removed");
        self.store.forget_piece(data).expect("forgotten");
        self.indexing.settle_now(data).expect("forgotten");
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        ask(&self.router, method, path, headers).await
    }

    async fn get(&self, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        self.ask(Method::GET, path, headers).await
    }
}

async fn ask(router: &Router, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let caller = ConnectInfo(Caller::at(([127, 0, 0, 1], 1).into()));
    let request = request.extension(caller).body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("it answers");
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.expect("a whole body").to_vec(),
    }
}

/// Bytes of which no MiB is like another.
fn data(size: usize) -> Vec<u8> {
    (0..size)
        .map(|i| (i * 131 + (i >> 8) * 7 + (i >> 16) * 13 + (i >> 20) * 17) as u8)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_every_site_may_ask_and_read_what_they_need() {
    let miner = miner();
    let piece = miner.put(b"abc");
    for path in [
        format!("/piece/{}", piece.piece_cid),
        format!("/ipfs/{}?format=raw", piece.data_cid),
        "/ipfs/x".into(),
    ] {
        let answer = miner.get(&path, &[(header::ORIGIN, "https://page.example")]).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        for name in [
            "Location",
            "ETag",
            "Content-Range",
            "Content-Length",
            "Accept-Ranges",
            "X-Ipfs-Path",
            "X-Ipfs-Roots",
        ] {
            assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
        }
    }
    let path = format!("/piece/{}", piece.piece_cid);
    let private = HeaderName::from_static("access-control-request-private-network");
    let asked = miner.ask(Method::OPTIONS, &path, &[(private, "true")]).await;
    assert_eq!(
        (asked.status, asked.header("access-control-allow-private-network")),
        (StatusCode::NO_CONTENT, "true")
    );
    assert_eq!(asked.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
    let asked = miner.ask(Method::OPTIONS, &path, &[]).await;
    assert_eq!(asked.header("access-control-allow-private-network"), "");
    let posted = miner.ask(Method::POST, &path, &[]).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
}

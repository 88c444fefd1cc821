//! Some bytes of a piece from a miner's HTTP, each block checked before anything of it is kept ([`shared::retrieval::ranges`]): what libp2p's
//! protocol of 2019 cannot give, which has whole pieces only.
//!
//! Called for `client retrieve --range` and for drills, which take the whole piece over libp2p where no miner's HTTP gives a part.

use super::error::ClientError;
use super::fetching::{is_the_miners, Holder, Sink};
use super::miner_http::{bases_of, MinerHttp};
use super::Session;
use cid::Cid;
use shared::retrieval::ranges::RangeReader;
use std::ops::Range;

/// Fetches these bytes of a piece of this data root and size from one miner; `false` where it has no HTTP that anybody knows of. What is in
/// the sink then is checked.
pub(super) async fn fetch(
    session: &Session,
    piece: (Cid, u64),
    mut bytes: Range<u64>,
    holder: &Holder,
    sink: &mut impl Sink,
) -> Result<bool, ClientError> {
    let mut failed = None;
    for base in bases_of(&session.chain, &holder.peer).await {
        let miner = MinerHttp::at(&base)?;
        match read(&miner, piece, &mut bytes, sink).await {
            Ok(()) => return Ok(true),
            Err(error) if is_the_miners(&error) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// Moves one answer; `bytes` begins behind what is in the sink.
async fn read(
    miner: &MinerHttp<'_>,
    (root, size): (Cid, u64),
    bytes: &mut Range<u64>,
    sink: &mut impl Sink,
) -> Result<(), ClientError> {
    let reader = RangeReader::new(root, size, bytes.clone());
    let mut reader = reader.map_err(|error| ClientError::Range {
        reason: error.to_string(),
    })?;
    if reader.wants().is_none() {
        return Ok(());
    }
    let mut body = miner.get(&reader.path(), None).await?;
    let mut unread = Vec::new();
    while let Some(wanted) = reader.wants() {
        while unread.len() < wanted {
            let chunk = body.next().await?;
            let chunk = chunk.ok_or_else(|| miner.failed("its answer ends too early"))?;
            unread.extend_from_slice(&chunk);
        }
        let rest = unread.split_off(wanted);
        let part = reader.take(&unread).map_err(|error| miner.failed(error))?;
        if let Some(part) = part {
            sink.write(unread.get(part).unwrap_or_default())?;
            bytes.start = reader.position();
        }
        unread = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Request;
    use axum::response::IntoResponse;
    use axum::Router;
    use shared::piece::node::raw_cid;
    use shared::piece::unixfs::LEAF_BYTES;
    use shared::piece::PieceDigest;
    use shared::retrieval::gateway::entity::Touched;
    use shared::retrieval::gateway::{self, car, Scope, Walk};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;

    struct Piece {
        bytes: Vec<u8>,
        root: Cid,
        blocks: BTreeMap<Cid, Vec<u8>>,
        /// Bytes that went to whoever asked.
        moved: AtomicU64,
    }

    fn piece() -> Arc<Piece> {
        let bytes: Vec<u8> = (0..6 * LEAF_BYTES + 5).map(|at| (at >> 10) as u8 ^ at as u8).collect();
        let mut digest = PieceDigest::new();
        digest.push(&bytes).unwrap();
        let summary = digest.finish().unwrap();
        let leaves = bytes.chunks(LEAF_BYTES as usize);
        let leaves = leaves.map(|leaf| (raw_cid(leaf), leaf.to_vec()));
        Arc::new(Piece {
            root: summary.data_cid,
            blocks: leaves.chain(summary.nodes).collect(),
            moved: AtomicU64::new(0),
            bytes,
        })
    }

    fn archive(piece: &Piece, request: &Request) -> Vec<u8> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap());
        let path = path.strip_prefix("/ipfs/").unwrap();
        let request = gateway::Request::parse(path, query, None).unwrap();
        let Scope::Entity(asked) = request.scope else { panic!() };
        let Touched::Bytes(bytes) = asked.of(piece.bytes.len() as u64) else {
            panic!()
        };
        let (mut walk, mut archive) = (Walk::new(piece.root, bytes, true), car::header(&piece.root));
        while let Some(wanted) = walk.next() {
            let block = &piece.blocks[&wanted.cid];
            if wanted.is_node {
                walk.read(&wanted, block).unwrap();
            }
            archive.extend(car::frame(&wanted.cid, block.len()));
            archive.extend(block);
        }
        archive
    }

    /// A miner that flips a bit at this place of its answers.
    async fn miner(piece: Arc<Piece>, lies_at: Option<usize>) -> String {
        let answer = move |request: Request| {
            let piece = piece.clone();
            async move {
                let mut archive = archive(&piece, &request);
                if let Some(at) = lies_at {
                    archive[at] ^= 1;
                }
                piece.moved.fetch_add(archive.len() as u64, Ordering::SeqCst);
                archive.into_response()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        url
    }

    #[derive(Default)]
    struct Kept(Vec<u8>);

    impl Sink for Kept {
        fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_part_of_a_piece_comes_with_fewer_bytes_than_the_piece_has() {
        let piece = piece();
        let url = miner(piece.clone(), None).await;
        let miner = MinerHttp::at(&url).unwrap();
        let size = piece.bytes.len() as u64;
        for bytes in [
            0..1,
            LEAF_BYTES - 1..LEAF_BYTES + 1,
            size - 1..size,
            3_000_000..3_000_500,
        ] {
            let (mut kept, mut left) = (Kept::default(), bytes.clone());
            piece.moved.store(0, Ordering::SeqCst);
            read(&miner, (piece.root, size), &mut left, &mut kept).await.unwrap();
            assert!(
                kept.0 == piece.bytes[bytes.start as usize..bytes.end as usize],
                "{bytes:?}"
            );
            assert!(left.is_empty());
            assert!(
                piece.moved.load(Ordering::SeqCst) < 2 * LEAF_BYTES + 10_000,
                "two leaves at the most, of seven"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_the_pieces_is_not_kept_and_the_next_goes_on_behind_what_is() {
        let piece = piece();
        let size = piece.bytes.len() as u64;
        // In the second of three leaves.
        let liar = miner(piece.clone(), Some(LEAF_BYTES as usize + 5000)).await;
        let (mut kept, mut left) = (Kept::default(), 10..3 * LEAF_BYTES);
        let lied = read(&MinerHttp::at(&liar).unwrap(), (piece.root, size), &mut left, &mut kept).await;
        assert!(
            matches!(&lied, Err(error @ ClientError::Http { .. }) if is_the_miners(error)),
            "{lied:?}"
        );
        assert_eq!(left, LEAF_BYTES..3 * LEAF_BYTES);
        let honest = miner(piece.clone(), None).await;
        read(
            &MinerHttp::at(&honest).unwrap(),
            (piece.root, size),
            &mut left,
            &mut kept,
        )
        .await
        .unwrap();
        assert!(kept.0 == piece.bytes[10..3 * LEAF_BYTES as usize]);
    }
}

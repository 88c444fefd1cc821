//! `/piece/{pieceCid}/proof`.

use super::*;
use shared::piece::{PieceName, PieceSize, QuadRange, RangeCheck, RangeProof, SizedPieceCid};
use shared::retrieval::proof::path_of_proof;
use std::ops::Range;

fn name(piece: &PieceSummary) -> SizedPieceCid {
    SizedPieceCid::new(piece.comm_p, PieceSize::new(piece.size).expect("a size"))
}

/// What a reader does who has the piece CID alone: asks for the bytes and the proof, and holds one against the other.
async fn read(miner: &Miner, cid: &SizedPieceCid, bytes: &Range<u64>) -> Result<Vec<u8>, String> {
    let PieceName::V2(cid) = cid.to_string().parse().expect("a name") else {
        return Err("version 1".to_owned());
    };
    let size = PieceSize::new(cid.size()).expect("a size");
    let range = QuadRange::around(bytes, size).map_err(|error| error.to_string())?;
    let proof = miner.get(&path_of_proof(&cid, bytes), &[]).await;
    let wide = range.bytes();
    let asked = format!("bytes={}-{}", wide.start, wide.end - 1);
    let part = miner.get(&format!("/piece/{cid}"), &[(header::RANGE, &asked)]).await;
    assert_eq!(
        (proof.status, part.status),
        (StatusCode::OK, StatusCode::PARTIAL_CONTENT)
    );
    assert_eq!(proof.header("content-length"), proof.body.len().to_string());
    let proof = RangeProof::from_bytes(&proof.body).map_err(|error| error.to_string())?;
    let mut check = RangeCheck::begin(&cid, range, &proof).map_err(|error| error.to_string())?;
    check.push(&part.body).map_err(|error| error.to_string())?;
    check.finish().map_err(|error| error.to_string())?;
    let from = |at: u64| (at - wide.start) as usize;
    Ok(part.body[from(bytes.start)..from(bytes.end)].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_range_of_a_piece_is_checked_by_its_piece_cid_alone() {
    let (miner, bytes) = (miner(), data(5 * MIB + 4321));
    let cid = name(&miner.put(&bytes));
    let size = bytes.len() as u64;
    for range in [
        0..1,
        0..size,
        size - 1..size,
        1_000_000..1_000_001,
        // Slices of 1 MiB have 1 040 384 bytes of the piece.
        1_040_384..2 * 1_040_384,
        1_040_383..1_040_385,
        127..254,
        3_333_333..4_999_999,
    ] {
        let part = read(&miner, &cid, &range).await;
        let expected = &bytes[range.start as usize..range.end as usize];
        assert!(part.as_deref() == Ok(expected), "{range:?}: {:?}", part.err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_lasts_and_ranges_of_the_same_quads_share_its_tag() {
    let miner = miner();
    let cid = name(&miner.put(&data(5000)));
    let first = miner.get(&path_of_proof(&cid, &(130..140)), &[]).await;
    assert_eq!(first.header("etag"), format!("\"{cid}.127-253.proof\""));
    assert_eq!(first.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(first.header("access-control-allow-origin"), "*");
    let same = [(header::IF_NONE_MATCH, first.header("etag"))];
    let again = miner.get(&path_of_proof(&cid, &(127..254)), &same).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = miner.ask(Method::HEAD, &path_of_proof(&cid, &(127..254)), &[]).await;
    assert_eq!(head.header("content-length"), first.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_range_of_the_piece_is_refused_with_words() {
    let miner = miner();
    let piece = miner.put(&data(5000));
    let cid = name(&piece);
    for (query, status) in [
        ("", StatusCode::BAD_REQUEST),
        ("?range=x", StatusCode::BAD_REQUEST),
        ("?range=5-4", StatusCode::BAD_REQUEST),
        ("?range=5000-", StatusCode::RANGE_NOT_SATISFIABLE),
    ] {
        let answer = miner.get(&format!("/piece/{cid}/proof{query}"), &[]).await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let other = SizedPieceCid::new(piece.comm_p, PieceSize::new(5001).expect("a size"));
    let answer = miner.get(&path_of_proof(&other, &(0..1)), &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_not_looked_through_yet_is_proven_in_a_moment() {
    let miner = miner();
    let piece = miner.stage(&data(5000));
    let early = miner.indexing.index.clone();
    early.note_for_test(&piece);
    let path = path_of_proof(&name(&piece), &(0..1));
    let answer = miner.get(&path, &[]).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    miner.indexing.settle_now(&piece.data_cid).expect("it is indexed");
    assert_eq!(miner.get(&path, &[]).await.status, StatusCode::OK);
}

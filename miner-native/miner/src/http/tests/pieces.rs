//! `/piece/{pieceCid}`.

use super::*;
use shared::piece::{PieceSize, SizedPieceCid};

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_is_given_by_either_version_of_its_cid_with_headers_that_last() {
    let (miner, bytes) = (miner(), data(3 * MIB + 5));
    let piece = miner.put(&bytes);
    let second = SizedPieceCid::new(piece.comm_p, PieceSize::new(piece.size).expect("a size"));
    for name in [piece.piece_cid.to_string(), second.to_string()] {
        let answer = miner.get(&format!("/piece/{name}"), &[]).await;
        assert_eq!((answer.status, answer.body == bytes), (StatusCode::OK, true), "{name}");
        // Version 1 names several pieces; the tag says which this is.
        assert_eq!(answer.header("etag"), format!("\"{second}\""));
        assert_eq!(answer.header("content-length"), bytes.len().to_string());
        assert_eq!(answer.header("accept-ranges"), "bytes");
        let lasts = match name == second.to_string() {
            true => "public, max-age=31536000, immutable",
            false => "public, max-age=3600",
        };
        assert_eq!(answer.header("cache-control"), lasts);
        let head = miner.ask(Method::HEAD, &format!("/piece/{name}"), &[]).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        assert_eq!(head.header("content-length"), bytes.len().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_given_with_its_place_and_one_behind_the_end_is_not() {
    let (miner, bytes) = (miner(), data(MIB + 300_000));
    let path = format!("/piece/{}", miner.put(&bytes).piece_cid);
    let size = bytes.len();
    for (asked, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=1048570-1048580", 1_048_570, 1_048_580),
        ("bytes=-7", size - 7, size - 1),
        ("bytes=5-", 5, size - 1),
    ] {
        let answer = miner.get(&path, &[(header::RANGE, asked)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{asked}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/{size}"));
        assert_eq!(answer.header("content-length"), (last + 1 - first).to_string());
        assert!(answer.body == bytes[first..=last], "{asked}");
    }
    let behind = miner.get(&path, &[(header::RANGE, "bytes=1348576-")]).await;
    assert_eq!(behind.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(behind.header("content-range"), format!("bytes */{size}"));
    let several = miner.get(&path, &[(header::RANGE, "bytes=0-1,5-6")]).await;
    assert_eq!((several.status, several.body.len()), (StatusCode::OK, size));
    let of_another = miner
        .get(&path, &[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, "\"x\"")])
        .await;
    assert_eq!(of_another.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_piece_is_told_so() {
    let miner = miner();
    let piece = miner.put(b"abc");
    let path = format!("/piece/{}", piece.piece_cid);
    let etag = miner.get(&path, &[]).await.header("etag").to_owned();
    let again = miner.get(&path, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header("etag"), etag);
    let other = miner.get(&path, &[(header::IF_NONE_MATCH, "\"x\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_is_not_here_is_not_found_and_what_is_no_piece_cid_is_refused() {
    let miner = miner();
    let piece = miner.put(&data(500));
    // The same CommP, and another length.
    let longer = SizedPieceCid::new(piece.comm_p, PieceSize::new(501).expect("a size"));
    for name in [
        "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq",
        &longer.to_string(),
    ] {
        let answer = miner.get(&format!("/piece/{name}"), &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for name in [piece.data_cid.to_string().as_str(), "x", "..%2f..%2fmaster"] {
        let answer = miner.get(&format!("/piece/{name}"), &[]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
    }
    miner.remove(&piece.data_cid);
    let gone = miner.get(&format!("/piece/{}", piece.piece_cid), &[]).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

/// The finding: whoever stored the bytes eight times with zeros behind them hid them from those who ask by the piece CID, under one tag.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_is_not_hidden_by_others_with_zeros_behind_it_nor_shares_a_tag_with_them() {
    let (miner, bytes) = (miner(), data(1000));
    let longer = |zeros: usize| [bytes.as_slice(), &vec![0; zeros]].concat();
    for zeros in 1..=10 {
        miner.put(&longer(zeros));
    }
    let piece = miner.put(&bytes);
    let named = |size: u64| SizedPieceCid::new(piece.comm_p, PieceSize::new(size).expect("a size")).to_string();
    for zeros in 0..=10 {
        let answer = miner.get(&format!("/piece/{}", named(1000 + zeros)), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{zeros} zeros");
        assert!(answer.body == longer(zeros as usize));
    }
    let first = format!("/piece/{}", piece.piece_cid);
    let answer = miner.get(&first, &[]).await;
    assert!(answer.body == bytes, "the shortest");
    let etag = answer.header("etag").to_owned();
    miner.remove(&piece.data_cid);
    let other = miner.get(&first, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!((other.status, other.body == longer(1)), (StatusCode::OK, true));
    assert_eq!(other.header("etag"), format!("\"{}\"", named(1001)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_takes_more_than_its_share_one_after_the_other() {
    let (miner, bytes) = (miner(), data(2 * MIB));
    let path = format!("/piece/{}", miner.put(&bytes).piece_cid);
    let many = (0..40).map(|_| miner.get(&path, &[]));
    let answers = futures::future::join_all(many).await;
    assert!(answers
        .iter()
        .all(|answer| answer.status == StatusCode::OK && answer.body == bytes));
}

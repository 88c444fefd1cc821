//! `/ipfs/{cid}?format=raw`: the cases of the conformance tests of trustless gateways for raw blocks, over files of our own.

use super::*;
use shared::piece::node::{cid_of, DAG_PB};

const RAW: (HeaderName, &str) = (header::ACCEPT, "application/vnd.ipld.raw");

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_given_by_the_url_and_by_the_header() {
    let (miner, bytes) = (miner(), data(2 * MIB + 9));
    let piece = miner.put(&bytes);
    let (root, node) = piece.nodes.last().expect("a root");
    let leaf = &bytes[MIB..2 * MIB];
    for (cid, block) in [
        (*root, node.as_slice()),
        (raw_cid(leaf), leaf),
        (raw_cid(&bytes[2 * MIB..]), &bytes[2 * MIB..]),
    ] {
        let by_url = miner.get(&format!("/ipfs/{cid}?format=raw"), &[]).await;
        let by_header = miner.get(&format!("/ipfs/{cid}"), &[RAW]).await;
        for answer in [by_url, by_header] {
            assert_eq!((answer.status, answer.body == block), (StatusCode::OK, true), "{cid}");
            assert_eq!(answer.header("content-type"), "application/vnd.ipld.raw");
            assert_eq!(answer.header("content-length"), block.len().to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_headers_are_those_that_the_specification_names() {
    let miner = miner();
    let cid = miner.put(b"hello").data_cid;
    let answer = miner.get(&format!("/ipfs/{cid}"), &[RAW]).await;
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"{cid}.bin\"")
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("etag"), format!("\"{cid}.raw\""));
    assert_eq!(answer.header("x-ipfs-path"), format!("/ipfs/{cid}"));
    assert_eq!(answer.header("x-ipfs-roots"), cid.to_string());
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.header("content-location"), format!("/ipfs/{cid}?format=raw"));
    let named = miner.get(&format!("/ipfs/{cid}?filename=foobar.bin"), &[RAW]).await;
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=\"foobar.bin\""
    );
    let head = miner.ask(Method::HEAD, &format!("/ipfs/{cid}?format=raw"), &[]).await;
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (StatusCode::OK, 0, "5")
    );
    assert_eq!(head.header("content-location"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_the_client_has_is_not_sent_and_a_part_of_one_is() {
    let miner = miner();
    let cid = miner.put(b"hello").data_cid;
    let path = format!("/ipfs/{cid}?format=raw");
    let tag = format!("\"{cid}.raw\"");
    let again = miner.get(&path, &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let part = miner.get(&path, &[(header::RANGE, "bytes=1-3")]).await;
    assert_eq!(
        (part.status, part.body.as_slice()),
        (StatusCode::PARTIAL_CONTENT, &b"ell"[..])
    );
    assert_eq!(part.header("content-range"), "bytes 1-3/5");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_here_is_not_found_and_what_is_asked_wrongly_is_told_so() {
    let miner = miner();
    let cid = miner.put(b"hello").data_cid;
    let away = raw_cid(b"away");
    let sha512 = Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x13, &[1; 64]).expect("64 bytes"));
    for (path, status) in [
        (format!("/ipfs/{away}?format=raw"), 404),
        (format!("/ipfs/{away}?format=car"), 404),
        (format!("/ipfs/{cid}"), 400),
        (format!("/ipfs/{cid}?format=tar"), 406),
        (format!("/ipfs/{cid}/below?format=raw"), 400),
        (format!("/ipfs/{cid}/below?format=car"), 404),
        ("/ipfs/nothing?format=raw".to_owned(), 400),
        (format!("/ipfs/{sha512}?format=raw"), 404),
        (format!("/ipfs/{cid}?format=car&dag-scope=some"), 400),
        (format!("/ipfs/{cid}?format=car&entity-bytes=5:1"), 400),
        (format!("/ipfs/{cid}?format=car&entity-bytes=5:*"), 400),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = miner.ask(method, &path, &[]).await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
        }
    }
    let html = miner
        .get(&format!("/ipfs/{cid}"), &[(header::ACCEPT, "text/html")])
        .await;
    assert_eq!(html.status, StatusCode::NOT_ACCEPTABLE);
    let if_cached = (header::CACHE_CONTROL, "only-if-cached");
    let missing = miner
        .get(&format!("/ipfs/{away}?format=raw"), &[if_cached.clone()])
        .await;
    assert_eq!(missing.status, StatusCode::PRECONDITION_FAILED);
    let here = miner.get(&format!("/ipfs/{cid}?format=raw"), &[if_cached]).await;
    assert_eq!(here.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_empty_identity_cid_tells_that_this_is_a_gateway() {
    let miner = miner();
    for method in [Method::GET, Method::HEAD] {
        let raw = miner.ask(method.clone(), "/ipfs/bafkqaaa?format=raw", &[]).await;
        assert_eq!((raw.status, raw.body.len()), (StatusCode::OK, 0));
        let car = miner.ask(method, "/ipfs/bafkqaaa?format=car", &[]).await;
        assert_eq!(car.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_have_one_hash_whatever_codec_a_cid_names() {
    let miner = miner();
    let piece = miner.put(b"hello");
    let digest = piece.data_cid.hash().digest().try_into().expect("32 bytes");
    for codec in [0x71, DAG_PB] {
        let answer = miner
            .get(&format!("/ipfs/{}?format=raw", cid_of(codec, digest)), &[])
            .await;
        assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, &b"hello"[..]));
        // What lies below such a block, nobody here knows.
        let car = miner
            .get(&format!("/ipfs/{}?format=car", cid_of(codec, digest)), &[])
            .await;
        assert!([404, 406].contains(&car.status.as_u16()), "{}", car.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_has_just_come_is_asked_for_again() {
    let miner = miner();
    let piece = miner.stage(b"just come");
    let path = format!("/ipfs/{}?format=raw", piece.data_cid);
    let answer = miner.get(&path, &[]).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "2")
    );
    miner.indexing.settle_now(&piece.data_cid).expect("it is indexed");
    assert_eq!(miner.get(&path, &[]).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_are_never_given_away() {
    let (miner, bytes) = (miner(), data(MIB + 9));
    let piece = miner.put(&bytes);
    let mut damaged = bytes.clone();
    damaged[17] ^= 1;
    std::fs::write(miner.staging.path(&piece.data_cid), &damaged).expect("it is written");
    let leaf = raw_cid(&bytes[..MIB]);
    let answer = miner.get(&format!("/ipfs/{leaf}?format=raw"), &[]).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let other = raw_cid(&bytes[MIB..]);
    assert_eq!(
        miner.get(&format!("/ipfs/{other}?format=raw"), &[]).await.body,
        &bytes[MIB..]
    );
}

/// The findings: of two `Accept` headers the second was not read, and an encoded path was refused.
#[tokio::test(flavor = "multi_thread")]
async fn several_accept_headers_are_one_and_an_encoded_path_is_decoded() {
    let miner = miner();
    let cid = miner.put(b"hello").data_cid.to_string();
    let html = (header::ACCEPT, "text/html");
    let answer = miner.get(&format!("/ipfs/{cid}"), &[html.clone(), RAW]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, &b"hello"[..]));
    let tag = format!("\"{cid}.raw\"");
    let tags = [
        (header::IF_NONE_MATCH, "\"x\""),
        (header::IF_NONE_MATCH, tag.as_str()),
        RAW,
    ];
    assert_eq!(
        miner.get(&format!("/ipfs/{cid}"), &tags).await.status,
        StatusCode::NOT_MODIFIED
    );
    let encoded: String = cid.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = miner.get(&format!("/ipfs/{encoded}?format=raw"), &[]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(answer.header("x-ipfs-path"), format!("/ipfs/{cid}"));
    let below = miner.get(&format!("/ipfs/{cid}%2Fx?format=raw"), &[]).await;
    assert_eq!(below.status, StatusCode::BAD_REQUEST, "an encoded slash parts nothing");
}

//! `/ipfs/{cid}?format=car`: the cases of the conformance tests of trustless gateways for CARs, as far as they are about files, over files
//! of our own. Folders are none here: they are lists of files that the client keeps, so that there is no path below a CID.

use super::*;
use shared::wire::leb128;

/// A CAR, read: its root, and its blocks in order, each checked.
pub(super) fn blocks(car: &[u8]) -> Vec<Cid> {
    let mut rest = car;
    let mut next = || -> Option<Vec<u8>> {
        let (length, used) = leb128::read_unsigned(rest).ok()?;
        let (part, after) = rest.get(used..)?.split_at_checked(length as usize)?;
        rest = after;
        Some(part.to_vec())
    };
    let header = next().expect("a header");
    assert!(header.windows(7).any(|window| window == b"version"), "{header:?}");
    let mut found = Vec::new();
    while let Some(part) = next() {
        let cid = Cid::read_bytes(part.as_slice()).expect("a CID");
        let block = &part[cid.encoded_len()..];
        assert_eq!(shared::retrieval::gateway::verify_block(&cid, block), Ok(()));
        found.push(cid);
    }
    assert!(rest.is_empty(), "{} bytes are left", rest.len());
    found
}

/// A file of four leaves and a bit, and its leaves' CIDs.
fn file() -> (Vec<u8>, Vec<Cid>) {
    let bytes = data(4 * MIB + 2);
    let leaves = bytes.chunks(MIB).map(raw_cid).collect();
    (bytes, leaves)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_and_range_has_the_blocks_that_it_needs_in_order() {
    let (miner, (bytes, leaves)) = (miner(), file());
    let root = miner.put(&bytes).data_cid;
    let mib = MIB as u64;
    let with = |range: std::ops::Range<usize>| [&[root], &leaves[range]].concat();
    for (query, expected) in [
        (String::new(), with(0..5)),
        ("&dag-scope=all".into(), with(0..5)),
        ("&dag-scope=entity".into(), with(0..5)),
        ("&dag-scope=block".into(), with(0..0)),
        ("&dag-scope=entity&entity-bytes=0:*".into(), with(0..5)),
        ("&dag-scope=entity&entity-bytes=0:0".into(), with(0..1)),
        (format!("&dag-scope=entity&entity-bytes={}:*", 2 * mib), with(2..5)),
        (
            format!("&dag-scope=entity&entity-bytes={}:{}", 2 * mib, 4 * mib - 1),
            with(2..4),
        ),
        (format!("&dag-scope=entity&entity-bytes={}:-{mib}", 2 * mib), with(2..4)),
        ("&dag-scope=entity&entity-bytes=-2:*".into(), with(4..5)),
        ("&dag-scope=entity&entity-bytes=-5:*".into(), with(3..5)),
        ("&dag-scope=entity&entity-bytes=-99999999:*".into(), with(0..5)),
        ("&dag-scope=entity&entity-bytes=-99999999:-3".into(), with(0..4)),
        ("&entity-bytes=1000:1000".into(), with(0..1)),
        // No byte of it, though it begins within: the root says why.
        ("&entity-bytes=3000000:-3000000".into(), with(0..0)),
    ] {
        let answer = miner.get(&format!("/ipfs/{root}?format=car{query}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        assert_eq!(blocks(&answer.body), expected, "{query}");
        assert_eq!(
            answer.header("content-type"),
            "application/vnd.ipld.car; version=1; order=dfs; dups=n"
        );
    }
    let outside = miner
        .get(&format!("/ipfs/{root}?format=car&entity-bytes=99999999:*"), &[])
        .await;
    assert_eq!(outside.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_one_block_is_that_block() {
    let miner = miner();
    let root = miner.put(b"hello").data_cid;
    for query in [
        "",
        "&dag-scope=block",
        "&dag-scope=entity",
        "&entity-bytes=0:*",
        "&entity-bytes=1:2",
    ] {
        let answer = miner.get(&format!("/ipfs/{root}?format=car{query}"), &[]).await;
        assert_eq!(blocks(&answer.body), [root], "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_succeeds_though_a_block_that_it_does_not_need_is_missing() {
    let (miner, (bytes, leaves)) = (miner(), file());
    let piece = miner.put(&bytes);
    let mut damaged = bytes.clone();
    damaged[MIB + 1] ^= 1;
    std::fs::write(miner.staging.path(&piece.data_cid), &damaged).expect("it is written");
    for (range, expected) in [("0:1000", &leaves[..1]), ("2200000:*", &leaves[2..])] {
        let path = format!(
            "/ipfs/{}?format=car&dag-scope=entity&entity-bytes={range}",
            piece.data_cid
        );
        let answer = miner.get(&path, &[]).await;
        assert_eq!(blocks(&answer.body), [&[piece.data_cid], expected].concat(), "{range}");
    }
    // The whole of it breaks off: what came so far is no whole CAR of the file.
    let request = Request::builder().uri(format!("/ipfs/{}?format=car", piece.data_cid));
    let caller = ConnectInfo(Caller::at(([127, 0, 0, 1], 1).into()));
    let request = request.extension(caller).body(Body::empty()).expect("a request");
    let response = miner.router.clone().oneshot(request).await.expect("it answers");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_occurs_twice_is_sent_as_often_as_is_asked() {
    let miner = miner();
    let bytes = [data(MIB), data(MIB), vec![7; 5]].concat();
    let root = miner.put(&bytes).data_cid;
    let (twice, last) = (raw_cid(&data(MIB)), raw_cid(&[7; 5]));
    let accept = |dups: &'static str| (header::ACCEPT, dups);
    for (wish, in_type, expected) in [
        (
            "application/vnd.ipld.car; version=1; order=dfs; dups=y",
            "dups=y",
            vec![root, twice, twice, last],
        ),
        (
            "application/vnd.ipld.car; version=1; order=dfs; dups=n",
            "dups=n",
            vec![root, twice, last],
        ),
        (
            "application/vnd.ipld.car; version=1; order=unk",
            "order=",
            vec![root, twice, last],
        ),
    ] {
        let answer = miner.get(&format!("/ipfs/{root}"), &[accept(wish)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        let kind = answer.header("content-type");
        assert!(
            kind.starts_with("application/vnd.ipld.car") && kind.contains("order=dfs") && kind.contains(in_type),
            "{kind}"
        );
        assert_eq!(blocks(&answer.body), expected, "{wish}");
    }
    let both = miner
        .get(
            &format!("/ipfs/{root}?format=car"),
            &[accept("application/vnd.ipld.car; version=1; order=dfs; dups=y")],
        )
        .await;
    assert!(
        both.header("content-type").contains("dups=y"),
        "the header's parameters count beside the URL's format"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_cid_is_never_sent_as_a_block() {
    let miner = miner();
    let path = "/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa";
    let answer = miner
        .get(path, &[(header::ACCEPT, "application/vnd.ipld.car; dups=y")])
        .await;
    assert_eq!((answer.status, blocks(&answer.body)), (StatusCode::OK, vec![]));
    assert!(answer.header("content-type").contains("dups=y"));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_headers_tell_what_it_is_and_different_cars_have_different_tags() {
    let (miner, (bytes, _)) = (miner(), file());
    let root = miner.put(&bytes).data_cid;
    let path = format!("/ipfs/{root}?format=car");
    let answer = miner.get(&path, &[]).await;
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"{root}.car\"")
    );
    assert_eq!(answer.header("x-ipfs-path"), format!("/ipfs/{root}"));
    assert_eq!(answer.header("accept-ranges"), "none");
    let part = miner.get(&format!("{path}&entity-bytes=0:5"), &[]).await;
    assert_ne!(part.header("etag"), answer.header("etag"));
    let tag = answer.header("etag").to_owned();
    let again = miner.get(&path, &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let head = miner.ask(Method::HEAD, &path, &[]).await;
    assert_eq!(
        (head.status, head.body.len(), head.header("etag")),
        (StatusCode::OK, 0, tag.as_str())
    );
}

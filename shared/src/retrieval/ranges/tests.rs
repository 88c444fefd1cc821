use super::*;
use crate::piece::node::raw_cid;
use crate::piece::unixfs::test_data;
use crate::piece::{Dag, DagBuilder};
use crate::retrieval::gateway::{EntityBytes, Format, Request, Scope, Walk};
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;

const LEAF: u64 = 64;
/// Leaves of 64 bytes, three links a node.
const SHAPE: DagShape = DagShape::small(LEAF, 3);
/// Three levels of nodes, and a shorter leaf at the end.
const SIZE: usize = 64 * 10 + 7;

struct File {
    bytes: Vec<u8>,
    dag: Dag,
    blocks: BTreeMap<Cid, Vec<u8>>,
}

fn file_of(bytes: Vec<u8>) -> File {
    let mut builder = DagBuilder::with_shape(SHAPE);
    builder.push(&bytes).unwrap();
    let dag = builder.finish().unwrap();
    let mut blocks: BTreeMap<Cid, Vec<u8>> = dag.nodes.iter().cloned().collect();
    blocks.extend(bytes.chunks(LEAF as usize).map(|leaf| (raw_cid(leaf), leaf.to_vec())));
    File { bytes, dag, blocks }
}

fn file() -> File {
    file_of(test_data(SIZE))
}

impl File {
    fn reader(&self, bytes: Range<u64>) -> RangeReader {
        RangeReader::with_shape(self.dag.root, self.dag.size, bytes, SHAPE).unwrap()
    }

    /// What a gateway answers, block by block, the header first.
    fn frames(&self, bytes: Range<u64>) -> Vec<Vec<u8>> {
        let mut walk = Walk::new(self.dag.root, bytes, true);
        let mut frames = vec![car::header(&self.dag.root)];
        while let Some(wanted) = walk.next() {
            let block = &self.blocks[&wanted.cid];
            if wanted.is_node {
                walk.read(&wanted, block).unwrap();
            }
            frames.push([car::frame(&wanted.cid, block.len()), block.clone()].concat());
        }
        frames
    }

    fn answer(&self, bytes: Range<u64>) -> Vec<u8> {
        self.frames(bytes).concat()
    }
}

/// What is handed out of an answer, and how the read ended: `None` for an answer that breaks off.
fn read(mut reader: RangeReader, mut answer: &[u8]) -> (Vec<u8>, Result<Option<RangeReader>, RangeFault>) {
    let mut out = Vec::new();
    while let Some(wanted) = reader.wants() {
        assert!((1..=MOST_WANTED).contains(&wanted));
        let Some((bytes, rest)) = answer.split_at_checked(wanted) else {
            return (out, Ok(None));
        };
        answer = rest;
        match reader.take(bytes) {
            Ok(part) => out.extend_from_slice(&bytes[part.unwrap_or_default()]),
            Err(fault) => return (out, Err(fault)),
        }
    }
    (out, Ok(Some(reader)))
}

#[test]
fn every_range_comes_out_as_exactly_its_bytes() {
    let file = file();
    for start in (0..SIZE as u64).step_by(13) {
        for end in (start + 1..=SIZE as u64).step_by(29).chain([SIZE as u64]) {
            let (out, ended) = read(file.reader(start..end), &file.answer(start..end));
            assert_eq!(out, file.bytes[start as usize..end as usize], "{start}..{end}");
            assert_eq!(ended.unwrap().unwrap().position(), end);
        }
    }
}

#[test]
fn a_piece_of_one_leaf_and_one_of_a_single_node_come_too() {
    for size in [1, 63, 64, 65, 192] {
        let file = file_of(test_data(size));
        let (out, ended) = read(file.reader(0..size as u64), &file.answer(0..size as u64));
        assert_eq!((out, ended.is_ok()), (file.bytes, true));
    }
}

#[test]
fn no_bytes_want_nothing() {
    assert_eq!(file().reader(5..5).wants(), None);
}

#[test]
fn the_request_is_one_that_the_gateway_reads_as_the_range() {
    let file = file();
    let path = file.reader(70..300).path();
    let (path, query) = path.split_once('?').unwrap();
    let request = Request::parse(path.strip_prefix("/ipfs/").unwrap(), query, None).unwrap();
    assert_eq!(request.cid, file.dag.root);
    assert_eq!(request.scope, Scope::Entity("70:299".parse::<EntityBytes>().unwrap()));
    assert!(matches!(request.format, Format::Car(form) if form.duplicates == Some(true)));
}

#[test]
fn a_changed_byte_anywhere_is_refused_before_the_bytes_behind_it_are_handed_out() {
    let file = file();
    let (range, bytes) = (100..400u64, &file.bytes[100..400]);
    let answer = file.answer(range.clone());
    let header = car::header(&file.dag.root).len();
    for at in 0..answer.len() {
        let mut bad = answer.clone();
        bad[at] ^= 1;
        let (out, ended) = read(file.reader(range.clone()), &bad);
        assert!(bytes.starts_with(&out), "a changed byte {at}");
        // A header's roots are not believed, so they need not be right.
        assert!(at < header || !matches!(ended, Ok(Some(_))), "byte {at}");
    }
}

#[test]
fn an_answer_that_breaks_off_gives_what_was_checked_and_says_where_to_go_on() {
    let file = file();
    let answer = file.answer(0..SIZE as u64);
    for cut in 0..answer.len() {
        let (out, ended) = read(file.reader(0..SIZE as u64), &answer[..cut]);
        assert!(file.bytes.starts_with(&out) && matches!(ended, Ok(None)), "{cut}");
        assert!(out.len() % 64 == 0, "whole leaves alone");
    }
}

#[test]
fn the_next_miner_goes_on_where_the_first_one_stopped() {
    let file = file();
    let mut reader = file.reader(10..500);
    let mut answer = &file.answer(10..500)[..];
    while reader.position() < 200 {
        let (bytes, rest) = answer.split_at(reader.wants().unwrap());
        answer = rest;
        reader.take(bytes).unwrap();
    }
    let from = reader.position();
    assert_eq!(from, 256);
    let (out, _) = read(file.reader(from..500), &file.answer(from..500));
    assert_eq!(out, file.bytes[256..500]);
}

#[test]
fn another_block_in_place_of_the_wanted_one_is_refused() {
    let file = file();
    let frames = file.frames(0..SIZE as u64);
    for (one, two) in [(1, 2), (3, 5), (4, 5)] {
        let mut swapped = frames.clone();
        swapped.swap(one, two);
        let (_, ended) = read(file.reader(0..SIZE as u64), &swapped.concat());
        assert!(
            matches!(ended, Err(RangeFault::OtherBlock { .. })),
            "{one} and {two}: {ended:?}"
        );
    }
}

#[test]
fn a_leaf_that_the_host_hashed_counts_only_with_its_digest() {
    let file = file();
    let mut reader = file.reader(70..75);
    let mut answer = &file.answer(70..75)[..];
    while reader.leaf().is_none() {
        let (bytes, rest) = answer.split_at(reader.wants().unwrap());
        answer = rest;
        assert_eq!(reader.take(bytes), Ok(None));
        assert!(reader.leaf().is_some() || reader.clone().take_digest(&[0; 32]).is_err());
    }
    assert_eq!((reader.leaf(), reader.wants()), (Some(6..11), Some(64)));
    let digest: [u8; 32] = Sha256::digest(&file.bytes[64..128]).into();
    let mut wrong = digest;
    wrong[31] ^= 1;
    assert!(matches!(
        reader.clone().take_digest(&wrong),
        Err(RangeFault::OtherBytes { .. })
    ));
    assert_eq!(reader.take_digest(&digest), Ok(6..11));
    assert_eq!(reader.wants(), None);
}

#[test]
fn a_header_is_bounded_and_of_version_one() {
    let file = file();
    let reader = || file.reader(0..1);
    let long = leb128::unsigned(MAX_HEADER as u64 + 1);
    // Version 2, as CARv2 begins: a map with the version alone.
    let second = b"\x0a\xa1gversion\x02".to_vec();
    let mut other = car::header(&file.dag.root);
    *other.last_mut().unwrap() = 2;
    for answer in [long, vec![0], vec![0x80; 8], vec![0xff; 8], second, other] {
        assert_eq!(read(reader(), &answer).1.unwrap_err(), RangeFault::NoCar, "{answer:?}");
    }
}

#[test]
fn a_node_that_claims_more_than_a_node_has_is_refused_by_its_length() {
    let file = file();
    let most = (CID_BYTES + MAX_NODE_BYTES) as u64;
    for length in [0, 36, most + 1, 1 << 20] {
        let answer = [car::header(&file.dag.root), leb128::unsigned(length)].concat();
        let fault = read(file.reader(0..1), &answer).1.unwrap_err();
        assert!(matches!(fault, RangeFault::OtherBlock { .. }), "{length}: {fault:?}");
    }
    let answer = [car::header(&file.dag.root), vec![0xff; 4]].concat();
    assert_eq!(read(file.reader(0..1), &answer).1.unwrap_err(), RangeFault::NoCar);
}

#[test]
fn a_root_that_stands_for_a_file_of_another_size_is_no_piece_at_all() {
    let file = file();
    let size = file.dag.size - 64;
    let reader = RangeReader::with_shape(file.dag.root, size, 0..64, SHAPE).unwrap();
    let fault = read(reader, &file.answer(0..64)).1.unwrap_err();
    assert!(fault.is_final() && matches!(fault, RangeFault::Piece(_)), "{fault:?}");
}

#[test]
fn what_lies_outside_of_the_piece_is_not_asked_for() {
    let root = raw_cid(b"abc");
    let backwards = Range { start: 2, end: 1 };
    for bytes in [0..4, 3..4, backwards] {
        let fault = RangeReader::new(root, 3, bytes).unwrap_err();
        assert!(matches!(fault, RangeFault::Outside { .. }) && fault.is_final());
    }
    for size in [0, MAX_TRANSFER + 1] {
        assert!(RangeReader::new(root, size, 0..0).is_err());
    }
    assert!(
        RangeReader::new(root, LEAF_BYTES + 1, 0..1).is_err(),
        "a leaf is no root of two"
    );
}

#[test]
fn bytes_that_are_not_wanted_are_not_taken() {
    let file = file();
    let mut reader = file.reader(0..1);
    let fault = RangeFault::OutOfTurn { expected: 1, found: 2 };
    assert_eq!(reader.take(&[0, 0]), Err(fault));
    let (_, ended) = read(reader, &file.answer(0..1));
    let fault = RangeFault::OutOfTurn { expected: 0, found: 0 };
    assert_eq!(ended.unwrap().unwrap().take(&[]), Err(fault));
}

#[test]
fn windows_begin_with_one_leaf_grow_and_never_cross_a_piece() {
    const MIB: u64 = 1 << 20;
    let span = |piece, bytes| Span { piece, bytes };
    let found: Vec<Span> = windows([span(0, 5..7 * MIB), span(1, 0..9 * MIB), span(2, 3..4)]).collect();
    let expected = [
        span(0, 5..MIB),
        span(0, MIB..3 * MIB),
        span(0, 3 * MIB..7 * MIB),
        span(1, 0..4 * MIB),
        span(1, 4 * MIB..8 * MIB),
        span(1, 8 * MIB..9 * MIB),
        span(2, 3..4),
    ];
    assert_eq!(found, expected);
    let begun: Vec<Span> = windows([span(4, MIB + 9..MIB + 10)]).collect();
    assert_eq!(begun, [span(4, MIB + 9..MIB + 10)]);
    assert_eq!(windows([span(0, 3..3)]).count(), 0);
    let text = windows([span(0, 0..u64::MAX)])
        .next()
        .map(|span| span.bytes.end.to_string());
    assert_eq!(text.as_deref(), Some("1048576"));
}

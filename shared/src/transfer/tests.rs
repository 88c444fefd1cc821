//! Whole transfers in memory, and what a hostile peer can try.

use super::wire::MAX_DATA;
use super::*;
use crate::piece::node::{cid_of, encode_node, node_cid, parse_node, raw_cid, Link, NodeError};
use crate::piece::unixfs::test_data;
use crate::piece::{Dag, DagBuilder, DagShape};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use cid::Cid;

/// 130 bytes in leaves of 4, 3 links a node: 33 leaves under 4 levels of 18 nodes. Requests of 3 bytes, so that every
/// leaf takes two.
const SHAPE: DagShape = DagShape::small(4, 3);
const SIZE: usize = 130;
const LIMITS: Limits = Limits {
    window: 4,
    request_bytes: 3,
    shape: SHAPE,
};

struct Server {
    bytes: Vec<u8>,
    dag: Dag,
    nodes: BTreeMap<Cid, Vec<u8>>,
}

impl Server {
    fn new(bytes: Vec<u8>, shape: DagShape) -> Self {
        let mut builder = DagBuilder::with_shape(shape);
        builder.push(&bytes).unwrap();
        let dag = builder.finish().unwrap();
        let nodes = dag.nodes.iter().cloned().collect();
        Self { bytes, dag, nodes }
    }

    fn answer(&self, request: &Request) -> Response {
        let source = PieceSource {
            root: self.dag.root,
            size: self.dag.size,
            nodes: &self.nodes,
        };
        match serve(request, &source) {
            Serve::Node(bytes) => Response::Data(bytes.to_vec()),
            Serve::Range { offset, len } => Response::Data(self.bytes[offset as usize..][..len as usize].to_vec()),
            Serve::Refuse(code) => Response::refusal(code),
        }
    }
}

/// What a host stored.
#[derive(Default)]
struct Store {
    nodes: Vec<(Cid, Vec<u8>)>,
    leaves: u64,
    file: Vec<u8>,
}

impl Store {
    fn keep(&mut self, kept: Kept) {
        match kept {
            Kept::Node { cid, bytes } => self.nodes.push((cid, bytes)),
            Kept::Leaf { index, offset, bytes } => {
                assert_eq!((index, offset), (self.leaves, self.file.len() as u64));
                self.leaves += 1;
                self.file.extend(bytes);
            }
        }
    }
}

/// Runs over one stream, through frames, for at most this many answers; returns how many came.
fn run(puller: &mut Puller, server: &Server, store: &mut Store, answers: usize) -> usize {
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    for done in 0..answers {
        while let Some(request) = puller.next_request() {
            to_server.extend(request.to_frame().unwrap());
        }
        assert!(puller.under_way() <= LIMITS.window.max(8));
        while let Some(request) = Request::take(&mut to_server).unwrap() {
            to_client.extend(server.answer(&request).to_frame().unwrap());
        }
        let Some(response) = Response::take(&mut to_client).unwrap() else {
            return done;
        };
        if let Some(kept) = puller.on_response(response).unwrap() {
            store.keep(kept);
        }
    }
    answers
}

fn server() -> Server {
    Server::new(test_data(SIZE), SHAPE)
}

fn puller(server: &Server) -> Puller {
    Puller::new(server.dag.root, server.dag.size, LIMITS).unwrap()
}

fn resumed(server: &Server, nodes: impl IntoIterator<Item = (Cid, Vec<u8>)>, leaves: u64, limits: Limits) -> Puller {
    let mut dag = KnownDag::new(server.dag.root, server.dag.size, SHAPE).unwrap();
    dag.take_nodes(nodes).unwrap();
    let kept = LeafSet::first(dag.leaves(), leaves);
    Puller::resumed(dag, kept, limits).unwrap()
}

#[test]
fn a_file_of_any_size_arrives_whole_and_in_order() {
    for size in 1..=SIZE {
        let server = Server::new(test_data(size), SHAPE);
        let (mut puller, mut store) = (puller(&server), Store::default());
        run(&mut puller, &server, &mut store, usize::MAX);
        assert!(puller.is_complete(), "{size} bytes");
        assert_eq!(store.file, server.bytes);
        let progress = puller.progress();
        assert_eq!(progress.bytes, size as u64);
        assert_eq!(progress.nodes, progress.nodes_total);
        assert_eq!(store.nodes.len() as u64, progress.nodes_total);
        assert_eq!(progress.leaves, progress.leaves_total);
        assert_eq!(puller.next_request(), None);
    }
}

#[test]
fn a_file_whose_blocks_are_all_alike_arrives_whole_and_resumes() {
    let server = Server::new(vec![0; 108], SHAPE);
    assert!(server.nodes.len() < server.dag.nodes.len());
    let resumed = resumed(&server, server.nodes.clone(), 0, LIMITS);
    for mut puller in [puller(&server), resumed] {
        let mut store = Store::default();
        run(&mut puller, &server, &mut store, usize::MAX);
        assert!(puller.is_complete());
        assert_eq!(store.file, server.bytes);
    }
}

#[test]
fn a_wider_window_lets_more_requests_leave_and_a_narrower_one_fewer() {
    let server = server();
    let mut puller = resumed(&server, server.nodes.clone(), 0, LIMITS);
    let ask = |puller: &mut Puller| core::iter::from_fn(|| puller.next_request()).count();
    assert_eq!(ask(&mut puller), 4);
    puller.set_window(10);
    assert_eq!(ask(&mut puller), 6);
    puller.set_window(1);
    assert_eq!(ask(&mut puller), 0);
    puller.set_window(usize::MAX);
    assert_eq!(ask(&mut puller), puller::MAX_WINDOW - 10);
    puller.interrupted();
    puller.set_window(0);
    assert_eq!(ask(&mut puller), 1);
}

#[test]
fn a_file_of_standard_leaves_arrives_whole() {
    let server = Server::new(test_data(5 << 19), DagShape::STANDARD);
    let limits = Limits::default();
    let mut puller = Puller::new(server.dag.root, server.dag.size, limits).unwrap();
    let mut store = Store::default();
    assert_eq!(run(&mut puller, &server, &mut store, usize::MAX), 1 + 10);
    assert!(puller.is_complete());
    assert_eq!(store.file, server.bytes);
}

#[test]
fn an_interrupted_transfer_goes_on_in_a_new_process_from_what_was_stored() {
    let server = server();
    let mut store = Store::default();
    let total = run(&mut puller(&server), &server, &mut store, usize::MAX);
    for answers in 0..=total {
        let mut store = Store::default();
        run(&mut puller(&server), &server, &mut store, answers);
        let mut resumed = resumed(&server, store.nodes.clone(), store.leaves, LIMITS);
        let progress = resumed.progress();
        assert_eq!(progress.nodes, store.nodes.len() as u64);
        assert_eq!(progress.leaves, store.leaves);
        let again = run(&mut resumed, &server, &mut store, usize::MAX);
        // At most the leaf that was half here comes again.
        assert!(again <= total - answers + 1, "after {answers}");
        assert!(resumed.is_complete());
        assert_eq!(store.file, server.bytes);
    }
}

#[test]
fn a_broken_stream_costs_only_what_was_under_way() {
    let server = server();
    let (mut puller, mut store) = (puller(&server), Store::default());
    while !puller.is_complete() {
        run(&mut puller, &server, &mut store, 5);
        puller.interrupted();
        assert_eq!(puller.under_way(), 0);
    }
    assert_eq!(store.file, server.bytes);
    assert_eq!(store.nodes.len(), server.nodes.len());
}

#[test]
fn damaged_and_foreign_nodes_in_the_store_are_asked_for_again() {
    let server = server();
    let mut nodes = server.dag.nodes.clone();
    nodes[3].1[0] ^= 1;
    nodes.push((node_cid(b"foreign"), b"foreign".to_vec()));
    let (mut puller, mut store) = (resumed(&server, nodes, 0, LIMITS), Store::default());
    assert!(puller.progress().nodes < puller.progress().nodes_total);
    run(&mut puller, &server, &mut store, usize::MAX);
    assert!(puller.is_complete());
    assert_eq!(store.file, server.bytes);
}

#[test]
fn a_store_that_speaks_of_another_number_of_leaves_is_refused() {
    let server = server();
    let dag = KnownDag::new(server.dag.root, server.dag.size, SHAPE).unwrap();
    assert_eq!(
        Puller::resumed(dag, LeafSet::none(34), LIMITS).unwrap_err(),
        TransferFault::OtherFile { leaves: 34, total: 33 }
    );
}

#[test]
fn leaves_that_came_another_way_are_not_asked_for_wherever_they_are() {
    let server = server();
    for here in [
        vec![],
        vec![0],
        vec![32],
        vec![0, 1, 2, 5, 6, 31],
        (0..33).collect::<Vec<_>>(),
    ] {
        let mut dag = KnownDag::new(server.dag.root, server.dag.size, SHAPE).unwrap();
        dag.take_nodes(server.dag.nodes.clone()).unwrap();
        let mut kept = LeafSet::none(33);
        here.iter().for_each(|leaf| kept.insert(*leaf));
        let mut puller = Puller::resumed(dag, kept, LIMITS).unwrap();
        let mut came = Vec::new();
        let (mut asked, mut cut) = (VecDeque::new(), false);
        while !puller.is_complete() {
            asked.extend(core::iter::from_fn(|| puller.next_request()));
            let request = asked.pop_front().unwrap();
            if came.len() == 3 && !cut {
                puller.interrupted();
                asked.clear();
                cut = true;
                continue;
            }
            if let Some(Kept::Leaf { index, offset, bytes }) = puller.on_response(server.answer(&request)).unwrap() {
                assert_eq!(server.bytes[offset as usize..][..bytes.len()], bytes);
                came.push(index);
            }
        }
        let expected: Vec<u64> = (0..33).filter(|leaf| !here.contains(leaf)).collect();
        assert_eq!(came, expected, "{here:?} were here");
        assert_eq!(puller.progress().bytes, SIZE as u64);
    }
}

#[test]
fn no_more_requests_than_the_window_are_under_way() {
    let server = server();
    let mut puller = resumed(&server, server.dag.nodes.clone(), 0, LIMITS);
    let asked: VecDeque<_> = core::iter::from_fn(|| puller.next_request()).collect();
    let ranges: Vec<_> = asked.iter().map(|request| request.target).collect();
    let bytes = |offset, len| Target::Bytes { offset, len };
    assert_eq!(ranges, [bytes(0, 3), bytes(3, 1), bytes(4, 3), bytes(7, 1)]);
}

/// Lets a peer answer honestly until `at`, then with `lie`; the fault that follows.
fn fault(server: &Server, at: usize, lie: impl Fn(Vec<u8>) -> Response) -> TransferFault {
    let mut puller = puller(server);
    run(&mut puller, server, &mut Store::default(), at);
    puller.interrupted();
    let request = puller.next_request().unwrap();
    let Response::Data(honest) = server.answer(&request) else {
        panic!("an honest server has everything");
    };
    puller.on_response(lie(honest)).unwrap_err()
}

/// As [`fault`], for a transfer that stands before the first leaf.
fn leaf_fault(server: &Server, lie: impl Fn(Vec<u8>) -> Response) -> TransferFault {
    fault(server, server.dag.nodes.len(), lie)
}

#[test]
fn a_node_with_any_changed_bit_is_refused() {
    let server = server();
    let cid = server.dag.root;
    for bit in 0..server.nodes[&cid].len() * 8 {
        let fault = fault(&server, 0, |mut bytes| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            Response::Data(bytes)
        });
        assert_eq!(fault, TransferFault::WrongNodeHash { cid });
        assert!(!fault.is_final());
    }
}

#[test]
fn a_leaf_with_any_changed_bit_is_refused_and_the_transfer_can_go_on() {
    // Requests of whole leaves, so that each answer is judged at once.
    let server = server();
    let limits = Limits {
        request_bytes: 4,
        ..LIMITS
    };
    for bit in 0..32 {
        let mut puller = resumed(&server, server.dag.nodes.clone(), 7, limits);
        let Response::Data(mut bytes) = server.answer(&puller.next_request().unwrap()) else {
            panic!("an honest server has everything");
        };
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            puller.on_response(Response::Data(bytes)),
            Err(TransferFault::WrongLeafHash { index: 7 })
        );
        assert_eq!(puller.progress().leaves, 7);
        let mut store = Store {
            leaves: 7,
            file: server.bytes[..28].to_vec(),
            ..Store::default()
        };
        run(&mut puller, &server, &mut store, usize::MAX);
        assert_eq!(store.file, server.bytes);
    }
}

#[test]
fn bytes_of_another_length_are_refused() {
    let server = server();
    for found in [1, 2, 4, MAX_DATA] {
        assert_eq!(
            leaf_fault(&server, |_| Response::Data(vec![0; found])),
            TransferFault::WrongLength { expected: 3, found }
        );
    }
}

#[test]
fn a_refusal_ends_the_stream_with_its_code() {
    let fault = leaf_fault(&server(), |_| Response::refusal(RefusalCode::ReadFailed));
    let code = RefusalCode::ReadFailed;
    let text = code.text().into();
    assert_eq!(fault, TransferFault::Refused { code, text });
    assert!(!fault.is_final());
}

#[test]
fn data_that_nobody_asked_for_is_refused() {
    let mut puller = puller(&server());
    assert_eq!(
        puller.on_response(Response::Data(vec![1])),
        Err(TransferFault::Unrequested)
    );
}

#[test]
fn a_root_of_another_codec_or_hash_is_refused() {
    for (root, size) in [
        (raw_cid(b"x"), 5),
        (node_cid(b"x"), 4),
        (cid_of(0x71, &[0; 32]), 5),
        (
            Cid::new_v1(0x70, cid::multihash::Multihash::wrap(0x1e, &[0; 32]).unwrap()),
            5,
        ),
        (
            Cid::new_v0(cid::multihash::Multihash::wrap(0x12, &[0; 32]).unwrap()).unwrap(),
            5,
        ),
    ] {
        assert_eq!(
            Puller::new(root, size, LIMITS).unwrap_err(),
            TransferFault::Root { root, size }
        );
    }
}

#[test]
fn sizes_and_limits_out_of_bounds_are_refused() {
    let root = node_cid(b"x");
    for size in [0, puller::MAX_TRANSFER + 1, u64::MAX] {
        assert_eq!(
            Puller::new(root, size, Limits::default()).unwrap_err(),
            TransferFault::Size { size }
        );
    }
    for (window, request_bytes) in [(0, 3), (65, 3), (4, 0), (4, MAX_DATA as u32 + 1)] {
        let limits = Limits {
            window,
            request_bytes,
            shape: SHAPE,
        };
        assert_eq!(
            Puller::new(root, 5, limits).unwrap_err(),
            TransferFault::Limits { window, request_bytes }
        );
    }
}

/// The fault when a file's root, by its own hash, is this node.
fn root_fault(bytes: Vec<u8>, size: u64) -> TransferFault {
    let mut puller = Puller::new(node_cid(&bytes), size, LIMITS).unwrap();
    puller.next_request().unwrap();
    let fault = puller.on_response(Response::Data(bytes)).unwrap_err();
    assert!(fault.is_final());
    fault
}

fn links(parts: &[(Cid, u64)]) -> Vec<u8> {
    let links: Vec<_> = parts
        .iter()
        .map(|(cid, file_bytes)| Link {
            cid: *cid,
            file_bytes: *file_bytes,
            tree_bytes: *file_bytes,
        })
        .collect();
    encode_node(&links)
}

#[test]
fn a_root_whose_parts_are_not_those_of_the_stated_size_is_final() {
    let leaf = raw_cid(b"leaf");
    let node = links(&[(leaf, 4), (leaf, 4)]);
    let cid = node_cid(&node);
    assert_eq!(
        root_fault(node.clone(), 9),
        TransferFault::LinkCount {
            cid,
            expected: 3,
            found: 2
        }
    );
    assert_eq!(
        root_fault(node, 7),
        TransferFault::LinkBytes {
            cid,
            link: 1,
            expected: 3,
            found: 4
        }
    );
    let uneven = links(&[(leaf, 3), (leaf, 4)]);
    let cid = node_cid(&uneven);
    assert_eq!(
        root_fault(uneven, 7),
        TransferFault::LinkBytes {
            cid,
            link: 0,
            expected: 4,
            found: 3
        }
    );
}

#[test]
fn a_dag_deeper_or_flatter_than_the_size_allows_is_final() {
    let leaf = raw_cid(b"leaf");
    let deeper = links(&[(leaf, 4), (node_cid(b"deeper"), 4)]);
    let cid = node_cid(&deeper);
    assert_eq!(root_fault(deeper, 8), TransferFault::LinkKind { cid, link: 1 });
    let flatter = links(&[(leaf, 12), (leaf, 1)]);
    let cid = node_cid(&flatter);
    assert_eq!(root_fault(flatter, 13), TransferFault::LinkKind { cid, link: 0 });
}

#[test]
fn a_root_that_is_no_unixfs_node_is_final() {
    let error = parse_node(b"not a node").unwrap_err();
    let bytes = b"not a node".to_vec();
    let cid = node_cid(&bytes);
    assert_eq!(root_fault(bytes, 8), TransferFault::Node { cid, error });
    let huge = vec![0; crate::piece::node::MAX_NODE_BYTES + 1];
    let (cid, size) = (node_cid(&huge), huge.len());
    let error = NodeError::TooLarge { size };
    assert_eq!(root_fault(huge, 8), TransferFault::Node { cid, error });
}

//! Both sides of a transfer: a server that answers rightly, wrongly, too much or not at all, streams that break and processes
//! that end at any moment. What is kept is the file; an honest peer completes it whatever came before.
#![no_main]

use cid::Cid;
use sealdrop_fuzz::Script;
use shared::piece::{Dag, DagBuilder, DagShape};
use shared::transfer::puller::MAX_WINDOW;
use shared::transfer::{
    serve, Kept, KnownDag, LeafSet, Limits, PieceSource, Puller, RefusalCode, Request, Response, Serve, TransferFault,
};
use std::collections::{BTreeMap, VecDeque};

/// Leaves of 4 bytes, 3 links a node: a few bytes have several levels.
const SHAPE: DagShape = DagShape::small(4, 3);

/// Who has the file.
struct Server {
    bytes: Vec<u8>,
    dag: Dag,
    nodes: BTreeMap<Cid, Vec<u8>>,
}

impl Server {
    fn new(bytes: Vec<u8>) -> Self {
        let mut builder = DagBuilder::with_shape(SHAPE);
        builder.push(&bytes).expect("it is short");
        let dag = builder.finish().expect("it is not empty");
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

/// What is on the disk of who lacks it.
#[derive(Default)]
struct Store {
    nodes: Vec<(Cid, Vec<u8>)>,
    leaves: u64,
    file: Vec<u8>,
}

impl Store {
    fn keep(&mut self, kept: Kept, server: &Server) {
        match kept {
            Kept::Node { cid, bytes } => {
                assert_eq!(server.nodes.get(&cid), Some(&bytes), "a node is the file's");
                self.nodes.push((cid, bytes));
            }
            Kept::Leaf { index, offset, bytes } => {
                assert_eq!((index, offset), (self.leaves, self.file.len() as u64));
                self.file.extend(bytes);
                self.leaves += 1;
                assert!(server.bytes.starts_with(&self.file), "a leaf is the file's");
            }
        }
    }
}

fn puller(server: &Server, limits: Limits, store: &Store) -> Puller {
    let mut dag = KnownDag::new(server.dag.root, server.dag.size, SHAPE).expect("it can be transferred");
    dag.take_nodes(store.nodes.iter().cloned()).expect("what was kept is the file's");
    let kept = LeafSet::first(dag.leaves(), store.leaves);
    Puller::resumed(dag, kept, limits).expect("within bounds")
}

/// An answer that is not, or not quite, what was asked for.
fn wrong(script: &mut Script, right: Response) -> Response {
    match (script.below(4), right) {
        (0, Response::Data(mut bytes)) => {
            let place = usize::from(script.byte()) % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= script.byte();
            }
            Response::Data(bytes)
        }
        (1, Response::Data(mut bytes)) => {
            bytes.truncate(script.byte().into());
            Response::Data(bytes)
        }
        (2, _) => Response::refusal(RefusalCode::UnknownPiece),
        _ => Response::Data(script.bytes(255).to_vec()),
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let size = 1 + usize::from(script.byte());
    let server = Server::new((0..size).map(|at| (at * 7) as u8).collect());
    let limits = Limits {
        window: 1 + usize::from(script.below(MAX_WINDOW as u8)),
        request_bytes: 1 + u32::from(script.below(6)),
        shape: SHAPE,
    };
    let mut store = Store::default();
    let mut puller = puller(&server, limits, &store);
    let mut asked = VecDeque::new();
    while !script.is_over() && !puller.is_complete() {
        while let Some(request) = puller.next_request() {
            asked.push_back(request);
        }
        assert_eq!(puller.under_way(), asked.len());
        assert!(asked.len() <= limits.window);
        let before = puller.progress();
        let taken = match script.below(8) {
            0 => {
                puller.interrupted();
                asked.clear();
                Ok(None)
            }
            1 => {
                puller = self::puller(&server, limits, &store);
                asked.clear();
                Ok(None)
            }
            kind => match asked.pop_front().map(|request| server.answer(&request)) {
                Some(right) if kind == 2 => puller.on_response(wrong(&mut script, right)),
                Some(right) => puller.on_response(right),
                None => {
                    assert_eq!(
                        puller.on_response(Response::Data(vec![])),
                        Err(TransferFault::Unrequested)
                    );
                    Ok(None)
                }
            },
        };
        match taken {
            Ok(kept) => kept.into_iter().for_each(|kept| store.keep(kept, &server)),
            Err(fault) => {
                assert!(!fault.is_final(), "the piece is a file: {fault}");
                assert_eq!(puller.under_way(), 0);
                asked.clear();
            }
        }
        let after = puller.progress();
        assert!(after.leaves >= before.leaves && after.bytes <= after.size && after.leaves == store.leaves);
    }
    // From here on the peer is honest.
    puller.interrupted();
    while !puller.is_complete() {
        let request = puller.next_request().expect("what lacks can be asked for");
        let kept = puller.on_response(server.answer(&request)).expect("it is right");
        kept.into_iter().for_each(|kept| store.keep(kept, &server));
    }
    assert_eq!(store.file, server.bytes);
});

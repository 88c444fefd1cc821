//! What the side that has the piece answers to a request. The host reads the range and sends the frame.

use super::wire::{RefusalCode, Request, Target, MAX_DATA};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use cid::Cid;

/// A piece that can be served: its root, its size, and the interior nodes of its DAG.
#[derive(Debug, Clone, Copy)]
pub struct PieceSource<'a> {
    pub root: Cid,
    /// Bytes of the file.
    pub size: u64,
    pub nodes: &'a BTreeMap<Cid, Vec<u8>>,
}

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve<'a> {
    /// Send these bytes.
    Node(&'a [u8]),
    /// Read these file bytes, within the file and at most [`MAX_DATA`], and send them.
    Range { offset: u64, len: u32 },
    /// Send a refusal.
    Refuse(RefusalCode),
}

/// Decides the answer to a request. Never reads, never fails: the peer gets a refusal instead.
pub fn serve<'a>(request: &Request, source: &PieceSource<'a>) -> Serve<'a> {
    if request.root != source.root {
        return Serve::Refuse(RefusalCode::UnknownPiece);
    }
    match request.target {
        Target::Node(cid) => match source.nodes.get(&cid) {
            Some(bytes) => Serve::Node(bytes),
            None => Serve::Refuse(RefusalCode::UnknownNode),
        },
        Target::Bytes { offset, len } => {
            let end = offset.checked_add(u64::from(len));
            let within = end.is_some_and(|end| end <= source.size);
            if !within || !(1..=MAX_DATA).contains(&(len as usize)) {
                return Serve::Refuse(RefusalCode::OutOfRange);
            }
            Serve::Range { offset, len }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::node::node_cid;

    fn answer(root: &[u8], target: Target) -> Serve<'static> {
        let nodes = BTreeMap::from([(node_cid(b"root"), b"root".to_vec())]);
        let source = PieceSource {
            root: node_cid(b"root"),
            size: 1000,
            nodes: &nodes,
        };
        let root = node_cid(root);
        match serve(&Request { root, target }, &source) {
            Serve::Node(bytes) => {
                assert_eq!(bytes, b"root");
                Serve::Node(b"root")
            }
            Serve::Range { offset, len } => Serve::Range { offset, len },
            Serve::Refuse(code) => Serve::Refuse(code),
        }
    }

    #[test]
    fn ranges_within_the_file_are_served_and_no_others() {
        for (offset, len) in [(0, 1000), (999, 1), (0, 1)] {
            let target = Target::Bytes { offset, len };
            assert_eq!(answer(b"root", target), Serve::Range { offset, len });
        }
        for (offset, len) in [(0, 1001), (1000, 1), (0, 0), (u64::MAX, 1), (u64::MAX, u32::MAX)] {
            let target = Target::Bytes { offset, len };
            assert_eq!(answer(b"root", target), Serve::Refuse(RefusalCode::OutOfRange));
        }
    }

    #[test]
    fn only_nodes_of_the_piece_are_served() {
        let known = Target::Node(node_cid(b"root"));
        assert_eq!(answer(b"root", known), Serve::Node(b"root"));
        assert_eq!(
            answer(b"root", Target::Node(node_cid(b"other"))),
            Serve::Refuse(RefusalCode::UnknownNode)
        );
        assert_eq!(answer(b"other", known), Serve::Refuse(RefusalCode::UnknownPiece));
    }
}

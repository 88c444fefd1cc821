//! The pieces that a client has and miners fetch (step 7 of a deal): which copy of a piece is read, and whose progress a
//! fetched range is.
//!
//! Several deals may be about one piece, each with a file of its own: what one of them has lost another may still have. Held by
//! both hosts' piece servers, which move the bytes; [`crate::transfer::serve`] says what a request may have. Blocks are checked
//! by the miner, so it does not matter who asks.

use crate::transfer::{serve, PieceSource, RefusalCode, Request, Response, Serve};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;

/// Streams served at once, at most: each holds one answer of 256 KiB.
pub const MAX_STREAMS: usize = 32;

/// The interior nodes of a piece's DAG.
pub type Nodes = BTreeMap<Cid, Vec<u8>>;

/// Pieces on offer by their roots. `C` is what a host finds a copy by. As many as there are deals under way.
#[derive(Debug)]
pub struct Offers<C>(BTreeMap<Cid, Offer<C>>);

#[derive(Debug)]
struct Offer<C> {
    size: u64,
    nodes: Nodes,
    /// By the deal that each is offered for.
    copies: BTreeMap<String, PieceCopy<C>>,
}

/// A deal's copy of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceCopy<C> {
    /// Peer id of the deal's miner.
    pub miner: String,
    pub place: C,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<C> {
    Answer(Response),
    /// This range of one of the copies, of the first that still has it; [`Response::refusal`] with
    /// [`RefusalCode::ReadFailed`] when none does.
    Read {
        offset: u64,
        len: u32,
        copies: Vec<C>,
    },
}

impl<C> Default for Offers<C> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<C: Clone> Offers<C> {
    /// Offers the piece of `deal` from now on.
    pub fn offer(&mut self, root: Cid, size: u64, nodes: impl FnOnce() -> Nodes, deal: &str, copy: PieceCopy<C>) {
        let offer = self.0.entry(root).or_insert_with(|| Offer {
            size,
            nodes: nodes(),
            copies: BTreeMap::new(),
        });
        offer.copies.insert(deal.to_owned(), copy);
    }

    /// Ends the offer for `deal`. Others of the same piece stay.
    pub fn withdraw(&mut self, root: &Cid, deal: &str) {
        if let Some(offer) = self.0.get_mut(root) {
            offer.copies.remove(deal);
            if offer.copies.is_empty() {
                self.0.remove(root);
            }
        }
    }

    /// What a request comes to.
    pub fn decide(&self, request: &Request) -> Decision<C> {
        let Some(offer) = self.0.get(&request.root) else {
            return Decision::Answer(Response::refusal(RefusalCode::UnknownPiece));
        };
        let piece = PieceSource {
            root: request.root,
            size: offer.size,
            nodes: &offer.nodes,
        };
        match serve(request, &piece) {
            Serve::Node(bytes) => Decision::Answer(Response::Data(bytes.to_vec())),
            Serve::Refuse(code) => Decision::Answer(Response::refusal(code)),
            Serve::Range { offset, len } => Decision::Read {
                offset,
                len,
                copies: offer.copies.values().map(|copy| copy.place.clone()).collect(),
            },
        }
    }

    /// The copies of the deals that a range which `peer` has fetched counts for: whichever of them was read, it has the piece
    /// for all that it makes about it, and another miner has not.
    pub fn fetched_by(&self, root: &Cid, peer: &str) -> Vec<C> {
        let copies = self.0.get(root).into_iter().flat_map(|offer| offer.copies.values());
        copies
            .filter(|copy| copy.miner == peer)
            .map(|copy| copy.place.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::node::raw_cid;
    use crate::transfer::Target;

    fn copy(place: &'static str, miner: &str) -> PieceCopy<&'static str> {
        let miner = miner.into();
        PieceCopy { miner, place }
    }

    fn request(bytes: &[u8]) -> Request {
        let (root, target) = (raw_cid(bytes), Target::Bytes { offset: 4, len: 6 });
        Request { root, target }
    }

    #[test]
    fn every_copy_of_a_piece_is_read_until_the_last_offer_of_it_ends() {
        let (mut offers, asked) = (Offers::default(), request(b"0123456789"));
        for (deal, copy) in [("one", copy("a", "x")), ("two", copy("b", "y"))] {
            offers.offer(asked.root, 10, Nodes::new, deal, copy);
        }
        let read = |copies| Decision::Read {
            offset: 4,
            len: 6,
            copies,
        };
        assert_eq!(offers.decide(&asked), read(["a", "b"].to_vec()));
        offers.withdraw(&asked.root, "one");
        assert_eq!(offers.decide(&asked), read(["b"].to_vec()));
        offers.withdraw(&asked.root, "two");
        let unknown = Decision::Answer(Response::refusal(RefusalCode::UnknownPiece));
        assert_eq!(offers.decide(&asked), unknown);
    }

    #[test]
    fn a_range_counts_for_the_deals_with_the_miner_that_fetched_it() {
        let (mut offers, root) = (Offers::default(), raw_cid(b"piece"));
        for (deal, copy) in [
            ("one", copy("a", "x")),
            ("two", copy("b", "y")),
            ("three", copy("c", "x")),
        ] {
            offers.offer(root, 5, Nodes::new, deal, copy);
        }
        assert_eq!(offers.fetched_by(&root, "x"), ["a", "c"]);
        assert_eq!(offers.fetched_by(&root, "z"), [""; 0]);
        assert_eq!(offers.fetched_by(&raw_cid(b"other"), "x"), [""; 0]);
    }

    #[test]
    fn what_a_piece_has_not_is_refused_without_reading() {
        let (mut offers, mut asked) = (Offers::default(), request(b"0123456789"));
        offers.offer(asked.root, 10, Nodes::new, "one", copy("a", "x"));
        asked.target = Target::Bytes { offset: 9, len: 2 };
        let refused = Decision::Answer(Response::refusal(RefusalCode::OutOfRange));
        assert_eq!(offers.decide(&asked), refused);
    }
}

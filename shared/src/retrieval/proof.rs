//! `GET /piece/{pieceCid}/proof?range=FIRST-LAST`: how a reader asks for what a range of a piece is checked with
//! ([`crate::piece::range`]). The answer is [`crate::piece::RangeProof`] as bytes and nothing else: there is nothing in it to be believed.
//!
//! Called by the miner's HTTP listener and by clients.

use super::http::{requested_range, Ranged};
use crate::piece::{PieceName, SizedPieceCid};
use alloc::format;
use alloc::string::String;
use core::ops::Range;

/// Bytes of a hash.
pub const NODE_BYTES: usize = 32;

/// Why a range cannot be checked by a name of its piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a piece CID of version 1 (baga6ea4seaq…) does not say how large the piece is, so that hashes inside its tree could be passed off as its bytes; give version 2 (bafkzcib…)")]
pub struct SizeUnknown;

/// What a reader needs of a piece's name.
pub fn checkable(name: &PieceName) -> Result<SizedPieceCid, SizeUnknown> {
    match name {
        PieceName::V1(_) => Err(SizeUnknown),
        PieceName::V2(cid) => Ok(*cid),
    }
}

/// Where the bytes of a piece are.
pub fn path_of_bytes(piece: &SizedPieceCid) -> String {
    format!("/piece/{piece}")
}

/// Where the proof of these bytes is; there must be some.
pub fn path_of_proof(piece: &SizedPieceCid, bytes: &Range<u64>) -> String {
    format!(
        "/piece/{piece}/proof?range={}-{}",
        bytes.start,
        bytes.end.saturating_sub(1)
    )
}

/// Of which bytes a query asks for the proof, written as in `Range`; `None` for what is no range.
pub fn asked_for(query: &str, size: u64) -> Option<Ranged> {
    let range = query.split('&').find_map(|part| part.strip_prefix("range="))?;
    match requested_range(Some(&format!("bytes={range}")), size) {
        Ranged::Whole => None,
        asked => Some(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::{Commitment, PieceSize};

    #[test]
    fn a_query_asks_for_one_range_as_the_header_does() {
        for (query, asked) in [
            ("range=0-126", Some(Ranged::Part(0..127))),
            ("x=1&range=5-", Some(Ranged::Part(5..1000))),
            ("range=-7&range=0-1", Some(Ranged::Part(993..1000))),
            ("range=1000-", Some(Ranged::Unsatisfiable)),
            ("range=5-4", None),
            ("range=1-2,4-5", None),
            ("range=", None),
            ("", None),
        ] {
            assert_eq!(asked_for(query, 1000), asked, "{query}");
        }
    }

    #[test]
    fn only_a_name_that_says_the_size_is_enough_to_check_a_range() {
        let comm_p = Commitment([7; 32]);
        let sized = SizedPieceCid::new(comm_p, PieceSize::new(1000).unwrap());
        assert_eq!(checkable(&PieceName::V2(sized)), Ok(sized));
        assert_eq!(checkable(&PieceName::V1(comm_p.into())), Err(SizeUnknown));
        let path = path_of_proof(&sized, &(127..254));
        let (_, query) = path.split_once('?').unwrap();
        assert_eq!(asked_for(query, 1000), Some(Ranged::Part(127..254)));
    }
}

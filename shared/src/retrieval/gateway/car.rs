//! CARs of version 1: a header with the root, then each block with its CID, lengths in front (the IPLD specification's CARv1).

use crate::wire::cbor::cbor_map;
use crate::wire::{decode, encode, leb128};
use alloc::vec;
use alloc::vec::Vec;
use cid::Cid;

struct Header {
    roots: Vec<Cid>,
    version: u64,
}
cbor_map!(Header { "roots" => roots, "version" => version });

/// What a CAR begins with.
pub fn header(root: &Cid) -> Vec<u8> {
    let header = encode(&Header {
        roots: vec![*root],
        version: 1,
    });
    let mut out = leb128::unsigned(header.len() as u64);
    out.extend_from_slice(&header);
    out
}

/// Whether bytes are a header, without the length in front: of version 1, with whichever roots; a reader knows what it has asked for.
pub fn check_header(bytes: &[u8]) -> Option<()> {
    let header: Header = decode(bytes).ok()?;
    (header.version == 1).then_some(())
}

/// What stands in front of a block's bytes.
pub fn frame(cid: &Cid, bytes: usize) -> Vec<u8> {
    let cid = cid.to_bytes();
    let mut out = leb128::unsigned((cid.len() as u64).saturating_add(bytes as u64));
    out.extend_from_slice(&cid);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::node::raw_cid;

    /// By hand: map of two, "roots" with one tagged link, "version" 1.
    #[test]
    fn a_header_names_the_root_and_the_version_in_dag_cbor() {
        let root = raw_cid(b"x");
        let header = header(&root);
        let cid = root.to_bytes();
        let body = [&b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00"[..], &cid, b"\x67version\x01"].concat();
        assert_eq!(header, [&[body.len() as u8][..], &body].concat());
    }

    #[test]
    fn a_block_stands_behind_its_cid_and_the_length_of_both() {
        let cid = raw_cid(b"x");
        assert_eq!(frame(&cid, 1), [&[37][..], &cid.to_bytes()].concat());
        assert_eq!(frame(&cid, 1000)[..2], leb128::unsigned(1036));
    }
}

//! Interior nodes of a file's DAG: dag-pb around a UnixFS message, encoded byte for byte as kubo does it (design §10).
//!
//! The decoder is strict: what it accepts is exactly what the encoder writes, so a hostile peer cannot hide anything in a
//! node. Called by [`super::unixfs`] to build and by [`crate::transfer`] to check.

use crate::wire::leb128::{self, Leb128Error};
use alloc::vec::Vec;
use cid::multihash::Multihash;
use cid::Cid;
use sha2::{Digest, Sha256};

/// Multicodec of raw leaves.
pub const RAW: u64 = 0x55;
/// Multicodec of interior nodes.
pub const DAG_PB: u64 = 0x70;
/// Multihash code of SHA-256.
const SHA2_256: u64 = 0x12;
/// Bytes of a binary CID of this DAG: version, codec, hash code, hash length, hash.
pub const CID_BYTES: usize = 36;
/// Links in a node, at most (profile `unixfs-v1-2025`).
pub const MAX_LINKS: usize = 1024;
/// Bytes of an encoded node, at most: 1024 links of up to 54 bytes, as many block sizes of up to 11, and the frame.
pub const MAX_NODE_BYTES: usize = MAX_LINKS * (54 + 11) + 32;

/// Why bytes are no interior node of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("a node of {size} bytes is larger than the largest possible one ({MAX_NODE_BYTES} bytes)")]
    TooLarge { size: usize },
    #[error("a node has more than {MAX_LINKS} links")]
    TooManyLinks,
    #[error("a node ends in the middle")]
    Truncated,
    #[error("a node has tag {found:#04x} where {expected:#04x} belongs")]
    Tag { expected: u8, found: u8 },
    #[error("a number in a node is malformed: {0}")]
    Number(Leb128Error),
    #[error("a link points to something that is no version 1 CID of a raw leaf or a dag-pb node by SHA-256")]
    LinkCid,
    #[error("a node has {links} links but states {sizes} sizes")]
    SizeCount { links: usize, sizes: usize },
    #[error("the parts under a node do not add up to its stated {stated} bytes")]
    Sum { stated: u64 },
    #[error("a node or a part of it is empty")]
    Empty,
    #[error("a node is not encoded in the one form that IPFS tools write")]
    NotCanonical,
}

/// A link to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub cid: Cid,
    /// File bytes under the child.
    pub file_bytes: u64,
    /// Bytes of all blocks under the child, with itself (dag-pb `Tsize`).
    pub tree_bytes: u64,
}

impl Link {
    /// A link to a leaf of this many bytes.
    pub fn to_leaf(cid: Cid, bytes: u64) -> Self {
        Self {
            cid,
            file_bytes: bytes,
            tree_bytes: bytes,
        }
    }
}

/// The CID of a block of this codec with this SHA-256 digest.
pub fn cid_of(codec: u64, digest: &[u8; 32]) -> Cid {
    let hash = Multihash::wrap(SHA2_256, digest).expect("32 bytes fit in a 64-byte multihash");
    Cid::new_v1(codec, hash)
}

/// The CID of a leaf with these bytes.
pub fn raw_cid(bytes: &[u8]) -> Cid {
    cid_of(RAW, &Sha256::digest(bytes).into())
}

/// The CID of an interior node with these bytes.
pub fn node_cid(bytes: &[u8]) -> Cid {
    cid_of(DAG_PB, &Sha256::digest(bytes).into())
}

/// The digest of a CID as this DAG uses them (version 1, SHA-256, the given codec); `None` for any other CID.
pub fn digest_of(cid: &Cid, codec: u64) -> Option<[u8; 32]> {
    let digest = cid.hash().digest().try_into().ok()?;
    (*cid == cid_of(codec, &digest)).then_some(digest)
}

/// Reads a CID in the binary form that this DAG uses, exactly [`CID_BYTES`] long.
pub fn read_cid(bytes: &[u8]) -> Option<Cid> {
    let (head, digest) = bytes.split_first_chunk::<4>()?;
    let digest = digest.try_into().ok()?;
    match head {
        [1, 0x55, 0x12, 0x20] => Some(cid_of(RAW, digest)),
        [1, 0x70, 0x12, 0x20] => Some(cid_of(DAG_PB, digest)),
        _ => None,
    }
}

/// Encodes a node over these children: the links first, each with an empty name, then the UnixFS message.
pub fn encode_node(links: &[Link]) -> Vec<u8> {
    let room = |each: usize| links.len().saturating_mul(each).saturating_add(16);
    let (mut out, mut data) = (Vec::with_capacity(room(58)), Vec::with_capacity(room(5)));
    let file_bytes = links.iter().fold(0u64, |sum, link| sum.saturating_add(link.file_bytes));
    // UnixFS: Type (1) = File (2), filesize (3), then blocksizes (4), unpacked.
    data.extend_from_slice(&[0x08, 0x02, 0x18]);
    leb128::write_unsigned(&mut data, file_bytes);
    for link in links {
        let mut body = Vec::with_capacity(56);
        body.push(0x0a);
        field(&mut body, &link.cid.to_bytes());
        body.extend_from_slice(&[0x12, 0x00, 0x18]);
        leb128::write_unsigned(&mut body, link.tree_bytes);
        out.push(0x12);
        field(&mut out, &body);
        data.push(0x20);
        leb128::write_unsigned(&mut data, link.file_bytes);
    }
    out.push(0x0a);
    field(&mut out, &data);
    out
}

/// Decodes a node: its links, at least one. Accepts only what [`encode_node`] writes.
pub fn parse_node(bytes: &[u8]) -> Result<Vec<Link>, NodeError> {
    let size = bytes.len();
    if size > MAX_NODE_BYTES {
        return Err(NodeError::TooLarge { size });
    }
    let mut reader = Reader(bytes);
    let mut links = Vec::new();
    while reader.0.first() == Some(&0x12) {
        if links.len() == MAX_LINKS {
            return Err(NodeError::TooManyLinks);
        }
        links.push(parse_link(reader.field(0x12)?)?);
    }
    let sizes = parse_unixfs(reader.field(0x0a)?, &mut links)?;
    if sizes != links.len() {
        let links = links.len();
        return Err(NodeError::SizeCount { links, sizes });
    }
    if links.is_empty() || links.iter().any(|link| link.file_bytes == 0) {
        return Err(NodeError::Empty);
    }
    if encode_node(&links) != bytes {
        return Err(NodeError::NotCanonical);
    }
    Ok(links)
}

fn parse_link(bytes: &[u8]) -> Result<Link, NodeError> {
    let mut reader = Reader(bytes);
    let cid = read_cid(reader.field(0x0a)?).ok_or(NodeError::LinkCid)?;
    if !reader.field(0x12)?.is_empty() {
        return Err(NodeError::NotCanonical);
    }
    let tree_bytes = reader.number(0x18)?;
    Ok(Link {
        cid,
        file_bytes: 0,
        tree_bytes,
    })
}

/// Fills in the links' file bytes and returns how many sizes there were.
fn parse_unixfs(bytes: &[u8], links: &mut [Link]) -> Result<usize, NodeError> {
    let mut reader = Reader(bytes);
    if reader.number(0x08)? != 2 {
        return Err(NodeError::NotCanonical);
    }
    let stated = reader.number(0x18)?;
    let (mut sizes, mut sum) = (0usize, 0u64);
    while !reader.0.is_empty() {
        let file_bytes = reader.number(0x20)?;
        if let Some(link) = links.get_mut(sizes) {
            link.file_bytes = file_bytes;
        }
        sizes = sizes.saturating_add(1);
        sum = sum.checked_add(file_bytes).ok_or(NodeError::Sum { stated })?;
    }
    if sum != stated {
        return Err(NodeError::Sum { stated });
    }
    Ok(sizes)
}

/// Appends a length and the bytes.
fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    leb128::write_unsigned(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads protobuf fields in a known order.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn tag(&mut self, expected: u8) -> Result<(), NodeError> {
        let (&found, rest) = self.0.split_first().ok_or(NodeError::Truncated)?;
        if found != expected {
            return Err(NodeError::Tag { expected, found });
        }
        self.0 = rest;
        Ok(())
    }

    fn number(&mut self, tag: u8) -> Result<u64, NodeError> {
        self.tag(tag)?;
        let (value, used) = leb128::read_unsigned(self.0).map_err(|e| match e {
            Leb128Error::Empty | Leb128Error::Truncated => NodeError::Truncated,
            other => NodeError::Number(other),
        })?;
        self.0 = self.0.get(used..).unwrap_or_default();
        Ok(value)
    }

    fn field(&mut self, tag: u8) -> Result<&'a [u8], NodeError> {
        let length = self.number(tag)?;
        let length = usize::try_from(length).map_err(|_| NodeError::Truncated)?;
        let (field, rest) = self.0.split_at_checked(length).ok_or(NodeError::Truncated)?;
        self.0 = rest;
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn links(count: usize) -> Vec<Link> {
        let link = |i: usize| Link {
            cid: raw_cid(&i.to_le_bytes()),
            file_bytes: 1 + i as u64,
            tree_bytes: 300 + i as u64,
        };
        (0..count).map(link).collect()
    }

    #[test]
    fn a_node_reads_back_and_the_fullest_one_fits_its_bound() {
        for count in [1, 2, 1024] {
            let links = links(count);
            assert_eq!(parse_node(&encode_node(&links)), Ok(links));
        }
        let mut links = links(MAX_LINKS);
        for link in &mut links {
            link.tree_bytes = u64::MAX;
            link.file_bytes = u64::MAX / MAX_LINKS as u64;
        }
        let bytes = encode_node(&links);
        assert!(bytes.len() <= MAX_NODE_BYTES);
        assert_eq!(parse_node(&bytes), Ok(links));
    }

    #[test]
    fn a_node_over_a_bound_is_refused() {
        let size = MAX_NODE_BYTES + 1;
        assert_eq!(parse_node(&vec![0; size]), Err(NodeError::TooLarge { size }));
        assert_eq!(parse_node(&encode_node(&links(1025))), Err(NodeError::TooManyLinks));
        assert_eq!(parse_node(&encode_node(&[])), Err(NodeError::Empty));
        let mut empty_part = links(2);
        empty_part[1].file_bytes = 0;
        assert_eq!(parse_node(&encode_node(&empty_part)), Err(NodeError::Empty));
    }

    #[test]
    fn a_truncated_node_is_refused() {
        let good = encode_node(&links(2));
        for cut in 0..good.len() {
            assert_eq!(parse_node(&good[..cut]), Err(NodeError::Truncated));
        }
    }

    #[test]
    fn sizes_that_do_not_add_up_are_refused() {
        let good = encode_node(&links(2));
        let mut bad = good.clone();
        *bad.last_mut().unwrap() += 1;
        assert_eq!(parse_node(&bad), Err(NodeError::Sum { stated: 3 }));
    }

    #[test]
    fn a_link_to_another_kind_of_block_is_refused() {
        let mut bad = links(2);
        bad[0].cid = cid_of(0x71, &[0; 32]);
        assert_eq!(parse_node(&encode_node(&bad)), Err(NodeError::LinkCid));
    }

    #[test]
    fn any_change_of_one_byte_is_refused_or_read_as_another_node() {
        let original = links(3);
        let good = encode_node(&original);
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good.clone();
                bad[at] = value;
                if let Ok(read) = parse_node(&bad) {
                    assert_eq!(encode_node(&read), bad);
                }
            }
        }
    }

    #[test]
    fn trailing_bytes_and_named_links_are_not_canonical() {
        let good = encode_node(&links(1));
        let trailing = [good.as_slice(), &[0x0a, 0x00]].concat();
        assert_eq!(parse_node(&trailing), Err(NodeError::NotCanonical));
        let mut named = good.clone();
        let name = named.windows(2).position(|w| w == [0x12, 0x00]).unwrap();
        named[name + 1] = 1;
        named.insert(name + 2, b'x');
        named[1] += 1;
        assert_eq!(parse_node(&named), Err(NodeError::NotCanonical));
    }
}

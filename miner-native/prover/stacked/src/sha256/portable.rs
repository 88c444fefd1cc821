//! Any processor: the `sha2` crate, one block after the other.

use super::{
    Lane, Node, Parents, Sha256, BASE_DEGREE, DEGREE, HASHED_PARENTS, INITIAL, LABEL_BITS, NODE, WHOLE_BLOCKS,
};
use sha2::compress256;
use sha2::digest::generic_array::{typenum::U64, GenericArray};

type Block = GenericArray<u8, U64>;

/// The `sha2` crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

impl Sha256 for Portable {
    fn label<const N: usize>(self, lanes: &mut [Lane<'_>; N], layer: u32, first: u32, parents: &[Parents]) {
        for (node, parents) in (first..).zip(parents) {
            for lane in &mut *lanes {
                lane.labels[node as usize] = label(lane, layer, node, parents);
            }
        }
    }

    fn hash_pairs(self, pairs: &[[Node; 2]], parents: &mut [Node]) {
        let mut blocks = [Block::default(); 2];
        blocks[1][0] = 0x80;
        blocks[1][62] = 2; // 512 bits
        for ([left, right], parent) in pairs.iter().zip(parents) {
            blocks[0][..NODE].copy_from_slice(left);
            blocks[0][NODE..].copy_from_slice(right);
            let mut state = INITIAL;
            compress256(&mut state, &blocks);
            *parent = node(&state);
        }
    }

    fn chain(self, count: u32) -> u32 {
        let mut state = INITIAL;
        (0..count).for_each(|_| compress256(&mut state, &[Block::default()]));
        state[0]
    }
}

fn label(lane: &Lane<'_>, layer: u32, node: u32, parents: &Parents) -> Node {
    let mut blocks = [Block::default(); 2 + WHOLE_BLOCKS];
    let [prefix, rest @ ..] = &mut blocks;
    prefix[..NODE].copy_from_slice(&lane.replica_id);
    prefix[NODE..NODE + 4].copy_from_slice(&layer.to_be_bytes());
    prefix[NODE + 4..NODE + 12].copy_from_slice(&u64::from(node).to_be_bytes());
    let degree = if layer == 1 { BASE_DEGREE } else { DEGREE };
    let data = |which: usize| {
        let from = if which < BASE_DEGREE {
            &*lane.labels
        } else {
            lane.previous
        };
        &from[parents[which] as usize]
    };
    for place in 0..HASHED_PARENTS {
        let half = NODE * (place % 2);
        rest[place / 2][half..half + NODE].copy_from_slice(data(place % degree));
    }
    let last = &mut rest[WHOLE_BLOCKS];
    last[NODE] = 0x80;
    last[60..].copy_from_slice(&LABEL_BITS.to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    self::node(&state)
}

/// A digest's bytes without its two highest bits.
fn node(state: &[u32; 8]) -> Node {
    let mut node = [0; NODE];
    for (bytes, word) in node.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    node[NODE - 1] &= 0x3f;
    node
}

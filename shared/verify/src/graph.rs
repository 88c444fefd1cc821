//! The graph that replicas are encoded along: a node's parents, from public constants alone (ZigZag's successor, StackedDrg V1_1).

use crate::chacha::ChaCha8;
use blake2::Blake2b512;
use sha2::{Digest, Sha256};

/// Parents in the same layer; the first is the node before.
pub const BASE: usize = 6;
/// Parents in the layer before.
pub const EXPANDED: usize = 8;
/// Base parents beside the first.
const SAMPLED: u64 = 5;
/// [`EXPANDED`], to reckon with.
const PLACES: u64 = 8;

/// One sector size's graph.
pub struct Graph {
    nodes: u32,
    sample_seed: [u8; 28],
    keys: [u64; 3],
    half_bits: u32,
}

impl Graph {
    /// Of `nodes` nodes, a power of two from 4 to 2^31.
    pub fn new(nodes: u32, porep_id: &[u8; 32]) -> Self {
        let [seed, feistel] = [&b"Filecoin_DRSample"[..], b"Filecoin_Feistel"].map(|domain| {
            let hash: [u8; 32] = Sha256::new()
                .chain_update(domain)
                .chain_update(porep_id)
                .finalize()
                .into();
            hash
        });
        let mut sample_seed = [0; 28];
        sample_seed.iter_mut().zip(seed).for_each(|(to, from)| *to = from);
        let mut keys = [0; 3];
        for (key, bytes) in keys.iter_mut().zip(feistel.chunks_exact(8)) {
            *key = bytes.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte));
        }
        let mut half_bits = 1;
        while 1u64 << (2 * half_bits) < u64::from(nodes) * PLACES {
            half_bits += 1;
        }
        Self {
            nodes,
            sample_seed,
            keys,
            half_bits,
        }
    }

    /// Parents in the same layer: the node before, then five by bucket sampling.
    pub fn base_parents(&self, node: u32) -> [u32; BASE] {
        let Some(before) = node.checked_sub(1).filter(|before| *before > 0) else {
            return [0; BASE];
        };
        let mut seed = [0; 32];
        let place = self.sample_seed.into_iter().chain(node.to_le_bytes());
        seed.iter_mut().zip(place).for_each(|(to, from)| *to = from);
        let mut random = ChaCha8::new(&seed);
        let meta = u64::from(node) * SAMPLED;
        // The library's `(meta as f64).log2().ceil()`, which `core` has not: alike for all nodes up to 2^30 (each was tried).
        let buckets = u64::from(u64::BITS - (meta - 1).leading_zeros());
        let mut parents = [before; BASE];
        for parent in parents.iter_mut().skip(1) {
            let bucket = random.next_u64() % buckets + 1;
            let largest = meta.min(1 << bucket);
            let smallest = (largest >> 1).max(2);
            let distance = smallest + random.next_u64() % (largest - smallest + 1);
            let mapped = ((meta - distance) / SAMPLED) as u32;
            *parent = if mapped == node { before } else { mapped };
        }
        parents
    }

    /// Parents in the layer before, by a Feistel permutation of all (node, place) pairs.
    pub fn expanded_parents(&self, node: u32) -> [u32; EXPANDED] {
        let mut parents = [0; EXPANDED];
        let pairs = u64::from(self.nodes) * PLACES;
        for (parent, place) in parents.iter_mut().zip(0..) {
            let mut pair = self.permuted(u64::from(node) * PLACES + place);
            while pair >= pairs {
                pair = self.permuted(pair);
            }
            *parent = (pair / PLACES) as u32;
        }
        parents
    }

    fn permuted(&self, pair: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (pair >> self.half_bits & mask, pair & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (round(right, key) & mask));
        }
        left << self.half_bits | right
    }
}

fn round(right: u64, key: u64) -> u64 {
    let mut hasher = Blake2b512::new();
    hasher.update(right.to_be_bytes());
    hasher.update(key.to_be_bytes());
    hasher
        .finalize()
        .iter()
        .take(8)
        .fold(0, |out, byte| out << 8 | u64::from(*byte))
}

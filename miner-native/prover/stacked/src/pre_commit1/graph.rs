//! The graph that labels follow: which nodes a node's label is the hash of.
//!
//! Six parents lie in the node's own layer, near ones more often than far ones (DRSample, the "bucket graph"); eight in the
//! layer before, anywhere, by a permutation of all edges (Chung's construction). Both depend on nothing but the number of
//! nodes and the porep id: `storage-proofs-core`'s `drgraph.rs` and `crypto/feistel.rs`, `storage-proofs-porep`'s `graph.rs`,
//! in their API version 1.1 and later. [`super::parents`] keeps all of them in a file.
//!
//! The permutation is a Feistel network of three rounds, whose round function is BLAKE2b of 11 to 17 bits and a key. The
//! library hashes 48 times for each node (half of the permutation's numbers are no edges, and go round again), which is a third
//! of its first pre-commit 1; but there are no more than 3 × 2^17 different hashes, so here they are a table.

use crate::sha256::{Parents, BASE_DEGREE, DEGREE};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Parents of a node in the layer before.
const EXPANDER_DEGREE: usize = DEGREE - BASE_DEGREE;
const ROUNDS: usize = 3;

/// The parents of every node.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    nodes: u32,
    base_seed: [u8; 28],
    keys: [u64; 4],
    /// Bits in half a number of the permutation.
    half_bits: u32,
    /// For each round, what it adds for each half number.
    rounds: [Vec<u32>; ROUNDS],
}

impl Graph {
    /// The graph of a sector with so many nodes, at most 2^31.
    pub fn new(nodes: u32, porep_id: [u8; 32]) -> Self {
        let base = domain_seed(b"Filecoin_DRSample", porep_id);
        let keys = domain_seed(b"Filecoin_Feistel", porep_id);
        let keys: [u64; 4] = std::array::from_fn(|at| u64::from_le_bytes(keys.as_chunks().0[at]));
        let edges = u64::from(nodes) * EXPANDER_DEGREE as u64;
        // An even number of bits that holds every edge, at least two.
        let half_bits = edges.next_power_of_two().trailing_zeros().div_ceil(2).max(1);
        let rounds = std::array::from_fn(|round| {
            let mask = (1u64 << half_bits) - 1;
            (0..=mask).map(|half| round_function(half, keys[round], mask)).collect()
        });
        Self {
            nodes,
            base_seed: *base.first_chunk().expect("28 of 32 bytes"),
            keys,
            half_bits,
            rounds,
        }
    }

    /// Nodes of a layer.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// What the library hashes for the name of the graph's parent cache.
    pub fn cache_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update("poseidon_hasher");
        hash.update(format!(
            "stacked_graph::StackedGraph{{expansion_degree: {EXPANDER_DEGREE} base_graph: drgraph::BucketGraph{{size: {}; \
             degree: {BASE_DEGREE}; hasher: poseidon_hasher}} }}",
            self.nodes
        ));
        self.keys.iter().for_each(|key| hash.update(key.to_le_bytes()));
        hash.update(self.nodes.to_le_bytes());
        hash.finalize().into()
    }

    /// The parents of a node: six of its own layer, the node before first, then eight of the layer before.
    pub fn parents(&self, node: u32) -> Parents {
        let mut parents = [0; DEGREE];
        let (base, expander) = parents.split_at_mut(BASE_DEGREE);
        self.base_parents(node, base);
        for (edge, parent) in (u64::from(node) * EXPANDER_DEGREE as u64..).zip(expander) {
            *parent = (self.permute(edge) / EXPANDER_DEGREE as u64) as u32;
        }
        parents
    }

    /// Nodes 0 and 1 have node 0 six times.
    fn base_parents(&self, node: u32, parents: &mut [u32]) {
        if node < 2 {
            return;
        }
        let mut seed = [0; 32];
        seed[..28].copy_from_slice(&self.base_seed);
        seed[28..].copy_from_slice(&node.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(seed);
        // Each node stands for five of a graph where every node has one parent beside the one before it.
        let others = BASE_DEGREE as u64 - 1;
        let meta_node = u64::from(node) * others;
        // The library rounds a logarithm of floating point up, which is exact below 2^54.
        let buckets = u64::from(meta_node.next_power_of_two().trailing_zeros());
        parents[0] = node - 1;
        for parent in &mut parents[1..] {
            let bucket = random.next_u64() % buckets + 1;
            let farthest = meta_node.min(1 << bucket);
            let nearest = (farthest >> 1).max(2);
            let distance = nearest + random.next_u64() % (farthest - nearest + 1);
            let found = ((meta_node - distance) / others) as u32;
            *parent = if found == node { node - 1 } else { found };
        }
    }

    /// An edge's place after the permutation; what falls beyond the edges is permuted again until it does not.
    fn permute(&self, edge: u64) -> u64 {
        let edges = u64::from(self.nodes) * EXPANDER_DEGREE as u64;
        let mask = (1u64 << self.half_bits) - 1;
        let mut place = edge;
        loop {
            let (mut left, mut right) = (place >> self.half_bits, place & mask);
            for round in &self.rounds {
                (left, right) = (right, left ^ u64::from(round[right as usize]));
            }
            place = left << self.half_bits | right;
            if place < edges {
                return place;
            }
        }
    }
}

/// What a use of randomness is told apart by.
fn domain_seed(tag: &[u8], porep_id: [u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(tag).chain_update(porep_id).finalize().into()
}

/// BLAKE2b of the half number and the key, big-endian; of the digest's first eight bytes, the lowest bits.
fn round_function(half: u64, key: u64, mask: u64) -> u32 {
    let mut input = [0; 16];
    input[..8].copy_from_slice(&half.to_be_bytes());
    input[8..].copy_from_slice(&key.to_be_bytes());
    let digest = blake2b_simd::blake2b(&input);
    let first = digest.as_bytes().first_chunk().expect("a digest has 64 bytes");
    (u64::from_be_bytes(*first) & mask) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use filecoin_hashers::poseidon::PoseidonHasher;
    use storage_proofs_core::api_version::ApiVersion;
    use storage_proofs_core::drgraph::Graph as _;
    use storage_proofs_porep::stacked::{StackedBucketGraph, EXP_DEGREE};

    fn porep_id(proof: u8) -> [u8; 32] {
        let mut id = [0; 32];
        id[0] = proof;
        id
    }

    fn check(nodes: u32, id: [u8; 32], sample: impl Iterator<Item = u32>) {
        let own = Graph::new(nodes, id);
        let library = StackedBucketGraph::<PoseidonHasher>::new_stacked(
            nodes as usize,
            BASE_DEGREE,
            EXP_DEGREE,
            id,
            ApiVersion::V1_1_0,
        )
        .unwrap();
        for node in sample {
            let mut expected = [0; DEGREE];
            library.parents(node as usize, &mut expected).unwrap();
            assert_eq!(own.parents(node), expected, "node {node} of {nodes}");
        }
    }

    #[test]
    fn every_node_of_small_sectors_has_the_librarys_parents() {
        for nodes in [2, 3, 8, 64, 100, 512, 4096] {
            check(nodes, porep_id(5), 0..nodes);
            check(nodes, [0xa5; 32], 0..nodes);
        }
    }

    #[test]
    fn large_sectors_have_the_librarys_parents() {
        for (size, proof) in [(8u64 << 20, 6), (512 << 20, 7), (32 << 30, 8), (64 << 30, 9)] {
            let nodes = (size / 32) as u32;
            // Around powers of two, where the number of buckets changes, and here and there.
            let powers = (1..32)
                .flat_map(|log| [1u64 << log, (1u64 << log) / 5, (1u64 << log) / 5 + 1])
                .flat_map(|near| near.saturating_sub(2)..near + 3)
                .filter(|node| *node < u64::from(nodes))
                .map(|node| node as u32);
            let others = (0..2000u64).map(|at| (at * 0x9e37_79b9 % u64::from(nodes)) as u32);
            check(nodes, porep_id(proof), powers.chain(others).chain([nodes - 1]));
        }
    }
}

//! Both kernels against the `sha2` crate's plain hash.

use super::*;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::Digest;

/// A label by its definition: replica id, layer, node, zeros, then 37 parents.
fn expected(lane: &Lane<'_>, layer: u32, node: u32, parents: &Parents) -> Node {
    let mut hash = sha2::Sha256::new();
    hash.update(lane.replica_id);
    hash.update(layer.to_be_bytes());
    hash.update(u64::from(node).to_be_bytes());
    hash.update([0; 20]);
    for place in 0..HASHED_PARENTS {
        let which = place % if layer == 1 { 6 } else { 14 };
        let from = if which < 6 { &*lane.labels } else { lane.previous };
        hash.update(from[parents[which] as usize]);
    }
    let mut label: Node = hash.finalize().into();
    label[31] &= 0x3f;
    label
}

fn random_nodes(rng: &mut ChaCha8Rng, count: usize) -> Vec<Node> {
    let mut nodes = vec![[0; NODE]; count];
    nodes.iter_mut().for_each(|node| rng.fill_bytes(node));
    nodes
}

fn check_labels<const N: usize>(kernel: Sha256Kernel, layer: u32, seed: u64) {
    const NODES: usize = 200;
    const FIRST: usize = 100;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut labels: Vec<_> = (0..N).map(|_| random_nodes(&mut rng, NODES)).collect();
    let previous: Vec<_> = (0..N)
        .map(|_| random_nodes(&mut rng, if layer == 1 { 0 } else { NODES }))
        .collect();
    let ids = random_nodes(&mut rng, N);
    let parents: Vec<Parents> = (FIRST..NODES)
        .map(|node| {
            std::array::from_fn(|which| match which {
                0 => node as u32 - 1,
                1..BASE_DEGREE => rng.next_u32() % node as u32,
                _ => rng.next_u32() % NODES as u32,
            })
        })
        .collect();
    let mut labels = labels.iter_mut();
    let mut lanes: [Lane<'_>; N] = std::array::from_fn(|lane| Lane {
        replica_id: ids[lane],
        labels: labels.next().unwrap(),
        previous: &previous[lane],
    });
    kernel.label(&mut lanes, layer, FIRST as u32, &parents);
    for lane in &lanes {
        for (node, parents) in (FIRST as u32..).zip(&parents) {
            assert_eq!(
                lane.labels[node as usize],
                expected(lane, layer, node, parents),
                "{kernel:?}, node {node}"
            );
        }
    }
}

#[test]
fn labels_are_the_hashes_of_their_definition_in_any_number_of_lanes() {
    for kernel in [Sha256Kernel::PORTABLE, Sha256Kernel::detected()] {
        for layer in [1, 2, 11, u32::MAX] {
            check_labels::<1>(kernel, layer, 1);
            check_labels::<2>(kernel, layer, 2);
            check_labels::<4>(kernel, layer, 3);
        }
    }
}

#[test]
fn a_node_of_the_data_tree_is_the_hash_of_its_children_with_two_bits_cleared() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for count in [0, 1, 2, 3, 4, 5, 7, 8, 31] {
        let nodes = random_nodes(&mut rng, 2 * count);
        let (pairs, _) = nodes.as_chunks();
        for kernel in [Sha256Kernel::PORTABLE, Sha256Kernel::detected()] {
            let mut parents = vec![[0; NODE]; count];
            kernel.hash_pairs(pairs, &mut parents);
            for (pair, parent) in pairs.iter().zip(parents) {
                let mut expected: Node = sha2::Sha256::digest(pair.as_flattened()).into();
                expected[31] &= 0x3f;
                assert_eq!(parent, expected, "{kernel:?}");
            }
        }
    }
}

#[test]
fn the_measured_chain_is_the_same_work_in_both_kernels() {
    assert_eq!(Sha256Kernel::PORTABLE.chain(3), Sha256Kernel::detected().chain(3));
}

#[test]
fn the_variable_masks_the_instructions() {
    assert_eq!(Sha256Kernel::choose(Some("portable")), Sha256Kernel::PORTABLE);
    assert_eq!(Sha256Kernel::choose(Some("other")), Sha256Kernel::detected());
    assert_eq!(Sha256Kernel::choose(None), Sha256Kernel::detected());
}

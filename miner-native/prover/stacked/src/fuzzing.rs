//! What the fuzz targets call.

use crate::sha256::{Lane, Node, Parents, Sha256, Sha256Kernel, BASE_DEGREE, DEGREE, HASHED_PARENTS, NODE};
use sha2::Digest;

/// Nodes of a layer at most: more only repeat.
const MOST: usize = 64;

/// Takes the input as a layer's number, a replica id, a graph and the layer before (byte strings of any value), and panics
/// unless all kernels label it, with one lane and with two, as the `sha2` crate's plain hash does.
pub fn labels(input: &[u8]) {
    let Some((head, bytes)) = input.split_first_chunk::<37>() else {
        return;
    };
    let (nodes, layer, id) = (usize::from(head[0]) % MOST + 2, &head[1..5], &head[5..]);
    let layer = u32::from_be_bytes(*layer.first_chunk().expect("four bytes of five")).max(1);
    let replica_id: Node = *id.first_chunk().expect("32 bytes of 37");
    // Repeated, so that short inputs fill a layer.
    let mut bytes = bytes.iter().copied().chain([1]).cycle();
    let mut byte = || bytes.next().expect("a cycle of at least one byte");
    let parents: Vec<Parents> = (1..nodes)
        .map(|node| {
            std::array::from_fn(|which| {
                let of = if which < BASE_DEGREE { node } else { nodes };
                (usize::from(byte()) % of) as u32
            })
        })
        .collect();
    let previous: Vec<Node> = (0..if layer == 1 { 0 } else { nodes })
        .map(|_| std::array::from_fn(|_| byte()))
        .collect();
    let mut expected = vec![replica_id; nodes];
    for (node, parents) in (1..).zip(&parents) {
        expected[node] = label(&replica_id, layer, node, parents, &expected, &previous);
    }
    for kernel in [Sha256Kernel::PORTABLE, Sha256Kernel::detected()] {
        check::<1>(kernel, replica_id, layer, &parents, &previous, &expected);
        check::<2>(kernel, replica_id, layer, &parents, &previous, &expected);
    }
}

fn check<const N: usize>(
    kernel: Sha256Kernel,
    replica_id: Node,
    layer: u32,
    parents: &[Parents],
    previous: &[Node],
    expected: &[Node],
) {
    let mut layers = vec![vec![replica_id; expected.len()]; N];
    let mut each = layers.iter_mut();
    let mut lanes: [Lane<'_>; N] = std::array::from_fn(|_| Lane {
        replica_id,
        labels: each.next().expect("one layer for each of N lanes"),
        previous,
    });
    kernel.label(&mut lanes, layer, 1, parents);
    assert!(
        layers.iter().all(|labels| labels == expected),
        "{kernel:?} with {N} lanes"
    );
}

fn label(id: &Node, layer: u32, node: usize, parents: &Parents, labels: &[Node], previous: &[Node]) -> Node {
    let mut hash = sha2::Sha256::new();
    hash.update(id);
    hash.update(layer.to_be_bytes());
    hash.update((node as u64).to_be_bytes());
    hash.update([0; 20]);
    for place in 0..HASHED_PARENTS {
        let which = place % if layer == 1 { BASE_DEGREE } else { DEGREE };
        let from = if which < BASE_DEGREE { labels } else { previous };
        hash.update(from[parents[which] as usize]);
    }
    let mut label: Node = hash.finalize().into();
    label[NODE - 1] &= 0x3f;
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_input_is_labelled_alike_or_ignored() {
        let mut state = 1u64;
        for length in 0..300 {
            let input: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            labels(&input);
        }
    }
}

//! What the fuzz targets call.

use crate::{Arity, Error, Kernel, Poseidon, NODE};
use blstrs::Scalar;
use neptune::poseidon::{Arity as NeptuneArity, PoseidonConstants};
use std::sync::OnceLock;
use typenum::{U11, U2, U8};

/// Hashes of at most this many go through both kernels: two groups and a remainder.
const MOST: usize = 35;

/// Takes the input as an arity and elements (byte strings of any value), and panics unless both kernels agree with neptune,
/// or all agree that an element is not below r.
pub fn against_neptune(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    match first % 3 {
        0 => {
            static CONSTANTS: OnceLock<PoseidonConstants<Scalar, U2>> = OnceLock::new();
            compare(Arity::Two, CONSTANTS.get_or_init(PoseidonConstants::new), bytes);
        }
        1 => {
            static CONSTANTS: OnceLock<PoseidonConstants<Scalar, U8>> = OnceLock::new();
            compare(Arity::Eight, CONSTANTS.get_or_init(PoseidonConstants::new), bytes);
        }
        _ => {
            static CONSTANTS: OnceLock<PoseidonConstants<Scalar, U11>> = OnceLock::new();
            compare(Arity::Eleven, CONSTANTS.get_or_init(PoseidonConstants::new), bytes);
        }
    }
}

/// The input is repeated, shifted by a byte each time, until there are `MOST` hashes at most, so that short inputs fill lanes.
fn compare<A: NeptuneArity<Scalar>>(arity: Arity, constants: &PoseidonConstants<Scalar, A>, bytes: &[u8]) {
    let Some((&count, bytes)) = bytes.split_first() else {
        return;
    };
    if bytes.is_empty() {
        return;
    }
    let (count, n) = (usize::from(count) % (MOST + 1), arity.elements());
    let nodes: Vec<u8> = (0..count * n * NODE)
        .map(|i| bytes[(i + i / bytes.len()) % bytes.len()])
        .collect();
    let expected: Option<Vec<[u8; NODE]>> = nodes
        .chunks(n * NODE)
        .map(|nodes| neptune_hash(constants, nodes))
        .collect();
    let columns: Vec<Vec<u8>> = (0..n)
        .map(|j| {
            (0..count)
                .flat_map(|i| nodes[NODE * (i * n + j)..][..NODE].iter().copied())
                .collect()
        })
        .collect();
    let columns: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
    for kernel in [Kernel::Ifma, Kernel::Portable] {
        let mut hashes = [vec![0; count * NODE], vec![0; count * NODE]];
        let results = [
            Poseidon::of(arity).hash_nodes(kernel, &nodes, &mut hashes[0]),
            Poseidon::of(arity).hash_columns(kernel, &columns, &mut hashes[1]),
        ];
        for (hashes, result) in hashes.iter().zip(results) {
            match (&expected, result) {
                (Some(expected), Ok(())) => assert_eq!(*hashes, expected.concat(), "{kernel:?}"),
                (None, Err(Error::NotInField { .. })) => {}
                (expected, result) => panic!("{kernel:?}: in the field: {}, result: {result:?}", expected.is_some()),
            }
        }
    }
}

fn neptune_hash<A: NeptuneArity<Scalar>>(constants: &PoseidonConstants<Scalar, A>, nodes: &[u8]) -> Option<[u8; NODE]> {
    let elements = nodes
        .as_chunks::<NODE>()
        .0
        .iter()
        .map(|bytes| Option::<Scalar>::from(Scalar::from_bytes_le(bytes)));
    let elements: Vec<Scalar> = elements.collect::<Option<_>>()?;
    Some(
        neptune::Poseidon::new_with_preimage(&elements, constants)
            .hash()
            .to_bytes_le(),
    )
}

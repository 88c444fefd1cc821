//! Both kernels against neptune, hash by hash.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

use blstrs::Scalar;
use ff::Field;
use neptune::poseidon::{Arity as NeptuneArity, PoseidonConstants};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use sealdrop_poseidon::{Arity, Error, Kernel, Poseidon, NODE};
use typenum::{U11, U2, U8};

const KERNELS: [Kernel; 2] = [Kernel::Ifma, Kernel::Portable];

/// Largest values of words and limbs, and of the numbers that the lanes take, on both sides of each border.
fn edges() -> Vec<Scalar> {
    let power = |k: u64| Scalar::from(2u64).pow_vartime([k]);
    let minus_one = -Scalar::ONE;
    // The smallest number with r's top word: below it the lanes take all, from it on none.
    let mut top = minus_one.to_bytes_le();
    top[..24].fill(0);
    let top = Scalar::from_bytes_le(&top).unwrap();
    let mut edges = vec![
        Scalar::ZERO,
        Scalar::ONE,
        minus_one,
        minus_one.double(),
        top,
        top + Scalar::ONE,
        top - Scalar::ONE,
    ];
    for k in [52, 64, 104, 128, 156, 192, 208, 254] {
        edges.extend([power(k), power(k) - Scalar::ONE, -power(k)]);
    }
    edges
}

fn random(rng: &mut ChaCha8Rng) -> Scalar {
    Scalar::random(&mut *rng)
}

fn neptune<A: NeptuneArity<Scalar>>(constants: &PoseidonConstants<Scalar, A>, elements: &[Scalar]) -> Vec<u8> {
    let hash = |elements| {
        neptune::Poseidon::new_with_preimage(elements, constants)
            .hash()
            .to_bytes_le()
    };
    elements.chunks(constants.arity()).flat_map(hash).collect()
}

fn bytes(elements: &[Scalar]) -> Vec<u8> {
    elements.iter().flat_map(Scalar::to_bytes_le).collect()
}

fn hash_nodes(kernel: Kernel, arity: Arity, elements: &[Scalar]) -> Vec<u8> {
    let mut hashes = vec![0xff; elements.len() / arity.elements() * NODE];
    Poseidon::of(arity)
        .hash_nodes(kernel, &bytes(elements), &mut hashes)
        .unwrap();
    hashes
}

fn hash_columns(kernel: Kernel, arity: Arity, elements: &[Scalar]) -> Vec<u8> {
    let n = arity.elements();
    let layers: Vec<Vec<u8>> = (0..n)
        .map(|j| bytes(&elements.iter().skip(j).step_by(n).copied().collect::<Vec<_>>()))
        .collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let mut hashes = vec![0xff; elements.len() / n * NODE];
    Poseidon::of(arity).hash_columns(kernel, &layers, &mut hashes).unwrap();
    hashes
}

/// Runs `$check::<U>(arity)` for every arity.
macro_rules! every_arity {
    ($check:ident) => {
        $check::<U2>(Arity::Two);
        $check::<U8>(Arity::Eight);
        $check::<U11>(Arity::Eleven);
    };
}

#[test]
fn random_elements_hash_as_in_neptune() {
    fn check<A: NeptuneArity<Scalar>>(arity: Arity) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let elements: Vec<Scalar> = (0..800 * arity.elements()).map(|_| random(&mut rng)).collect();
        let expected = neptune(&PoseidonConstants::<Scalar, A>::new(), &elements);
        for kernel in KERNELS {
            assert!(hash_nodes(kernel, arity, &elements) == expected, "{arity:?} {kernel:?}");
            assert!(
                hash_columns(kernel, arity, &elements) == expected,
                "{arity:?} {kernel:?}"
            );
        }
    }
    every_arity!(check);
}

#[test]
fn edge_values_alone_and_among_others_hash_as_in_neptune() {
    fn check<A: NeptuneArity<Scalar>>(arity: Arity) {
        let (n, edges, mut rng) = (arity.elements(), edges(), ChaCha8Rng::seed_from_u64(2));
        let mut elements: Vec<Scalar> = edges.iter().flat_map(|edge| vec![*edge; n]).collect();
        for round in 0..480 * n {
            let edge = edges[rng.next_u32() as usize % edges.len()];
            elements.push(if round % 3 == 0 || round > 240 * n {
                edge
            } else {
                random(&mut rng)
            });
        }
        let expected = neptune(&PoseidonConstants::<Scalar, A>::new(), &elements);
        for kernel in KERNELS {
            assert!(hash_nodes(kernel, arity, &elements) == expected, "{arity:?} {kernel:?}");
        }
    }
    every_arity!(check);
}

/// What the lanes refuse is hashed all the same, wherever it stands.
#[test]
fn an_element_with_the_modulus_top_word_is_hashed_in_every_lane() {
    fn check<A: NeptuneArity<Scalar>>(arity: Arity) {
        let (n, mut rng) = (arity.elements(), ChaCha8Rng::seed_from_u64(3));
        let small: Vec<Scalar> = (0..35 * n).map(|_| Scalar::from(rng.next_u64())).collect();
        let constants = PoseidonConstants::<Scalar, A>::new();
        let plain = neptune(&constants, &small);
        for hash in 0..35 {
            let mut elements = small.clone();
            elements[hash * n + hash % n] = -Scalar::ONE;
            let mut expected = plain.clone();
            expected[NODE * hash..][..NODE].copy_from_slice(&neptune(&constants, &elements[hash * n..(hash + 1) * n]));
            assert!(
                hash_nodes(Kernel::Ifma, arity, &elements) == expected,
                "{arity:?}, hash {hash}"
            );
        }
    }
    every_arity!(check);
}

#[test]
fn any_number_of_hashes_is_done_whole() {
    fn check<A: NeptuneArity<Scalar>>(arity: Arity) {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let elements: Vec<Scalar> = (0..50 * arity.elements()).map(|_| random(&mut rng)).collect();
        let expected = neptune(&PoseidonConstants::<Scalar, A>::new(), &elements);
        for (kernel, count) in KERNELS
            .into_iter()
            .flat_map(|kernel| (0..50).map(move |count| (kernel, count)))
        {
            let elements = &elements[..count * arity.elements()];
            assert!(
                hash_nodes(kernel, arity, elements) == expected[..NODE * count],
                "{arity:?} {kernel:?} {count}"
            );
            assert!(
                hash_columns(kernel, arity, elements) == expected[..NODE * count],
                "{arity:?} {kernel:?} {count}"
            );
        }
    }
    every_arity!(check);
}

#[test]
fn an_element_that_is_not_below_the_modulus_is_named() {
    let modulus = {
        let mut bytes = (-Scalar::ONE).to_bytes_le();
        bytes[0] += 1; // r - 1 ends in a zero byte
        bytes
    };
    for (kernel, count) in KERNELS
        .into_iter()
        .flat_map(|kernel| [1, 3, 7, 16, 40].map(|count| (kernel, count)))
    {
        for value in [modulus, [0xff; NODE]] {
            for hash in 0..count {
                let mut nodes = vec![7; count * 8 * NODE];
                nodes.chunks_mut(NODE).for_each(|node| node[NODE - 1] = 0);
                nodes[NODE * (8 * hash + 5)..][..NODE].copy_from_slice(&value);
                let result = Poseidon::of(Arity::Eight).hash_nodes(kernel, &nodes, &mut vec![0; count * NODE]);
                assert_eq!(
                    result,
                    Err(Error::NotInField { hash, element: 5 }),
                    "{kernel:?} {count}"
                );
            }
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let poseidon = Poseidon::of(Arity::Eight);
    for kernel in KERNELS {
        for (elements, hashes) in [
            (8 * NODE, 2 * NODE),
            (8 * NODE - 1, NODE),
            (8 * 31, 31),
            (0, NODE),
            (8 * NODE, 0),
        ] {
            let result = poseidon.hash_nodes(kernel, &vec![0; elements], &mut vec![0; hashes]);
            assert_eq!(
                result,
                Err(Error::Lengths {
                    elements,
                    arity: 8,
                    hashes
                })
            );
        }
        let layer = [0; 2 * NODE];
        let mut layers = [&layer[..]; 8];
        assert_eq!(poseidon.hash_columns(kernel, &layers, &mut [0; 2 * NODE]), Ok(()));
        assert!(poseidon.hash_columns(kernel, &layers[..7], &mut [0; 2 * NODE]).is_err());
        layers[3] = &layer[..NODE];
        assert!(poseidon.hash_columns(kernel, &layers, &mut [0; 2 * NODE]).is_err());
    }
}

#[cfg(feature = "fuzzing")]
#[test]
fn the_fuzz_function_accepts_inputs_of_all_kinds() {
    use sealdrop_poseidon::fuzzing::against_neptune;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for length in 0..300 {
        let mut input = vec![0; length];
        rng.fill_bytes(&mut input);
        // Half of them are short numbers, so that not all are refused.
        if length % 2 == 0 {
            input.iter_mut().skip(2).for_each(|byte| *byte &= 0x3f);
        }
        against_neptune(&input);
    }
}

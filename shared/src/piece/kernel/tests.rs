//! Every kernel against the definition: the portable one, which [`crate::piece::commp`] holds against a bitwise one.

use super::*;
use crate::piece::unixfs::test_data;
use alloc::vec;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

#[test]
fn every_kernel_gives_the_roots_of_the_portable_one_at_every_height() {
    for kernel in available() {
        for height in 0..=MAX_RUN {
            let bytes = test_data(kernel.lanes * (QUAD << height));
            let mut found = vec![[0; 32]; kernel.lanes];
            kernel.roots(&bytes, height, &mut found);
            let mut expected = found.clone();
            for (run, out) in bytes.chunks(QUAD << height).zip(expected.chunks_mut(1)) {
                PORTABLE.roots(run, height, out);
            }
            assert_eq!(found, expected, "{} at height {height}", kernel.name);
        }
    }
}

#[test]
fn every_kernel_sees_every_bit_of_a_quad() {
    for kernel in available() {
        for bit in 0..QUAD * 8 {
            let mut bytes = vec![0; kernel.lanes * QUAD];
            let lane = bit % kernel.lanes;
            bytes[lane * QUAD + bit / 8] = 1 << (bit % 8);
            let mut found = vec![[0; 32]; kernel.lanes];
            kernel.roots(&bytes, 0, &mut found);
            let mut expected = [[0; 32]];
            PORTABLE.roots(&bytes[lane * QUAD..(lane + 1) * QUAD], 0, &mut expected);
            assert_eq!(found[lane], expected[0], "{} bit {bit}", kernel.name);
        }
    }
}

#[test]
fn every_kernel_compresses_as_sha256_does() {
    let bytes = test_data(MAX_LANES * 1024);
    for kernel in available() {
        let mut states = vec![constants::IV; kernel.leaves];
        let messages: Vec<&[u8]> = bytes.chunks(960).take(kernel.leaves).collect();
        let blocks: Vec<&[[u8; 64]]> = messages.iter().map(|message| message.as_chunks().0).collect();
        kernel.compress(&mut states, &blocks);
        // The padding of a message of 960 bytes.
        let mut end = [0u8; 64];
        end[0] = 0x80;
        end[62..].copy_from_slice(&(960u16 * 8).to_be_bytes());
        kernel.compress(&mut states, &vec![core::slice::from_ref(&end); kernel.leaves]);
        for (state, message) in states.iter().zip(&messages) {
            let found: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(found, Sha256::digest(message).to_vec(), "{}", kernel.name);
        }
    }
}

#[test]
fn the_portable_kernel_is_always_the_last_resort() {
    assert_eq!(available().last().map(|kernel| kernel.name), Some("portable"));
    assert!(available().all(|kernel| kernel.lanes <= MAX_LANES && kernel.leaves <= MAX_LANES));
}

#[test]
fn the_kernels_keep_their_order_for_the_life_of_the_process() {
    let names = || available().map(|kernel| kernel.name).collect::<Vec<_>>();
    let first = names();
    for _ in 0..100 {
        assert_eq!(names(), first);
        assert_eq!(detected().name, first[0]);
    }
}

#[test]
fn a_kernel_for_leaves_has_less_than_half_of_its_lanes_idle() {
    for count in 0..=2 * MAX_LANES {
        let kernel = for_leaves(count);
        assert!(
            kernel.leaves < 2 * count || kernel.leaves == 1,
            "{count}: {}",
            kernel.name
        );
    }
    assert_eq!(for_leaves(1).name, "portable");
}

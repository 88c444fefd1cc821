//! CommP of the product against `filecoin-proofs`' own, which seals. Seconds.

use filecoin_proofs::{generate_piece_commitment, UnpaddedBytesAmount};
use shared::piece::kernel::available;
use shared::piece::{CommPHasher, PieceDigest};
use std::collections::BTreeSet;

/// The largest file here.
const MOST: usize = (1 << 21) + 1;

/// Bytes without a pattern, always the same.
fn random(count: usize) -> Vec<u8> {
    let mut seed = 0x5EA1_D409_u64;
    let next = |_| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 56) as u8
    };
    (0..count).map(next).collect()
}

/// What `filecoin-proofs` says of a file: it takes whole padded sizes, which zeros fill.
fn expected(bytes: &[u8]) -> [u8; 32] {
    let size = bytes.len().div_ceil(127).next_power_of_two() * 127;
    let mut filled = bytes.to_vec();
    filled.resize(size, 0);
    let piece = generate_piece_commitment(filled.as_slice(), UnpaddedBytesAmount(size as u64));
    piece.expect("a whole padded size").commitment
}

fn check(bytes: &[u8]) {
    let expected = expected(bytes);
    for kernel in available() {
        let mut hasher = CommPHasher::with_kernel(kernel);
        hasher.push(bytes).expect("far below the largest piece");
        let found = hasher.finish().expect("not empty");
        assert_eq!(found.comm_p.0, expected, "{} bytes, {}", bytes.len(), kernel.name);
    }
    // The same in one pass with the data root, by parts whose borders fit nothing.
    let mut digest = PieceDigest::new();
    for part in bytes.chunks(77_777) {
        digest.push(part).expect("far below the largest piece");
    }
    assert_eq!(
        digest.finish().expect("not empty").comm_p.0,
        expected,
        "{} bytes",
        bytes.len()
    );
}

#[test]
fn every_length_modulo_127_has_the_commitment_that_is_sealed() {
    let bytes = random(127 * 300);
    let mut quads = 0;
    for rest in 0..127 {
        // From one quad to some hundred, in no order.
        quads = (quads * 7 + 3) % 256;
        check(&bytes[..quads * 127 + rest]);
    }
}

#[test]
fn lengths_around_every_power_of_two_have_the_commitment_that_is_sealed() {
    let bytes = random(MOST);
    let mut lengths = BTreeSet::new();
    for power in 0..=21u32 {
        let unpadded = (1usize << power) / 128 * 127;
        lengths.extend([(1 << power) - 1, 1 << power, (1 << power) + 1]);
        lengths.extend([unpadded.saturating_sub(1), unpadded, unpadded + 1]);
    }
    for length in lengths.into_iter().filter(|length| (1..=MOST).contains(length)) {
        check(&bytes[..length]);
    }
}

#[test]
fn random_lengths_have_the_commitment_that_is_sealed() {
    let bytes = random(MOST);
    let mut place = 0;
    for _ in 0..20 {
        place = (place * 31 + 1_000_003) % MOST;
        check(&bytes[..place.max(1)]);
    }
}

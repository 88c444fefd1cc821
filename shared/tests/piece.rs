//! CommP against known answers, through the public interface, natively and in a WebAssembly engine (`tests/vectors`):
//! whatever kernel runs there.

use shared::piece::kernel::{available, portable};
use shared::piece::{merge, zero_commitment, CommPHasher, PieceCid, PieceCommitment, SubtreeRoot};

#[allow(clippy::unwrap_used)] // Compiled into a library as well.
fn comm_p(bytes: &[u8]) -> PieceCommitment {
    let mut hasher = CommPHasher::new();
    hasher.push(bytes).unwrap();
    hasher.finish().unwrap()
}

fn data(size: usize) -> Vec<u8> {
    (0..size)
        .map(|i| (i * 131 + (i >> 8) * 7 + (i >> 16) * 13) as u8)
        .collect()
}

#[test]
fn zeros_of_every_padded_size_from_128_bytes_to_32_gib_have_the_known_commitment() {
    // go-commp-utils' `zerocomm`: 128 bytes, 32 GiB and, one beyond, 64 GiB.
    let known = [
        (7, "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"),
        (35, "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"),
        (36, "baga6ea4seaqomqafu276g53zko4k23xzh4h4uecjwicbmvhsuqi7o4bhthhm4aq"),
    ];
    // What is hashed for real; larger pieces are put together from it.
    const HASHED: u32 = 22;
    let mut part = None;
    for power in 7..=36 {
        let size = (1u64 << power) / 128 * 127;
        let piece = if power <= HASHED {
            let piece = comm_p(&vec![0; size as usize]);
            part = Some(piece.subtree());
            piece
        } else {
            let half: SubtreeRoot = part.unwrap();
            let piece = merge(size, &[half, half]).unwrap();
            part = Some(piece.subtree());
            piece
        };
        assert_eq!(piece.padded.bytes(), 1 << power);
        let expected = zero_commitment(power as u8 - 5).unwrap();
        assert_eq!(piece.comm_p, expected, "2^{power}");
        if let Some((_, cid)) = known.iter().find(|(known, _)| *known == power) {
            assert_eq!(PieceCid(piece.comm_p).to_string(), *cid);
        }
    }
}

#[test]
fn every_kernel_and_every_division_into_pushes_gives_the_roots_of_the_reference_package() {
    // npm fr32-sha2-256-trunc254-padded-binary-tree-multihash 3.3.0.
    let known = [
        (65, "16cd96961b9fe88351b23b1c917d60fd17d104628873dcb32b8c6955bf625234"),
        (1017, "57a3b14200f0ff8b7e4d13c0d61bdbbdc1c2d16f768c9bea1cd344e791770135"),
        (
            1 << 20,
            "e1f85558f71d0fb7f3edc5dc0cda97f4be4337a955f56257e5c55bc13926a30a",
        ),
        (
            1_300_000,
            "ac7eb0a243c52f6c622f4de270f53699d75ca973ee95313bbc8d190be626571d",
        ),
    ];
    for (size, root) in known {
        let bytes = data(size);
        for kernel in available() {
            for step in [70_001, 127 * 1024, size] {
                let mut hasher = CommPHasher::with_kernel(kernel);
                bytes.chunks(step).for_each(|part| hasher.push(part).unwrap());
                let found = hasher.finish().unwrap().comm_p;
                assert_eq!(found.to_string(), root, "{size} bytes by {step}, {}", kernel.name);
            }
        }
    }
}

#[test]
fn every_kernel_hashes_random_lengths_as_the_portable_one_does() {
    let bytes = data(3_000_000);
    let mut seed = 7u64;
    for _ in 0..12 {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        let size = (seed >> 33) as usize % bytes.len() + 1;
        let with = |kernel| {
            let mut hasher = CommPHasher::with_kernel(kernel);
            hasher.push(&bytes[..size]).unwrap();
            hasher.finish()
        };
        let expected = with(portable());
        for kernel in available() {
            assert_eq!(with(kernel), expected, "{size} bytes, {}", kernel.name);
        }
    }
}

#[test]
fn a_state_saved_at_any_place_goes_on_to_the_same_commitment() {
    let bytes = data(700_000);
    let expected = comm_p(&bytes);
    for at in [1, 126, 127, 4064, 65_023, 65_024, 127 * 1000, 300_001, 699_999] {
        let mut hasher = CommPHasher::new();
        hasher.push(&bytes[..at]).unwrap();
        let mut later = CommPHasher::restore(&hasher.snapshot()).unwrap();
        bytes[at..].chunks(50_000).for_each(|part| later.push(part).unwrap());
        assert_eq!(later.finish(), Ok(expected), "at {at}");
    }
}

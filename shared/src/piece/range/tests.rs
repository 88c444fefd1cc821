use super::*;
use crate::piece::unixfs::test_data;
use alloc::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A piece with its outline.
struct Piece {
    bytes: Vec<u8>,
    cid: SizedPieceCid,
    outline: Outline,
}

fn piece(bytes: Vec<u8>, slice: u64) -> Piece {
    let slice = PaddedSize::new(slice).expect("128 times a power of two");
    let mut hasher = CommPHasher::with_outline(slice);
    for part in bytes.chunks(70_001) {
        hasher.push(part).expect("far below the largest piece");
    }
    let (piece, outline) = hasher.finish_with_outline().expect("there are bytes");
    Piece {
        bytes,
        cid: SizedPieceCid::of(&piece).expect("a size"),
        outline: outline.expect("the hasher has one"),
    }
}

impl Piece {
    fn around(&self, bytes: Range<u64>) -> QuadRange {
        QuadRange::around(&bytes, self.outline.size).expect("the piece has them")
    }

    fn part(&self, range: &Range<u64>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    fn prove(&self, range: &QuadRange) -> RangeProof {
        let [left, right] = self.outline.edges(range);
        let proof = self.outline.prove(range, [self.part(&left), self.part(&right)]);
        proof.expect("it can be proven")
    }

    fn check(&self, range: &QuadRange, proof: &RangeProof, bytes: &[u8]) -> Result<(), RangeError> {
        let mut check = RangeCheck::begin(&self.cid, *range, proof)?;
        bytes.chunks(999).try_for_each(|part| check.push(part))?;
        check.finish()
    }
}

/// Bytes of some range, by two places.
fn between(places: &[Index; 2], size: usize) -> Range<u64> {
    let [a, b] = places.map(|place| place.index(size) as u64);
    a.min(b)..a.max(b) + 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_range_of_any_piece_verifies_and_no_flipped_bit_of_it_does(
        size in 1..40_000usize,
        slice in prop_oneof![Just(128u64), Just(1024), Just(8192), Just(1 << 20)],
        places: [Index; 2],
        flipped: Index,
        bit in 0..8u8,
    ) {
        let piece = piece(test_data(size), slice);
        let range = piece.around(between(&places, size));
        let (bytes, proof) = (piece.part(&range.bytes()), piece.prove(&range));
        prop_assert_eq!(piece.check(&range, &proof, bytes), Ok(()));
        let wire = proof.to_bytes();
        prop_assert_eq!(RangeProof::from_bytes(&wire), Ok(proof.clone()));
        let mut both = [wire.as_slice(), bytes].concat();
        both[flipped.index(wire.len() + bytes.len())] ^= 1 << bit;
        let (wire, bytes) = both.split_at(wire.len());
        let proof = RangeProof::from_bytes(wire).expect("its length is right");
        let checked = piece.check(&range, &proof, bytes);
        prop_assert!(matches!(checked, Err(RangeError::WrongRoot { .. })), "{:?}", checked);
    }

    #[test]
    fn the_proof_or_the_bytes_of_another_range_are_refused(
        size in 200..40_000usize,
        places: [Index; 2],
        others: [Index; 2],
    ) {
        let piece = piece(test_data(size), 1024);
        let [range, other] = [&places, &others].map(|places| piece.around(between(places, size)));
        prop_assume!(range != other);
        let (proof, of_other) = (piece.prove(&range), piece.prove(&other));
        let bytes = piece.part(&range.bytes());
        prop_assert!(piece.check(&range, &of_other, bytes).is_err());
        prop_assert!(piece.check(&other, &proof, bytes).is_err());
        prop_assert!(piece.check(&range, &proof, piece.part(&other.bytes())).is_err());
    }

    #[test]
    fn no_bytes_from_outside_are_taken_for_a_proof_of_anything(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        let piece = piece(test_data(5000), 1024);
        let range = piece.around(100..200);
        if let Ok(proof) = RangeProof::from_bytes(&wire) {
            prop_assert!(piece.check(&range, &proof, piece.part(&range.bytes())).is_err());
        }
    }
}

#[test]
fn a_range_is_widened_to_quads_and_ends_with_the_piece() {
    let size = PieceSize::new(1000).expect("a size");
    for (asked, widened) in [
        (0..1, 0..127),
        (126..128, 0..254),
        (127..254, 127..254),
        (999..1000, 889..1000),
        (0..1000, 0..1000),
    ] {
        assert_eq!(QuadRange::around(&asked, size).map(|range| range.bytes()), Ok(widened));
    }
    for (first, end) in [(5, 5), (7, 5), (0, 1001), (1000, 1001), (u64::MAX, u64::MAX)] {
        let size_bytes = 1000;
        assert_eq!(
            QuadRange::around(&(first..end), size),
            Err(RangeError::Outside {
                first,
                end,
                size: size_bytes
            })
        );
    }
}

#[test]
fn zeros_behind_the_bytes_are_proven_like_bytes_and_the_whole_needs_no_proof() {
    for size in [127 * 4 + 1, 127 * 4, 1] {
        let piece = piece(test_data(size), 128);
        let whole = piece.around(0..size as u64);
        let proof = piece.prove(&whole);
        assert_eq!(piece.check(&whole, &proof, &piece.bytes), Ok(()));
        if size == 127 * 4 {
            assert!(proof.nodes.is_empty());
        }
    }
}

#[test]
fn a_proof_of_another_length_and_bytes_of_another_length_are_refused() {
    let piece = piece(test_data(5000), 1024);
    let range = piece.around(1016..2032);
    let (proof, bytes) = (piece.prove(&range), piece.part(&range.bytes()));
    let expected = proof.nodes.len();
    let (mut short, mut long) = (proof.clone(), proof.clone());
    short.nodes.pop();
    long.nodes.push(Commitment([0; 32]));
    for (wrong, found) in [
        (short, expected - 1),
        (long, expected + 1),
        (RangeProof { nodes: vec![] }, 0),
    ] {
        assert_eq!(
            piece.check(&range, &wrong, bytes),
            Err(RangeError::WrongNodes { expected, found })
        );
    }
    let too_many = [bytes, &[0]].concat();
    for (wrong, found) in [(&bytes[1..], 1015), (too_many.as_slice(), 1017)] {
        let expected = 1016;
        assert_eq!(
            piece.check(&range, &proof, wrong),
            Err(RangeError::WrongLength { expected, found })
        );
    }
    for length in [31, 33, 32 * (MAX_PROOF_NODES + 1)] {
        assert_eq!(
            RangeProof::from_bytes(&vec![0; length]),
            Err(RangeError::Malformed { length })
        );
    }
}

/// A node of the tree has the form of leaves: who says that the tree is lower than it is could pass nodes off as bytes. The height is in the CID.
#[test]
fn another_size_of_the_same_commitment_is_refused() {
    let piece = piece(test_data(5000), 1024);
    let range = piece.around(0..127);
    let proof = piece.prove(&range);
    let smaller = PieceSize::new(2500).expect("a size");
    let claimed = SizedPieceCid::new(piece.cid.comm_p, smaller);
    let lower = QuadRange::around(&(0..127), smaller).expect("within");
    let begun = RangeCheck::begin(&claimed, lower, &proof);
    assert!(matches!(begun, Err(RangeError::WrongNodes { .. })));
}

#[test]
fn an_outline_has_a_root_for_each_slice() {
    let size = PieceSize::new(5000).expect("a size");
    let slice = PaddedSize::new(1024).expect("128 times 8");
    let of = |roots| Outline::new(size, slice, vec![Commitment([0; 32]); roots]);
    assert!(of(5).is_ok());
    let expected = 5;
    assert_eq!(of(4), Err(RangeError::WrongOutline { expected, found: 4 }));
}

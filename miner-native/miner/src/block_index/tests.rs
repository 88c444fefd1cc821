use super::*;
use sealdrop_database::Memory;
use sha2::{Digest, Sha256};
use shared::file::{FileEntry, FilePiece, Manifest, RelativePath};
use shared::piece::node::raw_cid;
use shared::piece::SizedPieceCid;

const MIB: usize = 1 << 20;

fn index() -> BlockIndex {
    BlockIndex::of(Arc::new(Memory::default()))
}

/// The data CID and the leaves of a piece.
fn piece(bytes: &[u8]) -> (Cid, Vec<[u8; 32]>) {
    let leaves: Vec<[u8; 32]> = bytes.chunks(MIB).map(|leaf| Sha256::digest(leaf).into()).collect();
    let mut builder = NodeBuilder::new(bytes.len() as u64);
    leaves.iter().for_each(|leaf| builder.push(leaf, |_, _| {}));
    (builder.finish(|_, _| {}).expect("a root"), leaves)
}

fn entries(index: &BlockIndex) -> usize {
    let all = SCHEMA.tables.iter().filter(|table| **table != COUNTS);
    let count = |table: &Table| {
        index
            .records
            .read(|records| with_prefix(records, *table, &[]))
            .map(|found| found.len())
    };
    all.map(|table| count(table).expect("it is read")).sum()
}

#[test]
fn a_leaf_is_found_at_its_offset_and_a_node_as_it_is() {
    let (index, bytes) = (index(), vec![5; 2 * MIB + 3]);
    let (data, leaves) = piece(&bytes);
    index.put_piece(&data, bytes.len() as u64, &leaves).expect("it is kept");
    let leaf = |offset, bytes| Place::Leaf {
        piece: data,
        offset,
        bytes,
    };
    assert_eq!(index.find(&leaves[2]).expect("read"), [leaf(2 << 20, 3)]);
    // Of two leaves alike either will do.
    assert_eq!(index.find(&leaves[0]).expect("read").len(), 1);
    let digest = data.hash().digest().try_into().expect("32 bytes");
    let found = index.find(digest).expect("read");
    assert!(matches!(found.as_slice(), [Place::Node(node)] if raw_cid(node).hash() == data.hash()));
}

#[test]
fn leaves_of_another_piece_are_refused() {
    let index = index();
    let (data, mut leaves) = piece(&vec![5; MIB + 3]);
    leaves[1] = [0; 32];
    let refused = index.put_piece(&data, MIB as u64 + 3, &leaves);
    assert!(matches!(refused, Err(IndexError::OtherLeaves(of)) if of == data));
    assert_eq!(entries(&index), 0);
}

#[test]
fn nothing_is_left_of_a_piece_that_goes() {
    let index = index();
    let (kept, leaves_kept) = piece(&vec![1; MIB + 1]);
    let (gone, leaves_gone) = piece(&[vec![1; MIB], vec![2; MIB + 1]].concat());
    index
        .put_piece(&kept, MIB as u64 + 1, &leaves_kept)
        .expect("it is kept");
    index.note_piece(&kept, &Commitment([1; 32]), 5).expect("noted");
    let before = entries(&index);
    index
        .put_piece(&gone, 2 * MIB as u64 + 1, &leaves_gone)
        .expect("it is kept");
    index.note_piece(&gone, &Commitment([2; 32]), 6).expect("noted");
    assert_eq!(
        index
            .pieces_of(&PieceName::V1(Commitment([2; 32]).into()))
            .expect("read"),
        [gone]
    );
    // The leaf that both have is at two places.
    assert_eq!(index.find(&leaves_kept[0]).expect("read").len(), 2);
    index.forget_piece(&gone).expect("forgotten");
    assert_eq!(
        (entries(&index), index.find(&leaves_kept[0]).expect("read").len()),
        (before, 1)
    );
    index.forget_piece(&gone).expect("twice is harmless");
    assert_eq!(
        index
            .pieces_of(&PieceName::V1(Commitment([2; 32]).into()))
            .expect("read"),
        []
    );
}

#[test]
fn an_index_that_cannot_be_read_is_begun_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(dir.path()).expect("a folder");
    std::fs::write(
        dir.path().join(FILE),
        "this is no database, and long enough to be taken for one ".repeat(99),
    )
    .expect("written");
    let index = BlockIndex::open(dir.path()).expect("it is begun anew");
    let (data, leaves) = piece(&[7; 9]);
    index.put_piece(&data, 9, &leaves).expect("it is kept");
    drop(index);
    let index = BlockIndex::open(dir.path()).expect("it is there");
    assert!(index.has_blocks_of(&data).expect("read"));
}

/// The finding: eight pieces with some zeros behind the same bytes hid the one that was asked for.
#[test]
fn a_piece_is_found_by_commitment_and_size_however_many_have_the_same_commitment() {
    let (index, comm_p) = (index(), Commitment([3; 32]));
    let of = |size: u64| raw_cid(&size.to_be_bytes());
    for size in (100..120).rev() {
        index.note_piece(&of(size), &comm_p, size).expect("noted");
    }
    for size in 100..120 {
        let name = PieceName::V2(SizedPieceCid::new(comm_p, PieceSize::new(size).expect("a size")));
        assert_eq!(index.pieces_of(&name).expect("read"), [of(size)]);
    }
    let by_commitment = index.pieces_of(&PieceName::V1(comm_p.into())).expect("read");
    assert_eq!(
        by_commitment,
        (100..108).map(of).collect::<Vec<_>>(),
        "the shortest first"
    );
}

/// The finding: 127 bytes of the nodes below the root have the same CommP.
#[test]
fn by_its_commitment_alone_the_largest_piece_is_found_and_not_what_was_made_of_its_tree() {
    let (index, comm_p) = (index(), Commitment([3; 32]));
    let of = |size: u64| raw_cid(&size.to_be_bytes());
    for size in [127, 200, 254, 127 << 10, 65_025, 65_000] {
        index.note_piece(&of(size), &comm_p, size).expect("noted");
    }
    let found = index.pieces_of(&PieceName::V1(comm_p.into())).expect("read");
    assert_eq!(found, [of(65_025), of(127 << 10)]);
}

#[test]
fn a_manifest_of_several_leaves_is_known_by_its_own_id_until_its_piece_goes() {
    let index = index();
    let piece = FilePiece {
        offset: 0,
        size: 4,
        data_cid: raw_cid(b"file"),
        comm_p: Commitment([1; 32]),
    };
    let name = RelativePath::parse("f").expect("a name");
    let entry = FileEntry::new(name, 4, piece.data_cid, vec![piece]).expect("a file");
    let (manifest, stored_as) = (Manifest::file(entry).expect("a manifest"), raw_cid(b"root"));
    let id = Manifest::cid_of(&manifest.to_bytes().expect("short"));
    index.put_manifest(&stored_as, &manifest).expect("noted");
    assert_eq!(index.manifest(id.hash().digest()).expect("read"), Some(stored_as));
    index.forget_piece(&stored_as).expect("forgotten");
    assert_eq!(index.manifest(id.hash().digest()).expect("read"), None);
    assert_eq!(entries(&index), 0);
}

#[test]
fn an_index_of_the_first_format_is_brought_up_and_its_pieces_are_noted_anew() {
    let (index, data, comm_p) = (index(), raw_cid(b"data"), Commitment([3; 32]));
    let old = [comm_p.as_bytes(), &data.to_bytes()[..]].concat();
    let brought_up = index.records.write(|changes| {
        changes.put(BY_COMM_P, &old, &[])?;
        changes.put(KNOWN, &data.to_bytes(), comm_p.as_bytes())?;
        migrate(changes, 1)
    });
    brought_up.expect("it is brought up");
    let name = PieceName::V1(comm_p.into());
    assert_eq!(index.pieces_of(&name).expect("read"), []);
    index.note_piece(&data, &comm_p, 4).expect("noted");
    assert_eq!(index.pieces_of(&name).expect("read"), [data]);
    index.forget_piece(&data).expect("forgotten");
    assert_eq!(entries(&index), 0);
}

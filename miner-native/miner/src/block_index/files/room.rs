//! Whose files make room where manifests name more than is kept: a name costs nothing, a stored piece does.
//!
//! A manifest is worth as many of the pieces that it names as are stored here, each once. What it names beyond that, pieces that
//! nobody has brought or one piece over and over, is not backed by anything; whoever names most of that makes room for a manifest
//! that names less of it. So files whose pieces are here are kept, however many manifests come. Those that made room are set aside and
//! come back when all of their pieces are here ([`super::BlockIndex::may_come_back`]).

use super::{forget_manifest, number, of_manifest, parse_cid, File, State, LEAVES};
use crate::block_index::{IndexError, MANIFESTS, PIECES, SET_ASIDE};
use cid::Cid;
use sealdrop_database::{with_prefix, Changes, Records};
use std::collections::BTreeSet;

/// A manifest that may make room.
struct Candidate {
    unbacked: u64,
    gain: u64,
    manifest: Cid,
}

/// How many of the pieces that files name nothing that is stored here stands for.
pub(super) fn unbacked(records: &dyn Records, files: &[File]) -> Result<u64, IndexError> {
    let named: usize = files.iter().map(|file| file.pieces.len()).sum();
    // What is said falsely of stored pieces is backed by none of them.
    let true_ones = files.iter().filter(|file| file.state != State::Lies);
    let each: BTreeSet<&Cid> = true_ones.flat_map(|file| &file.pieces).collect();
    let mut here = 0;
    for piece in each {
        here += usize::from(is_here(records, piece)?);
    }
    Ok(named.saturating_sub(here) as u64)
}

fn is_here(records: &dyn Records, piece: &Cid) -> Result<bool, IndexError> {
    Ok(records.get(PIECES, &piece.to_bytes())?.is_some())
}

/// Whether all pieces that files name are stored here.
pub(super) fn are_here(records: &dyn Records, files: &[File]) -> Result<bool, IndexError> {
    for piece in files.iter().flat_map(|file| &file.pieces) {
        if !is_here(records, piece)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lets manifests go until `more` of what is counted under `name` stays within `most`, as far as they name more without backing than the
/// newcomer's `files` do. None goes when that is not enough.
pub(super) fn make(changes: &dyn Changes, name: &[u8], more: u64, most: u64, files: &[File]) -> Result<(), IndexError> {
    let excess = number(changes, name)?.saturating_add(more).saturating_sub(most);
    if excess == 0 {
        return Ok(());
    }
    let own = unbacked(changes, files)?;
    let newcomer = files.first().map(|file| file.manifest);
    let mut candidates = Vec::new();
    for (key, _) in with_prefix(changes, MANIFESTS, &[])? {
        let manifest = parse_cid(MANIFESTS, Some(&key))?;
        let files = of_manifest(changes, &manifest)?;
        let unbacked = unbacked(changes, &files)?;
        if unbacked > own && Some(manifest) != newcomer {
            let gain = files.iter().map(|file| gain(file, name)).sum();
            candidates.push(Candidate {
                unbacked,
                gain,
                manifest,
            });
        }
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.unbacked));
    let (mut gained, mut gone) = (0_u64, Vec::new());
    for candidate in candidates.into_iter().filter(|candidate| candidate.gain > 0) {
        if gained >= excess {
            break;
        }
        gained = gained.saturating_add(candidate.gain);
        gone.push(candidate.manifest);
    }
    if gained < excess {
        return Ok(());
    }
    for manifest in gone {
        tracing::info!(%manifest, "a manifest that names what is not stored here makes room for another");
        forget_manifest(changes, &manifest)?;
        changes.put(SET_ASIDE, &manifest.to_bytes(), &[])?;
    }
    Ok(())
}

/// What is free of it when a file goes.
fn gain(file: &File, name: &[u8]) -> u64 {
    match (name == LEAVES, file.state) {
        (true, State::Whole) => file.leaves(),
        (true, _) => 0,
        (false, _) => file.pieces.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_index::BlockIndex;
    use sealdrop_database::Memory;
    use sha2::{Digest, Sha256};
    use shared::file::{FileEntry, FilePiece, Manifest, RelativePath};
    use shared::piece::node::raw_cid;
    use shared::piece::{Commitment, NodeBuilder};
    use std::sync::Arc;

    const MIB: u64 = 1 << 20;
    /// As many names as there is room for.
    const MOST: u64 = 20;

    fn leaf(seed: u8) -> [u8; 32] {
        Sha256::digest(vec![seed; MIB as usize]).into()
    }

    fn piece(seed: u8) -> Cid {
        raw_cid(&vec![seed; MIB as usize])
    }

    /// A file of these pieces of one leaf each, as the piece that its manifest is stored as.
    fn manifest(seeds: &[u8]) -> (Cid, Manifest) {
        claiming(seeds, seeds)
    }

    /// One that says of these pieces that their file has the root of others.
    fn claiming(others: &[u8], seeds: &[u8]) -> (Cid, Manifest) {
        let size = seeds.len() as u64 * MIB;
        let mut builder = NodeBuilder::new(size);
        others.iter().for_each(|seed| builder.push(&leaf(*seed), |_, _| {}));
        let root = builder.finish(|_, _| {}).expect("a root");
        let piece = |(place, seed): (usize, &u8)| FilePiece {
            offset: place as u64 * MIB,
            size: MIB,
            data_cid: piece(*seed),
            comm_p: Commitment([*seed; 32]),
        };
        let pieces = seeds.iter().enumerate().map(piece).collect();
        let name = RelativePath::parse("file").expect("a name");
        let entry = FileEntry::new(name, size, root, pieces).expect("a file");
        let manifest = Manifest::file(entry).expect("a manifest");
        (raw_cid(&manifest.to_bytes().expect("it is short")), manifest)
    }

    fn index() -> BlockIndex {
        BlockIndex::of(Arc::new(Memory::default()))
    }

    fn put(index: &BlockIndex, manifest: &(Cid, Manifest)) -> bool {
        index
            .put_manifest_within(&manifest.0, &manifest.1, MOST)
            .expect("it is looked at");
        has(index, manifest)
    }

    fn has(index: &BlockIndex, manifest: &(Cid, Manifest)) -> bool {
        let noted = index.records.read(|records| of_manifest(records, &manifest.0));
        !noted.expect("read").is_empty()
    }

    fn store(index: &BlockIndex, seed: u8) {
        index.put_piece(&piece(seed), MIB, &[leaf(seed)]).expect("it is kept");
    }

    #[test]
    fn manifests_that_name_what_is_not_here_make_room_for_files_whose_pieces_are() {
        let index = index();
        let empty: Vec<_> = [100, 110]
            .map(|from| manifest(&(from..from + 10).collect::<Vec<u8>>()))
            .into();
        assert!(
            empty.iter().all(|manifest| put(&index, manifest)),
            "they fill all the room"
        );
        (0..3).for_each(|seed| store(&index, seed));
        let honest = manifest(&[0, 1, 2]);
        assert!(put(&index, &honest));
        assert_eq!(
            empty.iter().filter(|manifest| has(&index, manifest)).count(),
            1,
            "one is enough"
        );
        // Whoever comes later does not push it out, and nor is anything let go in vain.
        let large = manifest(&(120..138).collect::<Vec<u8>>());
        assert!(!put(&index, &large) && has(&index, &honest));
        assert_eq!(empty.iter().filter(|manifest| has(&index, manifest)).count(), 1);
    }

    #[test]
    fn one_piece_over_and_over_is_backed_once() {
        let index = index();
        (0..6).for_each(|seed| store(&index, seed));
        let repeated = manifest(&[5; 18]);
        assert!(put(&index, &repeated));
        let honest = manifest(&[0, 1, 2, 3]);
        assert!(put(&index, &honest) && !has(&index, &repeated));
        assert!(!put(&index, &repeated), "and does not push the other out");
    }

    #[test]
    fn what_is_said_falsely_of_stored_pieces_makes_room() {
        let index = index();
        (0..18).for_each(|seed| store(&index, seed));
        let stored: Vec<u8> = (0..18).collect();
        let others: Vec<u8> = (100..118).collect();
        let lies = claiming(&others, &stored);
        assert!(put(&index, &lies));
        let honest = manifest(&[0, 1, 2, 3]);
        assert!(put(&index, &honest) && !has(&index, &lies));
    }

    #[test]
    fn a_file_that_has_a_piece_twice_comes_back_too() {
        let index = index();
        let (twice, other) = (
            manifest(&[[7; 2], [8; 2]].concat().repeat(4)),
            manifest(&[100, 101, 102, 103, 104, 105]),
        );
        assert!(put(&index, &twice) && put(&index, &other) && !has(&index, &twice));
        [7, 8].into_iter().for_each(|seed| store(&index, seed));
        let back = index.may_come_back(&twice.0, || Some(twice.1.clone())).expect("read");
        assert_eq!(back.as_ref(), Some(&twice.1));
    }

    #[test]
    fn what_was_set_aside_comes_back_once_its_pieces_are_here() {
        let index = index();
        let (first, second) = (manifest(&(0..18).collect::<Vec<u8>>()), manifest(&[100, 101, 102]));
        assert!(put(&index, &first));
        assert!(
            put(&index, &second) && !has(&index, &first),
            "it names fewer that are not here"
        );
        let back = |index: &BlockIndex| index.may_come_back(&first.0, || Some(first.1.clone())).expect("read");
        assert_eq!(back(&index), None);
        (0..18).for_each(|seed| store(&index, seed));
        assert_eq!(back(&index).as_ref(), Some(&first.1));
        assert!(put(&index, &first));
        assert_eq!(back(&index), None, "it is here");
        index.forget_piece(&second.0).expect("forgotten");
    }
}

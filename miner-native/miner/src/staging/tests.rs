//! Rules of the staging store: what a crash leaves, what is refused.

use super::*;
use shared::piece::DagShape;
use shared::transfer::Kept;
use std::io::Write;

/// A piece of two and a half leaves.
fn piece() -> (Vec<u8>, PieceSummary) {
    let size = 2 * LEAF_BYTES as usize + LEAF_BYTES as usize / 2;
    let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
    let mut digest = PieceDigest::new();
    digest.push(&bytes).unwrap();
    (bytes, digest.finish().unwrap())
}

fn leaf(bytes: &[u8], index: u64) -> Kept {
    let offset = index * LEAF_BYTES;
    let end = (offset + LEAF_BYTES).min(bytes.len() as u64);
    Kept::Leaf {
        index,
        offset,
        bytes: bytes[offset as usize..end as usize].to_vec(),
    }
}

fn known(summary: &PieceSummary) -> KnownDag {
    KnownDag::new(summary.data_cid, summary.size, DagShape::STANDARD).unwrap()
}

/// A transfer that has the DAG's nodes.
fn begun(staging: &Staging, summary: &PieceSummary) -> Incoming {
    let mut incoming = staging.begin(known(summary)).unwrap();
    for (cid, bytes) in summary.nodes.clone() {
        incoming.keep(Kept::Node { cid, bytes }).unwrap();
    }
    incoming
}

fn kept(incoming: &Incoming) -> Vec<u64> {
    incoming.kept().iter().collect()
}

fn staging() -> (tempfile::TempDir, Staging) {
    let dir = tempfile::tempdir().unwrap();
    let staging = Staging::open(dir.path().join("staging")).unwrap();
    (dir, staging)
}

#[test]
fn a_transfer_goes_on_after_a_restart_with_the_whole_leaves_that_are_on_the_disk() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let cid = summary.data_cid;
    let mut incoming = begun(&staging, &summary);
    incoming.keep(leaf(&bytes, 0)).unwrap();
    drop(incoming);
    // A crash in the middle of the next leaf and of another node.
    let torn = |ending: &str| {
        OpenOptions::new()
            .append(true)
            .open(staging.beside(&cid, ending))
            .unwrap()
    };
    torn("part").write_all(&[7; 1000]).unwrap();
    torn("nodes").write_all(&[1; 20]).unwrap();

    let mut incoming = staging.begin(known(&summary)).unwrap();
    assert!(incoming.dag().is_complete());
    assert_eq!(kept(&incoming), [0]);
    assert_eq!(staging.held(&cid), LEAF_BYTES);
    incoming.keep(leaf(&bytes, 1)).unwrap();
    incoming.keep(leaf(&bytes, 2)).unwrap();
    assert_eq!(incoming.finish().unwrap(), summary);
    assert_eq!(fs::read(staging.whole(&cid, summary.size).unwrap()).unwrap(), bytes);
    assert_eq!(staging.digest(&cid, summary.size).unwrap(), summary);
    let left = fs::read_dir(staging.dir()).unwrap().count();
    assert_eq!(left, 1, "nothing but the piece");
}

#[test]
fn leaves_come_in_any_order_and_again_and_a_restart_between_any_two_loses_none() {
    let (bytes, summary) = piece();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (_dir, staging) = staging();
        let mut incoming = begun(&staging, &summary);
        let mut here = Vec::new();
        for index in order {
            incoming.keep(leaf(&bytes, index)).unwrap();
            incoming.keep(leaf(&bytes, index)).unwrap();
            here.push(index);
            here.sort();
            assert_eq!(kept(&incoming), here);
            drop(incoming);
            incoming = staging.begin(known(&summary)).unwrap();
            assert_eq!(kept(&incoming), here, "after a restart");
        }
        assert_eq!(incoming.finish().unwrap(), summary, "{order:?}");
        assert_eq!(fs::read(staging.path(&summary.data_cid)).unwrap(), bytes);
    }
}

#[test]
fn several_leaves_at_once_are_kept_as_one_by_one() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = begun(&staging, &summary);
    incoming.keep_leaves(1, &bytes[LEAF_BYTES as usize..]).unwrap();
    incoming.keep_leaves(0, &bytes[..2 * LEAF_BYTES as usize]).unwrap();
    assert_eq!(incoming.finish().unwrap(), summary);
    let beyond = incoming.keep_leaves(3, &[1]);
    assert!(matches!(beyond, Err(StagingError::BeyondEnd { index: 3, total: 3 })));
}

#[test]
fn a_piece_is_hashed_as_its_bytes_arrive_and_not_read_again_when_they_are_here() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = begun(&staging, &summary);
    for index in 0..3 {
        incoming.keep(leaf(&bytes, index)).unwrap();
    }
    // Whoever read the file now would find other bytes.
    fs::write(staging.beside(&summary.data_cid, "part"), vec![0; bytes.len()]).unwrap();
    assert_eq!(incoming.finish().unwrap(), summary);
}

#[test]
fn a_transfer_that_has_all_leaves_finishes_after_a_restart_without_another_byte() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = begun(&staging, &summary);
    for index in 0..3 {
        incoming.keep(leaf(&bytes, index)).unwrap();
    }
    drop(incoming);
    let mut incoming = staging.begin(known(&summary)).unwrap();
    assert!(incoming.is_complete());
    assert_eq!(incoming.finish().unwrap(), summary);
}

#[test]
fn bytes_that_never_reached_the_disk_are_found_out_and_fetched_again() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let cid = summary.data_cid;
    let mut incoming = begun(&staging, &summary);
    incoming.keep(leaf(&bytes, 0)).unwrap();
    incoming.keep(leaf(&bytes, 1)).unwrap();
    drop(incoming);
    let mut torn = bytes[..2 * LEAF_BYTES as usize].to_vec();
    torn[LEAF_BYTES as usize - 1] ^= 1;
    fs::write(staging.beside(&cid, "part"), &torn).unwrap();
    let mut incoming = staging.begin(known(&summary)).unwrap();
    assert_eq!(kept(&incoming), [1]);
    incoming.keep(leaf(&bytes, 2)).unwrap();
    assert!(matches!(
        incoming.finish(),
        Err(StagingError::Incomplete { missing: 1 })
    ));
    incoming.keep(leaf(&bytes, 0)).unwrap();
    assert_eq!(incoming.finish().unwrap(), summary);
}

#[test]
fn a_leaf_that_changed_on_the_disk_before_it_is_read_back_is_missing_again() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = begun(&staging, &summary);
    incoming.keep(leaf(&bytes, 1)).unwrap();
    fs::write(
        staging.beside(&summary.data_cid, "part"),
        vec![0; 2 * LEAF_BYTES as usize],
    )
    .unwrap();
    incoming.keep(leaf(&bytes, 0)).unwrap();
    assert_eq!(kept(&incoming), [0]);
    for index in [1, 2] {
        incoming.keep(leaf(&bytes, index)).unwrap();
    }
    assert_eq!(incoming.finish().unwrap(), summary);
}

#[test]
fn what_a_version_kept_that_knew_no_order_but_the_files_is_taken_up() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    drop(begun(&staging, &summary));
    fs::remove_file(staging.beside(&summary.data_cid, "have")).unwrap();
    let begun = &bytes[..2 * LEAF_BYTES as usize + 7];
    fs::write(staging.beside(&summary.data_cid, "part"), begun).unwrap();
    assert_eq!(staging.held(&summary.data_cid), begun.len() as u64);
    let mut incoming = staging.begin(known(&summary)).unwrap();
    assert_eq!(kept(&incoming), [0, 1]);
    incoming.keep(leaf(&bytes, 2)).unwrap();
    assert_eq!(incoming.finish().unwrap(), summary);
}

#[test]
fn without_the_nodes_no_leaf_on_the_disk_counts() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = begun(&staging, &summary);
    incoming.keep(leaf(&bytes, 0)).unwrap();
    drop(incoming);
    fs::remove_file(staging.beside(&summary.data_cid, "nodes")).unwrap();
    let mut incoming = staging.begin(known(&summary)).unwrap();
    assert!(!incoming.dag().is_complete() && kept(&incoming).is_empty());
    assert!(matches!(
        incoming.finish(),
        Err(StagingError::Incomplete { missing: 3 })
    ));
}

#[test]
fn a_disk_without_room_is_refused_before_anything_is_staged() {
    let (_dir, staging) = staging();
    staging.check_room(1).unwrap();
    let refused = staging.check_room(u64::MAX);
    assert!(matches!(refused, Err(StagingError::NoRoom { needed: u64::MAX, .. })));
}

#[test]
fn a_pieces_files_have_one_holder_at_a_time_for_all_who_know_the_folder() {
    let (_dir, staging) = staging();
    let data = piece().1.data_cid;
    let other = staging.clone();
    let claim = staging.claim(data).unwrap();
    assert!(other.claim(data).is_none());
    drop(claim);
    assert!(other.claim(data).is_some());
}

#[test]
fn what_an_earlier_process_began_to_import_or_unseal_is_removed_at_the_start() {
    let (dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut import = staging.import().unwrap();
    import.push(&bytes).unwrap();
    // As when the process ends here.
    std::mem::forget(import);
    let fetched = staging.begin(known(&summary)).unwrap();
    let unsealed = staging.beside(&summary.data_cid, UNSEALED);
    fs::write(&unsealed, b"half").unwrap();
    drop(fetched);
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir.join("staging")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names(dir.path()).len(), 5);
    Staging::open(dir.path().join("staging")).unwrap();
    let left = names(dir.path());
    assert!(
        left.len() == 3
            && left
                .iter()
                .all(|name| [".part", ".nodes", ".have"].iter().any(|ending| name.ends_with(ending)))
    );
}

//! Rules of the staging store: what a crash leaves, what is refused.

use super::*;

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
    let mut incoming = staging.begin(&cid, summary.size).unwrap();
    let (node, node_bytes) = summary.nodes[0].clone();
    incoming
        .keep(Kept::Node {
            cid: node,
            bytes: node_bytes.clone(),
        })
        .unwrap();
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

    let mut incoming = staging.begin(&cid, summary.size).unwrap();
    assert_eq!(incoming.kept(), (vec![(node, node_bytes)], 1));
    assert_eq!(staging.held(&cid), LEAF_BYTES);
    incoming.keep(leaf(&bytes, 1)).unwrap();
    incoming.keep(leaf(&bytes, 2)).unwrap();
    assert_eq!(incoming.finish().unwrap(), summary);
    assert_eq!(fs::read(staging.whole(&cid, summary.size).unwrap()).unwrap(), bytes);
    assert_eq!(staging.digest(&cid, summary.size).unwrap(), summary);
}

#[test]
fn a_piece_is_hashed_as_its_bytes_arrive_and_not_read_again_when_they_are_here() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = staging.begin(&summary.data_cid, summary.size).unwrap();
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
    let mut incoming = staging.begin(&summary.data_cid, summary.size).unwrap();
    for index in 0..3 {
        incoming.keep(leaf(&bytes, index)).unwrap();
    }
    drop(incoming);
    let incoming = staging.begin(&summary.data_cid, summary.size).unwrap();
    assert_eq!(incoming.kept().1, 3);
    assert_eq!(incoming.finish().unwrap(), summary);
}

#[test]
fn bytes_that_never_reached_the_disk_are_found_out_and_fetched_again() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let cid = summary.data_cid;
    let mut incoming = staging.begin(&cid, summary.size).unwrap();
    incoming.keep(leaf(&bytes, 0)).unwrap();
    drop(incoming);
    fs::write(staging.beside(&cid, "part"), vec![0; LEAF_BYTES as usize]).unwrap();
    let mut incoming = staging.begin(&cid, summary.size).unwrap();
    incoming.keep(leaf(&bytes, 1)).unwrap();
    incoming.keep(leaf(&bytes, 2)).unwrap();
    assert!(matches!(incoming.finish(), Err(StagingError::OtherData { expected, .. }) if expected == cid));
    assert_eq!(staging.begin(&cid, summary.size).unwrap().kept(), (vec![], 0));
}

#[test]
fn leaves_are_kept_in_file_order_only() {
    let (_dir, staging) = staging();
    let (bytes, summary) = piece();
    let mut incoming = staging.begin(&summary.data_cid, summary.size).unwrap();
    let kept = incoming.keep(leaf(&bytes, 1));
    assert!(matches!(kept, Err(StagingError::OutOfOrder { index: 1, expected: 0 })));
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
    let fetched = staging.begin(&summary.data_cid, summary.size).unwrap();
    let unsealed = staging.beside(&summary.data_cid, UNSEALED);
    fs::write(&unsealed, b"half").unwrap();
    drop(fetched);
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir.join("staging")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names(dir.path()).len(), 4);
    Staging::open(dir.path().join("staging")).unwrap();
    let left = names(dir.path());
    assert!(
        left.len() == 2
            && left
                .iter()
                .all(|name| name.ends_with(".part") || name.ends_with(".nodes"))
    );
}

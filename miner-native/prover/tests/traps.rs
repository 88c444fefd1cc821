//! What filecoin-proofs gets wrong silently, and this crate must not. No commit 2 here: seconds.

mod fixture;

use fixture::*;
use sealdrop_prover::*;
use std::fs;

#[test]
fn pre_commit_2_on_a_replica_that_it_already_encoded_gives_the_same_comm_r() {
    let staged = staged(10);
    let p1 = staged.p1(TICKET);
    let once = pre_commit2(&staged.identity, &staged.files, &p1, Implementation::own()).expect("once");
    let twice = pre_commit2(&staged.identity, &staged.files, &p1, Implementation::own()).expect("twice");
    assert_eq!(once, twice);
    staged.check(&twice).expect("consistent");
}

#[test]
fn pre_commit_1_ignores_label_files_of_another_ticket() {
    let other = [7; 32];
    let fresh = staged(11);
    let expected = pre_commit2(&fresh.identity, &fresh.files, &fresh.p1(other), Implementation::own()).expect("seals");
    let used = staged(11);
    used.p1(TICKET);
    let found = pre_commit2(&used.identity, &used.files, &used.p1(other), Implementation::own()).expect("seals");
    assert_eq!(found, expected);
}

#[test]
fn a_replica_changed_behind_our_back_is_found_before_the_pre_commit() {
    let staged = staged(12);
    let pre_commit = staged.sealed();
    let sealed = staged.files.sealed();
    fs::write(&sealed, [7; 2048]).expect("changes the replica");
    assert!(matches!(
        staged.check(&pre_commit),
        Err(Error::InconsistentReplica { .. })
    ));
    fs::write(&sealed, [7; 1000]).expect("cuts the replica");
    assert!(matches!(
        staged.check(&pre_commit),
        Err(Error::InconsistentReplica { .. })
    ));
}

#[test]
fn labels_of_another_ticket_are_found_before_the_pre_commit() {
    let staged = staged(13);
    let p1 = staged.p1([7; 32]);
    let pre_commit = pre_commit2(&staged.identity, &staged.files, &p1, Implementation::own()).expect("seals");
    assert!(matches!(
        staged.check(&pre_commit),
        Err(Error::InconsistentReplica { .. })
    ));
}

#[test]
fn a_cut_data_tree_never_leads_to_commitments_that_pass_the_check() {
    let staged = staged(14);
    let p1 = staged.p1(TICKET);
    let tree = fs::read_dir(staged.files.cache())
        .expect("a cache")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains("tree-d"))
        .expect("a data tree");
    let whole = fs::read(&tree).expect("reads");
    let half = whole.len() / 2;
    let mut cut = whole.clone();
    cut[half..].fill(0);
    fs::write(&tree, &cut).expect("damages the tree");
    match pre_commit2(&staged.identity, &staged.files, &p1, Implementation::own()) {
        Err(Error::Proofs { .. } | Error::Panicked { .. }) => {}
        Err(other) => panic!("unexpected error: {other}"),
        Ok(pre_commit) => assert!(matches!(
            staged.check(&pre_commit),
            Err(Error::InconsistentReplica { .. })
        )),
    }
}

#[test]
fn unsealing_with_a_wrong_ticket_gives_an_error_and_no_bytes() {
    let staged = staged(15);
    staged.sealed();
    let (result, out) = staged.unseal([7; 32], 0);
    assert!(matches!(result, Err(Error::PieceMismatch { index: 0, .. })));
    assert!(out.is_empty());
}

#[test]
fn unsealing_gives_exactly_each_piece_and_refuses_others() {
    let staged = staged(16);
    staged.sealed();
    for index in [1, 0] {
        let (result, mut out) = staged.unseal(TICKET, index);
        result.expect("unseals");
        out.truncate(staged.data[index].len());
        assert_eq!(out, staged.data[index]);
    }
    assert!(matches!(
        staged.unseal(TICKET, 2).0,
        Err(Error::NoSuchPiece { index: 2, pieces: 2 })
    ));
}

#[test]
fn a_piece_with_more_bytes_than_declared_is_refused() {
    let mut staged = staged(17);
    staged.data[1] = bytes(1017, 0x55);
    staged.pieces[1] = piece(&staged.data[1][..1016], 1024);
    let result = write_unsealed(SIZE, &staged.files, &staged.pieces, &mut open(&staged.data));
    assert!(matches!(result, Err(Error::PieceTooLong { index: 1, limit: 1016 })));
}

#[test]
fn a_piece_with_other_bytes_than_declared_is_refused_and_the_old_data_stays() {
    let mut staged = staged(18);
    let before = fs::read(staged.files.unsealed()).expect("staged");
    staged.data[0][0] ^= 1;
    let result = write_unsealed(SIZE, &staged.files, &staged.pieces, &mut open(&staged.data));
    assert!(matches!(result, Err(Error::PieceMismatch { index: 0, .. })));
    assert_eq!(fs::read(staged.files.unsealed()).expect("staged"), before);
}

#[test]
fn saved_output_that_is_damaged_or_of_another_size_is_refused() {
    let staged = staged(19);
    let p1 = staged.p1(TICKET);
    let cut = pre_commit2(
        &staged.identity,
        &staged.files,
        &p1[..p1.len() / 2],
        Implementation::own(),
    );
    assert!(matches!(cut, Err(Error::DamagedOutput { .. })));
    let larger = SectorIdentity {
        size: SectorSize::S8MiB,
        ..staged.identity
    };
    let other = pre_commit2(&larger, &staged.files, &p1, Implementation::own());
    assert!(matches!(other, Err(Error::DamagedOutput { .. })));
    let garbage = commit2(&staged.identity, b"{}", Implementation::own());
    assert!(matches!(garbage, Err(Error::DamagedOutput { .. })));
}

#[test]
fn unsealed_data_of_a_wrong_length_is_not_sealed() {
    let staged = staged(20);
    fs::write(staged.files.unsealed(), [0; 2047]).expect("cuts");
    let result = pre_commit1(
        &staged.identity,
        &staged.files,
        TICKET,
        &staged.pieces,
        Implementation::own(),
    );
    assert!(matches!(
        result,
        Err(Error::WrongLength {
            found: 2047,
            expected: 2048,
            ..
        })
    ));
}

#[test]
fn any_range_of_a_piece_is_unsealed_and_nothing_outside_it() {
    let staged = staged(25);
    staged.sealed();
    let mut whole = staged.data[1].clone();
    whole.resize(1016, 0);
    let unseal = |range: std::ops::Range<u64>| {
        let (identity, files) = (&staged.identity, &staged.files);
        let mut out = Vec::new();
        let written = unseal_range(
            identity,
            files,
            TICKET,
            staged.comm_d,
            &staged.pieces,
            1,
            range,
            &mut out,
            Implementation::own(),
        );
        written.map(|written| (written, out))
    };
    for (start, end) in [
        (0, 0),
        (0, 1),
        (126, 128),
        (127, 254),
        (1, 1016),
        (500, 901),
        (1015, 1016),
    ] {
        let (written, out) = unseal(start..end).expect("within the piece");
        assert_eq!(written, end - start);
        assert_eq!(out, whole[start as usize..end as usize], "{start}..{end}");
    }
    for (start, end) in [(0, 1017), (5, 4), (1017, 1017), (0, u64::MAX)] {
        let refused = unseal(start..end);
        let length = match refused {
            Err(Error::NoSuchRange { index: 1, length, .. }) => length,
            other => panic!("{start}..{end}: {other:?}"),
        };
        assert_eq!(length, 1016);
    }
}

#[test]
fn a_range_of_a_damaged_replica_is_not_given_though_the_damage_lies_elsewhere_in_the_piece() {
    let staged = staged(26);
    staged.sealed();
    let mut replica = fs::read(staged.files.sealed()).expect("sealed");
    // The second piece lies from 1024 on: its last node is damaged, its first bytes are asked for.
    replica[2047 - 31] ^= 1;
    fs::write(staged.files.sealed(), replica).expect("damages");
    let mut out = Vec::new();
    let (identity, files) = (&staged.identity, &staged.files);
    let refused = unseal_range(
        identity,
        files,
        TICKET,
        staged.comm_d,
        &staged.pieces,
        1,
        0..10,
        &mut out,
        Implementation::own(),
    );
    assert!(
        matches!(refused, Err(Error::PieceMismatch { index: 1, .. })),
        "{refused:?}"
    );
    assert!(out.is_empty());
    assert!(!files.dir.join("unsealing").exists(), "scratch is removed");
}

#[test]
fn a_window_of_three_sectors_takes_two_partitions_and_names_its_faulty_ones() {
    let staged: Vec<Staged> = [21, 22, 23].map(staged).into();
    let proving = |staged: &Staged| ProvingSector {
        sector: staged.identity.sector,
        comm_r: staged.sealed().comm_r,
        files: staged.files.clone(),
    };
    let mut sectors: Vec<ProvingSector> = staged.iter().map(proving).collect();
    let claims: Vec<_> = sectors.iter().map(|s| (s.sector, s.comm_r)).collect();
    sectors.reverse();

    let proof = window_post(prover_id(), SIZE, SEED, &sectors, Implementation::own())
        .expect("proves")
        .proof;
    assert_eq!(proof.len(), 2 * PARTITION_PROOF_BYTES);
    let verify = |prover_id, claims: &[_], proof: &[u8]| {
        verify_window_post(SIZE, SEED, prover_id, claims, proof).expect("can verify")
    };
    assert!(verify(prover_id(), &claims, &proof));
    assert!(!verify([0xff; 32], &claims, &proof), "a prover id out of range");
    assert!(!verify(prover_id(), &claims[..2], &proof));
    assert!(!verify(prover_id(), &claims[1..], &proof[..192]), "the other partition");
    assert!(!verify(prover_id(), &[], &[]));
    let repeated = [claims[0], claims[1], claims[2], claims[2]];
    assert!(!verify(prover_id(), &repeated, &proof));
    let mut swapped = proof.clone();
    swapped.rotate_left(192);
    assert!(!verify(prover_id(), &claims, &swapped));

    fs::write(sectors[2].files.sealed(), [7; 2048]).expect("damages sector 21");
    fs::remove_file(sectors[1].files.cache().join("p_aux")).expect("removes");
    assert!(matches!(
        window_post(prover_id(), SIZE, SEED, &sectors, Implementation::own()),
        Err(Error::FaultySectors { sectors, .. }) if sectors == [21, 22]
    ));
    fs::remove_file(sectors[0].files.sealed()).expect("removes");
    assert!(matches!(
        window_post(prover_id(), SIZE, SEED, &sectors, Implementation::own()),
        Err(Error::FaultySectors { sectors, .. }) if sectors == [23]
    ));
}

#[test]
fn a_sector_given_twice_or_none_is_no_window() {
    let staged = staged(24);
    let sector = ProvingSector {
        sector: 24,
        comm_r: [1; 32],
        files: staged.files.clone(),
    };
    let twice = window_post(
        prover_id(),
        SIZE,
        SEED,
        &[sector.clone(), sector],
        Implementation::own(),
    );
    assert!(matches!(twice, Err(Error::DuplicateSector { sector: 24 })));
    let none = window_post(prover_id(), SIZE, SEED, &[], Implementation::own());
    assert!(matches!(none, Err(Error::NoSectors)));
}

#[test]
fn other_directories_than_the_first_are_refused() {
    ready();
    let other = tempfile::tempdir().expect("a temporary directory");
    assert!(matches!(
        init(other.path(), other.path()),
        Err(Error::AlreadyInitialised { .. })
    ));
}

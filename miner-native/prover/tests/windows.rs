//! Many sectors in one window: partitions, opening a sector before the window, and damage that an opening finds.

mod fixture;

use fixture::*;
use sealdrop_prover::*;
use std::fs;

fn proving(staged: &Staged, pre_commit: &PreCommit) -> ProvingSector {
    ProvingSector {
        sector: staged.identity.sector,
        comm_r: pre_commit.comm_r,
        files: staged.files.clone(),
    }
}

fn sealed(numbers: impl IntoIterator<Item = u64>) -> Vec<(Staged, PreCommit)> {
    let staged = numbers.into_iter().map(staged);
    staged
        .map(|staged| {
            let pre_commit = staged.sealed();
            clear_cache(&staged.files).expect("clears");
            (staged, pre_commit)
        })
        .collect()
}

/// Two sectors to a partition: seven sectors are four proofs in one message, the last partition half empty.
#[test]
fn seven_sectors_are_proved_in_one_window_and_each_of_them_matters() {
    let all = sealed([11, 3, 8, 4, 9, 5, 20]);
    let sectors: Vec<ProvingSector> = all.iter().map(|(staged, sealed)| proving(staged, sealed)).collect();
    assert_eq!(partitions(SIZE, sectors.len()), 4);
    let randomness = [0xab; 32];
    let proof = window_post(prover_id(), SIZE, randomness, &sectors, Implementation::own())
        .expect("proves the window")
        .proof;
    assert_eq!(proof.len(), 4 * PARTITION_PROOF_BYTES);
    let claimed: Vec<(u64, [u8; 32])> = sectors.iter().map(|sector| (sector.sector, sector.comm_r)).collect();
    let verify = |claimed: &[(u64, [u8; 32])], proof: &[u8]| {
        verify_window_post(SIZE, randomness, prover_id(), claimed, proof).expect("can verify")
    };
    assert!(verify(&claimed, &proof));
    // Each partition is a proof of its own sectors alone, so that several machines may make one each.
    let mut in_order = sectors.clone();
    in_order.sort_by_key(|sector| sector.sector);
    let parts = in_order
        .chunks(partition_sectors(SIZE))
        .zip([Implementation::own(), Implementation::Library].into_iter().cycle());
    let parts = parts.map(|(part, by)| {
        window_post(prover_id(), SIZE, randomness, part, by)
            .expect("proves a partition")
            .proof
    });
    assert!(verify(&claimed, &parts.collect::<Vec<_>>().concat()));
    for index in 0..claimed.len() {
        let mut other = claimed.clone();
        other[index].1[0] ^= 1;
        assert!(!verify(&other, &proof), "sector {} is not covered", claimed[index].0);
    }
    assert!(!verify(&claimed[..5], &proof), "fewer sectors than proofs");
    assert!(
        !verify(&claimed, &proof[..3 * PARTITION_PROOF_BYTES]),
        "a partition is missing"
    );
}

/// One bad sector is named, and the others are proved without it.
#[test]
fn a_damaged_sector_is_named_and_the_others_are_proved_without_it() {
    let all = sealed([1, 2, 3]);
    let sectors: Vec<ProvingSector> = all.iter().map(|(staged, sealed)| proving(staged, sealed)).collect();
    fs::write(all[1].0.files.sealed(), vec![0; SIZE.bytes() as usize]).expect("written");
    let randomness = [7; 32];
    let Err(Error::FaultySectors { sectors: named, .. }) =
        window_post(prover_id(), SIZE, randomness, &sectors, Implementation::own())
    else {
        panic!("a replica of zeros proves nothing");
    };
    assert_eq!(named, [2]);
    let rest = [sectors[0].clone(), sectors[2].clone()];
    let proof = window_post(prover_id(), SIZE, randomness, &rest, Implementation::own())
        .expect("the others are whole")
        .proof;
    let claimed: Vec<(u64, [u8; 32])> = rest.iter().map(|sector| (sector.sector, sector.comm_r)).collect();
    assert!(verify_window_post(SIZE, randomness, prover_id(), &claimed, &proof).expect("can verify"));
}

#[test]
fn an_opening_finds_every_kind_of_damage_that_would_spoil_a_window() {
    let all = sealed([6]);
    let (staged, pre_commit) = &all[0];
    let sector = proving(staged, pre_commit);
    let open = || open_sector(prover_id(), SIZE, &sector);
    open().expect("it is whole");
    let tree = fs::read_dir(staged.files.cache())
        .expect("listed")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains("tree-r-last"))
        .expect("what proofs need stays");
    let files = [staged.files.sealed(), staged.files.cache().join("p_aux"), tree];
    for path in files {
        let whole = fs::read(&path).expect("read");
        let damages: [(&str, Option<Vec<u8>>); 4] = [
            ("is gone", None),
            ("is empty", Some(Vec::new())),
            ("is cut", Some(whole[..whole.len() / 2].to_vec())),
            ("has other bytes", Some(whole.iter().map(|byte| byte ^ 0x15).collect())),
        ];
        for (what, content) in damages {
            match content {
                None => fs::remove_file(&path).expect("removed"),
                Some(content) => fs::write(&path, content).expect("written"),
            }
            assert!(open().is_err(), "{} {what}, and nobody noticed", path.display());
            fs::write(&path, &whole).expect("written");
        }
        open().expect("it is whole again");
    }
}

#[test]
fn the_unsealed_data_may_go_and_comes_back_from_the_replica() {
    let all = sealed([9]);
    let staged = &all[0].0;
    remove_unsealed(&staged.files).expect("removed");
    assert!(!staged.files.unsealed().exists());
    remove_unsealed(&staged.files).expect("twice is harmless");
    let (written, out) = staged.unseal(TICKET, 0);
    written.expect("unseals");
    assert_eq!(out[..508], staged.data[0][..]);
}

/// A machine that seals in a folder of its own brings no more than this to where all machines prove; an archive keeps the same.
#[test]
fn what_proofs_need_proves_wherever_it_is_brought() {
    let staged = staged(12);
    let pre_commit = staged.sealed();
    let elsewhere = tempfile::tempdir().expect("there is room for a directory");
    let files = SectorFiles::new(elsewhere.path());
    fs::create_dir(files.cache()).expect("made");
    fs::copy(staged.files.sealed(), files.sealed()).expect("copied");
    for entry in fs::read_dir(staged.files.cache()).expect("listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "p_aux" || name == "t_aux" || name.contains("tree-r-last") {
            fs::copy(entry.path(), files.cache().join(name)).expect("copied");
        }
    }
    fs::remove_dir_all(&staged.files.dir).expect("removed");
    let sector = ProvingSector {
        sector: staged.identity.sector,
        comm_r: pre_commit.comm_r,
        files,
    };
    open_sector(prover_id(), SIZE, &sector).expect("it is whole");
    let (randomness, claimed) = ([9; 32], [(sector.sector, sector.comm_r)]);
    for by in [Implementation::own(), Implementation::Library] {
        let window = window_post(prover_id(), SIZE, randomness, std::slice::from_ref(&sector), by);
        let proof = window.expect("proves the window").proof;
        assert!(verify_window_post(SIZE, randomness, prover_id(), &claimed, &proof).expect("can verify"));
    }
}

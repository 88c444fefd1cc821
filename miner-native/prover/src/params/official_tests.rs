//! Official parameter files, with a list of its own: the real files have gigabytes.

use super::circuits::file_names;
use super::official::{check_against, OfficialFault, OfficialReport, Published, Wrong};
use super::{check_official, ensure, Circuit, ParamsError, Progress};
use crate::size::SectorSize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const SIZE: SectorSize = SectorSize::S2KiB;
const WANTED: [Circuit; 1] = [Circuit::WindowPoSt];

/// A parameter file in bellperson's format: three inputs of the key, then points in each of the five queries.
fn parameters() -> Vec<u8> {
    let mut bytes = vec![7; 3 * 96 + 3 * 192];
    for (count, point) in [(3u32, 96), (5, 96), (2, 96), (4, 96), (1, 96), (1, 192)] {
        bytes.extend(count.to_be_bytes());
        bytes.extend(vec![9; count as usize * point]);
    }
    bytes
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(blake2b_simd::blake2b(bytes).as_bytes())[..32].to_owned()
}

/// A directory with both files of [`WANTED`], and the list that has their digests.
struct Ceremony {
    dir: tempfile::TempDir,
    params: PathBuf,
    key: PathBuf,
}

impl Ceremony {
    fn held() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let names = file_names(WANTED[0], SIZE).expect("it has names");
        let (params, key) = (dir.path().join(names.params), dir.path().join(names.verifying_key));
        fs::write(&params, parameters()).expect("writes");
        fs::write(&key, b"the key").expect("writes");
        Self { dir, params, key }
    }

    fn list(name: &str) -> Option<Published> {
        let published = |bytes: &[u8]| Published {
            digest: digest(bytes),
            cid: "QmWhere".into(),
        };
        let is_key = Path::new(name).extension().is_some_and(|extension| extension == "vk");
        Some(if is_key {
            published(b"the key")
        } else {
            published(&parameters())
        })
    }

    fn check(&self) -> Result<OfficialReport, ParamsError> {
        check_against(&Self::list, self.dir.path(), SIZE, &WANTED, &mut |_| {})
    }

    fn faults(&self) -> Vec<OfficialFault> {
        match self.check() {
            Err(ParamsError::Official(faults)) => faults.faults,
            other => panic!("it should have been refused: {other:?}"),
        }
    }

    /// The only fault, which is of the parameter file.
    fn fault(&self) -> Wrong {
        let [fault] = <[_; 1]>::try_from(self.faults()).expect("one file is at fault");
        assert!(self.params.ends_with(&fault.name));
        fault.what
    }
}

#[test]
fn official_files_are_hashed_once_and_again_only_when_they_change() {
    let held = Ceremony::held();
    let report = held.check().expect("as published");
    assert_eq!(
        (report.hashed.len(), report.stamped.len(), report.stamps_kept),
        (2, 0, true)
    );
    let report = held.check().expect("as published");
    assert_eq!((report.hashed.len(), report.stamped.len()), (0, 2));

    let file = File::options().write(true).open(&held.params).expect("opens");
    file.set_modified(SystemTime::now() - Duration::from_secs(3600))
        .expect("touches");
    let report = held.check().expect("as published");
    assert_eq!((report.hashed.len(), report.stamped.len()), (1, 1));
}

#[test]
fn every_missing_file_is_named_with_its_length_digest_and_source() {
    let empty = Ceremony::held();
    fs::remove_file(&empty.params).expect("removes");
    fs::remove_file(&empty.key).expect("removes");
    assert!(empty.faults().iter().all(|fault| fault.what == Wrong::Missing));
    let text = empty.check().expect_err("nothing is there").to_string();
    let dir = empty.dir.path().display();
    let names = file_names(WANTED[0], SIZE).expect("it has names");
    for words in [
        names.params.as_str(),
        names.verifying_key.as_str(),
        "11501496 bytes",
        &digest(&parameters()),
        "QmWhere",
        &format!("FIL_PROOFS_PARAMETER_CACHE={dir} paramfetch -z 2048"),
    ] {
        assert!(text.contains(words), "{words:?} is missing in: {text}");
    }
    assert_eq!(
        fs::read_dir(empty.dir.path()).expect("lists").count(),
        0,
        "nothing was made"
    );
}

#[test]
fn a_truncated_file_is_refused_by_its_own_counts_without_hashing() {
    let held = Ceremony::held();
    let whole = parameters();
    fs::write(&held.params, &whole[..whole.len() - 1]).expect("truncates");
    let (found, length) = (whole.len() as u64 - 1, whole.len() as u64);
    assert_eq!(
        held.fault(),
        Wrong::Length {
            found,
            whole: Some(length)
        }
    );
    fs::write(&held.params, &whole[..100]).expect("truncates");
    assert_eq!(
        held.fault(),
        Wrong::Length {
            found: 100,
            whole: None
        }
    );
    let mut hashed = Vec::new();
    let mut progress = |progress: Progress| hashed.push((progress.phase, progress.total));
    check_against(&Ceremony::list, held.dir.path(), SIZE, &WANTED, &mut progress).expect_err("truncated");
    assert_eq!(hashed, [], "the key has its stamp, the parameters are not worth it");
}

#[test]
fn a_file_of_another_digest_is_refused_also_after_a_good_one() {
    let held = Ceremony::held();
    held.check().expect("as published");
    let mut flipped = parameters();
    flipped[1000] ^= 1;
    fs::write(&held.params, &flipped).expect("flips a bit");
    let found = digest(&flipped);
    assert_eq!(held.fault(), Wrong::Digest { found });
    fs::write(&held.params, parameters()).expect("restores");
    held.check().expect("as published again");
}

#[test]
fn a_file_that_the_list_does_not_have_is_refused() {
    let held = Ceremony::held();
    let checked = check_against(&|_| None, held.dir.path(), SIZE, &WANTED, &mut |_| {});
    let Err(ParamsError::Official(faults)) = checked else {
        panic!("it should have been refused: {checked:?}");
    };
    assert!(faults.faults.iter().all(|fault| fault.what == Wrong::Unpublished));
}

#[test]
fn generated_parameters_do_not_pass_for_official_ones() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    ensure(dir.path(), &[(WANTED[0], SIZE)], &mut |_| {}).expect("generates");
    let checked = check_official(dir.path(), SIZE, &WANTED, &mut |_| {});
    let Err(ParamsError::Official(faults)) = checked else {
        panic!("it should have been refused: {checked:?}");
    };
    assert_eq!(faults.faults.len(), 2);
    assert!(faults.faults.iter().all(|fault| fault.what == Wrong::Generated));
    assert!(faults.to_string().contains("insecure"));
}

#[test]
fn the_published_list_has_the_files_of_every_size() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for size in SectorSize::ALL {
        let checked = check_official(dir.path(), size, &Circuit::ALL, &mut |_| {});
        let Err(ParamsError::Official(faults)) = checked else {
            panic!("nothing is there: {checked:?}");
        };
        assert_eq!(faults.faults.len(), 4, "{size}");
        for fault in faults.faults {
            assert_eq!((fault.what, fault.digest.len()), (Wrong::Missing, 32), "{}", fault.name);
        }
    }
}

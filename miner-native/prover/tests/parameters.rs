//! Parameter files: made when missing or damaged, left alone when whole. Uses the small window parameters.

use sealdrop_prover::params::{ensure, Circuit, GenerationReport, ParamsError, Phase};
use sealdrop_prover::SectorSize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const WINDOW: (Circuit, SectorSize) = (Circuit::WindowPoSt, SectorSize::S2KiB);

fn run(dir: &Path) -> (GenerationReport, Vec<Phase>) {
    let mut phases = Vec::new();
    let report = ensure(dir, &[WINDOW], &mut |p| phases.push(p.phase)).expect("ensures");
    phases.dedup();
    (report, phases)
}

fn params_file(dir: &Path) -> PathBuf {
    fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "params"))
        .expect("a parameter file")
}

#[test]
fn damaged_parameters_are_made_again_and_whole_ones_are_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (report, phases) = run(dir.path());
    assert_eq!(report.made, [WINDOW]);
    assert_eq!(phases, [Phase::Synthesising, Phase::Writing]);
    assert!(report.cpu_seconds > 0.0 && report.peak_memory > 0);
    let path = params_file(dir.path());
    let whole = fs::read(&path).expect("reads");

    let (report, phases) = run(dir.path());
    assert_eq!((report.present, phases), (vec![WINDOW], vec![]));

    // The same bytes with another time are hashed, once, and kept.
    let touched = SystemTime::now() - Duration::from_secs(3600);
    let file = File::options().write(true).open(&path).expect("opens");
    file.set_modified(touched).expect("touches");
    let (report, phases) = run(dir.path());
    assert_eq!((report.present, phases), (vec![WINDOW], vec![Phase::Checking]));
    assert_eq!(run(dir.path()).1, []);

    fs::write(&path, &whole[..whole.len() / 2]).expect("truncates");
    assert_eq!(run(dir.path()).0.made, [WINDOW]);
    assert!(fs::read(&path).expect("reads") == whole);

    let mut flipped = whole.clone();
    flipped[5_000_000] ^= 1;
    fs::write(&path, flipped).expect("flips a bit");
    assert_eq!(run(dir.path()).0.made, [WINDOW]);
    assert!(fs::read(&path).expect("reads") == whole);
}

#[test]
fn parameters_of_real_networks_are_not_made_here() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let wanted = [(Circuit::PoRep, SectorSize::S32GiB)];
    let error = ensure(dir.path(), &wanted, &mut |_| {}).expect_err("must be refused");
    assert!(matches!(
        error,
        ParamsError::OfficialOnly {
            size: SectorSize::S32GiB
        }
    ));
}

//! A full disk and a process without file descriptors, again and again in a deal's life: the daemon says so, and goes on by itself.
//! Fake proofs, everything else real; the program `shortages` does the same in as many lives as one likes.

use sealdrop_tests::shortages::run;

/// Lives, each with another phase of the shortages.
const LIVES: usize = 12;
const LEAST_SHORTAGES: usize = 40;
/// Lives at the same time: most of a life is waiting for blocks.
const JOBS: usize = 13;

#[test]
fn a_daemon_without_room_or_descriptors_says_so_and_goes_on_when_there_are_some() {
    if !cfg!(target_os = "linux") {
        eprintln!("left out: calls are made to fail on Linux only");
        return;
    }
    let summary = run(LIVES, JOBS).expect("a life without shortages ends well");
    println!("{}", summary.to_json());
    assert!(summary.failed.is_empty(), "{:#?}", summary.failed);
    assert!(summary.shortages >= LEAST_SHORTAGES, "{summary:?}");
}

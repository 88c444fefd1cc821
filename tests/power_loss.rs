//! The power fails at many moments of a deal's life, and the daemon comes back with all that it had said. Fake proofs, everything
//! else real; the program `power-loss` does the same at as many moments as one likes.

use sealdrop_tests::power_loss::run;

/// States of the disk on which the daemon is started.
const STATES: usize = 240;
const LEAST_STATES: usize = 200;
/// Daemons that are started at the same time.
const JOBS: usize = 4;

#[test]
fn a_daemon_forgets_nothing_that_it_said_when_the_power_fails() {
    if !cfg!(target_os = "linux") {
        eprintln!("left out: writes are recorded on Linux only");
        return;
    }
    let summary = run(STATES, JOBS).expect("a life can be recorded");
    assert!(summary.states >= LEAST_STATES, "{summary:?}");
    assert!(summary.failed.is_empty(), "{:#?}", summary.failed);
}

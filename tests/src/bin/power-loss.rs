//! Lets the power fail at many moments of a deal's life, and sees that the daemon comes back with all that it had said.
//!
//! ```text
//! power-loss [STATES]
//! ```
//! The last line is one JSON object.

use sealdrop_tests::{drill, power_loss};
use std::process::ExitCode;

/// States of the disk on which the daemon is started.
const STATES: usize = 240;
/// Daemons that are started at the same time.
const JOBS: usize = 4;

fn main() -> ExitCode {
    drill::main("power-loss [STATES]", STATES, |size| {
        power_loss::run(size, JOBS).map(|summary| (summary.to_json(), summary.failed.is_empty()))
    })
}

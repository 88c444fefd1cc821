//! Lets the power fail at many moments of a deal's life, and sees that the daemon comes back with all that it had said.
//!
//! ```text
//! power-loss [STATES]
//! ```
//! The last line is one JSON object.

use sealdrop_tests::power_loss;
use std::process::ExitCode;

/// States of the disk on which the daemon is started.
const STATES: usize = 240;
/// Daemons that are started at the same time.
const JOBS: usize = 4;

fn main() -> ExitCode {
    let states = std::env::args().nth(1).map_or(Ok(STATES), |states| states.parse());
    let Ok(states) = states else {
        eprintln!("power-loss [STATES]: STATES is a number");
        return ExitCode::FAILURE;
    };
    match power_loss::run(states, JOBS) {
        Ok(summary) => {
            println!("{}", summary.to_json());
            ExitCode::from(u8::from(!summary.failed.is_empty()))
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

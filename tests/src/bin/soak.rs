//! A daemon with honest clients, hostile peers and bad luck, for a long time.
//!
//! ```text
//! soak [MINUTES]
//! ```
//! A line a minute; the last line is one JSON object. `SOAK_SEED` begins other random numbers.

use sealdrop_tests::{drill, soak};
use std::process::ExitCode;

/// A trial.
const MINUTES: usize = 10;
/// Names the seed of what happens when.
const SEED: &str = "SOAK_SEED";

fn main() -> ExitCode {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    drill::main("soak [MINUTES]", MINUTES, |minutes| {
        soak::run(minutes as u64, seed.unwrap_or(1))
    })
}

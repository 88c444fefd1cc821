//! Lets disk and file descriptors be short again and again in the life of a deal, and sees that the daemon goes on by itself.
//!
//! ```text
//! shortages [LIVES]
//! ```
//! The last line is one JSON object.

use sealdrop_tests::{drill, shortages};
use std::process::ExitCode;

/// Lives, each with another phase of the shortages.
const LIVES: usize = 12;
/// Lives at the same time: most of a life is waiting for blocks.
const JOBS: usize = 13;

fn main() -> ExitCode {
    drill::main("shortages [LIVES]", LIVES, |size| {
        shortages::run(size, JOBS).map(|summary| (summary.to_json(), summary.failed.is_empty()))
    })
}

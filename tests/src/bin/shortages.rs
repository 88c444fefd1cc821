//! Lets disk and file descriptors be short again and again in the life of a deal, and sees that the daemon goes on by itself.
//!
//! ```text
//! shortages [LIVES]
//! ```
//! The last line is one JSON object.

use sealdrop_tests::shortages;
use std::process::ExitCode;

/// Lives, each with another phase of the shortages.
const LIVES: usize = 12;
/// Lives at the same time: most of a life is waiting for blocks.
const JOBS: usize = 13;

fn main() -> ExitCode {
    let lives = std::env::args().nth(1).map_or(Ok(LIVES), |lives| lives.parse());
    let Ok(lives) = lives else {
        eprintln!("shortages [LIVES]: LIVES is a number");
        return ExitCode::FAILURE;
    };
    match shortages::run(lives, JOBS) {
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

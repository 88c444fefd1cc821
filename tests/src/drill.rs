//! A program around a drill that a test runs in part: its one argument says how large it is, its last line is one JSON object.

use serde_json::Value;
use std::fmt::Display;
use std::process::ExitCode;

/// Runs a drill of the size that the command line names, or of the `usual` one; `usage` is its command line. `run` gives its figures,
/// and whether nothing failed.
pub fn main<E: Display>(usage: &str, usual: usize, run: impl FnOnce(usize) -> Result<(Value, bool), E>) -> ExitCode {
    let Ok(size) = std::env::args().nth(1).map_or(Ok(usual), |size| size.parse()) else {
        eprintln!("{usage}: give a number");
        return ExitCode::FAILURE;
    };
    match run(size) {
        Ok((figures, is_well)) => {
            println!("{figures}");
            ExitCode::from(u8::from(!is_well))
        }
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

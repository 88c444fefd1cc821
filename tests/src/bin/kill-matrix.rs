//! Kills the daemon at every failpoint, starts it again, and sees that the end is the same.
//!
//! ```text
//! kill-matrix [--jobs N] [--point NAME]... [--real]
//! ```
//! `--real`: the program `sealdrop` with real proofs, at the points where hours of work would be at stake, one after the
//! other. The last line is one JSON object.

use sealdrop_tests::kill::{self, Program};
use std::process::ExitCode;

/// Lives at the same time: most of a life is waiting for blocks.
const JOBS: usize = 6;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut jobs, mut points, mut program) = (JOBS, Vec::new(), Program::Fake);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--jobs" => jobs = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(JOBS),
            "--point" => points.extend(arguments.next()),
            "--real" => program = Program::Real,
            other => {
                eprintln!("{other:?} is no argument of kill-matrix [--jobs N] [--point NAME]... [--real]");
                return ExitCode::FAILURE;
            }
        }
    }
    if points.is_empty() {
        points = program.points();
    }
    if program == Program::Real {
        jobs = 1;
    }
    let summary = kill::matrix(program, &points, jobs);
    println!("{}", summary.to_json());
    match summary.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

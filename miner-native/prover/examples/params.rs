//! Makes sure that a directory holds the development parameters of the given sector sizes.
//!
//! `cargo run --release --example params -- DIR 2048 8388608`

use sealdrop_prover::params::{ensure, Circuit, Progress};
use sealdrop_prover::SectorSize;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(dir) = arguments.next() else {
        eprintln!("usage: params DIR SECTOR_BYTES...");
        return ExitCode::FAILURE;
    };
    for argument in arguments {
        let Some(size) = argument.parse().ok().and_then(SectorSize::from_bytes) else {
            eprintln!("{argument} is no sector size; take 2048, 8388608 or 536870912");
            return ExitCode::FAILURE;
        };
        for circuit in Circuit::ALL {
            match ensure(Path::new(&dir), &[(circuit, size)], &mut show) {
                Ok(report) => println!("\r{circuit} {size}: {report:?}"),
                Err(error) => {
                    eprintln!("\r{error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn show(progress: Progress) {
    let percent = 100.0 * progress.fraction();
    let Progress {
        circuit, size, phase, ..
    } = progress;
    print!("\r{circuit} {size}: {phase} {percent:5.1} %   ");
    let _ = std::io::stdout().flush();
}

//! Makes sure that a directory holds the development parameters of the given sector sizes, and says what that took.
//!
//! `cargo run --release --example params -- DIR 2048 8388608`; in a fresh directory: `cargo xtask bench params 2048 8388608`.
//! The last line is one JSON object: for each parameter file, seconds, CPU-seconds and the process's peak memory in bytes.

use sealdrop_prover::params::{ensure, Circuit, Progress};
use sealdrop_prover::SectorSize;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(dir) = arguments.next() else {
        eprintln!("usage: params DIR SECTOR_BYTES...");
        return ExitCode::FAILURE;
    };
    println!("{}", machine());
    println!(
        "{:<42} {:>9} {:>9} {:>10}",
        "parameters", "seconds", "CPU-s", "peak MiB"
    );
    let mut figures = serde_json::Map::new();
    for argument in arguments {
        let Some(size) = argument.parse().ok().and_then(SectorSize::from_bytes) else {
            eprintln!("{argument} is no sector size; take 2048, 8388608 or 536870912");
            return ExitCode::FAILURE;
        };
        for circuit in Circuit::ALL {
            let report = match ensure(Path::new(&dir), &[(circuit, size)], &mut show) {
                Ok(report) => report,
                Err(error) => {
                    eprintln!("\r{error}");
                    return ExitCode::FAILURE;
                }
            };
            let (name, seconds) = (format!("{circuit} {size}"), report.elapsed.as_secs_f64());
            let mebibytes = report.peak_memory as f64 / f64::from(1 << 20);
            println!(
                "\r{name:<42} {seconds:>9.1} {:>9.1} {mebibytes:>10.0}",
                report.cpu_seconds
            );
            let row = serde_json::json!({
                "made": !report.made.is_empty(), "seconds": seconds, "cpu_seconds": report.cpu_seconds,
                "peak_bytes": report.peak_memory,
            });
            figures.insert(name, row);
        }
    }
    println!("{}", serde_json::Value::Object(figures));
    ExitCode::SUCCESS
}

/// The processor and how many of its threads there are.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("machine: {name}, {threads} threads")
}

fn show(progress: Progress) {
    // Only for eyes: in a file the carriage returns would be noise.
    if !std::io::stdout().is_terminal() {
        return;
    }
    let percent = 100.0 * progress.fraction();
    let Progress {
        circuit, size, phase, ..
    } = progress;
    print!("\r{circuit} {size}: {phase} {percent:5.1} %   ");
    // Progress is a courtesy: a closed terminal must not stop the work.
    let _ = std::io::stdout().flush();
}

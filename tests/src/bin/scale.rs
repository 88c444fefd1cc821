//! Many machines for one miner, with a prover that only takes time ([`sealdrop_tests::scale`]); started by `cargo xtask bench scale`.
//!
//! ```text
//! scale speed            steps a second by 1, 8 and 64 machines
//! scale drill MINUTES    workers, leaders and the database come to grief under a miner that has deals
//! ```
//! `SEALDROP_POSTGRES` names the server. The last line is JSON. A line `[restart database]` asks whoever started this for just that.

use sealdrop_tests::scale::{drill, speed};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let minutes = |text: &str| text.parse().ok().map(|minutes: u64| Duration::from_secs(minutes * 60));
    let figures = match words[..] {
        ["speed"] => speed::run(),
        ["drill", time] => match minutes(time) {
            Some(time) => drill::run(time),
            None => return usage(),
        },
        _ => return usage(),
    };
    println!("{figures}");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: scale speed | scale drill MINUTES");
    ExitCode::FAILURE
}

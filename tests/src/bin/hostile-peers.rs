//! Plays every attack of hostile peers against a daemon, and says what each did.
//!
//! ```text
//! hostile-peers [FILE]
//! ```
//! FILE gets the table (`shared/docs/attacks.md`). The last line is one JSON object.

use sealdrop_tests::hostile::drill;
use std::process::ExitCode;

fn main() -> ExitCode {
    let summary = drill::run(true);
    if let Some(file) = std::env::args_os().nth(1) {
        if let Err(error) = std::fs::write(&file, summary.to_markdown()) {
            eprintln!("error: {} cannot be written: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{}", summary.to_json());
    ExitCode::from(u8::from(!summary.all_broken().is_empty()))
}

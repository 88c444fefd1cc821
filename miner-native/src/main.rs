//! The program `sealdrop`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealdrop::commands::run()
}

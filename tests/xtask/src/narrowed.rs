//! Compiles crates without features that other crates switch on for everybody, where no manifest of ours can switch them off.
//!
//! Cargo runs this program in place of the compiler when `toolchain` asks it to, for code that is to be small. What is left out is what the browser
//! client never runs, or runs slower without harm; a crate that needs it all the same does not compile, so nothing goes wrong unseen.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};

/// Set where this program stands in for the compiler.
pub const SWITCH: &str = "SEALDROP_XTASK_NARROWED";

/// Crates, and what they are compiled without.
const LEFT_OUT: [(&str, &str); 3] = [
    // Multiples of a point, 38 kB that no server can compress, for signatures that take a third of a millisecond less. libp2p signs once a connection.
    ("curve25519_dalek", "precomputed-tables"),
    // Ciphers and hashes of Noise that libp2p's handshake never names.
    ("snow", "use-aes-gcm"),
    ("snow", "use-blake2"),
];

/// Runs the compiler, whose path is the first argument, where cargo started this program for that.
pub fn compile() -> Option<ExitCode> {
    env::var_os(SWITCH)?;
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next()?;
    let status = Command::new(&compiler).args(narrowed(arguments.collect())).status();
    match status {
        Ok(status) if status.success() => Some(ExitCode::SUCCESS),
        Ok(_) => Some(ExitCode::FAILURE),
        Err(error) => {
            eprintln!("error: cannot run {}: {error}", compiler.display());
            Some(ExitCode::FAILURE)
        }
    }
}

/// A compiler's arguments without the features that the crate is to be compiled without.
fn narrowed(arguments: Vec<OsString>) -> Vec<OsString> {
    let named = arguments.iter().position(|argument| argument == "--crate-name");
    let name = named.and_then(|at| arguments.get(at + 1)).cloned().unwrap_or_default();
    let is_out = |value: &OsStr| {
        LEFT_OUT
            .iter()
            .any(|(of, feature)| name == *of && value == format!("feature=\"{feature}\"").as_str())
    };
    let mut kept: Vec<OsString> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if is_out(&argument) && kept.last().is_some_and(|last| last == "--cfg") {
            kept.pop();
        } else {
            kept.push(argument);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_crate_is_compiled_without_what_is_left_out_of_it_and_others_with_all() {
        let named = "--crate-name snow lib.rs --cfg feature=\"std\" --cfg feature=\"use-aes-gcm\" -O";
        assert_eq!(
            narrowed(of(named)),
            of("--crate-name snow lib.rs --cfg feature=\"std\" -O")
        );
        let other = "--crate-name other lib.rs --cfg feature=\"use-aes-gcm\"";
        assert_eq!(narrowed(of(other)), of(other));
        assert_eq!(narrowed(of("-vV")), of("-vV"));
    }
}

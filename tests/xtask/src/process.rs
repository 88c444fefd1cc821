//! Running other programs: their environment, their failures in words, and how long they took.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

/// Runs a command with its output shown. `purpose` completes "cannot ...".
pub fn run(command: &mut Command, purpose: &str) -> Result<()> {
    let status = command.status().with_context(|| not_started(command, purpose))?;
    if !status.success() {
        bail!(
            "cannot {purpose}: `{}` ended with {status}; its messages are above",
            line(command)
        );
    }
    Ok(())
}

/// Runs a command silently; shows its output only if it fails.
pub fn run_quiet(command: &mut Command, purpose: &str) -> Result<()> {
    let output = command
        .stdin(Stdio::inherit())
        .output()
        .with_context(|| not_started(command, purpose))?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stdout).trim_end());
        eprintln!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        bail!(
            "cannot {purpose}: `{}` ended with {}; its messages are above",
            line(command),
            output.status
        );
    }
    Ok(())
}

/// A command's standard output, or None if it cannot be started or fails.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The first of `names` found in PATH.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names.iter().find_map(|name| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|candidate| is_program(candidate))
    })
}

/// Whether a path names a file that can be a program.
pub fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// Removes what `cargo run` tells its child about the package xtask: it would reach other packages' builds.
pub fn without_package_variables(command: &mut Command) {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // Holds the running toolchain's own library folders.
    command.env_remove("LD_LIBRARY_PATH");
}

/// Removes also what would lead another installation's cargo to this toolchain or this build's settings.
pub fn without_toolchain_variables(command: &mut Command) {
    const NAMES: [&str; 10] = [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTUP_TOOLCHAIN",
        "RUST_RECURSION_COUNT",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
    ];
    without_package_variables(command);
    for name in NAMES {
        command.env_remove(name);
    }
}

/// Runs one stage and prints how long it took.
pub fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let outcome = work();
    let verb = if outcome.is_ok() { "done in" } else { "failed after" };
    println!("[{name}] {verb} {}", spoken(start.elapsed()));
    outcome
}

/// A duration as a person would say it.
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", time.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn not_started(command: &Command, purpose: &str) -> String {
    let program = command.get_program().to_string_lossy();
    format!("cannot {purpose}: `{program}` did not start; install it or put it in PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken_in_the_unit_that_fits() {
        assert_eq!(spoken(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(spoken(Duration::from_secs(59)), "59 s");
        assert_eq!(spoken(Duration::from_secs(252)), "4 min 12 s");
    }
}

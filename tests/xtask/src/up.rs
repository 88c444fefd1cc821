//! `cargo xtask up`: from a fresh checkout to a page in the browser.
//!
//! After the build this process becomes the daemon, so Ctrl-C and signals reach the daemon itself, which stops chain,
//! miner and web server in order. The daemon prepares the proof parameters on its first start and prints the address. With
//! `--miners N` it stays, and runs a network of them ([`many`]).

mod many;

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::build;
use crate::process;
use crate::project::Project;

/// Builds everything and becomes the daemon. `args` go to the daemon as they are, after an optional `--`.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let (miners, args) = many::asked(args)?;
    let args = without_separator(&args);
    let start = Instant::now();
    build::all(project)?;
    println!(
        "[up] built in {}; starting chain, miner and web page (Ctrl-C stops them)",
        process::spoken(start.elapsed())
    );
    if let Some(miners) = miners {
        return many::run(project, miners, args);
    }
    let mut daemon = Command::new(project.quick_daemon());
    process::without_package_variables(&mut daemon);
    daemon
        .arg("daemon")
        .arg("--web")
        .arg(project.www().join("dist"))
        .arg("--client")
        .arg(project.client().join("dist"))
        .args(args);
    become_program(daemon)
}

fn without_separator(args: &[String]) -> &[String] {
    match args.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => args,
    }
}

#[cfg(unix)]
fn become_program(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec(); // returns only on failure
    Err(anyhow::Error::new(error).context(format!("cannot start {:?}", command.get_program())))
}

#[cfg(not(unix))]
fn become_program(mut command: Command) -> Result<()> {
    process::run(&mut command, "run the daemon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_separator_is_dropped_from_the_daemons_arguments() {
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        assert_eq!(without_separator(&words("-- --size 2KiB")), words("--size 2KiB"));
        assert_eq!(without_separator(&words("--size 2KiB --")), words("--size 2KiB --"));
    }
}

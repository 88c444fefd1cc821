//! `cargo xtask`: everything that has to happen outside of plain `cargo build`.
//!
//! Decides in which order set-up, builds and tests run. Started by people (`cargo xtask up`) and by `.ci/run`
//! (`cargo xtask test`). Each command runs the ones that it needs first, and each step that has nothing to do
//! takes no time, so any command can be the first one on a new machine.

mod apt;
mod bare;
mod bench;
mod beside;
mod build;
mod dist;
mod docs;
mod fuzz;
mod gates;
mod narrowed;
mod nightly;
mod npm;
mod postgres;
mod process;
mod project;
mod scenarios;
mod setup;
mod stamp;
mod sysroot;
mod tally;
mod test;
mod toolchain;
mod up;
mod vectors;
mod wasm;
mod wasm_pack;

use std::process::ExitCode;

use anyhow::Result;
use project::Project;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  up [--miners N] [-- DAEMON-ARGS]
                       set up, build, and run chain, miner and web page, or N miners on one chain (Ctrl-C stops all of it)
  test                 set up, build, run every test; the last line is `sealdrop: N passed, N failed`
  build                build the daemon, the browser client and the web page
  wasm                 build the browser client only
  gates                formatting, lints, documentation, the page's code: what to run before a commit
  nightly [PART]       what takes long: licences, mutants, fuzzing, power losses, kills on real proofs, soak
  rules                check that the rules compile where there is no system, and the test vectors in WebAssembly
  docs                 write the documents that are made from the types
  dist [--deb] [--program FILE]
                       build what is given away, in dist: an archive, with --deb a Debian package, their digests, what they are made of
  setup [--browser]    install what building needs (--browser: also what the browser tests need)
  bench [NAME [ARGS]]  run a benchmark; without NAME, list them
  fuzz [TARGET] [--seconds N]
                       give the fuzz targets random inputs, a minute each

`sealdrop daemon --help` lists the daemon's arguments, for example: cargo xtask up -- --sector-size 2KiB";

fn main() -> ExitCode {
    if let Some(done) = narrowed::compile() {
        return done;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    // `test` reports its own failures, because its last line has to be the tally.
    if command == "test" {
        return test::run();
    }
    if command == beside::NAME {
        return beside::run();
    }
    match dispatch(command, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<()> {
    match command {
        "up" => up::run(&Project::locate()?, rest),
        "build" => build::all(&Project::locate()?),
        "wasm" => build::client(&Project::locate()?),
        "dist" => dist::run(&Project::locate()?, rest),
        "docs" => docs::write(&Project::locate()?),
        "gates" => gates::run(&Project::locate()?),
        "nightly" => nightly::run(&Project::locate()?, rest),
        "rules" => test::rules(&Project::locate()?),
        "setup" => {
            let project = Project::locate()?;
            setup::for_building(&project)?;
            if rest.iter().any(|arg| arg == "--browser") {
                setup::for_browser_tests(&project)?;
            }
            Ok(())
        }
        "bench" => {
            let (name, args) = rest
                .split_first()
                .map_or((None, rest), |(name, args)| (Some(name.as_str()), args));
            bench::run(&Project::locate()?, name, args)
        }
        "fuzz" => fuzz::run(&Project::locate()?, rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        unknown => anyhow::bail!("there is no command `{unknown}`\n{USAGE}"),
    }
}

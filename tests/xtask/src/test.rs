//! `cargo xtask test`: builds everything, runs every test, and ends with the line `sealdrop: N passed, N failed`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::process::{self, stage};
use crate::project::Project;
use crate::tally::Tally;
use crate::{bare, build, gates, setup, vectors};

/// Runs the whole of it. The tally is the last line whatever happens before.
pub fn run() -> ExitCode {
    let mut tally = Tally::default();
    if let Err(error) = stage("test", || run_all(&mut tally)) {
        eprintln!("error: {error:#}");
        tally.failed += 1;
    }
    println!("sealdrop: {tally}");
    if tally.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_all(tally: &mut Tally) -> Result<()> {
    let project = Project::locate()?;
    build::all(&project)?;
    let browser = stage("setup: browser", || setup::for_browser_tests(&project))?;

    // The same flags as the build's, from the same folder: nothing is compiled twice.
    let mut cargo = project.cargo();
    cargo.args(["test", "--release", "--no-fail-fast"]);
    stage("test: rust", || {
        count(with_places(&mut cargo, &project, &browser), "run the Rust tests", tally)
    })?;

    // Of this program itself; the profile is the one that it was just built with.
    let mut own = project.cargo();
    own.args(["test", "--profile", "xtask", "--package", "xtask"]);
    stage("test: xtask", || count(&mut own, "run xtask's own tests", tally))?;

    gates::check(&project, tally);

    if let Err(error) = portable_rules(&project, tally) {
        eprintln!("error: {error:#}");
        tally.add(false);
    }

    let mut oracles = Command::new("node");
    process::without_package_variables(&mut oracles);
    oracles.args(["--test", "--test-reporter=spec", "--test-reporter-destination=stdout"]);
    oracles.args(test_files(&project.oracles())?);
    stage("test: oracles", || {
        count(
            with_places(&mut oracles, &project, &browser),
            "hold the hashing module against other packages",
            tally,
        )
    })?;

    let files = test_files(&project.browser_tests())?;
    if files.is_empty() {
        return Ok(());
    }
    let mut node = Command::new("node");
    process::without_package_variables(&mut node);
    node.current_dir(project.browser_tests());
    // One at a time: each starts a daemon, and making one proof takes gigabytes.
    node.args([
        "--test",
        "--test-concurrency=1",
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
    ]);
    node.args(files);
    stage("test: browser", || {
        count(
            with_places(&mut node, &project, &browser),
            "run the browser tests",
            tally,
        )
    })
}

/// Only the checks that need neither daemon nor browser.
pub fn rules(project: &Project) -> Result<()> {
    let mut tally = Tally::default();
    portable_rules(project, &mut tally)?;
    anyhow::ensure!(tally.is_good(), "the rules do not hold everywhere: {tally}");
    println!("{tally}");
    Ok(())
}

/// The rules where there is no system, and in a WebAssembly engine.
fn portable_rules(project: &Project, tally: &mut Tally) -> Result<()> {
    bare::check(project, tally);
    stage("test: vectors in WebAssembly", || {
        let module = vectors::build(project)?;
        count(&mut vectors::runner(project, module), "run the test vectors", tally)
    })
}

/// Tells tests where the things are that they start.
pub fn with_places<'a>(command: &'a mut Command, project: &Project, browser: &Path) -> &'a mut Command {
    command
        .env("SEALDROP_BIN", project.daemon())
        .env("SEALDROP_CHROMIUM", browser)
        .env("SEALDROP_WEB", project.www().join("dist"))
        .env("SEALDROP_CLIENT", project.client().join("dist"))
}

/// Runs a test runner, passing its output on and adding its summaries to the tally.
fn count(command: &mut Command, purpose: &str, tally: &mut Tally) -> Result<()> {
    let before = tally.failed;
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot {purpose}"))?;
    let output = child.stdout.take().context("the runner's output is piped")?;
    let mut reader = BufReader::new(output);
    let mut shown = std::io::stdout().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot {purpose}: its output broke off"))?;
        if read == 0 {
            break;
        }
        tally.read(String::from_utf8_lossy(&line).trim_end());
        shown
            .write_all(&line)
            .and_then(|()| shown.flush())
            .context("cannot write to standard output")?;
    }
    let status = child.wait().with_context(|| format!("cannot {purpose}"))?;
    tally.settle(before, status.success());
    Ok(())
}

/// A folder's `*.test.mjs`, in the order of their names.
fn test_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

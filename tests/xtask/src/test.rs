//! `cargo xtask test`: builds everything, runs every test, and ends with the line `sealdrop: N passed, N failed`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::beside::Beside;
use crate::process::{self, stage};
use crate::project::{Project, QUICK};
use crate::tally::Tally;
use crate::{bare, build, postgres, vectors};

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
    let browser = build::for_tests(&project)?;

    let beside = Beside::start()?;
    stage("test: rust", || rust_tests(&project, &browser, tally))?;

    // Of this program itself; the profile is the one that it was just built with.
    let mut own = project.cargo();
    own.args(["test", "--profile", "xtask", "--package", "xtask"]);
    stage("test: xtask", || count(&mut own, "run xtask's own tests", tally))?;

    let suites = [
        (
            "oracles",
            project.oracles(),
            "hold the hashing module against other packages",
        ),
        ("interop", project.interop(), "make deals by js-libp2p"),
        (
            "package",
            project.package_tests(),
            "try the npm package as it is packed",
        ),
        ("hosts", project.hosts(), "run the tests on several hosts"),
        ("browser", project.browser_tests(), "run the browser tests"),
    ];
    for (name, folder, purpose) in suites {
        stage(&format!("test: {name}"), || {
            let (alone, together) = test_files(&folder)?.into_iter().partition(|file| is_alone(file));
            node_tests(&project, &browser, &folder, (purpose, 1, alone), tally)?;
            node_tests(&project, &browser, &folder, (purpose, AT_ONCE, together), tally)
        })?;
    }
    stage("test: beside", || beside.finish(tally))
}

/// Files of tests in Node that run at once: most of their time they wait for blocks, for a browser, or for somebody to fall silent.
const AT_ONCE: usize = 2;
/// Those that run alone: what makes real proofs takes gigabytes and every core, what holds a deal or a network to its time, and what is built
/// again and again is in one place.
const ALONE: [&str; 5] = ["deal.test.mjs", "devnet.test.mjs", "hosts/", "package/", "oracles/"];

fn is_alone(file: &Path) -> bool {
    let path = file.to_string_lossy().replace('\\', "/");
    ALONE
        .iter()
        .any(|alone| path.ends_with(&format!("/{alone}")) || path.contains(&format!("tests/{alone}")))
}

/// Tests in Node, so many files at once.
fn node_tests(
    project: &Project,
    browser: &Path,
    folder: &Path,
    (purpose, at_once, files): (&str, usize, Vec<PathBuf>),
    tally: &mut Tally,
) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut node = Command::new("node");
    process::without_package_variables(&mut node);
    node.current_dir(folder);
    node.args([
        "--test",
        &format!("--test-concurrency={at_once}"),
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
    ]);
    node.args(files);
    let daemon = project.quick_daemon();
    count(with_places(&mut node, project, &daemon, browser), purpose, tally)
}

/// Files of tests whose set-up is made once for all of them in one process: a daemon, proof parameters, a sealed sector.
/// nextest would make it for each test.
const SHARING: [&str; 9] = [
    "commands",
    "misbehaviour",
    "parameters",
    "piece",
    "pre_commit1",
    "pre_commit2",
    "resuming",
    "traps",
    "windows",
];

/// The workspace's tests: by nextest where it is installed, which ends a test that hangs and names it; by cargo otherwise.
///
/// The same flags as the build's, from the same folder, and never a package alone: nothing is compiled twice.
fn rust_tests(project: &Project, browser: &Path, tally: &mut Tally) -> Result<()> {
    let (server, daemon) = (postgres::Server::start()?, project.quick_daemon());
    let mut run = |arguments: &[&str], purpose: &str| {
        let mut cargo = project.cargo();
        cargo.args(arguments).env("SEALDROP_POSTGRES", server.url());
        count(with_places(&mut cargo, project, &daemon, browser), purpose, tally)
    };
    if process::answer(project.cargo().args(["nextest", "--version"])).is_none() {
        return run(&["test", "--profile", QUICK, "--no-fail-fast"], "run the Rust tests");
    }
    let others = format!("not binary(/^({})$/)", SHARING.join("|"));
    run(
        &[
            "nextest",
            "run",
            "--cargo-profile",
            QUICK,
            "--no-fail-fast",
            "-E",
            &others,
        ],
        "run the Rust tests, each in its own process",
    )?;
    let mut sharing = vec!["test", "--profile", QUICK, "--no-fail-fast"];
    sharing.extend(SHARING.iter().flat_map(|file| ["--test", file]));
    run(&sharing, "run the Rust tests that share their set-up")?;
    run(
        &["test", "--profile", QUICK, "--no-fail-fast", "--doc"],
        "run the examples in the documentation",
    )
}

/// Only the checks that need neither daemon nor browser.
pub fn rules(project: &Project) -> Result<()> {
    let mut tally = Tally::default();
    portable_rules(project, &mut tally);
    anyhow::ensure!(tally.is_good(), "the rules do not hold everywhere: {tally}");
    println!("{tally}");
    Ok(())
}

/// The rules where there is no system, and in a WebAssembly engine.
pub fn portable_rules(project: &Project, tally: &mut Tally) {
    bare::check(project, tally);
    let ran = stage("test: vectors in WebAssembly", || {
        let module = vectors::build(project)?;
        count(&mut vectors::runner(project, module), "run the test vectors", tally)
    });
    if let Err(error) = ran {
        eprintln!("error: {error:#}");
        tally.add(false);
    }
}

/// Tells tests where the things are that they start.
pub fn with_places<'a>(command: &'a mut Command, project: &Project, daemon: &Path, browser: &Path) -> &'a mut Command {
    command
        .env("SEALDROP_BIN", daemon)
        .env("SEALDROP_CHROMIUM", browser)
        .env("SEALDROP_WEB", project.www().join("dist"))
        .env("SEALDROP_CLIENT", project.client().join("dist"))
}

/// Runs a test runner, passing its output on and adding its summaries to the tally.
///
/// Both of its outputs go through one pipe, in their order: nextest writes its summary to standard error.
fn count(command: &mut Command, purpose: &str, tally: &mut Tally) -> Result<()> {
    count_to(&mut std::io::stdout().lock(), command, purpose, tally)
}

fn count_to(shown: &mut impl Write, command: &mut Command, purpose: &str, tally: &mut Tally) -> Result<()> {
    let before = tally.failed;
    let (output, writer) = std::io::pipe().with_context(|| format!("cannot {purpose}"))?;
    let other = writer.try_clone().with_context(|| format!("cannot {purpose}"))?;
    command.stdout(writer).stderr(other);
    let child = command.spawn();
    // The command keeps its ends of the pipe, which would keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.with_context(|| format!("cannot {purpose}"))?;
    let mut reader = BufReader::new(output);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runner_says_on_either_output_is_counted() {
        let said = "echo 'test result: ok. 3 passed; 0 failed;'; echo '  Summary [ 1s] 2 tests run: 1 passed, 1 timed out' >&2; exit 100";
        let mut tally = Tally::default();
        let (mut shown, mut shell) = (Vec::new(), Command::new("sh"));
        count_to(&mut shown, shell.args(["-c", said]), "run a shell", &mut tally).expect("it starts");
        assert_eq!(shown.split(|byte| *byte == b'\n').count(), 3, "all of it is passed on");
        assert_eq!(tally, Tally { passed: 4, failed: 1 });
    }
}

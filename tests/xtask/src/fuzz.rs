//! `cargo xtask fuzz`: runs the targets of `tests/fuzz` for a minute each, or one of them for as long as wanted.
//!
//! libFuzzer with the compiler's own coverage counters: no other tool and no other toolchain is needed. What it learns stays
//! in the target folder; an input that breaks a target is printed with the command that repeats it, and belongs into the
//! target's seeds once it is mended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use crate::process;
use crate::project::Project;

const USAGE: &str = "usage: cargo xtask fuzz [TARGET] [--seconds N]";

/// Seconds for each target when none are given.
const SECONDS: u64 = 60;
/// Longest input, in bytes: a few group sizes of the kernels, or a deal as it is kept.
const MAX_INPUT: &str = "-max_len=8192";

/// What makes the compiler count which edges of the code an input reaches, and what it compares.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Fuzzes the named target, or all, one after the other; ends with how many inputs each was given, and all together.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let (only, seconds) = parse(args)?;
    let folder = project.root.join("tests/fuzz");
    let known = targets(&folder)?;
    let chosen: Vec<&String> = known
        .iter()
        .filter(|name| only.as_ref().is_none_or(|only| *name == only))
        .collect();
    if chosen.is_empty() {
        bail!(
            "there is no fuzz target of that name; there are: {}\n{USAGE}",
            known.join(", ")
        );
    }
    let built = project.target.join("fuzz");
    process::stage("fuzz: build", || build(project, &folder, &built))?;
    let mut counts = Vec::new();
    for name in chosen {
        let executions = process::stage(&format!("fuzz: {name}"), || fuzz(&folder, &built, name, seconds))?;
        counts.push((name.as_str(), executions));
    }
    println!("{}", summary(&counts));
    Ok(())
}

/// The last line: executions of each target, and of all.
fn summary(counts: &[(&str, u64)]) -> String {
    let total = ("total", counts.iter().map(|(_, count)| count).sum());
    let figures: Vec<String> = counts
        .iter()
        .chain([&total])
        .map(|(name, count)| format!("\"{name}\":{count}"))
        .collect();
    format!("{{{}}}", figures.join(","))
}

fn parse(args: &[String]) -> Result<(Option<String>, u64)> {
    let (mut only, mut seconds) = (None, SECONDS);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let number = words.next().and_then(|text| text.parse().ok());
                seconds = number.with_context(|| format!("--seconds takes a number\n{USAGE}"))?;
            }
            name if only.is_none() && !name.starts_with('-') => only = Some(name.to_owned()),
            other => bail!("`{other}` is not understood\n{USAGE}"),
        }
    }
    Ok((only, seconds))
}

/// The targets, by their files.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("targets");
    let entries = fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn build(project: &Project, folder: &Path, built: &Path) -> Result<()> {
    let mut cargo = project.cargo();
    cargo
        .current_dir(folder)
        // A target triple keeps the instrumentation away from build scripts.
        .args(["build", "--release", "--bins", "--target", &host(project)?])
        .env("CARGO_TARGET_DIR", built)
        .env("RUSTFLAGS", INSTRUMENTATION);
    process::run(&mut cargo, "build the fuzz targets")
}

/// The machine's own triple.
fn host(project: &Project) -> Result<String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(&project.root).arg("-vV");
    let text = process::answer(&mut rustc).context("rustc does not say what machine this is")?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc does not say what machine this is")?.to_owned())
}

/// Runs one target; returns how many inputs it was given.
fn fuzz(folder: &Path, built: &Path, name: &str, seconds: u64) -> Result<u64> {
    let corpus = built.join("corpus").join(name);
    let broken = built.join("broken").join(name);
    for path in [&corpus, &broken] {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    // Where targets keep what has to be in files.
    let scratch = built.join("scratch");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let mut command = Command::new(program(built, name)?);
    command
        .env("TMPDIR", &scratch)
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .args([MAX_INPUT, "-print_final_stats=1", "-verbosity=0"])
        .stderr(Stdio::piped());
    // Inputs that a target once broke at, and good ones to begin with.
    let seeds = folder.join("seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start the fuzz target {name}"))?;
    let output = child.stderr.take().context("a pipe was asked for")?;
    let mut executions = None;
    for line in BufReader::new(output).lines() {
        let line = line.with_context(|| format!("the output of the fuzz target {name} broke off"))?;
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = number.trim().parse().ok();
        }
        println!("  {line}");
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for the fuzz target {name}"))?;
    // What is left of it is of no use, and it is made again.
    let _ = fs::remove_dir_all(&scratch);
    if !status.success() {
        bail!(
            "an input breaks the fuzz target {name}; it lies in {}, and the messages are above",
            broken.display()
        );
    }
    executions.with_context(|| format!("the fuzz target {name} does not say how many inputs it was given"))
}

fn program(built: &Path, name: &str) -> Result<PathBuf> {
    let folders = fs::read_dir(built).with_context(|| format!("cannot list {}", built.display()))?;
    let mut candidates = folders.flatten().map(|folder| folder.path().join("release").join(name));
    candidates
        .find(|path| process::is_program(path))
        .with_context(|| format!("the fuzz target {name} was not built"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_the_executions_of_each_target_and_of_all() {
        assert_eq!(summary(&[("a", 2), ("b", 3)]), r#"{"a":2,"b":3,"total":5}"#);
    }

    #[test]
    fn a_target_and_a_time_are_read_in_any_order() {
        let parse = |text: &str| parse(&text.split_whitespace().map(String::from).collect::<Vec<_>>());
        assert_eq!(parse("").expect("all targets"), (None, SECONDS));
        assert_eq!(parse("msm --seconds 5").expect("one"), (Some("msm".into()), 5));
        assert_eq!(parse("--seconds 5 msm").expect("one"), (Some("msm".into()), 5));
        assert!(parse("msm field").is_err() && parse("--seconds soon").is_err() && parse("--long").is_err());
    }
}

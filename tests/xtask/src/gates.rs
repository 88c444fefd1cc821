//! Habits that are checked: formatting, lints, documentation, the page's code. Each gate counts as one test.
//!
//! Called by `test` after the build, and alone as `cargo xtask gates`, which is what to run before a commit.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, stage};
use crate::project::{Project, QUICK};
use crate::tally::Tally;

/// One gate: its name and what it runs.
type Gate = (&'static str, fn(&Project) -> Result<()>);

const GATES: [Gate; 6] = [
    ("the_code_is_formatted", formatted),
    ("the_code_has_no_lints", linted),
    ("the_documentation_has_no_warnings", documented),
    ("the_pages_code_is_formatted_and_has_no_lints", page_linted),
    ("the_pages_types_are_strict", page_typed),
    ("every_dependency_is_locked", locked),
];

/// Runs all gates; every one that fails is told, not only the first.
pub fn check(project: &Project, tally: &mut Tally) {
    for (name, gate) in GATES {
        let passed = stage(&format!("gate: {name}"), || gate(project));
        if let Err(error) = &passed {
            eprintln!("error: {error:#}");
        }
        println!("test {name} ... {}", if passed.is_ok() { "ok" } else { "FAILED" });
        tally.add(passed.is_ok());
    }
}

/// The gates alone.
pub fn run(project: &Project) -> Result<()> {
    crate::build::all(project)?;
    let mut tally = Tally::default();
    check(project, &mut tally);
    anyhow::ensure!(tally.is_good(), "not all gates are open: {tally}");
    println!("{tally}");
    Ok(())
}

fn formatted(project: &Project) -> Result<()> {
    has_component("fmt", "rustfmt")?;
    let mut cargo = project.cargo();
    process::run(
        cargo.args(["fmt", "--all", "--check"]),
        "find the code formatted (`cargo fmt --all` does it)",
    )
}

fn linted(project: &Project) -> Result<()> {
    has_component("clippy", "clippy")?;
    let mut cargo = project.cargo();
    cargo.args([
        "clippy",
        "--profile",
        QUICK,
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]);
    process::run(&mut cargo, "find the code without lints")
}

fn documented(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    // Documentation is read in the source as often as made; there private items can be followed.
    cargo.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    cargo.args(["doc", "--profile", QUICK, "--no-deps", "--quiet"]);
    process::run(&mut cargo, "make the documentation without warnings")
}

fn page_linted(project: &Project) -> Result<()> {
    let mut biome = Command::new(project.www().join("node_modules/.bin/biome"));
    biome
        .current_dir(&project.root)
        .args(["ci", "--error-on-warnings", "."]);
    process::run(
        &mut biome,
        "find the page's code formatted and without lints (`www/node_modules/.bin/biome check --write .` mends most)",
    )
}

/// The client's types were checked when it was built.
fn page_typed(project: &Project) -> Result<()> {
    let mut compiler = Command::new(project.www().join("node_modules/.bin/tsc"));
    compiler.current_dir(project.www()).arg("--noEmit");
    process::run(&mut compiler, "find the page's types right")
}

fn locked(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["metadata", "--locked", "--format-version", "1", "--quiet"]);
    process::answer(&mut cargo)
        .map(|_| ())
        .context("Cargo.lock does not fit the manifests: run `cargo build` once and commit it")
}

/// A part of the toolchain that small installations leave out.
fn has_component(subcommand: &str, component: &str) -> Result<()> {
    let asks = || process::answer(Command::new("cargo").args([subcommand, "--version"]));
    if asks().is_none() {
        // Not everybody's cargo comes from rustup: the second question says whether this helped.
        let _ = process::answer(Command::new("rustup").args(["component", "add", component]));
    }
    asks()
        .map(|_| ())
        .with_context(|| format!("`cargo {subcommand}` is missing: install {component}, for instance with `rustup component add {component}`"))
}

//! What has to be on the machine before anything is built or tested. Installs only what is missing.
//!
//! Called first by `build`, `up` and `test`. Network access is left to the clients of cargo, npm and apt.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::{apt, npm, process, wasm};

/// Oldest Node.js that runs the build and the tests (`node --test --test-concurrency`).
const OLDEST_NODE: (u32, u32) = (20, 10);

/// The browsers looked for, in this order, when SEALDROP_CHROMIUM does not name one.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Installs what building needs.
pub fn for_building(project: &Project) -> Result<()> {
    c_compiler()?;
    for_wasm(project)?;
    npm::install(&project.www(), "bundles the web page")
}

/// Installs what building the browser client needs.
pub fn for_wasm(project: &Project) -> Result<()> {
    node()?;
    // What is compiled for it is compiled beside the daemon.
    Toolchain::installed(project, wasm::SMALL)?;
    npm::install(
        &project.client(),
        "compiles the client's TypeScript, and makes its modules smaller",
    )
}

/// Installs the programs that our files are held against in the Rust tests.
pub fn for_rust_tests() -> Result<()> {
    if process::find(&["age"]).is_some() {
        return Ok(());
    }
    apt::install(&["age"], "read our encrypted files with the age program, in tests")
}

/// Installs what only the browser tests need; returns the browser's path.
pub fn for_browser_tests(project: &Project) -> Result<PathBuf> {
    npm::install(&project.browser_tests(), "drives the browser in tests")?;
    npm::install(
        &project.oracles(),
        "computes pieces' names independently, to compare in tests",
    )?;
    npm::install(&project.interop(), "makes deals by js-libp2p, in tests")?;
    npm::install(
        &project.package_tests(),
        "bundlers that dapps are built by, to try the npm package with in tests",
    )?;
    browser()
}

/// Installs what the browser's measurements need; returns the browser's path.
pub fn for_browser_bench(project: &Project) -> Result<PathBuf> {
    npm::install(&project.browser_bench(), "the packages that the bench compares with")?;
    npm::install(&project.browser_tests(), "drives the browser")?;
    browser()
}

/// A Chromium, by choice, from PATH, or installed.
fn browser() -> Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("SEALDROP_CHROMIUM") {
        let chosen = PathBuf::from(chosen);
        if !process::is_program(&chosen) {
            bail!(
                "SEALDROP_CHROMIUM names {}, which is no file; correct or unset it",
                chosen.display()
            );
        }
        return Ok(chosen);
    }
    if let Some(found) = process::find(&BROWSERS) {
        return Ok(found);
    }
    apt::install(&["chromium"], "test the page in a real browser")?;
    process::find(&BROWSERS)
        .context("chromium is installed but not in PATH; set SEALDROP_CHROMIUM to the path of a Chromium or Chrome")
}

fn c_compiler() -> Result<()> {
    // The `cc` crate also takes these; whoever sets them knows what they do.
    if std::env::var_os("CC").is_some() || process::find(&["cc", "gcc", "clang"]).is_some() {
        return Ok(());
    }
    apt::install(
        &["gcc", "libc6-dev"],
        "compile the elliptic-curve code of the proofs (C and assembly)",
    )
}

fn node() -> Result<()> {
    let (major, minor) = OLDEST_NODE;
    let advice = format!("install Node.js {major}.{minor} or newer with npm (https://nodejs.org) and put it in PATH");
    let version = process::answer(Command::new("node").arg("--version"))
        .with_context(|| format!("Node.js is missing, needed to build and test the web page: {advice}"))?;
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST_NODE {
        bail!("Node.js {version} is too old to build and test the web page: {advice}");
    }
    if process::find(&["npm"]).is_none() {
        bail!("npm is missing, needed to fetch the page's build tools: {advice}");
    }
    Ok(())
}

//! `cargo xtask bench transports`: files between browser and miner, over each transport and over plain connections (`tests/bench`), and
//! libp2p between two programs.
//!
//! `--before FOLDER` names a built checkout of an earlier version, to compare with in the same run. Without it the commit [`BEFORE`] is
//! checked out and built beside the target folder, once; `--before none` does without.

use super::take_json;
use crate::project::Project;
use crate::{build, process, setup};
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The last version whose only transport for browsers was WebSocket.
const BEFORE: &str = "7931245";
/// Bytes that go between two programs in each direction.
const NATIVE_BYTES: u64 = 1 << 30;

pub fn run(project: &Project, args: &[String]) -> Result<()> {
    build::for_benches(project)?;
    let browser = setup::for_browser_bench(project)?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--release", "--package", "sealdrop-bench"]);
    process::stage("bench: peer", || {
        process::run(&mut cargo, "build the other end of plain connections")
    })?;
    let peer = project
        .daemon()
        .with_file_name(format!("transport-peer{}", std::env::consts::EXE_SUFFIX));
    let (before, args) = before(project, args)?;
    let mut node = Command::new("node");
    process::without_package_variables(&mut node);
    node.arg(project.browser_bench().join("transports.mjs"))
        .arg(&peer)
        .args(args);
    if let Some(before) = before {
        node.arg("--before").arg(before);
    }
    for kind in ["tcp", "quic"] {
        node.env(format!("SEALDROP_NATIVE_{}", kind.to_uppercase()), native(&peer, kind)?);
    }
    node.env("SEALDROP_BIN", project.daemon())
        .env("SEALDROP_CHROMIUM", browser)
        .env("SEALDROP_CLIENT", project.client().join("dist"));
    process::run(&mut node, "measure transports in a browser")
}

/// What libp2p takes between two programs, as JSON.
fn native(peer: &Path, kind: &str) -> Result<String> {
    let mut command = Command::new(peer);
    command.args(["native", kind, &NATIVE_BYTES.to_string()]);
    process::stage(&format!("bench: {kind} between two programs"), || {
        take_json(&mut command)
    })
}

/// The folder of the version before, and the other arguments.
fn before<'a>(project: &Project, args: &'a [String]) -> Result<(Option<PathBuf>, Vec<&'a String>)> {
    let Some(at) = args.iter().position(|argument| argument == "--before") else {
        return Ok((Some(checked_out(project)?), args.iter().collect()));
    };
    let Some(folder) = args.get(at + 1) else {
        bail!("--before needs a FOLDER, or `none`")
    };
    let others = args.iter().enumerate().filter(|(i, _)| *i != at && *i != at + 1);
    let folder = (folder != "none").then(|| PathBuf::from(folder));
    Ok((folder, others.map(|(_, argument)| argument).collect()))
}

/// A checkout of [`BEFORE`] with its daemon and its client built.
fn checked_out(project: &Project) -> Result<PathBuf> {
    let folder = project.target.join("bench-before");
    if !folder.join("Cargo.toml").is_file() {
        let mut git = Command::new("git");
        git.current_dir(&project.root)
            .args(["worktree", "add", "--force", "--detach"])
            .arg(&folder)
            .arg(BEFORE);
        process::run(
            &mut git,
            "check the version before out (needs the repository's history; or give --before none)",
        )?;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    process::without_package_variables(&mut cargo);
    // A target folder of its own: the client's build writes into the checkout that it is run from.
    cargo
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .args(["xtask", "build"]);
    process::stage("bench: the version before", || {
        process::run(&mut cargo, "build the version before")
    })
    .context("--before none measures without it")?;
    Ok(folder)
}

//! The specification's test vectors in a real WebAssembly engine: compiled as the browser's client is, run by Node.
//!
//! Node and Chromium share their engine, and loading a module without JavaScript glue shows that the rules ask nothing
//! of it. Called by `test`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::wasm;

/// Compiles the checks; returns the module.
pub fn build(project: &Project) -> Result<PathBuf> {
    let toolchain = Toolchain::ready(project, wasm::TARGET)?;
    let mut cargo = toolchain.cargo(project, "build");
    cargo.args(["--package", "sealdrop-vectors", "--lib", "--profile", wasm::PROFILE]);
    process::run(&mut cargo, "compile the test vectors for WebAssembly")?;
    let built = toolchain.output(project).join(wasm::PROFILE);
    Ok(built.join("sealdrop_vectors.wasm"))
}

/// The command that runs them, except for its place in the tally.
pub fn runner(project: &Project, module: PathBuf) -> Command {
    let mut node = Command::new("node");
    process::without_package_variables(&mut node);
    node.env("SEALDROP_VECTORS", module)
        .args(["--test", "--test-reporter=spec", "--test-reporter-destination=stdout"])
        .arg(project.root.join("tests/vectors/run.test.mjs"));
    node
}

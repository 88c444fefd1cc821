//! `wasm-pack build client-wasm --target web` gives the module that the package ships: the same functions, with the same types.
//!
//! Called by `nightly`. Day to day `wasm` makes the module with the library that `wasm-pack` runs as a program: installing that takes minutes, and the
//! browser's optimizer that it finds in PATH may be one that breaks modules.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::process;
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::{build, wasm};

/// Builds with the `wasm-pack` program and compares what it made.
pub fn check(project: &Project, program: &Path) -> Result<()> {
    build::client(project)?;
    let toolchain = Toolchain::ready(project, wasm::TARGET)?;
    let made = project.target.join("wasm-pack");
    let mut command = Command::new(program);
    process::without_package_variables(&mut command);
    toolchain.lead(&mut command, &project.target.join("wasm-pack-tools"))?;
    command
        .current_dir(&project.root)
        .env("CARGO_TARGET_DIR", project.target.join("wasm-pack-target"))
        .args(["build", "client-wasm", "--target", "web", "--no-opt", "--out-dir"])
        .arg(&made);
    process::run(&mut command, "build the browser client with wasm-pack")?;
    for file in ["sealdrop_client.d.ts", "sealdrop_client_bg.wasm.d.ts"] {
        let own = read(&project.wasm_output().join(file))?;
        let theirs = read(&made.join(file))?;
        ensure!(
            functions(&own) == functions(&theirs),
            "wasm-pack's {file} says other functions than the package's"
        );
    }
    Ok(())
}

/// The functions that types name, in one order: each profile lays them out as it likes, and names closures by its own way of mangling.
fn functions(types: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = types.lines().filter(|line| !line.contains("closure")).collect();
    lines.sort_unstable();
    lines
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

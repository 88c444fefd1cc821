//! The npm packages of this repository: their dependencies and their `build` scripts.
//!
//! A package's contract: `package-lock.json` is committed, `npm run build` makes `dist/` and leaves `dist/wasm/` alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{bail, Result};

use crate::process;
use crate::project::Project;
use crate::stamp::Stamp;

/// Installs a package's dependencies into its own folder if its lock file changed since the last time.
/// `purpose` says what they do.
pub fn install(package: &Path, purpose: &str) -> Result<()> {
    let lock = package.join("package-lock.json");
    if !package.join("package.json").is_file() || is_installed(package, &lock) {
        return Ok(());
    }
    if !lock.is_file() {
        bail!(
            "{} is missing; run `npm install` in that folder once and commit the file",
            lock.display()
        );
    }
    println!("[setup] npm ci in {}: {purpose}", package.display());
    let mut command = npm(package);
    command.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    process::run_quiet(
        &mut command,
        &format!("install the npm packages of {}", package.display()),
    )
}

/// Runs a package's `build` script unless nothing that it reads has changed. `also` are inputs outside of its folder.
pub fn build(project: &Project, package: &Path, name: &str, also: &[PathBuf]) -> Result<()> {
    if !package.join("package.json").is_file() {
        bail!(
            "{} has no package.json, so there is nothing to build; is the checkout complete?",
            package.display()
        );
    }
    let mut inputs = vec![package.to_path_buf(), package.join("node_modules/.package-lock.json")];
    inputs.extend_from_slice(also);
    let stamp = Stamp::take(project, name, &inputs)?;
    if stamp.is_current(&package.join("dist")) {
        return Ok(());
    }
    println!("[build] npm run build in {}", package.display());
    process::run(
        npm(package).args(["run", "--silent", "build"]),
        &format!("build {}", package.display()),
    )?;
    stamp.save()
}

fn npm(package: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(package);
    // The tests use the system's browser.
    command.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    command
}

/// npm writes `node_modules/.package-lock.json` at the end of a successful installation.
fn is_installed(package: &Path, lock: &Path) -> bool {
    let changed = |file: &Path| fs::metadata(file).and_then(|about| about.modified()).ok();
    let installed: Option<SystemTime> = changed(&package.join("node_modules/.package-lock.json"));
    installed.is_some_and(|time| changed(lock).is_some_and(|wanted| time >= wanted))
}

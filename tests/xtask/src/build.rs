//! Builds in order: the daemon, the browser client, the web page. Each part is left alone if nothing of it changed.

use std::path::PathBuf;
use std::thread::ScopedJoinHandle;

use anyhow::Result;

use crate::process::{run, stage};
use crate::project::{Project, QUICK};
use crate::{npm, setup, wasm};

/// Sets up and builds everything.
pub fn all(project: &Project) -> Result<()> {
    everything(project, |project| daemon(project, QUICK), || Ok(()))
}

/// The same for whoever runs it elsewhere and for long: optimized as a whole.
pub fn for_release(project: &Project) -> Result<()> {
    everything(project, |project| daemon(project, "release"), || Ok(()))
}

/// The same with the programs that measure.
pub fn for_benches(project: &Project) -> Result<()> {
    everything(project, native, || Ok(()))
}

/// The same with the tests: what they need of dependencies beyond what the daemon does is a feature here and there, for which a build
/// of the daemon before would have half of them compiled twice. What they need beside it is fetched while compilers work; returns the browser's path.
pub fn for_tests(project: &Project) -> Result<PathBuf> {
    let natively = |project: &Project| {
        run(
            project
                .cargo()
                .args(["build", "--profile", QUICK, "--lib", "--bins", "--tests"]),
            "build the daemon and the tests",
        )
    };
    everything(project, natively, || {
        stage("setup: programs", setup::for_rust_tests)?;
        stage("setup: browser", || setup::for_browser_tests(project))
    })
}

fn everything<T: Send>(
    project: &Project,
    natively: impl FnOnce(&Project) -> Result<()>,
    beside: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    stage("setup", || setup::for_building(project))?;
    // Side by side: each of the client's modules is optimized as a whole at its end, by one core.
    let found = std::thread::scope(|scope| {
        let client = scope.spawn(|| stage("build: client", || package_client(project)));
        let beside = scope.spawn(beside);
        let native = stage("build: daemon", || natively(project));
        let (client, beside) = (joined(client), joined(beside));
        native.and(client)?;
        beside
    })?;
    stage("build: page", || page(project))?;
    Ok(found)
}

/// What a thread came to; its panic is this one's.
pub fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Sets up and builds the browser client only.
pub fn client(project: &Project) -> Result<()> {
    stage("setup", || setup::for_wasm(project))?;
    stage("build: client", || package_client(project))
}

/// The daemon alone: what only tests and measurements need takes minutes.
fn daemon(project: &Project, profile: &str) -> Result<()> {
    run(
        project.cargo().args([
            "build",
            "--profile",
            profile,
            "--package",
            "sealdrop",
            "--bin",
            "sealdrop",
        ]),
        "build the daemon",
    )
}

/// The daemon, all libraries, and the programs that measure them.
pub fn native(project: &Project) -> Result<()> {
    run(project.cargo().args(["build", "--release"]), "build the daemon")
}

fn package_client(project: &Project) -> Result<()> {
    wasm::build(project)?;
    let module = project.client().join("dist/wasm");
    npm::build(project, &project.client(), "client", &[module])
}

fn page(project: &Project) -> Result<()> {
    let client = project.client().join("dist");
    npm::build(project, &project.www(), "page", &[client])
}

//! Builds in order: the daemon, the browser client, the web page. Each part is left alone if nothing of it changed.

use anyhow::Result;

use crate::process::{run, stage};
use crate::project::{Project, TESTING};
use crate::{npm, setup, wasm};

/// Sets up and builds everything.
pub fn all(project: &Project) -> Result<()> {
    everything(project, daemon)
}

/// The same with the programs that measure.
pub fn for_benches(project: &Project) -> Result<()> {
    everything(project, native)
}

/// The same with the tests: what they need of dependencies beyond what the daemon does is a feature here and there, for which a build
/// of the daemon before would have half of them compiled twice.
pub fn for_tests(project: &Project) -> Result<()> {
    everything(project, |project| {
        run(
            project
                .cargo()
                .args(["build", "--profile", TESTING, "--lib", "--bins", "--tests"]),
            "build the daemon and the tests",
        )
    })
}

fn everything(project: &Project, natively: impl FnOnce(&Project) -> Result<()>) -> Result<()> {
    stage("setup", || setup::for_building(project))?;
    // Side by side: each of the client's modules is optimized as a whole at its end, by one core.
    std::thread::scope(|scope| {
        let client = scope.spawn(|| stage("build: client", || package_client(project)));
        stage("build: daemon", || natively(project))?;
        client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    stage("build: page", || page(project))
}

/// Sets up and builds the browser client only.
pub fn client(project: &Project) -> Result<()> {
    stage("setup", || setup::for_wasm(project))?;
    stage("build: client", || package_client(project))
}

/// The daemon alone: what only tests and measurements need takes minutes.
fn daemon(project: &Project) -> Result<()> {
    run(
        project
            .cargo()
            .args(["build", "--release", "--package", "sealdrop", "--bin", "sealdrop"]),
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

//! Proof that the rules need no system under them: `shared` is compiled for targets without one.
//!
//! `thumbv7em-none-eabi` has no clock, no files, no network, no randomness and no `std`, only `core` and `alloc`: what
//! compiles for it cannot do any of that. The browser's target is checked beside it, without any optional feature.
//! Called by `test`.

use anyhow::Result;

use crate::process::{self, stage};
use crate::project::Project;
use crate::tally::Tally;
use crate::toolchain::{Target, Toolchain};
use crate::wasm;

/// A small ARM processor with nothing on it. Its words have 32 bits, as the browser's have.
pub const TARGET: Target = Target {
    name: "thumbv7em-none-eabi",
    crates: "core,alloc",
    flags: &[],
    is_small: false,
    purpose: "check that the rules need no operating system",
};

/// Checks `shared` for both targets; each counts as one test.
pub fn check(project: &Project, tally: &mut Tally) {
    for target in [TARGET, wasm::TARGET] {
        let name = target.name;
        let checked = stage(&format!("test: shared for {name}"), || check_for(project, target));
        if let Err(error) = &checked {
            eprintln!("error: {error:#}");
        }
        println!(
            "test shared_builds_without_features_for {name} ... {}",
            if checked.is_ok() { "ok" } else { "FAILED" }
        );
        tally.add(checked.is_ok());
    }
}

fn check_for(project: &Project, target: Target) -> Result<()> {
    let toolchain = Toolchain::ready(project, target)?;
    let mut cargo = toolchain.cargo(project, "check");
    // As the client was built: the compiler's plug-ins are there already.
    cargo.args([
        "--profile",
        wasm::PROFILE,
        "--package",
        "sealdrop-shared",
        "--lib",
        "--no-default-features",
    ]);
    process::run(&mut cargo, &format!("compile the rules for {}", target.name))
}

//! `cargo xtask docs`: writes the documents and types that are made from the types. The tests that hold them against the types do it, so
//! that there is one place that knows how.

use anyhow::Result;

use crate::process;
use crate::project::Project;

/// Tells those tests to write.
const WRITE: &str = "SEALDROP_WRITE_DOCS";

/// The test of each document, as cargo is told.
const DOCUMENTS: [&[&str]; 4] = [
    &["--package", "sealdrop-shared", "--test", "openrpc"],
    &["--package", "sealdrop-client", "--test", "typescript"],
    // What the operator's requests are, and the metrics.
    &["--package", "sealdrop-miner", "--lib", "the_kept_document"],
    &[
        "--package",
        "sealdrop-miner",
        "--lib",
        "the_document_names_every_metric",
    ],
];

/// Writes them all.
pub fn write(project: &Project) -> Result<()> {
    for test in DOCUMENTS {
        let mut cargo = project.cargo();
        cargo.args(["test", "--release"]).args(test).env(WRITE, "1");
        process::run(&mut cargo, &format!("write what {} holds to the code", test[1]))?;
    }
    Ok(())
}

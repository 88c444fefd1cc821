//! `cargo xtask docs`: writes the documents and types that are made from the types. The tests that hold them against the types do it, so
//! that there is one place that knows how.

use anyhow::Result;

use crate::process;
use crate::project::Project;

/// Tells those tests to write.
const WRITE: &str = "SEALDROP_WRITE_DOCS";

/// Package and test of each document.
const DOCUMENTS: [(&str, &str); 2] = [("sealdrop-shared", "openrpc"), ("sealdrop-client", "typescript")];

/// Writes them all.
pub fn write(project: &Project) -> Result<()> {
    for (package, test) in DOCUMENTS {
        let mut cargo = project.cargo();
        cargo.args(["test", "--release", "--package", package, "--test", test]);
        process::run(cargo.env(WRITE, "1"), &format!("write the document of {package}"))?;
    }
    Ok(())
}

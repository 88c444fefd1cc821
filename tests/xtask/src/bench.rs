//! `cargo xtask bench`: finds the benchmarks of all packages by their files (`benches/NAME.rs`) and runs one.

use std::fs;

use anyhow::{bail, Result};

use crate::process;
use crate::project::Project;

/// Folders of the packages that may hold benchmarks.
const PACKAGES: [&str; 4] = ["shared", "miner-native", "miner-native/prover", "tests"];

/// Runs the named benchmark, or lists all.
pub fn run(project: &Project, name: Option<&str>) -> Result<()> {
    let known = names(project);
    match name {
        None if known.is_empty() => {
            println!("there are no benchmarks yet (a benchmark is a file benches/NAME.rs)")
        }
        None => println!("benchmarks: {}", known.join(", ")),
        Some(name) if known.iter().any(|known| known == name) => {
            // From the root, as every native build: see `build::native`.
            process::run(
                project.cargo().args(["bench", "--bench", name]),
                &format!("run the benchmark {name}"),
            )?;
        }
        Some(name) if known.is_empty() => {
            bail!("there is no benchmark `{name}`: no package has a file benches/NAME.rs")
        }
        Some(name) => bail!(
            "there is no benchmark `{name}`; there are: {}",
            known.join(", ")
        ),
    }
    Ok(())
}

fn names(project: &Project) -> Vec<String> {
    let mut names = Vec::new();
    for package in PACKAGES {
        let Ok(entries) = fs::read_dir(project.root.join(package).join("benches")) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(
                    path.file_stem()
                        .map(|stem| stem.to_string_lossy().into_owned()),
                );
            }
        }
    }
    names.sort();
    names
}

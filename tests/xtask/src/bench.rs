//! `cargo xtask bench`: `params`, `sealing`, and the benchmarks that it finds in the packages (`benches/NAME.rs`).

mod sealing;

use std::fs;

use anyhow::{bail, Context, Result};

use crate::process;
use crate::project::Project;

/// Folders of the packages that may hold benchmarks.
const PACKAGES: [&str; 4] = ["shared", "miner-native", "miner-native/prover", "tests"];

/// Generates proof parameters; a program with a report of its own, not a `benches` file.
const PARAMS: &str = "params";

/// Sealing as a whole: see the module.
const SEALING: &str = "sealing";

/// Runs the named benchmark with `args`, or lists all.
pub fn run(project: &Project, name: Option<&str>, args: &[String]) -> Result<()> {
    let known = names(project);
    match name {
        None => {
            println!("benchmarks: {}", known.join(", "));
            Ok(())
        }
        Some(PARAMS) => params(project, args),
        Some(SEALING) => sealing::run(project, args),
        // From the root, as every native build: see `build::native`.
        Some(name) if known.iter().any(|known| known == name) => process::run(
            project.cargo().args(["bench", "--bench", name, "--"]).args(args),
            &format!("run the benchmark {name}"),
        ),
        Some(name) => bail!("there is no benchmark `{name}`; there are: {}", known.join(", ")),
    }
}

/// Generates parameters from nothing, for sectors of the given bytes (2048 if none is given), and removes them.
fn params(project: &Project, sizes: &[String]) -> Result<()> {
    let folder = project.target.join("bench-params");
    let remove = || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    };
    remove()?; // left by an interrupted run
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut command = project.cargo();
    command
        .args(["run", "--release", "--example", "params", "--"])
        .arg(&folder);
    if sizes.is_empty() {
        command.arg("2048");
    }
    command.args(sizes);
    let outcome = process::stage("bench: params", || process::run(&mut command, "generate parameters"));
    remove()?;
    outcome
}

fn names(project: &Project) -> Vec<String> {
    let mut names = vec![PARAMS.to_owned(), SEALING.to_owned()];
    for package in PACKAGES {
        let Ok(entries) = fs::read_dir(project.root.join(package).join("benches")) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
    }
    names.sort();
    names
}

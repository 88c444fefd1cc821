//! `cargo xtask bench`: `params`, `scale`, `sealing`, `transports`, `files`, and the benchmarks that it finds in the packages (`benches/NAME.rs`).
//! `commp` and `verify` go on in Node and in a browser (`tests/bench`).

mod files;
mod scale;
mod sealing;
mod soak;
mod transports;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use crate::process;
use crate::project::Project;
use crate::{build, scenarios, setup};

/// Folders of the packages that may hold benchmarks.
const PACKAGES: [&str; 4] = ["shared", "miner-native/miner", "miner-native/prover", "tests"];

/// Generates proof parameters; a program with a report of its own, not a `benches` file.
const PARAMS: &str = "params";

/// A daemon through hours of bad luck: see the module.
const SOAK: &str = "soak";
/// Sealing as a whole: see the module.
const SEALING: &str = "sealing";
/// CommP natively, and then in the browser.
const COMMP: &str = "commp";
/// Proofs checked natively, against filecoin-proofs, and then in the browser.
const VERIFY: &str = "verify";
/// Many machines for one miner: see the module.
const SCALE: &str = "scale";
/// Files between browser and miner: see the module.
const TRANSPORTS: &str = "transports";
/// Files over HTTP: see the module.
const FILES: &str = "files";
/// Breaks each rule of the specification's scenarios, to see that a test falls: see [`scenarios`].
const SCENARIOS: &str = "scenarios";

/// Runs the named benchmark with `args`, or lists all.
pub fn run(project: &Project, name: Option<&str>, args: &[String]) -> Result<()> {
    let known = names(project);
    match name {
        None => {
            println!("benchmarks: {}", known.join(", "));
            Ok(())
        }
        Some(PARAMS) => params(project, args),
        Some(SOAK) => soak::run(project, args),
        Some(SEALING) => sealing::run(project, args),
        Some(COMMP) => in_browser_too(project, COMMP, "commp.mjs", args),
        Some(VERIFY) => in_browser_too(project, VERIFY, "verify.mjs", args),
        Some(TRANSPORTS) => transports::run(project, args),
        Some(SCALE) => scale::run(project, args),
        Some(FILES) => files::run(project, args),
        Some(SCENARIOS) => scenarios::run(project, args),
        // From the root, as every native build: see `build::native`.
        Some(name) if known.iter().any(|known| known == name) => process::run(
            project.cargo().args(["bench", "--bench", name, "--"]).args(args),
            &format!("run the benchmark {name}"),
        ),
        Some(name) => bail!("there is no benchmark `{name}`; there are: {}", known.join(", ")),
    }
}

/// The native benchmark, then the browser's, which ends with one JSON line for both.
fn in_browser_too(project: &Project, name: &str, script: &str, args: &[String]) -> Result<()> {
    build::client(project)?;
    let browser = setup::for_browser_bench(project)?;
    let native = process::stage("bench: native", || native(project, name, args))?;
    let mut node = Command::new("node");
    process::without_package_variables(&mut node);
    node.arg(project.browser_bench().join(script))
        .env("SEALDROP_CHROMIUM", browser)
        .env("SEALDROP_CLIENT", project.client().join("dist"))
        .env("SEALDROP_NATIVE", native);
    process::run(&mut node, &format!("measure {name} in Node and in a browser"))
}

/// The native part; gives its JSON.
fn native(project: &Project, name: &str, args: &[String]) -> Result<String> {
    let mut command = project.cargo();
    command.args(["bench", "--bench", name, "--"]).args(args);
    take_json(&mut command)
}

/// Runs a native measurement, showing all but its last line, the JSON, which is given back.
fn take_json(command: &mut Command) -> Result<String> {
    let purpose = "run the native benchmark";
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot {purpose}"))?;
    let output = child.stdout.take().context("the benchmark's output is piped")?;
    let mut json = String::new();
    for line in BufReader::new(output).lines() {
        let line = line.with_context(|| format!("cannot {purpose}: its output broke off"))?;
        match line.starts_with('{') {
            true => json = line,
            false => println!("{line}"),
        }
    }
    let status = child.wait().with_context(|| format!("cannot {purpose}"))?;
    if !status.success() || json.is_empty() {
        bail!("cannot {purpose}: it ended with {status}; its messages are above");
    }
    Ok(json)
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
    let mut names = [PARAMS, SCALE, SEALING, SOAK, FILES, TRANSPORTS, SCENARIOS]
        .map(str::to_owned)
        .to_vec();
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

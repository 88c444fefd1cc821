//! `cargo xtask nightly [PART]`: what takes too long for `test`. All parts in turn, or one of them by its name; a part that
//! fails does not keep the others from running.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::process::{self, stage};
use crate::project::Project;
use crate::{bench, build, fuzz, scenarios, test, wasm_pack};

struct Part {
    name: &'static str,
    what: &'static str,
    run: fn(&Project) -> Result<()>,
}

const PARTS: [Part; 12] = [
    Part {
        name: "licences",
        what: "licences, bans and sources of all dependencies (cargo-deny)",
        run: licences,
    },
    Part {
        name: "wasm-pack",
        what: "the browser client built by wasm-pack, which has to be the package's",
        run: |project| wasm_pack::check(project, &installed(project, "wasm-pack")?),
    },
    Part {
        name: "openapi",
        what: "the operator's API asked by its document (schemathesis)",
        run: openapi,
    },
    Part {
        name: "scenarios",
        what: "a mutation of each rule of the specification's scenarios, which their tests have to notice",
        run: |project| scenarios::run(project, &[]),
    },
    Part {
        name: "calls",
        what: "a million random calls of the chain's actors, its invariants checked after each",
        run: calls,
    },
    Part {
        name: "mutants",
        what: "a sample of mutants of the rules, each of which a test has to notice (cargo-mutants)",
        run: mutants,
    },
    Part {
        name: "fuzz",
        what: "ten minutes of random inputs for each fuzz target",
        run: |project| fuzz::run(project, &["--seconds".to_owned(), "600".to_owned()]),
    },
    Part {
        name: "power-loss",
        what: "a power loss at 4000 moments of a deal's life",
        run: |project| tool(project, "power-loss", &["4000"]),
    },
    Part {
        name: "shortages",
        what: "a full disk and no file descriptors at each twentieth of 400 lives' calls",
        run: |project| tool(project, "shortages", &["400"]),
    },
    Part {
        name: "kill-real",
        what: "kills in the middle of real proofs",
        run: |project| tool(project, "kill-matrix", &["--real"]),
    },
    Part {
        name: "hostile",
        what: "every attack of hostile peers; writes their table (shared/docs/attacks.md)",
        run: |project| {
            let table = project.root.join("shared/docs/attacks.md");
            tool(project, "hostile-peers", &[&table.to_string_lossy()])
        },
    },
    Part {
        name: "soak",
        what: "half an hour of deals, hostile peers, kills, power losses, full disks, lost logs and clock jumps",
        run: |project| bench::run(project, Some("soak"), &[]),
    },
];

/// The rules' folders of which mutants are made.
const MUTATED: [&str; 4] = [
    "shared/src/deal/**",
    "shared/src/payment/**",
    "shared/src/sector/**",
    "shared/src/client/**",
];
/// What only tests use.
const UNMUTATED: &str = "shared/src/client/testing.rs";
/// Every fourth mutant of all files: about 200, and the same ones each night. By default a shard is one stretch of the list: a
/// few files.
const SAMPLE: [&str; 4] = ["--shard", "0/4", "--sharding", "round-robin"];
/// Fewer random cases than in an ordinary run: every mutant repeats them.
const FEWER_CASES: [(&str, &str); 2] = [("MODEL_SEEDS", "20"), ("PROPTEST_CASES", "16")];

/// Runs the named part, or all.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let chosen: Vec<&Part> = match args {
        [] => PARTS.iter().collect(),
        [name] => PARTS.iter().filter(|part| part.name == name).collect(),
        _ => bail!("{}", usage()),
    };
    if chosen.is_empty() {
        bail!("{}", usage());
    }
    let mut failed = Vec::new();
    for part in chosen {
        if let Err(error) = stage(&format!("nightly: {}", part.name), || (part.run)(project)) {
            eprintln!("error: {error:#}");
            failed.push(part.name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn usage() -> String {
    let parts: Vec<String> = PARTS
        .iter()
        .map(|part| format!("  {:<11} {}", part.name, part.what))
        .collect();
    format!("usage: cargo xtask nightly [PART]\n\n{}", parts.join("\n"))
}

fn licences(project: &Project) -> Result<()> {
    let deny = installed(project, "cargo-deny")?;
    let mut command = Command::new(deny);
    // Advisories come from a place that not every machine reaches; what is in the repository can be checked anywhere.
    command
        .current_dir(&project.root)
        .args(["check", "licenses", "bans", "sources"]);
    process::run(&mut command, "find the dependencies as they should be")
}

/// Cases of up to 48 messages, 24 on average, whose invariants are checked after each message and block.
const CASES_OF_CALLS: &str = "42000";

fn calls(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.env("PROPTEST_CASES", CASES_OF_CALLS);
    cargo.args([
        "test",
        "--release",
        "--locked",
        "--package",
        "sealdrop-shared",
        "--lib",
        "--",
    ]);
    // This property alone: others have as many cases for their own reasons.
    cargo.args([
        "--exact",
        "chain::tests::sequence::no_sequence_of_messages_at_any_heights_loses_money_or_breaks_another_invariant",
    ]);
    process::run(&mut cargo, "keep the chain's invariants through random calls")
}

fn mutants(project: &Project) -> Result<()> {
    let mutants = installed(project, "cargo-mutants")?;
    let mut command = Command::new(mutants);
    command
        .current_dir(&project.root)
        .args(["mutants", "--package", "sealdrop-shared"]);
    for files in MUTATED {
        command.args(["--file", files]);
    }
    command.args(["--exclude", UNMUTATED]).args(SAMPLE).envs(FEWER_CASES);
    // No examples in the documentation: there are none, and looking for them takes longer than many tests.
    command
        .args(["--timeout", "300", "--cargo-test-arg=--tests", "--output"])
        .arg(&project.target);
    process::run(
        &mut command,
        "have every mutant noticed (survivors are in mutants.out of the target folder)",
    )
}

/// The version of schemathesis that is asked for.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Has schemathesis, from PyPI, ask a daemon by the document of its operator's API.
fn openapi(project: &Project) -> Result<()> {
    build::native(project)?;
    let own = project.target.join("schemathesis");
    let program = own.join("bin/schemathesis");
    if !process::is_program(&program) {
        let mut python = Command::new("python3");
        python.args(["-m", "venv"]).arg(&own);
        process::run(&mut python, "make a place for schemathesis (needs python3-venv)")?;
        let mut pip = Command::new(own.join("bin/pip"));
        pip.args(["install", "--quiet", SCHEMATHESIS]);
        process::run(&mut pip, "install schemathesis")?;
    }
    let mut node = Command::new("node");
    node.arg(project.root.join("tests/interop/operator-api.mjs"))
        .arg(program);
    let browser = PathBuf::new();
    process::run(
        test::with_places(&mut node, project, &project.daemon(), &browser),
        "have the operator's API hold to its document",
    )
}

/// A program of the tests' package.
pub fn tool(project: &Project, name: &str, args: &[&str]) -> Result<()> {
    build::native(project)?;
    let program = project.daemon().with_file_name(name);
    let mut command = Command::new(program);
    command.args(args);
    let browser = PathBuf::new();
    process::run(
        test::with_places(&mut command, project, &project.daemon(), &browser),
        &format!("run {name}"),
    )
}

/// A program of cargo's own registry, which is installed when it is missing.
pub fn installed(project: &Project, name: &str) -> Result<PathBuf> {
    let own = project.target.join("tools");
    let program = own.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if let Some(found) = process::find(&[name]) {
        return Ok(found);
    }
    if !process::is_program(&program) {
        let mut cargo = project.cargo();
        cargo.args(["install", "--locked", name, "--root"]).arg(&own);
        process::run(&mut cargo, &format!("install {name}"))?;
    }
    process::is_program(&program)
        .then_some(program)
        .with_context(|| format!("{name} was installed, but is not in {}", own.display()))
}

//! A copy of the tree in which rules are broken, and what its tests say.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::sources::Target;
use super::Mutation;
use crate::process;
use crate::project::Project;

/// The package of the rules: its tests need no optimised build, which would take longer than they do.
const RULES: &str = "sealdrop-shared";
/// The package of the tests that run the program.
const PROGRAM_TESTS: &str = "sealdrop-tests";
/// Longest run of a target's tests with their build, in seconds: the first build of all dependencies takes most of it.
const LIMIT: u64 = 3600;
/// The exit code of `timeout` when the time was up.
const TIMED_OUT: i32 = 124;

/// What tests said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// The names of those that failed.
    Fell(Vec<String>),
    /// A broken rule may also make a test wait for ever.
    TimedOut,
    NotCompiled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(f, "SURVIVED: every test passed"),
            Self::Fell(tests) => write!(f, "fell: {}", tests.join(", ")),
            Self::TimedOut => write!(f, "took longer than {LIMIT} s"),
            Self::NotCompiled => write!(f, "DOES NOT COMPILE"),
        }
    }
}

/// The copy, with a target folder of its own beside it: what is built from it must never be taken for the real program.
pub struct Copy<'p> {
    project: &'p Project,
    root: PathBuf,
    target: PathBuf,
}

impl<'p> Copy<'p> {
    /// Copies what changed since the last time, so that cargo builds only that again.
    pub fn of(project: &'p Project) -> Result<Self> {
        let folder = project.target.join("scenarios");
        let (root, target) = (folder.join("tree"), folder.join("target"));
        let list = process::answer(Command::new("git").current_dir(&project.root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]));
        let list = list.context("the copy is made of the files that git lists, and it lists none")?;
        let mut kept = BTreeSet::new();
        for name in list.lines() {
            // One that was deleted is still listed.
            if project.root.join(name).is_file() {
                update(&project.root.join(name), &root.join(name))?;
                kept.insert(root.join(name));
            }
        }
        remove_others(&root, &kept)?;
        Ok(Self { project, root, target })
    }

    /// Breaks a rule and runs the targets until one falls.
    pub fn broken(&self, mutation: &Mutation, targets: &[Target]) -> Result<Outcome> {
        let path = self.root.join(&mutation.file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let write = |text: &str| fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()));
        write(&mutation.of(&text)?)?;
        let mut outcome = Ok(Outcome::Passed);
        for target in targets {
            outcome = self.run(target);
            if !matches!(outcome, Ok(Outcome::Passed)) {
                break;
            }
        }
        write(&text)?;
        outcome
    }

    /// Runs a target's tests as the copy stands.
    pub fn run(&self, target: &Target) -> Result<Outcome> {
        if target.package == PROGRAM_TESTS
            && !self
                .cargo(&["build", "--release", "-p", "sealdrop"])
                .status()?
                .success()
        {
            return Ok(Outcome::NotCompiled);
        }
        let profile: &[&str] = if target.package == RULES { &[] } else { &["--release"] };
        let mut command = self.cargo(&["test", "--no-fail-fast", "-p", &target.package]);
        command.args(profile).args(&target.which).arg("--").args(&target.tests);
        let output = command.output().context("cannot start cargo")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let outcome = match output.status.code() {
            Some(TIMED_OUT) => Outcome::TimedOut,
            _ => judge(&said, output.status.success()),
        };
        if outcome == Outcome::NotCompiled {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(outcome)
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let cargo = self.project.cargo();
        let mut command = Command::new("timeout");
        process::without_package_variables(&mut command);
        command
            .args(["--kill-after", "10", &LIMIT.to_string()])
            .arg(cargo.get_program())
            .args(args)
            .arg("--quiet")
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("SEALDROP_BIN", self.target.join("release/sealdrop"));
        command
    }
}

/// What libtest's output says. A run without its last line did not get as far as the tests, or a test ended the process.
fn judge(said: &str, succeeded: bool) -> Outcome {
    let names = said
        .lines()
        .filter_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"));
    let failed: Vec<String> = names.map(str::to_owned).collect();
    match (succeeded, failed.is_empty(), said.contains("running ")) {
        (true, ..) => Outcome::Passed,
        (false, true, false) => Outcome::NotCompiled,
        (false, true, true) => Outcome::Fell(vec!["the tests' process".to_owned()]),
        (false, false, _) => Outcome::Fell(failed),
    }
}

/// Copies a file when the copy differs.
fn update(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|copy| copy == bytes) {
        return Ok(());
    }
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // With its permissions: some are programs.
    fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tests_say_tells_a_fall_from_a_pass_and_from_what_does_not_compile() {
        let fell = "running 2 tests\n\n---- chain::one stdout ----\npanicked\n\nfailures:\n    chain::one\n";
        assert_eq!(judge(fell, false), Outcome::Fell(vec!["chain::one".into()]));
        assert_eq!(judge("\nrunning 2 tests\n..\n", true), Outcome::Passed);
        assert_eq!(judge("", false), Outcome::NotCompiled);
        assert!(matches!(judge("running 1 test\n", false), Outcome::Fell(_)));
    }

    #[test]
    fn a_copy_follows_what_was_changed_and_removed() {
        let folder = std::env::temp_dir().join(format!("sealdrop-scenarios-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to/below"));
        fs::create_dir_all(&folder).expect("a folder");
        for text in ["one", "two"] {
            fs::write(&from, text).expect("a file");
            update(&from, &to).expect("copied");
            assert_eq!(fs::read_to_string(&to).expect("it is there"), text);
        }
        remove_others(&folder, &BTreeSet::from([from.clone()])).expect("removed");
        assert!(from.exists() && !to.exists());
        fs::remove_dir_all(&folder).expect("removed");
    }
}

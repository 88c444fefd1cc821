//! Which tests there are, which scenarios they name, and with which command of cargo each is run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

/// Folders with tests in them.
const FOLDERS: [&str; 4] = ["shared", "miner-native", "client-wasm", "tests"];
/// Where it is written that a test is about a scenario; its number follows.
const MARK: &str = "spec §9.";

/// A test with a mark.
#[derive(Debug, Clone, PartialEq)]
struct Marked {
    name: String,
    /// Below the root.
    file: PathBuf,
    numbers: Vec<usize>,
}

/// The tests of the tree that name scenarios.
pub struct Sources {
    marked: Vec<Marked>,
    /// The name of the package of each file.
    packages: BTreeMap<PathBuf, Package>,
}

#[derive(Debug, Clone)]
struct Package {
    name: String,
    /// Its folder, below the root.
    folder: PathBuf,
}

/// Tests that one call of cargo runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The first file with one of the tests, below the root; `shared` comes first because its tests take seconds.
    pub file: PathBuf,
    pub package: String,
    /// `--lib`, or `--test NAME`.
    pub which: Vec<String>,
    pub tests: Vec<String>,
}

impl Target {
    /// Whether one call of cargo runs the tests of both.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.package == other.package && self.which == other.which
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.which.join(" "))
    }
}

impl Sources {
    pub fn of(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for folder in FOLDERS {
            walk(&root.join(folder), &mut files)?;
        }
        files.sort();
        let (mut marked, mut packages) = (Vec::new(), BTreeMap::new());
        for path in files {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let file = path
                .strip_prefix(root)
                .context("it was found below the root")?
                .to_path_buf();
            let found = marks(&file, &text);
            if !found.is_empty() {
                packages.insert(file, package(root, &path)?);
            }
            marked.extend(found);
        }
        Ok(Self { marked, packages })
    }

    /// The numbers that tests name.
    #[cfg(test)]
    pub fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.marked.iter().flat_map(|test| test.numbers.iter().copied())
    }

    /// How these tests of a scenario are run; an error when one of them is not there or does not name the scenario.
    pub fn targets(&self, number: usize, tests: &[String]) -> Result<Vec<Target>> {
        let mut targets: Vec<Target> = Vec::new();
        for name in tests {
            let of = |test: &&Marked| test.name == *name && test.numbers.contains(&number);
            let found: Vec<&Marked> = self.marked.iter().filter(of).collect();
            ensure!(
                !found.is_empty(),
                "9.{number}: no test `{name}` says \"{MARK}{number}\""
            );
            for test in found {
                let package = self.packages.get(&test.file).context("every file has its package")?;
                let which = which(package, &test.file)?;
                let same = |target: &&mut Target| target.package == package.name && target.which == which;
                match targets.iter_mut().find(same) {
                    Some(target) => target.tests.push(name.clone()),
                    None => targets.push(Target {
                        file: test.file.clone(),
                        package: package.name.clone(),
                        which,
                        tests: vec![name.clone()],
                    }),
                }
            }
        }
        targets.sort_by_key(|target| (!target.file.starts_with("shared"), target.file.clone()));
        Ok(targets)
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            let made = name.starts_with("target") || ["node_modules", "pkg", "dist"].contains(&&*name);
            // The texts of this module's own tests are no tests.
            if !made && !path.ends_with("xtask/src/scenarios") {
                walk(&path, found)?;
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The tests of a file whose comments name scenarios.
fn marks(file: &Path, text: &str) -> Vec<Marked> {
    let (mut found, mut numbers, mut is_test) = (Vec::new(), Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
            numbers.extend(
                comment
                    .split(MARK)
                    .skip(1)
                    .filter_map(|rest| digits(rest).parse::<usize>().ok()),
            );
        } else if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else {
            let function = line.split_once("fn ").map(|(_, rest)| rest);
            let function = function.and_then(|rest| rest.split(['(', '<']).next());
            if let (Some(name), true, false) = (function, is_test, numbers.is_empty()) {
                let (name, file) = (name.to_owned(), file.to_owned());
                found.push(Marked {
                    name,
                    file,
                    numbers: numbers.clone(),
                });
            }
            numbers.clear();
            is_test = false;
        }
    }
    found
}

/// The package that a file belongs to.
fn package(root: &Path, file: &Path) -> Result<Package> {
    let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    let mut manifests = folders.map(|folder| (folder, folder.join("Cargo.toml")));
    let (folder, manifest) = manifests
        .find(|(_, manifest)| manifest.is_file())
        .with_context(|| format!("{} belongs to no package", file.display()))?;
    let text = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let parsed: toml::Table =
        toml::from_str(&text).with_context(|| format!("{} is no manifest", manifest.display()))?;
    let name = parsed.get("package").and_then(|package| package.get("name")?.as_str());
    Ok(Package {
        name: name
            .with_context(|| format!("{} names no package", manifest.display()))?
            .to_owned(),
        folder: folder.strip_prefix(root)?.to_owned(),
    })
}

/// The library's own tests, or the file or folder of tests below the package's.
fn which(package: &Package, file: &Path) -> Result<Vec<String>> {
    let inner = file.strip_prefix(&package.folder)?;
    if inner.starts_with("src") {
        return Ok(vec!["--lib".to_owned()]);
    }
    let inner = inner.strip_prefix("tests").unwrap_or(inner);
    let first = inner.iter().next().map(Path::new).and_then(Path::file_stem);
    let name = first.with_context(|| format!("{} is no file of tests", file.display()))?;
    Ok(vec!["--test".to_owned(), name.to_string_lossy().into_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_named_by_a_tests_own_comment_only() {
        let text = "/// spec §9.3, spec §9.14: both\n#[tokio::test]\nasync fn one() {}\n/// (spec §9.4)\nfn rule() {}\n// spec §9.5\n#[test]\nfn two() {}\n";
        let file = Path::new("file");
        let one = Marked {
            name: "one".into(),
            file: file.into(),
            numbers: vec![3, 14],
        };
        assert_eq!(marks(file, text), [one]);
    }

    #[test]
    fn a_test_is_run_with_its_library_its_file_or_its_folder() {
        let which = |folder: &str, file: &str| {
            let package = Package {
                name: "p".into(),
                folder: folder.into(),
            };
            which(&package, Path::new(file)).expect("it holds tests").join(" ")
        };
        assert_eq!(which("shared", "shared/src/chain/tests/broker.rs"), "--lib");
        assert_eq!(which("shared", "shared/tests/machines.rs"), "--test machines");
        assert_eq!(which("shared", "shared/tests/model/main.rs"), "--test model");
        assert_eq!(which("tests", "tests/commands/paying.rs"), "--test commands");
        assert_eq!(which("tests", "tests/lifecycle.rs"), "--test lifecycle");
    }
}

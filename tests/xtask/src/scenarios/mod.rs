//! The scenarios of the specification's section 9 (`tests/scenarios.toml`): each has its rule, the tests that hold it, and
//! one-line mutations that break it.
//!
//! The tests of this module, which are in the test command, keep the table true: the tests are there and say which scenario
//! they are about, and what is to be mutated stands where the table says. [`run`] shows that the tests hold what they say: it
//! applies each mutation to a copy of the tree, runs the scenario's tests there, and reports which one fell.

mod breaking;
mod sources;

use std::fs;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::process;
use crate::project::Project;
use breaking::{Copy, Outcome};
use sources::{Sources, Target};

const USAGE: &str = "usage: cargo xtask bench scenarios [NUMBER ...] [--within FOLDER]";
/// The table, below the root.
const TABLE: &str = "tests/scenarios.toml";
/// Scenarios of the specification.
const COUNT: usize = 55;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    scenario: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// N of the specification's 9.N.
    number: usize,
    title: String,
    /// What must hold, in words.
    rule: String,
    /// Functions; each says `spec §9.N` in its comment.
    tests: Vec<String>,
    mutations: Vec<Mutation>,
}

/// A change of one line that breaks a rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    /// Below the root.
    file: String,
    /// Stands in the file exactly once.
    old: String,
    new: String,
}

impl Table {
    fn read(root: &Path) -> Result<Self> {
        let path = root.join(TABLE);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a table of scenarios", path.display()))
    }
}

impl Mutation {
    /// The text of its file after the change.
    fn of(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.old).count();
        ensure!(found == 1, "`{}` stands {found} times in {}", self.old, self.file);
        Ok(text.replacen(&self.old, &self.new, 1))
    }
}

/// What is to be broken, and which tests are run.
#[derive(Debug, Default, PartialEq)]
struct Selection {
    /// All when none is named.
    numbers: Vec<usize>,
    /// Only tests in this folder, such as `shared`, whose tests take seconds.
    within: Option<String>,
}

impl Selection {
    fn parse(args: &[String]) -> Result<Self> {
        let mut selection = Self::default();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            match (word.as_str(), word.parse()) {
                ("--within", _) => selection.within = Some(words.next().context(USAGE)?.clone()),
                (_, Ok(number)) if (1..=COUNT).contains(&number) => selection.numbers.push(number),
                _ => bail!("`{word}` is not understood\n{USAGE}"),
            }
        }
        Ok(selection)
    }

    fn has(&self, scenario: &Scenario) -> bool {
        self.numbers.is_empty() || self.numbers.contains(&scenario.number)
    }

    /// The targets with these tests in them, the cheapest first.
    fn targets(&self, sources: &Sources, scenario: &Scenario) -> Result<Vec<Target>> {
        let mut targets = sources.targets(scenario.number, &scenario.tests)?;
        if let Some(folder) = &self.within {
            targets.retain(|target| target.file.starts_with(folder));
        }
        Ok(targets)
    }
}

/// Breaks every rule and says which test fell. Fails when a rule was broken and none did.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let selection = Selection::parse(args)?;
    let (table, sources) = (Table::read(&project.root)?, Sources::of(&project.root)?);
    let mut chosen = Vec::new();
    for scenario in table.scenario.iter().filter(|scenario| selection.has(scenario)) {
        chosen.push((scenario, selection.targets(&sources, scenario)?));
    }
    let copy = Copy::of(project)?;
    process::stage("scenarios: unbroken", || passes(&copy, &chosen))?;
    let mut counts = Counts::default();
    for (scenario, targets) in &chosen {
        if targets.is_empty() {
            counts.left_out += 1;
            continue;
        }
        println!("9.{} {}: {}", scenario.number, scenario.title, scenario.rule);
        for mutation in &scenario.mutations {
            let outcome = copy.broken(mutation, targets)?;
            println!("  {}: `{}` {outcome}", mutation.file, mutation.old);
            counts.count(&outcome);
        }
    }
    println!("{}", counts.json());
    ensure!(
        counts.survived + counts.unusable == 0,
        "rules were broken, and no test fell: see above"
    );
    Ok(())
}

/// Checks that the tests pass before anything is broken.
fn passes(copy: &Copy, chosen: &[(&Scenario, Vec<Target>)]) -> Result<()> {
    let mut all: Vec<Target> = Vec::new();
    for target in chosen.iter().flat_map(|(_, targets)| targets) {
        match all.iter_mut().find(|known| known.is_beside(target)) {
            Some(known) => known.tests.extend(target.tests.iter().cloned()),
            None => all.push(target.clone()),
        }
    }
    for target in all {
        let outcome = copy.run(&target)?;
        ensure!(
            outcome == Outcome::Passed,
            "without any mutation, of {target} {outcome}"
        );
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    fell: usize,
    survived: usize,
    unusable: usize,
    left_out: usize,
}

impl Counts {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Fell(_) | Outcome::TimedOut => self.fell += 1,
            Outcome::Passed => self.survived += 1,
            Outcome::NotCompiled => self.unusable += 1,
        }
    }

    fn json(&self) -> String {
        let Self {
            fell,
            survived,
            unusable,
            left_out,
        } = self;
        format!(
            "{{\"fell\":{fell},\"survived\":{survived},\"doNotCompile\":{unusable},\"scenariosLeftOut\":{left_out}}}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors().nth(2).expect("xtask lies two folders below the root")
    }

    fn table() -> Table {
        Table::read(root()).expect("the table is kept with the tests")
    }

    #[test]
    fn every_scenario_has_a_title_a_rule_tests_and_a_mutation() {
        let numbers: Vec<usize> = table().scenario.iter().map(|scenario| scenario.number).collect();
        assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
        for Scenario {
            number,
            title,
            rule,
            tests,
            mutations,
        } in table().scenario
        {
            assert!(!title.is_empty() && rule.ends_with('.'), "9.{number}");
            assert!(!tests.is_empty() && !mutations.is_empty(), "9.{number}");
        }
    }

    #[test]
    fn the_tests_of_a_scenario_are_there_and_say_which_scenario_they_hold() {
        let sources = Sources::of(root()).expect("the sources can be read");
        let missing: Vec<String> = table()
            .scenario
            .iter()
            .filter_map(|scenario| sources.targets(scenario.number, &scenario.tests).err())
            .map(|error| format!("{error}"))
            .collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
        let unknown: Vec<usize> = sources
            .numbers()
            .filter(|number| !(1..=COUNT).contains(number))
            .collect();
        assert!(unknown.is_empty(), "the specification has no scenario {unknown:?}");
    }

    #[test]
    fn what_a_mutation_changes_stands_in_its_file_once() {
        let mut wrong = Vec::new();
        for scenario in table().scenario {
            for mutation in scenario.mutations {
                assert!(!mutation.old.contains('\n') && !mutation.new.contains('\n') && mutation.old != mutation.new);
                let text = fs::read_to_string(root().join(&mutation.file)).unwrap_or_default();
                wrong.extend(
                    mutation
                        .of(&text)
                        .err()
                        .map(|error| format!("9.{}: {error}", scenario.number)),
                );
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn scenarios_and_a_folder_are_chosen_in_any_order() {
        let parse = |text: &str| Selection::parse(&text.split_whitespace().map(String::from).collect::<Vec<_>>());
        assert_eq!(parse("").expect("all"), Selection::default());
        let chosen = Selection {
            numbers: vec![7, 55],
            within: Some("shared".into()),
        };
        assert_eq!(parse("7 --within shared 55").expect("two"), chosen);
        assert!(parse("56").is_err() && parse("--within").is_err() && parse("soon").is_err());
    }
}

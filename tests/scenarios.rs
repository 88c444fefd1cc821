//! Every scenario of the specification's section 9 has a test: its doc comment says `spec §9.N`. The table of them is
//! `SCENARIOS.md` beside this file; `SEALDROP_WRITE_SCENARIOS=1 cargo test --release --test scenarios` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What each scenario is about, in the specification's order: the first is 1.
const TITLES: [&str; 55] = [
    "a proposal carries data CID, duration, miner, signature and the DAG's size",
    "total price = ask price × size × duration",
    "channel id and message in the proposal are those of the payment",
    "a long deal's vouchers: ascending heights and amounts, conditions on the miner",
    "the accepted response is returned and kept",
    "a free deal has no channel and no vouchers",
    "a second identical proposal is refused unless duplicates are allowed",
    "a response altered after signing is refused",
    "proposals round-trip through CBOR with channel and vouchers",
    "the same data with two miners is no duplicate",
    "a query is answered after both sides restarted",
    "payments of a deal are listed with amounts and heights",
    "a piece larger than the sector is refused with both sizes",
    "a deal with one's own miner is refused",
    "the line of list-asks",
    "ten equal payments, the last unconditional",
    "payments that do not divide: the last is the full value",
    "a deal shorter than the interval has one unconditional voucher",
    "a payment without payer, payee, interval, or with too early an expiry is refused",
    "errors of sending, waiting, receipt and query surface",
    "voucher conditions: valid, and each field wrong",
    "redeeming picks the best voucher that is due; preview returns the gas",
    "a sufficient price is accepted, stored and signed",
    "price 0 without payment is accepted",
    "too low a price is refused with both prices, signed",
    "missing channel, wrong target, eol, vouchers, voucher signature",
    "payments that start late, are too far apart, or too small",
    "a bad proposal signature",
    "a piece of 2000 bytes for a sector of 1016",
    "the awaiting-seal state survives a restart",
    "a commitment completes the deal with everything a client checks",
    "errors at a new head",
    "when a proof is submitted within its window",
    "deals attached before and after a successful seal",
    "deals attached before and after a failed seal",
    "the fee of a proof, and when it is too late or too early",
    "channel money: create, redeem, close, and each refusal",
    "conditional redemption, and each way it fails",
    "cached conditions",
    "cancelling a channel, and what undoes it",
    "reclaim, extend, ls and voucher of a channel",
    "a voucher's signature binds its condition",
    "redeeming against a really sealed sector",
    "collateral, second commit, power one period behind, faults",
    "proofs on time, late with fee, too late; where the seed is sampled",
    "slashing: inactive, too early, once",
    "verifying a piece's inclusion on the chain",
    "asks; who may change worker and peer id",
    "the storage market: late miners, sector sizes, who may update",
    "the slasher: many miners, once each, not itself",
    "deals list and show",
    "deals redeem pays the price less the gas",
    "add-piece and seal-now raise the power",
    "retrieval of an unknown CID, and from oneself",
    "the round trip, to the last voucher redeemed",
];

/// Folders with tests in them.
const SOURCES: [&str; 4] = ["shared", "miner-native", "client-wasm", "tests"];

/// Where it is written that a test is about a scenario; its number follows.
const MARK: &str = "spec §9.";

/// A test that names scenarios: file and function.
type Named = BTreeMap<usize, Vec<String>>;

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in the workspace").to_owned()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).expect("a folder of the workspace can be read");
    for entry in entries {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with("target") && !["node_modules", "pkg", "dist"].contains(&name) {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// The numbers after each mark of a text.
fn numbers(text: &str) -> Vec<usize> {
    let after = text.split(MARK).skip(1);
    let digits = after.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

/// Finds the tests of a source whose doc comments name scenarios.
fn read(name: &str, source: &str, found: &mut Named) {
    let mut named: Vec<usize> = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            named.extend(numbers(doc));
        } else if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else {
            let function = line.split_once("fn ").map(|(_, rest)| rest);
            let function = function.and_then(|rest| rest.split(['(', '<']).next());
            if let (Some(function), true) = (function, is_test) {
                for number in &named {
                    let tests = found.entry(*number).or_default();
                    let test = format!("{name}: {function}");
                    if !tests.contains(&test) {
                        tests.push(test);
                    }
                }
            }
            named.clear();
            is_test = false;
        }
    }
}

fn all() -> Named {
    let root = workspace();
    let mut files = Vec::new();
    for folder in SOURCES {
        sources(&root.join(folder), &mut files);
    }
    files.sort();
    let mut found = Named::new();
    for path in files.iter().filter(|path| !path.ends_with(file!())) {
        let source = std::fs::read_to_string(path).expect("a source is text");
        let name = path.strip_prefix(&root).expect("it was found in the workspace");
        read(&name.display().to_string(), &source, &mut found);
    }
    found
}

fn table(found: &Named) -> String {
    let mut text = String::from(
        "# Scenarios of the specification's section 9, and the tests that hold them\n\n\
         Written by `SEALDROP_WRITE_SCENARIOS=1 cargo test --release --test scenarios`.\n\n\
         | § | scenario | tests |\n|-|-|-|\n",
    );
    for (index, title) in TITLES.iter().enumerate() {
        let number = index + 1;
        let tests = found.get(&number).map(|tests| tests.join("<br>")).unwrap_or_default();
        writeln!(text, "| 9.{number} | {title} | {tests} |").expect("writing to a String cannot fail");
    }
    text
}

#[test]
fn every_scenario_has_a_test_that_names_it() {
    let found = all();
    let missing: Vec<String> = (1..=TITLES.len())
        .filter(|number| !found.contains_key(number))
        .map(|number| format!("9.{number} ({})", TITLES[number - 1]))
        .collect();
    assert!(
        missing.is_empty(),
        "no test says \"{MARK}N\" for {}",
        missing.join(", ")
    );
    let unknown: Vec<_> = found
        .keys()
        .filter(|number| !(1..=TITLES.len()).contains(number))
        .collect();
    assert!(
        unknown.is_empty(),
        "the specification has no scenario {unknown:?}: {found:?}"
    );
}

#[test]
fn the_table_of_scenarios_is_as_the_tests_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SCENARIOS.md");
    let table = table(&all());
    if std::env::var_os("SEALDROP_WRITE_SCENARIOS").is_some() {
        std::fs::write(&path, &table).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == table,
        "{} is out of date: write it anew with SEALDROP_WRITE_SCENARIOS=1 cargo test --release --test scenarios",
        path.display()
    );
}

#[test]
fn a_scenario_is_named_by_a_tests_doc_comment_only() {
    let source = "/// spec §9.3, spec §9.14: both\n#[tokio::test]\nasync fn one() {}\n/// (spec §9.4)\nfn rule() {}\n// spec §9.5\n#[test]\nfn two() {}\n";
    let mut found = Named::new();
    read("file", source, &mut found);
    let expected = [3, 14].map(|number| (number, vec!["file: one".to_owned()]));
    assert_eq!(found, Named::from(expected));
}

//! Turns tests of `shared` and of its encryption into functions that a module can export: a test harness needs more than a WebAssembly engine
//! has. Each `#[test]` of [`FILES`] becomes an entry of its module's `CHECKS`, by its name.

use std::path::Path;
use std::{env, fs};

/// Folders and tests that use `ciborium`, `cid`, `hex`, `serde_json`, `sha2` and the crate that they test only.
const FILES: [(&str, &str); 4] = [
    ("shared/tests", "vectors"),
    ("shared/tests", "canonical"),
    ("shared/tests", "piece"),
    ("shared/encryption/tests", "ciphertext"),
];
const ATTRIBUTE: &str = "#[test]\nfn ";

fn main() {
    // Asked when it runs: a built script may run in a checkout that was moved.
    let package = env::var("CARGO_MANIFEST_DIR").expect("cargo names it");
    let root = Path::new(&package).join("../..");
    let output = env::var("OUT_DIR").expect("cargo names it");
    for (tests, name) in FILES {
        let file = root.join(tests).join(name).with_extension("rs");
        println!("cargo:rerun-if-changed={}", file.display());
        let text = fs::read_to_string(&file).expect("the tests are part of the checkout");
        let target = Path::new(&output).join(name).with_extension("rs");
        fs::write(target, module_of(name, &text)).expect("cargo's folder can be written");
    }
}

fn module_of(file: &str, text: &str) -> String {
    let names: Vec<&str> = text
        .split(ATTRIBUTE)
        .skip(1)
        .map(|test| test.split_once('(').expect("a function has parentheses").0)
        .collect();
    assert!(!names.is_empty(), "{file} has no tests");
    let marked = text
        .lines()
        .filter(|line| line.trim_start().starts_with("#["))
        .filter(|line| line.contains("test"));
    assert_eq!(
        names.len(),
        marked.count(),
        "a test of {file} is not `#[test]`, then `fn`"
    );
    let entries: String = names.iter().map(|name| format!("(\"{name}\", {name}),")).collect();
    // The file's own description cannot stand inside of a module.
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("//!") && !line.starts_with("#[test]"))
        .map(|line| format!("{line}\n"))
        .collect();
    format!("{body}\npub const CHECKS: &[(&str, fn())] = &[{entries}];\n")
}

//! Turns the tests of `shared/tests/vectors.rs` into functions that a module can export: a test harness needs more than
//! a WebAssembly engine has. Each `#[test]` becomes an entry of `CHECKS`, by its name.

use std::path::Path;
use std::{env, fs};

const ATTRIBUTE: &str = "#[test]\nfn ";

fn main() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tests/vectors.rs");
    println!("cargo:rerun-if-changed={}", file.display());
    let text = fs::read_to_string(&file).expect("the vectors are part of the checkout");
    let names: Vec<&str> = text
        .split(ATTRIBUTE)
        .skip(1)
        .map(|test| test.split_once('(').expect("a function has parentheses").0)
        .collect();
    assert!(!names.is_empty(), "{} has no tests", file.display());
    let tests = text.matches("#[test]").count();
    assert_eq!(
        names.len(),
        tests,
        "a test of {} is not `#[test]`, then `fn`",
        file.display()
    );
    let entries: String = names.iter().map(|name| format!("(\"{name}\", {name}),")).collect();
    // The file's own description cannot stand inside of a module.
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("//!") && !line.starts_with("#[test]"))
        .map(|line| format!("{line}\n"))
        .collect();
    let list = format!("{body}\npub const CHECKS: &[(&str, fn())] = &[{entries}];\n");
    let output = env::var("OUT_DIR").expect("cargo names it");
    fs::write(Path::new(&output).join("vectors.rs"), list).expect("cargo's folder can be written");
}

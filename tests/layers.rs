//! The layers of the code, read from its imports: in no crate do modules at the top import each other in a circle, no rule
//! depends on a host, and the miner and the development chain do not know each other.
//!
//! Test code is left out: it may look wherever it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Imports = BTreeMap<String, BTreeSet<String>>;

/// The crates whose modules are looked at.
const CRATES: [&str; 5] = [
    "shared",
    "miner-native",
    "miner-native/database",
    "miner-native/devnet",
    "miner-native/miner",
];

/// The crates' sources.
fn crates() -> Vec<(&'static str, PathBuf)> {
    let all = CRATES.map(|krate| (krate, root().join(krate).join("src")));
    all.into_iter().filter(|(_, src)| src.is_dir()).collect()
}

#[test]
fn modules_import_each_other_in_no_circle() {
    for (krate, src) in crates() {
        let imports = imports(&src);
        assert!(imports.len() > 2, "the sources of {krate} are where they were");
        let none: [Vec<String>; 0] = [];
        assert_eq!(
            circles(&imports),
            none,
            "{krate}: these import each other: move what two of them need into one below both"
        );
    }
}

/// What of the program may name the development chain: the command that starts it.
const STARTS_THE_CHAIN: &str = "daemon";

#[test]
fn the_miner_and_the_client_know_nothing_of_the_development_chain() {
    let hosts = crates().into_iter().filter(|(krate, _)| !krate.ends_with("devnet"));
    for (src, file) in hosts.flat_map(|(_, src)| sources(&src).into_iter().map(move |file| (src.clone(), file))) {
        let path = file
            .strip_prefix(&src)
            .expect("it was found there")
            .to_string_lossy()
            .into_owned();
        let source = std::fs::read_to_string(&file).expect("a source can be read");
        let names_it = code_of(&source).contains("sealdrop_devnet");
        let may = modules_of(&path).first().is_none_or(|top| top == STARTS_THE_CHAIN);
        assert!(
            may || !names_it,
            "{path} names sealdrop_devnet: ask for what it needs of `shared::chain`"
        );
    }
}

#[test]
fn circles_are_found_also_through_braces_and_super() {
    let of = |path: &str, source: &str| {
        let mut found = BTreeSet::new();
        collect(&modules_of(path), source, &mut found);
        found.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(of("a/b.rs", "use super::c::X;\nuse super::super::d::Y;\n"), ["d"]);
    assert_eq!(
        of(
            "a/mod.rs",
            "use super::{b, c::{D, E}, f};\npub fn x() { crate::g::h() }"
        ),
        ["b", "c", "f", "g"]
    );
    assert_eq!(
        of(
            "a.rs",
            "// use crate::b;\n/// [`crate::c`]\nuse crate::d;\n#[cfg(test)]\nmod tests {\n    use crate::e;\n}\n"
        ),
        ["d"]
    );
    let circle = |pairs: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in pairs {
            imports.entry((*from).into()).or_default().insert((*to).into());
        }
        circles(&imports)
    };
    assert_eq!(circle(&[("a", "b"), ("b", "c")]), Vec::<Vec<String>>::new());
    assert_eq!(
        circle(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]),
        [["a", "b", "c"]]
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What each module at the top of a crate imports of the others.
fn imports(src: &Path) -> Imports {
    let mut imports = Imports::new();
    for file in sources(src) {
        let path = file
            .strip_prefix(src)
            .expect("it was found there")
            .to_string_lossy()
            .into_owned();
        let modules = modules_of(&path);
        let Some(top) = modules.first().cloned() else { continue };
        let source = std::fs::read_to_string(&file).expect("a source can be read");
        let found = imports.entry(top.clone()).or_default();
        collect(&modules, &source, found);
        found.remove(&top);
    }
    imports
}

/// The source files below a folder, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("a folder can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_test = name.starts_with("test") || name.ends_with("tests.rs");
        if path.is_dir() && !is_test {
            files.extend(sources(&path));
        } else if name.ends_with(".rs") && !is_test {
            files.push(path);
        }
    }
    files
}

/// The modules that a file of a crate is in, from the top; none for the crate's own file.
fn modules_of(path: &str) -> Vec<String> {
    let parts = path.trim_end_matches(".rs").split('/');
    parts
        .filter(|part| !["mod", "lib", "main"].contains(part))
        .map(ToOwned::to_owned)
        .collect()
}

/// A source without comments and without the tests at its end.
fn code_of(source: &str) -> String {
    let lines = source.lines().take_while(|line| !line.starts_with("mod tests {"));
    let code: Vec<&str> = lines.map(|line| line.split("//").next().unwrap_or_default()).collect();
    code.join("\n")
}

/// The modules at the top that a source names.
fn collect(modules: &[String], source: &str, found: &mut BTreeSet<String>) {
    let code = code_of(source);
    let mut climb = "crate::".to_owned();
    collect_after(&code, &climb, found);
    climb = "super::".repeat(modules.len());
    collect_after(&code, &climb, found);
}

fn collect_after(code: &str, climb: &str, found: &mut BTreeSet<String>) {
    for (at, _) in code.match_indices(climb) {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || before == ':' || before == '_' || before == '$' {
            continue;
        }
        let rest = &code[at + climb.len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => listed(list),
            None => vec![word(rest)],
        };
        found.extend(
            names
                .into_iter()
                .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())),
        );
    }
    found.remove("super");
    found.remove("self");
}

/// The first word of each item in braces.
fn listed(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0usize, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && c.is_alphanumeric() => {
                names.push(word(&list[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Sets of modules each of which reaches every other.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for to in imports.get(module).into_iter().flatten() {
                if seen.insert(to.as_str()) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|from| (from.as_str(), reached(from))).collect();
    let mut circles = BTreeSet::new();
    for (module, far) in &reach {
        if far.contains(module) {
            let back = |other: &&&str| reach.get(**other).is_some_and(|far| far.contains(module));
            circles.insert(far.iter().filter(back).map(ToString::to_string).collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

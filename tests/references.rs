//! Every section that the code names is there: `spec §N` in `shared/docs/protocol.md`, `design §N` in `shared/docs/design.md`.
//!
//! A section is a heading's number (`## 4.`, `### 4.2`), a paragraph's (`5.3.7 …`), or an item of a numbered list, whose number
//! follows its heading's: item 24 of section 7 is 7.24. And every path that the documents for people name is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where references are read: folders, and files beside them.
const PLACES: [&str; 8] = [
    "shared",
    "miner-native",
    "client-wasm",
    "www",
    "tests",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];

/// Files that hold references.
const KINDS: [&str; 4] = [".rs", ".ts", ".mjs", ".md"];

/// Documents whose paths are checked: those in the code's words `shared/src/…` and those of their links.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "client-wasm/README.md",
    "shared/docs/benchmarks.md",
    "shared/docs/limits.md",
];

/// Which document a reference is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Document {
    Spec,
    Design,
    /// A standard, such as FIPS 180-4.
    Other,
}

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests lie in the workspace").to_owned()
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.is_dir() {
        if name.starts_with("target") || ["node_modules", "pkg", "dist"].contains(&name) {
            return;
        }
        for entry in std::fs::read_dir(path).expect("a folder of the workspace can be read") {
            files(&entry.expect("an entry can be read").path(), found);
        }
    } else if path.is_file() && KINDS.iter().any(|kind| name.ends_with(kind)) {
        found.push(path.to_owned());
    }
}

/// The number that a text begins with, such as `5.3.7`, without a full stop after it, and what follows it.
fn number(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: &char| c.is_ascii_digit() || *c == '.';
    let (number, _) = text.split_at(text.chars().take_while(is_part).count());
    let number = number.trim_end_matches('.');
    let is_number = number.starts_with(|c: char| c.is_ascii_digit());
    is_number.then(|| (number, text.split_at(number.len()).1))
}

/// The sections of a document.
fn sections(document: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading = String::new();
    for line in document.lines() {
        let title = line.trim_start_matches('#');
        if title.len() < line.len() {
            heading.clear();
            if let Some((section, _)) = number(title.trim_start()) {
                section.clone_into(&mut heading);
                found.insert(heading.clone());
            }
        } else if let Some((section, rest)) = number(line) {
            if section.contains('.') && rest.starts_with(' ') {
                found.insert(section.to_owned());
            } else if rest.starts_with(". ") && !heading.is_empty() {
                found.insert(format!("{heading}.{section}"));
            }
        }
    }
    found
}

/// The text of each comment, its lines joined, with the number of its first line; other lines stand alone.
fn paragraphs(source: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut in_comment = false;
    for (index, line) in source.lines().enumerate() {
        let line = line.trim();
        let comment = ["//!", "///", "//"].iter().find_map(|mark| line.strip_prefix(mark));
        match (comment, found.last_mut()) {
            (Some(text), Some((_, paragraph))) if in_comment => {
                paragraph.push(' ');
                paragraph.push_str(text.trim());
            }
            _ => found.push((index + 1, comment.unwrap_or(line).trim().to_owned())),
        }
        in_comment = comment.is_some();
    }
    found
}

/// The sections that a paragraph names: after `§`, and after "to", "and" or a comma behind such a number ("§7.17 to 7.19").
/// A `§` without a document's name means the one named before it, at first the specification.
fn references(paragraph: &str) -> Vec<(Document, String)> {
    let mut found = Vec::new();
    let mut document = Document::Spec;
    let mut parts = paragraph.split('§');
    let mut before = parts.next().unwrap_or_default();
    for after in parts {
        let word = before.split_whitespace().next_back().unwrap_or_default();
        if before.ends_with(char::is_whitespace) {
            document = match word.trim_start_matches(|c: char| !c.is_alphanumeric()) {
                "spec" | "spec," => Document::Spec,
                "design" | "design," => Document::Design,
                standard if standard.ends_with(|c: char| c.is_ascii_digit()) => Document::Other,
                _ => document,
            };
        }
        let mut rest = after;
        while let Some((section, behind)) = number(rest) {
            // "§1.2, 3 of them": what follows a comma is a section only when it looks like one.
            if rest.len() < after.len() && !section.contains('.') {
                break;
            }
            found.push((document, section.to_owned()));
            let next = [" to ", " and ", ", "]
                .iter()
                .find_map(|joint| behind.strip_prefix(joint));
            rest = next.unwrap_or_default();
        }
        before = after;
    }
    found
}

/// The paths that a document names: in backquotes when they begin with a folder of the workspace, and the targets of its links,
/// which count from the document's own folder.
fn paths(folder: &Path, document: &str) -> Vec<PathBuf> {
    let folders = ["shared/", "miner-native/", "client-wasm/", "www/", "tests/"];
    let quoted = document.split('`').skip(1).step_by(2);
    let quoted = quoted.filter(|text| folders.iter().any(|folder| text.starts_with(folder)) && !text.contains(' '));
    let links = document
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(|target| !target.is_empty() && !target.contains("://"));
    quoted
        .map(PathBuf::from)
        .chain(links.map(|target| folder.join(target)))
        .collect()
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let root = workspace();
    let mut missing = Vec::new();
    for name in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(name)).expect("the document is there");
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        let named = paths(folder, &text)
            .into_iter()
            .filter(|path| !root.join(path).exists());
        missing.extend(named.map(|path| format!("{name}: {}", path.display())));
    }
    assert!(missing.is_empty(), "no such file or folder:\n{}", missing.join("\n"));
}

#[test]
fn paths_are_those_in_backquotes_and_the_targets_of_links() {
    let document = "`shared/src` and `cargo run`, [a](b.md#c), [d](https://e), [f](#g); `tests/x y`\n";
    let expected = ["shared/src", "docs/b.md"].map(PathBuf::from);
    assert_eq!(paths(Path::new("docs"), document), expected);
}

#[test]
fn every_section_that_the_code_names_is_there() {
    let root = workspace();
    let read =
        |name: &str| std::fs::read_to_string(root.join("shared/docs").join(name)).expect("the document is there");
    let (spec, design) = (sections(&read("protocol.md")), sections(&read("design.md")));
    let mut sources = Vec::new();
    for place in PLACES {
        files(&root.join(place), &mut sources);
    }
    sources.sort();
    let (mut checked, mut missing) = (0, Vec::new());
    for path in sources.iter().filter(|path| !path.ends_with(file!())) {
        let source = std::fs::read_to_string(path).expect("a source is text");
        let name = path
            .strip_prefix(&root)
            .expect("it was found in the workspace")
            .display();
        for (line, paragraph) in paragraphs(&source) {
            for (document, section) in references(&paragraph) {
                let sections = match document {
                    Document::Spec => &spec,
                    Document::Design => &design,
                    Document::Other => continue,
                };
                checked += 1;
                if !sections.contains(&section) {
                    missing.push(format!("{name}:{line}: {document:?} §{section}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no such section:\n{}", missing.join("\n"));
    // Hundreds of places name one; a handful would mean that they are no longer found.
    assert!(checked > 200, "only {checked} references were found");
}

#[test]
fn sections_are_headings_numbered_paragraphs_and_items_of_lists() {
    let document = "# Title\n## 2. Deals\n1. first\n2. second\n### 2.1 Parts\n3. step\n2.1.4 `method`: text\n## Appendix\n9. free\n";
    let expected = ["2", "2.1", "2.2", "2.1.3", "2.1.4"].map(str::to_owned);
    assert_eq!(sections(document), BTreeSet::from(expected));
}

#[test]
fn references_are_found_with_their_document_over_lines_and_in_lists() {
    let of = |text: &str| {
        let found = paragraphs(text)
            .into_iter()
            .flat_map(|(_, paragraph)| references(&paragraph));
        found
            .map(|(document, section)| format!("{document:?} {section}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("/// text (spec §3 steps 9, 15\n/// to 16, §7.9)"),
        ["Spec 3", "Spec 7.9"]
    );
    assert_eq!(
        of("//! rule (spec\n//! §7.17 to 7.19; design §9)."),
        ["Spec 7.17", "Spec 7.19", "Design 9"]
    );
    assert_eq!(of("// (FIPS 180-4 §6.2.2, step 1)"), ["Other 6.2.2"]);
    assert_eq!(of("/// spec §9.45: at 1000, 100 and 900"), ["Spec 9.45"]);
    assert_eq!(of("let mark = \"spec §9.\"; // | § |"), ["Spec 9"]);
}

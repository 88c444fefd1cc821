//! The commented sample of a configuration file, made from the keys themselves: it cannot name one that there is not.

use super::keys::{self, KEYS};
use super::options::Options;
use super::{effective, settings};
use serde_json::Value as Json;
use std::fmt::Write;

/// Longest line of a comment, in characters.
const WIDTH: usize = 110;

/// Places that follow from who runs the daemon and from where it is installed: an example stands for them.
const OF_THE_USER: [&str; 4] = ["home", "params", "web.files", "web.client"];

const HEAD: &str = "\
Configuration of a Sealdrop daemon: sealdrop.toml in its home, or the file that --config or SEALDROP_CONFIG names.
An option of the command line is before the environment, that before this file, and that before what is usual.
`sealdrop config check` looks whether it is right, `sealdrop config show` says each value and where it comes from.
Paths are relative to this file. All keys stand here with what is usual, or with an example; take away the # of those to change.";

/// What each section is about.
const SECTIONS: [(&str, &str); 7] = [
    ("network", "What is fixed when a network begins; one that is there keeps its numbers. Of a chain that is joined only sectorSize is ours."),
    ("chain", "The chain: made here, or another's."),
    ("p2p", "The miner's libp2p host, which clients dial."),
    ("http", "Pieces and blocks over HTTP, for everybody: curl, players, IPFS clients."),
    ("web", "The page, and the operator's requests."),
    (
        "tls",
        "With a certificate the chain and the page speak TLS with others at the same ports; programs of this machine may do without. PEM files; they are read anew when they change.",
    ),
    (
        "mining",
        "The miner's settings, from here on. `sealdrop config KEY VALUE` changes one while it runs, and that is kept; what stands in this file holds again from the next start on.",
    ),
];

/// The sample.
pub fn sample() -> String {
    let usual = effective(Options::default());
    let mut text = String::new();
    comment(&mut text, HEAD);
    let mut section = "";
    for name in keys::names() {
        let (of, key) = name.rsplit_once('.').unwrap_or(("", name));
        if of != section {
            section = of;
            text.push('\n');
            if let Some((_, about)) = SECTIONS.iter().find(|(name, _)| *name == of) {
                comment(&mut text, about);
            }
            let _ = writeln!(text, "[{of}]");
        }
        let (about, default) = documented(&usual, name);
        text.push('\n');
        comment(&mut text, about);
        let _ = writeln!(text, "#{key} = {default}");
    }
    text
}

/// A file that says what `options` do and leaves the rest to what is usual; `head` is a comment at its beginning.
pub fn written(options: &Options, head: &str) -> String {
    let options = options.clone().with_settings();
    let mut text = String::new();
    comment(&mut text, head);
    let mut section = "";
    for name in keys::names() {
        let Some(value) = keys::shown(&options, name) else {
            continue;
        };
        let (of, key) = name.rsplit_once('.').unwrap_or(("", name));
        if of != section {
            section = of;
            let _ = write!(text, "\n[{of}]");
        }
        text.push('\n');
        comment(&mut text, about(name));
        let _ = writeln!(text, "{key} = {}", toml_of(&value));
    }
    text
}

/// JSON of texts, numbers, flags and lists of them is TOML, too; items of a list that has several stand on lines of their own.
fn toml_of(value: &Json) -> String {
    match value.as_array() {
        Some(items) if items.len() > 1 => {
            let lines: Vec<String> = items.iter().map(|item| format!("    {item},\n")).collect();
            format!("[\n{}]", lines.concat())
        }
        _ => value.to_string(),
    }
}

fn about(name: &str) -> &'static str {
    let of_the_start = KEYS.iter().find(|key| key.name == name).map(|key| key.about);
    let of_settings = || settings::keys().find(|key| key.name == name).map(|key| key.about);
    of_the_start.or_else(of_settings).unwrap_or_default()
}

/// What a key is about, and what is usual, as TOML.
fn documented(usual: &Options, name: &str) -> (&'static str, String) {
    let key = KEYS.iter().find(|key| key.name == name);
    let usual = keys::shown(usual, name)
        .or_else(|| settings::usual(name))
        .map(|usual| usual.to_string());
    match key {
        Some(key) if OF_THE_USER.contains(&name) => (key.about, key.example.to_owned()),
        Some(key) => (key.about, usual.unwrap_or_else(|| key.example.to_owned())),
        None => (about(name), usual.unwrap_or_default()),
    }
}

fn comment(text: &mut String, words: &str) {
    for line in words.lines() {
        let mut length = 0;
        text.push('#');
        for word in line.split(' ') {
            if length > 0 && length + word.len() >= WIDTH {
                text.push_str("\n#");
                length = 0;
            }
            let _ = write!(text, " {word}");
            length += word.len() + 1;
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_written_says_what_was_said_and_nothing_else() {
        let mut said = Options::default();
        said.network.network = Some("a \"name\"\\".into());
        said.chain.chain_port = Some(7);
        said.web.web_listen = Some(
            ["127.0.0.1:1", "[::1]:2"]
                .map(|at| at.parse().expect("an address"))
                .into(),
        );
        said.miner.price = "0.25".parse().ok();
        let text = written(&said, "Made for a test.");
        assert!(text.starts_with("# Made for a test.\n"), "{text}");
        let read = parse(Path::new("sealdrop.toml"), &text).expect("it is a configuration");
        let expected = said.with_settings();
        for name in keys::names() {
            assert_eq!(keys::shown(&read, name), keys::shown(&expected, name), "{name}");
        }
    }

    #[test]
    fn the_sample_is_read_and_names_every_key_with_what_is_usual() {
        let path = Path::new("sealdrop.toml");
        let as_printed = parse(path, &sample()).expect("comments say nothing");
        assert!(keys::names().all(|name| keys::shown(&as_printed, name).is_none()));
        let is_key = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
        let all: Vec<String> = sample()
            .lines()
            .map(|line| match is_key(&line) {
                true => line.trim_start_matches('#').to_owned(),
                false => line.to_owned(),
            })
            .collect();
        let options = parse(path, &all.join("\n")).expect("each key of the sample is one");
        for name in keys::names() {
            let said = keys::shown(&options, name).unwrap_or_else(|| panic!("{name} is not in the sample"));
            let effective = effective(Options::default());
            let usual = keys::shown(&effective, name).or_else(|| settings::usual(name));
            if let (Some(usual), false) = (usual, OF_THE_USER.contains(&name)) {
                assert_eq!(said, usual, "{name}");
            }
        }
    }
}

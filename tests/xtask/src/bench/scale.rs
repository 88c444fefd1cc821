//! `cargo xtask bench scale`: many machines for one miner, on a PostgreSQL server that is started for it. What is measured say `tests/src/scale` and
//! `miner-native/miner/benches/store.rs`; the last line has the figures of all.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use serde_json::{Map, Value};

use crate::postgres::Server;
use crate::process::stage;
use crate::project::Project;
use crate::{build, test};

const USAGE: &str = "usage: cargo xtask bench scale [speed | store | drill] [--minutes N]";
/// Minutes of the drill unless others are named.
const USUAL: &str = "20";

/// All parts, or the one that is named.
pub fn run(project: &Project, args: &[String]) -> Result<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (parts, minutes): (&[&str], &str) = match words[..] {
        [] => (&["speed", "store", "drill"], USUAL),
        ["--minutes", minutes] => (&["speed", "store", "drill"], minutes),
        [part @ ("speed" | "store" | "drill")] => (&[part], USUAL),
        ["drill", "--minutes", minutes] => (&["drill"], minutes),
        _ => bail!("{USAGE}"),
    };
    build::native(project)?;
    let mut server = Server::start()?;
    let mut figures = Map::new();
    for part in parts {
        let found = stage(&format!("bench: scale {part}"), || match *part {
            "store" => store(project, &server),
            "drill" => tool(project, &["drill", minutes], &mut server),
            _ => tool(project, &[part], &mut server),
        })?;
        figures.extend(found);
    }
    println!("{}", machine());
    println!("{}", Value::Object(figures));
    Ok(())
}

/// The processor and its cores, in a line.
fn machine() -> String {
    let table = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = table
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} cores", named.map_or("another processor", |(_, name)| name))
}

fn store(project: &Project, server: &Server) -> Result<Map<String, Value>> {
    let mut command = project.cargo();
    command
        .args(["bench", "--bench", "store"])
        .env("SEALDROP_POSTGRES", server.url());
    watched(&mut command, || Ok(()))
}

fn tool(project: &Project, words: &[&str], server: &mut Server) -> Result<Map<String, Value>> {
    let mut command = Command::new(project.daemon().with_file_name("scale"));
    command.args(words).env("SEALDROP_POSTGRES", server.url());
    test::with_places(&mut command, project, &project.daemon(), &PathBuf::new());
    watched(&mut command, || server.restart())
}

/// Shows what a measurement prints but its figures, which are given back, and restarts the database where it asks for that.
fn watched(command: &mut Command, mut restart: impl FnMut() -> Result<()>) -> Result<Map<String, Value>> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.context("the measurement cannot be started")?;
    let output = child.stdout.take().context("its output is piped")?;
    let mut figures = Map::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("its output broke off")?;
        match (line.as_str(), serde_json::from_str(&line)) {
            ("[restart database]", _) => {
                println!("{line}");
                restart()?;
            }
            (_, Ok(Value::Object(found))) => figures = found,
            _ => println!("{line}"),
        }
    }
    let status = child.wait().context("its end cannot be waited for")?;
    if !status.success() || figures.is_empty() {
        bail!("it ended with {status}; its messages are above");
    }
    Ok(figures)
}

//! `cargo xtask up --miners N`: a network of N miners on this machine. The first daemon makes the chain, the others join it, each with
//! a home and ports of its own; what they say comes with their number in front. Ctrl-C and SIGTERM stop all of them in order.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, Sender};

use anyhow::{bail, Context, Result};

use crate::process;
use crate::project::Project;

/// Most miners of one machine: each proves on its processors.
const MAX_MINERS: u16 = 16;
/// Ports between one miner's and the next one's.
const PORTS_APART: u16 = 10;
/// The first miner's ports.
const PORTS: [(&str, u16); 4] = [
    ("--web-port", 4400),
    ("--p2p-port", 4401),
    ("--p2p-ws-port", 4402),
    ("--http-port", 4405),
];
/// Where the chain is asked, unless the arguments say so.
const CHAIN_PORT: &str = "4403";
/// What a daemon says when it serves.
const READY: &str = "Sealdrop is ready: ";
/// Options that every daemon of the network gets, each with a value; others are the first one's alone.
const FOR_ALL: [&str; 7] = [
    "--sector-size",
    "--size",
    "--params",
    "--auto-seal",
    "--transfer-limit",
    "--price",
    "--official-params",
];
/// What says how much memory a daemon's prover may take, in MiB.
const MEMORY: &str = "SEALDROP_SCHEDULER_MEMORY_MIB";

/// How many miners the arguments ask for, and the arguments without that.
pub fn asked(args: &[String]) -> Result<(Option<u16>, Vec<String>)> {
    let (mut miners, mut rest) = (None, Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let value = match word.split_once('=') {
            Some(("--miners", value)) => Some(value),
            _ if word == "--miners" => words.next().map(String::as_str),
            _ => {
                rest.push(word.clone());
                continue;
            }
        };
        let count = value.and_then(|value| value.parse().ok());
        match count.filter(|count| (1..=MAX_MINERS).contains(count)) {
            Some(count) => miners = Some(count),
            None => bail!("give --miners a number from 1 to {MAX_MINERS}"),
        }
    }
    Ok((miners, rest))
}

/// Something that happened to one of the daemons, or to all.
enum News {
    Ready(String),
    Ended(u16),
    Stop,
}

/// Runs the network until it is stopped, or one of it ends.
pub fn run(project: &Project, miners: u16, args: &[String]) -> Result<()> {
    if value_of("--home", args).is_some() {
        bail!("name the first miner's home with SEALDROP_HOME: the others' are beside it");
    }
    let (tell, news) = channel();
    let stop = tell.clone();
    ctrlc::set_handler(move || drop(stop.send(News::Stop))).context("cannot listen for Ctrl-C")?;
    let mut network = Network {
        daemons: Vec::new(),
        pages: Vec::new(),
    };
    let ended = network.live(project, miners, args, &tell, &news);
    network.stop();
    ended
}

struct Network {
    daemons: Vec<Child>,
    pages: Vec<String>,
}

impl Network {
    fn live(
        &mut self,
        project: &Project,
        miners: u16,
        args: &[String],
        tell: &Sender<News>,
        news: &Receiver<News>,
    ) -> Result<()> {
        let home = home()?;
        for number in 1..=miners {
            let mut daemon = command(project, &home, number, miners, args);
            daemon
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = daemon.spawn().with_context(|| format!("cannot start miner {number}"))?;
            follow(number, child.stdout.take(), tell, true);
            follow(number, child.stderr.take(), tell, false);
            self.daemons.push(child);
            // The others join a chain that is there.
            match next(news)? {
                Some(page) => self.pages.push(page),
                None => return Ok(()),
            }
        }
        print!("{}", summary(project, &home, &chain(args), &self.pages));
        next(news).map(drop)
    }

    fn stop(&mut self) {
        // Miners before their chain.
        for daemon in self.daemons.iter_mut().rev() {
            if matches!(daemon.try_wait(), Ok(None)) {
                ask_to_stop(daemon);
            }
            // It ended, or it cannot be waited for: then there is nothing left to do.
            let _ = daemon.wait();
        }
    }
}

/// The next page that is ready; none when everything is to stop.
fn next(news: &Receiver<News>) -> Result<Option<String>> {
    match news.recv() {
        Ok(News::Ready(page)) => Ok(Some(page)),
        Ok(News::Ended(number)) => bail!("miner {number} ended by itself; what it said last is above"),
        Ok(News::Stop) | Err(_) => Ok(None),
    }
}

#[cfg(unix)]
fn ask_to_stop(daemon: &mut Child) {
    // Where there is no `kill`, it is ended at once: what is true is on the disk.
    let asked = Command::new("kill").arg(daemon.id().to_string()).status();
    if !asked.is_ok_and(|status| status.success()) {
        let _ = daemon.kill();
    }
}

#[cfg(not(unix))]
fn ask_to_stop(daemon: &mut Child) {
    let _ = daemon.kill();
}

/// Passes on what a daemon says, with its number in front.
fn follow(number: u16, from: Option<impl Read + Send + 'static>, tell: &Sender<News>, is_stdout: bool) {
    let Some(from) = from else { return };
    let tell = tell.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
            println!("[miner {number}] {line}");
            if let Some(page) = line.strip_prefix(READY) {
                let _ = tell.send(News::Ready(page.to_owned()));
            }
        }
        if is_stdout {
            let _ = tell.send(News::Ended(number));
        }
    });
}

/// The first home: what the daemon itself would take.
fn home() -> Result<PathBuf> {
    let user = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".sealdrop"));
    let home = std::env::var_os("SEALDROP_HOME").map(PathBuf::from).or_else(user);
    home.context("there is no home directory; name one with SEALDROP_HOME")
}

/// The home of a miner: that of the first, and beside it those of the others.
fn home_of(first: &Path, number: u16) -> PathBuf {
    let mut name = first.file_name().unwrap_or_default().to_owned();
    if number > 1 {
        name.push(format!("-{number}"));
    }
    first.with_file_name(name)
}

fn command(project: &Project, home: &Path, number: u16, miners: u16, args: &[String]) -> Command {
    let mut daemon = Command::new(project.quick_daemon());
    process::without_package_variables(&mut daemon);
    daemon.arg("daemon").arg("--home").arg(home_of(home, number));
    daemon.arg("--web").arg(project.www().join("dist"));
    daemon.arg("--client").arg(project.client().join("dist"));
    if number == 1 {
        daemon.args(args);
    } else {
        daemon.args(["--chain", &chain(args)]).args(for_all(args));
        for (option, port) in PORTS {
            daemon.arg(option).arg((port + PORTS_APART * (number - 1)).to_string());
        }
    }
    // One copy of the parameters serves all of them.
    if std::env::var_os("SEALDROP_PARAMS").is_none() {
        daemon.env("SEALDROP_PARAMS", home.join("params"));
    }
    if let (None, Some(share)) = (std::env::var_os(MEMORY), share_of_memory(miners)) {
        daemon.env(MEMORY, share.to_string());
    }
    daemon
}

fn value_of<'a>(option: &str, args: &'a [String]) -> Option<&'a str> {
    let mut words = args.iter();
    words
        .find_map(|word| match word.split_once('=') {
            Some((name, value)) if name == option => Some(Some(value)),
            _ => (word == option).then_some(None),
        })?
        .or_else(|| words.next().map(String::as_str))
}

/// Where the first daemon's chain is asked.
fn chain(args: &[String]) -> String {
    let port = value_of("--chain-port", args).unwrap_or(CHAIN_PORT);
    format!("http://127.0.0.1:{port}")
}

/// The options of the first daemon that the others get, too.
fn for_all(args: &[String]) -> Vec<String> {
    let mut taken = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if !FOR_ALL.contains(&name) {
            continue;
        }
        taken.push(word.clone());
        if !word.contains('=') && name != "--official-params" {
            taken.extend(words.next().cloned());
        }
    }
    taken
}

/// What each miner's prover may take, in MiB, so that together they fit into what is free now; none where that is not known.
fn share_of_memory(miners: u16) -> Option<u64> {
    let free = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = free.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024 / u64::from(miners))
}

fn summary(project: &Project, home: &Path, chain: &str, pages: &[String]) -> String {
    let program = project.quick_daemon();
    let program = program
        .strip_prefix(&project.root)
        .unwrap_or(&program)
        .display()
        .to_string();
    let mut text = format!(
        "[up] {} miners on the chain at {chain}; Ctrl-C stops all of them\n",
        pages.len()
    );
    for (number, page) in (1..).zip(pages) {
        let home = home_of(home, number);
        let _ = writeln!(
            text,
            "[up] miner {number}: {page}   {program} mining status --home {}",
            home.display()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(String::from).collect()
    }

    #[test]
    fn the_number_of_miners_is_found_wherever_it_stands() {
        for text in ["--miners 3 -- --size 2KiB", "-- --size 2KiB --miners=3"] {
            let (miners, rest) = asked(&words(text)).unwrap();
            assert_eq!((miners, rest), (Some(3), words("-- --size 2KiB")));
        }
        assert_eq!(asked(&words("-- --size 2KiB")).unwrap().0, None);
        for text in ["--miners", "--miners 0", "--miners 17", "--miners=many"] {
            assert!(asked(&words(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn those_who_join_get_what_is_about_miners_and_not_what_is_about_the_chain() {
        let args = words("--size 2KiB --block-time 200ms --official-params --price=0.1 --grace 400");
        assert_eq!(for_all(&args), words("--size 2KiB --official-params --price=0.1"));
    }

    #[test]
    fn the_chain_is_where_the_first_daemon_was_told_to_have_it() {
        assert_eq!(chain(&words("--size 2KiB")), "http://127.0.0.1:4403");
        assert_eq!(chain(&words("--size 2KiB --chain-port 9")), "http://127.0.0.1:9");
        assert_eq!(chain(&words("--chain-port=9 --grace 4")), "http://127.0.0.1:9");
    }

    #[test]
    fn each_miner_has_a_home_of_its_own_beside_the_first() {
        let first = Path::new("/a/.sealdrop");
        assert_eq!(home_of(first, 1), first);
        assert_eq!(home_of(first, 3), Path::new("/a/.sealdrop-3"));
    }
}

//! The disk is full for a while, or the daemon has no file descriptors for a while, again and again in the life of a deal.
//!
//! The daemon's real process (with proofs that are named fake) lives from its first block to the removal of the deal's sector
//! ([`crate::kill::Life`]), and every some calls what they need is short ([`sealdrop_database::testing::shortage`]). Each time its health must
//! say so and name a service; when there is room again it must be well by itself, and at the end everything is as in a life
//! without: the same deals, sectors, messages and earnings, and nothing left on the disk. Meanwhile a client gets the file back.

use crate::kill::{Conditions, Ending, Life, Program};
use sealdrop_database::testing::shortage::{interposer, Short, Shortage};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time between blocks: a shortage costs a deal only few of its blocks.
const BLOCK_TIME: &str = "100ms";
/// Blocks of the deal: it outlives the shortages before its sector is sealed.
const DURATION: &str = "250";
/// How long a life may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a shortage lasts at least.
const SPAN: Duration = Duration::from_millis(400);
/// How long health may take to say that something fails: a service that waits for its next try says it then.
const RED_LIMIT: Duration = Duration::from_secs(15);
/// How long the daemon may take to be well again: the pauses between its tries are half a minute at most.
const GREEN_LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(30);
/// Pause between two looks that start a program.
const SLOW_LOOK: Duration = Duration::from_millis(500);
/// Tries of a retrieval that may meet a shortage; further ones are left alone, since each begins with calls that count.
const ATTACKED: u32 = 3;
/// Lines of the log that are shown with a failure.
const TAIL: usize = 40;
/// How long a request for health may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What is short in a life.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    /// Below the home; `None` where descriptors are short.
    disk: Option<&'static str>,
    /// Calls between two shortages.
    calls: u64,
}

const KINDS: [Kind; 6] = [
    Kind::of("the whole disk", Some(""), 113),
    Kind::of("the miner's store", Some("miner/store"), 23),
    Kind::of("staging", Some("miner/staging"), 1),
    Kind::of("sectors", Some("miner/sectors"), 3),
    Kind::of("the chain's disk", Some("devnet"), 127),
    Kind::of("file descriptors", None, 7),
];

impl Kind {
    const fn of(name: &'static str, disk: Option<&'static str>, calls: u64) -> Self {
        Self { name, disk, calls }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    pub lives: usize,
    /// Shortages in all lives.
    pub shortages: usize,
    /// How often each call failed first.
    pub first: BTreeMap<String, usize>,
    /// Lives and what was wrong with them.
    pub failed: BTreeMap<String, String>,
    pub took: Duration,
}

impl Summary {
    pub fn to_json(&self) -> Value {
        json!({
            "shortage_lives": self.lives,
            "shortages": self.shortages,
            "first_failed": self.first,
            "shortage_lives_failed": self.failed.len(),
            "failed": self.failed,
            "seconds": self.took.as_secs(),
        })
    }
}

/// Lives through shortages `lives` times, and once without any, `jobs` lives at a time.
pub fn run(lives: usize, jobs: usize) -> Result<Summary, String> {
    let began = Instant::now();
    let library = interposer().ok_or("there is no C compiler here: install one, for instance `apt install gcc`")?;
    let (library, next) = (Arc::new(library), AtomicUsize::new(0));
    let lived = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number > lives {
                    break;
                }
                let short = number.checked_sub(1).map(|number| {
                    let kind = KINDS[number % KINDS.len()];
                    (kind, (number / KINDS.len()) as u64)
                });
                let outcome = live(short, &library);
                println!("{}: {outcome:?}", title(short));
                let mut lived = lived.lock().unwrap_or_else(PoisonError::into_inner);
                lived.insert(number, (title(short), outcome));
            });
        }
    });
    let mut lived = lived.into_inner().unwrap_or_else(PoisonError::into_inner).into_values();
    let (_, reference) = lived.next().ok_or("no life was lived")?;
    let (expected, _) = reference.map_err(|reason| format!("without any shortage: {reason}"))?;
    let mut summary = Summary {
        lives,
        ..Summary::default()
    };
    for (title, outcome) in lived {
        match outcome.and_then(|(ending, met)| compare(&ending, &expected).map(|()| met)) {
            Ok(met) => {
                summary.shortages += met.len();
                for call in met {
                    *summary.first.entry(call).or_default() += 1;
                }
            }
            Err(reason) => {
                summary.failed.insert(title, reason);
            }
        }
    }
    summary.took = began.elapsed();
    Ok(summary)
}

fn title(short: Option<(Kind, u64)>) -> String {
    short.map_or("no shortage".to_owned(), |(kind, phase)| {
        format!("{}, phase {phase}", kind.name)
    })
}

/// What the parts of a life tell each other.
#[derive(Default)]
struct Stage {
    is_over: AtomicBool,
    /// No other shortage begins.
    is_calm: AtomicBool,
}

/// One life, with the calls that failed first in each shortage.
fn live(short: Option<(Kind, u64)>, library: &Arc<TempDir>) -> Result<(Ending, Vec<String>), String> {
    let shortage = Arc::new(Shortage::new());
    let steered = (shortage.clone(), library.clone());
    let life = Life::begin_under(
        Program::Fake,
        Conditions {
            point: None,
            block_time: BLOCK_TIME,
            duration: DURATION,
            prepare: Box::new(move |command| steered.0.steer(command, &steered.1)),
        },
    )?;
    let (port, home, original) = (life.web_port(), life.path("home"), life.path("file"));
    let (retrieval, log) = (Retrieval::of(&life), life.path("daemon-1.log"));
    let stage = Stage::default();
    std::thread::scope(|scope| {
        let attack = scope.spawn(|| match short {
            Some((kind, offset)) => attack(kind, offset, &shortage, (&home, &log), port, &stage)
                .map_err(|reason| format!("{reason}\n{}", tail(&log))),
            None => Ok(Vec::new()),
        });
        let reader = scope.spawn(|| retrieval.until_it_is_right(&original, &stage));
        let ended = life.to_the_end(LIMIT);
        stage.is_over.store(true, Ordering::SeqCst);
        let met = attack.join().map_err(|_| "the attack panicked".to_owned())?;
        shortage.end();
        let read = reader.join().map_err(|_| "the reader panicked".to_owned())?;
        let (met, ending) = (met?, ended?);
        read?;
        Ok((ending, met))
    })
}

/// Lets it be short again and again; returns what failed first each time.
fn attack(
    kind: Kind,
    offset: u64,
    shortage: &Shortage,
    (home, log): (&Path, &Path),
    port: u16,
    stage: &Stage,
) -> Result<Vec<String>, String> {
    let path = kind.disk.map(|disk| home.join(disk));
    let short = path.as_deref().map_or(Short::Descriptors, Short::Disk);
    let mut health = Health::at(port);
    let mut met = Vec::new();
    let over = || stage.is_over.load(Ordering::SeqCst);
    // A daemon that cannot start says why and ends; how it lives on is the matter here.
    let is_ready = || fs::read_to_string(log).is_ok_and(|text| text.contains("Sealdrop is ready"));
    while !over() && (!is_ready() || health.ask().is_none_or(|now| now["ok"] != true)) {
        std::thread::sleep(LOOK);
    }
    // Another phase for each life.
    let mut before = offset * 5 % (kind.calls + 1);
    while !over() {
        if stage.is_calm.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
            continue;
        }
        shortage.begin(&short, before);
        // Not the same each time: what always takes as many calls would never come to its end.
        before = kind.calls * (1 + met.len() as u64 % 3);
        while shortage.failed() == 0 && !over() && !stage.is_calm.load(Ordering::SeqCst) {
            // Kept open: without descriptors no other connection comes about.
            health.ask();
            std::thread::sleep(LOOK);
        }
        if shortage.failed() == 0 {
            shortage.end();
            continue;
        }
        let (began, first) = (Instant::now(), name(&shortage.first(), home));
        let said = loop {
            let problems = health.ask().map(|now| now["problems"].clone()).unwrap_or_default();
            let is_named = problems
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["service"].is_string()));
            if over() || (is_named && began.elapsed() >= SPAN) {
                break problems;
            }
            if began.elapsed() > RED_LIMIT {
                return Err(format!(
                    "after {first:?} failed ({} calls in all), health is green",
                    shortage.failed()
                ));
            }
            std::thread::sleep(LOOK);
        };
        shortage.end();
        let began = Instant::now();
        while !over() && health.ask().is_none_or(|now| now["ok"] != true) {
            if began.elapsed() > GREEN_LIMIT {
                let now = health.ask().unwrap_or_default();
                return Err(format!(
                    "after {first:?} failed and health said {said}, it is not well again: {}",
                    now["problems"]
                ));
            }
            std::thread::sleep(LOOK);
        }
        if !over() {
            met.push(first);
        }
    }
    Ok(met)
}

/// The end of a log that is about to go.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// A call and its path, without what differs from life to life.
fn name(first: &str, home: &Path) -> String {
    let own = first.replace(&format!("{}/", home.display()), "");
    let letters = |word: &str| match word.len() > 40 {
        true => "…".to_owned(),
        false => word.to_owned(),
    };
    own.split('/').map(letters).collect::<Vec<_>>().join("/")
}

/// What must be as in a life without shortages.
fn compare(ending: &Ending, expected: &Ending) -> Result<(), String> {
    let done = |ending: &Ending| -> BTreeMap<String, usize> {
        // How many redemptions there are depends on when they were possible.
        let messages = ending.messages.iter().filter(|(method, _)| *method != "redeem");
        messages.map(|(method, times)| (method.clone(), *times)).collect()
    };
    let same = [
        ("messages", done(ending) == done(expected)),
        ("deals", ending.deals == expected.deals),
        ("sectors", ending.sectors == expected.sectors),
        ("earnings", ending.earned == expected.earned),
        ("leftovers", ending.left == expected.left),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(format!("other {what}: {ending:?}, not {expected:?}")),
        None => Ok(()),
    }
}

/// The daemon's health over a connection that stays open.
pub(crate) struct Health {
    port: u16,
    stream: Option<TcpStream>,
}

impl Health {
    pub(crate) fn at(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// `None` when there is no answer.
    pub(crate) fn ask(&mut self) -> Option<Value> {
        if self.stream.is_none() {
            self.stream = TcpStream::connect(("127.0.0.1", self.port)).ok();
        }
        let answer = self.stream.as_mut().and_then(exchange);
        if answer.is_none() {
            self.stream = None;
        }
        answer
    }
}

fn exchange(stream: &mut TcpStream) -> Option<Value> {
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Gets the deal's file back.
struct Retrieval {
    deals: Command,
    retrieve: Command,
    target: PathBuf,
}

impl Retrieval {
    fn of(life: &Life) -> Self {
        let target = life.path("back");
        let mut retrieve = life.sealdrop(&["client", "retrieve"]);
        retrieve.arg("--output").arg(&target);
        Self {
            deals: life.sealdrop(&["client", "deals", "--json"]),
            retrieve,
            target,
        }
    }

    /// Tries until the file is back; it must be right when the client says so.
    fn until_it_is_right(mut self, original: &Path, stage: &Stage) -> Result<(), String> {
        let (original, began) = (fs::read(original).map_err(text)?, Instant::now());
        let mut last = "the deal was never complete".to_owned();
        let (mut id, mut tries) = (None, 0);
        while !stage.is_over.load(Ordering::SeqCst) {
            std::thread::sleep(SLOW_LOOK);
            if id.is_none() {
                id = self.complete_deal();
                self.retrieve.args(&id);
                continue;
            }
            tries += 1;
            stage.is_calm.store(tries > ATTACKED, Ordering::SeqCst);
            let output = self.retrieve.output().map_err(text)?;
            stage.is_calm.store(false, Ordering::SeqCst);
            if output.status.success() {
                let is_same = fs::read(&self.target).map_err(text)? == original;
                return is_same
                    .then_some(())
                    .ok_or_else(|| "what came back is another file".to_owned());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            last = format!("try {tries} ended after {:?}: {said}", began.elapsed());
        }
        Err(format!(
            "the file could not be had back as long as the deal lived: {last}"
        ))
    }

    fn complete_deal(&mut self) -> Option<String> {
        let output = self.deals.output().ok()?;
        let deals: Value = serde_json::from_slice(&output.stdout).ok()?;
        let is_done = ["complete", "proven"].iter().any(|state| deals[0]["state"] == *state);
        is_done.then(|| deals[0]["deal"].as_str().map(str::to_owned)).flatten()
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

//! A machine that loses its power: what was not synced is gone, or half there, and nothing that anybody was told is forgotten.
//!
//! A deal's life with chain and miner runs in a process of its own, into which `record_writes.c` is preloaded: it records
//! every write, sync, rename and removal of a file in order. At many points of that record the folder is made anew, once
//! with nothing but what was synced, and once with some of what came after, torn. Chain and miner must open each,
//! and whatever an observer had seen by then (the chain's head, the deal's stage, the sector's phase) must still be so. Folders themselves
//! count as made: only the names in them need a sync of the folder.

use super::*;
use crate::staging::Staging;
use sealdrop_database::testing::child;
use shared::sector::Phase;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

const VARIABLE: &str = "SEALDROP_TEST_POWER_LOSS";
/// Points at which the power fails, about.
const POINTS: usize = 220;
/// States that are opened at the least: how many events come before there is anything to be seen depends on the machine.
const LEAST_CHECKED: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_power_loss_at_any_point_of_a_deals_life_forgets_nothing_that_was_seen() {
    if let Some(root) = std::env::var_os(VARIABLE) {
        return live(Path::new(&root)).await;
    }
    let Some(library) = interposer() else {
        eprintln!("left out: there is no C compiler here");
        return;
    };
    let (root, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let name = "testing::power_loss::a_power_loss_at_any_point_of_a_deals_life_forgets_nothing_that_was_seen";
    let mut life = child(name, VARIABLE);
    life.env(VARIABLE, root.path())
        .env("TMPDIR", root.path())
        .env("LD_PRELOAD", library.path().join("record.so"))
        .env("RECORD_ROOT", root.path())
        .env("RECORD_LOG", log.path());
    let output = life.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let record = Record::parse(&fs::read(log.path()).unwrap());
    let mut disk = Disk::default();
    // About a third of the events come before there is anything to be seen.
    let step = (record.0.len() / (2 * POINTS)).max(1);
    let mut checked = 0;
    for (place, event) in record.0.iter().enumerate() {
        disk.happens(event);
        if place % step == 0 && disk.seen.folder.is_some() {
            for is_torn in [false, true] {
                check(&disk, is_torn.then_some(place as u64), root.path(), place);
                checked += 1;
            }
        }
    }
    let seen = &disk.seen;
    assert!(
        checked >= LEAST_CHECKED,
        "{checked} states of {} events",
        record.0.len()
    );
    assert!(seen.stage >= 4 && seen.head > 20, "the life is whole: {seen:?}");
    eprintln!("{} events, {checked} states opened, {seen:?}", record.0.len());
}

/// A C compiler makes the library that is preloaded.
fn interposer() -> Option<TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/testing/record_writes.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(dir.path().join("record.so"));
    let made = cc.arg(source).args(["-ldl", "-lpthread"]).status();
    made.is_ok_and(|status| status.success()).then_some(dir)
}

/// A deal from its proposal to its sector's first proof, with an observer who writes down what can be seen.
async fn live(root: &Path) {
    let mut world = World::start().await;
    let (deal, done) = (Arc::new(Mutex::new(None::<Cid>)), Arc::new(AtomicBool::new(false)));
    let observer = {
        let (deal, done, dir) = (deal.clone(), done.clone(), world.dir.path().to_owned());
        let (devnet, store) = (world.devnet.clone(), world.miner().store.clone());
        let mut log = fs::File::create(root.join("seen")).unwrap();
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let head = devnet.head().height.0;
                let cid = *deal.lock().unwrap();
                let stage = cid
                    .and_then(|cid| store.deal(&cid).unwrap())
                    .map_or(0, |record| rank(&record));
                let phase = store
                    .sector(1)
                    .unwrap()
                    .map_or(0, |record| record.sector.phase() as u64);
                let cid = cid.map_or("-".into(), |cid| cid.to_string());
                let line = format!("{} {head} {cid} {stage} {phase}\n", dir.display());
                log.write_all(line.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let (bytes, piece) = piece(1, 500);
    let signed = world.paid(&piece, 1, 2500).await;
    let cid = signed.cid();
    assert_eq!(world.propose(signed).await.message, "");
    *deal.lock().unwrap() = Some(cid);
    world.deliver(&cid, &piece, &bytes);
    world.seal(false).await;
    world.skip(30).await;
    done.store(true, Ordering::SeqCst);
    observer.join().unwrap();
}

fn rank(record: &DealRecord) -> u64 {
    match record.deal.stage {
        MinerStage::Rejected { .. } | MinerStage::Failed { .. } => 0,
        MinerStage::Accepted => 1,
        MinerStage::Received { .. } => 2,
        MinerStage::Staged { .. } => 3,
        MinerStage::Complete { .. } => 4,
        MinerStage::Ended { .. } => 5,
    }
}

/// Makes the folder as the power loss leaves it, and opens what is in it.
fn check(disk: &Disk, torn: Option<u64>, root: &Path, place: usize) {
    let left = tempfile::Builder::new().tempdir_in(if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    });
    let left = left.unwrap();
    for (path, content) in disk.after_loss(torn) {
        let target = left.path().join(path.strip_prefix(root).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, content).unwrap();
    }
    let (seen, how) = (&disk.seen, format!("event {place}, torn {torn:?}: {:?}", disk.seen));
    let folder = left
        .path()
        .join(seen.folder.as_ref().unwrap().strip_prefix(root).unwrap());
    let devnet = Devnet::open(config(&folder.join("devnet"))).unwrap_or_else(|e| panic!("{how}: {e}"));
    assert!(
        devnet.head().height.0 >= seen.head,
        "{how}: the chain is at {}",
        devnet.head().height
    );
    devnet.check_invariants().unwrap();
    let store = MinerStore::open(&folder.join("store")).unwrap_or_else(|e| panic!("{how}: {e}"));
    let sector = store.sector(1).unwrap();
    assert!(
        sector.map_or(0, |record| record.sector.phase() as u64) >= seen.phase,
        "{how}"
    );
    let Some(cid) = &seen.deal else { return };
    let record = store.deal(&cid.parse().unwrap()).unwrap();
    let record = record.unwrap_or_else(|| panic!("{how}: the deal is forgotten"));
    assert!(rank(&record) >= seen.stage, "{how}");
    if seen.stage >= 2 && seen.phase < Phase::Proving as u64 {
        let proposal = &record.deal.proposal;
        let staging = Staging::open(folder.join("staging")).unwrap();
        let digest = staging.digest(&proposal.proposal.piece_ref, proposal.size());
        assert!(digest.is_ok(), "{how}: the piece is lost: {digest:?}");
    }
}

/// What an observer saw last.
#[derive(Debug, Default)]
struct Seen {
    folder: Option<PathBuf>,
    head: u64,
    deal: Option<String>,
    stage: u64,
    phase: u64,
}

enum Event {
    Opened { inode: u64, is_cut: bool, path: PathBuf },
    Written { inode: u64, at: usize, bytes: Vec<u8> },
    Cut { inode: u64, length: usize },
    Synced { inode: u64, path: PathBuf },
    Renamed { from: PathBuf, to: PathBuf },
    Removed { path: PathBuf },
}

struct Record(Vec<Event>);

impl Record {
    fn parse(mut log: &[u8]) -> Self {
        let mut events = Vec::new();
        while let Some((head, rest)) = log.split_at_checked(21) {
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let length = u32::from_le_bytes(head[17..].try_into().unwrap()) as usize;
            let (data, rest) = rest.split_at(length);
            log = rest;
            let text = || String::from_utf8(data.to_vec()).unwrap();
            let inode = number(1);
            events.push(match head[0] {
                b'O' => Event::Opened {
                    inode,
                    is_cut: number(9) != 0,
                    path: text().into(),
                },
                b'W' => Event::Written {
                    inode,
                    at: number(9) as usize,
                    bytes: data.to_vec(),
                },
                b'T' => Event::Cut {
                    inode,
                    length: number(9) as usize,
                },
                b'S' => Event::Synced {
                    inode,
                    path: text().into(),
                },
                b'R' => {
                    let both = text();
                    let (from, to) = both.split_once('\n').unwrap();
                    Event::Renamed {
                        from: from.into(),
                        to: to.into(),
                    }
                }
                b'U' => Event::Removed { path: text().into() },
                other => panic!("{other}"),
            });
        }
        Self(events)
    }
}

/// A file's bytes: as synced, and what came since.
#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    since: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, share: (usize, usize)) {
        match self {
            Self::Write(at, bytes) => {
                let bytes = &bytes[..bytes.len() * share.0 / share.1];
                if content.len() < at + bytes.len() {
                    content.resize(at + bytes.len(), 0);
                }
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Cut(length) => content.resize(*length, 0),
        }
    }
}

/// A disk, with what it holds for good and what it would lose.
#[derive(Default)]
struct Disk {
    files: Vec<Content>,
    by_inode: BTreeMap<u64, usize>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    seen: Seen,
}

impl Disk {
    fn happens(&mut self, event: &Event) {
        match event {
            Event::Opened { inode, is_cut, path } => {
                let file = *self.names.entry(path.clone()).or_insert_with(|| {
                    self.files.push(Content::default());
                    self.files.len() - 1
                });
                self.by_inode.insert(*inode, file);
                if *is_cut {
                    self.files[file].since.push(Change::Cut(0));
                }
            }
            Event::Written { inode, at, bytes } => self.written(*inode, *at, bytes),
            Event::Cut { inode, length } => self.change(*inode, Change::Cut(*length)),
            Event::Synced { inode, path } => match self.by_inode.get(inode).filter(|_| self.names.contains_key(path)) {
                Some(file) => {
                    let content = &mut self.files[*file];
                    for change in std::mem::take(&mut content.since) {
                        change.apply(&mut content.synced, (1, 1));
                    }
                }
                None => self.sync_folder(path),
            },
            Event::Renamed { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Event::Removed { path } => drop(self.names.remove(path)),
        }
    }

    fn written(&mut self, inode: u64, at: usize, bytes: &[u8]) {
        let observed = self.names.iter().find(|(path, _)| path.ends_with("seen"));
        if observed.is_some_and(|(_, file)| self.by_inode.get(&inode) == Some(file)) {
            let line = std::str::from_utf8(bytes).unwrap();
            let fields: Vec<&str> = line.split_whitespace().collect();
            self.seen = Seen {
                folder: Some(fields[0].into()),
                head: fields[1].parse().unwrap(),
                deal: (fields[2] != "-" && fields[3] != "0").then(|| fields[2].into()),
                stage: fields[3].parse().unwrap(),
                phase: fields[4].parse().unwrap(),
            };
        } else {
            self.change(inode, Change::Write(at, bytes.to_vec()));
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        if let Some(file) = self.by_inode.get(&inode) {
            self.files[*file].since.push(change);
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let is_in = |path: &Path| path.parent() == Some(folder);
        self.synced_names.retain(|path, _| !is_in(path));
        let own = self.names.iter().filter(|(path, _)| is_in(path));
        self.synced_names.extend(own.map(|(path, file)| (path.clone(), *file)));
    }

    /// What is left: what was synced alone, or with some of what came since, by numbers drawn from `torn`.
    fn after_loss(&self, torn: Option<u64>) -> Vec<(PathBuf, Vec<u8>)> {
        let mut draws = torn.map(|seed| seed.wrapping_mul(2) | 1);
        let mut drawn = |below: u64| match &mut draws {
            Some(state) => {
                *state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (*state >> 33) % below
            }
            None => 0,
        };
        let mut names = self.synced_names.clone();
        for (path, file) in self
            .names
            .iter()
            .filter(|(path, _)| !self.synced_names.contains_key(*path))
        {
            if drawn(2) == 1 {
                names.insert(path.clone(), *file);
            }
        }
        // The index of the log is in shared memory and made anew.
        let kept = names
            .into_iter()
            .filter(|(path, _)| !path.to_string_lossy().ends_with("-shm"));
        kept.map(|(path, file)| {
            let mut content = self.files[file].synced.clone();
            for change in &self.files[file].since {
                match drawn(4) {
                    1 => change.apply(&mut content, (1, 1)),
                    2 => change.apply(&mut content, (1, 2)),
                    _ => {}
                }
            }
            (path, content)
        })
        .collect()
    }
}

//! A machine that loses its power: what was not synced is gone, or half there, and nothing that anybody was told is forgotten.
//!
//! A deal's life with chain and miner runs in a process of its own, whose writes are recorded. At many points of that record the
//! folder is made anew ([`sealdrop_database::testing::power_loss`]). Chain and miner must open each, and whatever an observer had seen by
//! then (the chain's head, the deal's stage, the sector's phase) must still be so. `power-loss` does the same to the whole daemon.

use super::*;
use crate::staging::Staging;
use sealdrop_database::testing::child;
use sealdrop_database::testing::power_loss::{interposer, record, Disk, Recording};
use shared::sector::Phase;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

const VARIABLE: &str = "SEALDROP_TEST_POWER_LOSS";
/// The file that the observer writes down in what it saw.
const OBSERVED: &str = "SEALDROP_TEST_OBSERVED";
/// Points at which the power fails, about.
const POINTS: usize = 220;
/// States that are opened at the least: how many events come before there is anything to be seen depends on the machine.
const LEAST_CHECKED: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_power_loss_at_any_point_of_a_deals_life_forgets_nothing_that_was_seen() {
    if std::env::var_os(VARIABLE).is_some() {
        return live().await;
    }
    let Some(library) = interposer() else {
        eprintln!("left out: there is no C compiler here");
        return;
    };
    let (root, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let observed = tempfile::NamedTempFile::new().unwrap();
    let name = "testing::power_loss::a_power_loss_at_any_point_of_a_deals_life_forgets_nothing_that_was_seen";
    let mut life = child(name, VARIABLE);
    record(&mut life, &library, root.path(), log.path());
    life.env(VARIABLE, root.path())
        .env(OBSERVED, observed.path())
        .env("TMPDIR", root.path());
    let output = life.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let recording = Recording::parse(&fs::read(log.path()).unwrap());
    let observed = fs::read_to_string(observed.path()).unwrap();
    let mut observed = observed.lines().map(Seen::parse).peekable();
    let (mut disk, mut seen) = (Disk::default(), Seen::default());
    // About a third of the events come before there is anything to be seen.
    let step = (recording.0.len() / (2 * POINTS)).max(1);
    let mut checked = 0;
    for (place, (length, event)) in recording.0.iter().enumerate() {
        disk.happens(event);
        while let Some(next) = observed.next_if(|next| next.length <= *length) {
            seen = next;
        }
        if place % step == 0 && !seen.folder.as_os_str().is_empty() {
            for is_torn in [false, true] {
                check(&disk, &seen, is_torn.then_some(place as u64), root.path());
                checked += 1;
            }
        }
    }
    let events = recording.0.len();
    assert!(checked >= LEAST_CHECKED, "{checked} states of {events} events");
    assert!(seen.stage >= 4 && seen.head > 20, "the life is whole: {seen:?}");
    eprintln!("{events} events, {checked} states opened, {seen:?}");
}

/// A deal from its proposal to its sector's first proof, with an observer who writes down what can be seen.
async fn live() {
    let mut world = World::start().await;
    let (deal, done) = (Arc::new(Mutex::new(None::<Cid>)), Arc::new(AtomicBool::new(false)));
    let observer = {
        let (deal, done, dir) = (deal.clone(), done.clone(), world.dir.path().to_owned());
        let (devnet, store) = (world.devnet.clone(), world.miner().store.clone());
        let mut observed = fs::File::create(std::env::var_os(OBSERVED).unwrap()).unwrap();
        let log = std::env::var_os("RECORD_LOG").unwrap();
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
                // Taken last: what was seen was on the disk by then.
                let length = fs::metadata(&log).unwrap().len();
                let line = format!("{length} {} {head} {cid} {stage} {phase}\n", dir.display());
                observed.write_all(line.as_bytes()).unwrap();
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
    // Its folder stays for whoever began this process: that it is removed would stand in the record.
    std::mem::forget(world);
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
fn check(disk: &Disk, seen: &Seen, torn: Option<u64>, root: &Path) {
    let left = disk.lay_out(torn, root);
    let how = format!("torn {torn:?}: {seen:?}");
    let folder = left.path().join(seen.folder.strip_prefix(root).unwrap());
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

/// What an observer saw, when the record had a length.
#[derive(Debug, Default)]
struct Seen {
    length: usize,
    folder: PathBuf,
    head: u64,
    deal: Option<String>,
    stage: u64,
    phase: u64,
}

impl Seen {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Self {
            length: fields[0].parse().unwrap(),
            folder: fields[1].into(),
            head: fields[2].parse().unwrap(),
            deal: (fields[3] != "-" && fields[4] != "0").then(|| fields[3].into()),
            stage: fields[4].parse().unwrap(),
            phase: fields[5].parse().unwrap(),
        }
    }
}

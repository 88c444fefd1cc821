//! What a check found, and the rules by which a fact is well or not: pure functions.

use sealdrop_miner::network::advertised::Reach;
use sealdrop_miner::operator::AddressStatus;
use sealdrop_miner::prover::SealingMemory;
use sealdrop_miner::storage_check::SEALING_FACTOR;
use serde::Serialize;
use shared::piece::SectorSize;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    Ok,
    /// It works, and may not for long or not for everybody.
    Warning,
    Wrong,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which check, by a name that stays when words change.
    pub check: &'static str,
    pub level: Level,
    /// What is so, and why.
    pub text: String,
    /// What to do; empty when it is well.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub advice: String,
}

impl Finding {
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, text, "")
    }

    pub fn warning(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, Level::Warning, text, advice)
    }

    pub fn wrong(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(check, Level::Wrong, text, advice)
    }

    fn new(check: &'static str, level: Level, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            check,
            level,
            text: text.into(),
            advice: advice.into(),
        }
    }

    /// In a line.
    pub fn described(&self) -> String {
        let Self { check, level, text, .. } = self;
        let advice = match self.advice.is_empty() {
            true => String::new(),
            false => format!("; {}", self.advice),
        };
        format!("{:<8} {check}: {text}{advice}", level.name())
    }
}

const GIB: u64 = 1 << 30;
/// Free bytes below which the database and the log may fail at any moment.
const LEAST_FREE: u64 = GIB;
/// Sectors that there should be room for: one is sealed while the next one fills.
const SECTORS_AHEAD: u64 = 2;
/// What development parameters of one size take.
const PARAMETERS: u64 = 3 * GIB / 2;

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}

/// Whether a disk has room for the next sectors, and for parameters where those are still to come.
pub fn disk(place: &str, free: u64, size: SectorSize, has_parameters: bool) -> Finding {
    let parameters = if has_parameters { 0 } else { PARAMETERS };
    let sector = size.bytes().saturating_mul(SEALING_FACTOR);
    let needed = LEAST_FREE.saturating_add(parameters).saturating_add(sector);
    let also = if has_parameters { "" } else { ", making parameters" };
    let takes = format!("or choose a home on a larger disk: sealing a {size} sector{also} and keeping records takes");
    let good = needed.saturating_add(sector.saturating_mul(SECTORS_AHEAD - 1));
    room(place, free, (needed, good), &format!("make room, {takes}"))
}

/// Whether the disk of a home whose sectors are elsewhere has room for its records, and for parameters where those are still to come.
pub fn home_disk(place: &str, free: u64, has_parameters: bool) -> Finding {
    let parameters = if has_parameters { 0 } else { PARAMETERS };
    let needed = LEAST_FREE.saturating_add(parameters);
    let takes = "make room, or choose a home on a larger disk: what lies there takes";
    room(&format!("{place}, the home"), free, (needed, needed), takes)
}

/// Whether a storage has room for the next sectors.
pub fn storage_disk(place: &str, free: u64, size: SectorSize) -> Finding {
    let needed = size.bytes().saturating_mul(SEALING_FACTOR);
    let takes = format!("make room there, or move the storage to a larger disk: sealing a {size} sector takes");
    let good = needed.saturating_mul(SECTORS_AHEAD);
    room(&format!("{place}, the storage"), free, (needed, good), &takes)
}

/// What is free, held against what is needed and what is good to have; `takes` says what is to be done, and what takes what is needed.
fn room(place: &str, free: u64, (needed, good): (u64, u64), takes: &str) -> Finding {
    let text = format!("{} are free at {place}", gib(free));
    let advice = format!("{takes} {}", gib(needed));
    match free {
        _ if free < needed => Finding::wrong("disk", text, advice),
        _ if free < good => Finding::warning("disk", text, advice),
        _ => Finding::ok("disk", text),
    }
}

/// Whether a sector can be sealed in the memory that the machine has.
pub fn memory(size: SectorSize, memory: SealingMemory) -> Finding {
    let SealingMemory {
        needed,
        budget,
        reserve,
    } = memory;
    let takes = format!(
        "the proof of a {size} sector takes {}, beside {} kept free for proofs-of-spacetime",
        gib(needed),
        gib(reserve)
    );
    // The system did not say how much there is.
    if budget >= u64::MAX - reserve {
        return Finding::ok("memory", takes);
    }
    let text = format!("{takes}, and {} are free for it", gib(budget));
    match memory.is_enough() {
        true => Finding::ok("memory", text),
        false => Finding::wrong(
            "memory",
            format!("{text}: none can be sealed, and no deals are taken"),
            "close other programs, choose smaller sectors, or use a larger machine",
        ),
    }
}

/// Whether there are parameters for sectors of a size.
pub fn parameters(dir: &Path, size: SectorSize, are_there: bool) -> Finding {
    let dir = dir.display();
    match are_there {
        true => Finding::ok("parameters", format!("those of {size} sectors are in {dir}")),
        false if size == SectorSize::S32GiB => Finding::warning(
            "parameters",
            format!("those of {size} sectors are not in {dir}, or were never checked there, and none can be made"),
            "get the official ones, name their folder with --params, and have `sealdrop params --official-params --sector-size 32GiB` check them",
        ),
        false => Finding::warning(
            "parameters",
            format!("those of {size} sectors are not in {dir}"),
            "the daemon makes development parameters at its start, which takes minutes; `sealdrop params` makes them beforehand",
        ),
    }
}

/// A port that nobody can listen on.
pub fn port(address: SocketAddr, option: &str, error: &io::Error) -> Finding {
    let text = format!("{address} ({option}) cannot be listened on: {error}");
    let advice = "stop the program that has it, or give the daemon another";
    Finding::warning("port", text, advice)
}

/// All listeners, peers and files of a daemon together take about so many descriptors (limits.md).
const DESCRIPTORS_NEEDED: u64 = 1200;
const DESCRIPTORS_GOOD: u64 = 4096;

/// Whether a daemon of this user may open enough files.
pub fn descriptors(most: u64) -> Finding {
    let text = format!("a process of this user may open {most} files");
    let advice = "raise the limit (`ulimit -Hn`, LimitNOFILE= of a systemd unit): peers' connections, files and the database share it";
    match most {
        0..DESCRIPTORS_NEEDED => Finding::wrong("descriptors", text, advice),
        DESCRIPTORS_NEEDED..DESCRIPTORS_GOOD => Finding::warning("descriptors", text, advice),
        _ => Finding::ok("descriptors", text),
    }
}

/// How much the newest block may be ahead of this machine's clock, in milliseconds: what the question's way took, and clocks of good machines.
const CLOCK_AHEAD: u64 = 2_000;
/// Blocks that may be missing before the chain counts as standing still.
const BLOCKS_LATE: u64 = 10;
const LATE_AT_LEAST: u64 = 30_000;

/// Whether this machine's clock and the chain's agree, and whether the chain goes on.
pub fn clock(now_ms: u64, block_ms: u64, block_time_ms: u64, height: u64) -> Finding {
    let ahead = block_ms.saturating_sub(now_ms);
    let age = now_ms.saturating_sub(block_ms);
    let late = block_time_ms.saturating_mul(BLOCKS_LATE).max(LATE_AT_LEAST);
    if ahead > CLOCK_AHEAD {
        let text = format!("the newest block is {ahead} ms in the future: this machine's clock is behind the chain's");
        return Finding::wrong("clock", text, "set the clock, best by NTP (`timedatectl set-ntp true`)");
    }
    if age > late && block_time_ms > 0 {
        let text = format!("the newest block, {height}, is {} s old", age / 1000);
        let advice = "the chain stands still, or this machine's clock is ahead: look at the chain's daemon, and set the clock by NTP";
        return Finding::wrong("clock", text, advice);
    }
    Finding::ok(
        "clock",
        format!("block {height} is {age} ms old: clock and chain agree"),
    )
}

/// What there is to say of each advertised address.
pub fn address(status: &AddressStatus) -> Finding {
    let text = format!("{} {}", status.address, status.described());
    let advice = status.fault.as_ref().map_or("", |fault| fault.advice.as_str());
    match (status.answers, &status.outside) {
        (Some(true), Some(outside)) if !outside.reached && status.reach == Reach::Public => {
            let advice = "it answers from this machine only: let firewall and router pass the port on from outside";
            Finding::warning("address", text, advice)
        }
        (Some(true), _) => Finding::ok("address", text),
        (Some(false), Some(outside)) if outside.reached => Finding::ok("address", text),
        (Some(false), _) => Finding::wrong("address", text, advice),
        (None, _) => Finding::warning("address", text, advice),
    }
}

/// Who can reach the miner at all.
pub fn reach(statuses: &[AddressStatus]) -> Finding {
    let reached = statuses
        .iter()
        .filter(|status| status.is_reached() && !status.is_http());
    match reached.map(|status| status.reach).min() {
        None => Finding::wrong(
            "reach",
            "no client can reach the miner: none of its addresses answers",
            "start the daemon, or do what the addresses above need",
        ),
        Some(Reach::Public) => Finding::ok("reach", "clients reach the miner from everywhere"),
        Some(Reach::Private) => Finding::warning(
            "reach",
            "only clients of the local network reach the miner",
            "for others, map a port of the router to it and announce that address",
        ),
        Some(Reach::Loopback | Reach::Nowhere) => Finding::warning(
            "reach",
            "only clients of this machine reach the miner: it listens on loopback alone",
            "for others, let it listen on 0.0.0.0 or on an interface's address",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_miner::network::probe::Unanswered;
    use sealdrop_miner::operator::{AddressFault, OutsideVerdict};

    #[test]
    fn a_disk_without_room_for_the_next_sector_is_wrong() {
        let level = |free| disk("/data", free, SectorSize::S512MiB, true).level;
        assert_eq!(level(0), Level::Wrong);
        assert_eq!(level(5 * GIB - 1), Level::Wrong);
        assert_eq!(level(5 * GIB), Level::Warning);
        assert_eq!(level(9 * GIB), Level::Ok);
        assert_eq!(disk("/data", 3 * GIB, SectorSize::S32GiB, true).level, Level::Wrong);
        // Parameters that are still to be made take room, too.
        let small = |has_parameters| disk("/data", 2 * GIB, SectorSize::S2KiB, has_parameters).level;
        assert_eq!((small(true), small(false)), (Level::Ok, Level::Wrong));
    }

    #[test]
    fn sectors_take_room_where_they_lie_and_parameters_in_the_home() {
        let storage = |free| storage_disk("/mnt", free, SectorSize::S512MiB).level;
        assert_eq!(storage(4 * GIB - 1), Level::Wrong);
        assert_eq!(storage(4 * GIB), Level::Warning);
        assert_eq!(storage(8 * GIB), Level::Ok);
        let home = |has_parameters| home_disk("/data", 2 * GIB, has_parameters).level;
        assert_eq!((home(true), home(false)), (Level::Ok, Level::Wrong));
    }

    #[test]
    fn memory_that_does_not_take_a_proof_is_wrong() {
        let found = |budget| {
            let of = SealingMemory {
                needed: GIB,
                budget,
                reserve: GIB,
            };
            memory(SectorSize::S8MiB, of)
        };
        assert_eq!(found(GIB).level, Level::Ok);
        assert_eq!(found(u64::MAX - GIB).level, Level::Ok);
        let wrong = found(GIB / 2);
        assert_eq!(wrong.level, Level::Wrong);
        assert!(wrong.text.contains("0.5 GiB"), "{}", wrong.text);
    }

    #[test]
    fn parameters_that_cannot_be_made_are_to_be_got() {
        let found = |size, are_there| parameters(Path::new("/p"), size, are_there);
        assert!(found(SectorSize::S8MiB, false).advice.contains("makes"));
        assert!(found(SectorSize::S32GiB, false).advice.contains("official"));
        assert_eq!(found(SectorSize::S32GiB, true).level, Level::Ok);
    }

    #[test]
    fn a_daemon_without_descriptors_is_wrong() {
        assert_eq!(descriptors(1024).level, Level::Wrong);
        assert_eq!(descriptors(1200).level, Level::Warning);
        assert_eq!(descriptors(65_536).level, Level::Ok);
    }

    #[test]
    fn a_clock_that_disagrees_with_the_chain_is_wrong() {
        let level = |now, block| clock(now, block, 1000, 7).level;
        assert_eq!(level(100_000, 100_500), Level::Ok);
        assert_eq!(level(100_000, 103_000), Level::Wrong);
        assert_eq!(level(100_000, 71_000), Level::Ok);
        assert_eq!(level(100_000, 69_000), Level::Wrong);
        // Blocks of a minute are late later, and a chain whose blocks are made by hand never is.
        assert_eq!(clock(700_000, 150_000, 60_000, 7).level, Level::Ok);
        assert_eq!(clock(9_000_000, 0, 0, 7).level, Level::Ok);
    }

    fn status(reach: Reach) -> AddressStatus {
        AddressStatus {
            answers: Some(true),
            ..AddressStatus::untried("/ip4/9.8.7.6/tcp/1".into(), reach)
        }
    }

    #[test]
    fn an_address_that_does_not_answer_is_wrong_and_says_what_to_do() {
        let silent = AddressStatus {
            answers: Some(false),
            fault: Some(AddressFault::from(&Unanswered::Refused)),
            ..status(Reach::Public)
        };
        let found = address(&silent);
        assert_eq!(found.level, Level::Wrong);
        assert!(found.advice.contains("port"), "{}", found.advice);
        let outside = |reached| {
            Some(OutsideVerdict {
                by: "another".into(),
                reached,
                at: 0,
            })
        };
        let hairpin = AddressStatus {
            outside: outside(true),
            ..silent
        };
        assert_eq!(address(&hairpin).level, Level::Ok);
        let closed = AddressStatus {
            outside: outside(false),
            ..status(Reach::Public)
        };
        assert_eq!(address(&closed).level, Level::Warning);
        assert_eq!(address(&status(Reach::Public)).level, Level::Ok);
        let untried = AddressStatus::untried("/ip4/9.8.7.6/udp/1/webrtc-direct".into(), Reach::Public);
        assert_eq!(address(&untried).level, Level::Warning);
    }

    #[test]
    fn the_furthest_address_that_answers_says_who_reaches_the_miner() {
        assert_eq!(reach(&[]).level, Level::Wrong);
        assert_eq!(reach(&[status(Reach::Loopback)]).level, Level::Warning);
        assert_eq!(
            reach(&[status(Reach::Private), status(Reach::Loopback)]).level,
            Level::Warning
        );
        assert_eq!(
            reach(&[status(Reach::Loopback), status(Reach::Public)]).level,
            Level::Ok
        );
        let silent = AddressStatus {
            answers: Some(false),
            ..status(Reach::Public)
        };
        assert_eq!(reach(&[silent]).level, Level::Wrong);
    }
}

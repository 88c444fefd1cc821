//! What a check found, and the rules by which a fact is well or not: pure functions.

use sealdrop_miner::network::advertised::Reach;
use sealdrop_miner::operator::AddressStatus;
use serde::Serialize;
use shared::piece::SectorSize;

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
/// Replica, trees and cache of a sector that is sealed take about so many times its size.
const SECTOR_WORK: u64 = 4;
/// Sectors that there should be room for: one is sealed while the next one fills.
const SECTORS_AHEAD: u64 = 2;

/// Whether a disk has room for the next sectors.
pub fn disk(place: &str, free: u64, size: SectorSize) -> Finding {
    let needed = LEAST_FREE.saturating_add(size.bytes().saturating_mul(SECTOR_WORK));
    let good = needed.saturating_mul(SECTORS_AHEAD);
    let text = format!("{:.1} GiB are free at {place}", free as f64 / GIB as f64);
    let advice = format!(
        "make room, or move the home to a larger disk: sealing a {size} sector and keeping records takes {:.1} GiB",
        needed as f64 / GIB as f64
    );
    match free {
        _ if free < needed => Finding::wrong("disk", text, advice),
        _ if free < good => Finding::warning("disk", text, advice),
        _ => Finding::ok("disk", text),
    }
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
        let level = |free| disk("/data", free, SectorSize::S512MiB).level;
        assert_eq!(level(0), Level::Wrong);
        assert_eq!(level(3 * GIB - 1), Level::Wrong);
        assert_eq!(level(3 * GIB), Level::Warning);
        assert_eq!(level(6 * GIB), Level::Ok);
        assert_eq!(disk("/data", 3 * GIB, SectorSize::S32GiB).level, Level::Wrong);
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

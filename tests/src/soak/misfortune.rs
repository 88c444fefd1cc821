//! What befalls the daemon of the soak, one thing after the other, and how it must take it.

use super::steered::{LogState, SteeredDaemon};
use super::watch::{Watch, GREEN_LIMIT, RED_LIMIT};
use super::Random;
use std::time::{Duration, Instant};

/// Seconds from the end of one misfortune to the next.
const EVERY: (u64, u64) = (15, 50);
/// How long the disk is full.
const FULL_FOR: Duration = Duration::from_secs(60);
/// How long nobody takes the log, where it comes back.
const LOG_LOST_FOR: Duration = Duration::from_secs(60);
/// Seconds by which the time of day jumps, ahead or back.
const JUMP: (u64, u64) = (120, 6 * 3600);
/// Minutes with restarts, and those after them without: what grows in a process shows in a process that lives.
const RESTARTS_FOR: u64 = 12;
const LIVES_FOR: u64 = 18;

/// What befell it, and how often.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub kills: usize,
    pub power_losses: usize,
    pub full_disks: usize,
    pub lost_logs: usize,
    pub clock_jumps: usize,
    pub longest_start: Duration,
    pub longest_up: Duration,
}

/// What is the matter at present.
enum Matter {
    Nothing {
        next: Instant,
    },
    FullDisk {
        since: Instant,
        failed: Option<Instant>,
        was_red: bool,
    },
    Recovery {
        since: Instant,
    },
    FullLog {
        since: Instant,
    },
    StalledLog {
        since: Instant,
    },
}

/// See the module. An event is what happened in words, or what was broken.
pub(super) struct Misfortune {
    random: Random,
    began: Instant,
    up_since: Instant,
    matter: Matter,
    ahead: i64,
    pub counts: Counts,
}

type Events = Vec<Result<String, String>>;

impl Misfortune {
    pub fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            random: Random::of(seed ^ 0x5eed),
            began: now,
            up_since: now,
            matter: Matter::Nothing {
                next: now + Duration::from_secs(EVERY.1),
            },
            ahead: 0,
            counts: Counts::default(),
        }
    }

    /// Whether the daemon may not answer at present.
    pub fn is_at_work(&self) -> bool {
        matches!(self.matter, Matter::FullDisk { .. } | Matter::Recovery { .. })
    }

    /// Does what is due.
    pub fn turn(&mut self, daemon: &mut SteeredDaemon, watch: &mut Watch, arriving: bool) -> Events {
        let mut events = Events::new();
        self.counts.longest_up = self.counts.longest_up.max(self.up_since.elapsed());
        if let Some(status) = daemon.ended_by_itself() {
            events.push(Err(format!(
                "the daemon ended by itself with {status}:\n{}",
                daemon.log_tail()
            )));
            events.push(self.start(daemon, watch));
        }
        match &mut self.matter {
            Matter::Nothing { next } if arriving && Instant::now() >= *next => {
                events.extend(self.befalls(daemon, watch));
            }
            Matter::Nothing { .. } => {}
            Matter::FullDisk { since, failed, was_red } => {
                if failed.is_none() && daemon.failed_calls() > 0 {
                    *failed = Some(Instant::now());
                }
                *was_red |= watch.is_red();
                let unsaid = !*was_red && failed.is_some_and(|failed| failed.elapsed() > RED_LIMIT);
                if unsaid {
                    *was_red = true;
                    events.push(Err(format!("the disk is full for {RED_LIMIT:?}, and health is green")));
                }
                if since.elapsed() > FULL_FOR {
                    let calls = daemon.failed_calls();
                    daemon.free_disk();
                    self.matter = Matter::Recovery { since: Instant::now() };
                    watch.disturbed(Instant::now() + GREEN_LIMIT);
                    events.push(Ok(format!("the disk has room again; {calls} calls had failed")));
                }
            }
            Matter::Recovery { since } => {
                if !watch.is_red() && since.elapsed() > Duration::from_secs(5) {
                    events.push(Ok(format!("well again after {} s", since.elapsed().as_secs())));
                    self.rest();
                } else if since.elapsed() > GREEN_LIMIT {
                    events.push(Err(format!(
                        "the disk has room for {GREEN_LIMIT:?}, and health is {}",
                        watch.says()
                    )));
                    self.rest();
                }
            }
            Matter::FullLog { since } => {
                if since.elapsed() > LOG_LOST_FOR {
                    daemon.free_disk();
                    events.push(Ok("the log can be written again".to_owned()));
                    self.rest();
                }
            }
            Matter::StalledLog { since } => {
                if since.elapsed() > LOG_LOST_FOR {
                    daemon.set_log(LogState::Read);
                    events.push(Ok("the log is read again".to_owned()));
                    self.rest();
                }
            }
        }
        events
    }

    /// Nothing is the matter any more.
    pub fn end(&mut self, daemon: &mut SteeredDaemon, watch: &mut Watch) {
        daemon.free_disk();
        daemon.set_clock_ahead(0);
        daemon.set_log(LogState::Read);
        watch.disturbed(Instant::now() + GREEN_LIMIT);
        self.rest();
    }

    fn rest(&mut self) {
        let next = Instant::now() + self.random.seconds(EVERY);
        self.matter = Matter::Nothing { next };
    }

    fn befalls(&mut self, daemon: &mut SteeredDaemon, watch: &mut Watch) -> Events {
        let minute = self.began.elapsed().as_secs() / 60;
        let restarts = minute % (RESTARTS_FOR + LIVES_FOR) < RESTARTS_FOR;
        self.rest();
        match (restarts, self.random.below(20)) {
            (true, 0..=6) => {
                daemon.kill();
                self.counts.kills += 1;
                vec![Ok("killed".to_owned()), self.start(daemon, watch)]
            }
            (true, 7..=11) => {
                self.counts.power_losses += 1;
                let torn = self.random.next();
                let left = daemon
                    .lose_power(torn)
                    .map(|files| format!("the power failed; {files} files are left"));
                vec![left, self.start(daemon, watch)]
            }
            (true, 12..=13) | (false, 0..=6) => {
                daemon.fill_disk();
                self.counts.full_disks += 1;
                watch.disturbed(Instant::now() + FULL_FOR + GREEN_LIMIT);
                self.matter = Matter::FullDisk {
                    since: Instant::now(),
                    failed: None,
                    was_red: false,
                };
                vec![Ok("the disk is full".to_owned())]
            }
            (true, 14..=16) | (false, 7..=13) => vec![Ok(self.lose_log(daemon, restarts))],
            _ => vec![Ok(self.jump(daemon))],
        }
    }

    fn start(&mut self, daemon: &mut SteeredDaemon, watch: &mut Watch) -> Result<String, String> {
        let took = daemon.start();
        self.up_since = Instant::now();
        watch.disturbed(Instant::now() + GREEN_LIMIT);
        let took = took?;
        self.counts.longest_start = self.counts.longest_start.max(took);
        Ok(format!("well again {:.1} s after its start", took.as_secs_f64()))
    }

    /// A log that is closed comes back with the next start alone.
    fn lose_log(&mut self, daemon: &SteeredDaemon, restarts: bool) -> String {
        self.counts.lost_logs += 1;
        let since = Instant::now();
        match self.random.below(if restarts { 3 } else { 2 }) {
            0 => {
                daemon.fill_log();
                self.matter = Matter::FullLog { since };
                "the log's disk is full".to_owned()
            }
            1 => {
                daemon.set_log(LogState::Stalled);
                self.matter = Matter::StalledLog { since };
                "nobody reads the log".to_owned()
            }
            _ => {
                daemon.set_log(LogState::Closed);
                "the log's reader is gone".to_owned()
            }
        }
    }

    fn jump(&mut self, daemon: &SteeredDaemon) -> String {
        self.counts.clock_jumps += 1;
        let seconds = i64::try_from(self.random.between(JUMP)).unwrap_or_default();
        self.ahead = match (self.ahead, self.random.below(3)) {
            // Back to the machine's time.
            (ahead, 0) if ahead != 0 => 0,
            (_, 1) => seconds,
            _ => -seconds,
        };
        daemon.set_clock_ahead(self.ahead);
        format!("the time of day is {} s ahead", self.ahead)
    }
}

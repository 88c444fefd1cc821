//! Which problems are told, and when: each once, after it has lasted, and its end.
//!
//! Times are milliseconds of a clock that nobody sets. A problem is known by its service and by what of it fails, not by its words, which change
//! while it lasts.

use crate::supervisor::Problem;
use serde::Serialize;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How long a problem lasts before it is told, and is over before that is: what mends itself at once disturbs nobody.
const LASTS_MS: u64 = 30_000;
/// Least time between two messages; what changes meanwhile is told together.
const PAUSE_MS: u64 = 60_000;
/// Problems of which it is known whether they were told.
const MOST: usize = 256;

/// What is told in one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What is wrong since the last message.
    pub began: Vec<Problem>,
    /// What was wrong then and is not any more.
    pub ended: Vec<Problem>,
    /// All that is wrong and has lasted.
    pub problems: Vec<Problem>,
}

impl Alert {
    /// Whether all is well now.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// Tells messages about different things apart.
    pub fn id(&self) -> String {
        let mut hasher = DefaultHasher::new();
        let all = self.began.iter().chain(&self.ended);
        all.map(|problem| (key(problem), problem.since))
            .for_each(|of| of.hash(&mut hasher));
        format!("{:016x}", hasher.finish())
    }

    /// For people, in lines.
    pub fn text(&self, miner: &str) -> String {
        let line = |sign: &str, problem: &Problem| format!("{sign} {}: {}", problem.service, problem.text);
        let head = match self.problems.len() {
            0 => format!("Sealdrop miner {miner}: all is well again"),
            1 => format!("Sealdrop miner {miner}: something is wrong"),
            many => format!("Sealdrop miner {miner}: {many} things are wrong"),
        };
        let wrong = self.problems.iter().map(|problem| line("✗", problem));
        let over = self.ended.iter().map(|problem| line("✓ over:", problem));
        [head]
            .into_iter()
            .chain(wrong)
            .chain(over)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// What was seen and told so far; lost at a restart, after which what is wrong is told once more.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: BTreeMap<String, Seen>,
    last_sent_ms: Option<u64>,
}

#[derive(Debug)]
struct Seen {
    problem: Problem,
    first_ms: u64,
    /// When it was not there any more.
    gone_ms: Option<u64>,
    is_told: bool,
}

impl Seen {
    fn has_begun(&self, now: u64) -> bool {
        !self.is_told && self.gone_ms.is_none() && now.saturating_sub(self.first_ms) >= LASTS_MS
    }

    fn has_ended(&self, now: u64) -> bool {
        self.is_told && self.is_over(now)
    }

    fn is_over(&self, now: u64) -> bool {
        self.gone_ms.is_some_and(|gone| now.saturating_sub(gone) >= LASTS_MS)
    }
}

/// The same problem, whatever its words are just now.
fn key(problem: &Problem) -> String {
    format!("{}\n{}", problem.service, problem.of)
}

impl Watch {
    /// Takes in what is wrong at `now`; what is to be told of it, if anything is.
    pub(super) fn look(&mut self, now: u64, problems: &[Problem]) -> Option<Alert> {
        let there: BTreeMap<String, &Problem> = problems.iter().map(|problem| (key(problem), problem)).collect();
        for (key, seen) in &mut self.seen {
            if !there.contains_key(key) {
                seen.gone_ms.get_or_insert(now);
            }
        }
        // What came and stays away untold was nothing; what comes back soon never went.
        self.seen.retain(|_, seen| seen.is_told || !seen.is_over(now));
        for (key, problem) in there {
            if let Some(seen) = self.seen.get_mut(&key) {
                (seen.problem, seen.gone_ms) = (problem.clone(), None);
            } else if self.seen.len() < MOST {
                self.seen.insert(
                    key,
                    Seen {
                        problem: problem.clone(),
                        first_ms: now,
                        gone_ms: None,
                        is_told: false,
                    },
                );
            }
        }
        self.is_due(now).then(|| self.alert(now))
    }

    /// Whether something is to be told at `now`.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let rests = self
            .last_sent_ms
            .is_some_and(|last| now.saturating_sub(last) < PAUSE_MS);
        !rests
            && self
                .seen
                .values()
                .any(|seen| seen.has_begun(now) || seen.has_ended(now))
    }

    fn alert(&self, now: u64) -> Alert {
        let of = |wanted: &dyn Fn(&Seen) -> bool| {
            let found = self.seen.values().filter(|seen| wanted(seen));
            found.map(|seen| seen.problem.clone()).collect()
        };
        Alert {
            began: of(&|seen| seen.has_begun(now)),
            ended: of(&|seen| seen.has_ended(now)),
            problems: of(&|seen| !seen.has_ended(now) && (seen.is_told || seen.has_begun(now))),
        }
    }

    /// Notes that `alert`, which was given at `now`, was taken.
    pub(super) fn sent(&mut self, now: u64, alert: &Alert) {
        self.last_sent_ms = Some(now);
        for problem in &alert.began {
            if let Some(seen) = self.seen.get_mut(&key(problem)) {
                seen.is_told = true;
            }
        }
        for problem in &alert.ended {
            self.seen.remove(&key(problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        Problem {
            service: "proving".into(),
            of: text.split(' ').next().unwrap_or_default().into(),
            text: text.into(),
            since: 0,
        }
    }

    #[test]
    fn a_problem_is_told_once_after_it_has_lasted_and_so_is_its_end() {
        let (mut watch, disk) = (Watch::default(), [problem("disk is full for 1 s")]);
        assert_eq!(watch.look(0, &disk), None);
        // The same in other words.
        let alert = watch
            .look(LASTS_MS, &[problem("disk takes nothing")])
            .expect("it lasts");
        assert_eq!(
            (alert.began.len(), alert.problems.len(), alert.is_well()),
            (1, 1, false)
        );
        // What was not taken is told again.
        assert_eq!(watch.look(LASTS_MS + 1, &disk).map(|again| again.began.len()), Some(1));
        watch.sent(LASTS_MS + 1, &alert);
        let later = LASTS_MS + 1 + PAUSE_MS;
        assert_eq!(watch.look(later, &disk), None);
        assert_eq!(watch.look(later + 1, &[]), None);
        let over = watch.look(later + 1 + LASTS_MS, &[]).expect("it is over");
        assert!(over.is_well() && over.ended.len() == 1, "{over:?}");
        assert!(over.text("t01").contains("all is well again"), "{}", over.text("t01"));
        watch.sent(later + 1 + LASTS_MS, &over);
        assert_eq!(watch.look(later + 10 * PAUSE_MS, &[]), None);
    }

    #[test]
    fn what_mends_itself_is_not_told_and_what_comes_back_at_once_is_not_over() {
        let (mut watch, disk) = (Watch::default(), [problem("full")]);
        assert_eq!(watch.look(0, &disk), None);
        assert_eq!(watch.look(1, &[]), None);
        assert_eq!(watch.look(1 + LASTS_MS, &[]), None);
        assert_eq!(watch.look(2 + LASTS_MS, &disk), None, "it began anew");
        // Up and down again and again is down.
        assert_eq!(watch.look(3 + LASTS_MS, &[]), None);
        let alert = watch.look(2 + 2 * LASTS_MS, &disk).expect("it lasts");
        watch.sent(2 + 2 * LASTS_MS, &alert);
        let later = 10 * PAUSE_MS;
        assert_eq!(watch.look(later, &[]), None);
        assert_eq!(watch.look(later + LASTS_MS - 1, &disk), None);
        assert_eq!(
            watch.look(later + 10 * LASTS_MS, &disk),
            None,
            "it was told and never over"
        );
    }

    #[test]
    fn messages_are_a_minute_apart() {
        let mut watch = Watch::default();
        let (disk, both) = ([problem("full")], [problem("full"), problem("late")]);
        watch.look(0, &disk);
        let alert = watch.look(LASTS_MS, &both).expect("it lasts");
        watch.sent(LASTS_MS, &alert);
        assert_eq!(watch.look(2 * LASTS_MS, &both), None, "too soon");
        let next = watch.look(LASTS_MS + PAUSE_MS, &both).expect("now");
        assert_eq!((next.began.len(), next.problems.len()), (1, 2));
    }
}

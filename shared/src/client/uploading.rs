//! Sending a deal's piece over HTTP, where its miner takes it so: whether at all, what is sent next and how much at once, and when it
//! is left to libp2p after all.
//!
//! The miner pulls the piece over libp2p from whoever offers it, so nothing depends on HTTP: a client goes on offering the piece, and
//! the miner prefers an upload while there is one ([`crate::transfer::upload`]). [`Uploading`] is sans-io: ask [`Uploading::next`]
//! what to do until it says to wait, feed every reply to [`Uploading::on_reply`]. What the miner says here is not believed: the deal
//! goes on by its signed answers alone.

use super::dialing::HttpAddress;
use crate::transfer::upload::{Chunks, SessionState, SessionView, UploadCode, UploadProblem, MAX_RANGES};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

/// Chunks under way at once: while one is checked and written the others are on the line. A miner takes no more of one payer.
pub const PARALLEL: usize = 4;
/// Chunks under way at once after a failure; one more with each that arrives. On a line that is cut often, four at once would all be half
/// sent each time, and none would ever arrive.
const PARALLEL_AFTER_FAILURE: usize = 1;
/// Failures in a row, without a chunk in between, before it is left to libp2p.
pub const MAX_FAILURES: u32 = 4;
/// Pause after a failure, in milliseconds; twice as long after each further one.
const FIRST_PAUSE_MS: u64 = 500;
/// Longest pause that a miner may ask for, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 10_000;
/// Longest answer that is read, in bytes: 256 ranges of two numbers take fewer than 6 KiB.
pub const MAX_ANSWER: usize = 64 * 1024;
/// How long an answer is waited for that carries no chunk, in milliseconds: a miner says within twenty seconds that it takes longer.
pub const ANSWER_LIMIT_MS: u64 = 40_000;
/// How long a chunk may take with its answer, in milliseconds: at the least speed that a miner bears.
pub const CHUNK_LIMIT_MS: u64 = 600_000;
/// Addresses over HTTP that are tried, at most.
const MAX_BASES: usize = 4;

/// What of a miner's addresses are URLs, nearest first, at most so many. Those that lead nowhere in particular are none.
pub fn bases<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let read = addresses
        .into_iter()
        .take(super::dialing::MAX_ADDRESSES)
        .filter_map(HttpAddress::parse);
    let mut bases: Vec<HttpAddress> = read.collect();
    bases.sort_by_key(|base| (base.reach, !base.is_secure));
    let mut urls: Vec<String> = bases.into_iter().map(|base| base.url).collect();
    urls.dedup();
    urls.truncate(MAX_BASES);
    urls
}

/// A request to the miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// Open the session, with a new opening.
    Open,
    Nodes,
    Chunk(u64),
    Finalize,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this, beside what is under way.
    Send(Ask),
    /// Wait for a reply.
    Await,
    /// Nothing is under way; go on in so many milliseconds.
    Pause(u64),
    /// The miner says that it has the piece.
    Done,
    /// Leave it to libp2p, for this reason.
    FallBack(String),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It was done; the answer has a session, or nothing.
    Done(Option<SessionView>),
    /// It was not, for a reason that the miner gives.
    Refused(UploadProblem),
    /// Whoever answers there is no miner of this network.
    Foreign { status: u16 },
    /// There was no answer.
    Lost(String),
    /// The own file could not be read.
    Unreadable,
}

/// One piece on its way.
#[derive(Debug, Clone)]
pub struct Uploading {
    chunks: Chunks,
    size: u64,
    /// Where the miner is asked: the first that has not failed to answer as a miner.
    bases: VecDeque<String>,
    token: Option<String>,
    nodes_missing: bool,
    /// Chunks to send, as ranges, in order.
    missing: VecDeque<Range<u64>>,
    /// Whether the list was cut off.
    more_missing: bool,
    under_way: BTreeSet<Ask>,
    /// Chunks that may be under way at once now.
    parallel: usize,
    /// Whether the miner has taken a chunk from here.
    has_sent: bool,
    /// Chunks that the miner has taken: at most those of the largest piece.
    taken: BTreeSet<u64>,
    /// Failed rounds in a row; all that fails while the rest of a round is under way is one failure.
    failures: u32,
    /// What is to be opened again once nothing is under way, and when.
    broken: Option<u64>,
    over: Option<Step>,
}

impl Uploading {
    /// Of a piece of `size` bytes, to a miner that is asked at one of these URLs; `None` where there are none.
    pub fn new(size: u64, bases: Vec<String>) -> Option<Self> {
        (!bases.is_empty()).then(|| Self {
            chunks: Chunks::new(size),
            size,
            bases: bases.into(),
            token: None,
            nodes_missing: false,
            missing: VecDeque::new(),
            more_missing: false,
            under_way: BTreeSet::new(),
            parallel: PARALLEL,
            has_sent: false,
            taken: BTreeSet::new(),
            failures: 0,
            broken: None,
            over: None,
        })
    }

    /// The URL to ask, without the path.
    pub fn base(&self) -> &str {
        self.bases.front().map_or("", String::as_str)
    }

    /// For the header `Authorization: Bearer …`, once the session is open.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether anything of the file went this way: the miner may have had it, or have fetched it faster.
    pub fn has_sent(&self) -> bool {
        self.has_sent
    }

    /// Where a chunk lies in the file.
    pub fn bytes(&self, chunk: u64) -> Range<u64> {
        self.chunks.bytes(chunk).unwrap_or(0..0)
    }

    /// Bytes of which the miner says that it has them, or 0 before it says anything.
    pub fn sent(&self) -> u64 {
        if self.token.is_none() {
            return 0;
        }
        let lacking = self.missing.iter().flat_map(Clone::clone);
        let under_way = self.under_way.iter().filter_map(|ask| match ask {
            Ask::Chunk(chunk) => Some(*chunk),
            _ => None,
        });
        let bytes = lacking.chain(under_way).map(|chunk| {
            let range = self.bytes(chunk);
            range.end.saturating_sub(range.start)
        });
        self.size.saturating_sub(bytes.fold(0, u64::saturating_add))
    }

    /// What to do at `now_ms`, of any clock that does not go back.
    pub fn next(&mut self, now_ms: u64) -> Step {
        if let Some(over) = &self.over {
            return over.clone();
        }
        if let Some(at) = self.broken {
            if !self.under_way.is_empty() {
                return Step::Await;
            }
            if now_ms < at {
                return Step::Pause(at.saturating_sub(now_ms));
            }
            (self.broken, self.token) = (None, None);
        }
        match self.wanted() {
            Some(ask) => {
                self.under_way.insert(ask);
                Step::Send(ask)
            }
            None => Step::Await,
        }
    }

    fn wanted(&mut self) -> Option<Ask> {
        let is_idle = self.under_way.is_empty();
        if self.token.is_none() {
            return is_idle.then_some(Ask::Open);
        }
        if self.nodes_missing {
            return is_idle.then_some(Ask::Nodes);
        }
        if self.under_way.len() >= self.parallel {
            return None;
        }
        let Some(range) = self.missing.front_mut() else {
            // What the list left out is asked for again.
            let last = if self.more_missing { Ask::Open } else { Ask::Finalize };
            return is_idle.then_some(last);
        };
        let chunk = range.start;
        range.start = range.start.saturating_add(1);
        if range.start >= range.end {
            self.missing.pop_front();
        }
        Some(Ask::Chunk(chunk))
    }

    /// Takes what came of a request that [`Self::next`] said to send.
    pub fn on_reply(&mut self, ask: Ask, reply: Reply, now_ms: u64) {
        if !self.under_way.remove(&ask) || self.over.is_some() {
            return;
        }
        match reply {
            Reply::Done(Some(view)) if view.state == SessionState::Received => self.over = Some(Step::Done),
            Reply::Done(view) => self.done(ask, view, now_ms),
            Reply::Refused(problem) => self.refused(ask, problem, now_ms),
            Reply::Foreign { status } => {
                let reason = format!(
                    "what answers at {} is no miner of this network (status {status})",
                    self.base()
                );
                match ask {
                    Ask::Open => self.next_base(reason, now_ms),
                    // A proxy in front of it, whose trouble may pass.
                    _ => self.failed(reason, None, now_ms),
                }
            }
            Reply::Lost(reason) if ask == Ask::Open => self.next_base(reason, now_ms),
            Reply::Lost(reason) => self.failed(reason, None, now_ms),
            Reply::Unreadable => self.fall_back("the file cannot be read any more".to_string()),
        }
    }

    fn done(&mut self, ask: Ask, view: Option<SessionView>, now_ms: u64) {
        match (ask, view) {
            (Ask::Open, Some(view)) if view.token.is_some() => self.take(view),
            (Ask::Nodes, _) => self.nodes_missing = false,
            (Ask::Chunk(chunk), _) => {
                self.has_sent = true;
                self.parallel = self.parallel.saturating_add(1).min(PARALLEL);
                // One that was taken before is no progress.
                if self.taken.insert(chunk) {
                    self.failures = 0;
                }
            }
            (Ask::Open | Ask::Finalize, _) => {
                let reason = "the miner's answer says nothing of the session".to_string();
                self.failed(reason, None, now_ms);
            }
        }
    }

    /// Takes over what is missing: ranges in order, none of them twice, so that no chunk is sent again and again at a miner's wish. What
    /// it says beyond the file's end does not count.
    fn take(&mut self, view: SessionView) {
        let chunks = self.chunks.count();
        let ranges = view
            .missing
            .iter()
            .take(MAX_RANGES)
            .map(|(from, to)| *from..chunks.min(*to));
        let ranges: VecDeque<Range<u64>> = ranges.filter(|range| range.start < range.end).collect();
        let mut in_order = ranges.iter().zip(ranges.iter().skip(1));
        if !in_order.all(|(before, after)| before.end <= after.start) {
            return self.fall_back("the miner's list of what is missing is none".to_string());
        }
        self.missing = ranges;
        self.nodes_missing = view.nodes_missing;
        self.more_missing = view.more_missing;
        if view.token.is_some() {
            self.token = view.token;
        }
        if view.chunk_bytes != self.chunks.chunk_bytes() || view.chunks != chunks {
            self.fall_back("the miner cuts files in another way".to_string());
        }
    }

    fn refused(&mut self, ask: Ask, problem: UploadProblem, now_ms: u64) {
        let UploadProblem { message, retry_ms, .. } = problem;
        match problem.code {
            UploadCode::NoSession if ask != Ask::Open => self.failed(message, Some(0), now_ms),
            UploadCode::Incomplete | UploadCode::NodesMissing | UploadCode::TooSlow => {
                self.failed(message, None, now_ms);
            }
            UploadCode::Busy => self.failed(message, retry_ms.or(Some(FIRST_PAUSE_MS)), now_ms),
            // Trying again would not help, or only much later.
            _ => self.fall_back(message),
        }
    }

    /// Opens the session again when the rest of the round is through.
    fn failed(&mut self, reason: String, pause_ms: Option<u64>, now_ms: u64) {
        if self.broken.is_none() {
            self.failures = self.failures.saturating_add(1);
            self.parallel = PARALLEL_AFTER_FAILURE;
        }
        if self.failures > MAX_FAILURES {
            return self.fall_back(reason);
        }
        let grown = FIRST_PAUSE_MS.saturating_mul(2u64.saturating_pow(self.failures.saturating_sub(1)));
        let pause = pause_ms.unwrap_or(grown).min(LONGEST_PAUSE_MS);
        self.broken = Some(now_ms.saturating_add(pause).max(self.broken.unwrap_or(0)));
    }

    /// Nobody answers here as a miner would.
    fn next_base(&mut self, reason: String, now_ms: u64) {
        if self.bases.len() > 1 {
            self.bases.pop_front();
            self.broken = Some(now_ms);
            return;
        }
        match self.failures {
            // It never answered.
            0 => self.fall_back(reason),
            _ => self.failed(reason, None, now_ms),
        }
    }

    fn fall_back(&mut self, reason: String) {
        self.over = Some(Step::FallBack(reason));
    }
}

#[cfg(test)]
mod tests;

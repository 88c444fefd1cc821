//! The task beside [`super::ChainAccess`]: follows the head, and looks after messages that nobody waits for.
//!
//! The chain tells of heads over a WebSocket; where that is not to be had, it is asked.
//!
//! A message may have been lost with the chain's pool, or dropped and thereby hold up those after it. Both are made good
//! here, so that a caller which only submits needs nothing else.

use super::client::Client;
use super::error::ChainError;
use super::feed::Feed;
use super::outbox::Stage;
use super::{ChainAccess, Gas, Inner};
use crate::supervisor::Lifeline;
use shared::chain::rpc;
use shared::chain::view::HeadView;
use shared::chain::{calls, Address, AttoFil, Epoch};
use std::future::Future;
use std::sync::Weak;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{timeout, Instant};

/// Shortest time between two looks at the head.
const FASTEST: Duration = Duration::from_millis(50);
/// Longest time between two looks at the head while the chain answers.
const SLOWEST: Duration = Duration::from_secs(1);
/// Longest time between two looks while it does not.
const AWAY: Duration = Duration::from_secs(5);
/// Longest time without a new head before the chain is asked over HTTP whether there is one, and longest wait for that answer: a few
/// block times, and no less than what a busy machine may take.
const SILENT_BLOCKS: u32 = 3;
const SHORTEST_SILENCE: Duration = Duration::from_secs(10);
/// The same on a chain that makes blocks when it is told to.
const SILENCE: Duration = Duration::from_secs(30);
/// Time between two attempts to have heads told.
const RETRY: Duration = Duration::from_secs(10);
/// Blocks between two rounds of looking after messages.
const ROUND: u64 = 5;
/// Most messages looked after in a round, the lowest nonces first: the others wait for them anyhow.
const PER_ROUND: usize = 64;

/// Blocks that may be missed before health says that the chain makes none.
const MISSED_BLOCKS: u32 = 10;
/// Shortest time without a block that is told: a proof may take as long to verify.
const SHORTEST_STALL: Duration = Duration::from_secs(30);
/// What health calls the way to the chain, and its blocks.
const REACHED: &str = "endpoint";
const BLOCKS: &str = "blocks";

/// Runs until the chain access is gone.
pub(super) async fn run(inner: Weak<Inner>, lifeline: Lifeline) {
    let Some((url, block_time)) = inner.upgrade().map(|inner| {
        let block_time = Duration::from_millis(inner.network.block_time_ms);
        (inner.client.url.clone(), block_time)
    }) else {
        return;
    };
    let mut watcher = Watcher::new(url, block_time);
    let mut blocks = Blocks::new(block_time);
    let mut last_round = None;
    loop {
        let told = lifeline.busy(watcher.longest_wait(), watcher.wait()).await;
        let Some(inner) = inner.upgrade() else { return };
        let ways = ChainAccess::of_all_accounts(&inner);
        // There always is the account that it was connected with.
        let Some(access) = ways.first() else { return };
        let client = &access.inner.client;
        if watcher.has_lost_feed() {
            client.doubt();
        }
        let known = access.inner.news.borrow().height;
        let head = watcher.answered(look(client, told, known)).await;
        watcher.seen(head.is_ok());
        match head {
            Ok(head) => {
                let height = head.height.0;
                lifeline.well(REACHED);
                blocks.seen(height, &lifeline);
                tell(&access.inner.news, head);
                if last_round.is_none_or(|last: u64| height.abs_diff(last) >= ROUND) {
                    last_round = Some(height);
                    if let Err(error) = resubmit(access).await {
                        tracing::warn!(%error, "messages could not be looked after; the next round tries again");
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the head could not be asked for");
                lifeline.failing(REACHED, &error);
            }
        }
    }
}

/// The head, told or asked for, of the chain that this node keeps to.
async fn look(client: &Client, told: Option<HeadView>, known: Epoch) -> Result<HeadView, ChainError> {
    let head = match told {
        Some(head) => head,
        None => client.try_call(&rpc::Head {}).await?,
    };
    // A chain that lost its power may be lower than it was; so may another one.
    if head.height < known {
        client.doubt();
    }
    client.settle_doubt().await?;
    Ok(head)
}

/// Whether blocks still come.
struct Blocks {
    /// Longest time without a new one; none on a chain that makes them when it is told to.
    limit: Option<Duration>,
    height: u64,
    since: Instant,
}

impl Blocks {
    fn new(block_time: Duration) -> Self {
        let limit = block_time.saturating_mul(MISSED_BLOCKS).max(SHORTEST_STALL);
        Self {
            limit: (!block_time.is_zero()).then_some(limit),
            height: 0,
            since: Instant::now(),
        }
    }

    fn seen(&mut self, height: u64, lifeline: &Lifeline) {
        if height != self.height {
            (self.height, self.since) = (height, Instant::now());
        }
        match self.limit.is_some_and(|limit| self.since.elapsed() > limit) {
            true => {
                let silent = self.since.elapsed().as_secs();
                let text = format!("the chain made no block after {height} for {silent} s");
                lifeline.failing(BLOCKS, &text);
            }
            false => lifeline.well(BLOCKS),
        }
    }
}

/// When to look at the head: as soon as the chain tells of one, or from time to time where it does not.
struct Watcher {
    url: String,
    feed: Option<Feed>,
    /// Whether a feed ended since that was last asked.
    is_lost: bool,
    /// When a feed is tried next.
    retry: Instant,
    /// Longest silence that is believed, of a feed as of an answer: the chain may hang and not know it.
    silence: Duration,
    pause: Duration,
    wait: Duration,
}

impl Watcher {
    fn new(url: String, block_time: Duration) -> Self {
        let pause = (block_time / 2).clamp(FASTEST, SLOWEST);
        Self {
            url,
            feed: None,
            is_lost: false,
            retry: Instant::now(),
            silence: match block_time.is_zero() {
                true => SILENCE,
                false => block_time.saturating_mul(SILENT_BLOCKS).max(SHORTEST_SILENCE),
            },
            pause,
            wait: pause,
        }
    }

    /// Longest that [`Self::wait`] takes: opening a feed has its own limits within it.
    fn longest_wait(&self) -> Duration {
        self.silence.saturating_mul(2)
    }

    /// Waits until there is something to look at; the head, when the chain told it.
    async fn wait(&mut self) -> Option<HeadView> {
        if self.feed.is_none() && Instant::now() >= self.retry {
            self.feed = Feed::open(&self.url).await;
            self.retry = Instant::now() + RETRY;
        }
        let Some(feed) = &mut self.feed else {
            tokio::time::sleep(self.wait).await;
            return None;
        };
        let told = timeout(self.silence, feed.next()).await.ok().flatten();
        if told.is_none() {
            self.feed = None;
            self.is_lost = true;
        }
        told
    }

    fn has_lost_feed(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }

    /// The answer to a question, which does not take longer than silence is believed.
    async fn answered<T>(&self, asking: impl Future<Output = Result<T, ChainError>>) -> Result<T, ChainError> {
        let silent = || ChainError::Unreachable {
            url: self.url.clone(),
            reason: format!(
                "it takes questions and answers none within {} s",
                self.silence.as_secs()
            ),
        };
        timeout(self.silence, asking).await.unwrap_or_else(|_| Err(silent()))
    }

    fn seen(&mut self, answered: bool) {
        self.wait = match answered {
            true => self.pause,
            false => self.wait.saturating_mul(2).min(AWAY),
        };
    }
}

/// Tells everybody about a new head.
fn tell(news: &watch::Sender<HeadView>, head: HeadView) {
    news.send_if_modified(|known| {
        let is_new = *known != head;
        *known = head;
        is_new
    });
}

/// Sends what the chain lost, records what became of the rest, and fills gaps in the nonces.
pub(super) async fn resubmit(access: &ChainAccess) -> Result<(), ChainError> {
    for message in access.inner.outbox.sent().into_iter().take(PER_ROUND) {
        let cid = message.cid();
        // Whoever sends a message for the first time would take one that was sent from here for another process's, and
        // make a second one.
        let _one_at_a_time = access.inner.turn.lock().await;
        if access.inner.outbox.by_cid(&cid).is_none() {
            // The chain refused it meanwhile.
            continue;
        }
        match access.look(&cid).await {
            Ok(None) => {}
            Ok(Some(receipt)) => {
                let dropped = receipt.is_dropped();
                access
                    .inner
                    .outbox
                    .advance(&cid, if dropped { Stage::Dropped } else { Stage::Mined })?;
            }
            Err(ChainError::Pruned { .. }) => access.inner.outbox.advance(&cid, Stage::Mined)?,
            Err(ChainError::Dropped { reason }) => tracing::warn!(message = %cid, reason, "a message was dropped"),
            Err(error) => return Err(error),
        }
    }
    for way in ChainAccess::of_all_accounts(&access.inner) {
        match fill_gap(&way).await {
            // Nobody here can: the account's own node does.
            Ok(()) | Err(ChainError::NoKey { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where a dropped message's nonce holds up those after it, a message that does nothing takes its place.
async fn fill_gap(access: &ChainAccess) -> Result<(), ChainError> {
    let _one_at_a_time = access.inner.turn.lock().await;
    let Some(highest) = access.inner.outbox.highest_nonce(&access.address()) else {
        return Ok(());
    };
    let next = access.actor(&access.address()).await?.map_or(0, |actor| actor.nonce);
    let free = access.inner.outbox.free_nonce(&access.address(), next);
    if free > highest {
        return Ok(());
    }
    let purpose = format!("gap/{free}");
    access.inner.outbox.forget(&purpose)?;
    let nothing = calls::transfer(&Address::id(Address::BURNT_FUNDS), AttoFil::ZERO);
    access.send(&purpose, nothing, Gas::default()).await?;
    access.inner.outbox.settle(&purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_chain_that_takes_questions_and_answers_none_is_found_out_within_a_few_block_times() {
        for (block_time, longest) in [(1, 10), (30, 90)] {
            let watcher = Watcher::new("http://127.0.0.1:1".into(), Duration::from_secs(block_time));
            let began = Instant::now();
            let answer: Result<HeadView, _> = watcher.answered(std::future::pending()).await;
            assert!(matches!(answer, Err(ChainError::Unreachable { .. })), "{answer:?}");
            assert_eq!(began.elapsed().as_secs(), longest);
            assert!(
                watcher.longest_wait().as_secs() <= 2 * longest,
                "and it is asked soon enough"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn health_is_not_green_while_the_chain_makes_no_blocks() {
        let (lifeline, board) = Lifeline::watched();
        let mut blocks = Blocks::new(Duration::from_secs(5));
        for height in 1..20 {
            blocks.seen(height, &lifeline);
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert!(board.health().ok);
        for silent in [40, 20] {
            blocks.seen(20, &lifeline);
            assert!(board.health().ok, "a block may take {silent} s");
            tokio::time::sleep(Duration::from_secs(silent)).await;
        }
        blocks.seen(20, &lifeline);
        let health = board.health();
        assert!(
            !health.ok && health.problems[0].text.contains("made no block after 20"),
            "{health:?}"
        );
        blocks.seen(21, &lifeline);
        assert!(board.health().ok, "it goes on");
    }
}

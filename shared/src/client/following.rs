//! Following one deal: what to do next, whether the miner is asked or lets its answer wait for news, and how long a pause is.
//!
//! A host carries a deal on by [`Following::turn`] and [`Following::rest`], one after the other. A miner that speaks the
//! protocol of watches ([`crate::deal::watch`]) is asked once, and then watched; the chain is looked at with every block
//! meanwhile. One that does not is asked again and again, as in 2019. Nothing of this is kept: after a restart the miner is
//! asked first.

use super::engine::{go_by, look_for_sealing, order, overdue, step, Next};
use super::host::{Awaited, Blame, ClientHost, Order, Woken};
use super::record::DealRecord;
use super::refunds;
use crate::chain::Epoch;
use crate::deal::watch::{is_news, pause_ms, LONGEST_WATCH_MS, QUERY_PAUSE_MS};
use crate::deal::{ClientStage, SignedResponse, WatchRequest};
use crate::ports::Chain;
use crate::wire::protocol;
use core::future::{poll_fn, Future};
use core::pin::pin;
use core::task::Poll;

/// After the first failure of a deal in a row; it grows by half with each.
const FIRST_RETRY_MS: u64 = 500;
/// Longest pause after a failure: a miner that is back is not kept waiting.
const LONGEST_RETRY_MS: u64 = 10_000;
/// Longest wait for a block before a message that is on its way to one is looked for all the same.
pub(super) const MESSAGE_MS: u64 = 3_000;
/// Between two looks at what is left of a settled deal, its sector and its refunds: proofs come once in minutes.
pub const SETTLED_MS: u64 = 3_000;

/// How one process follows one deal.
#[derive(Debug, Clone, Default)]
pub struct Following {
    /// Turns that failed, in a row.
    failures: u32,
    /// Whether the miner has spoken of the deal since the last failure.
    heard: bool,
    /// Whether the miner is known not to speak the protocol of watches.
    unwatchable: bool,
    /// Milliseconds, and what ends them earlier.
    pause: Option<(u64, Awaited)>,
}

/// What a watch came to.
enum Watched<E> {
    Answer(Result<SignedResponse, E>),
    /// There is something to do without it.
    Interrupted,
}

impl Following {
    /// Does the next thing for a deal, or waits for its miner's news. On `Err` the record is as it was kept last, and the turn
    /// can be repeated.
    pub async fn turn<H: ClientHost>(&mut self, record: &mut DealRecord<H::File>, host: &H) -> Result<Next, H::Error> {
        self.pause = None;
        let outcome = match self.watch_request(record, host).await {
            Some(request) => self.watch(record, host, request).await,
            None => {
                let outcome = step(record, host).await;
                self.heard = outcome.is_ok() && matches!(record.deal.stage, ClientStage::Running { .. });
                outcome
            }
        };
        match &outcome {
            Ok(next) => {
                self.failures = 0;
                self.pause = self.pause.or_else(|| self.pause_before(*next));
            }
            Err(_) => {
                self.heard = false;
                self.failures = self.failures.saturating_add(1);
                self.pause = Some((retry_ms(self.failures), Awaited::Call));
            }
        }
        outcome
    }

    /// Waits until another turn is worth it.
    pub async fn rest<H: ClientHost>(&self, host: &H) {
        if let Some((most_ms, awaited)) = self.pause {
            host.wait(most_ms, awaited).await;
        }
    }

    fn pause_before(&self, next: Next) -> Option<(u64, Awaited)> {
        match next {
            Next::Now | Next::Settled => None,
            Next::Message => Some((MESSAGE_MS, Awaited::Block)),
            Next::Query if self.heard && !self.unwatchable => None,
            Next::Query => Some((QUERY_PAUSE_MS, Awaited::Call)),
        }
    }

    /// The state that the miner is to tell the next one of; `None` where a step comes first.
    async fn watch_request<H: ClientHost>(&self, record: &DealRecord<H::File>, host: &H) -> Option<WatchRequest> {
        let ClientStage::Running { proposal, response, .. } = &record.deal.stage else {
            return None;
        };
        if !self.heard || self.unwatchable || order(record, host) != Order::GoOn {
            return None;
        }
        // Without the chain a deal goes on as far as it can.
        if overdue(record, host.chain().height().await.ok()).is_some() {
            return None;
        }
        Some(WatchRequest {
            cid: proposal.cid(),
            state: response.response.state,
        })
    }

    /// Waits until the miner says that the deal is in another state, looking at the chain meanwhile.
    async fn watch<H: ClientHost>(
        &mut self,
        record: &mut DealRecord<H::File>,
        host: &H,
        request: WatchRequest,
    ) -> Result<Next, H::Error> {
        let (there, began) = (record.clone(), host.now_ms());
        let watched = {
            let asked = async { Watched::Answer(host.ask(&there, protocol::WATCH_DEAL, &request).await) };
            let interrupted = async { look_at_chain(record, host).await.map(|()| Watched::Interrupted) };
            first(async { Ok(asked.await) }, interrupted).await?
        };
        match watched {
            Watched::Answer(Ok(response)) => {
                let is_news = is_news(request.state, response.response.state);
                let pause = pause_ms(is_news, host.now_ms().saturating_sub(began));
                self.pause = Some((pause, Awaited::Call)).filter(|_| pause > 0);
                let height = host.chain().height().await.ok();
                record.served(host.served(), host.now_ms());
                go_by(record, host, response, height).await
            }
            // What hinders it is told by the query that follows.
            Watched::Answer(Err(error)) => {
                self.heard = false;
                self.unwatchable = matches!(H::blame(&error), Blame::Protocol { .. });
                Ok(Next::Query)
            }
            Watched::Interrupted => {
                self.heard = false;
                Ok(Next::Now)
            }
        }
    }
}

/// Looks with every block whether the deal's time is over, whether its sector is being sealed, and whether money of an earlier
/// attempt can be taken back. Returns when it is over, or
/// somebody wants the deal looked at.
async fn look_at_chain<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) -> Result<(), H::Error> {
    loop {
        if overdue(record, host.chain().height().await.ok()).is_some() {
            return Ok(());
        }
        look_for_sealing(record, host).await?;
        take_back_what_is_due(record, host).await;
        if host.wait(LONGEST_WATCH_MS, Awaited::Block).await == Woken::Called {
            return Ok(());
        }
    }
}

/// Moves on what earlier attempts of the deal left on the chain: a miner may be watched for minutes. What hinders it is tried
/// again with the next block, and told by the step that follows.
async fn take_back_what_is_due<H: ClientHost>(record: &mut DealRecord<H::File>, host: &H) {
    let height = host.chain().height().await.ok();
    let is_due = |end: Option<Epoch>| end.is_none_or(|end| height.is_some_and(|height| height >= end));
    if record.is_refunding() && is_due(record.rests_until()) {
        let _ = refunds::take_back(record, host).await;
    }
}

/// What comes first of two works; the other is dropped.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Pending => other.as_mut().poll(context),
        ready => ready,
    })
    .await
}

/// The pause after this many failures in a row, at least one.
pub fn retry_ms(failures: u32) -> u64 {
    let mut wait = FIRST_RETRY_MS;
    for _ in 1..failures.min(16) {
        wait = wait.saturating_mul(3) / 2;
    }
    wait.min(LONGEST_RETRY_MS)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{draft, now, record, FakeError, FakeHost};
    use super::*;
    use crate::chain::Policy;
    use crate::client::engine;
    use crate::client::record::Step;
    use crate::deal::{ClientDeal, DealState};

    /// Turns until the deal is `step` far; the pauses in between.
    fn run(host: &FakeHost, following: &mut Following, record: &mut DealRecord<()>, step: Step) -> usize {
        let asked = host.asked.borrow().len();
        for _ in 0..20 {
            now(following.turn(record, host)).expect("nothing hinders it");
            if record.step() >= step {
                return host.asked.borrow().len() - asked;
            }
            now(following.rest(host));
            host.mine();
        }
        panic!("it does not come so far: {record:?}");
    }

    fn accepted(host: &FakeHost, following: &mut Following) -> DealRecord<()> {
        let mut record = record(2, 20_000);
        run(host, following, &mut record, Step::Accepted);
        record
    }

    #[test]
    fn a_miner_that_has_answered_is_watched_and_not_asked() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        host.miner.set(Some(DealState::Staged));
        assert_eq!(run(&host, &mut following, &mut record, Step::Staged), 1);
        assert_eq!(*host.asked.borrow(), [protocol::MAKE_DEAL, protocol::WATCH_DEAL]);
    }

    #[test]
    fn a_miner_is_asked_first_after_a_restart_or_a_failure() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        now(Following::default().turn(&mut record, &host)).expect("it answers");
        host.miner.set(None);
        now(following.turn(&mut record, &host)).expect("the query will tell");
        assert_eq!(following.pause, Some((QUERY_PAUSE_MS, Awaited::Call)));
        assert_eq!(now(following.turn(&mut record, &host)), Err(FakeError::MinerAway));
        let asked = host.asked.borrow();
        let (last, before) = asked.split_last().expect("it was asked");
        assert_eq!(
            (*last, before.last()),
            (protocol::QUERY_DEAL, Some(&protocol::WATCH_DEAL))
        );
        assert_eq!(before[before.len() - 2], protocol::QUERY_DEAL);
    }

    #[test]
    fn a_miner_that_cannot_be_watched_is_asked_once_a_second() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        let mut record = accepted(&host, &mut following);
        for _ in 0..3 {
            assert_eq!(now(following.turn(&mut record, &host)), Ok(Next::Query));
            assert_eq!(following.pause, Some((QUERY_PAUSE_MS, Awaited::Call)));
        }
        assert_eq!(
            host.asked.borrow()[1..],
            [protocol::WATCH_DEAL, protocol::QUERY_DEAL, protocol::QUERY_DEAL]
        );
    }

    #[test]
    fn a_miner_that_lets_no_watch_wait_is_watched_once_a_second() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        assert_eq!(now(following.turn(&mut record, &host)), Ok(Next::Query));
        assert_eq!(following.pause, Some((QUERY_PAUSE_MS, Awaited::Call)));
    }

    #[test]
    fn a_miner_that_goes_to_and_fro_is_watched_once_a_second_and_costs_no_writes() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        host.miner.set(Some(DealState::Staged));
        run(&host, &mut following, &mut record, Step::Staged);
        host.saved.replace(None);
        for state in [DealState::Accepted, DealState::Staged, DealState::Started] {
            host.miner.set(Some(state));
            assert_eq!(now(following.turn(&mut record, &host)), Ok(Next::Query));
            assert_eq!(following.pause, Some((QUERY_PAUSE_MS, Awaited::Call)), "{state}");
            assert_eq!(
                record.deal.response().map(|known| known.response.state),
                Some(DealState::Staged)
            );
        }
        assert_eq!(*host.saved.borrow(), None);
    }

    #[test]
    fn a_call_ends_a_watch_and_the_miner_is_asked() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        host.silent.set(true);
        host.woken
            .borrow_mut()
            .extend([Woken::Block, Woken::Time, Woken::Called]);
        assert_eq!(now(following.turn(&mut record, &host)), Ok(Next::Now));
        host.silent.set(false);
        now(following.turn(&mut record, &host)).expect("it answers");
        assert_eq!(host.asked.borrow().last(), Some(&protocol::QUERY_DEAL));
    }

    #[test]
    fn a_deal_whose_time_ends_while_it_is_watched_is_given_up() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        host.silent.set(true);
        host.woken.borrow_mut().push_back(Woken::Block);
        let deadline = record.deal.deadline().expect("it is under way");
        host.height_after_wait.set(Some(deadline));
        now(following.turn(&mut record, &host)).expect("the watch ends");
        host.silent.set(false);
        now(following.turn(&mut record, &host)).expect("it is given up");
        assert!(record.is_failed());
    }

    #[test]
    fn a_message_is_looked_for_with_every_block_and_a_failure_is_not_hurried_by_one() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        let mut record = record(2, 20_000);
        assert_eq!(now(following.turn(&mut record, &host)), Ok(Next::Message));
        assert_eq!(following.pause, Some((MESSAGE_MS, Awaited::Block)));
        host.chain.away.set(true);
        assert_eq!(now(following.turn(&mut record, &host)), Err(FakeError::ChainAway));
        assert_eq!(following.pause, Some((FIRST_RETRY_MS, Awaited::Call)));
    }

    #[test]
    fn pauses_grow_and_stay_below_their_limit() {
        let retries: alloc::vec::Vec<u64> = (1..=9).map(retry_ms).collect();
        assert_eq!(retries, [500, 750, 1125, 1687, 2530, 3795, 5692, 8538, 10_000]);
        assert_eq!(retry_ms(u32::MAX), 10_000);
    }

    #[test]
    fn the_money_of_an_earlier_attempt_comes_back_while_the_miner_of_the_next_is_watched() {
        let (host, mut following) = (FakeHost::default(), Following::default());
        host.watches.set(true);
        let mut record = accepted(&host, &mut following);
        now(engine::give_up(&mut record, &host, "r")).expect("it is under way");
        let (deal, peer) = (ClientDeal::new(draft(2, 20_000)), record.peer.clone());
        now(engine::redraw(&mut record, &host, deal, peer)).expect("it has failed");
        run(&host, &mut following, &mut record, Step::Accepted);
        assert!(record.is_refunding());
        // The miner has no news, and blocks go by.
        host.silent.set(true);
        host.mines_meanwhile.set(true);
        let blocks = 2 * Policy::default().cancel_delay as usize;
        host.woken.borrow_mut().extend([Woken::Block].repeat(blocks));
        now(following.turn(&mut record, &host)).expect("nothing hinders it");
        assert!(!record.is_refunding(), "{:?}", record.refunds);
        assert_eq!(host.chain.count("reclaim"), 1);
    }
}

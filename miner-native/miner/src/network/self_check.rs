//! Whether the miner really answers where it says that it is: every advertised address, tried now and then.
//!
//! A service of its own, whose name in health is `addresses`. It dials each address from outside of the swarm ([`super::probe`]) and keeps
//! what came of it for the operator ([`AddressStatus`]) and for the order of what is advertised
//! ([`super::advertised`]). Health is never green while no advertised address answers.

use super::address_status::{AddressFault, AddressStatus, OutsideVerdict};
use super::advertised::Reach;
use super::host::Host;
use super::probe::{self, Fault, Unanswered};
use crate::clock::now_ms;
use crate::supervisor::{Lifeline, ServiceError};
use futures::StreamExt;
use libp2p::{Multiaddr, PeerId};
use shared::chain::peers::MAX_ADDRESSES;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause between two rounds.
const EVERY: Duration = Duration::from_secs(60);
/// Pause before the next round after one in which nothing answered.
const AGAIN: Duration = Duration::from_secs(5);
/// Addresses that are tried at once: each is a handshake.
const AT_ONCE: usize = 4;
/// How long a start waits for the first round: a handshake on this machine takes milliseconds.
const FIRST_LIMIT: Duration = Duration::from_secs(3);
/// Longest round: as many addresses as a record holds, all of them silent.
const ROUND: Duration = Duration::from_secs(probe::PROBE_LIMIT.as_secs() * (MAX_ADDRESSES / AT_ONCE + 1) as u64);
/// Rounds in a row in which nothing answered, before health says so: one dial may be lost among a thousand others.
const ROUNDS: u32 = 2;
/// Addresses that health names, at most.
const MOST_NAMED: usize = 3;
/// How long another miner's word holds: it is asked every ten minutes, and may be away once or twice.
const WORD_HOLDS: Duration = Duration::from_secs(30 * 60);
/// What health calls the addresses before the first round.
const NOT_YET: &str = "no advertised address was tried yet";

/// What is known of each address. Clones are the same.
#[derive(Clone, Default)]
pub struct AddressBoard {
    known: Arc<Mutex<BTreeMap<Multiaddr, AddressStatus>>>,
}

impl AddressBoard {
    /// How the addresses are, in their order.
    pub fn statuses(&self, addresses: &[Multiaddr]) -> Vec<AddressStatus> {
        let known = self.lock();
        let status = |address: &Multiaddr| match known.get(address) {
            Some(status) => status.clone(),
            None => AddressStatus::untried(address.to_string(), Reach::of(address)),
        };
        addresses.iter().map(status).collect()
    }

    /// Those that nobody reached when they were last tried.
    pub fn silent(&self) -> impl Iterator<Item = Multiaddr> {
        let known = self.lock();
        let silent = known
            .iter()
            .filter(|(_, status)| status.answers == Some(false) && !status.is_reached());
        silent
            .map(|(address, _)| address.clone())
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Notes what another miner found.
    pub fn seen_from_outside(&self, address: &Multiaddr, by: PeerId, reached: bool) {
        // A miner that sees this one from elsewhere does not dial into its local network.
        if !reached && Reach::of(address) != Reach::Public {
            return;
        }
        let mut known = self.lock();
        // Only what is advertised is asked about; bounded all the same.
        if known.len() >= 2 * MAX_ADDRESSES && !known.contains_key(address) {
            return;
        }
        let status = known
            .entry(address.clone())
            .or_insert_with(|| AddressStatus::untried(address.to_string(), Reach::of(address)));
        status.outside = Some(OutsideVerdict {
            by: by.to_string(),
            reached,
            at: now_ms(),
        });
    }

    fn tried(&self, address: &Multiaddr, outcome: &Result<Duration, Unanswered>) {
        let mut known = self.lock();
        let status = known
            .entry(address.clone())
            .or_insert_with(|| AddressStatus::untried(address.to_string(), Reach::of(address)));
        status.tried_at = Some(now_ms());
        status.took_ms = None;
        match outcome {
            Ok(took) => {
                status.answers = Some(true);
                status.fault = None;
                status.took_ms = u64::try_from(took.as_millis()).ok();
            }
            Err(reason) => {
                status.answers = (reason.fault() != Fault::Untried).then_some(false);
                status.fault = Some(AddressFault::from(reason));
            }
        }
    }

    /// Forgets what another miner found too long ago: what was open then need not be now, and nobody may be there to say so.
    fn age(&self, now_ms: u64) {
        let oldest = now_ms.saturating_sub(WORD_HOLDS.as_millis() as u64);
        for status in self.lock().values_mut() {
            status.outside = status.outside.take().filter(|outside| outside.at >= oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.keep(&[]);
    }

    /// Forgets the others.
    fn keep(&self, addresses: &[Multiaddr]) {
        self.lock().retain(|address, _| addresses.contains(address));
    }

    /// A panic while the lock was held leaves data that is still whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Multiaddr, AddressStatus>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service.
#[derive(Clone)]
pub struct SelfCheck {
    pub host: Host,
}

impl SelfCheck {
    /// Tries the addresses until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        if problem(&self.host.board().statuses(&self.host.advertised())).is_some() {
            lifeline.failing("", &NOT_YET);
        }
        let mut silent_rounds: u32 = 0;
        loop {
            let round = lifeline.busy(ROUND, self.round());
            let Some(found) = lifeline.unless_stopping(round).await else {
                return Ok(());
            };
            let pause = match problem(&found) {
                None => {
                    silent_rounds = 0;
                    lifeline.well("");
                    EVERY
                }
                Some(text) => {
                    silent_rounds = silent_rounds.saturating_add(1);
                    if silent_rounds >= ROUNDS {
                        lifeline.failing("", &text);
                    }
                    AGAIN
                }
            };
            if lifeline.unless_stopping(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// The first round, before the daemon says that it is ready: what it says then holds. Silent addresses are not waited for.
    pub async fn first(&self) {
        // What it has not found by then, the service finds.
        let _ = tokio::time::timeout(FIRST_LIMIT, self.round()).await;
    }

    /// Tries every address once.
    async fn round(&self) -> Vec<AddressStatus> {
        let (addresses, board) = (self.host.advertised(), self.host.board());
        let tries = addresses.iter().cloned().map(|address| self.try_one(address));
        let tries: Vec<_> = tries.collect();
        futures::stream::iter(tries)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        board.keep(&addresses);
        board.age(now_ms());
        board.statuses(&addresses)
    }

    async fn try_one(&self, address: Multiaddr) {
        let outcome = probe::probe(&address, self.host.peer_id()).await;
        if let Err(reason) = &outcome {
            tracing::debug!(%address, %reason, "an advertised address does not answer");
        }
        self.host.board().tried(&address, &outcome);
    }
}

/// What is wrong with the addresses as a whole: nobody reaches the miner at any of them. Over HTTP alone no deal is made.
fn problem(statuses: &[AddressStatus]) -> Option<String> {
    let dialled: Vec<&AddressStatus> = statuses.iter().filter(|status| !status.is_http()).collect();
    if dialled.iter().any(|status| status.is_reached()) {
        return None;
    }
    let named = dialled.iter().take(MOST_NAMED);
    let lines = named.map(|status| {
        let advice = status.fault.as_ref().map_or("", |fault| fault.advice.as_str());
        format!("{}: {}; {advice}", status.address, status.described())
    });
    Some(format!(
        "no client can reach the miner: none of {} advertised addresses answers. {}",
        dialled.len(),
        lines.collect::<Vec<_>>().join(" | ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::HostConfig;
    use libp2p::identity::Keypair;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddr")
    }

    async fn host() -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let config = HostConfig::on_loopback(0, 0, folder.path().to_owned());
        let host = Host::start(Keypair::generate_ed25519(), config).await;
        host.expect("it listens")
    }

    #[test]
    fn health_is_not_green_while_no_advertised_address_answers() {
        let board = AddressBoard::default();
        let all = [address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.2/tcp/1")];
        let now = |board: &AddressBoard| problem(&board.statuses(&all));
        assert!(now(&board).is_some(), "nothing was tried");
        board.tried(&all[0], &Err(Unanswered::Refused));
        board.tried(&all[1], &Err(Unanswered::Untried));
        let text = now(&board).expect("nothing answers");
        assert!(
            text.contains("nothing listens there") && text.contains(Fault::Refused.advice()),
            "{text}"
        );
        assert_eq!(board.silent().collect::<Vec<_>>(), [all[0].clone()]);
        board.tried(&all[1], &Ok(Duration::from_millis(3)));
        assert_eq!(now(&board), None);
        board.tried(&all[1], &Err(Unanswered::Silent));
        assert!(now(&board).is_some(), "what answered once is tried again");
    }

    #[test]
    fn a_miner_that_answers_over_http_alone_is_reached_by_nobody() {
        let board = AddressBoard::default();
        let all = [address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.1/tcp/5/http")];
        let now = |board: &AddressBoard| problem(&board.statuses(&all));
        board.tried(&all[0], &Err(Unanswered::Refused));
        board.tried(&all[1], &Ok(Duration::from_millis(3)));
        assert!(now(&board).is_some_and(|text| text.contains("none of 1 advertised")));
        board.tried(&all[0], &Ok(Duration::from_millis(3)));
        board.tried(&all[1], &Err(Unanswered::Refused));
        assert_eq!(now(&board), None, "and one that is dialled is reached without");
    }

    #[test]
    fn what_another_miner_reaches_is_reached() {
        let board = AddressBoard::default();
        let all = [address("/ip4/9.8.7.6/tcp/1")];
        board.tried(&all[0], &Err(Unanswered::Silent));
        let other = Keypair::generate_ed25519().public().to_peer_id();
        board.seen_from_outside(&all[0], other, true);
        // A router that does not lead its own network back hides it from here only.
        assert_eq!(problem(&board.statuses(&all)), None);
        assert_eq!(board.silent().count(), 0);
        board.seen_from_outside(&all[0], other, false);
        assert!(problem(&board.statuses(&all)).is_some());
    }

    #[test]
    fn what_another_miner_reached_long_ago_is_not_reached_now() {
        let board = AddressBoard::default();
        let all = [address("/ip4/9.8.7.6/tcp/1")];
        board.tried(&all[0], &Err(Unanswered::Silent));
        let other = Keypair::generate_ed25519().public().to_peer_id();
        board.seen_from_outside(&all[0], other, true);
        board.age(now_ms());
        assert_eq!(problem(&board.statuses(&all)), None);
        board.age(now_ms() + WORD_HOLDS.as_millis() as u64 + 1000);
        assert!(problem(&board.statuses(&all)).is_some());
    }

    #[test]
    fn addresses_that_are_no_longer_advertised_are_forgotten() {
        let board = AddressBoard::default();
        for port in 1..100 {
            board.tried(
                &address(&format!("/ip4/10.0.0.1/tcp/{port}")),
                &Err(Unanswered::Refused),
            );
        }
        board.keep(&[address("/ip4/10.0.0.1/tcp/7")]);
        assert_eq!(board.silent().collect::<Vec<_>>(), [address("/ip4/10.0.0.1/tcp/7")]);
    }

    #[tokio::test]
    async fn a_host_that_runs_is_well_and_one_that_stopped_is_not() {
        let host = host().await;
        let check = SelfCheck { host: host.clone() };
        let open = host.open().await.expect("it listens");
        let running = tokio::spawn(async move { drop(open.run().await) });
        let found = check.round().await;
        assert_eq!(problem(&found), None);
        assert!(found
            .iter()
            .all(|status| status.answers == Some(true) && status.reach == Reach::Loopback));
        running.abort();
        // Its listeners are gone with it.
        let _ = running.await;
        let text = problem(&check.round().await).expect("nothing listens");
        assert!(text.contains("nothing listens there"), "{text}");
    }
}

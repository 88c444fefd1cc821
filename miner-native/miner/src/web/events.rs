//! Tells pages what has changed, as Server-Sent Events: they ask for it anew.
//!
//! What is told is no more than names of topics; at most one event a second, and a sign of life every 15 s.

use super::requests::{ApiError, Asked};
use super::Api;
use crate::operator::{Changed, Topic};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{stream, Stream};
use sealdrop_database::blocking;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pages that are told at once; each costs a look a second.
pub(super) const MAX_READERS: usize = 16;
/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long one reader is told: it asks again, with a token that still holds.
const LONGEST: Duration = Duration::from_secs(600);
/// Time between two signs of life.
const ALIVE: Duration = Duration::from_secs(15);

/// Places of those that are told.
pub(super) type Readers = Arc<Semaphore>;

/// Events until the reader goes or the daemon stops.
pub(super) async fn events(
    State(shown): Asked,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let place = shown
        .readers
        .clone()
        .try_acquire_owned()
        .map_err(|_| ApiError::TooManyReaders)?;
    let seen = Seen {
        prints: None,
        _place: place,
    };
    let stopping = shown.lifeline.token();
    let changes = stream::unfold((shown, seen), |(shown, mut seen)| async move {
        loop {
            let topics = blocking(|| seen.look(&shown.api));
            tokio::time::sleep(EVERY).await;
            if !topics.is_empty() {
                let event = Event::default().event("changed").json_data(Changed { topics });
                // Names of topics are JSON.
                return Some((Ok(event.unwrap_or_default()), (shown, seen)));
            }
        }
    });
    let over = async move {
        tokio::select! {
            () = stopping.cancelled_owned() => {}
            () = tokio::time::sleep(LONGEST) => {}
        }
    };
    let changes = futures::StreamExt::take_until(changes, Box::pin(over));
    Ok(Sse::new(changes).keep_alive(KeepAlive::new().interval(ALIVE).text("alive")))
}

/// What was told of last, as fingerprints.
struct Seen {
    prints: Option<[u64; 5]>,
    _place: OwnedSemaphorePermit,
}

impl Seen {
    /// What has changed since the last look; everything at the first.
    fn look(&mut self, api: &Api) -> Vec<Topic> {
        let prints = prints(api);
        let before = self.prints.replace(prints);
        let topics: [&[Topic]; 5] = [
            &[Topic::Health],
            &[Topic::Deals, Topic::Sectors],
            &[Topic::Jobs],
            &[Topic::Head],
            &[Topic::Settings],
        ];
        let pairs = prints.iter().zip(topics).enumerate();
        let changed =
            pairs.filter(|(index, (print, _))| before.and_then(|before| before.get(*index).copied()) != Some(**print));
        changed.flat_map(|(_, (_, topics))| topics.iter().copied()).collect()
    }
}

fn prints(api: &Api) -> [u64; 5] {
    let health = api.health.health();
    // Not their words, which count seconds.
    let problems: Vec<_> = health
        .problems
        .iter()
        .map(|problem| (&problem.service, &problem.of))
        .collect();
    let jobs = api.prover.jobs();
    let jobs: Vec<_> = jobs
        .iter()
        .map(|job| format!("{:?} {:?} {:?}", job.sector, job.step, job.state))
        .collect();
    [
        print(&(health.ok, problems)),
        api.store.revision(),
        print(&jobs),
        api.chain.heads().borrow().height.0,
        print(&format!("{:?}", api.settings.now())),
    ]
}

fn print(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

//! What bringing and keeping have in common: each looks now and then, with the archive open, and leaves alone for a while what failed.

use super::opening::There;
use super::{Archive, ArchiveError, Archiving, Item};
use crate::supervisor::Lifeline;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After this time the archive is opened anew, whatever was known of it.
const OPEN_EVERY: Duration = Duration::from_secs(3600);
/// Longest time that one item may take: a sector of 64 GiB at 2 MB/s.
pub(super) const LONGEST_MOVE: Duration = Duration::from_secs(10 * 3600);
/// Items that fail one after the other until the archive itself counts as ill.
const MOST_FAILED: usize = 5;
/// How long an item rests that could not be moved, while others are: doubled each time, up to the second.
const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// What health calls the archive.
const PLACE: &str = "archive";

/// Looks now and then, and remembers something from look to look; losing it costs another list of what is there.
pub(crate) trait Tends: Default + Send {
    /// What an error of a look means.
    const TROUBLE: &'static str;

    /// One look.
    fn tick(
        &mut self,
        service: &Archiving,
        lifeline: &Lifeline,
    ) -> impl Future<Output = Result<(), ArchiveError>> + Send;

    fn memory(&mut self) -> &mut Memory;
}

/// Has `T` look now and then until the service is to stop.
pub(super) async fn tend<T: Tends>(service: &Archiving, lifeline: &Lifeline) {
    let mut tending = T::default();
    let work = async {
        loop {
            match tending.tick(service, lifeline).await {
                Ok(()) => lifeline.well(PLACE),
                Err(error) => {
                    tracing::warn!(%error, archive = %service.config, "{}; trying again", T::TROUBLE);
                    lifeline.failing(PLACE, &error);
                    tending.memory().close();
                }
            }
            lifeline.beat();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    lifeline.unless_stopping(work).await;
}

/// An archive that is open, and since when.
#[derive(Debug)]
pub(super) struct Opened {
    pub archive: Archive,
    pub there: There,
    pub since: Instant,
}

/// What is remembered from look to look; losing it costs another list of what is there.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    opened: Option<Opened>,
    pub(super) resting: Resting,
    /// How many items failed one after the other in this look.
    failed: usize,
}

impl Memory {
    /// Begins a look: with the archive open, anew where it was long ago.
    pub(super) async fn begin(&mut self, service: &Archiving) -> Result<(), ArchiveError> {
        self.failed = 0;
        self.opened = self.opened.take().filter(|opened| opened.since.elapsed() < OPEN_EVERY);
        if self.opened.is_none() {
            let (archive, there) = service.open().await?;
            let since = Instant::now();
            self.opened = Some(Opened { archive, there, since });
            // Whatever could not be moved before may be now.
            self.resting.wake();
        }
        Ok(())
    }

    pub(super) fn opened(&mut self) -> Option<&mut Opened> {
        self.opened.as_mut()
    }

    /// The next look opens it anew.
    pub(super) fn close(&mut self) {
        self.opened = None;
    }

    /// Forgets the trouble of items with which nothing is to be done any more.
    pub(super) fn forget(&mut self, lifeline: &Lifeline, is_task: impl Fn(&Item) -> bool) {
        for item in self.resting.forget(is_task) {
            lifeline.well(&item.to_string());
        }
    }

    /// Notes what came of an item, and whether it was moved; an error when nothing else can be either. The trouble of one keeps no other one waiting.
    pub(super) fn note(
        &mut self,
        lifeline: &Lifeline,
        item: Item,
        trouble: &str,
        came: Result<(), ArchiveError>,
    ) -> Result<bool, ArchiveError> {
        match came {
            Ok(()) => {
                lifeline.well(&item.to_string());
                self.failed = 0;
                Ok(true)
            }
            Err(error) if error.is_of_one() && !(error.is_of_the_store() && self.failed >= MOST_FAILED) => {
                tracing::warn!(%item, %error, "{trouble}; trying again later");
                lifeline.failing(&item.to_string(), &error);
                self.resting.failed(item);
                self.failed += usize::from(error.is_of_the_store());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Items that could not be moved: until when each rests, and for how long.
#[derive(Debug, Default)]
pub(super) struct Resting(BTreeMap<Item, (Instant, Duration)>);

impl Resting {
    pub(super) fn rests(&self, item: &Item) -> bool {
        self.0.get(item).is_some_and(|(until, _)| *until > Instant::now())
    }

    pub(super) fn failed(&mut self, item: Item) {
        let last = self.0.get(&item).map(|(_, rest)| rest.saturating_mul(2));
        let rest = last.unwrap_or(FIRST_REST).min(LONGEST_REST);
        self.0.insert(item, (Instant::now() + rest, rest));
    }

    /// None rests any more.
    pub(super) fn wake(&mut self) {
        self.0.values_mut().for_each(|(until, _)| *until = Instant::now());
    }

    /// Whether an item has failed for long.
    pub(super) fn is_hopeless(&self, item: &Item) -> bool {
        self.0.get(item).is_some_and(|(_, rest)| *rest >= LONGEST_REST)
    }

    /// Forgets those with which nothing is to be done any more; returns them.
    pub(super) fn forget(&mut self, is_task: impl Fn(&Item) -> bool) -> Vec<Item> {
        let over: Vec<Item> = self.0.keys().filter(|item| !is_task(item)).copied().collect();
        self.0.retain(|item, _| is_task(item));
        over
    }
}

//! Who has a piece's files: one at a time for a data CID, and somebody who comes to send it goes before whoever fetches it.

use cid::Cid;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The claims of one staging folder.
#[derive(Debug, Default)]
pub(super) struct Claims {
    slots: Mutex<BTreeMap<Cid, Slot>>,
    /// Told of every change.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    held: bool,
    /// Who wait to be next.
    wanted: usize,
}

/// A piece's files are its holder's alone until this is dropped: what brings them in and what removes them exclude each other.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    data: Cid,
}

/// Somebody who waits to be next.
struct Wanted<'a> {
    claims: &'a Arc<Claims>,
    data: Cid,
}

impl Claims {
    /// `None` while somebody has the files, or waits for them.
    pub(super) fn claim(self: &Arc<Self>, data: Cid) -> Option<Claim> {
        let mut slots = self.slots();
        if slots.contains_key(&data) {
            return None;
        }
        slots.insert(data, Slot { held: true, wanted: 0 });
        Some(self.of(data))
    }

    pub(super) fn is_claimed(&self, data: &Cid) -> bool {
        self.slots().contains_key(data)
    }

    pub(super) async fn claim_next(self: &Arc<Self>, data: Cid, limit: Duration) -> Option<Claim> {
        self.slots().entry(data).or_default().wanted += 1;
        self.changed.notify_waiters();
        let _wanted = Wanted { claims: self, data };
        let waiting = self.until(|| {
            let mut slots = self.slots();
            let slot = slots.get_mut(&data).filter(|slot| !slot.held)?;
            slot.held = true;
            Some(self.of(data))
        });
        tokio::time::timeout(limit, waiting).await.ok()
    }

    fn of(self: &Arc<Self>, data: Cid) -> Claim {
        let claims = self.clone();
        Claim { claims, data }
    }

    /// Looks at every change until there is what is looked for.
    async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            changed.await;
        }
    }

    fn change(&self, data: &Cid, change: impl FnOnce(&mut Slot)) {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(data) {
            change(slot);
            if !slot.held && slot.wanted == 0 {
                slots.remove(data);
            }
        }
        drop(slots);
        self.changed.notify_waiters();
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Cid, Slot>> {
        // Each change is one number or flag: whole after a panic, too.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Waits until somebody wants to be next.
    pub async fn wanted(&self) {
        let is_wanted = || {
            let slots = self.claims.slots();
            slots.get(&self.data).filter(|slot| slot.wanted > 0).map(drop)
        };
        self.claims.until(is_wanted).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.change(&self.data, |slot| slot.held = false);
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.claims
            .change(&self.data, |slot| slot.wanted = slot.wanted.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use shared::piece::node::raw_cid;
    use std::pin::pin;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_next_is_and_the_holder_hears_of_it() {
        let (claims, data) = (Arc::<Claims>::default(), raw_cid(b"data"));
        let first = claims.claim(data).unwrap();
        assert!(poll!(pin!(first.wanted())).is_pending() && claims.is_claimed(&data));
        let mut next = pin!(claims.claim_next(data, LIMIT));
        assert!(poll!(&mut next).is_pending());
        first.wanted().await;
        drop(first);
        assert!(claims.claim(data).is_none(), "it is promised");
        let next = next.await.unwrap();
        assert!(claims.claim(data).is_none());
        drop(next);
        assert!(!claims.is_claimed(&data) && claims.claim(data).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_in_nobodys_way_afterwards() {
        let (claims, data) = (Arc::<Claims>::default(), raw_cid(b"data"));
        let first = claims.claim(data).unwrap();
        assert!(claims.claim_next(data, LIMIT).await.is_none());
        assert!(poll!(pin!(first.wanted())).is_pending());
        drop(first);
        assert!(claims.claim(data).is_some());
    }
}

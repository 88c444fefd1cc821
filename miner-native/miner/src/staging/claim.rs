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
    /// Bytes of what the holder brings.
    size: Option<u64>,
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
        let slot = Slot {
            held: true,
            ..Slot::default()
        };
        slots.insert(data, slot);
        Some(self.of(data))
    }

    pub(super) fn is_claimed_for(&self, data: &Cid, size: u64) -> bool {
        let slots = self.slots();
        slots
            .get(data)
            .is_some_and(|slot| slot.size.is_none_or(|brought| brought == size))
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
    /// Says how large the file is that is brought: what is awaited with another size under the same name is not this.
    pub fn is_for(&self, size: u64) {
        let mut slots = self.claims.slots();
        if let Some(slot) = slots.get_mut(&self.data) {
            slot.size = Some(size);
        }
    }

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
        self.claims
            .change(&self.data, |slot| (slot.held, slot.size) = (false, None));
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

    /// The finding: a free deal about data that another was sending counted as one that comes, whatever size it named.
    #[tokio::test]
    async fn what_is_awaited_with_another_size_is_not_what_is_brought() {
        let (claims, data) = (Arc::<Claims>::default(), raw_cid(b"data"));
        assert!(!claims.is_claimed_for(&data, 4));
        let claim = claims.claim(data).unwrap();
        assert!(
            claims.is_claimed_for(&data, 4) && claims.is_claimed_for(&data, 5),
            "nobody has said"
        );
        claim.is_for(4);
        assert!(claims.is_claimed_for(&data, 4) && !claims.is_claimed_for(&data, 5));
        drop(claim);
        let _next = claims.claim_next(data, LIMIT).await.unwrap();
        assert!(claims.is_claimed_for(&data, 5), "the next one has not said");
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

//! What the archive has and this machine has not: it is on its way, and nobody is to take it for lost.

use cid::Cid;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module. Clones are the same.
#[derive(Debug, Clone)]
pub struct Coming(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    /// The archive was not looked at yet: anything may come.
    Unknown,
    Known {
        sectors: BTreeSet<u64>,
        pieces: BTreeSet<Cid>,
    },
}

impl Coming {
    /// Where there is no archive.
    pub fn nothing() -> Self {
        let (sectors, pieces) = (BTreeSet::new(), BTreeSet::new());
        Self(Arc::new(Mutex::new(State::Known { sectors, pieces })))
    }

    /// Where there is one that was not looked at yet.
    pub fn unknown() -> Self {
        Self(Arc::new(Mutex::new(State::Unknown)))
    }

    /// As before the archive was looked at.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        *self.state() = State::Unknown;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Just this comes.
    pub(super) fn know(&self, sectors: BTreeSet<u64>, pieces: BTreeSet<Cid>) {
        *self.state() = State::Known { sectors, pieces };
    }

    /// Whether a sector's files may come.
    pub fn has_sector(&self, id: u64) -> bool {
        match &*self.state() {
            State::Unknown => true,
            State::Known { sectors, .. } => sectors.contains(&id),
        }
    }

    /// Whether a piece may come.
    pub fn has_piece(&self, cid: &Cid) -> bool {
        match &*self.state() {
            State::Unknown => true,
            State::Known { pieces, .. } => pieces.contains(cid),
        }
    }
}

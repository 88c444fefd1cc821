//! What is known of files that are not as they must be: found damaged, or on their way from the archive. Nobody is to take for lost what comes, and what
//! is damaged comes, too. It is known for the life of the process: after a start everything is read again, sooner or later.

use cid::Cid;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module. Clones are the same.
#[derive(Debug, Clone)]
pub struct Coming(Arc<Mutex<State>>, Arc<Mutex<BTreeSet<u64>>>);

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
        Self(Arc::new(Mutex::new(State::Known { sectors, pieces })), Arc::default())
    }

    /// Where there is one that was not looked at yet.
    pub fn unknown() -> Self {
        Self(Arc::new(Mutex::new(State::Unknown)), Arc::default())
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
    pub(crate) fn know(&self, sectors: BTreeSet<u64>, pieces: BTreeSet<Cid>) {
        *self.state() = State::Known { sectors, pieces };
    }

    fn damaged(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A replica was read and found damaged.
    pub fn note_damaged(&self, id: u64) {
        self.damaged().insert(id);
    }

    /// A replica was read and found whole, or replaced by one that was.
    pub fn note_whole(&self, id: u64) {
        self.damaged().remove(&id);
    }

    /// Whether a replica was found damaged when it was last read.
    pub fn is_damaged(&self, id: u64) -> bool {
        self.damaged().contains(&id)
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

//! Whether this workspace's own code computes a step, and what became of it.
//!
//! Its results are always checked (a proof against the verifying key, a replica by opening it), so a fault in it costs time
//! and nothing else: the step is done again by filecoin-proofs. [`super::Prover`] counts that here, the operator sees it in
//! `mining status`, and can turn the own code off with `sealing.ownProver`.

use super::work::Step;
use schemars::JsonSchema;
use sealdrop_prover::{Implementation, Kernel};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Debug)]
pub struct OwnCode {
    enabled: AtomicBool,
    /// Set once a replica was found wrong: labels and trees are then the library's until the next start, since a sector that
    /// is sealed again by the same broken code would be wrong again.
    replicas_distrusted: AtomicBool,
    proofs: AtomicU64,
    refusals: AtomicU64,
    last_refusal: Mutex<Option<String>>,
}

/// What `mining status` says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnCodeStatus {
    /// Whether it is used at all.
    pub enabled: bool,
    /// The arithmetic that this processor gets: `ifma` or `portable`.
    pub kernel: String,
    /// Zero-knowledge proofs that it made since the start.
    pub proofs: u64,
    /// Results of it that were refused since the start; filecoin-proofs did those steps.
    pub refusals: u64,
    pub last_refusal: Option<String>,
}

impl Default for OwnCode {
    fn default() -> Self {
        Self {
            enabled: AtomicBool::new(true),
            replicas_distrusted: AtomicBool::new(false),
            proofs: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            last_refusal: Mutex::new(None),
        }
    }
}

impl OwnCode {
    pub fn enable(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// Who makes zero-knowledge proofs now.
    pub fn of_proofs(&self) -> Implementation {
        match self.is_enabled() {
            true => Implementation::own(),
            false => Implementation::Library,
        }
    }

    /// Who labels and encodes now.
    pub fn of_replicas(&self) -> Implementation {
        match self.replicas_distrusted.load(Relaxed) {
            true => Implementation::Library,
            false => self.of_proofs(),
        }
    }

    /// A proof of it was taken.
    pub fn proved(&self) {
        self.proofs.fetch_add(1, Relaxed);
    }

    /// A result of it was not taken, and the library does the step.
    pub fn refused(&self, step: Step, reason: &str) {
        tracing::error!(%step, reason, "the own prover's result was refused: filecoin-proofs does the step");
        self.refusals.fetch_add(1, Relaxed);
        let text = format!("{step}: {reason}");
        *self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// A replica of it was found wrong.
    pub fn distrust_replicas(&self, reason: &str) {
        self.replicas_distrusted.store(true, Relaxed);
        self.refused(Step::PreCommit2, reason);
    }

    pub fn status(&self) -> OwnCodeStatus {
        OwnCodeStatus {
            enabled: self.is_enabled(),
            kernel: match Kernel::best() {
                Kernel::Ifma => "ifma".into(),
                Kernel::Portable => "portable".into(),
            },
            proofs: self.proofs.load(Relaxed),
            refusals: self.refusals.load(Relaxed),
            last_refusal: self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prover::fake::FakeEngine;
    use crate::prover::Prover;
    use crate::store::MinerStore;
    use shared::piece::SectorSize;
    use std::sync::Arc;

    fn prover(refuses_own: bool) -> (Prover, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = MinerStore::open(&dir.path().join("store")).expect("opens");
        let engine = FakeEngine {
            prover_id: [0; 32],
            size: SectorSize::S2KiB,
            dir: dir.path().join("sectors"),
            refuses_own,
        };
        let book = store.rates();
        let prover = Prover::start(Arc::new(engine), SectorSize::S2KiB, book);
        // Enough for any step, whatever the machine has free.
        prover.allow(64 << 30, 1);
        (prover, dir)
    }

    #[tokio::test]
    async fn a_proof_of_the_own_code_is_counted() {
        let (prover, _dir) = prover(false);
        assert_eq!(prover.commit2(1, vec![7]).await.expect("a proof"), [7]);
        let status = prover.own_code();
        assert_eq!((status.proofs, status.refusals), (1, 0));
    }

    #[tokio::test]
    async fn a_refused_proof_is_made_by_the_library_counted_and_explained() {
        let (prover, _dir) = prover(true);
        assert_eq!(prover.commit2(1, vec![7]).await.expect("the library's proof"), [7]);
        let status = prover.own_code();
        assert_eq!((status.proofs, status.refusals), (0, 1));
        assert_eq!(status.last_refusal.as_deref(), Some("commit 2: it does not hold"));
    }

    #[tokio::test]
    async fn own_code_that_is_turned_off_is_not_asked() {
        let (prover, _dir) = prover(true);
        prover.use_own_code(false);
        assert_eq!(prover.commit2(1, vec![7]).await.expect("the library's proof"), [7]);
        let status = prover.own_code();
        assert_eq!((status.enabled, status.proofs, status.refusals), (false, 0, 0));
    }

    #[test]
    fn labels_and_trees_are_the_librarys_after_a_replica_was_found_wrong() {
        let own = OwnCode::default();
        assert!(matches!(own.of_replicas(), Implementation::Own(_)));
        own.distrust_replicas("the openings do not fit");
        assert_eq!(own.of_replicas(), Implementation::Library);
        assert!(
            matches!(own.of_proofs(), Implementation::Own(_)),
            "proofs are checked one by one"
        );
    }
}

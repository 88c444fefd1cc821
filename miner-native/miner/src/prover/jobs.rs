//! What the prover is at, for people and for programs that explain: one view for each step that waits or runs.

use super::work::Step;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// The sector that it works on; none for a proof-of-spacetime, which is about all proven ones.
    pub sector: Option<u64>,
    pub step: Step,
    pub state: JobState,
    /// How long it takes from its start, in milliseconds, as far as that is known.
    pub expected_ms: Option<u64>,
    /// For a step that waits: when it starts, in milliseconds from now, if nothing else comes in between.
    pub wait_ms: Option<u64>,
    /// What `expected_ms` comes from, for people.
    pub basis: String,
}

/// See [`JobView`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum JobState {
    /// So many steps start before it or run already.
    Queued { behind: u64 },
    /// Since this time, in milliseconds since 1970.
    Running { since_ms: u64 },
}

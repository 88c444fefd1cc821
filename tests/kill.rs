//! The daemon's process dies at its failpoints, one life for each, and every life ends alike. Fake proofs, everything else
//! real; `kill-matrix --real` does the same with real ones.

use sealdrop_tests::kill::{matrix, Program};

/// Lives at the same time.
const JOBS: usize = 6;
#[test]
fn a_daemon_that_is_killed_at_any_point_ends_up_as_if_it_had_not_been() {
    let points = Program::Fake.points();
    assert!(points.len() >= 60, "{points:?}");
    let summary = matrix(Program::Fake, &points, JOBS);
    assert!(summary.failed.is_empty(), "{:#?}", summary.failed);
}

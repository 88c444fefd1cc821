//! An own prover that computes wrongly: nothing of it leaves, and the library does the work. The fault holds for the whole
//! process, so this is a test program of its own.

mod fixture;

use fixture::*;
use sealdrop_prover::*;

#[test]
fn a_wrong_proof_is_refused_and_a_window_is_proved_by_the_library_at_once() {
    let staged = staged(5);
    let pre_commit = staged.sealed();
    let c1 = commit1(
        &staged.identity,
        &staged.files,
        TICKET,
        SEED,
        &pre_commit,
        &staged.pieces,
    )
    .expect("commit 1");
    let sector = ProvingSector {
        sector: 5,
        comm_r: pre_commit.comm_r,
        files: staged.files.clone(),
    };
    let window = || {
        window_post(
            prover_id(),
            SIZE,
            SEED,
            std::slice::from_ref(&sector),
            Implementation::own(),
        )
    };
    assert_eq!(window().expect("proves").refused, None);

    break_own_proofs();
    let wrong = commit2(&staged.identity, &c1, Implementation::own());
    assert!(
        matches!(wrong, Err(Error::Refused { step: "commit 2", ref reason }) if reason.contains("does not hold")),
        "{wrong:?}"
    );
    let window = window().expect("the library proves");
    let refused = window.refused.expect("the own proof was wrong");
    assert!(refused.0.contains("does not hold"), "{refused:?}");
    let claimed = [(5, pre_commit.comm_r)];
    assert!(verify_window_post(SIZE, SEED, prover_id(), &claimed, &window.proof).expect("can verify"));
}

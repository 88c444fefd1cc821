//! Each part of a verification: a complete deal holds, and one thing worsened fails that part alone.

use super::*;
use crate::chain::calls::Call;
use crate::chain::keys::cid_of_bytes;
use crate::chain::view::SectorView;
use crate::chain::{Address, AttoFil, SecretKey};
use crate::piece::{Commitment, SectorLayout, SectorSize};
use crate::ports::CommitMessage;
use crate::wire::cbor::Bytes;
use alloc::vec;

const SECTOR: u64 = 4;

/// A deal of 2500 blocks from height 773, committed in block 900 and proven in block 1100.
struct Case {
    draft: Draft,
    proof: ProofInfo,
    policy: Policy,
    miner: MinerView,
    message: CommitMessage,
    height: Epoch,
}

fn address(byte: u8) -> Address {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key").address()
}

fn draft(comm_p: Commitment) -> Draft {
    let owner = address(2);
    Draft {
        data_cid: cid_of_bytes(b"piece"),
        comm_p,
        size: 1000,
        payer: address(1),
        miner: Address::actor(&owner, 0),
        owner,
        worker: address(3),
        sector_size: SectorSize::S2KiB,
        price: AttoFil(2),
        duration: 2500,
        start: Epoch(773),
    }
}

fn proof_of(comm_p: Commitment) -> ProofInfo {
    let mut layout = SectorLayout::new(SectorSize::S2KiB);
    let padded = padded_for(1000).expect("small");
    layout.place(padded, comm_p).expect("room");
    let proof = InclusionProof::prove(&layout, 0).expect("the first piece");
    ProofInfo {
        sector_id: SECTOR,
        comm_d: layout.comm_d(),
        comm_r: Commitment([2; 32]),
        comm_r_star: Commitment([3; 32]),
        commitment_message: cid_of_bytes(b"commit"),
        piece_inclusion_proof: Some(Bytes(proof.to_bytes())),
    }
}

fn miner(draft: &Draft, proof: &ProofInfo) -> MinerView {
    MinerView {
        address: draft.miner.clone(),
        owner: draft.owner.clone(),
        worker: draft.worker.clone(),
        peer_id: "peer".into(),
        sector_size: 2048,
        usable_bytes: 2032,
        power: 2048,
        balance: AttoFil::ZERO,
        collateral: AttoFil::ZERO,
        asks: vec![],
        proving_window: None,
        sectors: vec![SectorView {
            id: SECTOR,
            comm_d: proof.comm_d,
            comm_r: proof.comm_r,
            comm_r_star: proof.comm_r_star,
            committed_at: Epoch(900),
            last_proven_at: Some(Epoch(1100)),
            proofs: 1,
            in_proving_set: true,
            proven: true,
            fault: None,
            next_fault: None,
        }],
        deposits: AttoFil::ZERO,
        free_balance: AttoFil::ZERO,
        done: vec![],
        last_used_sector_id: SECTOR,
        post_state: Default::default(),
        proof_deadline: None,
        late_fee: AttoFil::ZERO,
        pre_commits: vec![],
        last_post: Some(Epoch(1100)),
        posts: 1,
        slashed_at: None,
    }
}

impl Case {
    fn new() -> Self {
        let comm_p = Commitment([7; 32]);
        let (draft, proof) = (draft(comm_p), proof_of(comm_p));
        let (comm_d, comm_r, comm_c) = (&proof.comm_d, &proof.comm_r, &proof.comm_r_star);
        let Call { to, method, params, .. } = commit_sector(&draft.miner, SECTOR, comm_d, comm_r, comm_c, b"proof");
        Self {
            miner: miner(&draft, &proof),
            message: CommitMessage {
                to,
                method,
                params,
                applied: Some((Epoch(900), 0)),
            },
            policy: Policy::default(),
            height: Epoch(1200),
            draft,
            proof,
        }
    }

    fn verify(&self) -> Verification {
        self.verify_with(Found::Known(self.message.clone()))
    }

    fn verify_with(&self, message: Found) -> Verification {
        let evidence = Evidence {
            height: self.height,
            policy: &self.policy,
            miner: Some(&MinerRecord::shown(&self.miner, SECTOR)),
            message: &message,
            actor: &holds(),
        };
        verify(&self.draft, &self.proof, &evidence)
    }
}

fn holds() -> Check {
    Check {
        verdict: Verdict::Holds,
        detail: String::new(),
        basis: None,
    }
}

/// The parts that do not hold, after one change to a case where all hold.
fn after(change: impl FnOnce(&mut Case)) -> Vec<(&'static str, Verdict)> {
    let mut case = Case::new();
    change(&mut case);
    let found = case.verify();
    let checks = found.checks().into_iter();
    checks
        .filter(|(_, check)| check.verdict != Verdict::Holds)
        .map(|(name, check)| (name, check.verdict))
        .collect()
}

#[test]
fn every_part_of_a_complete_and_proven_deal_holds() {
    let found = Case::new().verify();
    assert_eq!(found.verdict(), Verdict::Holds, "{found:?}");
}

#[test]
fn an_inclusion_proof_that_is_missing_malformed_or_of_another_piece_fails() {
    let fails = [("inclusion", Verdict::Fails)];
    assert_eq!(after(|case| case.proof.piece_inclusion_proof = None), fails);
    assert_eq!(
        after(|case| case.proof.piece_inclusion_proof = Some(Bytes(vec![0; 9]))),
        fails
    );
    assert_eq!(after(|case| case.draft.comm_p = Commitment([8; 32])), fails);
}

#[test]
fn a_commit_message_that_is_unknown_failed_or_another_call_fails_and_one_in_no_block_is_pending() {
    let fails = [("commit message", Verdict::Fails)];
    assert_eq!(after(|case| case.message.applied = Some((Epoch(900), 46))), fails);
    assert_eq!(after(|case| case.message.method = "submitPoSt".into()), fails);
    assert_eq!(after(|case| case.message.to = case.draft.owner.clone()), fails);
    assert_eq!(after(|case| case.message.params[0] = vec![5]), fails);
    assert_eq!(after(|case| case.message.params[2][0] ^= 1), fails);
    assert_eq!(after(|case| case.message.params.truncate(2)), fails);
    let pending = [("commit message", Verdict::Pending)];
    assert_eq!(after(|case| case.message.applied = None), pending);

    let case = Case::new();
    let found = case.verify_with(Found::Unknown);
    assert_eq!(found.named(Verdict::Fails), ["commit message"]);
}

#[test]
fn a_commit_message_that_the_chain_has_pruned_holds_by_the_sector_that_it_left() {
    let mut case = Case::new();
    let pruned = |case: &Case| case.verify_with(Found::Pruned(Epoch(900)));
    assert_eq!(pruned(&case).verdict(), Verdict::Holds);
    case.miner.sectors[0].comm_r = Commitment([9; 32]);
    assert_eq!(pruned(&case).named(Verdict::Fails), ["commit message", "commitments"]);
    case.miner.sectors.clear();
    case.height = Epoch(773 + 2500);
    assert_eq!(pruned(&case).commit_message.verdict, Verdict::Over);
}

#[test]
fn an_actor_that_does_not_find_the_piece_fails_by_itself() {
    let case = Case::new();
    let evidence = Evidence {
        height: case.height,
        policy: &case.policy,
        miner: Some(&MinerRecord::shown(&case.miner, SECTOR)),
        message: &Found::Known(case.message.clone()),
        actor: &Check {
            verdict: Verdict::Fails,
            detail: "no".into(),
            basis: None,
        },
    };
    let found = verify(&case.draft, &case.proof, &evidence);
    assert_eq!(found.named(Verdict::Fails), ["actor"]);
}

#[test]
fn a_sector_with_other_commitments_on_the_chain_fails() {
    let fails = [("commitments", Verdict::Fails)];
    assert_eq!(after(|case| case.miner.sectors[0].comm_r = Commitment([9; 32])), fails);
    assert_eq!(
        after(|case| case.miner.sectors[0].comm_r_star = Commitment([9; 32])),
        fails
    );
}

#[test]
fn a_sector_that_is_gone_fails_before_the_deals_end_and_is_over_after_it() {
    let gone = |case: &mut Case| case.miner.sectors.clear();
    assert_eq!(
        after(gone),
        [("commitments", Verdict::Fails), ("proven", Verdict::Fails)]
    );
    let ended = |height: u64| {
        after(move |case| {
            case.miner.sectors.clear();
            case.height = Epoch(height);
        })
    };
    assert_eq!(ended(773 + 2499)[0], ("commitments", Verdict::Fails));
    let over = [("commitments", Verdict::Over), ("proven", Verdict::Over)];
    assert_eq!(ended(773 + 2500), over);
}

#[test]
fn a_first_proof_is_pending_until_it_is_overdue() {
    let unproven = |height: u64| {
        after(move |case| {
            case.miner.sectors[0].last_proven_at = None;
            case.height = Epoch(height);
        })
    };
    // Two periods of 300 blocks and a grace of 300 after block 900.
    assert_eq!(unproven(1800), [("proven", Verdict::Pending)]);
    assert_eq!(unproven(1801), [("proven", Verdict::Fails)]);
}

#[test]
fn a_proven_sector_fails_when_its_next_proof_is_overdue() {
    assert_eq!(after(|case| case.height = Epoch(2000)), []);
    assert_eq!(after(|case| case.height = Epoch(2001)), [("proven", Verdict::Fails)]);
}

#[test]
fn a_slashed_miner_fails_until_it_has_proven_the_sector_again() {
    let slashed = |at: u64| after(move |case| case.miner.slashed_at = Some(Epoch(at)));
    assert_eq!(slashed(1150), [("proven", Verdict::Fails)]);
    assert_eq!(slashed(1099), []);
}

#[test]
fn the_verdict_on_the_whole_is_that_of_the_worst_part() {
    let mut case = Case::new();
    case.message.applied = None;
    assert_eq!(case.verify().verdict(), Verdict::Pending);
    case.miner.sectors.clear();
    assert_eq!(case.verify().verdict(), Verdict::Fails);
}

#[test]
fn what_the_endpoint_lied_about_does_not_hold_whatever_else_was_found() {
    let lied = holds().with(Basis::wrong("it lied"));
    assert_eq!((lied.verdict, lied.detail.as_str()), (Verdict::Fails, "it lied"));
    for basis in [Basis::checked(""), Basis::claimed("")] {
        let kept = holds().with(basis.clone());
        assert_eq!((kept.verdict, kept.basis), (Verdict::Holds, Some(basis)));
    }
}

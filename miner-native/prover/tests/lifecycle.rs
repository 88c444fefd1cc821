//! A 2 KiB sector from its pieces to a verified proof, a proven window, and its bytes back, all by the own
//! code; what the library makes in its place is in `refused.rs` and in the benchmark.

mod fixture;

use fixture::*;
use sealdrop_prover::*;

#[test]
fn a_sector_is_sealed_proved_and_read_back() {
    let staged = staged(3);
    let pre_commit = staged.sealed();
    assert_eq!(pre_commit.comm_d, staged.comm_d);

    let c1 = commit1(
        &staged.identity,
        &staged.files,
        TICKET,
        SEED,
        &pre_commit,
        &staged.pieces,
    )
    .expect("commit 1");
    let proof = commit2(&staged.identity, &c1, Implementation::own()).expect("commit 2");
    assert_eq!(proof.len(), PROOF_BYTES);
    only_the_right_claim_verifies(&pre_commit, &proof);

    clear_cache(&staged.files).expect("clears");
    window_is_proved(&staged, &pre_commit);
    for (index, data) in staged.data.iter().enumerate() {
        let (written, out) = staged.unseal(TICKET, index);
        let unpadded = staged.pieces[index].padded_size / 128 * 127;
        assert_eq!(written.expect("unseals"), unpadded);
        assert_eq!(out[..data.len()], data[..]);
        assert!(out[data.len()..].iter().all(|byte| *byte == 0));
    }
}

/// A claim that differs from the proved one in one field.
#[derive(Clone)]
struct Claim {
    size: SectorSize,
    comm_r: [u8; 32],
    comm_d: [u8; 32],
    prover_id: [u8; 32],
    sector: u64,
    ticket: [u8; 32],
    seed: [u8; 32],
    proof: Vec<u8>,
}

impl Claim {
    fn holds(&self) -> bool {
        verify_seal(
            self.size,
            self.comm_r,
            self.comm_d,
            self.prover_id,
            self.sector,
            self.ticket,
            self.seed,
            &self.proof,
        )
        .expect("this host can verify")
    }
}

fn only_the_right_claim_verifies(pre_commit: &PreCommit, proof: &[u8]) {
    let right = Claim {
        size: SIZE,
        comm_r: pre_commit.comm_r,
        comm_d: pre_commit.comm_d,
        prover_id: prover_id(),
        sector: 3,
        ticket: TICKET,
        seed: SEED,
        proof: proof.to_vec(),
    };
    assert!(right.holds());

    type Change = fn(&mut Claim);
    let changes: [(&str, Change); 17] = [
        ("another sector", |c| c.sector = 4),
        ("another prover", |c| c.prover_id[0] ^= 1),
        ("another ticket", |c| c.ticket[0] ^= 1),
        ("another seed", |c| c.seed[0] ^= 1),
        ("another CommR", |c| c.comm_r[0] ^= 1),
        ("another CommD", |c| c.comm_d[0] ^= 1),
        ("CommR out of range", |c| c.comm_r = [0xff; 32]),
        ("CommD out of range", |c| c.comm_d = [0xff; 32]),
        ("CommR of zeros", |c| c.comm_r = [0; 32]),
        ("a bit of the proof", |c| c.proof[3] ^= 1),
        ("no proof", |c| c.proof.clear()),
        ("a short proof", |c| c.proof.truncate(191)),
        ("a long proof", |c| c.proof.push(0)),
        ("two proofs", |c| c.proof.extend(c.proof.clone())),
        ("zeros as a proof", |c| c.proof.fill(0)),
        ("ones as a proof", |c| c.proof.fill(0xff)),
        ("points at infinity", |c| {
            c.proof.fill(0);
            for at in [0, 48, 144] {
                c.proof[at] = 0xc0;
            }
        }),
    ];
    for (what, change) in changes {
        let mut claim = right.clone();
        change(&mut claim);
        assert!(!claim.holds(), "{what} was accepted");
    }
}

fn window_is_proved(staged: &Staged, pre_commit: &PreCommit) {
    let sector = ProvingSector {
        sector: 3,
        comm_r: pre_commit.comm_r,
        files: staged.files.clone(),
    };
    // A last byte of 0xff is out of the field: the crate must make it fit, alike on both sides.
    let randomness = [0xff; 32];
    let proof = window_post(prover_id(), SIZE, randomness, &[sector], Implementation::own())
        .expect("proves the window")
        .proof;
    let sectors = [(3, pre_commit.comm_r)];
    let verify = |randomness| verify_window_post(SIZE, randomness, prover_id(), &sectors, &proof).expect("can verify");
    assert!(verify(randomness));
    assert!(!verify([0xfe; 32]));
}

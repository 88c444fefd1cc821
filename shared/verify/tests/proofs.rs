//! True proofs are accepted, and what is not exactly true is refused with its reason.

mod claims;

use claims::{kept, Claim};
use sealdrop_verify::{check_seal, check_window_post, BuiltIn, Circuit, Point, Refusal, MAX_WINDOW_SECTORS};
use shared::piece::{Commitment, SectorSize};
use shared::ports::verifier::{ProofVerifier, SealClaim, WindowPoStClaim};

/// Of bytes and bits every so manyth is changed here; the prover's `verdicts.rs` and a run of all of them found no other.
const STEP: usize = 37;

fn check(keys: &BuiltIn, claim: &Claim) -> Result<(), Refusal> {
    let key = |circuit, size| keys.key(circuit, size).expect("a key of the table");
    match claim {
        Claim::Seal(claim) => check_seal(key(Circuit::PoRep, claim.sector_size), claim),
        Claim::Window(claim) => check_window_post(key(Circuit::WindowPoSt, claim.sector_size), claim),
    }
}

fn seal() -> SealClaim {
    let found = kept().into_iter().find_map(|(_, claim)| match claim {
        Claim::Seal(claim) if claim.sector_size == SectorSize::S8MiB => Some(claim),
        _ => None,
    });
    found.expect("a seal is kept")
}

/// Five sectors: three partitions.
fn window() -> WindowPoStClaim {
    let found = kept().into_iter().find_map(|(_, claim)| match claim {
        Claim::Window(claim) if claim.sectors.len() == 5 => Some(claim),
        _ => None,
    });
    found.expect("a window is kept")
}

#[test]
fn every_kept_proof_is_accepted() {
    let keys = BuiltIn::all();
    for (name, claim) in kept() {
        assert_eq!(check(&keys, &claim), Ok(()), "{name}");
    }
}

#[test]
fn a_changed_claim_or_proof_is_refused_unless_it_says_the_same() {
    let keys = BuiltIn::all();
    for (name, claim) in kept() {
        for (change, changed) in claim.changed(STEP) {
            assert_eq!(
                check(&keys, &changed).is_ok(),
                change.starts_with('='),
                "{name}: {change}"
            );
        }
    }
}

#[test]
fn a_refusal_names_what_is_wrong() {
    let keys = BuiltIn::all();
    let refused = |change: fn(&mut SealClaim)| {
        let mut claim = seal();
        change(&mut claim);
        check(&keys, &Claim::Seal(claim)).expect_err("changed")
    };
    let (found, expected) = (191, 192);
    assert_eq!(
        refused(|claim| claim.proof.truncate(191)),
        Refusal::ProofLength { found, expected }
    );
    for (at, point) in [(0, Point::A), (48, Point::B), (144, Point::C)] {
        let mut claim = seal();
        claim.proof[at] = 0;
        let partition = 1;
        assert_eq!(
            check(&keys, &Claim::Seal(claim)),
            Err(Refusal::NotAPoint { point, partition })
        );
    }
    let none = |name| Refusal::NotACommitment { name };
    assert_eq!(refused(|claim| claim.comm_r = Commitment([0; 32])), none("CommR"));
    assert_eq!(refused(|claim| claim.comm_d = Commitment([0xff; 32])), none("CommD"));
    assert_eq!(refused(|claim| claim.seed[0] ^= 1), Refusal::DoesNotHold);
    assert_eq!(refused(|claim| claim.sector += 1), Refusal::DoesNotHold);
}

#[test]
fn a_window_has_some_sectors_each_once_in_order_and_not_too_many() {
    let keys = BuiltIn::all();
    let refused = |change: fn(&mut WindowPoStClaim)| {
        let mut claim = window();
        change(&mut claim);
        check(&keys, &Claim::Window(claim)).expect_err("changed")
    };
    assert_eq!(refused(|claim| claim.sectors.clear()), Refusal::NoSectors);
    assert_eq!(
        refused(|claim| claim.sectors.swap(1, 2)),
        Refusal::NotAscending { sector: 2 }
    );
    assert_eq!(
        refused(|claim| claim.sectors[1].0 = 1),
        Refusal::NotAscending { sector: 1 }
    );
    let found = MAX_WINDOW_SECTORS + 1;
    let many = refused(|claim| {
        let sector = |number| (number, Commitment([1; 32]));
        claim.sectors = (0..=MAX_WINDOW_SECTORS as u64).map(sector).collect();
    });
    assert_eq!(many, Refusal::TooManySectors { found });
    let (found, expected) = (3 * 192, 2 * 192);
    assert_eq!(
        refused(|claim| claim.sectors.truncate(4)),
        Refusal::ProofLength { found, expected }
    );
    assert_eq!(refused(|claim| claim.prover_id = [0xff; 32]), Refusal::ProverId);
    let (point, partition) = (Point::B, 3);
    assert_eq!(
        refused(|claim| claim.proof[2 * 192 + 48] = 0),
        Refusal::NotAPoint { point, partition }
    );
}

/// A key of another circuit would refuse true proofs: whoever takes it hears that it is his own fault.
#[test]
fn a_key_of_something_else_decides_nothing() {
    let keys = BuiltIn::all();
    let (circuit, size) = (Circuit::WindowPoSt, SectorSize::S8MiB);
    let other = keys.key(circuit, size).expect("a key of the table");
    assert_eq!(check_seal(other, &seal()), Err(Refusal::OtherKey { circuit, size }));
}

#[test]
fn a_proof_under_a_key_that_is_not_here_is_no_verdict() {
    let keys = BuiltIn::for_sizes(&[SectorSize::S2KiB]);
    assert!(keys.verify_seal(&seal()).is_err());
    let large = SealClaim {
        sector_size: SectorSize::S32GiB,
        ..seal()
    };
    assert!(BuiltIn::all().verify_seal(&large).is_err());
}

/// Any bytes: as long as they should be, with the flags of points, and of any other length.
#[test]
fn any_bytes_are_refused() {
    let keys = BuiltIn::for_sizes(&[SectorSize::S8MiB]);
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    for round in 0..300 {
        let length = if round % 3 == 0 { usize::from(random()) * 3 } else { 192 };
        let mut proof: Vec<u8> = (0..length).map(|_| random()).collect();
        for start in [0, 48, 144] {
            if let Some(byte) = proof.get_mut(start) {
                *byte = *byte & 0x1f | 0x80;
            }
        }
        let (mut seal, mut window) = (seal(), window());
        window.sectors.truncate(2);
        seal.proof.clone_from(&proof);
        window.proof = proof;
        assert!(check(&keys, &Claim::Seal(seal)).is_err());
        assert!(check(&keys, &Claim::Window(window)).is_err());
    }
}

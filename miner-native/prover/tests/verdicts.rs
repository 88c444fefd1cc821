//! `sealdrop-verify` decides as filecoin-proofs does: the same public inputs for random claims of every sector size, and the same verdicts on
//! kept proofs and on thousands of changed ones.

#[path = "../../../shared/verify/tests/claims/mod.rs"]
mod claims;

use claims::{kept, Claim};
use ff::PrimeField;
use filecoin_hashers::Hasher;
use filecoin_proofs::constants::{DefaultPieceDomain, DefaultPieceHasher, DefaultTreeDomain, DefaultTreeHasher};
use filecoin_proofs::parameters::{setup_params, window_post_public_params};
use filecoin_proofs::{as_safe_commitment, SectorShape32GiB, SectorShape8MiB};
use filecoin_proofs_api::{RegisteredPoStProof, RegisteredSealProof};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sealdrop_prover::{init, params, verify_seal, verify_window_post};
use sealdrop_verify::{BuiltIn, Inputs};
use shared::piece::{Commitment, SectorSize};
use shared::ports::verifier::{ProofVerifier, SealClaim, WindowPoStClaim, DEVELOPMENT_KEYS};
use std::collections::BTreeMap;
use storage_proofs_core::compound_proof::CompoundProof;
use storage_proofs_core::merkle::MerkleTreeTrait;
use storage_proofs_core::proof::ProofScheme;
use storage_proofs_porep::stacked::{self, StackedCompound, StackedDrg};
use storage_proofs_post::fallback::{self, FallbackPoSt, FallbackPoStCompound};

/// Of bytes and bits every so manyth is changed: some two thousand claims, in half a minute. All of them, 9735, were alike, too.
const STEP: usize = 11;
/// Random claims of each sector size.
const CLAIMS: usize = 150;

type Plain = Vec<Vec<[u8; 32]>>;

#[test]
fn both_give_the_same_verdict_on_every_kept_proof_and_on_every_changed_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    init(dir.path(), &dir.path().join("parents")).expect("initialises");
    params::install_verifying_keys(dir.path()).expect("installs");
    let keys = BuiltIn::all();
    let mut counted: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (name, claim) in kept() {
        assert_eq!(verdicts(&keys, &claim), (true, true), "{name}");
        for (change, changed) in claim.changed(STEP) {
            let says_the_same = change.starts_with('=');
            let found = verdicts(&keys, &changed);
            assert_eq!(found, (says_the_same, says_the_same), "{name}: {change}");
            let (tried, accepted) = counted.entry(change).or_default();
            *tried += 1;
            *accepted += usize::from(says_the_same);
        }
    }
    let tried: usize = counted.values().map(|(tried, _)| tried).sum();
    println!("{tried} changed claims, the same verdicts; tried and accepted: {counted:?}");
}

/// Ours, and that of filecoin-proofs.
fn verdicts(keys: &BuiltIn, claim: &Claim) -> (bool, bool) {
    let size = |size: SectorSize| sealdrop_prover::SectorSize::from_bytes(size.bytes()).expect("a size");
    let (ours, theirs) = match claim {
        Claim::Seal(c) => (
            keys.verify_seal(c),
            verify_seal(
                size(c.sector_size),
                c.comm_r.0,
                c.comm_d.0,
                c.prover_id,
                c.sector,
                c.ticket,
                c.seed,
                &c.proof,
            ),
        ),
        Claim::Window(c) => {
            let sectors: Vec<_> = c.sectors.iter().map(|(number, comm_r)| (*number, comm_r.0)).collect();
            let theirs = verify_window_post(size(c.sector_size), c.randomness, c.prover_id, &sectors, &c.proof);
            (keys.verify_window_post(c), theirs)
        }
    };
    (ours.expect("has a key"), theirs.expect("has a key"))
}

/// By it a client knows that it has a network's keys.
#[test]
fn the_digest_of_the_development_keys_is_the_one_that_clients_know() {
    let digest = params::verifying_keys_digest(params::Source::Generated);
    assert_eq!(hex::encode(digest), DEVELOPMENT_KEYS);
}

#[test]
fn public_inputs_of_random_claims_are_the_librarys_for_every_sector_size() {
    let mut random = ChaCha20Rng::seed_from_u64(7);
    for size in SectorSize::ALL {
        for _ in 0..CLAIMS {
            let claim = random_seal(size, &mut random);
            let ours = Inputs::of_seal(&claim).expect("commitments");
            assert_eq!(plain(&ours), seal_inputs(&claim), "{claim:?}");
        }
        // The library takes a second for a large window.
        let (windows, most) = match size {
            SectorSize::S32GiB => (1, 2349),
            _ => (CLAIMS, 9),
        };
        for _ in 0..windows {
            let claim = random_window(size, most, &mut random);
            let ours = Inputs::of_window(&claim).expect("commitments");
            assert_eq!(plain(&ours), window_inputs(&claim), "{claim:?}");
        }
    }
}

fn bytes(random: &mut ChaCha20Rng) -> [u8; 32] {
    let mut out = [0; 32];
    random.fill_bytes(&mut out);
    out
}

fn element(random: &mut ChaCha20Rng) -> [u8; 32] {
    let mut out = bytes(random);
    out[31] &= 0x3f;
    out
}

fn random_seal(sector_size: SectorSize, random: &mut ChaCha20Rng) -> SealClaim {
    SealClaim {
        sector_size,
        comm_r: element(random).into(),
        comm_d: element(random).into(),
        prover_id: bytes(random),
        sector: random.next_u64() >> (random.next_u32() % 64),
        ticket: bytes(random),
        seed: bytes(random),
        proof: Vec::new(),
    }
}

fn random_window(sector_size: SectorSize, most: u64, random: &mut ChaCha20Rng) -> WindowPoStClaim {
    let count = 1 + random.next_u64() % most;
    let sectors = (0..count).map(|_| (random.next_u64() % 100_000, Commitment(element(random))));
    let sectors: BTreeMap<_, _> = sectors.collect();
    WindowPoStClaim {
        sector_size,
        prover_id: element(random),
        randomness: bytes(random),
        sectors: sectors.into_iter().collect(),
        proof: Vec::new(),
    }
}

fn plain(inputs: &Inputs) -> Plain {
    let partition =
        |inputs: &Vec<sealdrop_verify::Input>| inputs.iter().map(|input| input.scalar().to_bytes()).collect();
    inputs.partitions().iter().map(partition).collect()
}

fn registered(size: SectorSize) -> (RegisteredSealProof, RegisteredPoStProof) {
    use RegisteredPoStProof::*;
    use RegisteredSealProof::*;
    match size {
        SectorSize::S2KiB => (StackedDrg2KiBV1_1, StackedDrgWindow2KiBV1_2),
        SectorSize::S8MiB => (StackedDrg8MiBV1_1, StackedDrgWindow8MiBV1_2),
        SectorSize::S512MiB => (StackedDrg512MiBV1_1, StackedDrgWindow512MiBV1_2),
        SectorSize::S32GiB => (StackedDrg32GiBV1_1, StackedDrgWindow32GiBV1_2),
    }
}

fn seal_inputs(claim: &SealClaim) -> Plain {
    match claim.sector_size {
        SectorSize::S32GiB => seal_inputs_of::<SectorShape32GiB>(claim),
        _ => seal_inputs_of::<SectorShape8MiB>(claim),
    }
}

fn seal_inputs_of<Tree: 'static + MerkleTreeTrait>(claim: &SealClaim) -> Plain {
    type Drg<'a, Tree> = StackedDrg<'a, Tree, DefaultPieceHasher>;
    let config = registered(claim.sector_size).0.as_v1_config();
    let comm_r: <Tree::Hasher as Hasher>::Domain = as_safe_commitment(&claim.comm_r.0, "comm_r").expect("an element");
    let comm_d: DefaultPieceDomain = as_safe_commitment(&claim.comm_d.0, "comm_d").expect("an element");
    let replica_id = stacked::generate_replica_id::<Tree::Hasher, _>(
        &claim.prover_id,
        claim.sector,
        &claim.ticket,
        comm_d,
        &config.porep_id,
    );
    let public = stacked::PublicInputs {
        replica_id,
        tau: Some(stacked::Tau { comm_r, comm_d }),
        seed: Some(claim.seed),
        k: None,
    };
    let setup = setup_params(&config).expect("a known size");
    let params = <Drg<'_, Tree> as ProofScheme<'_>>::setup(&setup).expect("a graph");
    let partition = |k| {
        let inputs =
            <StackedCompound<Tree, DefaultPieceHasher> as CompoundProof<'_, Drg<'_, Tree>, _>>::generate_public_inputs(
                &public,
                &params,
                Some(k),
            );
        let inputs = inputs.expect("inputs");
        inputs.iter().map(PrimeField::to_repr).collect()
    };
    (0..usize::from(config.partitions)).map(partition).collect()
}

fn window_inputs(claim: &WindowPoStClaim) -> Plain {
    match claim.sector_size {
        SectorSize::S32GiB => window_inputs_of::<SectorShape32GiB>(claim),
        _ => window_inputs_of::<SectorShape8MiB>(claim),
    }
}

fn window_inputs_of<Tree: 'static + MerkleTreeTrait<Hasher = DefaultTreeHasher>>(claim: &WindowPoStClaim) -> Plain {
    let domain =
        |bytes: &[u8; 32]| as_safe_commitment::<DefaultTreeDomain, _>(bytes, "an element").expect("an element");
    let config = registered(claim.sector_size).1.as_v1_config();
    let mut randomness = claim.randomness;
    randomness[31] &= 0x3f;
    let sectors = claim.sectors.iter().map(|(id, comm_r)| fallback::PublicSector {
        id: (*id).into(),
        comm_r: domain(&comm_r.0),
    });
    let public = fallback::PublicInputs {
        randomness: domain(&randomness),
        prover_id: domain(&claim.prover_id),
        sectors: sectors.collect(),
        k: None,
    };
    let params = window_post_public_params::<Tree>(&config).expect("a known size");
    let partition = |k| {
        let inputs =
            <FallbackPoStCompound<Tree> as CompoundProof<'_, FallbackPoSt<'_, Tree>, _>>::generate_public_inputs(
                &public,
                &params,
                Some(k),
            );
        let inputs = inputs.expect("inputs");
        inputs.iter().map(PrimeField::to_repr).collect()
    };
    (0..claim.sectors.len().div_ceil(config.sector_count))
        .map(partition)
        .collect()
}

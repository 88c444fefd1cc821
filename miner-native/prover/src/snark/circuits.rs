//! The circuits of real proofs, as filecoin-proofs builds them inside `seal_commit_phase2` and `generate_window_post`.
//!
//! One tree shape serves all sizes that can be proved here; 32 GiB has another, which stays with the library.

use crate::sector::{field_safe, ProvingSector};
use filecoin_proofs::constants::{DefaultPieceHasher, SectorShapeBase};
use filecoin_proofs::parameters::{public_params, window_post_public_params};
use filecoin_proofs::{as_safe_commitment, DefaultPieceDomain, PrivateReplicaInfo};
use filecoin_proofs_api::seal::SealCommitPhase1Output;
use filecoin_proofs_api::{RegisteredPoStProof, SectorId};
use rayon::prelude::*;
use std::collections::BTreeMap;
use storage_proofs_core::compound_proof::CompoundProof;
use storage_proofs_core::proof::ProofScheme;
use storage_proofs_porep::stacked::{self, StackedCircuit, StackedCompound, StackedDrg};
use storage_proofs_post::fallback::{self, FallbackPoSt, FallbackPoStCircuit, FallbackPoStCompound};

type Shape = SectorShapeBase;
type Replicas<'a> = StackedDrg<'a, Shape, DefaultPieceHasher>;
type Seals = StackedCompound<Shape, DefaultPieceHasher>;
type Windows = FallbackPoStCompound<Shape>;

/// A proof-of-replication's partition.
pub(super) type SealCircuit = StackedCircuit<Shape, DefaultPieceHasher>;
/// A window's partition.
pub(super) type WindowCircuit = FallbackPoStCircuit<Shape>;

/// The library's errors are texts for people, and so are these.
type Reason = Box<dyn std::error::Error + Send + Sync>;

/// One circuit for each partition of an output of commit 1.
pub(super) fn of_seal(phase1: SealCommitPhase1Output) -> Result<Vec<SealCircuit>, Reason> {
    let config = phase1.registered_proof.as_v1_config();
    let public_inputs = stacked::PublicInputs {
        replica_id: phase1.replica_id,
        tau: Some(stacked::Tau {
            comm_d: domain(&phase1.comm_d)?,
            comm_r: as_safe_commitment(&phase1.comm_r, "comm_r")?,
        }),
        k: None,
        seed: Some(phase1.seed),
    };
    let shape = public_params::<Shape>(&config)?;
    let partitions: Vec<Vec<_>> = phase1.vanilla_proofs.try_into()?;
    let circuit = |(partition, proofs): (usize, &Vec<_>)| {
        <Seals as CompoundProof<Replicas<'_>, _>>::circuit(&public_inputs, (), proofs, &shape, Some(partition))
    };
    let circuits = partitions.iter().enumerate().map(circuit);
    Ok(circuits.collect::<Result<_, _>>()?)
}

fn domain(bytes: &[u8]) -> Result<DefaultPieceDomain, Reason> {
    Ok(<DefaultPieceDomain as filecoin_hashers::Domain>::try_from_bytes(bytes)?)
}

fn replica(sector: &ProvingSector) -> Result<(SectorId, PrivateReplicaInfo<Shape>), Reason> {
    let (sealed, cache) = (sector.files.sealed(), sector.files.cache());
    let info = PrivateReplicaInfo::new(sealed, sector.comm_r, cache)?;
    Ok((SectorId::from(sector.sector), info))
}

/// Opens the replicas at the places that `randomness` challenges, checks the openings as a verifier would, and makes one
/// circuit for each partition of them.
pub(super) fn of_window(
    registered: RegisteredPoStProof,
    prover_id: [u8; 32],
    randomness: [u8; 32],
    sectors: &[ProvingSector],
) -> Result<Vec<WindowCircuit>, Reason> {
    let config = registered.as_v1_config();
    let shape = window_post_public_params::<Shape>(&config)?;
    // In the order of their numbers, as the verifier takes them.
    let replicas: BTreeMap<SectorId, PrivateReplicaInfo<Shape>> =
        sectors.iter().map(replica).collect::<Result<_, _>>()?;
    let trees = replicas
        .par_iter()
        .map(|(_, replica)| replica.merkle_tree(config.sector_size));
    let trees: Vec<_> = trees.collect::<Result<_, _>>()?;
    let mut public = Vec::with_capacity(replicas.len());
    let mut private = Vec::with_capacity(replicas.len());
    for ((id, replica), tree) in replicas.iter().zip(&trees) {
        let comm_r = replica.safe_comm_r()?;
        public.push(fallback::PublicSector { id: *id, comm_r });
        private.push(fallback::PrivateSector {
            tree,
            comm_c: replica.safe_comm_c(),
            comm_r_last: replica.safe_comm_r_last(),
        });
    }
    let public_inputs = fallback::PublicInputs {
        randomness: as_safe_commitment(&field_safe(randomness), "randomness")?,
        prover_id: as_safe_commitment(&prover_id, "prover_id")?,
        sectors: public,
        k: None,
    };
    let private_inputs = fallback::PrivateInputs::<Shape> { sectors: &private };
    let partitions = replicas.len().div_ceil(registered.sector_count()).max(1);
    let proofs = FallbackPoSt::<Shape>::prove_all_partitions(&shape, &public_inputs, &private_inputs, partitions)?;
    if !FallbackPoSt::<Shape>::verify_all_partitions(&shape, &public_inputs, &proofs)? {
        return Err("the openings of the replicas do not fit their commitments".into());
    }
    let circuit = |(partition, proof)| {
        <Windows as CompoundProof<FallbackPoSt<'_, Shape>, _>>::circuit(
            &public_inputs,
            Default::default(),
            proof,
            &shape,
            Some(partition),
        )
    };
    let circuits = proofs.iter().enumerate().map(circuit);
    Ok(circuits.collect::<Result<_, _>>()?)
}

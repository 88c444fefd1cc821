//! Zero-knowledge proofs by `sealdrop-groth16`: steps 11 and 13 of a deal.
//!
//! `sector` calls [`prove_seal`] and [`prove_window`] before it asks filecoin-proofs. What comes out was **verified** with the
//! very keys that the chain verifies with; whatever goes wrong here, a proof that is refused too, is a [`Refusal`], and the
//! caller has bellperson make the proof.

mod circuits;

use crate::params::{parameter_file, registered, Circuit};
use crate::sector::{ProvingSector, PROOF_BYTES};
use crate::session::{guarded, params_dir};
use crate::size::SectorSize;
use crate::verify::{verify_seal, verify_window_post};
use bellperson::Circuit as Synthesize;
use blstrs::Scalar;
use filecoin_proofs_api::seal::SealCommitPhase1Output;
use rand_core::OsRng;
use sealdrop_groth16::{prove, Options, Parameters, Randomness, Report};
use sealdrop_lanes::Kernel;

/// Why the own prover has no proof to give: a text for people. The library's prover is asked instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Refusal {
    fn unverified() -> Self {
        Self("the proof that it made does not hold".to_owned())
    }
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Has the own prover compute wrongly from now on, as a broken processor would: to show that nothing wrong leaves it.
pub fn break_own_proofs() {
    sealdrop_groth16::FAULT.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// The proof of a sealed sector, from the output of commit 1; the sector is `sector` of `prover_id`.
pub(crate) fn prove_seal(
    kernel: Kernel,
    size: SectorSize,
    phase1: SealCommitPhase1Output,
    prover_id: [u8; 32],
    sector: u64,
) -> Result<(Vec<u8>, Vec<Report>), Refusal> {
    let SealCommitPhase1Output {
        comm_r,
        comm_d,
        seed,
        ticket,
        ..
    } = phase1;
    let circuits = guarded("making the circuits", || circuits::of_seal(phase1))?;
    let (proof, reports) = prove_all(kernel, Circuit::PoRep, size, circuits)?;
    match verify_seal(size, comm_r, comm_d, prover_id, sector, ticket, seed, &proof)? {
        true => Ok((proof, reports)),
        false => Err(Refusal::unverified()),
    }
}

/// The proof of a window over `sectors`.
pub(crate) fn prove_window(
    kernel: Kernel,
    size: SectorSize,
    prover_id: [u8; 32],
    randomness: [u8; 32],
    sectors: &[ProvingSector],
) -> Result<Vec<u8>, Refusal> {
    let circuits = guarded("opening the replicas", || {
        circuits::of_window(registered(size).1, prover_id, randomness, sectors)
    })?;
    let (proof, _) = prove_all(kernel, Circuit::WindowPoSt, size, circuits)?;
    let claimed: Vec<(u64, [u8; 32])> = sectors.iter().map(|sector| (sector.sector, sector.comm_r)).collect();
    match verify_window_post(size, randomness, prover_id, &claimed, &proof)? {
        true => Ok(proof),
        false => Err(Refusal::unverified()),
    }
}

/// One proof for each circuit, in their order.
fn prove_all<C: Synthesize<Scalar> + Send>(
    kernel: Kernel,
    circuit: Circuit,
    size: SectorSize,
    circuits: Vec<C>,
) -> Result<(Vec<u8>, Vec<Report>), Refusal> {
    let parameters = Parameters::open(parameter_file(&params_dir()?, circuit, size)?)?;
    let options = Options::new(kernel);
    let mut proofs = Vec::with_capacity(circuits.len() * PROOF_BYTES);
    let mut reports = Vec::with_capacity(circuits.len());
    for circuit in circuits {
        let proven = guarded("proving", || {
            prove(circuit, &parameters, Randomness::draw(OsRng), &options)
        })?;
        proven.proof.write(&mut proofs)?;
        reports.push(proven.report);
    }
    Ok((proofs, reports))
}

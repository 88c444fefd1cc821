//! The public inputs of both circuits, in the order in which the circuits allocate them (`generate_public_inputs` of
//! storage-proofs-porep and storage-proofs-post 19).

use crate::graph::{Graph, BASE, EXPANDED};
use crate::key::Circuit;
use crate::refusal::Refusal;
use crate::PARTITION_PROOF;
use alloc::vec::Vec;
use bls12_381::Scalar;
use sha2::{Digest, Sha256};
use shared::piece::{Commitment, SectorSize};
use shared::ports::verifier::{SealClaim, WindowPoStClaim};

/// Sectors of one window: what the network's partition of 32 GiB sectors has, and what the prover takes
/// (`MAX_WINDOW_SECTORS` of `sealdrop-prover`).
pub const MAX_WINDOW_SECTORS: usize = 2349;

/// Inputs of a seal before those of its challenges: replica id, CommD, CommR.
const SEAL_HEAD: usize = 3;
/// Inputs of a seal's challenge: where its data, its parents' columns, itself and its own column lie.
const SEAL_CHALLENGE: usize = 1 + BASE + EXPANDED + 3;
/// Leaves that are challenged of each sector in a window.
const WINDOW_CHALLENGES: u64 = 10;
/// Inputs of a sector in a window: CommR and the leaves.
const WINDOW_SECTOR: usize = 1 + WINDOW_CHALLENGES as usize;

/// A public input: most are node numbers, which are far cheaper to multiply with than commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Any element of the field.
    Full(Scalar),
    /// A node.
    Short(u32),
}

impl Input {
    /// The element of the field.
    pub fn scalar(self) -> Scalar {
        match self {
            Self::Full(scalar) => scalar,
            Self::Short(number) => Scalar::from(u64::from(number)),
        }
    }
}

/// Partitions of a seal proof.
pub(crate) const fn seal_partitions(size: SectorSize) -> usize {
    match size {
        SectorSize::S32GiB => 10,
        _ => 1,
    }
}

/// Challenges in each partition of a seal proof.
const fn seal_challenges(size: SectorSize) -> u32 {
    match size {
        SectorSize::S32GiB => 18,
        _ => 2,
    }
}

/// Sectors in each partition of a window's proof.
const fn window_sectors(size: SectorSize) -> usize {
    match size {
        SectorSize::S32GiB => 2349,
        _ => 2,
    }
}

/// Nodes of 32 bytes: a power of two.
const fn nodes(size: SectorSize) -> u32 {
    1 << match size {
        SectorSize::S2KiB => 6,
        SectorSize::S8MiB => 18,
        SectorSize::S512MiB => 24,
        SectorSize::S32GiB => 30,
    }
}

/// The registered seal proof's number (V1_1), little-endian; the rest, a nonce among it, is zero.
fn porep_id(size: SectorSize) -> [u8; 32] {
    let number: u8 = match size {
        SectorSize::S2KiB => 5,
        SectorSize::S8MiB => 6,
        SectorSize::S512MiB => 7,
        SectorSize::S32GiB => 8,
    };
    let mut id = [0; 32];
    if let Some(first) = id.first_mut() {
        *first = number;
    }
    id
}

/// Public inputs of a partition.
pub(crate) const fn inputs_of(circuit: Circuit, size: SectorSize) -> usize {
    match circuit {
        Circuit::PoRep => SEAL_HEAD + SEAL_CHALLENGE * seal_challenges(size) as usize,
        Circuit::WindowPoSt => WINDOW_SECTOR * window_sectors(size),
    }
}

/// Partitions of a claim's proof.
pub(crate) fn window_partitions(claim: &WindowPoStClaim) -> usize {
    claim.sectors.len().div_ceil(window_sectors(claim.sector_size))
}

pub(crate) fn check_length(partitions: usize, proof: &[u8]) -> Result<(), Refusal> {
    let (found, expected) = (proof.len(), partitions.saturating_mul(PARTITION_PROOF));
    (found == expected)
        .then_some(())
        .ok_or(Refusal::ProofLength { found, expected })
}

/// Some sectors, not too many, each once and in order.
pub(crate) fn check_sectors(claim: &WindowPoStClaim) -> Result<(), Refusal> {
    match claim.sectors.len() {
        0 => return Err(Refusal::NoSectors),
        found if found > MAX_WINDOW_SECTORS => return Err(Refusal::TooManySectors { found }),
        _ => {}
    }
    let pairs = claim.sectors.iter().zip(claim.sectors.iter().skip(1));
    let misplaced = pairs.map(|(before, after)| (before.0, after.0)).find(|(b, a)| b >= a);
    misplaced.map_or(Ok(()), |(_, sector)| Err(Refusal::NotAscending { sector }))
}

/// Each partition's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs(Vec<Vec<Input>>);

impl Inputs {
    /// The inputs, partition by partition.
    pub fn partitions(&self) -> &[Vec<Input>] {
        &self.0
    }

    /// "This replica encodes this data."
    ///
    /// # Errors
    /// [`Refusal::NotACommitment`].
    pub fn of_seal(claim: &SealClaim) -> Result<Self, Refusal> {
        let comm_d = commitment("CommD", &claim.comm_d)?;
        let comm_r = commitment("CommR", &claim.comm_r)?;
        let porep_id = porep_id(claim.sector_size);
        let hash = Sha256::new()
            .chain_update(claim.prover_id)
            .chain_update(claim.sector.to_be_bytes())
            .chain_update(claim.ticket)
            .chain_update(claim.comm_d.0)
            .chain_update(porep_id)
            .finalize();
        let replica_id = in_field(hash.into());
        let graph = Graph::new(nodes(claim.sector_size), &porep_id);
        let head = [element(&replica_id).unwrap_or_default(), comm_d, comm_r].map(Input::Full);
        let challenges = seal_challenges(claim.sector_size);
        let partition = |number: u32| {
            let mut inputs = head.to_vec();
            for challenge in number * challenges..(number + 1) * challenges {
                let node = challenged_node(claim, &replica_id, challenge);
                inputs.push(Input::Short(node)); // its data in CommD
                inputs.extend(graph.base_parents(node).map(Input::Short)); // their columns
                inputs.extend(graph.expanded_parents(node).map(Input::Short));
                inputs.extend([Input::Short(node); 3]); // encoding; replica in CommRLast; column in CommC
            }
            inputs
        };
        let partitions = (0..).take(seal_partitions(claim.sector_size));
        Ok(Self(partitions.map(partition).collect()))
    }

    /// "I store all these replicas." The prover id only has to be an element of the field, as in the library.
    ///
    /// # Errors
    /// What [`crate::check_window_post`] refuses before the proof.
    pub fn of_window(claim: &WindowPoStClaim) -> Result<Self, Refusal> {
        check_sectors(claim)?;
        element(&claim.prover_id).ok_or(Refusal::ProverId)?;
        let sectors = window_sectors(claim.sector_size);
        let challenged: Vec<_> = claim
            .sectors
            .iter()
            .map(|sector| sector_inputs(claim, sector))
            .collect::<Result<_, _>>()?;
        let partition = |own: &[[Input; WINDOW_SECTOR]]| {
            // The last sector fills the circuit up.
            let fill = own.last().into_iter().cycle();
            own.iter().chain(fill).take(sectors).flatten().copied().collect()
        };
        Ok(Self(challenged.chunks(sectors).map(partition).collect()))
    }
}

/// The node that a seal's challenge is about: never node 0. The whole hash is one little-endian number.
fn challenged_node(claim: &SealClaim, replica_id: &[u8; 32], challenge: u32) -> u32 {
    let hash = Sha256::new()
        .chain_update(replica_id)
        .chain_update(claim.seed)
        .chain_update(challenge.to_le_bytes())
        .finalize();
    let others = u64::from(nodes(claim.sector_size) - 1);
    let rest = hash
        .iter()
        .rev()
        .fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % others);
    // Below a number of 32 bits.
    rest as u32 + 1
}

/// CommR of a sector in a window, and the leaves of it that are challenged.
fn sector_inputs(
    claim: &WindowPoStClaim,
    (number, comm_r): &(u64, Commitment),
) -> Result<[Input; WINDOW_SECTOR], Refusal> {
    let start = Sha256::new()
        .chain_update(in_field(claim.randomness))
        .chain_update(number.to_le_bytes());
    let mut inputs = [Input::Full(commitment("CommR", comm_r)?); WINDOW_SECTOR];
    for (input, challenge) in inputs.iter_mut().skip(1).zip(0..WINDOW_CHALLENGES) {
        let hash = start.clone().chain_update(challenge.to_le_bytes()).finalize();
        let low = hash
            .iter()
            .take(4)
            .rev()
            .fold(0, |low, byte| low << 8 | u32::from(*byte));
        // The library takes 64 bits; the number of nodes is a power of two below 2^32.
        *input = Input::Short(low % nodes(claim.sector_size));
    }
    Ok(inputs)
}

/// The top two bits cleared, so that the bytes are an element of the field.
fn in_field(mut bytes: [u8; 32]) -> [u8; 32] {
    if let Some(last) = bytes.last_mut() {
        *last &= 0x3f;
    }
    bytes
}

/// A number below the field's order, little-endian.
fn element(bytes: &[u8; 32]) -> Option<Scalar> {
    Scalar::from_bytes(bytes).into()
}

/// Zero is none: the library refuses it too.
fn commitment(name: &'static str, bytes: &Commitment) -> Result<Scalar, Refusal> {
    let found = element(&bytes.0).filter(|_| bytes.0 != [0; 32]);
    found.ok_or(Refusal::NotACommitment { name })
}

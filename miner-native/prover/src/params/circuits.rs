//! The circuits that need parameters: what they are called on disk and how their blank form is made.
//!
//! This is the only place that instantiates the circuits themselves (one tree shape serves all sizes
//! that can be generated), which is most of this crate's compile time.

use super::generator::{generate, GeneratorError, Trapdoor};
use super::ParamsError;
use crate::size::SectorSize;
use filecoin_proofs::constants::{DefaultPieceHasher, SectorShapeBase};
use filecoin_proofs::parameters::{public_params, window_post_public_params};
use filecoin_proofs_api::{RegisteredPoStProof, RegisteredSealProof};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sealdrop_lanes::Kernel;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Write;
use storage_proofs_core::compound_proof::CompoundProof;
use storage_proofs_core::parameter_cache::{metadata_id, parameter_id, verifying_key_id};
use storage_proofs_porep::stacked::{StackedCompound, StackedDrg};
use storage_proofs_post::fallback::{FallbackPoSt, FallbackPoStCompound};

/// What a set of parameters proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Circuit {
    /// Proof-of-replication: a sector was sealed.
    PoRep,
    /// Window proof-of-spacetime: sealed sectors are still there.
    WindowPoSt,
}

impl Circuit {
    /// Both circuits.
    pub const ALL: [Self; 2] = [Self::PoRep, Self::WindowPoSt];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::PoRep => "porep",
            Self::WindowPoSt => "window",
        }
    }
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PoRep => "proof-of-replication",
            Self::WindowPoSt => "proof-of-spacetime",
        })
    }
}

/// The registered proofs of a size: interactive PoRep 1.1 and window PoSt 1.2, today's on the network.
pub(crate) const fn registered(size: SectorSize) -> (RegisteredSealProof, RegisteredPoStProof) {
    use RegisteredPoStProof::*;
    use RegisteredSealProof::*;
    match size {
        SectorSize::S2KiB => (StackedDrg2KiBV1_1, StackedDrgWindow2KiBV1_2),
        SectorSize::S8MiB => (StackedDrg8MiBV1_1, StackedDrgWindow8MiBV1_2),
        SectorSize::S512MiB => (StackedDrg512MiBV1_1, StackedDrgWindow512MiBV1_2),
        SectorSize::S32GiB => (StackedDrg32GiBV1_1, StackedDrgWindow32GiBV1_2),
    }
}

/// The three file names under which filecoin-proofs looks a set of parameters up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileNames {
    pub(super) params: String,
    pub(super) verifying_key: String,
    pub(super) meta: String,
}

pub(super) fn file_names(circuit: Circuit, size: SectorSize) -> Result<FileNames, ParamsError> {
    let (seal, post) = registered(size);
    let id = match circuit {
        Circuit::PoRep => seal.circuit_identifier(),
        Circuit::WindowPoSt => post.circuit_identifier(),
    }
    .map_err(|error| ParamsError::Circuit {
        circuit,
        size,
        reason: format!("{error:#}"),
    })?;
    Ok(FileNames {
        params: parameter_id(&id),
        verifying_key: verifying_key_id(&id),
        meta: metadata_id(&id),
    })
}

/// The public seed of a set of parameters, as a generator. PUBLIC: anyone can recompute the trapdoor.
fn insecure_rng(circuit: Circuit, size: SectorSize) -> ChaCha20Rng {
    let seed = format!(
        "sealdrop insecure devnet parameters v1: {} {}",
        circuit.label(),
        size.label()
    );
    ChaCha20Rng::from_seed(Sha256::digest(seed).into())
}

/// The power of two that the number of constraints fits in. A wrong one would cost time only.
const fn likely_domain(circuit: Circuit, size: SectorSize) -> usize {
    let exponent = match (circuit, size) {
        (Circuit::PoRep, SectorSize::S2KiB | SectorSize::S8MiB) => 22,
        (Circuit::PoRep, _) => 23,
        (Circuit::WindowPoSt, SectorSize::S2KiB) => 15,
        (Circuit::WindowPoSt, SectorSize::S8MiB) => 16,
        (Circuit::WindowPoSt, _) => 17,
    };
    1 << exponent
}

/// Writes the development parameters of `circuit` at `size` to `out`; returns the verifying key's bytes.
pub(super) fn write_parameters(
    kernel: Kernel,
    circuit: Circuit,
    size: SectorSize,
    out: &mut (impl Write + Send),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<u8>, ParamsError> {
    if size == SectorSize::S32GiB {
        return Err(ParamsError::OfficialOnly { size });
    }
    let trapdoor = Trapdoor::draw(&mut insecure_rng(circuit, size));
    let likely = likely_domain(circuit, size);
    let (seal, post) = registered(size);
    let setup = |error| ParamsError::Circuit {
        circuit,
        size,
        reason: format!("{error:#}"),
    };
    let written = match circuit {
        Circuit::PoRep => {
            type Scheme = StackedDrg<'static, SectorShapeBase, DefaultPieceHasher>;
            type Compound = StackedCompound<SectorShapeBase, DefaultPieceHasher>;
            let shape = public_params::<SectorShapeBase>(&seal.as_v1_config()).map_err(setup)?;
            let blank = || <Compound as CompoundProof<Scheme, _>>::blank_circuit(&shape);
            generate(kernel, blank, likely, &trapdoor, out, progress)
        }
        Circuit::WindowPoSt => {
            type Scheme = FallbackPoSt<'static, SectorShapeBase>;
            type Compound = FallbackPoStCompound<SectorShapeBase>;
            let shape = window_post_public_params::<SectorShapeBase>(&post.as_v1_config());
            let shape = shape.map_err(setup)?;
            let blank = || <Compound as CompoundProof<Scheme, _>>::blank_circuit(&shape);
            generate(kernel, blank, likely, &trapdoor, out, progress)
        }
    };
    written.map_err(|error| match error {
        GeneratorError::Io(source) => ParamsError::Write { circuit, size, source },
        other => ParamsError::Circuit {
            circuit,
            size,
            reason: other.to_string(),
        },
    })
}

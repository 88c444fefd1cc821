//! Labels, trees and replicas by this workspace's own code, `sealdrop-stacked`: the files that filecoin-proofs writes.
//!
//! Called by `sealing`, which has locked the sector, checked its data, and asks the library when it is told to; and by
//! `unsealing`.

use super::files::SectorFiles;
use super::sealing::SectorIdentity;
use crate::error::Error;
use crate::params::registered;
use crate::session::{guarded, parents_dir};
use crate::size::SectorSize;
use filecoin_proofs_api::seal::{Labels, SealPreCommitPhase1Output};
use sealdrop_lanes::Kernel;
use sealdrop_stacked::pre_commit1::{self as phase1, Identity, Options};
use sealdrop_stacked::pre_commit2::{self as phase2, Layout};
use sealdrop_stacked::Sha256Kernel;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use storage_proofs_core::util::default_rows_to_discard;
use storage_proofs_porep::stacked::Labels as RawLabels;

/// Leaves of a node of the replica's tree.
const OCT_ARITY: usize = 8;
/// Steps run to their end: the daemon ends by ending.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Phase 1: what the library's phase 2 would read, too.
pub(super) fn pre_commit1(
    kernel: Kernel,
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    comm_d: [u8; 32],
) -> Result<SealPreCommitPhase1Output, Error> {
    let (cache, unsealed) = (files.cache(), files.unsealed());
    let sector = phase1::Sector {
        identity: identity_of("pre-commit 1", identity, ticket, comm_d)?,
        unsealed: &unsealed,
        cache: &cache,
    };
    let output = run_phase1("pre-commit 1", kernel, |options| phase1::pre_commit1(&sector, options))?;
    let labels = match identity.size {
        SectorSize::S2KiB => Labels::StackedDrg2KiBV1(RawLabels::new(output.labels)),
        SectorSize::S8MiB => Labels::StackedDrg8MiBV1(RawLabels::new(output.labels)),
        SectorSize::S512MiB => Labels::StackedDrg512MiBV1(RawLabels::new(output.labels)),
        SectorSize::S32GiB => Labels::StackedDrg32GiBV1(RawLabels::new(output.labels)),
    };
    Ok(SealPreCommitPhase1Output {
        registered_proof: registered(identity.size).0,
        labels,
        config: output.data_tree,
        comm_d: output.comm_d,
    })
}

/// Writes the last layer's labels to a file: the keys that the replica was encoded with.
pub(super) fn label_last_layer(
    kernel: Kernel,
    identity: &SectorIdentity,
    ticket: [u8; 32],
    comm_d: [u8; 32],
    labels: &Path,
) -> Result<(), Error> {
    let step = "labelling for unsealing";
    let identity = identity_of(step, identity, ticket, comm_d)?;
    run_phase1(step, kernel, |options| {
        phase1::label_last_layer(&identity, labels, options)
    })
}

fn identity_of(
    step: &'static str,
    identity: &SectorIdentity,
    ticket: [u8; 32],
    comm_d: [u8; 32],
) -> Result<Identity, Error> {
    let &SectorIdentity {
        prover_id,
        sector,
        size,
    } = identity;
    Ok(Identity {
        layout: layout(step, size)?,
        porep_id: registered(size).0.as_v1_config().porep_id,
        prover_id,
        sector,
        ticket,
        comm_d,
    })
}

fn run_phase1<T>(
    step: &'static str,
    kernel: Kernel,
    work: impl FnOnce(&Options<'_>) -> Result<T, phase1::Error>,
) -> Result<T, Error> {
    let parents = parents_dir()?;
    let options = Options {
        parents: &parents,
        kernel: match kernel == Kernel::best() {
            // The SHA extensions are there or not whatever the vectors are.
            true => Sha256Kernel::best(),
            false => Sha256Kernel::PORTABLE,
        },
        stop: &NEVER,
        progress: &|_, _| {},
    };
    let done = guarded(step, || Ok::<_, String>(work(&options)))?;
    done.map_err(|error| match error {
        phase1::Error::Io { action, path, source } => Error::Io { action, path, source },
        phase1::Error::WrongLength { path, found, expected } => Error::WrongLength { path, found, expected },
        other => failed(step, other),
    })
}

/// Phase 2; returns CommR and CommC.
pub(super) fn pre_commit2(
    kernel: Kernel,
    size: SectorSize,
    files: &SectorFiles,
    comm_d: [u8; 32],
) -> Result<([u8; 32], [u8; 32]), Error> {
    let (cache, unsealed, sealed) = (files.cache(), files.unsealed(), files.sealed());
    let sector = phase2::Sector {
        layout: layout("pre-commit 2", size)?,
        cache: &cache,
        unsealed: &unsealed,
        sealed: &sealed,
        comm_d,
    };
    // A panic of it would be a fault of ours, and is an error like any other.
    let done = guarded("pre-commit 2", || {
        Ok::<_, String>(phase2::pre_commit2(&sector, kernel, &NEVER, &|_, _| {}))
    })?;
    let commitments = done.map_err(|error| match error {
        phase2::Error::Io { action, path, source } => Error::Io { action, path, source },
        phase2::Error::WrongLength { path, found, expected } => Error::WrongLength { path, found, expected },
        other => failed("pre-commit 2", other),
    })?;
    Ok((commitments.comm_r, commitments.comm_c))
}

/// The numbers of a sector. How many rows of the replica's tree are dropped is a setting of the library, which reads the file.
fn layout(step: &'static str, size: SectorSize) -> Result<Layout, Error> {
    let known = Layout::of_sector(size.bytes());
    let layout = known.ok_or_else(|| failed(step, "there are no sectors of this size"))?;
    layout
        .with_rows_to_discard(default_rows_to_discard(layout.leaves(), OCT_ARITY))
        .map_err(|reason| failed(step, reason))
}

fn failed(step: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::Proofs {
        step,
        reason: reason.to_string(),
    }
}

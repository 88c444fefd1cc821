//! The phases of a pre-commit by this workspace's own code, `sealdrop-stacked`: the files that filecoin-proofs writes.
//!
//! Called by `sealing`, which has locked the sector, checked its data, and falls back to the library when it is told to.

use super::files::SectorFiles;
use crate::error::Error;
use crate::session::guarded;
use crate::size::SectorSize;
use sealdrop_lanes::Kernel;
use sealdrop_stacked::pre_commit2::{self as phase2, Layout, Sector};
use std::sync::atomic::AtomicBool;
use storage_proofs_core::util::default_rows_to_discard;

/// Leaves of a node of the replica's tree.
const OCT_ARITY: usize = 8;

/// Phase 2; returns CommR and CommC.
pub(super) fn pre_commit2(
    kernel: Kernel,
    size: SectorSize,
    files: &SectorFiles,
    comm_d: [u8; 32],
) -> Result<([u8; 32], [u8; 32]), Error> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let (cache, unsealed, sealed) = (files.cache(), files.unsealed(), files.sealed());
    let sector = Sector {
        layout: layout(size)?,
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
fn layout(size: SectorSize) -> Result<Layout, Error> {
    let known = Layout::of_sector(size.bytes());
    let layout = known.ok_or_else(|| failed("pre-commit 2", "there are no sectors of this size"))?;
    layout
        .with_rows_to_discard(default_rows_to_discard(layout.leaves(), OCT_ARITY))
        .map_err(|reason| failed("pre-commit 2", reason))
}

fn failed(step: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::Proofs {
        step,
        reason: reason.to_string(),
    }
}

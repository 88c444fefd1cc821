//! What an item consists of. It comes from a place that others may write to, and is checked before it is acted upon.

use super::transfer::is_digest;
use super::{ArchiveError, Item};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// Bytes of a part, but for a file's last.
pub(super) const PART_BYTES: u64 = 16 << 20;
/// Most bytes of a manifest: a sector of 64 GiB has less than a third of it.
pub(super) const MAX_BYTES: u64 = 4 << 20;
/// Most files of an item: a sector of 64 GiB has a third of it.
const MAX_FILES: usize = 64;
/// What this version writes.
const FORMAT: u64 = 1;

/// The files of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub format: u64,
    pub files: Vec<Entry>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Below the item's folder, with slashes.
    pub path: String,
    pub bytes: u64,
    /// SHA-256 of each part, as hexadecimal digits.
    pub parts: Vec<String>,
}

impl Manifest {
    pub(super) fn new(files: Vec<Entry>) -> Self {
        let format = FORMAT;
        Self { format, files }
    }

    /// Reads one, and checks it: paths that stay below the item's folder, parts that make up the sizes, no more than `most` bytes in all.
    pub(super) fn read(item: &Item, bytes: &[u8], most: u64) -> Result<Self, ArchiveError> {
        let damaged = |reason: String| ArchiveError::Damaged {
            what: format!("manifest of {item}"),
            reason,
        };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!(
                "it is of format {}, and this version knows {FORMAT}",
                manifest.format
            )));
        }
        if manifest.files.len() > MAX_FILES {
            return Err(damaged(format!("it has {} files", manifest.files.len())));
        }
        let mut total = 0u64;
        for entry in &manifest.files {
            entry.check().map_err(damaged)?;
            total = total.saturating_add(entry.bytes);
        }
        match total > most {
            true => Err(damaged(format!(
                "it has {total} bytes, and at most {most} belong there"
            ))),
            false => Ok(manifest),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }
}

impl Entry {
    /// Where it lies below `dir`.
    pub(super) fn below(&self, dir: &Path) -> PathBuf {
        dir.join(&self.path)
    }

    /// How long part `index` is.
    pub(super) fn part_bytes(&self, index: u64) -> u64 {
        self.bytes
            .saturating_sub(index.saturating_mul(PART_BYTES))
            .min(PART_BYTES)
    }

    fn check(&self) -> Result<(), String> {
        let is_below = Path::new(&self.path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if self.path.is_empty() || !is_below {
            return Err(format!("{:?} is no path below its folder", self.path));
        }
        if self.parts.len() as u64 != self.bytes.div_ceil(PART_BYTES) {
            return Err(format!(
                "{} has {} parts for {} bytes",
                self.path,
                self.parts.len(),
                self.bytes
            ));
        }
        match self.parts.iter().all(|part| is_digest(part)) {
            true => Ok(()),
            false => Err(format!("a part of {} has no digest", self.path)),
        }
    }
}

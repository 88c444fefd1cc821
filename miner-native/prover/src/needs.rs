//! What sealing a sector takes of the machine, by its size: told before it begins, and checked where it can be.
//!
//! `write_unsealed` and `pre_commit1` check the disk; the daemon tells who asks for 32 GiB what that means.

use crate::error::Error;
use crate::session::parents_dir;
use crate::size::SectorSize;
use std::fmt;
use std::path::Path;

/// Left free on the disk beyond what is written: 64 MiB for databases and everybody else.
const SPARE_BYTES: u64 = 64 << 20;
/// Bytes of a node of the sealing graph, and of its parents' numbers in the parent cache.
const NODE_BYTES: u64 = 32;
const PARENTS_BYTES: u64 = 14 * 4;
const GIBI: u64 = 1 << 30;

/// Disk and memory of one sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// For which sectors.
    pub size: SectorSize,
    /// Label layers that phase 1 writes.
    pub layers: u64,
    /// Bytes on the disk when phase 2 is done and nothing is cleared yet: the data, the replica, the label layers, the
    /// trees over data (2 sectors), columns (8/7) and replica (1/64, with the small files).
    pub sealing: u64,
    /// Bytes of the parent cache, once for all sectors of the size.
    pub parents: u64,
    /// Bytes of memory at the peak of each phase. For 32 GiB what Filecoin asks of a miner's machine.
    pub memory: Memory,
}

/// Peak memory of the phases, in bytes, measured (32 GiB: as Filecoin's documentation has it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Labelling: two layers, and the parent cache's window.
    pub pre_commit1: u64,
    /// Encoding and the trees.
    pub pre_commit2: u64,
    /// The zero-knowledge proof by the own prover. filecoin-proofs, when it has to make it, takes 3, 4 and 6 GiB.
    pub commit2: u64,
}

impl Needs {
    /// What a sector of this size needs.
    pub const fn of(size: SectorSize) -> Self {
        let bytes = size.bytes();
        let (layers, memory) = match size {
            SectorSize::S2KiB => (
                2,
                Memory {
                    pre_commit1: GIBI / 32,
                    pre_commit2: GIBI / 16,
                    commit2: 3 * GIBI / 4,
                },
            ),
            SectorSize::S8MiB => (
                2,
                Memory {
                    pre_commit1: GIBI / 8,
                    pre_commit2: GIBI / 8,
                    commit2: GIBI,
                },
            ),
            SectorSize::S512MiB => (
                2,
                Memory {
                    pre_commit1: 3 * GIBI / 2,
                    pre_commit2: 2 * GIBI,
                    commit2: 2 * GIBI,
                },
            ),
            SectorSize::S32GiB => (
                11,
                Memory {
                    pre_commit1: 128 * GIBI,
                    pre_commit2: 128 * GIBI,
                    commit2: 256 * GIBI,
                },
            ),
        };
        Self {
            size,
            layers,
            sealing: bytes * (2 + layers + 2) + bytes / 7 * 8 + bytes / 64,
            parents: bytes / NODE_BYTES * PARENTS_BYTES,
            memory,
        }
    }

    /// The largest peak of all phases.
    pub const fn peak_memory(&self) -> u64 {
        let Memory {
            pre_commit1,
            pre_commit2,
            commit2,
        } = self.memory;
        let first = if pre_commit1 > pre_commit2 {
            pre_commit1
        } else {
            pre_commit2
        };
        if first > commit2 {
            first
        } else {
            commit2
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            size,
            layers,
            sealing,
            parents,
            memory,
        } = self;
        let gibi = |bytes: &u64| *bytes as f64 / GIBI as f64;
        write!(
            f,
            "a sector of {size} takes {:.1} GiB on the disk while it is sealed (data, replica, {layers} layers, trees), \
             {:.2} GiB once for the parent cache, and memory of {:.1} GiB in phase 1, {:.1} GiB in phase 2 and {:.1} GiB \
             for the proof",
            gibi(sealing),
            gibi(parents),
            gibi(&memory.pre_commit1),
            gibi(&memory.pre_commit2),
            gibi(&memory.commit2),
        )
    }
}

/// Checks that the disk takes what is still to be written until the sector in `dir`, with its cache, is sealed.
///
/// Sectors that are sealed at the same time are not counted: each is checked when it begins, and a disk that fills up
/// meanwhile fails the step, which is then done again.
pub(crate) fn check_room(size: SectorSize, dir: &Path, cache: &Path) -> Result<(), Error> {
    let needs = Needs::of(size);
    let there = directory_bytes(dir) + directory_bytes(cache);
    // The parent cache lies elsewhere, but most often on the same disk; it is written once.
    let cached = parents_dir().map_or(0, |parents| directory_bytes(&parents));
    let needed = needs.sealing.saturating_sub(there) + needs.parents.saturating_sub(cached) + SPARE_BYTES;
    let available = fs4::available_space(dir).map_err(Error::io("inspect", dir))?;
    if available < needed {
        return Err(Error::NoRoom {
            dir: dir.to_owned(),
            needed,
            available,
            needs,
        });
    }
    Ok(())
}

/// Bytes of the files in a directory, not deeper; 0 if it cannot be listed.
fn directory_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sector_takes_of_the_disk_is_its_data_replica_layers_and_trees() {
        // Measured: 16 MiB of data and replica, and 43 MB in the cache after phase 2.
        let needs = Needs::of(SectorSize::S8MiB);
        assert_eq!(needs.sealing, (8 << 20) * 6 + (8 << 20) / 7 * 8 + (128 << 10));
        assert!(needs.sealing > (16 << 20) + 43_000_000);
        assert_eq!(needs.parents, 14_680_064);
        assert_eq!(Needs::of(SectorSize::S512MiB).parents, 939_524_096);
    }

    #[test]
    fn the_layers_are_those_of_the_proofs() {
        for size in SectorSize::ALL {
            let layers = filecoin_proofs::constants::LAYERS.read().expect("not poisoned");
            assert_eq!(layers[&size.bytes()] as u64, Needs::of(size).layers, "{size}");
        }
    }

    #[test]
    fn sealing_does_not_begin_without_the_room_for_its_end() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        check_room(SectorSize::S2KiB, dir.path(), &dir.path().join("cache")).expect("2 KiB fit anywhere");
        let available = fs4::available_space(dir.path()).expect("a number");
        let needs = Needs::of(SectorSize::S32GiB);
        if available > needs.sealing + needs.parents {
            return; // A disk on which even this fits has nothing to refuse.
        }
        let error = check_room(SectorSize::S32GiB, dir.path(), &dir.path().join("cache")).expect_err("too large");
        assert!(
            matches!(error, Error::NoRoom { needed, .. } if needed > 400 << 30),
            "{error}"
        );
        assert!(error.to_string().contains("11 layers"), "{error}");
    }
}

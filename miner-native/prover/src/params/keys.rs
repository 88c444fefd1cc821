//! The verifying keys that every node of the development chain shares, compiled into the program.
//!
//! Verifying needs only these few kilobytes, so a node that never seals generates nothing. They also
//! pin what the generator must produce: parameters that do not hash to this table are refused.
//! Their bytes are in `sealdrop-verify`, which verifies without this crate.
//! `install_verifying_keys` is called at start by whoever verifies; `ensure` consults the table.

use super::circuits::{file_names, Circuit};
use super::files::write_whole;
use super::official::{is_official_key, published, Source};
use super::{create_directory, ParamsError};
use crate::size::SectorSize;
use sealdrop_verify::keys as known;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// One set of parameters that everyone must have alike.
pub(super) struct Pinned {
    pub(super) circuit: Circuit,
    pub(super) size: SectorSize,
    /// Length of the parameter file in bytes.
    pub(super) params_bytes: u64,
    /// SHA-256 of the parameter file, hexadecimal.
    pub(super) params_sha256: &'static str,
    /// SHA-256 of `verifying_key`, hexadecimal.
    pub(super) verifying_key_sha256: &'static str,
    /// The verifying key in bellperson's format.
    pub(super) verifying_key: &'static [u8],
}

/// The development network's parameters.
pub(super) const PINNED: &[Pinned] = &[
    Pinned {
        circuit: Circuit::PoRep,
        size: SectorSize::S2KiB,
        params_bytes: 1_114_707_768,
        params_sha256: "c6ce7c0c61f3f5d6593f7deb323766d7435ea350bb715ec42110decd34c65a00",
        verifying_key_sha256: "9007555348cf2f3543e2af63a70b514b802be1e1253b011919ff9a260e96fe37",
        verifying_key: known::POREP_2KIB,
    },
    Pinned {
        circuit: Circuit::WindowPoSt,
        size: SectorSize::S2KiB,
        params_bytes: 11_501_496,
        params_sha256: "8d03023a4020f9334bbc92f92ca0159fad86a2316da30b7806697e3e8f84d8a8",
        verifying_key_sha256: "8c2a84e3d75621fc336e89eb6be901178263d710223cb45799c5b74bf1d5096a",
        verifying_key: known::WINDOW_2KIB,
    },
    Pinned {
        circuit: Circuit::PoRep,
        size: SectorSize::S8MiB,
        params_bytes: 1_429_027_896,
        params_sha256: "51977a1e6e811af3db82e1da92a4c95cd08330feaec1ba6972e7fcbe087b0bd4",
        verifying_key_sha256: "dc8b1821cc8f967a80e5e91f20520456e5d5ec751f13e95ebf2e850c710c44ad",
        verifying_key: known::POREP_8MIB,
    },
    Pinned {
        circuit: Circuit::WindowPoSt,
        size: SectorSize::S8MiB,
        params_bytes: 30_859_704,
        params_sha256: "1fb825c07ad13647d29250756a9347d95db439410df9649002d967be9a6cb749",
        verifying_key_sha256: "621aa038552099df86cb74450b59f39460b0302830f06b1c488d19355ff13021",
        verifying_key: known::WINDOW_8MIB,
    },
    Pinned {
        circuit: Circuit::PoRep,
        size: SectorSize::S512MiB,
        params_bytes: 1_988_841_144,
        params_sha256: "e13f7e0d7dd7fe50fd27f7b39e4c3089d4d7bcc6df8abc348aaa04d92389711a",
        verifying_key_sha256: "b3643d103138d1650201a1fa235a896b6cd41610f916cd7e19c0326859da7fa5",
        verifying_key: known::POREP_512MIB,
    },
    Pinned {
        circuit: Circuit::WindowPoSt,
        size: SectorSize::S512MiB,
        params_bytes: 45_257_400,
        params_sha256: "e413cb1a3834505c47fdb8e2e079e0591a249753c6269ac402d08f70e1e6443d",
        verifying_key_sha256: "5b2aa83f9569f5c1c61ada7d0f32acb4293b00c042523824f66bf6751c34587e",
        verifying_key: known::WINDOW_512MIB,
    },
];

/// The table's line for a set of parameters, if there is one.
pub(super) fn pinned(circuit: Circuit, size: SectorSize) -> Option<&'static Pinned> {
    PINNED.iter().find(|pin| (pin.circuit, pin.size) == (circuit, size))
}

/// The small JSON file that filecoin-proofs keeps beside parameters.
pub(super) fn meta(size: SectorSize) -> Vec<u8> {
    format!("{{\"sector_size\":{}}}", size.bytes()).into_bytes()
}

/// Writes the built-in verifying keys (2 KiB, 8 MiB and 512 MiB, both circuits) into `dir`, where filecoin-proofs
/// looks them up. Files that are already right are left alone; others are replaced in one step.
///
/// # Errors
/// [`ParamsError::Io`] if the directory cannot be written; [`ParamsError::OfficialInTheWay`].
pub fn install_verifying_keys(dir: &Path) -> Result<(), ParamsError> {
    create_directory(dir)?;
    for pin in PINNED {
        let names = file_names(pin.circuit, pin.size)?;
        let path = dir.join(&names.verifying_key);
        if fs::read(&path).is_ok_and(|found| is_official_key(&names.verifying_key, &found)) {
            return Err(ParamsError::OfficialInTheWay { path });
        }
        write_if_other(&path, pin.verifying_key)?;
        write_if_other(&dir.join(names.meta), &meta(pin.size))?;
    }
    Ok(())
}

/// Leaves a file with these very bytes alone and replaces any other.
pub(super) fn write_if_other(path: &Path, bytes: &[u8]) -> Result<(), ParamsError> {
    let same_length = matches!(fs::metadata(path), Ok(metadata) if metadata.len() == bytes.len() as u64);
    if same_length && matches!(fs::read(path), Ok(found) if found == bytes) {
        return Ok(());
    }
    write_whole(path, bytes)
}

/// Keys of the table's beginning that the first development networks were begun with. Their digest is part of those
/// networks' identity, so keys of further sizes stay out of it: they are pinned all the same, and nobody has others.
const KEYS_IN_DIGEST: usize = 4;

/// One digest over the verifying keys of a source: two nodes with the same value accept each other's proofs. The
/// development chain's identity includes it.
///
/// SHA-256 over, for each key in order, circuit, size and the key's own digest as text (generated: SHA-256 of the keys
/// for 2 KiB and 8 MiB; official: as published, for all sizes, after the word "official").
pub fn verifying_keys_digest(source: Source) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut line = |circuit: Circuit, size: SectorSize, digest: &str| {
        hasher.update(format!("{} {} {digest}\n", circuit.label(), size.label()));
    };
    match source {
        Source::Generated => {
            for pin in PINNED.iter().take(KEYS_IN_DIGEST) {
                line(pin.circuit, pin.size, pin.verifying_key_sha256);
            }
        }
        Source::Official => {
            for size in SectorSize::ALL {
                for circuit in Circuit::ALL {
                    let names = file_names(circuit, size).ok();
                    let digest = names.and_then(|names| published(&names.verifying_key));
                    let digest = digest.map_or(String::new(), |published| published.digest);
                    line(circuit, size, &format!("official {digest}"));
                }
            }
        }
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_key_has_the_digest_that_the_table_says() {
        for pin in PINNED {
            let found = hex::encode(Sha256::digest(pin.verifying_key));
            assert_eq!(found, pin.verifying_key_sha256, "{} {}", pin.circuit, pin.size);
        }
    }

    #[test]
    fn installing_keys_replaces_a_damaged_one_and_leaves_good_ones_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        install_verifying_keys(dir.path()).expect("installs");
        let names = file_names(Circuit::PoRep, SectorSize::S2KiB).expect("has a name");
        let damaged = dir.path().join(names.verifying_key);
        let other = file_names(Circuit::PoRep, SectorSize::S8MiB).expect("has a name");
        let good = dir.path().join(other.verifying_key);
        let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).expect("a time");
        let before = time(&good);
        let whole = fs::read(&damaged).expect("is there");
        fs::write(&damaged, &whole[..100]).expect("truncates");
        install_verifying_keys(dir.path()).expect("installs again");
        assert_eq!(fs::read(&damaged).expect("is there"), whole);
        assert_eq!(time(&good), before);
    }
}

//! Groth16 parameters for development networks, made on the spot and alike on every machine.
//!
//! # INSECURE BY DESIGN: DEVELOPMENT NETWORKS ONLY
//!
//! The randomness of these parameters comes from a **published constant** (SHA-256 of "sealdrop insecure
//! devnet parameters v1: ..." seeds ChaCha20). Whoever reads this file can recompute the trapdoor and
//! **forge proofs** that every verifier with these keys accepts. They are made this way because all nodes of
//! a development chain must verify with the same keys, and real ceremony files are tens of gigabytes.
//! Never let anything of value depend on them. Real networks use the official files from their ceremony: they are only
//! checked here, by [`check_official`], and never made.
//!
//! The miner calls [`ensure`] before it seals; a node that only verifies calls [`install_verifying_keys`].
//! Next in a deal's life comes the module `sector`, which proves with these parameters.

mod circuits;
mod files;
mod fixed_base;
mod generator;
#[cfg(test)]
mod generator_tests;
mod keys;
mod official;
#[cfg(test)]
mod official_tests;
mod report;
mod synthesis;

pub use circuits::Circuit;
pub use keys::{install_verifying_keys, verifying_keys_digest};
pub use official::{check_official, OfficialFault, OfficialFaults, OfficialReport, Source, Wrong};
pub use report::{GenerationReport, Phase, Progress};

pub(crate) use circuits::registered;

use crate::needs::Needs;
use crate::session::source;
use crate::size::SectorSize;
use circuits::{file_names, write_parameters};
use files::{blake2b, digest, io_error, Draft, Stamp};
use keys::{meta, pinned, write_if_other, Pinned};
use official::{is_checked, is_official_key, published};
use report::Meter;
use sealdrop_lanes::Kernel;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Left free on the disk beyond what is written: 64 MiB for keys, stamps and everybody else.
const SPARE_BYTES: u64 = 64 << 20;
/// Held while parameters are checked or made, so that two processes do not both make them.
const LOCK_FILE: &str = ".sealdrop-params.lock";

/// Why parameters are not there.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// A file could not be handled.
    #[error("could not {action} {}: {source}; check that the parameter directory is writable and intact", path.display())]
    Io {
        /// A verb: "read", "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A parameter file could not be written to its end.
    #[error("writing the {circuit} parameters for {size} sectors failed: {source}; free some space and start again")]
    Write {
        /// Whose parameters.
        circuit: Circuit,
        /// For which sectors.
        size: SectorSize,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is too full to begin.
    #[error("the parameters need {needed} bytes in {} but {available} are available; free some space or choose another directory", dir.display())]
    DiskFull {
        /// Bytes to be written, spare room included.
        needed: u64,
        /// Bytes that the file system gives to this user.
        available: u64,
        /// The parameter directory.
        dir: PathBuf,
    },
    /// These parameters come from a ceremony and cannot be made.
    #[error("parameters for {size} sectors cannot be generated here, only the official files do; start with `--official-params`. Mind that {}", Needs::of(*size))]
    OfficialOnly {
        /// For which sectors.
        size: SectorSize,
    },
    /// Official files are missing or wrong.
    #[error("{0}")]
    Official(OfficialFaults),
    /// A development network's files would overwrite official ones.
    #[error("{} is an official file of Filecoin's networks, which a development network would overwrite; give it a parameter directory of its own with `--params DIR`", path.display())]
    OfficialInTheWay {
        /// The official file.
        path: PathBuf,
    },
    /// The generator's output is not what every other node has.
    #[error("the generated {circuit} {file} for {size} sectors has SHA-256 {found} instead of {expected}; this build or machine computes wrongly, so do not use it to prove")]
    WrongDigest {
        /// Whose parameters.
        circuit: Circuit,
        /// For which sectors.
        size: SectorSize,
        /// "parameter file" or "verifying key".
        file: &'static str,
        /// The digest that came out, hexadecimal.
        found: String,
        /// The digest that this program was built with, hexadecimal.
        expected: &'static str,
    },
    /// The circuit could not be set up or synthesised.
    #[error("the {circuit} circuit for {size} sectors could not be set up: {reason}")]
    Circuit {
        /// Which circuit.
        circuit: Circuit,
        /// For which sectors.
        size: SectorSize,
        /// What the proof library said.
        reason: String,
    },
    /// Asked by the prover: the parameters are not there, or changed since they were checked.
    #[error("the {circuit} parameters for {size} sectors are missing or were changed in {}; run the parameter set-up again", dir.display())]
    Missing {
        /// Whose parameters.
        circuit: Circuit,
        /// For which sectors.
        size: SectorSize,
        /// The parameter directory.
        dir: PathBuf,
    },
}

/// Makes sure that the parameters of every `wanted` set are in `dir`, whole and right; makes those that
/// are not. Returns in milliseconds when all are there, and takes ten seconds to a few minutes, by the processor, and
/// gigabytes of disk for each that is not (2 KiB: 1.1 GB, 8 MiB: 1.4 GB, 512 MiB: 2.0 GB for PoRep; 12, 31 and 45 MB for PoSt).
///
/// `progress` is called from this thread, several times a second while points are computed. Two processes
/// may call this on one directory: the second waits. Interrupted at any point, the next call continues with
/// the first set that is not whole.
///
/// # Errors
/// [`ParamsError::DiskFull`] before anything is written; [`ParamsError::OfficialOnly`] for 32 GiB;
/// [`ParamsError::WrongDigest`] if the machine computes something else than the rest of the network.
pub fn ensure(
    dir: &Path,
    wanted: &[(Circuit, SectorSize)],
    progress: &mut dyn FnMut(Progress),
) -> Result<GenerationReport, ParamsError> {
    let meter = Meter::start();
    if let Some((_, size)) = wanted.iter().find(|(_, size)| *size == SectorSize::S32GiB) {
        return Err(ParamsError::OfficialOnly { size: *size });
    }
    create_directory(dir)?;
    let Some(first) = wanted.first() else {
        return Ok(meter.report(Vec::new(), Vec::new()));
    };
    let _lock = lock(dir, *first, progress)?;
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for &(circuit, size) in wanted {
        if is_whole(dir, circuit, size, progress)? {
            present.push((circuit, size));
        } else if !missing.contains(&(circuit, size)) {
            missing.push((circuit, size));
        }
    }
    check_space(dir, &missing)?;
    for &(circuit, size) in &missing {
        make(dir, circuit, size, progress)?;
    }
    Ok(meter.report(present, missing))
}

/// Whether the prover may load these parameters now: a few file look-ups, no hashing.
///
/// # Errors
/// [`ParamsError::Missing`] if `ensure` (or `check_official`, where those are used) has not seen them as they are now.
pub(crate) fn check_installed(dir: &Path, circuit: Circuit, size: SectorSize) -> Result<(), ParamsError> {
    let whole = match source() {
        Source::Official => is_checked(dir, circuit, size)?,
        Source::Generated => is_stamped(dir, circuit, size)?,
    };
    if whole {
        return Ok(());
    }
    Err(ParamsError::Missing {
        circuit,
        size,
        dir: dir.to_owned(),
    })
}

/// Whether the parameters to seal and to prove sectors of this size are there, made or official, as they were when they were last checked: a
/// few file look-ups, no hashing.
pub fn are_installed(dir: &Path, size: SectorSize) -> bool {
    let installed =
        |circuit| is_stamped(dir, circuit, size).unwrap_or(false) || is_checked(dir, circuit, size).unwrap_or(false);
    [Circuit::PoRep, Circuit::WindowPoSt].into_iter().all(installed)
}

/// Whether generated parameters are as they were when their digest was last computed.
fn is_stamped(dir: &Path, circuit: Circuit, size: SectorSize) -> Result<bool, ParamsError> {
    let (names, pin) = (file_names(circuit, size)?, pinned(circuit, size));
    let params = dir.join(&names.params);
    let right = |stamp: &Stamp| pin.is_some_and(|pin| pin.params_sha256 == stamp.sha256) && stamp.fits(&params);
    Ok(Stamp::read(&params).as_ref().is_some_and(right) && dir.join(&names.verifying_key).is_file())
}

/// Where the parameters lie.
pub(crate) fn parameter_file(dir: &Path, circuit: Circuit, size: SectorSize) -> Result<PathBuf, ParamsError> {
    Ok(dir.join(file_names(circuit, size)?.params))
}

/// Where the verifying key lies.
pub(crate) fn verifying_key(dir: &Path, circuit: Circuit, size: SectorSize) -> Result<PathBuf, ParamsError> {
    Ok(dir.join(file_names(circuit, size)?.verifying_key))
}

/// Whether these bytes are the verifying key that this process goes by: the built-in one, or the official one.
pub(crate) fn is_verifying_key(circuit: Circuit, size: SectorSize, bytes: &[u8]) -> Result<bool, ParamsError> {
    Ok(match source() {
        Source::Generated => pinned(circuit, size).is_some_and(|pin| pin.verifying_key == bytes),
        Source::Official => is_official_key(&file_names(circuit, size)?.verifying_key, bytes),
    })
}

pub(crate) fn create_directory(dir: &Path) -> Result<(), ParamsError> {
    fs::create_dir_all(dir).map_err(io_error("create", dir))
}

/// The directory's lock, held until the file is dropped (also by a crash).
fn lock(
    dir: &Path,
    (circuit, size): (Circuit, SectorSize),
    progress: &mut dyn FnMut(Progress),
) -> Result<File, ParamsError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
        Err(TryLockError::WouldBlock) => {}
    }
    progress(Progress {
        circuit,
        size,
        phase: Phase::Waiting,
        done: 0,
        total: 0,
    });
    file.lock().map_err(io_error("lock", &path))?;
    Ok(file)
}

/// Whether the parameter file is there with the right bytes; the small files beside it are then put right.
fn is_whole(
    dir: &Path,
    circuit: Circuit,
    size: SectorSize,
    progress: &mut dyn FnMut(Progress),
) -> Result<bool, ParamsError> {
    let names = file_names(circuit, size)?;
    let params = dir.join(&names.params);
    let stamp = Stamp::read(&params);
    let pin = pinned(circuit, size);
    let expected = match (pin, &stamp) {
        (Some(pin), _) => pin.params_sha256,
        (None, Some(stamp)) => stamp.sha256.as_str(),
        // Nobody vouches for this file.
        (None, None) => return Ok(false),
    };
    let known = matches!(&stamp, Some(stamp) if stamp.sha256 == expected && stamp.fits(&params));
    if !known {
        let Ok(metadata) = fs::metadata(&params) else {
            return Ok(false);
        };
        let mut report = |done, total| {
            progress(Progress {
                circuit,
                size,
                phase: Phase::Checking,
                done,
                total,
            });
        };
        let length_fits = pin.is_none_or(|pin| pin.params_bytes == metadata.len());
        if !length_fits || digest(&params, &mut report)? != expected {
            refuse_official(&params, &names.params, &mut report)?;
            return Ok(false);
        }
        Stamp::write(&params, expected)?;
    }
    write_if_other(&dir.join(names.meta), &meta(size))?;
    match pin {
        Some(pin) => write_if_other(&dir.join(names.verifying_key), pin.verifying_key)?,
        None if !dir.join(names.verifying_key).is_file() => return Ok(false),
        None => {}
    }
    Ok(true)
}

/// Refuses to replace a file that is an official one: somebody fetched it.
fn refuse_official(path: &Path, name: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<(), ParamsError> {
    let found = blake2b(path, progress)?;
    match published(name) {
        Some(published) if found.starts_with(&published.digest) => {
            Err(ParamsError::OfficialInTheWay { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

fn check_space(dir: &Path, missing: &[(Circuit, SectorSize)]) -> Result<(), ParamsError> {
    if missing.is_empty() {
        return Ok(());
    }
    // 32 GiB, which has no pin, was refused before.
    let bytes = missing
        .iter()
        .map(|&(circuit, size)| pinned(circuit, size).map_or(0, |pin| pin.params_bytes));
    let needed = bytes.sum::<u64>() + SPARE_BYTES;
    let available = fs4::available_space(dir).map_err(io_error("inspect", dir))?;
    if available < needed {
        return Err(ParamsError::DiskFull {
            needed,
            available,
            dir: dir.to_owned(),
        });
    }
    Ok(())
}

/// Generates one set. FAIL: the process may die at any point. THEN: only temporary names are incomplete;
/// without its stamp the finished file is hashed once by the next `ensure` and accepted.
fn make(dir: &Path, circuit: Circuit, size: SectorSize, progress: &mut dyn FnMut(Progress)) -> Result<(), ParamsError> {
    let names = file_names(circuit, size)?;
    let path = dir.join(&names.params);
    let mut draft = Draft::create(&path)?;
    let mut report = |done, total| {
        let phase = match total {
            0 => Phase::Synthesising,
            _ => Phase::Writing,
        };
        progress(Progress {
            circuit,
            size,
            phase,
            done,
            total,
        });
    };
    let key = match write_parameters(Kernel::best(), circuit, size, &mut draft, &mut report) {
        Ok(key) => key,
        Err(error) => {
            draft.abandon();
            return Err(error);
        }
    };
    let completed = draft.complete()?;
    if let Some(pin) = pinned(circuit, size) {
        if let Err(error) = check_digests(pin, &completed.sha256, &key) {
            completed.abandon();
            return Err(error);
        }
    }
    write_if_other(&dir.join(&names.verifying_key), &key)?;
    write_if_other(&dir.join(&names.meta), &meta(size))?;
    let sha256 = completed.sha256.clone();
    completed.publish()?;
    Stamp::write(&path, &sha256)
}

fn check_digests(pin: &'static Pinned, params: &str, key: &[u8]) -> Result<(), ParamsError> {
    let key = hex::encode(Sha256::digest(key));
    let wrong = |file, found: &str, expected| ParamsError::WrongDigest {
        circuit: pin.circuit,
        size: pin.size,
        file,
        found: found.to_owned(),
        expected,
    };
    if params != pin.params_sha256 {
        return Err(wrong("parameter file", params, pin.params_sha256));
    }
    if key != pin.verifying_key_sha256 {
        return Err(wrong("verifying key", &key, pin.verifying_key_sha256));
    }
    Ok(())
}

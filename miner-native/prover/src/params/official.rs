//! The official parameters of Filecoin's networks: files from its ceremony, taken as they are or not at all.
//!
//! Their digests and CIDs are those of `parameters.json` in storage-proofs-core 19.1.0 (the same list is in
//! filecoin-proofs), read out of that crate, so that they are those of the proofs that this program makes. Nothing
//! is ever generated, replaced or completed here. A file is hashed once; from then on its stamp
//! (`<name>.official`) spares the gigabytes as long as length and modification time stay as they were.
//!
//! The daemon calls [`check_official`] at its start; the prover asks [`is_checked`] before each proof.

use super::circuits::{file_names, Circuit};
use super::files::{beside, blake2b, io_error, size_and_time, write_whole, MAX_STAMP};
use super::keys::pinned;
use super::{ParamsError, Phase, Progress};
use crate::needs::Needs;
use crate::size::SectorSize;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use storage_proofs_core::parameter_cache::get_parameter_data_from_id;

/// Bytes of an uncompressed point of G1 and of G2 in a parameter file.
const G1_BYTES: u64 = 96;
const G2_BYTES: u64 = 192;
/// Hexadecimal digits of the digests in `parameters.json`: 16 bytes.
const DIGEST_DIGITS: usize = 32;

/// Where a process's proof parameters come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Made here from a public seed: insecure, for development networks. See [`super`].
    #[default]
    Generated,
    /// Files of Filecoin's ceremony, each checked against its published digest.
    Official,
}

/// What a list of official files says of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// The first 32 hexadecimal digits of its BLAKE2b digest.
    pub(super) digest: String,
    /// Under which the file is found on IPFS.
    pub(super) cid: String,
}

/// The published list, by file name.
pub(super) fn published(name: &str) -> Option<Published> {
    let data = get_parameter_data_from_id(name)?;
    Some(Published {
        digest: data.digest.clone(),
        cid: data.cid.clone(),
    })
}

/// A file that is not as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficialFault {
    /// Its name, which filecoin-proofs prescribes.
    pub name: String,
    /// Whose parameters.
    pub circuit: Circuit,
    /// Its length in bytes, where it is known beforehand.
    pub bytes: Option<u64>,
    /// The first 32 hexadecimal digits of the BLAKE2b digest that it must have.
    pub digest: String,
    /// Under which the file is found on IPFS.
    pub cid: String,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no such file.
    Missing,
    /// It ends early, or something follows it.
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes that its own counts ask for; `None` if not even those are whole.
        whole: Option<u64>,
    },
    /// It is another file, or damaged.
    Digest {
        /// The first 32 hexadecimal digits of its BLAKE2b digest.
        found: String,
    },
    /// It is the development network's, made from a public seed.
    Generated,
    /// The published list of this version of the proofs does not have it.
    Unpublished,
}

impl fmt::Display for OfficialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, cid, .. } = self;
        write!(f, "{name} ({}", self.circuit)?;
        match self.bytes {
            Some(bytes) => write!(f, ", {bytes} bytes)")?,
            None => f.write_str(")")?,
        }
        match &self.what {
            Wrong::Missing => f.write_str(" is missing")?,
            Wrong::Length {
                found,
                whole: Some(whole),
            } => write!(f, " has {found} of its {whole} bytes")?,
            Wrong::Length { found, whole: None } => write!(f, " has only {found} bytes")?,
            Wrong::Digest { found } => write!(f, " has another digest ({found})")?,
            Wrong::Generated => f.write_str(" is the insecure one of development networks")?,
            Wrong::Unpublished => return f.write_str(" is not in the published list of these proofs"),
        }
        write!(f, "; expected BLAKE2b {digest}…, CID {cid}")
    }
}

/// What keeps a directory from being used: all of it, in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficialFaults {
    /// Where the files must be.
    pub dir: PathBuf,
    /// For which sectors.
    pub size: SectorSize,
    /// One for each file; never empty.
    pub faults: Vec<OfficialFault>,
}

impl fmt::Display for OfficialFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, size, faults } = self;
        let dir = dir.display();
        writeln!(
            f,
            "the official proof parameters for {size} sectors are not whole in {dir}:"
        )?;
        for fault in faults {
            writeln!(f, "  {fault}")?;
        }
        let bytes = size.bytes();
        write!(
            f,
            "nothing is generated in their place; put the files there under these names, or get them with Filecoin's tool \
             (`cargo install fil-proofs-param`; it moves files of another digest aside):\n  \
             FIL_PROOFS_PARAMETER_CACHE={dir} paramfetch -z {bytes}"
        )?;
        match size {
            SectorSize::S32GiB => write!(
                f,
                "\nthen start again with `--official-params`; mind that {}",
                Needs::of(*size)
            ),
            _ => Ok(()),
        }
    }
}

/// What a check of official files took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfficialReport {
    /// Files that were hashed now.
    pub hashed: Vec<String>,
    /// Files whose stamp was enough.
    pub stamped: Vec<String>,
    /// Whether stamps could be written: if not, the next check hashes everything again.
    pub stamps_kept: bool,
}

/// A good check, remembered.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Checked {
    bytes: u64,
    /// Modification time in nanoseconds since 1970.
    modified: u64,
    blake2b: String,
}

impl Checked {
    fn fits(file: &Path, digest: &str) -> bool {
        let path = beside(file, "official");
        let short = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= MAX_STAMP);
        let stamp = short.then(|| fs::read(&path).ok()).flatten();
        let stamp: Option<Self> = stamp.and_then(|text| serde_json::from_slice(&text).ok());
        let now = size_and_time(file);
        matches!((stamp, now), (Some(stamp), Ok(now)) if (stamp.bytes, stamp.modified) == now && stamp.blake2b == digest)
    }

    fn write(file: &Path, digest: &str) -> Result<(), ParamsError> {
        let (bytes, modified) = size_and_time(file).map_err(io_error("inspect", file))?;
        let stamp = Self {
            bytes,
            modified,
            blake2b: digest.to_owned(),
        };
        let path = beside(file, "official");
        let text = serde_json::to_vec(&stamp).map_err(io::Error::from);
        write_whole(&path, &text.map_err(io_error("write", &path))?)
    }
}

/// Checks that `dir` holds the official parameters and verifying keys of `wanted`, which are of one sector size. Takes
/// milliseconds when all have their stamps, and about a second a gigabyte for files that are new.
///
/// # Errors
/// [`ParamsError::Official`] names every file that is missing or wrong; [`ParamsError::Io`].
pub fn check_official(
    dir: &Path,
    size: SectorSize,
    wanted: &[Circuit],
    progress: &mut dyn FnMut(Progress),
) -> Result<OfficialReport, ParamsError> {
    check_against(&published, dir, size, wanted, progress)
}

/// The check, against any list.
pub(super) fn check_against(
    list: &dyn Fn(&str) -> Option<Published>,
    dir: &Path,
    size: SectorSize,
    wanted: &[Circuit],
    progress: &mut dyn FnMut(Progress),
) -> Result<OfficialReport, ParamsError> {
    let mut report = OfficialReport {
        stamps_kept: true,
        ..OfficialReport::default()
    };
    let mut faults = Vec::new();
    for &circuit in wanted {
        for file in Wanted::of(circuit, size)? {
            let fault = |published: Published, what| OfficialFault {
                name: file.name.clone(),
                circuit,
                bytes: file.bytes,
                digest: published.digest,
                cid: published.cid,
                what,
            };
            let Some(published) = list(&file.name) else {
                let nothing = Published {
                    digest: String::new(),
                    cid: String::new(),
                };
                faults.push(fault(nothing, Wrong::Unpublished));
                continue;
            };
            let path = dir.join(&file.name);
            if Checked::fits(&path, &published.digest) {
                report.stamped.push(file.name.clone());
                continue;
            }
            match file.wrong(&path, &published.digest, progress)? {
                Some(what) => faults.push(fault(published, what)),
                None => {
                    // A directory that only others may write is fine: then the next check takes its time, too.
                    report.stamps_kept &= Checked::write(&path, &published.digest).is_ok();
                    report.hashed.push(file.name.clone());
                }
            }
        }
    }
    match faults.is_empty() {
        true => Ok(report),
        false => Err(ParamsError::Official(OfficialFaults {
            dir: dir.to_owned(),
            size,
            faults,
        })),
    }
}

/// Whether parameters and key of a set were checked as they are now: a few file look-ups, no hashing.
pub(super) fn is_checked(dir: &Path, circuit: Circuit, size: SectorSize) -> Result<bool, ParamsError> {
    let checked = |file: &Wanted| {
        published(&file.name).is_some_and(|published| Checked::fits(&dir.join(&file.name), &published.digest))
    };
    Ok(Wanted::of(circuit, size)?.iter().all(checked))
}

/// Whether these bytes are the official verifying key.
pub(super) fn is_official_key(name: &str, bytes: &[u8]) -> bool {
    let found = hex::encode(blake2b_simd::blake2b(bytes).as_bytes());
    published(name).is_some_and(|published| found.starts_with(&published.digest))
}

/// A file that must be there.
struct Wanted {
    name: String,
    circuit: Circuit,
    size: SectorSize,
    /// Its length, where this program knows it: a circuit's parameters are as long from every set-up.
    bytes: Option<u64>,
    is_key: bool,
}

impl Wanted {
    fn of(circuit: Circuit, size: SectorSize) -> Result<[Self; 2], ParamsError> {
        let names = file_names(circuit, size)?;
        let pin = pinned(circuit, size);
        let wanted = |name, bytes, is_key| Self {
            name,
            circuit,
            size,
            bytes,
            is_key,
        };
        Ok([
            wanted(names.params, pin.map(|pin| pin.params_bytes), false),
            wanted(names.verifying_key, pin.map(|pin| pin.verifying_key.len() as u64), true),
        ])
    }

    /// What is wrong with the file, if anything. The cheap looks come first.
    fn wrong(
        &self,
        path: &Path,
        digest: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Wrong>, ParamsError> {
        let found = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Wrong::Missing)),
            Err(error) => return Err(io_error("inspect", path)(error)),
        };
        if !self.is_key {
            let whole = declared_length(path).map_err(io_error("read", path))?;
            if whole != Some(found) {
                return Ok(Some(Wrong::Length { found, whole }));
            }
        }
        let (circuit, size) = (self.circuit, self.size);
        let mut report = |done, total| {
            progress(Progress {
                circuit,
                size,
                phase: Phase::Checking,
                done,
                total,
            });
        };
        let found = blake2b(path, &mut report)?;
        if found[..DIGEST_DIGITS] == *digest {
            return Ok(None);
        }
        if self.is_generated(path) {
            return Ok(Some(Wrong::Generated));
        }
        let found = found[..DIGEST_DIGITS].to_owned();
        Ok(Some(Wrong::Digest { found }))
    }

    /// Whether a file of another digest is the development network's: by its stamp or, for a key, its bytes.
    fn is_generated(&self, path: &Path) -> bool {
        let Some(pin) = pinned(self.circuit, self.size) else {
            return false;
        };
        if self.is_key {
            return fs::read(path).is_ok_and(|found| found == pin.verifying_key);
        }
        let stamp = super::files::Stamp::read(path);
        stamp.is_some_and(|stamp| stamp.sha256 == pin.params_sha256 && stamp.fits(path))
    }
}

/// How long a parameter file must be by the counts in it, which are read by jumping from one to the next; `None` when
/// it ends before the last count.
fn declared_length(path: &Path) -> io::Result<Option<u64>> {
    // alpha and beta in G1, beta and gamma in G2, delta in both: then the points of the verifying key's inputs.
    let mut end = 3 * G1_BYTES + 3 * G2_BYTES;
    let length = fs::metadata(path)?.len();
    let mut file = BufReader::new(File::open(path)?);
    // Inputs of the key, then the queries H, L, A, B in G1, and B in G2.
    for point in [G1_BYTES, G1_BYTES, G1_BYTES, G1_BYTES, G1_BYTES, G2_BYTES] {
        if end + 4 > length {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(end))?;
        let mut count = [0; 4];
        file.read_exact(&mut count)?;
        end += 4 + u64::from(u32::from_be_bytes(count)) * point;
    }
    Ok(Some(end))
}

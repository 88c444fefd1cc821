//! A manifest as bytes: canonical DAG-CBOR, one form for each, named by its CID (dag-cbor, SHA-256).
//!
//! ```text
//! {"file": FILE, "version": 1}
//! {"folder": {"name": TEXT, "files": [FILE …]}, "version": 1}
//! FILE  = {"name": TEXT, "root": CID, "size": INT, "pieces": [PIECE …]}
//! PIECE = {"size": INT, "commP": 32 BYTES, "offset": INT, "dataCid": CID}
//! ```
//!
//! Of a file in a folder the name is its path, as in tar and zip. CommP is no link, since no block has it for a CID, and whoever
//! follows all links would look for one. What a later version adds (encrypted names, keys' envelopes) comes under another number:
//! this one refuses it by its number before it looks at anything else.

use super::cut::MAX_PIECES;
use super::digest::FilePiece;
use super::manifest::{FileEntry, Manifest, ManifestError};
use super::path::RelativePath;
use crate::piece::node::cid_of;
use crate::wire::cbor::{self, cbor_map, Cbor, DecodeError, Fields, Value};
use crate::wire::encode;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;
use sha2::{Digest, Sha256};

/// The version that is written, and the only one that is read.
pub const VERSION: u64 = 1;
/// Bytes of a manifest: one piece of the devnet's 8 MiB sectors, which 16 384 files with a piece each and paths of 250 bytes fill.
pub const MAX_MANIFEST_BYTES: usize = 7 << 20;
/// Items of CBOR in a file or in a piece: a map, four keys, four values, and what is behind one value's tag.
const ITEMS_EACH: usize = 10;
/// Items of CBOR in a manifest: [`MAX_PIECES`] files with a piece each, and the frame. Each takes 50 to 100 bytes while it is read,
/// however short it was: 31 MiB for so many of the worst, and 45 MiB for the largest folder there is (`tests/file_memory.rs`).
const MAX_ITEMS: usize = 2 * ITEMS_EACH * MAX_PIECES as usize + 16;
/// Multicodec of DAG-CBOR.
const DAG_CBOR: u64 = 0x71;

impl Manifest {
    /// The bytes, of which there is one form. Fails with [`ManifestError::TooLarge`] where nobody would read them.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let bytes = encode(self);
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// Reads a manifest that came from anybody.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        check_size(bytes)?;
        cbor::decode_bounded::<Form>(bytes, MAX_ITEMS)?.try_into()
    }

    /// The CID of a manifest with these bytes.
    pub fn cid_of(bytes: &[u8]) -> Cid {
        cid_of(DAG_CBOR, &Sha256::digest(bytes).into())
    }
}

fn check_size(bytes: &[u8]) -> Result<(), ManifestError> {
    let (bytes, limit) = (bytes.len(), MAX_MANIFEST_BYTES);
    match bytes > limit {
        true => Err(ManifestError::TooLarge { bytes, limit }),
        false => Ok(()),
    }
}

/// A manifest as it is written, before anything but its form is checked.
enum Form {
    File(FileForm),
    Folder(FolderForm),
    /// Of another version, as it came.
    Other {
        version: u64,
        value: Value,
    },
}

struct FileForm {
    name: String,
    size: u64,
    root: Cid,
    pieces: Vec<FilePiece>,
}
cbor_map!(FileForm { "name" => name, "size" => size, "root" => root, "pieces" => pieces });

struct FolderForm {
    name: String,
    files: Vec<FileForm>,
}
cbor_map!(FolderForm { "name" => name, "files" => files });

cbor_map!(FilePiece { "offset" => offset, "size" => size, "dataCid" => data_cid, "commP" => comm_p });

impl Cbor for Form {
    fn to_value(&self) -> Value {
        let (kind, body) = match self {
            Self::File(file) => ("file", file.to_value()),
            Self::Folder(folder) => ("folder", folder.to_value()),
            Self::Other { value, .. } => return value.clone(),
        };
        cbor::map([(kind, body), ("version", VERSION.to_value())].into())
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let expected = DecodeError::Type { expected: "a manifest" };
        let entries = value.as_map().ok_or(expected)?;
        let find = |wanted: &str| entries.iter().find(|(key, _)| key.as_text() == Some(wanted));
        let missing = DecodeError::MissingKey {
            of: "Manifest",
            key: "version",
        };
        let (_, version) = find("version").ok_or(missing)?;
        let version = u64::from_value(version.clone())?;
        if version != VERSION {
            return Ok(Self::Other { version, value });
        }
        let kind = if find("folder").is_some() { "folder" } else { "file" };
        let mut fields = Fields::open(value, "Manifest", &[kind, "version"])?;
        match kind {
            "folder" => fields.take("folder").map(Self::Folder),
            _ => fields.take("file").map(Self::File),
        }
    }
}

impl From<&FileEntry> for FileForm {
    fn from(file: &FileEntry) -> Self {
        Self {
            name: file.path().as_str().to_owned(),
            size: file.size(),
            root: file.root(),
            pieces: file.pieces().to_vec(),
        }
    }
}

impl TryFrom<FileForm> for FileEntry {
    type Error = ManifestError;
    fn try_from(form: FileForm) -> Result<Self, ManifestError> {
        let path = RelativePath::parse(&form.name)?;
        let failed = |error| ManifestError::Entry {
            path: path.clone(),
            error,
        };
        FileEntry::new(path.clone(), form.size, form.root, form.pieces).map_err(failed)
    }
}

impl From<&Manifest> for Form {
    fn from(manifest: &Manifest) -> Self {
        match manifest {
            Manifest::File(file) => Self::File(file.into()),
            Manifest::Folder(folder) => Self::Folder(FolderForm {
                name: folder.name().as_str().to_owned(),
                files: folder.files().iter().map(FileForm::from).collect(),
            }),
        }
    }
}

impl TryFrom<Form> for Manifest {
    type Error = ManifestError;
    fn try_from(form: Form) -> Result<Self, ManifestError> {
        match form {
            Form::File(file) => Self::file(file.try_into()?),
            Form::Folder(FolderForm { name, files }) => {
                let files: Result<_, _> = files.into_iter().map(FileEntry::try_from).collect();
                Self::folder_in_order(RelativePath::parse(&name)?, files?)
            }
            Form::Other { version, .. } => Err(ManifestError::Version {
                found: version,
                known: VERSION,
            }),
        }
    }
}

/// For what holds a manifest; whoever reads one alone takes [`Manifest::read`], which bounds it first.
impl Cbor for Manifest {
    fn to_value(&self) -> Value {
        Form::from(self).to_value()
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let manifest = Form::from_value(value)?.try_into();
        manifest.map_err(|error: ManifestError| DecodeError::invalid("manifest", error))
    }
}

#[cfg(test)]
mod tests;

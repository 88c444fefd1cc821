//! A manifest as bytes: canonical DAG-CBOR, one form for each, named by its CID (dag-cbor, SHA-256).
//!
//! ```text
//! {"file": FILE, "version": 1}
//! {"folder": {"name": TEXT, "files": [FILE …]}, "version": 1}
//! {"file": FILE, "names": BYTES, "version": 2}
//! {"names": BYTES, "folder": {"name": TEXT, "files": [FILE …]}, "version": 2}
//! FILE  = {"name": TEXT, "root": CID, "size": INT, "pieces": [PIECE …]}
//! PIECE = {"size": INT, "commP": 32 BYTES, "offset": INT, "dataCid": CID}
//! ```
//!
//! Of a file in a folder the name is its path, as in tar and zip. CommP is no link, since no block has it for a CID, and whoever
//! follows all links would look for one. Version 2 is that of encrypted files: their names are neutral, and `names` is what they are called,
//! as an age file ([`super::names`]). What stores no encrypted file has version 1, and the bytes and the CID that it always had.
//! What a later version adds comes under another number: this one refuses it by its number before it looks at anything else.

use super::cut::MAX_PIECES;
use super::digest::FilePiece;
use super::manifest::{Contents, FileEntry, Manifest, ManifestError};
use super::names::EncryptedNames;
use super::path::RelativePath;
use crate::piece::node::cid_of;
use crate::wire::cbor::{self, cbor_map, Bytes, Cbor, DecodeError, Fields, Value};
use crate::wire::encode;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;
use sha2::{Digest, Sha256};

/// The version of what is stored as it is.
pub const VERSION: u64 = 1;
/// The version of what is encrypted, with its names; the last one that is read.
pub const HIDING_VERSION: u64 = 2;
/// Bytes of a manifest: one piece of the devnet's 8 MiB sectors, which 16 384 files with a piece each and paths of 250 bytes fill.
pub const MAX_MANIFEST_BYTES: usize = 7 << 20;
/// Items of CBOR in a file or in a piece: a map, four keys, four values, and what is behind one value's tag.
const ITEMS_EACH: usize = 10;
/// Items of CBOR in a manifest: [`MAX_PIECES`] files with a piece each, and the frame. Each takes 50 to 100 bytes while it is read,
/// however short it was: 31 MiB for so many of the worst, and 45 MiB for the largest folder there is (`tests/file_memory.rs`).
const MAX_ITEMS: usize = 2 * ITEMS_EACH * MAX_PIECES as usize + 16;
/// Multicodec of DAG-CBOR.
const DAG_CBOR: u64 = 0x71;
/// Multihash of SHA-256.
const SHA2_256: u64 = 0x12;

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
        Self::id_of(&Sha256::digest(bytes).into())
    }

    /// The CID of a manifest whose bytes have this SHA-256.
    pub fn id_of(digest: &[u8; 32]) -> Cid {
        cid_of(DAG_CBOR, digest)
    }

    /// Whether a CID is of the form that manifests are named by.
    pub fn is_id(id: &Cid) -> bool {
        id.codec() == DAG_CBOR && id.hash().code() == SHA2_256 && id.hash().digest().len() == 32
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
    Known {
        body: Body,
        names: Option<Bytes>,
    },
    /// Of another version, as it came.
    Other {
        version: u64,
        value: Value,
    },
}

enum Body {
    File(FileForm),
    Folder(FolderForm),
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
        let (body, names) = match self {
            Self::Known { body, names } => (body, names),
            Self::Other { value, .. } => return value.clone(),
        };
        let (kind, body) = match body {
            Body::File(file) => ("file", file.to_value()),
            Body::Folder(folder) => ("folder", folder.to_value()),
        };
        let names = names.as_ref().map(|names| ("names", names.to_value()));
        let version = if names.is_some() { HIDING_VERSION } else { VERSION };
        let fields = [(kind, body), ("version", version.to_value())];
        cbor::map(fields.into_iter().chain(names).collect())
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
        let kind = if find("folder").is_some() { "folder" } else { "file" };
        let keys: &[&str] = match version {
            VERSION => &[kind, "version"],
            HIDING_VERSION => &[kind, "names", "version"],
            _ => return Ok(Self::Other { version, value }),
        };
        let mut fields = Fields::open(value, "Manifest", keys)?;
        let names = (version == HIDING_VERSION).then(|| fields.take("names")).transpose()?;
        let body = match kind {
            "folder" => fields.take("folder").map(Body::Folder)?,
            _ => fields.take("file").map(Body::File)?,
        };
        Ok(Self::Known { body, names })
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
        let body = match manifest.contents() {
            Contents::File(file) => Body::File(file.into()),
            Contents::Folder(folder) => Body::Folder(FolderForm {
                name: folder.name().as_str().to_owned(),
                files: folder.files().iter().map(FileForm::from).collect(),
            }),
        };
        let names = manifest.encrypted_names().map(|names| Bytes(names.as_bytes().to_vec()));
        Self::Known { body, names }
    }
}

impl TryFrom<Body> for Manifest {
    type Error = ManifestError;
    fn try_from(body: Body) -> Result<Self, ManifestError> {
        match body {
            Body::File(file) => Self::file(file.try_into()?),
            Body::Folder(FolderForm { name, files }) => {
                let files: Result<_, _> = files.into_iter().map(FileEntry::try_from).collect();
                Self::folder_in_order(RelativePath::parse(&name)?, files?)
            }
        }
    }
}

impl TryFrom<Form> for Manifest {
    type Error = ManifestError;
    fn try_from(form: Form) -> Result<Self, ManifestError> {
        let (body, names) = match form {
            Form::Known { body, names } => (body, names),
            Form::Other { version, .. } => {
                return Err(ManifestError::Version {
                    found: version,
                    known: HIDING_VERSION,
                })
            }
        };
        let manifest: Self = body.try_into()?;
        match names {
            None => Ok(manifest),
            Some(Bytes(names)) => manifest.with_encrypted(EncryptedNames::new(names)?),
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

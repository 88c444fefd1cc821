//! What is needed to get a file or a folder back: the list of its pieces.
//!
//! A manifest is made by whoever stores a file and read by whoever wants it back, who has it from anybody. So there is none in
//! memory that breaks a rule: pieces cover their file without gaps from its first byte to its last and start at multiples of a leaf,
//! CIDs are of the kind that a file of such a size has, paths stay in their folder and are each there once. What remains is checked
//! over the bytes: a piece against its CIDs, the whole file against its root. [`super::encoding`] is its form as bytes.
//!
//! Of encrypted files it lists the ciphertexts, so that whoever stores, checks, repairs or serves them needs no key; what they are called
//! is hidden ([`super::names`]).

use super::cut::{MAX_FILE, MAX_PIECES};
use super::digest::{FilePiece, FileSummary};
use super::names::{self, EncryptedNames, MAX_NAMES_BYTES};
use super::path::{FileSystem, PathError, RelativePath};
use crate::piece::node::{digest_of, raw_cid};
use crate::piece::unixfs::LEAF_BYTES;
use crate::piece::DagShape;
use crate::transfer::puller::MAX_TRANSFER;
use crate::wire::DecodeError;
use alloc::vec::Vec;
use cid::Cid;

/// Files of a folder: as many as it may have pieces, so that a folder of small files is bounded by one number.
pub const MAX_FILES: usize = MAX_PIECES as usize;

/// Why something is no manifest, or none that can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("a manifest of {bytes} bytes is larger than {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the manifest has version {found}, and this program knows version {known}; use a newer one")]
    Version { found: u64, known: u64 },
    #[error("the manifest cannot be read: {0}")]
    Encoding(#[from] DecodeError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{name:?} is a path where a name belongs")]
    NotAName { name: RelativePath },
    #[error("a folder without files is not stored")]
    NoFiles,
    #[error("a folder of {files} files has more than {MAX_FILES}; store it in parts")]
    TooManyFiles { files: usize },
    #[error("a folder of {pieces} pieces has more than {MAX_PIECES}; store it in parts, or choose a miner with larger sectors")]
    TooManyPieces { pieces: u64 },
    #[error("{path:?} is not in its place: the files of a folder stand in the order of their paths")]
    Order { path: RelativePath },
    #[error("there are two files {path:?}; leave one of them out, or rename it")]
    Duplicate { path: RelativePath },
    #[error("{path:?} is a file and a folder, too")]
    FileAndFolder { path: RelativePath },
    #[error("{first:?} and {second:?} are one name, or file and folder, where capital letters do not count")]
    SameWithoutCase { first: RelativePath, second: RelativePath },
    #[error("{path:?}: {error}")]
    Entry { path: RelativePath, error: EntryError },
    #[error("the encrypted names have {bytes} bytes, and may have 1 to {MAX_NAMES_BYTES}; store the folder in parts")]
    NamesSize { bytes: usize },
    /// Whoever wrote it would have told what it hides.
    #[error("{path:?} is called {expected:?} where names are encrypted")]
    NotNeutral { path: RelativePath, expected: RelativePath },
    #[error("the encrypted names are not the manifest's: {found} of {files} files have one")]
    NamesCount { found: usize, files: usize },
}

/// Why something is no file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("{size} bytes are more than the {MAX_FILE} that are handled")]
    TooLarge { size: u64 },
    #[error("{root} is not the root of a file of {size} bytes")]
    Root { root: Cid, size: u64 },
    #[error("{pieces} pieces are more than {MAX_PIECES}")]
    TooManyPieces { pieces: usize },
    #[error("piece {index} has {size} bytes; pieces have 1 to {MAX_TRANSFER}")]
    PieceSize { index: usize, size: u64 },
    #[error("piece {index} starts at {found} where the one before ends at {expected}")]
    Gap { index: usize, expected: u64, found: u64 },
    #[error("piece {index} starts at {offset}, which is no multiple of {LEAF_BYTES}")]
    Misaligned { index: usize, offset: u64 },
    #[error("{data_cid} is not the root of piece {index} of {size} bytes")]
    PieceRoot { index: usize, data_cid: Cid, size: u64 },
    #[error("the pieces have {found} bytes together, and the file {size}")]
    Sum { size: u64, found: u64 },
    /// A file of one piece is that piece.
    #[error("the only piece has the root {data_cid}, and the file {root}")]
    OnlyPiece { root: Cid, data_cid: Cid },
}

/// A file: its name, or its path in the manifest's folder, and its pieces in order. None for a file without bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    path: RelativePath,
    size: u64,
    root: Cid,
    pieces: Vec<FilePiece>,
}

impl FileEntry {
    /// The file as it was hashed.
    pub fn of(path: RelativePath, file: &FileSummary) -> Result<Self, EntryError> {
        Self::new(path, file.size(), file.root(), file.pieces().to_vec())
    }

    /// A file of `size` bytes with this UnixFS root; refuses what cannot be one.
    pub fn new(path: RelativePath, size: u64, root: Cid, pieces: Vec<FilePiece>) -> Result<Self, EntryError> {
        if size > MAX_FILE {
            return Err(EntryError::TooLarge { size });
        }
        if !is_root(&root, size) {
            return Err(EntryError::Root { root, size });
        }
        check_pieces(size, &pieces)?;
        match pieces.as_slice() {
            [FilePiece { data_cid, .. }] if *data_cid != root => {
                let data_cid = *data_cid;
                Err(EntryError::OnlyPiece { root, data_cid })
            }
            _ => Ok(Self {
                path,
                size,
                root,
                pieces,
            }),
        }
    }

    /// Its path in the folder; of a single file, its name.
    pub fn path(&self) -> &RelativePath {
        &self.path
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What `ipfs add` prints for it.
    pub fn root(&self) -> Cid {
        self.root
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[FilePiece] {
        &self.pieces
    }
}

/// Whether a file of `size` bytes can have this root: by version, hash and codec.
fn is_root(root: &Cid, size: u64) -> bool {
    digest_of(root, DagShape::STANDARD.root_codec(size)).is_some() && (size > 0 || *root == raw_cid(&[]))
}

/// Pieces cover a file of `size` bytes from its first to its last byte, without gaps.
fn check_pieces(size: u64, pieces: &[FilePiece]) -> Result<(), EntryError> {
    if pieces.len() as u64 > MAX_PIECES {
        let pieces = pieces.len();
        return Err(EntryError::TooManyPieces { pieces });
    }
    let mut expected = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let FilePiece {
            offset, size, data_cid, ..
        } = *piece;
        if !(1..=MAX_TRANSFER).contains(&size) {
            return Err(EntryError::PieceSize { index, size });
        }
        if offset != expected {
            let found = offset;
            return Err(EntryError::Gap { index, expected, found });
        }
        if !offset.is_multiple_of(LEAF_BYTES) {
            return Err(EntryError::Misaligned { index, offset });
        }
        if !is_root(&data_cid, size) {
            return Err(EntryError::PieceRoot { index, data_cid, size });
        }
        expected = piece.end();
    }
    match expected {
        found if found != size => Err(EntryError::Sum { size, found }),
        _ => Ok(()),
    }
}

/// A folder: its name, and its files in the order of their paths. Folders without a file in them are not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    name: RelativePath,
    files: Vec<FileEntry>,
}

impl Folder {
    /// The folder's name.
    pub fn name(&self) -> &RelativePath {
        &self.name
    }

    /// Its files, in the order of their paths.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }
}

/// A file, or a folder of files, that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    File(FileEntry),
    Folder(Folder),
}

/// What is stored, and what hides how it is called, if something does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    contents: Contents,
    names: Option<EncryptedNames>,
}

impl From<Contents> for Manifest {
    fn from(contents: Contents) -> Self {
        let names = None;
        Self { contents, names }
    }
}

impl Manifest {
    /// The manifest of one file.
    pub fn file(file: FileEntry) -> Result<Self, ManifestError> {
        check_name(&file.path)?;
        Ok(Contents::File(file).into())
    }

    /// The manifest of a folder with these files, in any order.
    pub fn folder(name: RelativePath, mut files: Vec<FileEntry>) -> Result<Self, ManifestError> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self::folder_in_order(name, files)
    }

    /// The manifest of a folder whose files stand in the order of their paths, so that it has one form only.
    pub(super) fn folder_in_order(name: RelativePath, files: Vec<FileEntry>) -> Result<Self, ManifestError> {
        check_name(&name)?;
        if files.is_empty() {
            return Err(ManifestError::NoFiles);
        }
        if files.len() > MAX_FILES {
            let files = files.len();
            return Err(ManifestError::TooManyFiles { files });
        }
        let pieces = files
            .iter()
            .fold(0u64, |sum, file| sum.saturating_add(file.pieces.len() as u64));
        if pieces > MAX_PIECES {
            return Err(ManifestError::TooManyPieces { pieces });
        }
        for (before, file) in files.iter().zip(files.iter().skip(1)) {
            let (before, path) = (&before.path, file.path.clone());
            if *before == path {
                return Err(ManifestError::Duplicate { path });
            }
            if *before > path {
                return Err(ManifestError::Order { path });
            }
            // What lies below a name follows it at once in this order.
            if before.is_above(&path) {
                let path = before.clone();
                return Err(ManifestError::FileAndFolder { path });
            }
        }
        Ok(Contents::Folder(Folder { name, files }).into())
    }

    /// The same with neutral names, whose own names are encrypted in `names` ([`super::TrueNames`]).
    pub fn hiding(self, names: EncryptedNames) -> Result<Self, ManifestError> {
        let count = self.files().len();
        let hide = |(index, file): (usize, FileEntry)| FileEntry {
            path: names::neutral_path(index, count),
            ..file
        };
        let contents = match self.contents {
            Contents::File(file) => Contents::File(hide((0, file))),
            Contents::Folder(Folder { files, .. }) => Contents::Folder(Folder {
                name: names::neutral_folder(),
                files: files.into_iter().enumerate().map(hide).collect(),
            }),
        };
        Self::from(contents).with_encrypted(names)
    }

    /// The names of this manifest, which are neutral, are encrypted in `names`.
    pub(super) fn with_encrypted(self, names: EncryptedNames) -> Result<Self, ManifestError> {
        let check = |path: &RelativePath, expected: RelativePath| match *path == expected {
            true => Ok(()),
            false => Err(ManifestError::NotNeutral {
                path: path.clone(),
                expected,
            }),
        };
        if let Contents::Folder(folder) = &self.contents {
            check(&folder.name, names::neutral_folder())?;
        }
        let count = self.files().len();
        for (index, file) in self.files().iter().enumerate() {
            check(&file.path, names::neutral_path(index, count))?;
        }
        Ok(Self {
            contents: self.contents,
            names: Some(names),
        })
    }

    /// The same under the names that were encrypted, in the order of the files. They come from whoever wrote the manifest, and are
    /// checked as those in the clear are.
    pub fn under(&self, names: names::TrueNames) -> Result<Self, ManifestError> {
        let names::TrueNames { name, paths } = names;
        let (found, files) = (paths.len(), self.files().len());
        let counts = ManifestError::NamesCount { found, files };
        match &self.contents {
            Contents::File(file) if found == 0 => Self::file(FileEntry {
                path: name,
                ..file.clone()
            }),
            Contents::Folder(folder) if found == files => {
                let named = folder.files.iter().zip(paths);
                let named = named.map(|(file, path)| FileEntry { path, ..file.clone() });
                Self::folder_in_order(name, named.collect())
            }
            _ => Err(counts),
        }
    }

    /// What is stored.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.contents, Contents::Folder(_))
    }

    /// The names of what is encrypted; `None` of what is stored as it is.
    pub fn encrypted_names(&self) -> Option<&EncryptedNames> {
        self.names.as_ref()
    }

    /// The name of the file or of the folder.
    pub fn name(&self) -> &RelativePath {
        match &self.contents {
            Contents::File(file) => &file.path,
            Contents::Folder(folder) => &folder.name,
        }
    }

    /// All files.
    pub fn files(&self) -> &[FileEntry] {
        match &self.contents {
            Contents::File(file) => core::slice::from_ref(file),
            Contents::Folder(folder) => &folder.files,
        }
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files().iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Refuses what such a file system cannot hold, and what it takes for one name where the manifest has two.
    pub fn writable_on(&self, place: FileSystem) -> Result<(), ManifestError> {
        self.name().writable_on(place)?;
        for file in self.files() {
            file.path.writable_on(place)?;
        }
        if place == FileSystem::CaseSensitive {
            return Ok(());
        }
        let mut paths: Vec<_> = self
            .files()
            .iter()
            .map(|file| (file.path.without_case(), &file.path))
            .collect();
        paths.sort();
        let neighbours = paths.iter().zip(paths.iter().skip(1));
        for ((before, first), (path, second)) in neighbours {
            if before == path || before.is_above(path) {
                let (first, second) = ((*first).clone(), (*second).clone());
                return Err(ManifestError::SameWithoutCase { first, second });
            }
        }
        Ok(())
    }
}

fn check_name(name: &RelativePath) -> Result<(), ManifestError> {
    if !name.is_name() {
        let name = name.clone();
        return Err(ManifestError::NotAName { name });
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

//! Files as pieces: how a file or a folder of any size becomes pieces of which each has a deal of its own, and comes back.
//!
//! [`Cut`] says where a file is cut for a sector size, [`FileBuilder`] and [`FileDigest`] find the names of all pieces and of the
//! whole file in one pass, and [`Manifest`] holds what is needed to get it back: it comes from anybody, so reading it checks
//! everything that can be checked without the bytes. [`FileEntry::spans`] finds a range of the file in its pieces, and
//! [`RelativePath`] keeps what is written back inside the folder that was chosen for it. What encrypted files are called hides
//! [`Manifest::hiding`] and [`TrueNames`].
//!
//! Called by the client engine of both hosts for step 2 of a deal ([`crate::piece`] is one piece of it) and for step 15.

mod cut;
mod digest;
mod encoding;
mod manifest;
mod names;
mod path;
mod span;

pub use cut::{Cut, CutError, MAX_FILE, MAX_PIECES};
pub use digest::{FileBuilder, FileDigest, FileDigestError, FilePiece, FileSummary, HashPiece};
pub use encoding::{HIDING_VERSION, MAX_MANIFEST_BYTES, VERSION};
pub use manifest::{Contents, EntryError, FileEntry, Folder, Manifest, ManifestError, MAX_FILES};
pub use names::{EncryptedNames, TrueNames, MAX_NAMES_BYTES};
pub use path::{
    is_under_way, FileSystem, PathError, RelativePath, MAX_DEPTH, MAX_NAME_BYTES, MAX_PATH_BYTES, UNDER_WAY_PREFIX,
};
pub use span::{Span, SpanError};

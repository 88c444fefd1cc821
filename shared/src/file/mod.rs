//! Files as pieces: how a file of any size becomes pieces of which each has a deal of its own.
//!
//! [`Cut`] says where a file is cut for a sector size; [`FileBuilder`] and [`FileDigest`] find the names of all pieces and of the whole
//! file in one pass.
//!
//! Called by the client engine of both hosts for step 2 of a deal ([`crate::piece`] is one piece of it).

mod cut;
mod digest;

pub use cut::{Cut, CutError, MAX_FILE, MAX_PIECES};
pub use digest::{FileBuilder, FileDigest, FileDigestError, FilePiece, FileSummary, HashPiece};

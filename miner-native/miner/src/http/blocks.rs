//! Blocks, read by their CIDs: leaves out of pieces, nodes out of the index; each is held against its CID before it is given away.

use super::Reading;
use crate::block_index::{IndexError, Place};
use crate::piece_reader::{UnsealFailure, Whereabouts};
use crate::store::StoreError;
use cid::Cid;
use sealdrop_database::blocking;
use shared::retrieval::gateway::{verify_block, WalkError};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

/// Multihash code of SHA-256, the only one of stored blocks.
const SHA2_256: u64 = 0x12;

/// Why a block is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockError {
    #[error("the block {0} is not here")]
    NotHere(Cid),
    #[error("the block's piece is being taken out of its sector: ask again")]
    BeingUnsealed,
    #[error(transparent)]
    Unseal(#[from] UnsealFailure),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the block cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Block(#[from] WalkError),
}

/// Where a block is, found and not read yet.
#[derive(Debug, Clone)]
pub(super) enum Located {
    Node(Vec<u8>),
    Staged {
        path: PathBuf,
        offset: u64,
        bytes: u64,
    },
    Sealed {
        piece: Cid,
        size: u64,
        offset: u64,
        bytes: u64,
    },
}

impl Located {
    /// Its length.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Node(bytes) => bytes.len() as u64,
            Self::Staged { bytes, .. } | Self::Sealed { bytes, .. } => *bytes,
        }
    }

    /// Whether it can be read at once.
    pub fn is_at_hand(&self) -> bool {
        !matches!(self, Self::Sealed { .. })
    }
}

/// Finds a block, what is at hand before what is not.
pub(super) fn locate(reading: &Reading, cid: &Cid) -> Result<Located, BlockError> {
    let not_here = || BlockError::NotHere(*cid);
    let digest = (cid.hash().code() == SHA2_256).then(|| cid.hash().digest().try_into().ok());
    let digest = digest.flatten().ok_or_else(not_here)?;
    let mut sealed = None;
    for place in blocking(|| reading.index.find(digest))? {
        let (piece, offset, bytes) = match place {
            Place::Node(bytes) => return Ok(Located::Node(bytes)),
            Place::Leaf { piece, offset, bytes } => (piece, offset, bytes),
        };
        match reading.reader.find(&piece)? {
            Some((_, Whereabouts::Staged(path))) => return Ok(Located::Staged { path, offset, bytes }),
            Some((record, Whereabouts::Sealed)) => {
                let size = record.size;
                sealed = Some(Located::Sealed {
                    piece,
                    size,
                    offset,
                    bytes,
                });
            }
            Some((_, Whereabouts::Lost)) | None => {}
        }
    }
    sealed.ok_or_else(not_here)
}

/// Reads a block behind `front`, which stays in front of it. A piece that has to be unsealed is waited for as long as `patience`.
pub(super) async fn read(
    reading: &Reading,
    cid: &Cid,
    located: Located,
    front: Vec<u8>,
    patience: Duration,
) -> Result<Vec<u8>, BlockError> {
    let (path, offset, bytes) = match located {
        Located::Node(bytes) => {
            verify_block(cid, &bytes)?;
            return Ok([front, bytes].concat());
        }
        Located::Staged { path, offset, bytes } => (path, offset, bytes),
        Located::Sealed {
            piece,
            size,
            offset,
            bytes,
        } => {
            let unsealed = tokio::time::timeout(patience, reading.reader.unseal(&piece, size)).await;
            (unsealed.map_err(|_| BlockError::BeingUnsealed)??, offset, bytes)
        }
    };
    let cid = *cid;
    let reading = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let begin = front.len();
        let mut out = front;
        out.resize(begin + bytes as usize, 0);
        let block = out.get_mut(begin..).unwrap_or_default();
        file.read_exact(block)?;
        verify_block(&cid, block)?;
        Ok(out)
    });
    reading.await.map_err(io::Error::other)?
}

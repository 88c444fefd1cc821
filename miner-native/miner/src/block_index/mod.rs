//! Where each block of the stored files is: a leaf at its offset in a piece, an interior node as its bytes; which pieces have a
//! CommP, and what ranges of them are proven with.
//!
//! Asked by [`crate::http`] for every block that it gives away, filled by [`Indexing`] when a piece is staged, emptied when one goes.
//! Everything in it follows from the pieces, so that it is made again when it is lost. It is an SQLite database of its own: not sled, for
//! which design §7 meant it, since that stays broken after a full disk and is not maintained; and not in the miner's own
//! database, since what can be made again must neither hold up what cannot, which has one writer, nor be able to damage it. What
//! cannot be opened is thrown away.
//!
//! Blocks are found by their SHA-256 alone: whatever codec a CID names, the bytes are the same.

mod files;
mod indexing;
#[cfg(test)]
mod tests;

pub use indexing::Indexing;

use cid::Cid;
use sealdrop_database::{with_prefix, Changes, DatabaseError, Order, Records, Schema, Sharing, Sqlite, Store, Table};
use shared::piece::node::CID_BYTES;
use shared::piece::range::SLICE;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{
    padded_for, Commitment, DagShape, NodeBuilder, Outline, PaddedSize, PieceName, PieceSize, RangeError,
};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// The file in the index's folder, and what SQLite puts beside it.
const FILE: &str = "blocks.db";
const BESIDE: [&str; 2] = ["blocks.db-wal", "blocks.db-shm"];
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Places of one block that are told: zeros lie in many pieces.
const MAX_PLACES: usize = 8;
/// Pieces of one CommP and padded size that are told: they differ in the zeros behind the bytes alone, and whoever names the size means
/// one.
const MAX_SAME: usize = 8;

/// Blocks: digest, owner → leaf or node. The owner is the piece, or the whole file's root for a node across pieces.
const BLOCKS: Table = Table::index("blocks");
/// Pieces whose blocks are in the index: data → size, digests of its leaves.
const PIECES: Table = Table::records("indexed_pieces");
/// Pieces by what they are proven by: CommP, size, data.
const BY_COMM_P: Table = Table::index("pieces_by_comm_p");
/// All pieces that are known: data → CommP, size.
const KNOWN: Table = Table::index("known_pieces");
/// What ranges of pieces are proven with: data → roots of the slices under CommP.
const OUTLINES: Table = Table::records("outlines");
/// Files across pieces: root, manifest → whether its nodes are here, size, pieces.
const FILES: Table = Table::records("files");
/// Which files need a piece: data, root, manifest.
const NEEDED: Table = Table::index("pieces_of_files");
/// Manifests: data → roots of the files across pieces in it.
const MANIFESTS: Table = Table::records("manifests");
/// Manifests for whose files there is no room, until some is given up: data.
const SET_ASIDE: Table = Table::index("manifests_set_aside");
/// Manifests of more than a leaf by their own digest: digest → the piece that each is stored as.
const BY_ID: Table = Table::records("manifests_by_id");
/// The same the other way: piece → digest.
const IDS: Table = Table::records("ids_of_manifests");
/// What is counted: name → number.
const COUNTS: Table = Table::index("counts");

const SCHEMA: Schema = Schema {
    // "SDbi"
    kind: 0x5344_6269,
    tables: &[
        BLOCKS, PIECES, BY_COMM_P, KNOWN, OUTLINES, FILES, NEEDED, MANIFESTS, SET_ASIDE, BY_ID, IDS, COUNTS,
    ],
    format: 3,
    migrate,
};

/// The first format had pieces by CommP alone, the second no manifests by their ids: what lacks is noted anew, which [`Indexing`] does of
/// each piece that is stored.
fn migrate(changes: &dyn Changes, from: u32) -> Result<(), DatabaseError> {
    let renewed: &[Table] = match from {
        1 => &[BY_COMM_P, OUTLINES],
        _ => &[OUTLINES],
    };
    for table in renewed {
        for (key, _) in with_prefix(changes, *table, &[])? {
            changes.remove(*table, &key)?;
        }
    }
    Ok(())
}

/// Why the index does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the index of blocks in {} cannot be opened: {reason}, and not be removed: {source}; remove it", path.display())]
    Stuck {
        path: std::path::PathBuf,
        reason: DatabaseError,
        source: std::io::Error,
    },
    #[error("the leaves are not those of {0}: its file is damaged, or another's")]
    OtherLeaves(Cid),
    #[error(transparent)]
    Outline(#[from] RangeError),
}

/// Where a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a piece.
    Leaf { piece: Cid, offset: u64, bytes: u64 },
    /// Here.
    Node(Vec<u8>),
}

/// The index. Clones are the same.
#[derive(Clone)]
pub struct BlockIndex {
    records: Arc<dyn Store>,
}

impl BlockIndex {
    /// Opens the index in the folder `dir`; one that cannot be read is begun anew.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        let path = dir.join(FILE);
        let open = || Sqlite::open(&path, &SCHEMA, Sharing::Alone);
        let database = match open() {
            Ok(database) => database,
            Err(error @ DatabaseError::InUse { .. }) => return Err(error.into()),
            Err(reason) => {
                tracing::warn!(%reason, "the index of blocks is begun anew");
                remove(dir).map_err(|source| IndexError::Stuck {
                    path: path.clone(),
                    reason,
                    source,
                })?;
                open()?
            }
        };
        Ok(Self::of(Arc::new(database)))
    }

    /// Works on records that are open already.
    pub fn of(records: Arc<dyn Store>) -> Self {
        Self { records }
    }

    /// Where the block with this SHA-256 is, at most [`MAX_PLACES`] of them.
    pub fn find(&self, digest: &[u8; DIGEST]) -> Result<Vec<Place>, IndexError> {
        self.records.read(|records| {
            let to = sealdrop_database::after_prefix(digest);
            let found = records.range(BLOCKS, digest, to.as_deref(), Order::Ascending, MAX_PLACES)?;
            found.into_iter().map(|(key, value)| read_place(&key, &value)).collect()
        })
    }

    /// The pieces with this name. By a name without a size, those of the largest padded size, the shortest first: anybody can make
    /// smaller ones of the nodes of the piece's own tree, and nobody a larger one.
    pub fn pieces_of(&self, name: &PieceName) -> Result<Vec<Cid>, IndexError> {
        let prefix = match name {
            PieceName::V1(cid) => cid.0.as_bytes().to_vec(),
            PieceName::V2(cid) => proven_by(&cid.comm_p, cid.size()),
        };
        self.records.read(|records| {
            let to = sealdrop_database::after_prefix(&prefix);
            let from = match name {
                PieceName::V1(cid) => {
                    let largest = records.range(BY_COMM_P, &prefix, to.as_deref(), Order::Descending, 1)?;
                    let Some((key, _)) = largest.first() else {
                        return Ok(Vec::new());
                    };
                    proven_by(&cid.0, padded_size(key)?.least())
                }
                PieceName::V2(_) => prefix.clone(),
            };
            let found = records.range(BY_COMM_P, &from, to.as_deref(), Order::Ascending, MAX_SAME)?;
            let data = found.iter().map(|(key, _)| parse_cid(BY_COMM_P, key.get(DIGEST + 8..)));
            data.collect()
        })
    }

    /// The piece that the manifest with this SHA-256 is stored as, where it is more than a leaf; a shorter one is a piece by its own hash.
    pub fn manifest(&self, digest: &[u8]) -> Result<Option<Cid>, IndexError> {
        let found = self.records.read(|records| records.get(BY_ID, digest))?;
        found.map(|data| parse_cid(BY_ID, Some(&data))).transpose()
    }

    /// Whether a piece's blocks are in the index.
    pub fn has_blocks_of(&self, data: &Cid) -> Result<bool, IndexError> {
        self.records
            .read(|records| Ok(records.get(PIECES, &data.to_bytes())?.is_some()))
    }

    /// The pieces that are known, with or without their blocks.
    fn known(&self) -> Result<Vec<Cid>, IndexError> {
        let found = self
            .records
            .read(|records| with_prefix(records, KNOWN, &[]).map_err(IndexError::from))?;
        found.iter().map(|(key, _)| parse_cid(KNOWN, Some(key))).collect()
    }

    /// What ranges of a piece of this size are proven with; `None` while it is not here.
    pub fn outline_of(&self, data: &Cid, size: u64) -> Result<Option<Outline>, IndexError> {
        let key = data.to_bytes();
        let Some(bytes) = self.records.read(|records| records.get(OUTLINES, &key))? else {
            return Ok(None);
        };
        let roots = bytes.as_chunks::<DIGEST>().0.iter().copied().map(Commitment);
        let size = PieceSize::new(size).map_err(|_| damaged(OUTLINES))?;
        Ok(Some(Outline::new(size, SLICE, roots.collect())?))
    }

    /// Keeps what ranges of a piece are proven with.
    fn put_outline(&self, data: &Cid, outline: &Outline) -> Result<(), IndexError> {
        let bytes: Vec<u8> = outline.roots().iter().flat_map(|root| root.0).collect();
        self.records
            .write(|changes| Ok(changes.put(OUTLINES, &data.to_bytes(), &bytes)?))
    }

    /// Whether there is nothing more to be taken in of a piece.
    fn is_indexed(&self, data: &Cid) -> Result<bool, IndexError> {
        let key = data.to_bytes();
        self.records
            .read(|records| Ok(records.get(PIECES, &key)?.is_some() && records.get(OUTLINES, &key)?.is_some()))
    }

    /// Notes what a piece is proven by; its blocks come with [`Self::put_piece`].
    fn note_piece(&self, data: &Cid, comm_p: &Commitment, size: u64) -> Result<(), IndexError> {
        let proven_by = proven_by(comm_p, size);
        let is_noted = |records: &dyn Records| -> Result<bool, IndexError> {
            let known = records.get(KNOWN, &data.to_bytes())?;
            Ok(known.as_deref() == Some(proven_by.as_slice()))
        };
        // Asked of every piece now and then: nothing is written that is there.
        if self.records.read(is_noted)? {
            return Ok(());
        }
        self.records.write(|changes| {
            changes.put(KNOWN, &data.to_bytes(), &proven_by)?;
            Ok(changes.put(BY_COMM_P, &by_comm_p(&proven_by, data), &[])?)
        })
    }

    /// Notes a piece whose blocks are not taken in yet.
    #[cfg(test)]
    pub(crate) fn note_for_test(&self, piece: &shared::piece::PieceSummary) {
        let noted = self.note_piece(&piece.data_cid, &piece.comm_p, piece.size);
        noted.expect("noted");
    }

    /// Takes in the blocks of a piece whose leaves have these digests, and makes the files whole that waited for it. Refuses leaves of another
    /// piece.
    pub fn put_piece(&self, data: &Cid, size: u64, leaves: &[[u8; DIGEST]]) -> Result<(), IndexError> {
        let (mut nodes, mut builder) = (Vec::new(), NodeBuilder::new(size));
        for digest in leaves {
            builder.push(digest, |cid, bytes| nodes.push((cid, bytes)));
        }
        let root = builder.finish(|cid, bytes| nodes.push((cid, bytes)));
        if root != Some(*data) {
            return Err(IndexError::OtherLeaves(*data));
        }
        let mut outline = size.to_be_bytes().to_vec();
        outline.extend(leaves.iter().flatten());
        let waiting = self.records.write(|changes| {
            for (index, digest) in (0_u64..).zip(leaves) {
                changes.put(BLOCKS, &block_key(digest, data), &leaf_value(index, size))?;
            }
            for (cid, bytes) in &nodes {
                changes.put(BLOCKS, &block_key(cid.hash().digest(), data), &node_value(bytes))?;
            }
            changes.put(PIECES, &data.to_bytes(), &outline)?;
            files::waiting_for(changes, data)
        })?;
        waiting.iter().try_for_each(|file| self.complete_file(file))
    }

    /// Forgets a piece, its blocks, and the nodes of files that need it or were named by it.
    pub fn forget_piece(&self, data: &Cid) -> Result<(), IndexError> {
        self.records.write(|changes| {
            files::forget_manifest(changes, data)?;
            files::forget_id(changes, data)?;
            files::piece_is_gone(changes, data)?;
            changes.remove(OUTLINES, &data.to_bytes())?;
            if let Some(outline) = Leaves::of(changes, data)? {
                let mut keys = Vec::new();
                outline.each_block(|digest| keys.push(block_key(digest, data)));
                keys.iter().try_for_each(|key| changes.remove(BLOCKS, key))?;
                changes.remove(PIECES, &data.to_bytes())?;
            }
            if let Some(proven_by) = changes.get(KNOWN, &data.to_bytes())? {
                changes.remove(BY_COMM_P, &by_comm_p(&proven_by, data))?;
                changes.remove(KNOWN, &data.to_bytes())?;
            }
            Ok(())
        })
    }
}

fn remove(dir: &Path) -> Result<(), std::io::Error> {
    for name in [&[FILE][..], &BESIDE].concat() {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What is known of an indexed piece: from it all of its entries follow.
struct Leaves {
    size: u64,
    leaves: Vec<u8>,
}

impl Leaves {
    fn of(records: &dyn Records, data: &Cid) -> Result<Option<Self>, IndexError> {
        let Some(value) = records.get(PIECES, &data.to_bytes())? else {
            return Ok(None);
        };
        let (size, leaves) = value.split_first_chunk::<8>().ok_or_else(|| damaged(PIECES))?;
        Ok(Some(Self {
            size: u64::from_be_bytes(*size),
            leaves: leaves.to_vec(),
        }))
    }

    fn leaves(&self) -> impl Iterator<Item = &[u8; DIGEST]> {
        self.leaves.as_chunks::<DIGEST>().0.iter()
    }

    fn count(&self) -> u64 {
        (self.leaves.len() / DIGEST) as u64
    }

    /// The digests of its leaves and nodes.
    fn each_block(&self, mut each: impl FnMut(&[u8])) {
        let mut builder = NodeBuilder::new(self.size);
        for digest in self.leaves() {
            each(digest);
            builder.push(digest, |cid, _| each(cid.hash().digest()));
        }
        builder.finish(|cid, _| each(cid.hash().digest()));
    }
}

/// In front of a leaf's offset, and of a node's bytes.
const IS_LEAF: u8 = 0;
const IS_NODE: u8 = 1;

fn leaf_value(index: u64, size: u64) -> Vec<u8> {
    let bytes = DagShape::STANDARD.bytes_under(size, 0, index);
    let offset = index.saturating_mul(LEAF_BYTES);
    [&[IS_LEAF][..], &offset.to_be_bytes(), &bytes.to_be_bytes()].concat()
}

fn node_value(bytes: &[u8]) -> Vec<u8> {
    [&[IS_NODE], bytes].concat()
}

fn read_place(key: &[u8], value: &[u8]) -> Result<Place, IndexError> {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    match value.split_first() {
        Some((&IS_NODE, bytes)) => Ok(Place::Node(bytes.to_vec())),
        Some((&IS_LEAF, place)) => {
            let (offset, bytes) = place.split_at_checked(8).ok_or_else(|| damaged(BLOCKS))?;
            Ok(Place::Leaf {
                piece: parse_cid(BLOCKS, key.get(DIGEST..))?,
                offset: number(offset).ok_or_else(|| damaged(BLOCKS))?,
                bytes: number(bytes).ok_or_else(|| damaged(BLOCKS))?,
            })
        }
        _ => Err(damaged(BLOCKS)),
    }
}

fn block_key(digest: &[u8], owner: &Cid) -> Vec<u8> {
    [digest, &owner.to_bytes()].concat()
}

fn by_comm_p(proven_by: &[u8], data: &Cid) -> Vec<u8> {
    [proven_by, &data.to_bytes()].concat()
}

/// The padded size of the piece that stands under this key of [`BY_COMM_P`].
fn padded_size(key: &[u8]) -> Result<PaddedSize, IndexError> {
    let size = key.get(DIGEST..).and_then(|rest| rest.first_chunk::<8>());
    let size = size.ok_or_else(|| damaged(BY_COMM_P))?;
    padded_for(u64::from_be_bytes(*size)).map_err(|_| damaged(BY_COMM_P))
}

fn proven_by(comm_p: &Commitment, size: u64) -> Vec<u8> {
    [&comm_p.as_bytes()[..], &size.to_be_bytes()].concat()
}

fn parse_cid(table: Table, bytes: Option<&[u8]>) -> Result<Cid, IndexError> {
    let bytes = bytes.and_then(|bytes| bytes.get(..CID_BYTES));
    let cid = bytes.and_then(shared::piece::node::read_cid);
    cid.ok_or_else(|| damaged(table))
}

fn damaged(table: Table) -> IndexError {
    DatabaseError::Damaged {
        table: table.name,
        reason: "it is not what was written; remove the folder of the index".to_owned(),
    }
    .into()
}

//! Files across pieces: a manifest that is stored here names a file's pieces, and from the leaves of these the interior nodes of the whole
//! file follow, so that it can be given by its own root.
//!
//! A manifest comes from anybody. What it says is believed when the root over the leaves that are here is the one that it names, and until
//! then nothing of it is shown; what all may take is bounded by the constants below, and where it is short, [`room`] says whose files
//! make some. Files wait for pieces that come later, and again for one that went.

mod room;

use super::{
    block_key, damaged, node_value, parse_cid, BlockIndex, IndexError, Leaves, BLOCKS, BY_ID, COUNTS, FILES, IDS,
    MANIFESTS, NEEDED, SET_ASIDE,
};
use cid::Cid;
use sealdrop_database::{with_prefix, Changes, Records};
use shared::file::{FileEntry, Manifest};
use shared::piece::node::CID_BYTES;
use shared::piece::{DagShape, NodeBuilder};

/// Pieces that all manifests together name, each with some 150 bytes: 1.8 TB of files on sectors of 8 MiB.
const MAX_PARTS: u64 = 262_144;
/// Leaves of all files across pieces together, each with 58 bytes of nodes: 16 TiB of files, 1 GiB of nodes.
const MAX_LEAVES: u64 = 16 << 20;
/// What [`COUNTS`] counts: pieces that manifests name, and leaves of files whose nodes are here.
const PARTS: &[u8] = b"parts";
const LEAVES: &[u8] = b"leaves";

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A piece is not here.
    Waits = 0,
    /// Its nodes are here.
    Whole = 1,
    /// Its pieces are not those of its root: nothing comes of it any more.
    Lies = 2,
}

/// A file that a manifest names.
#[derive(Debug, Clone)]
pub(super) struct File {
    root: Cid,
    manifest: Cid,
    state: State,
    size: u64,
    pieces: Vec<Cid>,
}

impl File {
    fn key(&self) -> Vec<u8> {
        file_key(&self.root, &self.manifest)
    }

    fn value(&self) -> Vec<u8> {
        let mut value = vec![self.state as u8];
        value.extend_from_slice(&self.size.to_be_bytes());
        value.extend(self.pieces.iter().flat_map(cid::Cid::to_bytes));
        value
    }

    fn read(key: &[u8], value: &[u8]) -> Result<Self, IndexError> {
        let (state, rest) = value.split_first().ok_or_else(|| damaged(FILES))?;
        let (size, pieces) = rest.split_first_chunk::<8>().ok_or_else(|| damaged(FILES))?;
        let pieces = pieces.chunks(CID_BYTES).map(|piece| parse_cid(FILES, Some(piece)));
        Ok(Self {
            root: parse_cid(FILES, Some(key))?,
            manifest: parse_cid(FILES, key.get(CID_BYTES..))?,
            state: match state {
                0 => State::Waits,
                1 => State::Whole,
                _ => State::Lies,
            },
            size: u64::from_be_bytes(*size),
            pieces: pieces.collect::<Result<_, _>>()?,
        })
    }

    fn leaves(&self) -> u64 {
        DagShape::STANDARD.leaves(self.size)
    }

    /// Goes through its nodes, from the leaves of its pieces; its root, or `None` where a piece is missing or has other leaves than it should.
    fn each_node(
        &self,
        records: &dyn Records,
        mut each: impl FnMut(Cid, Vec<u8>) -> Result<(), IndexError>,
    ) -> Result<Option<Cid>, IndexError> {
        let (mut builder, mut left) = (NodeBuilder::new(self.size), self.leaves());
        let mut failed = None;
        let mut whole = |cid: Cid, bytes: Vec<u8>| {
            if failed.is_none() {
                failed = each(cid, bytes).err();
            }
        };
        for piece in &self.pieces {
            // One at a time: a file of any size has a bounded memory.
            let Some(outline) = Leaves::of(records, piece)? else {
                return Ok(None);
            };
            // Of a piece that is longer than its file says it counts as other leaves, without going through them.
            left = match left.checked_sub(outline.count()) {
                Some(left) => left,
                None => return Ok(None),
            };
            outline.leaves().for_each(|digest| builder.push(digest, &mut whole));
        }
        let root = builder.finish(&mut whole);
        failed.map_or(Ok(root), Err)
    }

    fn keep(&self, changes: &dyn Changes) -> Result<(), IndexError> {
        Ok(changes.put(FILES, &self.key(), &self.value())?)
    }
}

/// Behind the key of a node of a file across pieces.
const OF_A_FILE: u8 = 1;

impl BlockIndex {
    /// Notes the files across pieces that a manifest names which is stored here as the piece `data`, and makes those whole whose pieces are
    /// here.
    pub(super) fn put_manifest(&self, data: &Cid, manifest: &Manifest) -> Result<(), IndexError> {
        self.name_manifest(data, manifest)?;
        self.put_manifest_within(data, manifest, MAX_PARTS)
    }

    /// Notes a manifest's own id, where the piece that it is has another one. There are no more of them than pieces.
    fn name_manifest(&self, data: &Cid, manifest: &Manifest) -> Result<(), IndexError> {
        // It was read from the bytes that this makes again: there is one form.
        let Some(id) = manifest.to_bytes().ok().map(|bytes| Manifest::cid_of(&bytes)) else {
            return Ok(());
        };
        let digest = id.hash().digest();
        if digest == data.hash().digest() {
            return Ok(());
        }
        self.records.write(|changes| {
            changes.put(BY_ID, digest, &data.to_bytes())?;
            Ok(changes.put(IDS, &data.to_bytes(), digest)?)
        })
    }

    fn put_manifest_within(&self, data: &Cid, manifest: &Manifest, most: u64) -> Result<(), IndexError> {
        let mut files = across_pieces(manifest, data);
        files.sort_by_key(|file| file.root);
        files.dedup_by_key(|file| file.root);
        let noted = self.records.write(|changes| {
            if changes.get(MANIFESTS, &data.to_bytes())?.is_some() {
                return Ok(false);
            }
            let parts = files.iter().map(|file| file.pieces.len() as u64).sum();
            room::make(changes, PARTS, parts, most, &files)?;
            if !count(changes, PARTS, parts, most)? {
                tracing::warn!(manifest = %data, parts, "manifests name too many pieces: this one's files are given piece by piece for now");
                changes.put(SET_ASIDE, &data.to_bytes(), &[])?;
                return Ok(false);
            }
            changes.remove(SET_ASIDE, &data.to_bytes())?;
            let roots: Vec<u8> = files.iter().flat_map(|file| file.root.to_bytes()).collect();
            changes.put(MANIFESTS, &data.to_bytes(), &roots)?;
            for file in &files {
                file.keep(changes)?;
                for piece in &file.pieces {
                    changes.put(NEEDED, &needed_key(piece, file), &[])?;
                }
            }
            Ok::<_, IndexError>(true)
        })?;
        match noted {
            true => files.iter().try_for_each(|file| self.complete_file(file)),
            false => Ok(()),
        }
    }

    /// Whether there was no room for a manifest's files, and all pieces that it names are here now.
    pub(super) fn may_come_back(
        &self,
        data: &Cid,
        manifest: impl FnOnce() -> Option<Manifest>,
    ) -> Result<Option<Manifest>, IndexError> {
        let is_set_aside = self
            .records
            .read(|records| Ok::<_, IndexError>(records.get(SET_ASIDE, &data.to_bytes())?.is_some()))?;
        let Some(manifest) = is_set_aside.then(manifest).flatten() else {
            return Ok(None);
        };
        let files = across_pieces(&manifest, data);
        let are_here = self.records.read(|records| room::are_here(records, &files))?;
        Ok(are_here.then_some(manifest))
    }

    /// Makes a file whole whose pieces are all here; does nothing while one is not.
    pub(super) fn complete_file(&self, file: &File) -> Result<(), IndexError> {
        let is_here = |records: &dyn Records| -> Result<bool, IndexError> {
            for piece in &file.pieces {
                if records.get(super::PIECES, &piece.to_bytes())?.is_none() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        if !self.records.read(is_here)? {
            return Ok(());
        }
        let found = self.records.read(|records| file.each_node(records, |_, _| Ok(())))?;
        let is_true = found == Some(file.root);
        self.records.write(|changes| {
            let Some(mut kept) = known(changes, file)?.filter(|kept| kept.state == State::Waits) else {
                return Ok(());
            };
            if !is_true {
                kept.state = State::Lies;
                return kept.keep(changes);
            }
            let is_made = has_whole(changes, &kept.root)?;
            if !is_made {
                room::make(changes, LEAVES, kept.leaves(), MAX_LEAVES, std::slice::from_ref(&kept))?;
            }
            if !is_made && !count(changes, LEAVES, kept.leaves(), MAX_LEAVES)? {
                return Ok(());
            }
            if !is_made {
                let keep = |cid: Cid, bytes: Vec<u8>| {
                    let key = block_key_of_file(cid.hash().digest(), &kept.root);
                    Ok(changes.put(BLOCKS, &key, &node_value(&bytes))?)
                };
                // A piece that went since leaves what is there of its blocks; the file waits for it.
                if kept.each_node(changes, keep)? != Some(kept.root) {
                    return Ok(());
                }
            }
            kept.state = State::Whole;
            kept.keep(changes)
        })?;
        match is_true {
            true => {
                tracing::debug!(root = %file.root, manifest = %file.manifest, "a file across pieces can be given whole");
            }
            false => {
                tracing::info!(root = %file.root, manifest = %file.manifest, "a manifest's pieces are not those of its file");
            }
        }
        Ok(())
    }
}

/// The files of a manifest that are more than a piece.
fn across_pieces(manifest: &Manifest, data: &Cid) -> Vec<File> {
    let across = manifest.files().iter().filter(|file| file.pieces().len() > 1);
    across.map(|file| of_entry(file, data)).collect()
}

fn of_entry(entry: &FileEntry, manifest: &Cid) -> File {
    File {
        root: entry.root(),
        manifest: *manifest,
        state: State::Waits,
        size: entry.size(),
        pieces: entry.pieces().iter().map(|piece| piece.data_cid).collect(),
    }
}

/// The files that wait for a piece, once it is here.
pub(super) fn waiting_for(records: &dyn Records, piece: &Cid) -> Result<Vec<File>, IndexError> {
    let mut files = needing(records, piece)?;
    files.retain(|file| file.state == State::Waits);
    Ok(files)
}

fn needing(records: &dyn Records, piece: &Cid) -> Result<Vec<File>, IndexError> {
    let mut files = Vec::new();
    for (key, _) in with_prefix(records, NEEDED, &piece.to_bytes())? {
        let key = key.get(CID_BYTES..).unwrap_or_default();
        if let Some(value) = records.get(FILES, key)? {
            files.push(File::read(key, &value)?);
        }
    }
    Ok(files)
}

fn known(records: &dyn Records, file: &File) -> Result<Option<File>, IndexError> {
    let found = records.get(FILES, &file.key())?;
    found.map(|value| File::read(&file.key(), &value)).transpose()
}

/// Whether the nodes of a file with this root are here, whichever manifest named it.
fn has_whole(records: &dyn Records, root: &Cid) -> Result<bool, IndexError> {
    let all = with_prefix(records, FILES, &root.to_bytes())?;
    Ok(all
        .iter()
        .any(|(_, value)| value.first() == Some(&(State::Whole as u8))))
}

/// A piece goes: the files that need it wait for it again, and their nodes go. Called while the piece's leaves are still known.
pub(super) fn piece_is_gone(changes: &dyn Changes, piece: &Cid) -> Result<(), IndexError> {
    for mut file in needing(changes, piece)? {
        if file.state == State::Whole {
            file.state = State::Waits;
            file.keep(changes)?;
            remove_nodes(changes, &file)?;
        }
    }
    Ok(())
}

/// A manifest goes, with what it alone named.
pub(super) fn forget_manifest(changes: &dyn Changes, data: &Cid) -> Result<(), IndexError> {
    changes.remove(SET_ASIDE, &data.to_bytes())?;
    for file in of_manifest(changes, data)? {
        changes.remove(FILES, &file.key())?;
        if file.state == State::Whole {
            remove_nodes(changes, &file)?;
        }
        for piece in &file.pieces {
            changes.remove(NEEDED, &needed_key(piece, &file))?;
        }
        uncount(changes, PARTS, file.pieces.len() as u64)?;
    }
    Ok(changes.remove(MANIFESTS, &data.to_bytes())?)
}

/// The id of a manifest goes with its piece.
pub(super) fn forget_id(changes: &dyn Changes, data: &Cid) -> Result<(), IndexError> {
    if let Some(digest) = changes.get(IDS, &data.to_bytes())? {
        changes.remove(BY_ID, &digest)?;
        changes.remove(IDS, &data.to_bytes())?;
    }
    Ok(())
}

/// The files that a manifest was noted with.
fn of_manifest(records: &dyn Records, data: &Cid) -> Result<Vec<File>, IndexError> {
    let roots = records.get(MANIFESTS, &data.to_bytes())?.unwrap_or_default();
    let mut files = Vec::new();
    for root in roots.chunks(CID_BYTES) {
        let key = file_key(&parse_cid(MANIFESTS, Some(root))?, data);
        if let Some(value) = records.get(FILES, &key)? {
            files.push(File::read(&key, &value)?);
        }
    }
    Ok(files)
}

/// Removes the nodes of a file that is not whole any more, unless another manifest's is.
fn remove_nodes(changes: &dyn Changes, file: &File) -> Result<(), IndexError> {
    if has_whole(changes, &file.root)? {
        return Ok(());
    }
    file.each_node(changes, |cid, _| {
        Ok(changes.remove(BLOCKS, &block_key_of_file(cid.hash().digest(), &file.root))?)
    })?;
    uncount(changes, LEAVES, file.leaves())
}

/// Counts more, unless that is too many.
fn count(changes: &dyn Changes, name: &[u8], more: u64, most: u64) -> Result<bool, IndexError> {
    let sum = number(changes, name)?.saturating_add(more);
    if sum <= most {
        changes.put(COUNTS, name, &sum.to_be_bytes())?;
    }
    Ok(sum <= most)
}

fn uncount(changes: &dyn Changes, name: &[u8], fewer: u64) -> Result<(), IndexError> {
    let left = number(changes, name)?.saturating_sub(fewer);
    Ok(changes.put(COUNTS, name, &left.to_be_bytes())?)
}

fn number(records: &dyn Records, name: &[u8]) -> Result<u64, IndexError> {
    let found = records.get(COUNTS, name)?;
    let found = found.map(|bytes| bytes.try_into().map_err(|_| damaged(COUNTS)));
    Ok(found.transpose()?.map_or(0, u64::from_be_bytes))
}

/// Under another key than the nodes of a piece with the same root: that one stays when the file goes, and the file when that one does.
fn block_key_of_file(digest: &[u8], root: &Cid) -> Vec<u8> {
    [&block_key(digest, root)[..], &[OF_A_FILE]].concat()
}

fn file_key(root: &Cid, manifest: &Cid) -> Vec<u8> {
    [root.to_bytes(), manifest.to_bytes()].concat()
}

fn needed_key(piece: &Cid, file: &File) -> Vec<u8> {
    [piece.to_bytes(), file.key()].concat()
}

//! Getting a piece's bytes, or a range of them, back out of a replica.
//!
//! Step 15 of a deal, for a miner that no longer keeps the unsealed file. What comes out is checked against CommP before
//! the caller sees a byte, since a wrong ticket yields garbage without any error.
//!
//! filecoin-proofs' own unsealing holds the sector, the labels' numbers and two layers in memory, returns wrong bytes for
//! an offset that is no multiple of 127, and panics beyond the end. Here the labels are the own code's, and the library's only
//! where those do not fit; the replica is decoded from the disk, a piece at a time, in chunks. So what bounds memory is the
//! labelling: two layers, each as large as the sector, as in pre-commit 1.

use super::files::{check_length, wipe, SectorFiles};
use super::layout::{layout, Piece, PlacedPiece};
use super::own::label_last_layer;
use super::sealing::SectorIdentity;
use crate::error::Error;
use crate::implementation::Implementation;
use crate::params::registered;
use crate::session::{guarded, params_dir};
use blstrs::Scalar;
use ff::PrimeField;
use filecoin_proofs::constants::{DefaultPieceHasher, SectorShapeBase};
use filecoin_proofs::parameters::public_params;
use filecoin_proofs::StoreConfig;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use storage_proofs_core::merkle::MerkleTreeTrait;
use storage_proofs_porep::stacked::{generate_replica_id, StackedDrg};

/// What the scratch file of labels is called among the library's stores.
const LABELS: &str = "labels";
/// Bytes of a node of the replica.
const NODE: usize = 32;
/// Padded bytes that hold 127 bytes of data.
const QUAD: usize = 128;
/// Bytes of data in a quad.
const QUAD_DATA: usize = 127;
/// Padded bytes decoded at once: whole quads.
const CHUNK: usize = 1 << 20;

/// Unseals the piece with this index of `pieces` and writes its unpadded bytes (127/128 of its padded size, zero-filling
/// included) to `out`; returns their number. See [`unseal_range`].
///
/// # Errors
/// Those of [`unseal_range`].
#[allow(clippy::too_many_arguments)] // A sector, a piece of it, and where it goes: nothing here belongs together more.
pub fn unseal_piece(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    comm_d: [u8; 32],
    pieces: &[Piece],
    index: usize,
    out: &mut dyn Write,
    implementation: Implementation,
) -> Result<u64, Error> {
    let all = 0..pieces.get(index).map_or(0, |piece| data_bytes(piece.padded_size));
    unseal_range(identity, files, ticket, comm_d, pieces, index, all, out, implementation)
}

/// Unseals the piece with this index of `pieces` and writes the bytes of `range`, counted in unpadded bytes from the
/// piece's start, to `out`; returns their number. Any range within the piece may be asked for.
///
/// The sector's labels are computed anew however short the range is, which takes as long as
/// pre-commit 1. Takes twice a sector's size on the disk for scratch, mapped while it is written.
///
/// # Errors
/// [`Error::NoSuchPiece`] and [`Error::NoSuchRange`]; [`Error::PieceMismatch`] if the replica, the ticket or CommD is not
/// this sector's, and then nothing was written to `out`; [`Error::Io`].
#[allow(clippy::too_many_arguments)]
pub fn unseal_range(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    comm_d: [u8; 32],
    pieces: &[Piece],
    index: usize,
    range: Range<u64>,
    out: &mut dyn Write,
    implementation: Implementation,
) -> Result<u64, Error> {
    params_dir()?;
    let placed = layout(identity.size, pieces)?;
    let Some(piece) = placed.into_iter().find(|p| p.index == Some(index)) else {
        return Err(Error::NoSuchPiece {
            index,
            pieces: pieces.len(),
        });
    };
    let length = data_bytes(piece.padded_size);
    if range.start > range.end || range.end > length {
        return Err(Error::NoSuchRange { index, range, length });
    }
    let _lock = files.lock_shared()?;
    let _turn = files.lock_unsealing()?;
    check_length(files.sealed(), identity.size)?;
    // Label files of another unsealing must not be found here: they would be taken over.
    let scratch = Scratch::open(files.unsealing())?;
    let labels = StoreConfig::data_path(&scratch.0, LABELS);
    let sealed = files.sealed();
    let own = implementation.replica_kernel(identity.size).map(|kernel| {
        label_last_layer(kernel, identity, ticket, comm_d, &labels)?;
        check_piece(&labels, &sealed, &piece, index)
    });
    // Whatever the own labels are wrong for, the library's say whether it is their fault.
    if !matches!(own, Some(Ok(()))) {
        wipe(&scratch.0)?;
        label(identity, ticket, comm_d, &scratch.0)?;
        check_piece(&labels, &sealed, &piece, index)?;
    }
    write_range(&labels, &sealed, &piece, range, out)
}

const fn data_bytes(padded: u64) -> u64 {
    padded / QUAD as u64 * QUAD_DATA as u64
}

/// The scratch directory, removed when the work is over, well or not.
struct Scratch(PathBuf);

impl Scratch {
    fn open(dir: PathBuf) -> Result<Self, Error> {
        wipe(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is wiped by the next unsealing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Has the library compute the last layer's labels, the keys that the replica was encoded with, into [`LABELS`] of `dir`.
fn label(identity: &SectorIdentity, ticket: [u8; 32], comm_d: [u8; 32], dir: &Path) -> Result<(), Error> {
    type Shape = SectorShapeBase;
    let config = registered(identity.size).0.as_v1_config();
    guarded("labelling for unsealing", || {
        let shape = public_params::<Shape>(&config)?;
        let replica_id = generate_replica_id::<<Shape as MerkleTreeTrait>::Hasher, _>(
            &identity.prover_id,
            identity.sector,
            &ticket,
            comm_d,
            &config.porep_id,
        );
        let store = StoreConfig::new(dir, LABELS, 0);
        // One file for all layers: each layer replaces the one before, which is then in memory only.
        StackedDrg::<Shape, DefaultPieceHasher>::generate_labels_for_decoding(
            &shape.graph,
            shape.num_layers,
            &replica_id,
            store,
        )
        .map(|_| ())
    })
}

/// Decodes the whole piece and checks that it has its CommP.
fn check_piece(labels: &Path, sealed: &Path, piece: &PlacedPiece, index: usize) -> Result<(), Error> {
    let mut root = Root::default();
    let all = piece.offset..piece.offset + piece.padded_size;
    decode(labels, sealed, all, |_, chunk| {
        let (nodes, _) = chunk.as_chunks::<NODE>();
        nodes.iter().for_each(|node| root.push(*node));
        Ok(())
    })?;
    let found = root.finish();
    if found != piece.comm_p {
        return Err(Error::PieceMismatch {
            index,
            found: hex::encode(found),
            expected: hex::encode(piece.comm_p),
        });
    }
    Ok(())
}

/// Decodes the quads that hold `range` and writes just its bytes.
fn write_range(
    labels: &Path,
    sealed: &Path,
    piece: &PlacedPiece,
    range: Range<u64>,
    out: &mut dyn Write,
) -> Result<u64, Error> {
    let wanted = range.end - range.start;
    let (first, end) = (range.start / QUAD_DATA as u64, range.end.div_ceil(QUAD_DATA as u64));
    let padded = piece.offset + first * QUAD as u64..piece.offset + end * QUAD as u64;
    if wanted == 0 {
        return Ok(0);
    }
    let mut skip = (range.start % QUAD_DATA as u64) as usize;
    let mut left = wanted;
    decode(labels, sealed, padded, |path, chunk| {
        let mut data = Vec::with_capacity(chunk.len());
        let (quads, _) = chunk.as_chunks::<QUAD>();
        quads.iter().for_each(|quad| data.extend_from_slice(&unpad(quad)));
        let data = &data[skip..];
        let data = &data[..data.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        skip = 0;
        left -= data.len() as u64;
        out.write_all(data).map_err(Error::io("copy", path))
    })?;
    Ok(wanted)
}

/// Decodes padded bytes of the replica, whole quads, and hands them on in chunks: data = replica − labels, node by node.
fn decode(
    labels: &Path,
    sealed: &Path,
    range: Range<u64>,
    mut each: impl FnMut(&Path, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let open = |path| -> Result<File, Error> {
        let mut file = File::open(path).map_err(Error::io("read", path))?;
        file.seek(SeekFrom::Start(range.start))
            .map_err(Error::io("read", path))?;
        Ok(file)
    };
    let (mut label_file, mut sealed_file) = (open(labels)?, open(sealed)?);
    let (mut keys, mut nodes) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut left = range.end - range.start;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        let (keys, nodes) = (&mut keys[..n], &mut nodes[..n]);
        label_file.read_exact(keys).map_err(Error::io("read", labels))?;
        sealed_file.read_exact(nodes).map_err(Error::io("read", sealed))?;
        let (key_nodes, _) = keys.as_chunks::<NODE>();
        let (data_nodes, _) = nodes.as_chunks_mut::<NODE>();
        for (node, key) in data_nodes.iter_mut().zip(key_nodes) {
            let scalar = |bytes: &[u8; NODE]| Option::<Scalar>::from(Scalar::from_repr(*bytes));
            let (Some(encoded), Some(key)) = (scalar(node), scalar(key)) else {
                let damaged = io::Error::new(io::ErrorKind::InvalidData, "a node is no field element");
                return Err(Error::io("decode", sealed)(damaged));
            };
            *node = (encoded - key).to_repr();
        }
        each(sealed, nodes)?;
        left -= n as u64;
    }
    Ok(())
}

/// The 127 bytes of data in a quad: 254 bits of each node, one after the other, lowest first.
fn unpad(quad: &[u8; QUAD]) -> [u8; QUAD_DATA] {
    let mut data = [0; QUAD_DATA];
    for (node, bytes) in quad.as_chunks::<NODE>().0.iter().enumerate() {
        for (i, byte) in bytes.iter().enumerate() {
            // The top two bits of a node are padding.
            let kept = if i == NODE - 1 { byte & 0x3f } else { *byte };
            let bit = 254 * node + 8 * i;
            let [low, high] = (u16::from(kept) << (bit % 8)).to_le_bytes();
            data[bit / 8] |= low;
            if let Some(next) = data.get_mut(bit / 8 + 1) {
                *next |= high;
            }
        }
    }
    data
}

/// CommP as its leaves come in: one pending root for each level at most.
#[derive(Default)]
struct Root {
    /// (level, root) of complete sub-trees, largest first.
    pending: Vec<(u32, [u8; NODE])>,
}

impl Root {
    fn push(&mut self, leaf: [u8; NODE]) {
        let (mut level, mut root) = (0, leaf);
        while let Some((_, left)) = self.pending.pop_if(|(pending, _)| *pending == level) {
            root = Self::parent(&left, &root);
            level += 1;
        }
        self.pending.push((level, root));
    }

    /// SHA-256 with the top two bits cleared.
    fn parent(left: &[u8; NODE], right: &[u8; NODE]) -> [u8; NODE] {
        let mut hash: [u8; NODE] = Sha256::new().chain_update(left).chain_update(right).finalize().into();
        hash[NODE - 1] &= 0x3f;
        hash
    }

    /// The root; that of the first sub-tree if the leaves were no power of two, which equals no CommP.
    fn finish(self) -> [u8; NODE] {
        self.pending.first().map_or([0; NODE], |(_, root)| *root)
    }
}

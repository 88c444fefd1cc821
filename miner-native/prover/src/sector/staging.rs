//! Writing a sector's data: pieces, Fr32-padded, each checked against its CommP on the way.
//!
//! Step 9 of a deal: the miner calls `write_unsealed` when a sector is full or due; `sealing` comes next.

use super::files::{sync_file, SectorFiles};
use super::layout::{layout, piece_infos, Piece, PlacedPiece};
use crate::error::Error;
use crate::needs::check_room;
use crate::params::registered;
use crate::session::guarded;
use crate::size::SectorSize;
use filecoin_proofs_api::seal;
use shared::piece::tree::zero_piece;
use shared::piece::{fr32, CommPHasher, PaddedSize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes of a piece that are read at a time: whole field elements.
const PART: usize = 127 << 13;

/// Opens the data of the piece with the given index; called once for each, in order.
pub type OpenPiece<'a> = dyn FnMut(usize) -> io::Result<Box<dyn Read>> + 'a;

/// CommD of a sector with these pieces, zero-filled.
///
/// # Errors
/// [`Error::PieceSize`] and [`Error::DoesNotFit`].
pub fn data_commitment(size: SectorSize, pieces: &[Piece]) -> Result<[u8; 32], Error> {
    let infos = piece_infos(&layout(size, pieces)?)?;
    let (proof, _) = registered(size);
    guarded("computing CommD", || seal::compute_comm_d(proof, &infos))
}

/// Writes the sector's unsealed file from its pieces and returns CommD. A source may end early: zeros
/// complete it to 127/128 of the padded size. The file appears only when all of it is right and on disk; an
/// older one is replaced.
///
/// # Errors
/// [`Error::PieceMismatch`] or [`Error::PieceTooLong`] for a piece that is not what was declared;
/// [`Error::PieceSize`], [`Error::DoesNotFit`], [`Error::NoRoom`], [`Error::Busy`] and [`Error::Io`].
pub fn write_unsealed(
    size: SectorSize,
    files: &SectorFiles,
    pieces: &[Piece],
    open: &mut OpenPiece<'_>,
) -> Result<[u8; 32], Error> {
    let comm_d = data_commitment(size, pieces)?;
    fs::create_dir_all(&files.dir).map_err(Error::io("create", &files.dir))?;
    let _lock = files.lock_exclusive()?;
    check_room(size, &files.dir, &files.cache())?;
    let temporary = files.dir.join("unsealed.tmp");
    let mut file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
    // Fillers are zeros both before and after padding: what is not written reads as zeros.
    file.set_len(size.bytes()).map_err(Error::io("extend", &temporary))?;
    for placed in layout(size, pieces)? {
        let Some(index) = placed.index else { continue };
        file.seek(SeekFrom::Start(placed.offset))
            .map_err(Error::io("seek in", &temporary))?;
        let source = open(index).map_err(Error::io("open a piece for", &temporary))?;
        write_piece(source, &mut file, &temporary, index, &placed)?;
    }
    file.sync_all().map_err(Error::io("sync", &temporary))?;
    let target = files.unsealed();
    fs::rename(&temporary, &target).map_err(Error::io("rename", &temporary))?;
    sync_file(&files.dir)?;
    Ok(comm_d)
}

/// Writes one piece where the file stands, part by part: memory does not grow with it. (The library's own way,
/// `write_and_preprocess`, holds the nodes over all of its leaves.)
fn write_piece(
    source: Box<dyn Read>,
    file: &mut File,
    path: &Path,
    index: usize,
    placed: &PlacedPiece,
) -> Result<(), Error> {
    let place = PaddedSize::new(placed.padded_size).map_err(unhashable)?;
    let limit = place.unpadded();
    let mut source = source.take(limit + 1);
    let mut hasher = CommPHasher::new();
    let (mut data, mut padded) = (Vec::with_capacity(PART), Vec::new());
    loop {
        data.clear();
        padded.clear();
        let read = source.by_ref().take(PART as u64).read_to_end(&mut data);
        read.map_err(Error::io("read a piece for", path))?;
        if data.is_empty() {
            break;
        }
        if hasher.size() + data.len() as u64 > limit {
            return Err(Error::PieceTooLong { index, limit });
        }
        hasher.push(&data).map_err(unhashable)?;
        fr32::pad(&data, &mut padded);
        file.write_all(&padded).map_err(Error::io("write to", path))?;
    }
    let found = commitment(hasher, place)?;
    if found != placed.comm_p {
        return Err(Error::PieceMismatch {
            index,
            found: hex::encode(found),
            expected: hex::encode(placed.comm_p),
        });
    }
    Ok(())
}

/// CommP of what was hashed, with zeros up to the size of the piece's place.
fn commitment(hasher: CommPHasher, place: PaddedSize) -> Result<[u8; 32], Error> {
    if hasher.size() == 0 {
        return Ok(zero_piece(place).0);
    }
    let piece = hasher.finish().map_err(unhashable)?;
    Ok(piece.subtree().padded_to(place.height()).0)
}

/// Never of a piece that has a place in a sector.
fn unhashable(error: impl ToString) -> Error {
    Error::Proofs {
        step: "padding a piece",
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filecoin_proofs_api::seal::write_and_preprocess;
    use filecoin_proofs_api::{PaddedBytesAmount, UnpaddedBytesAmount};
    use std::io::Cursor;

    /// Bytes of the sector's file from a piece's place on, and its CommP, by filecoin-proofs.
    fn by_the_library(data: &[u8], padded: u64) -> (Vec<u8>, [u8; 32]) {
        let mut whole = data.to_vec();
        let unpadded = UnpaddedBytesAmount::from(PaddedBytesAmount(padded));
        whole.resize(unpadded.0 as usize, 0);
        let mut file = tempfile::tempfile().expect("there is room");
        let (proof, _) = registered(SectorSize::S8MiB);
        let (info, _) = write_and_preprocess(proof, whole.as_slice(), &mut file, unpadded).expect("a whole piece");
        let mut written = Vec::new();
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.read_to_end(&mut written).expect("it was written");
        (written, info.commitment)
    }

    #[test]
    fn a_piece_is_written_as_filecoin_proofs_writes_it() {
        let cases = [
            (1, 128),
            (126, 128),
            (127, 128),
            (128, 256),
            (300, 1024),
            (2032, 2048),
            (PART + 500, 1 << 21),
        ];
        for (length, padded_size) in cases {
            let data: Vec<u8> = (0..length).map(|i| (i * 7 + i / 251) as u8).collect();
            let (expected, comm_p) = by_the_library(&data, padded_size);
            let placed = PlacedPiece {
                index: Some(0),
                offset: 0,
                padded_size,
                comm_p,
            };
            let mut file = tempfile::tempfile().expect("there is room");
            file.set_len(padded_size).expect("there is room");
            write_piece(Box::new(Cursor::new(data)), &mut file, Path::new("-"), 0, &placed).expect("it is right");
            let mut written = Vec::new();
            file.seek(SeekFrom::Start(0)).expect("a file");
            file.read_to_end(&mut written).expect("it was written");
            assert!(written == expected, "{length} bytes");
        }
    }
}

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
use filecoin_proofs_api::{seal, PaddedBytesAmount, UnpaddedBytesAmount};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

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
        write_piece(size, source, &mut file, index, &placed)?;
    }
    file.sync_all().map_err(Error::io("sync", &temporary))?;
    let target = files.unsealed();
    fs::rename(&temporary, &target).map_err(Error::io("rename", &temporary))?;
    sync_file(&files.dir)?;
    Ok(comm_d)
}

fn write_piece(
    size: SectorSize,
    source: Box<dyn Read>,
    file: &mut File,
    index: usize,
    placed: &PlacedPiece,
) -> Result<(), Error> {
    let unpadded: UnpaddedBytesAmount = PaddedBytesAmount(placed.padded_size).into();
    let mut source = ZeroFilled {
        source: BufReader::new(source),
        left: unpadded.0,
        ended: false,
    };
    let mut target = Counting { file, written: 0 };
    let (proof, _) = registered(size);
    let (info, _) = guarded("padding a piece", || {
        seal::write_and_preprocess(proof, &mut source, &mut target, unpadded)
    })?;
    // The library's own buffered writer hides an error of its last write (a full disk, say).
    if target.written != placed.padded_size {
        return Err(Error::Proofs {
            step: "padding a piece",
            reason: format!(
                "only {} of {} bytes of piece {index} could be written",
                target.written, placed.padded_size
            ),
        });
    }
    let more = source.has_more();
    if more.map_err(Error::io("read a piece for", std::path::Path::new("unsealed")))? {
        return Err(Error::PieceTooLong {
            index,
            limit: unpadded.0,
        });
    }
    if info.commitment != placed.comm_p {
        return Err(Error::PieceMismatch {
            index,
            found: hex::encode(info.commitment),
            expected: hex::encode(placed.comm_p),
        });
    }
    Ok(())
}

/// Exactly `left` bytes: the source's, then zeros.
struct ZeroFilled<R> {
    source: R,
    left: u64,
    ended: bool,
}

impl<R: Read> ZeroFilled<R> {
    /// Whether the source has bytes beyond those that were wanted.
    fn has_more(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let beyond = io::copy(&mut (&mut self.source).take(1), &mut io::sink())?;
        Ok(beyond > 0)
    }
}

impl<R: Read> Read for ZeroFilled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let wanted = wanted.min(buffer.len());
        let buffer = &mut buffer[..wanted];
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut n = match self.ended {
            true => 0,
            false => self.source.read(buffer)?,
        };
        if n == 0 {
            self.ended = true;
            buffer.fill(0);
            n = wanted;
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Counts what really reached the file.
struct Counting<'a> {
    file: &'a mut File,
    written: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

// The library asks for these two but never uses them.
impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

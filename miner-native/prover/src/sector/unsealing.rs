//! Getting a piece's bytes back out of a replica.
//!
//! Step 15 of a deal, for a miner that no longer keeps the unsealed file. What comes out is checked
//! against CommP before the caller sees a byte, since a wrong ticket yields garbage without any error.

use super::files::{check_length, wipe, SectorFiles};
use super::layout::{layout, Piece};
use super::sealing::SectorIdentity;
use crate::error::Error;
use crate::params::registered;
use crate::session::{guarded, params_dir};
use filecoin_proofs_api::{seal, PaddedBytesAmount, SectorId, UnpaddedByteIndex, UnpaddedBytesAmount};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Unseals the piece with this index of `pieces` and writes its unpadded bytes (127/128 of its padded
/// size, zero-filling included) to `out`; returns their number. Always decodes the whole sector: 7 ms for 2 KiB,
/// 5 s for 8 MiB.
///
/// # Errors
/// [`Error::NoSuchPiece`]; [`Error::PieceMismatch`] if the replica, the ticket or CommD is not this
/// sector's, and then nothing was written to `out`; [`Error::Io`].
pub fn unseal_piece(
    identity: &SectorIdentity,
    files: &SectorFiles,
    ticket: [u8; 32],
    comm_d: [u8; 32],
    pieces: &[Piece],
    index: usize,
    out: &mut dyn Write,
) -> Result<u64, Error> {
    params_dir()?;
    let placed = layout(identity.size, pieces)?;
    let Some(piece) = placed.into_iter().find(|p| p.index == Some(index)) else {
        return Err(Error::NoSuchPiece {
            index,
            pieces: pieces.len(),
        });
    };
    let _lock = files.lock_shared()?;
    let _turn = files.lock_unsealing()?;
    check_length(files.sealed(), identity.size)?;
    // Label files of another unsealing must not be found here: they would be taken over.
    let scratch = files.unsealing();
    wipe(&scratch)?;
    // A piece starts at a multiple of its size, so these are multiples of 127; others read wrongly.
    let offset: UnpaddedBytesAmount = PaddedBytesAmount(piece.offset).into();
    let length: UnpaddedBytesAmount = PaddedBytesAmount(piece.padded_size).into();
    let path = scratch.join("piece");
    let (proof, _) = registered(identity.size);
    guarded("unsealing", || {
        seal::get_unsealed_range(
            proof,
            scratch.clone(),
            files.sealed(),
            path.clone(),
            identity.prover_id,
            SectorId::from(identity.sector),
            comm_d,
            ticket,
            UnpaddedByteIndex(offset.0),
            length,
        )
    })?;
    check_piece(identity, &path, length, index, piece.comm_p)?;
    let mut file = File::open(&path).map_err(Error::io("read", &path))?;
    let written = io::copy(&mut file, out).map_err(Error::io("copy", &path))?;
    fs::remove_dir_all(&scratch).map_err(Error::io("remove", &scratch))?;
    Ok(written)
}

fn check_piece(
    identity: &SectorIdentity,
    path: &Path,
    length: UnpaddedBytesAmount,
    index: usize,
    comm_p: [u8; 32],
) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let found = file.metadata().map_err(Error::io("inspect", path))?.len();
    if found != length.0 {
        return Err(Error::WrongLength {
            path: path.to_owned(),
            found,
            expected: length.0,
        });
    }
    let (proof, _) = registered(identity.size);
    let info = guarded("checking an unsealed piece", || {
        seal::generate_piece_commitment(proof, file, length)
    })?;
    if info.commitment != comm_p {
        return Err(Error::PieceMismatch {
            index,
            found: hex::encode(info.commitment),
            expected: hex::encode(comm_p),
        });
    }
    Ok(())
}

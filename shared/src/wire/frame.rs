//! Length-prefixed frames: an unsigned varint, then that many bytes (spec §1.2).
//!
//! Sans-io: hosts append what they read to a buffer and take whole frames out of it.

use super::leb128::{self, Leb128Error};
use alloc::vec::Vec;

/// Largest message of the deal and retrieval protocols, in bytes (spec §1.2).
pub const MAX_MESSAGE: usize = 262_144;

/// Why a frame cannot be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("attempted to read a message larger than the limit ({declared} > {limit} bytes)")]
    TooLarge { declared: u64, limit: usize },
    #[error("message of {size} bytes is larger than the limit of {limit} bytes that a peer reads")]
    TooLargeToSend { size: usize, limit: usize },
    #[error("frame length is malformed: {0}")]
    Length(Leb128Error),
}

/// `body` with its length in front; refuses what the peer would refuse.
pub fn frame(body: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    if body.len() > limit {
        return Err(FrameError::TooLargeToSend {
            size: body.len(),
            limit,
        });
    }
    let mut out = Vec::with_capacity(body.len().saturating_add(3));
    leb128::write_unsigned(&mut out, body.len() as u64);
    out.extend_from_slice(body);
    Ok(out)
}

/// Looks at the front of `buffer`: the range of the first frame's body, or `None` when more bytes are needed.
/// The declared length is checked before anything of that size is kept.
pub fn next_frame(buffer: &[u8], limit: usize) -> Result<Option<core::ops::Range<usize>>, FrameError> {
    let (declared, start) = match leb128::read_unsigned(buffer) {
        Ok(found) => found,
        Err(Leb128Error::Empty | Leb128Error::Truncated) => return Ok(None),
        Err(e) => return Err(FrameError::Length(e)),
    };
    if declared > limit as u64 {
        return Err(FrameError::TooLarge { declared, limit });
    }
    let end = start.saturating_add(declared as usize);
    Ok((buffer.len() >= end).then_some(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_fails() {
        let framed = frame(&[7; MAX_MESSAGE], MAX_MESSAGE).unwrap();
        assert_eq!(next_frame(&framed, MAX_MESSAGE), Ok(Some(3..3 + MAX_MESSAGE)));
        let size = MAX_MESSAGE + 1;
        assert_eq!(
            frame(&[7; MAX_MESSAGE + 1], MAX_MESSAGE),
            Err(FrameError::TooLargeToSend {
                size,
                limit: MAX_MESSAGE
            })
        );
        assert_eq!(
            next_frame(&leb128::unsigned(size as u64), MAX_MESSAGE),
            Err(FrameError::TooLarge {
                declared: size as u64,
                limit: MAX_MESSAGE
            })
        );
    }

    #[test]
    fn an_incomplete_frame_asks_for_more() {
        let framed = frame(b"hello", 10).unwrap();
        for cut in 0..framed.len() {
            assert_eq!(next_frame(&framed[..cut], 10), Ok(None));
        }
    }

    #[test]
    fn the_frame_prefix_matches_the_vector() {
        assert_eq!(hex::encode(&frame(&[0; 281], MAX_MESSAGE).unwrap()[..2]), "9902");
    }
}

//! Messages on a stream: one frame at a time, each read and write within a time limit.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use shared::transfer::{PlaceLost, WireError};
use shared::wire::frame::{frame, next_frame, FrameError, MAX_MESSAGE};
use shared::wire::{decode, encode, Cbor, DecodeError};
use std::time::Duration;

/// How long a peer may stay silent in the middle of an exchange.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// Bytes asked of the stream at a time.
const CHUNK: usize = 64 * 1024;

/// Why an exchange with a peer ends.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("nothing arrived from the peer for too long")]
    Silent,
    #[error("the peer is too slow")]
    Slow,
    #[error(transparent)]
    PlaceLost(#[from] PlaceLost),
    #[error("the stream failed: {0}")]
    Broken(#[from] std::io::Error),
    #[error("the peer closed the stream in the middle of a message")]
    Closed,
    #[error("the peer sent a malformed frame: {0}")]
    Frame(#[from] FrameError),
    #[error("the peer sent a malformed message: {0}")]
    Message(#[from] DecodeError),
    #[error("the peer sent a malformed transfer message: {0}")]
    Transfer(#[from] WireError),
}

/// Reads more bytes to the end of `buffer`; fails when there are none.
pub async fn read_more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<(), StreamError> {
    read_more_within(stream, buffer, SILENCE_LIMIT).await
}

/// The same with another limit for the peer's silence.
pub async fn read_more_within<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    silence: Duration,
) -> Result<(), StreamError> {
    let start = buffer.len();
    buffer.resize(start + CHUNK, 0);
    let room = buffer.get_mut(start..).unwrap_or_default();
    let read = tokio::time::timeout(silence, stream.read(room)).await;
    let count = match read {
        Ok(Ok(count)) => count,
        Ok(Err(e)) => return Err(e.into()),
        Err(_) => return Err(StreamError::Silent),
    };
    buffer.truncate(start + count);
    if count == 0 {
        return Err(StreamError::Closed);
    }
    Ok(())
}

/// Reads one message.
pub async fn read<T: Cbor, S: AsyncRead + Unpin>(stream: &mut S) -> Result<T, StreamError> {
    read_at_most(stream, MAX_MESSAGE).await
}

/// Reads one message of at most `longest` bytes; the caller sees to it that it does not take for ever.
pub async fn read_at_most<T: Cbor, S: AsyncRead + Unpin>(stream: &mut S, longest: usize) -> Result<T, StreamError> {
    let mut buffer = Vec::new();
    loop {
        // What a frame declares is checked against the limit before its body is waited for.
        if let Some(body) = next_frame(&buffer, longest)? {
            return Ok(decode(buffer.get(body).unwrap_or_default())?);
        }
        read_more(stream, &mut buffer).await?;
    }
}

/// Writes one message.
pub async fn write<T: Cbor, S: AsyncWrite + Unpin>(stream: &mut S, message: &T) -> Result<(), StreamError> {
    write_bytes(stream, &frame(&encode(message), MAX_MESSAGE)?).await?;
    flush(stream).await
}

/// Writes bytes, without flushing them.
pub async fn write_bytes<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), StreamError> {
    within(stream.write_all(bytes)).await
}

/// Sends what was written.
pub async fn flush<S: AsyncWrite + Unpin>(stream: &mut S) -> Result<(), StreamError> {
    within(stream.flush()).await
}

/// Ends our side of the stream.
pub async fn close<S: AsyncWrite + Unpin>(stream: &mut S) -> Result<(), StreamError> {
    within(stream.close()).await
}

async fn within(work: impl std::future::Future<Output = std::io::Result<()>>) -> Result<(), StreamError> {
    match tokio::time::timeout(SILENCE_LIMIT, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StreamError::Silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use shared::wire::leb128;

    #[tokio::test]
    async fn a_frame_beyond_the_limit_is_refused_by_its_declared_length() {
        let mut stream = Cursor::new(leb128::unsigned(MAX_MESSAGE as u64 + 1));
        let refused = read::<u64, _>(&mut stream).await;
        assert!(matches!(refused, Err(StreamError::Frame(FrameError::TooLarge { .. }))));
    }

    #[tokio::test]
    async fn a_message_that_ends_early_is_no_message() {
        let mut stream = Cursor::new(vec![5, 1]);
        assert!(matches!(read::<u64, _>(&mut stream).await, Err(StreamError::Closed)));
    }

    #[tokio::test]
    async fn a_frame_that_is_no_canonical_message_is_refused() {
        let mut stream = Cursor::new(vec![2, 0x18, 0x05]);
        let refused = read::<u64, _>(&mut stream).await;
        assert!(matches!(refused, Err(StreamError::Message(DecodeError::NotCanonical))));
    }
}

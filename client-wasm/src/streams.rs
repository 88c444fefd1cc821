//! Conversations over libp2p streams: framed CBOR messages with time limits (spec §1.2).

use crate::clock;
use futures::prelude::*;
use libp2p::Stream;
use shared::client::fetching::Received;
use shared::wire::frame::{frame, next_frame, FrameError, MAX_MESSAGE};
use shared::wire::{decode, encode, Cbor, DecodeError};

/// Longest silence of the other side in a conversation, in milliseconds.
pub const SILENCE_LIMIT: i32 = 30_000;
/// Bytes read from a stream at a time.
const READ_BYTES: usize = 64 << 10;

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("the connection was lost: {0}")]
    Io(#[from] std::io::Error),
    #[error("nothing arrived for {} seconds", SILENCE_LIMIT / 1000)]
    Silence,
    #[error("the peer closed the connection before its answer was complete")]
    Ended,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a message cannot be read: {0}")]
    Message(#[from] DecodeError),
}

/// A stream with what was read from it and not yet used: at most one message and [`READ_BYTES`].
pub struct Conversation {
    stream: Stream,
    unread: Vec<u8>,
    buffer: Vec<u8>,
}

impl Conversation {
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Sends one message.
    pub async fn send<T: Cbor>(&mut self, message: &T) -> Result<(), StreamError> {
        let framed = frame(&encode(message), MAX_MESSAGE)?;
        let sending = async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        };
        Ok(clock::within(SILENCE_LIMIT, sending)
            .await
            .ok_or(StreamError::Silence)??)
    }

    /// The next message; `None` when the other side has said all.
    pub async fn receive<T: Cbor>(&mut self) -> Result<Option<T>, StreamError> {
        match self.receive_for(SILENCE_LIMIT).await? {
            Received::Message(message) => Ok(Some(message)),
            Received::End => Ok(None),
            Received::Nothing => Err(StreamError::Silence),
        }
    }

    /// What comes within so many milliseconds; what came of a message stays for the next time.
    pub async fn receive_for<T: Cbor>(&mut self, milliseconds: i32) -> Result<Received<T>, StreamError> {
        let end = clock::now() + f64::from(milliseconds);
        loop {
            if let Some(body) = next_frame(&self.unread, MAX_MESSAGE)? {
                let message = decode(&self.unread[body.clone()])?;
                self.unread.drain(..body.end);
                return Ok(Received::Message(message));
            }
            let left = (end - clock::now()).max(0.0) as i32;
            let Some(read) = clock::within(left, self.stream.read(&mut self.buffer)).await else {
                return Ok(Received::Nothing);
            };
            match read? {
                0 if self.unread.is_empty() => return Ok(Received::End),
                0 => return Err(StreamError::Ended),
                count => self.unread.extend_from_slice(&self.buffer[..count]),
            }
        }
    }

    /// Sends `question`, and reads the one answer.
    pub async fn ask<Q: Cbor, A: Cbor>(mut self, question: &Q) -> Result<A, StreamError> {
        self.send(question).await?;
        let answer = self.receive().await?.ok_or(StreamError::Ended)?;
        // The answer is here: whether the other side hears the end matters to nobody.
        let _ = self.stream.close().await;
        Ok(answer)
    }
}

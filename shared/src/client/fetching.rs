//! One retrieval from one miner: asks, takes in what comes, and ends when it is the file or cannot become it.
//!
//! Called by both hosts with a stream to the miner and a place where bytes are kept aside; [`super::retrieval`] judges.

use super::retrieval::{Retrieval, RetrievalError, RetrievalInput, Taken};
use crate::retrieval::{RetrievePieceChunk, RetrievePieceRequest, RetrievePieceResponse};
use crate::wire::Cbor;
use cid::Cid;

/// What came over a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received<T> {
    Message(T),
    /// The other side has said all.
    End,
    /// Nothing whole, yet.
    Nothing,
}

/// What a client shows of a retrieval; nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The miner grants the file.
    Granted,
    /// The miner unseals the file first, which takes minutes.
    Unsealing,
    /// So many bytes are here.
    Arrived(u64),
}

/// The edges of one retrieval: a stream on which it was agreed to retrieve, and a place for the bytes.
#[allow(async_fn_in_trait)] // both hosts run it on one thread
pub trait RetrievalHost {
    type Error;

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
    async fn send<Q: Cbor>(&mut self, request: &Q) -> Result<(), Self::Error>;
    /// The next message. May return with nothing before `most_ms` are over, or fail because the user wants the file no more.
    async fn receive<T: Cbor>(&mut self, most_ms: u64) -> Result<Received<T>, Self::Error>;
    /// Keeps bytes aside; they are worth nothing before [`fetch`] has returned.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    fn show(&mut self, progress: Progress);
    fn failed(&self, error: RetrievalError) -> Self::Error;
}

/// Fetches the file `wanted`, of `size` bytes when that is known, and else of at most `most`. Returns its size once all
/// bytes are kept and are the file.
pub async fn fetch<H: RetrievalHost>(wanted: Cid, size: Option<u64>, most: u64, host: &mut H) -> Result<u64, H::Error> {
    host.send(&RetrievePieceRequest { piece_ref: wanted }).await?;
    let mut retrieval = Retrieval::new(wanted, size, most, host.now_ms());
    let answer: Option<RetrievePieceResponse> = next(&mut retrieval, host).await?;
    let input = answer.as_ref().map_or(RetrievalInput::End, RetrievalInput::Answer);
    handle(&mut retrieval, input, host)?;
    host.show(Progress::Granted);
    loop {
        let chunk: Option<RetrievePieceChunk> = next(&mut retrieval, host).await?;
        let input = chunk.as_ref().map(|chunk| RetrievalInput::Chunk(&chunk.data));
        match handle(&mut retrieval, input.unwrap_or(RetrievalInput::End), host)? {
            Taken::Whole { size } => return Ok(size),
            Taken::Unsealing { first: true } => host.show(Progress::Unsealing),
            Taken::Unsealing { first: false } => {}
            Taken::More => {
                host.keep(chunk.as_ref().map_or(&[], |chunk| &chunk.data.0))?;
                host.show(Progress::Arrived(retrieval.arrived()));
            }
        }
    }
}

/// The next message, within the time that the retrieval leaves for it; `None` when the miner has said all.
async fn next<T: Cbor, H: RetrievalHost>(retrieval: &mut Retrieval, host: &mut H) -> Result<Option<T>, H::Error> {
    loop {
        let left = retrieval.deadline().saturating_sub(host.now_ms());
        match host.receive(left).await? {
            Received::Message(message) => return Ok(Some(message)),
            Received::End => return Ok(None),
            Received::Nothing => handle(retrieval, RetrievalInput::Silence, host).map(drop)?,
        }
    }
}

fn handle<H: RetrievalHost>(retrieval: &mut Retrieval, input: RetrievalInput, host: &H) -> Result<Taken, H::Error> {
    let taken = retrieval.handle(input, host.now_ms());
    taken.map_err(|error| host.failed(error))
}

#[cfg(test)]
mod tests {
    use super::super::testing::now;
    use super::*;
    use crate::client::retrieval::FIRST_ANSWER_MS;
    use crate::piece::PieceDigest;
    use crate::retrieval::RetrievalStatus;
    use crate::wire::cbor::Bytes;
    use crate::wire::{decode, encode};
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;

    /// Messages that come one after the other; where there is none, time passes.
    #[derive(Default)]
    struct FakeStream {
        coming: VecDeque<Option<Vec<u8>>>,
        clock: u64,
        asked: usize,
        kept: Vec<u8>,
        shown: Vec<Progress>,
    }

    impl RetrievalHost for FakeStream {
        type Error = RetrievalError;

        fn now_ms(&self) -> u64 {
            self.clock
        }
        async fn send<Q: Cbor>(&mut self, _: &Q) -> Result<(), RetrievalError> {
            self.asked += 1;
            Ok(())
        }
        async fn receive<T: Cbor>(&mut self, most_ms: u64) -> Result<Received<T>, RetrievalError> {
            Ok(match self.coming.pop_front() {
                None => Received::End,
                Some(Some(message)) => Received::Message(decode(&message).expect("it was encoded here")),
                Some(None) => {
                    self.clock += most_ms;
                    Received::Nothing
                }
            })
        }
        fn keep(&mut self, bytes: &[u8]) -> Result<(), RetrievalError> {
            self.kept.extend_from_slice(bytes);
            Ok(())
        }
        fn show(&mut self, progress: Progress) {
            self.shown.push(progress);
        }
        fn failed(&self, error: RetrievalError) -> RetrievalError {
            error
        }
    }

    fn root(bytes: &[u8]) -> Cid {
        let mut digest = PieceDigest::new();
        digest.push(bytes).expect("it is short");
        digest.finish().expect("it is not empty").data_cid
    }

    fn granted() -> Option<Vec<u8>> {
        Some(encode(&RetrievePieceResponse {
            status: RetrievalStatus::Success,
            error_message: "".into(),
        }))
    }

    fn chunk(bytes: &[u8]) -> Option<Vec<u8>> {
        let data = Bytes(bytes.to_vec());
        Some(encode(&RetrievePieceChunk { data }))
    }

    #[test]
    fn a_file_is_asked_for_once_and_kept_as_it_comes() {
        let mut stream = FakeStream {
            coming: [granted(), chunk(b""), chunk(b"hel"), chunk(b"lo")].into(),
            ..FakeStream::default()
        };
        let fetched = now(fetch(root(b"hello"), None, 100, &mut stream));
        assert_eq!((fetched, stream.asked), (Ok(5), 1));
        assert_eq!(stream.kept, b"hello");
        let expected = [
            Progress::Granted,
            Progress::Unsealing,
            Progress::Arrived(3),
            Progress::Arrived(5),
        ];
        assert_eq!(stream.shown, expected);
    }

    #[test]
    fn a_silent_miner_and_another_file_are_errors() {
        let mut silent = FakeStream {
            coming: [None].into(),
            ..FakeStream::default()
        };
        let limit_ms = FIRST_ANSWER_MS;
        assert_eq!(
            now(fetch(root(b"hello"), None, 100, &mut silent)),
            Err(RetrievalError::Silence { limit_ms })
        );
        let mut other = FakeStream {
            coming: [granted(), chunk(b"other")].into(),
            ..FakeStream::default()
        };
        let fetched = now(fetch(root(b"hello"), None, 100, &mut other));
        assert!(matches!(fetched, Err(RetrievalError::Corrupt { .. })));
    }
}

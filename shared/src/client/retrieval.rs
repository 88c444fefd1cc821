//! Getting a file back (step 15 of a deal, spec §6.6): how much, how long, and whether it is the file.
//!
//! The host moves messages and keeps bytes aside; nothing of them may be used before [`Retrieval::handle`] has taken
//! [`RetrievalInput::End`] without an error. A miner that seals first has to unseal: it says now and then with an empty
//! chunk that it is still at work. That is borne for as long as unsealing can take, and no longer.

use crate::file::Manifest;
use crate::piece::unixfs::{DagBuilder, UnixFsError};
use crate::piece::Dag;
use crate::retrieval::{RetrievalStatus, RetrievePieceResponse, MAX_CHUNK};
use crate::wire::cbor::Bytes;
use alloc::string::String;
use cid::Cid;
use sha2::{Digest, Sha256};

pub use crate::retrieval::{LEAST_RATE, SILENCE_MS};

/// Milliseconds in which a miner must begin to answer: it may unseal a whole sector first.
pub const FIRST_ANSWER_MS: u64 = 900_000;
/// Milliseconds that unsealing may take altogether: hours for 32 GiB.
pub const UNSEAL_MS: u64 = 4 * 3_600_000;
/// Empty chunks that a miner may send: one in ten seconds for as long as it may unseal.
pub const MAX_EMPTY: u32 = (UNSEAL_MS / 10_000) as u32;

/// Milliseconds in which a range of at most 32 MiB must come over HTTP, at the least rate and with the silence before it.
pub const RANGE_MS: u64 = SILENCE_MS + (32 << 20) / LEAST_RATE * 1000;

/// Miners that are asked for one file, at most: few have it, and each may take its time.
pub const MOST_MINERS: u32 = 64;
/// Milliseconds after which no further miner is asked: two of them may have unsealed for as long as they may.
pub const SEARCH_MS: u64 = 2 * UNSEAL_MS;

/// Asks one miner after the other for a file of which it is not known who has it. Whatever is wrong with what one of them
/// sends, the next one may have the file.
pub struct Search {
    asked: u32,
    began: u64,
}

impl Search {
    pub fn new(now_ms: u64) -> Self {
        let asked = 0;
        Self { asked, began: now_ms }
    }

    /// Whether one more miner is asked, which is counted.
    pub fn goes_on(&mut self, now_ms: u64) -> bool {
        let goes_on = self.asked < MOST_MINERS && now_ms < self.began.saturating_add(SEARCH_MS);
        self.asked = self.asked.saturating_add(u32::from(goes_on));
        goes_on
    }
}

/// A file on its way here.
pub struct Retrieval {
    wanted: Cid,
    /// Bytes of the file, when they are known.
    size: Option<u64>,
    /// Bytes that may come.
    most: u64,
    started: u64,
    heard: u64,
    /// When the file's first byte came.
    began: Option<u64>,
    granted: bool,
    empty: u32,
    arrived: u64,
    naming: Naming,
}

/// How what is wanted is named.
enum Naming {
    /// By the root of the UnixFS tree that it is the leaves of, as pieces are.
    Tree(DagBuilder),
    /// By the hash of all of its bytes, as manifests are.
    Whole(Sha256),
}

impl Naming {
    fn of(wanted: &Cid) -> Self {
        match Manifest::is_id(wanted) {
            true => Self::Whole(Sha256::new()),
            false => Self::Tree(DagBuilder::new()),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), UnixFsError> {
        match self {
            Self::Tree(dag) => dag.push(bytes),
            Self::Whole(hash) => {
                hash.update(bytes);
                Ok(())
            }
        }
    }

    /// What the bytes are called; nothing of them is known any more.
    fn finish(&mut self) -> Result<Cid, UnixFsError> {
        match self {
            Self::Tree(dag) => Ok(core::mem::take(dag).finish()?.root),
            Self::Whole(hash) => Ok(Manifest::id_of(&hash.finalize_reset().into())),
        }
    }
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum RetrievalInput<'a> {
    Answer(&'a RetrievePieceResponse),
    Chunk(&'a Bytes),
    /// The miner has said all.
    End,
    /// Nothing came up to now.
    Silence,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// More is to come; what came is to be kept aside.
    More,
    /// The miner is unsealing the file; the first time `true`.
    Unsealing { first: bool },
    /// All bytes are here, and they are the file.
    Whole { size: u64 },
}

/// Why the file does not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetrievalError {
    #[error("could not retrieve piece - error from miner: {0}")]
    Withheld(String),
    #[error("it closed the connection without an answer")]
    NoAnswer,
    #[error("nothing arrived for {} seconds", .limit_ms / 1000)]
    Silence { limit_ms: u64 },
    #[error("it has been unsealing for too long")]
    Unsealing,
    #[error("it sends less than {LEAST_RATE} bytes a second")]
    Slow,
    #[error("{found} bytes came where the file has {expected}")]
    WrongSize { expected: u64, found: u64 },
    #[error("a chunk has {0} bytes, more than {MAX_CHUNK}")]
    Chunk(usize),
    #[error("its root is {found}, the file's is {expected}")]
    Corrupt { expected: Cid, found: Cid },
    #[error(transparent)]
    Dag(#[from] UnixFsError),
    #[error("it sent an unexpected message")]
    OutOfTurn,
}

impl Retrieval {
    /// Of the piece or manifest `wanted`, of `size` bytes when that is known, and else of at most `most`.
    pub fn new(wanted: Cid, size: Option<u64>, most: u64, now_ms: u64) -> Self {
        Self {
            wanted,
            size,
            most: size.unwrap_or(most),
            started: now_ms,
            heard: now_ms,
            began: None,
            granted: false,
            empty: 0,
            arrived: 0,
            naming: Naming::of(&wanted),
        }
    }

    /// The root that the file must have.
    pub fn wanted(&self) -> Cid {
        self.wanted
    }

    /// Bytes that came.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Bytes that may come.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// When the next input must come, in milliseconds: [`RetrievalInput::Silence`] is due then.
    pub fn deadline(&self) -> u64 {
        let silence = match self.granted {
            true => SILENCE_MS,
            false => FIRST_ANSWER_MS,
        };
        let whole = match self.began {
            None => self.started.saturating_add(UNSEAL_MS),
            Some(began) => began.saturating_add(self.transfer_ms()),
        };
        self.heard.saturating_add(silence).min(whole)
    }

    fn transfer_ms(&self) -> u64 {
        // A small file has a minute all the same.
        (self.most / LEAST_RATE).saturating_add(60).saturating_mul(1000)
    }

    /// Takes in what came at `now_ms`. After an error nothing more is to be taken, and nothing that came is worth anything.
    pub fn handle(&mut self, input: RetrievalInput, now_ms: u64) -> Result<Taken, RetrievalError> {
        if now_ms >= self.deadline() {
            return Err(self.late(now_ms));
        }
        match input {
            RetrievalInput::Silence => return Ok(Taken::More),
            RetrievalInput::Answer(_) if self.granted => return Err(RetrievalError::OutOfTurn),
            RetrievalInput::Answer(answer) if answer.status != RetrievalStatus::Success => {
                return Err(RetrievalError::Withheld(answer.error_message.clone()));
            }
            RetrievalInput::Answer(_) => self.granted = true,
            RetrievalInput::End if !self.granted => return Err(RetrievalError::NoAnswer),
            RetrievalInput::Chunk(_) if !self.granted => return Err(RetrievalError::OutOfTurn),
            RetrievalInput::Chunk(chunk) if chunk.0.is_empty() => {
                self.heard = now_ms;
                return self.unsealing();
            }
            RetrievalInput::Chunk(chunk) => self.take(&chunk.0, now_ms)?,
            RetrievalInput::End => return self.finish(),
        }
        self.heard = now_ms;
        Ok(Taken::More)
    }

    fn late(&self, now_ms: u64) -> RetrievalError {
        match self.began {
            Some(began) if now_ms >= began.saturating_add(self.transfer_ms()) => RetrievalError::Slow,
            None if now_ms >= self.started.saturating_add(UNSEAL_MS) => RetrievalError::Unsealing,
            _ => RetrievalError::Silence {
                limit_ms: now_ms.saturating_sub(self.heard),
            },
        }
    }

    fn unsealing(&mut self) -> Result<Taken, RetrievalError> {
        self.empty = self.empty.saturating_add(1);
        match self.empty <= MAX_EMPTY {
            true => Ok(Taken::Unsealing { first: self.empty == 1 }),
            false => Err(RetrievalError::Unsealing),
        }
    }

    fn take(&mut self, bytes: &[u8], now_ms: u64) -> Result<(), RetrievalError> {
        if bytes.len() > MAX_CHUNK {
            return Err(RetrievalError::Chunk(bytes.len()));
        }
        let arrived = self.arrived().saturating_add(bytes.len() as u64);
        if arrived > self.most {
            return Err(RetrievalError::WrongSize {
                expected: self.most,
                found: arrived,
            });
        }
        self.began.get_or_insert(now_ms);
        self.arrived = arrived;
        Ok(self.naming.push(bytes)?)
    }

    fn finish(&mut self) -> Result<Taken, RetrievalError> {
        let size = self.arrived();
        if let Some(expected) = self.size.filter(|expected| *expected != size) {
            return Err(RetrievalError::WrongSize { expected, found: size });
        }
        let found = self.naming.finish()?;
        match found == self.wanted {
            true => Ok(Taken::Whole { size }),
            false => Err(RetrievalError::Corrupt {
                expected: self.wanted,
                found,
            }),
        }
    }
}

/// Whether leaves with these SHA-256 digests, 32 bytes each, are the file `wanted` of `size` bytes: for a host that has them hashed by
/// something faster.
pub fn leaves_are(wanted: &Cid, size: u64, digests: &[u8]) -> bool {
    let (leaves, rest) = digests.as_chunks::<32>();
    rest.is_empty() && Dag::of_leaves(size, leaves).is_ok_and(|dag| dag.root == *wanted)
}

/// A peer's words, fit for a screen.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::unixfs::{test_data, LEAF_BYTES};
    use crate::piece::PieceDigest;
    use alloc::vec::Vec;
    use sha2::{Digest, Sha256};

    #[test]
    fn a_manifest_is_what_has_the_hash_of_all_its_bytes_however_many_leaves_it_is() {
        let bytes = test_data(LEAF_BYTES as usize + 7);
        let fetched = |bytes: &[u8]| {
            let id = Manifest::cid_of(&test_data(LEAF_BYTES as usize + 7));
            let mut retrieval = Retrieval::new(id, None, 7 << 20, 0);
            let granted = RetrievePieceResponse {
                status: RetrievalStatus::Success,
                error_message: String::new(),
            };
            retrieval.handle(RetrievalInput::Answer(&granted), 1)?;
            for chunk in bytes.chunks(MAX_CHUNK) {
                retrieval.handle(RetrievalInput::Chunk(&Bytes(chunk.to_vec())), 2)?;
            }
            retrieval.handle(RetrievalInput::End, 3)
        };
        let size = bytes.len() as u64;
        assert_eq!(fetched(&bytes), Ok(Taken::Whole { size }));
        let mut other = bytes.clone();
        other[LEAF_BYTES as usize] ^= 1;
        assert!(matches!(fetched(&other), Err(RetrievalError::Corrupt { .. })));
    }

    #[test]
    fn digests_are_a_file_only_when_all_of_them_are_its_leaves_in_order() {
        let bytes = test_data(2 * LEAF_BYTES as usize + 7);
        let mut digest = PieceDigest::new();
        digest.push(&bytes).expect("short");
        let (wanted, size) = (digest.finish().expect("a piece").data_cid, bytes.len() as u64);
        let digests: Vec<u8> = bytes.chunks(LEAF_BYTES as usize).flat_map(Sha256::digest).collect();
        assert!(leaves_are(&wanted, size, &digests));
        let mut swapped = digests.clone();
        swapped.rotate_left(32);
        for other in [&swapped, &digests[1..], &digests[32..], &[][..]] {
            assert!(!leaves_are(&wanted, size, other));
        }
        assert!(!leaves_are(&wanted, size + 1, &digests));
    }
}

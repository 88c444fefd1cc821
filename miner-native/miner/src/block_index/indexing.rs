//! The service that keeps the index: what comes is taken in, what goes is forgotten, and what was missed meanwhile is found.

use super::{BlockIndex, IndexError, DIGEST};
use crate::piece_reader::PieceReader;
use crate::staging::Staging;
use crate::store::{MinerStore, PieceRecord, StoreError};
use crate::supervisor::{Lifeline, ServiceError};
use cid::Cid;
use sealdrop_database::blocking;
use sha2::{Digest, Sha256};
use shared::file::{Manifest, MAX_MANIFEST_BYTES};
use shared::piece::range::SLICE;
use shared::piece::unixfs::LEAF_BYTES;
use shared::piece::{CommPHasher, Outline, RangeError};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use tokio::sync::broadcast;

/// Pause between two looks at all pieces, for what was not told of: reading their names alone takes milliseconds.
const EVERY: Duration = Duration::from_secs(600);
/// The same while something fails.
const AGAIN: Duration = Duration::from_secs(10);
/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(30);
/// Longest time to hash a piece: 32 GiB from a slow disk.
const LONGEST_PIECE: Duration = Duration::from_secs(3600);
/// What manifests begin with: a map of two or, of encrypted files, of three, and its first key. Only what does is read as one.
const OF_MANIFESTS: [&[u8]; 4] = [b"\xa2\x64file", b"\xa2\x66folder", b"\xa3\x64file", b"\xa3\x65names"];

/// Why a piece is not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexingError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the piece cannot be read: {0}; it is tried again")]
    Read(#[from] io::Error),
}

/// The service.
#[derive(Clone)]
pub struct Indexing {
    pub store: MinerStore,
    pub staging: Staging,
    pub reader: PieceReader,
    pub index: BlockIndex,
}

impl Indexing {
    /// Keeps the index until it is to stop.
    pub async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let (mut changes, mut restored) = (self.store.piece_changes(), self.reader.restored());
        let mut due = tokio::time::Instant::now();
        loop {
            let news = async {
                tokio::select! {
                    changed = changes.recv() => changed,
                    restored = restored.recv() => restored,
                }
            };
            let one = tokio::select! {
                () = lifeline.stopping() => return Ok(()),
                () = tokio::time::sleep_until(due) => None,
                () = tokio::time::sleep(BEAT) => {
                    lifeline.beat();
                    continue;
                }
                news = news => match news {
                    Ok(data) => Some(data),
                    // Too many to keep up with: all are looked at.
                    Err(broadcast::error::RecvError::Lagged(_)) => None,
                    // The store lives as long as this.
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
            };
            let done = match one {
                Some(data) => self.settle(&data, &lifeline).await,
                None => self.settle_all(&lifeline).await,
            };
            match done {
                Ok(()) => {
                    lifeline.well("");
                    due = if one.is_none() {
                        tokio::time::Instant::now() + EVERY
                    } else {
                        due
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, "the index of blocks lacks something; trying again");
                    lifeline.failing("", &error);
                    due = tokio::time::Instant::now() + AGAIN;
                }
            }
        }
    }

    /// Brings the index to what is stored.
    async fn settle_all(&self, lifeline: &Lifeline) -> Result<(), IndexingError> {
        let stored = blocking(|| self.store.pieces())?;
        let known: BTreeSet<Cid> = blocking(|| self.index.known())?.into_iter().collect();
        let all: BTreeSet<Cid> = stored.into_iter().chain(known).collect();
        for data in all {
            self.settle(&data, lifeline).await?;
            if lifeline.token().is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    /// Takes a piece in that is here, and forgets one that is not.
    async fn settle(&self, data: &Cid, lifeline: &Lifeline) -> Result<(), IndexingError> {
        let (service, data) = (self.clone(), *data);
        let work = tokio::task::spawn_blocking(move || service.settle_now(&data));
        match lifeline.busy(LONGEST_PIECE, work).await {
            Ok(settled) => settled,
            Err(panic) => Err(io::Error::other(panic.to_string()).into()),
        }
    }

    pub(crate) fn settle_now(&self, data: &Cid) -> Result<(), IndexingError> {
        let Some(piece) = self.store.piece(data)? else {
            return Ok(self.index.forget_piece(data)?);
        };
        self.index.note_piece(data, &piece.comm_p, piece.size)?;
        // What is in its sector alone is taken in when it is unsealed the next time.
        let Some(path) = self.staging.whole(data, piece.size) else {
            return Ok(());
        };
        if self.index.is_indexed(data)? {
            let read = || manifest_in(&path, piece.size).ok().flatten();
            return match self.index.may_come_back(data, read)? {
                Some(manifest) => Ok(self.index.put_manifest(data, &manifest)?),
                None => Ok(()),
            };
        }
        match self.take_in(data, &piece, &path) {
            // It went meanwhile.
            Err(IndexingError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Scrubbing and sealing say so; every look at it again would read it whole.
            Err(IndexingError::Index(error @ IndexError::OtherLeaves(_))) => {
                tracing::error!(piece = %data, %error, "a staged piece is not indexed");
                Ok(())
            }
            done => done,
        }
    }

    fn take_in(&self, data: &Cid, piece: &PieceRecord, path: &Path) -> Result<(), IndexingError> {
        // FAIL: the process may end between the two. THEN: the piece has no blocks yet, and both are done again.
        if let Some(manifest) = manifest_in(path, piece.size)? {
            self.index.put_manifest(data, &manifest)?;
        }
        let (leaves, outline) = read_through(File::open(path)?, piece.size)?;
        self.index.put_piece(data, piece.size, &leaves)?;
        // FAIL: the process may end between the two. THEN: the piece is not indexed yet, and both are done again.
        Ok(self.index.put_outline(data, &outline)?)
    }
}

/// The digests of a file's leaves, and what its ranges are proven with.
fn read_through(mut file: File, size: u64) -> Result<(Vec<[u8; DIGEST]>, Outline), IndexingError> {
    let (mut left, mut leaves) = (size, Vec::new());
    let mut hasher = CommPHasher::with_outline(SLICE);
    let mut buffer = vec![0; LEAF_BYTES as usize];
    while left > 0 {
        buffer.truncate(left.min(LEAF_BYTES) as usize);
        file.read_exact(&mut buffer)?;
        left -= buffer.len() as u64;
        leaves.push(Sha256::digest(&buffer).into());
        hasher
            .push(&buffer)
            .map_err(RangeError::from)
            .map_err(IndexError::from)?;
    }
    let (_, outline) = hasher.finish_with_outline().map_err(IndexError::from)?;
    // The hasher is one with an outline.
    let outline = outline.ok_or_else(|| io::Error::other("no outline"))?;
    Ok((leaves, outline))
}

/// The manifest that a piece is, if it is one.
fn manifest_in(path: &Path, size: u64) -> io::Result<Option<Manifest>> {
    if size > MAX_MANIFEST_BYTES as u64 {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    (&mut file).take(8).read_to_end(&mut first)?;
    if !OF_MANIFESTS.iter().any(|begin| first.starts_with(begin)) {
        return Ok(None);
    }
    file.take(size).read_to_end(&mut first)?;
    // Most that begins so is one; what is not is a file as any other.
    Ok(Manifest::read(&first).ok())
}

//! One piece on its way in over HTTP: what is here of it, what is kept, and its end. Several deals may be about it.

use super::refusal::UploadError;
use crate::failpoint;
use crate::staging::{Claim, Incoming, Staging, StagingError};
use cid::Cid;
use shared::piece::Commitment;
use shared::transfer::upload::{Chunks, SessionView};
use shared::transfer::{Kept, KnownDag, LeafFault};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A piece whose files are this upload's alone.
pub(super) struct Piece {
    pub data: Cid,
    /// Bytes of the file.
    pub size: u64,
    staging: Staging,
    state: Mutex<State>,
    is_finishing: AtomicBool,
    _claim: Claim,
}

enum State {
    Coming(Box<Incoming>),
    /// It is whole on the disk; with its CommP where that is known.
    Here(Option<Commitment>),
}

/// Somebody finishes the piece.
struct Finishing<'a>(&'a AtomicBool);

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Piece {
    /// Takes a piece up where its files stand. Waits for the disk.
    pub(super) fn open(staging: Staging, file: KnownDag, claim: Claim) -> Result<Self, StagingError> {
        let (data, size) = (file.root(), file.size());
        claim.is_for(size);
        let state = if staging.path(&data).is_file() {
            State::Here(None)
        } else {
            staging.check_room(size.saturating_sub(staging.held(&data)))?;
            State::Coming(Box::new(staging.begin(file)?))
        };
        failpoint::hit_failpoint("upload.begun");
        Ok(Self {
            data,
            size,
            staging,
            state: Mutex::new(state),
            is_finishing: AtomicBool::new(false),
            _claim: claim,
        })
    }

    pub(super) fn chunks(&self) -> Chunks {
        Chunks::new(self.size)
    }

    /// What is missing.
    pub(super) fn view(&self, token: Option<String>) -> Result<SessionView, UploadError> {
        Ok(match &*self.state()? {
            State::Coming(incoming) => SessionView::open(incoming.dag(), incoming.kept(), token),
            State::Here(_) => SessionView::whole(self.size, token),
        })
    }

    /// Keeps those of the nodes that are missing; fails when it is none of them.
    pub(super) fn keep_nodes(&self, nodes: Vec<(Cid, Vec<u8>)>) -> Result<(), UploadError> {
        let mut state = self.state()?;
        let State::Coming(incoming) = &mut *state else {
            return Ok(());
        };
        if incoming.dag().is_complete() {
            return Ok(());
        }
        let mut checked = incoming.dag().as_ref().clone();
        let taken = checked.take_nodes(nodes).map_err(UploadError::NotAFile)?;
        if taken.is_empty() {
            return Err(UploadError::WrongNodes);
        }
        for (cid, bytes) in taken {
            incoming.keep(Kept::Node { cid, bytes })?;
        }
        Ok(())
    }

    /// Checks a chunk, and keeps it when every leaf of it is the file's.
    pub(super) fn keep_chunk(&self, chunk: u64, bytes: &[u8]) -> Result<(), UploadError> {
        let Some(leaves) = self.chunks().leaves(chunk) else {
            return Err(self.no_such_chunk(&chunk.to_string()));
        };
        let dag = match &*self.state()? {
            State::Coming(incoming) => incoming.dag().clone(),
            State::Here(_) => return Ok(()),
        };
        // Others keep theirs meanwhile.
        match dag.check_leaves(leaves.start, bytes) {
            Ok(count) if count == leaves.end - leaves.start => {}
            Ok(_) => return Err(self.other_length(chunk, bytes)),
            Err(LeafFault::NodesMissing) => return Err(UploadError::NodesMissing(Box::new(self.view(None)?))),
            Err(LeafFault::Length { .. }) => return Err(self.other_length(chunk, bytes)),
            Err(fault) => return Err(UploadError::Leaf(fault)),
        }
        match &mut *self.state()? {
            State::Coming(incoming) => incoming.keep_leaves(leaves.start, bytes)?,
            State::Here(_) => {}
        }
        failpoint::hit_failpoint("upload.chunk");
        Ok(())
    }

    pub(super) fn no_such_chunk(&self, chunk: &str) -> UploadError {
        UploadError::NoSuchChunk {
            chunk: chunk.chars().take(20).collect(),
            chunks: self.chunks().count(),
        }
    }

    fn other_length(&self, chunk: u64, bytes: &[u8]) -> UploadError {
        let expected = self.chunks().bytes(chunk).map_or(0, |range| range.end - range.start);
        let declared = Some(bytes.len() as u64);
        UploadError::Length { expected, declared }
    }

    /// Checks the whole piece, and makes it durable under its name. Takes as long as reading it does; a second call meanwhile is
    /// told so.
    pub(super) fn finish(&self) -> Result<Commitment, UploadError> {
        if self.is_finishing.swap(true, Ordering::Acquire) {
            return Err(UploadError::Checking);
        }
        let _finishing = Finishing(&self.is_finishing);
        let mut state = self.state()?;
        failpoint::hit_failpoint("upload.complete");
        let comm_p = match &mut *state {
            State::Here(Some(comm_p)) => *comm_p,
            State::Here(None) => self.staging.take_up(&self.data, self.size)?.comm_p,
            State::Coming(incoming) => match incoming.finish() {
                Ok(summary) => summary.comm_p,
                Err(StagingError::Incomplete { .. }) => {
                    let view = SessionView::open(incoming.dag(), incoming.kept(), None);
                    return Err(match view.nodes_missing {
                        true => UploadError::NodesMissing(Box::new(view)),
                        false => UploadError::Incomplete(Box::new(view)),
                    });
                }
                Err(error) => return Err(error.into()),
            },
        };
        *state = State::Here(Some(comm_p));
        Ok(comm_p)
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, UploadError> {
        // After a panic nobody knows what of the piece is on the disk: it is looked at anew.
        self.state.lock().map_err(|_| UploadError::Interrupted)
    }
}

/// Shared by the deals about it.
pub(super) type SharedPiece = Arc<Piece>;

//! A piece on its way from its client: requests out, answers in, every block checked by [`shared::transfer::Puller`].

use cid::Cid;
use shared::transfer::{Kept, Limits, Puller, Response, TransferFault, WireError};

/// Why a transfer stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    #[error(transparent)]
    Fault(#[from] TransferFault),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl PullError {
    /// Whether no other try can help: the piece itself is at fault.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_final())
    }
}

/// One transfer over one stream.
pub struct Pull {
    puller: Puller,
    unread: Vec<u8>,
    bytes: Vec<u8>,
}

impl Pull {
    pub(super) fn new(root: Cid, size: u64) -> Result<Self, PullError> {
        Ok(Self {
            puller: Puller::new(root, size, Limits::default())?,
            unread: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// The frames of what is to be asked now.
    pub fn requests(&mut self) -> Result<Vec<u8>, PullError> {
        let mut frames = Vec::new();
        while let Some(request) = self.puller.next_request() {
            frames.extend(request.to_frame()?);
        }
        Ok(frames)
    }

    /// Takes in what came over the stream; the whole piece once it is here.
    pub fn take(&mut self, received: &[u8]) -> Result<Option<Vec<u8>>, PullError> {
        self.unread.extend_from_slice(received);
        while let Some(response) = Response::take(&mut self.unread)? {
            // Leaves come in file order.
            if let Some(Kept::Leaf { bytes, .. }) = self.puller.on_response(response)? {
                self.bytes.extend(bytes);
            }
        }
        Ok(self.puller.is_complete().then(|| std::mem::take(&mut self.bytes)))
    }
}

//! One exchange with a peer: its stream, its place in the bounded room, and the reading of its request within limits.

use super::frames::{self, StreamError};
use super::host::{Busy, Host};
use super::refused::Limit;
use super::stream_limiter::Place;
use libp2p::{PeerId, Stream};
use shared::wire::Cbor;
use std::time::Duration;

/// How long a request may take to arrive whole, from the moment that its stream is open.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Longest request that names a deal or a piece: a CID or two and a state, in bytes.
pub(super) const SHORT: usize = 1024;

/// An exchange that a peer began.
pub(super) struct Exchange {
    pub(super) peer: PeerId,
    pub(super) stream: Stream,
    place: Place,
    host: Host,
    busy: Option<Busy>,
}

impl Exchange {
    pub(super) fn new(peer: PeerId, stream: Stream, place: Place, host: Host) -> Self {
        Self {
            peer,
            stream,
            place,
            host,
            busy: None,
        }
    }

    /// Counts something that this peer was refused.
    pub(super) fn refused(&self, limit: Limit) {
        self.host.refused().count(limit);
    }

    /// Reads the request, of at most `longest` bytes. Until it is there the exchange may have to make room for another.
    pub(super) async fn request<T: Cbor>(&mut self, longest: usize) -> Result<T, StreamError> {
        let reading = frames::read_at_most(&mut self.stream, longest);
        let request = match tokio::time::timeout(REQUEST_LIMIT, reading).await {
            Ok(request) => request?,
            Err(_) => return Err(StreamError::Slow),
        };
        self.place.asked();
        self.busy = Some(self.host.busy_with(self.peer));
        Ok(request)
    }
}

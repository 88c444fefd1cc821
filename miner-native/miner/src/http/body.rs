//! Bodies that are sent as they are read: a part of a file, or blocks one after the other. Whoever takes one holds a place in the line
//! ([`crate::delivery_places`]) until it has all, is too slow, or has had its turn while others wait.

use crate::delivery_places::{Taker, Ticket};
use crate::piece_reader::PieceReader;
use axum::body::{Body, Bytes};
use futures::stream;
use sealdrop_listener::Caller;
use shared::transfer::pace::HANDED_AT_ONCE;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time that an answer may take; who needs more goes on with a range.
const REQUEST_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// Longest time that a request waits for a place: a turn, after which the slowest makes room. Those that wait are no more than
/// connections are.
const WAIT_LIMIT: Duration = Duration::from_secs(120);

/// From when on what is read late is our own delay, and not the taker's: a piece had to be unsealed.
const OWN_DELAY: Duration = Duration::from_secs(2);

/// A place in the line, and until when it may be held.
pub(super) struct Place {
    ticket: Ticket,
    until: Instant,
}

impl Place {
    /// Waits for a place; `None` where there is none in time.
    pub async fn wait(reader: &PieceReader, caller: &Caller) -> Option<Self> {
        let waiting = async {
            let ticket = reader.places().taken_in(Taker::at(caller.address.ip())).await;
            ticket.place().await;
            ticket
        };
        let ticket = tokio::time::timeout(WAIT_LIMIT, waiting).await.ok()?;
        let until = Instant::now() + REQUEST_LIMIT;
        Some(Self { ticket, until })
    }

    /// Does a part of the work; fails when the place is lost meanwhile.
    async fn work<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.ticket.works();
        tokio::select! {
            done = work => done,
            () = self.ticket.ended() => Err(io::Error::other("the turn is over, and others wait")),
            () = tokio::time::sleep_until(self.until) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn moved(&self, bytes: u64) -> io::Result<()> {
        self.ticket.moved(bytes).map_err(io::Error::other)
    }
}

/// Bytes of a file.
pub(super) struct Part {
    file: File,
    left: u64,
}

impl Part {
    pub fn open(path: &Path, range: &Range<u64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let left = range.end.saturating_sub(range.start);
        Ok(Self { file, left })
    }

    /// Reads the next bytes; the part is handed back with them.
    async fn next(mut self) -> io::Result<(Bytes, Self)> {
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; self.left.min(HANDED_AT_ONCE as u64) as usize];
            self.file.read_exact(&mut bytes)?;
            self.left -= bytes.len() as u64;
            Ok((Bytes::from(bytes), self))
        });
        reading.await.map_err(io::Error::other)?
    }

    /// As a body.
    pub fn into_body(self, place: Place) -> Body {
        let parts = stream::try_unfold((self, place), |(part, place)| async move {
            if part.left == 0 {
                return Ok(None);
            }
            let (bytes, part) = place.work(part.next()).await?;
            place.moved(bytes.len() as u64)?;
            Ok::<_, io::Error>(Some((bytes, (part, place))))
        });
        Body::from_stream(parts)
    }
}

/// What makes the next bytes of a body; `None` at its end.
pub(super) trait Source: Sized + Send + 'static {
    fn next(self) -> impl Future<Output = io::Result<Option<(Bytes, Self)>>> + Send;
}

/// What a source makes, as a body.
pub(super) fn of_source(source: impl Source, place: Place) -> Body {
    let begin = (source, Bytes::new(), place);
    let parts = stream::try_unfold(begin, |(mut source, mut made, place)| async move {
        let began = Instant::now();
        while made.is_empty() {
            match place.work(source.next()).await? {
                Some(next) => (made, source) = next,
                None => return Ok(None),
            }
        }
        if began.elapsed() >= OWN_DELAY {
            place.ticket.was_kept_waiting();
        }
        // A block may be a leaf of 1 MiB: whoever takes it slowly is not to seem to take nothing.
        let bytes = made.split_to(made.len().min(HANDED_AT_ONCE));
        place.moved(bytes.len() as u64)?;
        Ok::<_, io::Error>(Some((bytes, (source, made, place))))
    });
    Body::from_stream(parts)
}

/// No bytes, for a question whose answer's length is not known: HEAD of a CAR.
pub(super) fn of_unknown_length() -> Body {
    Body::from_stream(stream::empty::<io::Result<Bytes>>())
}

/// Bytes that are here already, for whoever holds a place.
pub(super) fn of_bytes(bytes: Bytes, place: Place) -> Body {
    let one = stream::try_unfold((Some(bytes), place), |(bytes, place)| async move {
        let Some(bytes) = bytes else { return Ok(None) };
        place.moved(bytes.len() as u64)?;
        Ok::<_, io::Error>(Some((bytes, (None, place))))
    });
    Body::from_stream(one)
}

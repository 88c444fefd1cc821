//! The pieces that this browser has and miners fetch (step 7 of a deal): moves the bytes.
//!
//! A miner opens the stream and asks; [`shared::client::offers`] decides the answer; the bytes come from the page's
//! storage ([`Host::read_piece`]).

use crate::clock;
use crate::host::Host;
use crate::streams::{StreamError, SILENCE_LIMIT};
use cid::Cid;
use futures::channel::mpsc;
use futures::io::{ReadHalf, WriteHalf};
use futures::prelude::*;
use futures::{future, pin_mut, stream};
use libp2p::{PeerId, Stream};
use libp2p_stream::IncomingStreams;
use shared::client::offers::{Decision, Nodes, Offers, PieceCopy, MAX_STREAMS};
use shared::transfer::{RefusalCode, Request, Response, WireError};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;

/// Bytes read from a stream at a time; requests are small.
const READ_BYTES: usize = 4 << 10;
/// Answers of a stream that are read while the one before goes out, at most: both take about as long. Each has 256 KiB.
const READ_AHEAD: usize = 4;

/// What the driver is told, with the deal's id.
pub type OnEvent = Rc<dyn Fn(&str, ServeEvent)>;

/// What happened to a deal's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServeEvent {
    /// A range that ends here went out.
    Served { end: u64 },
    /// Its bytes cannot be read (any more).
    Unreadable,
}

/// The registry of pieces, shared by the driver and the node.
#[derive(Clone)]
pub struct PieceServer {
    /// A copy is found by its deal's id.
    offers: Rc<RefCell<Offers<String>>>,
    host: Rc<Host>,
    on_event: OnEvent,
    busy: Rc<Cell<usize>>,
}

/// Why a stream of requests ended early.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl PieceServer {
    pub fn new(host: Rc<Host>, on_event: OnEvent) -> Self {
        Self {
            offers: Rc::default(),
            host,
            on_event,
            busy: Rc::default(),
        }
    }

    /// Offers the piece of `deal` from now on.
    pub fn offer(&self, root: Cid, size: u64, nodes: impl FnOnce() -> Nodes, deal: &str, miner: &PeerId) {
        let (miner, place) = (miner.to_string(), deal.to_owned());
        let copy = PieceCopy { miner, place };
        self.offers.borrow_mut().offer(root, size, nodes, deal, copy);
    }

    /// Ends the offer for `deal`.
    pub fn withdraw(&self, root: &Cid, deal: &str) {
        self.offers.borrow_mut().withdraw(root, deal);
    }

    /// Serves every stream that comes in, until the node ends.
    pub async fn serve_all(self, mut incoming: IncomingStreams) {
        while let Some((peer, stream)) = incoming.next().await {
            if self.busy.get() >= MAX_STREAMS {
                // Dropping resets it: the miner tries again.
                continue;
            }
            self.busy.set(self.busy.get() + 1);
            let sources = self.clone();
            spawn_local(async move {
                if let Err(error) = sources.serve(peer, stream).await {
                    web_sys::console::debug_1(&format!("transfer to {peer} ended: {error}").into());
                }
                sources.busy.set(sources.busy.get() - 1);
            });
        }
    }

    /// Answers in order; the next ones are read from the page's storage while one goes out.
    async fn serve(&self, peer: PeerId, stream: Stream) -> Result<(), ServeError> {
        let (reading, writing) = stream.split();
        let owed = Cell::new(0);
        let requests = stream::try_unfold((reading, Vec::new()), |from| next_request(from, &owed));
        let answers = requests.map_ok(|request| async move { Ok(self.answer(&peer, &request).await) });
        let answers = answers.try_buffered(READ_AHEAD);
        let (mut ready, coming) = mpsc::channel(0);
        let reading_ahead = async move {
            pin_mut!(answers);
            while let Some(answer) = answers.try_next().await? {
                // Nobody takes it when sending has failed, which is told there.
                let _ = ready.send(answer).await;
            }
            Ok(())
        };
        future::try_join(reading_ahead, send_all(coming, writing, &owed)).await?;
        Ok(())
    }

    async fn answer(&self, peer: &PeerId, request: &Request) -> Response {
        let decision = self.offers.borrow().decide(request);
        let (offset, len, deals) = match decision {
            Decision::Answer(response) => return response,
            Decision::Read { offset, len, copies } => (offset, len, copies),
        };
        for deal in deals {
            if let Some(bytes) = self.read(&deal, offset, len).await {
                let end = offset.saturating_add(u64::from(len));
                let fetched = self.offers.borrow().fetched_by(&request.root, &peer.to_string());
                let served = |id: &String| (self.on_event)(id, ServeEvent::Served { end });
                fetched.iter().for_each(served);
                return Response::Data(bytes);
            }
            (self.on_event)(&deal, ServeEvent::Unreadable);
        }
        Response::refusal(RefusalCode::ReadFailed)
    }

    /// Bytes of a deal's file; a file that was cut short since is not the piece any more.
    async fn read(&self, deal: &str, offset: u64, len: u32) -> Option<Vec<u8>> {
        let read = self.host.read_piece(deal, offset as f64, len).await.ok()?;
        let bytes = read.dyn_into::<js_sys::Uint8Array>().ok()?.to_vec();
        (bytes.len() == len as usize).then_some(bytes)
    }
}

/// A stream's half that is read, and what was read of it and not yet used.
type Unread = (ReadHalf<Stream>, Vec<u8>);

/// The next request; `None` when the miner has what it wanted. It is not silent while it waits for answers, which `owed` counts.
async fn next_request(
    (mut reading, mut unread): Unread,
    owed: &Cell<usize>,
) -> Result<Option<(Request, Unread)>, ServeError> {
    loop {
        if let Some(request) = Request::take(&mut unread)? {
            owed.set(owed.get() + 1);
            return Ok(Some((request, (reading, unread))));
        }
        let mut buffer = [0; READ_BYTES];
        match clock::within(SILENCE_LIMIT, reading.read(&mut buffer)).await {
            None if owed.get() > 0 => {}
            None => return Err(StreamError::Silence.into()),
            Some(read) => match read.map_err(StreamError::Io)? {
                0 => return Ok(None),
                count => unread.extend_from_slice(&buffer[..count]),
            },
        }
    }
}

/// Sends answers as they come, and ends the stream after the last.
async fn send_all(
    mut coming: mpsc::Receiver<Response>,
    mut writing: WriteHalf<Stream>,
    owed: &Cell<usize>,
) -> Result<(), ServeError> {
    loop {
        let answer = match coming.next().now_or_never() {
            Some(answer) => answer,
            None => {
                let flushing = clock::within(SILENCE_LIMIT, writing.flush()).await;
                flushing.ok_or(StreamError::Silence)?.map_err(StreamError::Io)?;
                coming.next().await
            }
        };
        let Some(answer) = answer else {
            return Ok(writing.close().await.map_err(StreamError::Io)?);
        };
        let frame = answer.to_frame()?;
        let sending = clock::within(SILENCE_LIMIT, writing.write_all(&frame)).await;
        sending.ok_or(StreamError::Silence)?.map_err(StreamError::Io)?;
        owed.set(owed.get() - 1);
    }
}

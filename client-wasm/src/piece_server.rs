//! The pieces that this browser has and miners fetch (step 7 of a deal): moves the bytes.
//!
//! A miner opens the stream and asks; [`shared::client::offers`] decides the answer; the bytes come from the page's
//! storage ([`Host::read_piece`]).

use crate::clock;
use crate::host::Host;
use crate::streams::{StreamError, SILENCE_LIMIT};
use cid::Cid;
use futures::prelude::*;
use libp2p::{PeerId, Stream};
use libp2p_stream::IncomingStreams;
use shared::client::offers::{Decision, Nodes, Offers, PieceCopy, MAX_STREAMS};
use shared::transfer::{RefusalCode, Request, Response, WireError};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// Bytes read from a stream at a time; requests are small.
const READ_BYTES: usize = 4 << 10;

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

    async fn serve(&self, peer: PeerId, mut stream: Stream) -> Result<(), ServeError> {
        let mut unread = Vec::new();
        loop {
            while let Some(request) = Request::take(&mut unread)? {
                let answer = self.answer(&peer, &request).await.to_frame()?;
                let sending = clock::within(SILENCE_LIMIT, stream.write_all(&answer)).await;
                sending.ok_or(StreamError::Silence)?.map_err(StreamError::Io)?;
            }
            let mut buffer = [0; READ_BYTES];
            let asking = async {
                stream.flush().await?;
                stream.read(&mut buffer).await
            };
            let read = clock::within(SILENCE_LIMIT, asking).await;
            match read.ok_or(StreamError::Silence)?.map_err(StreamError::Io)? {
                0 => return Ok(stream.close().await.map_err(StreamError::Io)?),
                count => unread.extend_from_slice(&buffer[..count]),
            }
        }
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
        let bytes = js_sys::Uint8Array::new(&read).to_vec();
        (bytes.len() == len as usize).then_some(bytes)
    }
}

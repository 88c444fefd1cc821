//! The pieces that this browser has and miners fetch (step 7 of a deal): who may ask, what is answered, how far it is.
//!
//! A miner opens the stream and asks; [`shared::transfer::serve`] decides the answer; the bytes come from the page's
//! storage ([`Host::read_piece`]). Blocks are checked by the miner, so it does not matter who asks.

use crate::clock;
use crate::host::Host;
use crate::streams::{StreamError, SILENCE_LIMIT};
use cid::Cid;
use futures::prelude::*;
use libp2p::{PeerId, Stream};
use libp2p_stream::IncomingStreams;
use shared::transfer::{serve, PieceSource, RefusalCode, Request, Response, Serve, WireError};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// Streams served at once, at most: each holds one answer of 256 KiB.
const MAX_STREAMS: usize = 32;
/// Bytes read from a stream at a time; requests are small.
const READ_BYTES: usize = 4 << 10;

/// The interior nodes of a piece's DAG.
pub type Nodes = BTreeMap<Cid, Vec<u8>>;

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

struct Source {
    size: u64,
    nodes: Nodes,
    /// The deals that this piece is served for, with their miners; the first one's file is read.
    deals: BTreeMap<String, PeerId>,
}

/// The registry of pieces, shared by the driver and the node.
#[derive(Clone)]
pub struct PieceServer {
    pieces: Rc<RefCell<BTreeMap<Cid, Source>>>,
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
            pieces: Rc::default(),
            host,
            on_event,
            busy: Rc::default(),
        }
    }

    /// Offers the piece of `deal` from now on.
    pub fn offer(&self, root: Cid, size: u64, nodes: impl FnOnce() -> Nodes, deal: &str, miner: PeerId) {
        let mut pieces = self.pieces.borrow_mut();
        let source = pieces.entry(root).or_insert_with(|| Source {
            size,
            nodes: nodes(),
            deals: BTreeMap::new(),
        });
        source.deals.insert(deal.to_owned(), miner);
    }

    /// Ends the offer for `deal`.
    pub fn withdraw(&self, root: &Cid, deal: &str) {
        let mut pieces = self.pieces.borrow_mut();
        if let Some(source) = pieces.get_mut(root) {
            source.deals.remove(deal);
            if source.deals.is_empty() {
                pieces.remove(root);
            }
        }
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
        let (deal, offset, len) = match self.decide(request) {
            Err(response) => return response,
            Ok(range) => range,
        };
        let read = self.host.read_piece(&deal, offset as f64, len).await;
        // A file that was cut short since is not the piece any more.
        let bytes = read
            .ok()
            .map(|bytes| js_sys::Uint8Array::new(&bytes).to_vec())
            .filter(|bytes| bytes.len() == len as usize);
        let Some(bytes) = bytes else {
            (self.on_event)(&deal, ServeEvent::Unreadable);
            return Response::refusal(RefusalCode::ReadFailed);
        };
        self.note(peer, &request.root, offset + u64::from(len));
        Response::Data(bytes)
    }

    /// A range to read from a deal's file, or the answer itself.
    fn decide(&self, request: &Request) -> Result<(String, u64, u32), Response> {
        let pieces = self.pieces.borrow();
        let unknown = || Response::refusal(RefusalCode::UnknownPiece);
        let source = pieces.get(&request.root).ok_or_else(unknown)?;
        let piece = PieceSource {
            root: request.root,
            size: source.size,
            nodes: &source.nodes,
        };
        match serve(request, &piece) {
            Serve::Node(bytes) => Err(Response::Data(bytes.to_vec())),
            Serve::Refuse(code) => Err(Response::refusal(code)),
            Serve::Range { offset, len } => {
                let deal = source.deals.keys().next().ok_or_else(unknown)?;
                Ok((deal.clone(), offset, len))
            }
        }
    }

    fn note(&self, peer: &PeerId, root: &Cid, end: u64) {
        let pieces = self.pieces.borrow();
        let deals = pieces.get(root).into_iter().flat_map(|source| source.deals.iter());
        let ids: Vec<String> = deals
            .filter(|(_, miner)| *miner == peer)
            .map(|(id, _)| id.clone())
            .collect();
        drop(pieces);
        ids.iter()
            .for_each(|id| (self.on_event)(id, ServeEvent::Served { end }));
    }
}

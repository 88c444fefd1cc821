//! A WebTransport session whose streams are opened when there is room for them.
//!
//! A browser refuses at once to open a stream while the other side allows no more, and the other side allows the next one a round trip
//! after an earlier one has ended. The stock multiplexer takes the refusal for the end of the connection; here the stream is asked for
//! again a moment later. Used by [`crate::dials`].

use crate::clock;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p_webtransport_websys::{Connection, Error};
use send_wrapper::SendWrapper;
use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

/// Milliseconds between two tries: a fraction of a long path's round trip.
const PAUSE: i32 = 20;
/// Tries for one stream: 10 seconds, as long as whoever asks for a stream waits.
const TRIES: u32 = 500;
/// What a browser's refusal begins with; a session that has ended says something else.
const REFUSAL: &str = "NetworkError";

/// The session.
pub struct Patient {
    session: Connection,
    /// Until the next try.
    pause: Option<SendWrapper<Pin<Box<dyn Future<Output = ()>>>>>,
    tries: u32,
}

impl Patient {
    pub fn new(session: Connection) -> Self {
        Self {
            session,
            pause: None,
            tries: 0,
        }
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::JsError(text) if text.starts_with(REFUSAL))
}

impl StreamMuxer for Patient {
    type Substream = <Connection as StreamMuxer>::Substream;
    type Error = Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Error>> {
        Pin::new(&mut self.session).poll_inbound(context)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Error>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(Pin::new(&mut self.session).poll_outbound(context)) {
                Err(error) if is_refusal(&error) && self.tries < TRIES => {
                    self.tries += 1;
                    self.pause = Some(SendWrapper::new(Box::pin(clock::sleep(PAUSE))));
                }
                opened => {
                    self.tries = 0;
                    return Poll::Ready(opened);
                }
            }
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.session).poll_close(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Error>> {
        Pin::new(&mut self.session).poll(context)
    }
}

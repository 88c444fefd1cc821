//! WebRTC-direct, the last resort of browsers: the certificate whose hash stands in its address.
//!
//! Off unless the operator lists an address of it, since the library is young: a handshake that is given up leaves tasks behind, and it
//! remembers every address from which a first packet came. So it gets few handshakes and few connections, and is for networks whose
//! hosts are known. It reads messages of up to 8 KiB (webrtc-data 0.17's `PollDataChannel::clone` forgets the length that was
//! asked for; rust-libp2p#6557): our clients write no longer ones, others may fail on it. And it writes none that it would refuse itself
//! ([`Apart`]).

use super::NetworkError;
use crate::data_dir::write_whole;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p_webrtc::tokio::Certificate;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

/// Connections over WebRTC, at most: each has tasks and buffers of its own for ICE, DTLS and SCTP, about 2 MiB.
pub(super) const MAX_CONNECTIONS: usize = 16;
/// Handshakes under way at once.
pub(super) const MAX_HANDSHAKES: usize = 16;
/// Longest certificate file that is read.
const MAX_FILE: u64 = 64 * 1024;

/// The certificate in a file; made and written there, for its owner's eyes only, when there is none. It is not replaced:
/// its hash is part of the address, and nobody asks for how long it is valid.
pub(super) fn load_or_create(path: &Path) -> Result<Certificate, NetworkError> {
    // Its DTLS asks for the one of the process. Somebody else may have chosen one already.
    let _ = futures_rustls::rustls::crypto::ring::default_provider().install_default();
    let failed = |reason: String| NetworkError::WebRtcCertificate {
        path: path.to_owned(),
        reason,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => Err(failed("it is too long".to_owned())),
        Ok(_) => {
            let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
            // What is no such text makes the library panic.
            let parsed = std::panic::catch_unwind(|| Certificate::from_pem(&text));
            let parsed = parsed.map_err(|_| failed("it is no certificate".to_owned()))?;
            parsed.map_err(|e| failed(e.to_string()))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let made = Certificate::generate(&mut rand_for_webrtc::rng()).map_err(|e| failed(e.to_string()))?;
            write_whole(path, made.serialize_pem().as_bytes(), 0o600).map_err(|e| failed(e.to_string()))?;
            Ok(made)
        }
        Err(e) => Err(failed(e.to_string())),
    }
}

/// A connection, or a stream of it, that sends each piece of what is written apart.
///
/// libp2p-webrtc-utils 0.5 gathers what is written in a row, and hands it on as one message, of up to twice the 16 KiB that SCTP was
/// told; that fails, and the stream with it. So what was written before is sent before more is.
pub(super) struct Apart<T>(pub(super) T);

impl<M: StreamMuxer + Unpin> StreamMuxer for Apart<M>
where
    M::Substream: Unpin,
{
    type Substream = Apart<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_inbound(cx).map_ok(Apart)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_outbound(cx).map_ok(Apart)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Apart<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Apart<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::AsyncWriteExt;

    /// Gathers what is written until it is flushed, as libp2p-webrtc-utils does.
    #[derive(Default)]
    struct Gathering {
        gathered: usize,
        sent: Vec<usize>,
    }

    impl AsyncWrite for Gathering {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(16_377);
            self.gathered = self.gathered.saturating_add(taken);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let gathered = std::mem::take(&mut self.gathered);
            self.sent.extend((gathered > 0).then_some(gathered));
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_is_written_in_a_row_goes_out_in_messages_of_their_own() {
        let mut stream = Apart(Gathering::default());
        stream.write_all(&[0; 5]).await.expect("it takes all");
        stream.write_all(&[0; 20_000]).await.expect("it takes all");
        stream.flush().await.expect("it sends all");
        assert_eq!(stream.0.sent, [5, 16_377, 3_623]);
    }

    #[test]
    fn the_certificate_and_with_it_the_address_is_the_same_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("webrtc.pem");
        let made = load_or_create(&path).expect("a certificate");
        let again = load_or_create(&path).expect("a certificate");
        assert_eq!(made.fingerprint(), again.fingerprint());
        std::fs::write(&path, "nonsense").expect("written");
        assert!(matches!(
            load_or_create(&path),
            Err(NetworkError::WebRtcCertificate { .. })
        ));
    }
}

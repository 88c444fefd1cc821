//! WebRTC-direct, the last resort of browsers: the certificate whose hash stands in its address.
//!
//! Off unless the operator lists an address of it, since the library is young: a handshake that is given up leaves tasks behind, and it
//! remembers every address from which a first packet came. So it gets few handshakes and few connections, and is for networks whose
//! hosts are known. It reads messages of up to 8 KiB (webrtc-data 0.17's `PollDataChannel::clone` forgets the length that was
//! asked for; rust-libp2p#6557): our clients write no longer ones, others may fail on it.

use super::NetworkError;
use crate::data_dir::write_whole;
use libp2p_webrtc::tokio::Certificate;
use std::io;
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

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

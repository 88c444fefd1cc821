//! Secure WebSocket: TLS under the operator's certificate, which is read again when its files change.
//!
//! [`super::swarm`] listens with it; [`super::Network`] looks at the files now and again. Files that do not fit together (one is
//! replaced, the other not yet) or cannot be read change nothing: the certificate that was there stays in use, and health says why.

use super::listen::TransportKind;
use futures::{AsyncRead, AsyncWrite};
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::pki_types::pem::PemObject;
use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use futures_rustls::rustls::sign::CertifiedKey;
use futures_rustls::rustls::{self, ServerConfig};
use futures_rustls::server::TlsStream;
use futures_rustls::TlsAcceptor;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Transport};
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Longest file that is read: a chain of certificates has a few kilobytes.
const MAX_FILE: u64 = 256 * 1024;

/// The operator's certificate and key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{} is no {what} in PEM", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error("the certificate {} and the key {} do not go together: {reason}", files.certificate.display(), files.key.display())]
    Pair { files: TlsFiles, reason: String },
}

/// The certificate in use. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    files: TlsFiles,
    loaded: Arc<Mutex<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    /// What was in the files.
    read: Contents,
    key: Arc<CertifiedKey>,
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
        })
    }

    fn parse(&self, files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
        let pem = |path: &Path, what| TlsError::Pem {
            path: path.to_owned(),
            what,
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| pem(&files.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| pem(&files.key, "private key"))?;
        CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| TlsError::Pair {
            files: files.clone(),
            reason: error.to_string(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| TlsError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

impl Certificate {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let read = Contents::read(&files)?;
        let key = Arc::new(read.parse(&files)?);
        let loaded = Arc::new(Mutex::new(Loaded { read, key }));
        Ok(Self { files, loaded })
    }

    /// Takes what is in the files now; tells whether that is something else. Waits for the disk.
    pub(super) fn reload(&self) -> Result<bool, TlsError> {
        let read = Contents::read(&self.files)?;
        if read == self.loaded().read {
            return Ok(false);
        }
        let key = Arc::new(read.parse(&self.files)?);
        *self.loaded() = Loaded { read, key };
        Ok(true)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts TLS under whatever certificate is in use at that time.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.loaded().key.clone())
    }
}

/// A socket that somebody dialled, under TLS. This host dials nobody through it.
pub(super) async fn accept<S>(acceptor: TlsAcceptor, stream: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    acceptor.accept(stream).await
}

/// Gives the addresses of a WebSocket transport whose sockets are under TLS their `/tls`.
pub(super) struct Secure<T>(pub(super) T);

impl<T: Transport + Unpin> Transport for Secure<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        match TransportKind::of(&address) {
            Some(TransportKind::SecureWebSocket) => self.0.listen_on(id, plain(&address)),
            _ => Err(TransportError::MultiaddrNotSupported(address)),
        }
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    /// The other WebSocket transport can, by the certificates of authorities.
    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<T::Dial, TransportError<T::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<T::ListenerUpgrade, T::Error>> {
        Pin::new(&mut self.0).poll(context).map(|event| match event {
            TransportEvent::NewAddress {
                listener_id,
                listen_addr,
            } => TransportEvent::NewAddress {
                listener_id,
                listen_addr: secure(&listen_addr),
            },
            TransportEvent::AddressExpired {
                listener_id,
                listen_addr,
            } => TransportEvent::AddressExpired {
                listener_id,
                listen_addr: secure(&listen_addr),
            },
            TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr,
                send_back_addr,
            } => TransportEvent::Incoming {
                listener_id,
                upgrade,
                local_addr: secure(&local_addr),
                send_back_addr: secure(&send_back_addr),
            },
            other => other,
        })
    }
}

/// `/tls/ws` or `/wss` as `/ws`.
fn plain(address: &Multiaddr) -> Multiaddr {
    let without = address.iter().filter(|part| !matches!(part, Protocol::Tls));
    let as_ws = |part| match part {
        Protocol::Wss(path) => Protocol::Ws(path),
        other => other,
    };
    without.map(as_ws).collect()
}

/// `/ws` as `/tls/ws`.
fn secure(address: &Multiaddr) -> Multiaddr {
    let with_tls = |part| match part {
        ws @ Protocol::Ws(_) => vec![Protocol::Tls, ws],
        other => vec![other],
    };
    address.iter().flat_map(with_tls).collect()
}

/// Waits on the disk in a thread of its own.
pub(super) fn reloading(certificate: &Certificate) -> impl Future<Output = Result<bool, TlsError>> {
    let certificate = certificate.clone();
    let reading = tokio::task::spawn_blocking(move || certificate.reload());
    async move {
        reading
            .await
            .unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a certificate and its key.
    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().expect("a folder"));
            files.replace(true, true);
            files
        }

        fn paths(&self) -> TlsFiles {
            TlsFiles {
                certificate: self.0.path().join("fullchain.pem"),
                key: self.0.path().join("privkey.pem"),
            }
        }

        /// Replaces one or both by those of another certificate.
        fn replace(&self, certificate: bool, key: bool) {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
            if certificate {
                std::fs::write(self.paths().certificate, made.cert.pem()).expect("written");
            }
            if key {
                std::fs::write(self.paths().key, made.signing_key.serialize_pem()).expect("written");
            }
        }
    }

    fn in_use(certificate: &Certificate) -> CertificateDer<'static> {
        certificate.loaded().key.cert[0].clone()
    }

    #[test]
    fn a_certificate_that_was_renewed_is_taken_without_a_restart() {
        let files = Files::new();
        let certificate = Certificate::load(files.paths()).expect("a certificate");
        let first = in_use(&certificate);
        assert_eq!(certificate.reload(), Ok(false));
        files.replace(true, true);
        assert_eq!(certificate.reload(), Ok(true));
        assert_ne!(in_use(&certificate), first);
    }

    #[test]
    fn files_that_do_not_go_together_change_nothing_and_are_named() {
        let files = Files::new();
        let certificate = Certificate::load(files.paths()).expect("a certificate");
        let first = in_use(&certificate);
        files.replace(true, false);
        assert!(matches!(certificate.reload(), Err(TlsError::Pair { .. })));
        std::fs::write(files.paths().key, "nonsense").expect("written");
        assert!(matches!(
            certificate.reload(),
            Err(TlsError::Pem {
                what: "private key",
                ..
            })
        ));
        std::fs::remove_file(files.paths().certificate).expect("removed");
        assert!(matches!(certificate.reload(), Err(TlsError::File { .. })));
        assert_eq!(in_use(&certificate), first);
        files.replace(true, true);
        assert_eq!(certificate.reload(), Ok(true));
    }

    #[test]
    fn addresses_get_their_tls_and_lose_it_again() {
        let address = |text: &str| -> Multiaddr { text.parse().expect("a multiaddr") };
        let (with, without) = (
            address("/ip4/1.2.3.4/tcp/443/tls/ws"),
            address("/ip4/1.2.3.4/tcp/443/ws"),
        );
        assert_eq!((plain(&with), secure(&without)), (without.clone(), with));
        assert_eq!(plain(&address("/ip4/1.2.3.4/tcp/443/wss")), without);
    }
}

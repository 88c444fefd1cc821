//! TLS on the same ports as plain HTTP, by the operator's certificate.
//!
//! The first byte of a connection tells which of the two it is. With a certificate, only programs of this machine are served without
//! TLS: they know it by `127.0.0.1`, which no certificate names. Files that change are read anew: whoever renews them need not tell.

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::ServerConfig;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Time between two looks whether the files changed.
const LOOK: Duration = Duration::from_secs(10);
/// Longest file that is read, in bytes: a chain of certificates has some 10 KiB.
const MAX_PEM: u64 = 1 << 20;
/// The protocol that is spoken inside.
const HTTP: &[u8] = b"http/1.1";

/// Where the operator keeps a certificate and its key, both as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFiles {
    /// The certificate, and behind it those that sign it.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no PEM file of a {what}: {reason}", path.display())]
    Pem {
        path: PathBuf,
        what: &'static str,
        reason: String,
    },
    #[error("the key in {} does not belong to the certificate in {}, or is of no supported kind: {reason}", key.display(), certificate.display())]
    Key {
        certificate: PathBuf,
        key: PathBuf,
        reason: String,
    },
    #[error("TLS cannot be set up: {0}")]
    SetUp(#[from] rustls::Error),
}

/// What accepts TLS. Clones are the same.
#[derive(Clone)]
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// By the certificate in these files.
    pub fn open(files: PemFiles) -> Result<Self, TlsError> {
        let renewed = Renewed::open(files)?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_cert_resolver(Arc::new(renewed));
        config.alpn_protocols = vec![HTTP.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// A certificate that is read anew when its files change.
#[derive(Debug)]
struct Renewed {
    files: PemFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Arc<CertifiedKey>,
    /// When its files were changed last.
    changed: [Option<SystemTime>; 2],
    looked: Instant,
}

impl Renewed {
    fn open(files: PemFiles) -> Result<Self, TlsError> {
        let changed = changed(&files);
        let state = Mutex::new(State {
            now: Arc::new(read(&files)?),
            changed,
            looked: Instant::now(),
        });
        Ok(Self { files, state })
    }

    /// The certificate as it is now. One that cannot be read leaves the one before.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut state = lock(&self.state);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let changed = changed(&self.files);
            if changed != state.changed {
                match read(&self.files) {
                    Ok(read) => {
                        (state.now, state.changed) = (Arc::new(read), changed);
                        tracing::info!(certificate = %self.files.certificate.display(), "the certificate was renewed");
                    }
                    // Both files are not replaced at one moment: it is tried again.
                    Err(error) => {
                        tracing::warn!(%error, "the certificate changed and cannot be used; the one before stays")
                    }
                }
            }
        }
        state.now.clone()
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// A panic while the lock was held leaves whole values: each changes by one assignment.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn changed(files: &PemFiles) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|found| found.modified()).ok())
}

fn read(files: &PemFiles) -> Result<CertifiedKey, TlsError> {
    let refused = |path: &Path, what| {
        let path = path.to_owned();
        move |error: pem::Error| TlsError::Pem {
            path,
            what,
            reason: error.to_string(),
        }
    };
    let text = read_bounded(&files.certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(refused(&files.certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(refused(&files.certificate, "certificate")(pem::Error::NoItemsFound));
    }
    let text = read_bounded(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(refused(&files.key, "private key"))?;
    let unusable = |error: rustls::Error| TlsError::Key {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: error.to_string(),
    };
    let key = ring::sign::any_supported_type(&key).map_err(unusable)?;
    let read = CertifiedKey::new(chain, key);
    read.keys_match().map_err(unusable)?;
    Ok(read)
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_PEM {
        return Err(failed(io::Error::other("it is too long")));
    }
    fs::read(path).map_err(failed)
}

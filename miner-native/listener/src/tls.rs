//! TLS on the same ports as plain HTTP, by the operator's certificate.
//!
//! The first byte of a connection tells which of the two it is. With a certificate, only programs of this machine are served without
//! TLS: they know it by `127.0.0.1`, which no certificate names.

use crate::certificate::Certificate;
use rustls::crypto::ring;
use rustls::ServerConfig;
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The protocol that is spoken inside.
const HTTP: &[u8] = b"http/1.1";

/// What accepts TLS. Clones are the same.
#[derive(Clone)]
pub struct Tls {
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// Under whatever certificate is in use when somebody comes.
    pub fn under(certificate: &Certificate) -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config
            .expect("the provider has the usual versions")
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(certificate.clone()));
        config.alpn_protocols = vec![HTTP.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self { acceptor }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

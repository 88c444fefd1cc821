//! TLS to the server, where its URL asks for it (`sslmode=require`): the server's certificate is always checked, against the name by which it is reached and
//! the authorities that this machine trusts, or those of the PEM file that `SSL_CERT_FILE` names.

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What `libpq` calls a check of authority and name; its own `require` checks neither, which is of no use against whoever sits in between.
const CHECKED: &str = "sslmode=verify-full";
const REQUIRED: &str = "sslmode=require";

/// A URL as the client reads it.
pub(super) fn readable(url: &str) -> String {
    url.replace(CHECKED, REQUIRED)
}

/// Speaks TLS with a server whose certificate this machine trusts.
pub(super) fn connector() -> Result<MakeRustlsConnect, String> {
    trusting(rustls_native_certs::load_native_certs().certs)
}

/// The same with servers that these authorities stand for.
pub(super) fn trusting(authorities: Vec<CertificateDer<'static>>) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(authorities);
    if taken == 0 {
        return Err("this machine trusts no authority of certificates: install ca-certificates, or name a PEM file by SSL_CERT_FILE".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

//! TLS to the server, where its URL asks for it (`sslmode=require`): the server's certificate is always checked, against the name by which it is reached and
//! the authorities that this machine trusts, or those of the PEM file that `sslrootcert` in the URL names.

use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What `libpq` calls a check of authority and name; its own `require` checks neither, which is of no use against whoever sits in between.
const CHECKED: &str = "sslmode=verify-full";
const REQUIRED: &str = "sslmode=require";
/// What `libpq` calls the file of authorities.
const AUTHORITIES: &str = "sslrootcert=";

/// A URL as the client reads it, and the file of authorities that it names.
pub(super) fn readable(url: &str) -> (String, Option<PathBuf>) {
    let url = url.replace(CHECKED, REQUIRED);
    let Some((before, rest)) = url.split_once(AUTHORITIES) else {
        return (url, None);
    };
    let end = rest.find(|c: char| c == '&' || c.is_whitespace());
    let (file, after) = rest.split_at(end.unwrap_or(rest.len()));
    // The mark between two options goes with it.
    let after = after.strip_prefix('&').unwrap_or(after);
    let before = match after.is_empty() {
        true => before.trim_end_matches(['?', '&', ' ']),
        false => before,
    };
    (format!("{before}{after}"), Some(PathBuf::from(file)))
}

/// Speaks TLS with servers that the authorities of this file stand for, or those that this machine trusts.
pub(super) fn connector(authorities: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let found = match authorities {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
        None => rustls_native_certs::load_native_certs(),
    };
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let of = authorities.map_or("this machine".to_owned(), |file| file.display().to_string());
        return Err(format!(
            "{of} has no certificate of an authority that can be read; name a PEM file by sslrootcert in the URL, or install ca-certificates {}",
            why.join(", ")
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libpq_knows_of_tls_is_read_wherever_it_stands() {
        let file = Some(PathBuf::from("/etc/db.pem"));
        let cases = [
            (
                "postgres://u@h/d?sslmode=verify-full&sslrootcert=/etc/db.pem",
                "postgres://u@h/d?sslmode=require",
            ),
            (
                "postgres://u@h/d?sslrootcert=/etc/db.pem&sslmode=require",
                "postgres://u@h/d?sslmode=require",
            ),
            ("postgres://u@h/d?sslrootcert=/etc/db.pem", "postgres://u@h/d"),
            ("host=h sslrootcert=/etc/db.pem user=u", "host=h  user=u"),
            ("host=h user=u sslrootcert=/etc/db.pem", "host=h user=u"),
        ];
        for (url, read) in cases {
            assert_eq!(readable(url), (read.to_owned(), file.clone()));
            read.parse::<postgres::Config>().expect("the client reads it");
        }
        assert_eq!(readable("host=h"), ("host=h".to_owned(), None));
    }
}

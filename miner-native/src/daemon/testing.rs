//! What several tests of the daemon need.

use rcgen::{CertificateParams, KeyPair};
use sealdrop_listener::{Certificate, PemFiles};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A certificate of yesteryear that ends in so many days and a half, or did so long ago.
pub(super) fn certificate(dir: &Path, days: i64) -> Certificate {
    let (now, span) = (
        SystemTime::now(),
        Duration::from_secs(days.unsigned_abs() * 86_400 + 43_200),
    );
    let files = PemFiles {
        certificate: dir.join("fullchain.pem"),
        key: dir.join("privkey.pem"),
    };
    let key = KeyPair::generate().expect("a key");
    let mut asked = CertificateParams::new(vec!["storage.example".to_owned()]).expect("a name");
    asked.not_before = (now - Duration::from_secs(365 * 86_400)).into();
    asked.not_after = if days < 0 { now - span } else { now + span }.into();
    let made = asked.self_signed(&key).expect("a certificate");
    std::fs::write(&files.certificate, made.pem()).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    #[cfg(unix)]
    {
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&files.key, own).expect("it is ours");
    }
    Certificate::load(files).expect("a certificate")
}

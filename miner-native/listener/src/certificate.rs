//! The operator's certificate: what every listener speaks TLS under, that of chain and page and that of secure WebSocket.
//!
//! Its files may be replaced at any time, and whoever renews them need not tell: [`Certificate::reload`] is asked now and again. Files
//! that do not fit together (one is replaced, the other not yet) or cannot be read change nothing, the certificate before stays in use.

use crate::validity::{Trouble, Validity};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Longest file that is read, in bytes: a chain of certificates has some 10 KiB.
const MAX_FILE: u64 = 256 * 1024;
/// What the mode of a private file leaves to its group and to everybody.
const OTHERS: u32 = 0o077;

/// Where the operator keeps a certificate and its key, both as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFiles {
    /// The certificate, and behind it those that lead to its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no file: name the file itself", path.display())]
    NoFile { path: PathBuf },
    #[error("{} is longer than {MAX_FILE} bytes, which no {what} is", path.display())]
    TooLong { path: PathBuf, what: &'static str },
    #[error("{} is no PEM file of a {what}", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error("the key in {} does not belong to the certificate in {}, or is of no supported kind: {reason}", files.key.display(), files.certificate.display())]
    Pair { files: PemFiles, reason: String },
}

/// A key that is not its owner's alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} can be used by other users of this machine (mode {mode:03o}), who could pass for this daemon: `chmod 600` it", path.display())]
pub struct OpenKey {
    pub path: PathBuf,
    pub mode: u32,
}

/// The certificate in use. Clones are the same.
#[derive(Clone)]
pub struct Certificate {
    files: PemFiles,
    loaded: Arc<Mutex<Loaded>>,
}

struct Loaded {
    read: Contents,
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// What was in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// That in these files.
    pub fn load(files: PemFiles) -> Result<Self, TlsError> {
        let read = Contents::read(&files)?;
        let loaded = Arc::new(Mutex::new(Loaded::of(read, &files)?));
        Ok(Self { files, loaded })
    }

    /// Takes what is in the files now; tells whether that is something else. Waits for the disk.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let read = Contents::read(&self.files)?;
        if read == self.loaded().read {
            return Ok(false);
        }
        let loaded = Loaded::of(read, &self.files)?;
        *self.loaded() = loaded;
        Ok(true)
    }

    /// Whether others than its owner may read or replace the key's file as it is now. A file that is gone says so elsewhere.
    pub fn open_key(&self) -> Option<OpenKey> {
        let mode = mode(&std::fs::metadata(&self.files.key).ok()?);
        (mode & OTHERS != 0).then(|| OpenKey {
            path: self.files.key.clone(),
            mode,
        })
    }

    /// What is wrong with the time of the certificate in use, or will be soon.
    pub fn trouble_at(&self, now: SystemTime) -> Option<Trouble> {
        self.loaded().validity.trouble_at(now)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn of(read: Contents, files: &PemFiles) -> Result<Self, TlsError> {
        let key = read.parse(files)?;
        let validity = key.end_entity_cert().ok().and_then(|own| Validity::of(own));
        let validity = validity.ok_or_else(|| TlsError::Pem {
            path: files.certificate.clone(),
            what: "certificate",
        })?;
        let key = Arc::new(key);
        Ok(Self { read, key, validity })
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.loaded().key.clone())
    }
}

/// Without its key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.files).finish()
    }
}

impl Contents {
    fn read(files: &PemFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate, "certificate")?,
            key: read(&files.key, "private key")?,
        })
    }

    fn parse(&self, files: &PemFiles) -> Result<CertifiedKey, TlsError> {
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

#[cfg(unix)]
fn mode(file: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777
}

/// Other systems have no such modes.
#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    // Whoever opens a pipe waits for its other end, at the start for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(TlsError::NoFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read.map_err(unreadable)? as u64 > MAX_FILE {
        true => Err(TlsError::TooLong {
            path: path.to_owned(),
            what,
        }),
        false => Ok(bytes),
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

        fn paths(&self) -> PemFiles {
            PemFiles {
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

    #[test]
    fn a_certificates_time_is_that_of_the_one_in_use() {
        let day = |number: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number * 86_400);
        let files = Files::new();
        let until = |last: u64| {
            let key = rcgen::KeyPair::generate().expect("a key");
            let mut asked = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            (asked.not_before, asked.not_after) = (day(100).into(), day(last).into());
            let made = asked.self_signed(&key).expect("a certificate");
            std::fs::write(files.paths().certificate, made.pem()).expect("written");
            std::fs::write(files.paths().key, key.serialize_pem()).expect("written");
        };
        until(200);
        let certificate = Certificate::load(files.paths()).expect("one that is over is read, too");
        assert_eq!(certificate.trouble_at(day(99)), Some(Trouble::NotYet));
        assert_eq!(certificate.trouble_at(day(185)), None);
        assert_eq!(certificate.trouble_at(day(190)), Some(Trouble::EndsIn { days: 10 }));
        assert_eq!(certificate.trouble_at(day(201)), Some(Trouble::Over { days: 1 }));
        until(300);
        assert!(certificate.reload().expect("the files are right"));
        assert_eq!(certificate.trouble_at(day(201)), None);
    }

    fn in_use(certificate: &Certificate) -> CertificateDer<'static> {
        certificate.loaded().key.cert[0].clone()
    }

    #[test]
    fn a_certificate_that_was_renewed_is_taken_without_a_restart() {
        let files = Files::new();
        let certificate = Certificate::load(files.paths()).expect("a certificate");
        let first = in_use(&certificate);
        assert!(!certificate.reload().expect("the files are right"));
        files.replace(true, true);
        assert!(certificate.clone().reload().expect("the files are right"));
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
        let no_key = certificate.reload();
        assert!(matches!(
            no_key,
            Err(TlsError::Pem {
                what: "private key",
                ..
            })
        ));
        std::fs::remove_file(files.paths().certificate).expect("removed");
        assert!(matches!(certificate.reload(), Err(TlsError::Read { .. })));
        assert_eq!(in_use(&certificate), first);
        files.replace(true, true);
        assert!(certificate.reload().expect("the files are right"));
    }

    #[test]
    fn what_is_no_certificate_is_refused_from_the_start() {
        let files = Files::new().paths();
        assert!(matches!(Certificate::load(files), Err(TlsError::Read { .. })));
        let files = Files::new();
        let PemFiles { certificate, key } = files.paths();
        let swapped = Certificate::load(PemFiles {
            certificate: key,
            key: certificate,
        });
        assert!(matches!(swapped, Err(TlsError::Pem { .. })));
    }

    #[test]
    fn what_is_no_file_or_too_long_for_one_is_not_read() {
        let files = Files::new();
        let of = |certificate: PathBuf| {
            let key = files.paths().key;
            Certificate::load(PemFiles { certificate, key })
        };
        assert!(matches!(of(files.0.path().to_owned()), Err(TlsError::NoFile { .. })));
        #[cfg(unix)]
        assert!(matches!(of("/dev/zero".into()), Err(TlsError::NoFile { .. })));
        let mut long = std::fs::read(files.paths().certificate).expect("it was written");
        long.resize(MAX_FILE as usize + 1, b'#');
        std::fs::write(files.paths().certificate, long).expect("written");
        assert!(matches!(of(files.paths().certificate), Err(TlsError::TooLong { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_noticed_whenever_its_file_is_so() {
        use std::os::unix::fs::PermissionsExt;
        let files = Files::new();
        let certificate = Certificate::load(files.paths()).expect("a certificate");
        let path = files.paths().key;
        for (mode, is_open) in [
            (0o600, false),
            (0o400, false),
            (0o640, true),
            (0o644, true),
            (0o602, true),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
            let expected = is_open.then(|| OpenKey {
                path: path.clone(),
                mode,
            });
            assert_eq!(certificate.open_key(), expected);
        }
        let text = certificate.open_key().map(|key| key.to_string()).unwrap_or_default();
        assert!(
            text.contains("privkey.pem") && text.contains("mode 602") && text.contains("chmod 600"),
            "{text}"
        );
    }

    #[test]
    fn a_key_is_never_printed() {
        let files = Files::new();
        let key = std::fs::read_to_string(files.paths().key).expect("it was written");
        let printed = format!("{:?}", Certificate::load(files.paths()).expect("a certificate"));
        assert!(key.lines().all(|line| !printed.contains(line)), "{printed}");
    }
}

//! Certificates that browsers accept by their hash: which there are, when they change, and where they are kept.
//!
//! Such a certificate is ECDSA P-256, self-signed, and valid for 14 days at most. While one is in use its successor's hash is
//! announced with it, so that an address that somebody noted stays good until the successor goes out of use. Dialers also check
//! that the node confirms the hashes by which they came, so those that were in use are remembered while an address may name them.
//! [`super::transport`] asks for the change; [`super::session`] confirms the hashes.

use multihash::Multihash;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: Duration = Duration::from_secs(3600);
/// How long a certificate is valid. Browsers allow 14 days, the last second included.
pub(crate) const LIFE: Duration = Duration::from_secs(14 * 24 * 3600 - 60);
/// How long before and after its time in use a certificate is valid: clocks of dialers may be wrong by that.
pub(crate) const MARGIN: Duration = Duration::from_secs(24 * 3600);
/// How long a certificate is in use.
pub(crate) const IN_USE: Duration = Duration::from_secs(LIFE.as_secs() - 2 * MARGIN.as_secs());
/// Longest file of certificates that is read: two with their keys and a former one take 2 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// The code of SHA2-256 among multihashes.
const SHA2_256: u64 = 0x12;

/// Tells the time by which certificates are valid; tests have their own.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read or written.
    #[error("could not {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in the file are no such certificates.
    #[error("{} holds no certificates of this node ({reason}); move it away to have new ones made, by which peers that know the old address do not find the node", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("could not make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library does not take a certificate.
    #[error("the certificate is not usable: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) der: CertificateDer<'static>,
    key: Vec<u8>,
    from: SystemTime,
    until: SystemTime,
}

impl Certificate {
    /// One that comes into use at a time.
    fn for_use_from(start: SystemTime) -> Result<Self, CertificateError> {
        // Certificates count whole seconds.
        let seconds = start.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let from = UNIX_EPOCH + Duration::from_secs(seconds).saturating_sub(MARGIN);
        let until = from + LIFE;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Chromium refuses a certificate without any extension; a name in it is enough. Nobody looks at which.
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "libp2p");
        params.not_before = from.into();
        params.not_after = until.into();
        let der = params.self_signed(&key)?.der().clone();
        let key = key.serialize_der();
        Ok(Self { der, key, from, until })
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    pub(crate) fn hash(&self) -> Multihash<64> {
        hash_of(&self.der)
    }

    /// When its successor comes into use.
    fn ends(&self) -> SystemTime {
        self.from + MARGIN + IN_USE
    }
}

fn hash_of(der: &[u8]) -> Multihash<64> {
    Multihash::wrap(SHA2_256, &Sha256::digest(der)).expect("32 bytes fit into 64")
}

/// The certificate in use, its successor, and those that addresses may still name.
#[derive(Clone)]
struct Kept {
    current: Certificate,
    next: Certificate,
    former: Vec<(CertificateDer<'static>, SystemTime)>,
}

impl Kept {
    fn begin(now: SystemTime) -> Result<Self, CertificateError> {
        let current = Certificate::for_use_from(now)?;
        let next = Certificate::for_use_from(current.ends())?;
        let former = Vec::new();
        Ok(Self { current, next, former })
    }

    /// What is to be kept at a time, if that is something else.
    fn at(&self, now: SystemTime) -> Result<Option<Self>, CertificateError> {
        let mut kept = self.clone();
        // A clock that was put back, or a node that was off for longer than both live: whoever knows the address does not find it
        // any more either way.
        let is_foreign = now < kept.current.from || now >= kept.next.ends();
        if is_foreign {
            return Self::begin(now).map(Some);
        }
        if now < kept.current.ends() {
            return Ok(None);
        }
        let next = Certificate::for_use_from(kept.next.ends())?;
        let out_of_use = std::mem::replace(&mut kept.current, std::mem::replace(&mut kept.next, next));
        // An address that names it also names its successor, which is in use now.
        let named_until = kept.current.ends();
        kept.former.retain(|(_, until)| now < *until);
        kept.former.push((out_of_use.der, named_until));
        Ok(Some(kept))
    }

    fn to_pem(&self) -> String {
        let block = |tag: &str, bytes: &[u8]| pem::encode(&pem::Pem::new(tag, bytes));
        let with_key = [&self.current, &self.next]
            .into_iter()
            .flat_map(|one| [block("CERTIFICATE", &one.der), block("PRIVATE KEY", &one.key)]);
        let former = self.former.iter().map(|(der, _)| block("CERTIFICATE", der));
        with_key.chain(former).collect()
    }

    fn from_pem(text: &[u8]) -> Result<Self, String> {
        let blocks = pem::parse_many(text).map_err(|e| e.to_string())?;
        let mut blocks = blocks.into_iter().peekable();
        let (mut with_key, mut former) = (Vec::new(), Vec::new());
        while let Some(block) = blocks.next() {
            if block.tag() != "CERTIFICATE" {
                return Err(format!("a {} stands where a certificate should", block.tag()));
            }
            let der = CertificateDer::from(block.into_contents());
            let (from, until) = validity(&der)?;
            match blocks.next_if(|block| block.tag() == "PRIVATE KEY") {
                Some(key) => with_key.push(Certificate {
                    der,
                    key: key.into_contents(),
                    from,
                    until,
                }),
                None => former.push((der, until + IN_USE)),
            }
        }
        let [current, next] = <[Certificate; 2]>::try_from(with_key)
            .map_err(|found| format!("it has {} certificates with keys instead of two", found.len()))?;
        if current.until > next.until {
            return Err("the certificates are in the wrong order".to_owned());
        }
        Ok(Self { current, next, former })
    }
}

fn validity(der: &[u8]) -> Result<(SystemTime, SystemTime), String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|e| e.to_string())?;
    let time = |timestamp: i64| {
        let seconds = u64::try_from(timestamp).map_err(|_| "it is older than 1970".to_owned())?;
        Ok::<_, String>(UNIX_EPOCH + Duration::from_secs(seconds))
    };
    let validity = certificate.validity();
    Ok((
        time(validity.not_before.timestamp())?,
        time(validity.not_after.timestamp())?,
    ))
}

/// The certificates of a node, kept in a file that only its owner can read.
#[derive(Clone)]
pub struct Certificates {
    path: PathBuf,
    kept: Kept,
    clock: Clock,
}

impl Certificates {
    /// Those in the file; made and written there when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CertificateError> {
        Self::open_at(path, Arc::new(SystemTime::now))
    }

    /// The same by another clock.
    ///
    /// # Errors
    /// As [`Certificates::open`].
    pub fn open_at(path: impl Into<PathBuf>, clock: Clock) -> Result<Self, CertificateError> {
        let path = path.into();
        let now = clock();
        match read(&path)? {
            Some(kept) => {
                let this = Self { path, kept, clock };
                Ok(this.advanced()?.unwrap_or(this))
            }
            None => {
                let kept = Kept::begin(now)?;
                write(&path, &kept)?;
                Ok(Self { path, kept, clock })
            }
        }
    }

    /// Those of now, when they have changed: written first, so that what is announced is there after a crash.
    pub(crate) fn advanced(&self) -> Result<Option<Self>, CertificateError> {
        let Some(kept) = self.kept.at((self.clock)())? else {
            return Ok(None);
        };
        write(&self.path, &kept)?;
        Ok(Some(Self {
            path: self.path.clone(),
            kept,
            clock: self.clock.clone(),
        }))
    }

    /// How long to wait before it is asked again whether they change: an hour at most, since a clock may be put forward.
    pub(crate) fn look_again_after(&self) -> Duration {
        let left = self.kept.current.ends().duration_since((self.clock)());
        left.unwrap_or_default().clamp(Duration::from_secs(1), HOUR)
    }

    /// The one in use.
    pub(crate) fn current(&self) -> &Certificate {
        &self.kept.current
    }

    /// The hashes that stand in addresses.
    pub fn announced(&self) -> [Multihash<64>; 2] {
        [self.kept.current.hash(), self.kept.next.hash()]
    }

    /// The hashes by which a dialer may have come.
    pub(crate) fn confirmed(&self) -> HashSet<Multihash<64>> {
        let former = self.kept.former.iter().map(|(der, _)| hash_of(der));
        former.chain(self.announced()).collect()
    }
}

fn file_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CertificateError + 'a {
    move |source| CertificateError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<Option<Kept>, CertificateError> {
    let damaged = |reason: String| CertificateError::Damaged {
        path: path.to_owned(),
        reason,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => return Err(damaged("it is too long".to_owned())),
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(file_error("read", path)(e)),
    }
    let text = fs::read(path).map_err(file_error("read", path))?;
    Kept::from_pem(&text).map(Some).map_err(damaged)
}

/// Replaces the file as a whole.
fn write(path: &Path, kept: &Kept) -> Result<(), CertificateError> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(kept.to_pem().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        #[cfg(unix)]
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    written().map_err(file_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A clock that a test turns, and certificates that go by it.
    struct World {
        dir: tempfile::TempDir,
        now: Arc<Mutex<SystemTime>>,
    }

    impl World {
        fn new() -> Self {
            let start = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            Self {
                dir: tempfile::tempdir().expect("a folder"),
                now: Arc::new(Mutex::new(start)),
            }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("certificates.pem")
        }

        fn open(&self) -> Result<Certificates, CertificateError> {
            let now = self.now.clone();
            Certificates::open_at(self.path(), Arc::new(move || *now.lock().expect("not poisoned")))
        }

        fn after(&self, span: Duration) {
            *self.now.lock().expect("not poisoned") += span;
        }

        fn now(&self) -> SystemTime {
            *self.now.lock().expect("not poisoned")
        }
    }

    #[test]
    fn a_browser_takes_the_certificate_at_any_time_of_its_use() {
        let world = World::new();
        let mut certificates = world.open().expect("certificates");
        for _ in 0..40 {
            let current = certificates.current();
            let (from, until) = validity(&current.der).expect("a certificate");
            assert!(until.duration_since(from).expect("in order") <= DAY * 14 - Duration::from_secs(1));
            // Also by a clock that is almost a day wrong.
            assert!(from + DAY <= world.now() && world.now() < until - DAY + Duration::from_secs(2));
            world.after(DAY);
            if let Some(changed) = certificates.advanced().expect("written") {
                certificates = changed;
            }
        }
    }

    #[test]
    fn an_address_stays_good_for_twelve_days_whenever_it_was_noted() {
        let world = World::new();
        let mut certificates = world.open().expect("certificates");
        for noted_after in 0..24 {
            let noted = certificates.announced();
            let mut later = certificates.clone();
            for _ in 0..11 {
                world.after(DAY);
                if let Some(changed) = later.advanced().expect("written") {
                    later = changed;
                }
                assert!(noted.contains(&later.current().hash()), "noted on day {noted_after}");
                let confirmed = later.confirmed();
                assert!(
                    noted.iter().all(|hash| confirmed.contains(hash)),
                    "noted on day {noted_after}"
                );
            }
            *world.now.lock().expect("not poisoned") -= DAY * 10;
            if let Some(changed) = certificates.advanced().expect("written") {
                certificates = changed;
            }
        }
    }

    #[test]
    fn certificates_are_the_same_after_a_restart_and_only_their_owner_can_read_them() {
        let world = World::new();
        let first = world.open().expect("certificates");
        assert_eq!(world.open().expect("certificates").announced(), first.announced());
        world.after(IN_USE);
        let after_rotation = world.open().expect("certificates");
        assert_eq!(after_rotation.announced()[0], first.announced()[1]);
        let again = world.open().expect("certificates");
        assert_eq!(again.announced(), after_rotation.announced());
        assert!(again.confirmed().contains(&first.announced()[0]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(world.path()).expect("the file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_node_that_was_off_for_long_or_whose_clock_was_put_back_begins_anew() {
        let world = World::new();
        let first = world.open().expect("certificates").announced();
        world.after(DAY * 100);
        let second = world.open().expect("certificates");
        assert!(first.iter().all(|hash| !second.confirmed().contains(hash)));
        *world.now.lock().expect("not poisoned") -= DAY * 50;
        let third = world.open().expect("certificates");
        assert!(third.announced() != second.announced());
        assert!(third.current().from <= world.now());
    }

    #[test]
    fn what_was_in_use_is_forgotten_when_no_address_can_name_it() {
        let world = World::new();
        let mut certificates = world.open().expect("certificates");
        for _ in 0..10 {
            world.after(IN_USE);
            certificates = certificates.advanced().expect("written").expect("a change");
            assert!(
                certificates.confirmed().len() <= 4,
                "{}",
                certificates.confirmed().len()
            );
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let world = World::new();
        for text in [
            "",
            "nonsense",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            fs::write(world.path(), text).expect("written");
            assert!(
                matches!(world.open(), Err(CertificateError::Damaged { .. })),
                "{text:?}"
            );
        }
        fs::write(world.path(), vec![b'-'; MAX_FILE as usize + 1]).expect("written");
        assert!(matches!(world.open(), Err(CertificateError::Damaged { .. })));
    }
}

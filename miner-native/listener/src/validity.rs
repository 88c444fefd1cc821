//! From when until when the operator's certificate is valid: one that is not yet, or no longer, is served all the same, and everybody who
//! checks it turns away, so that its operator must hear of it, and before.
//!
//! Called by [`crate::Certificate`] for whoever shows it: the daemon's health, its log and `config check`.

use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How long before its end a certificate is spoken of. Programs renew one that has a third of its time left, 30 days of the
/// usual 90: with two weeks left theirs has failed, and there is time to look after it.
const WARNED_BEFORE: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// The seconds of Unix time between which a certificate is valid, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    first: i64,
    last: i64,
}

/// What is wrong with a certificate's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(
        "the certificate is not valid yet, so nobody accepts it: check this machine's clock, or wait for its first day"
    )]
    NotYet,
    #[error("the certificate ends in {days} days: renew it; files that were replaced are read without a restart")]
    EndsIn { days: u64 },
    #[error("the certificate ended {days} days ago, so nobody accepts it any more: renew it; files that were replaced are read without a restart")]
    Over { days: u64 },
}

impl Trouble {
    /// Whether those who check the certificate turn away already.
    pub fn is_now(&self) -> bool {
        !matches!(self, Self::EndsIn { .. })
    }
}

impl Validity {
    /// `None` for what is no X.509 certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        Some(Self {
            first: validity.not_before.timestamp(),
            last: validity.not_after.timestamp(),
        })
    }

    pub fn trouble_at(&self, now: SystemTime) -> Option<Trouble> {
        // A clock before 1970 is before every certificate.
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(i64::MIN, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let days = self.last.abs_diff(now) / DAY;
        if now < self.first {
            return Some(Trouble::NotYet);
        }
        if now > self.last {
            return Some(Trouble::Over { days });
        }
        (self.last.abs_diff(now) < WARNED_BEFORE.as_secs()).then_some(Trouble::EndsIn { days })
    }
}

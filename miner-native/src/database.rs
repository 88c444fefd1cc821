//! Opening a database that somebody has only just closed.

use std::time::{Duration, Instant};

/// How long somebody who is closing a database is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Opens a database, waiting up to 5 s for whoever has it open: sled's own threads let go of a file a little after its
/// last handle, and so does a process that is being started while the file is open.
///
/// # Errors
/// Those of [`sled::Config::open`]; [`is_held`] tells that somebody else has it open for good.
pub(crate) fn open(config: &sled::Config) -> sled::Result<sled::Db> {
    let started = Instant::now();
    open_while(config, || {
        std::thread::sleep(PAUSE);
        started.elapsed() < PATIENCE
    })
}

/// Opens it, asking `wait` every time it is held.
fn open_while(config: &sled::Config, mut wait: impl FnMut() -> bool) -> sled::Result<sled::Db> {
    loop {
        match config.open() {
            Err(error) if is_held(&error) && wait() => {}
            opened => return opened,
        }
    }
}

/// Whether it could not be opened because somebody else has it open. sled gives this no variant of its own.
pub(crate) fn is_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_being_closed_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let config = sled::Config::new().path(dir.path());
        let mut holder = Some(config.open().unwrap());
        let opened = open_while(&config, || {
            drop(holder.take());
            std::thread::yield_now();
            true
        });
        assert!(opened.is_ok() && holder.is_none());
    }

    #[test]
    fn a_database_that_stays_open_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let _holder = sled::open(dir.path()).unwrap();
        let refused = open_while(&sled::Config::new().path(dir.path()), || false).unwrap_err();
        assert!(is_held(&refused));
    }
}

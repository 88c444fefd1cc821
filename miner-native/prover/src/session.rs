//! The process-wide set-up of filecoin-proofs, and the fence around every call into it.
//!
//! filecoin-proofs reads its directories from the environment once, at its first use, and keeps them for
//! the life of the process; it panics where others return errors. `init` comes before anything else in
//! this crate but `params`; `guarded` turns panics into errors. Next: `sector` seals, `verify` checks.

use crate::error::{tells_shortage, Error};
use crate::params::Source;
use std::any::Any;
use std::env;
use std::fmt::Display;
use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use storage_proofs_core::settings::SETTINGS;

const PARAMETER_VARIABLE: &str = "FIL_PROOFS_PARAMETER_CACHE";
const PARENT_VARIABLE: &str = "FIL_PROOFS_PARENT_CACHE";
/// A half-written parent cache is taken as it is unless this is set; then it is hashed and remade.
const VERIFY_VARIABLE: &str = "FIL_PROOFS_VERIFY_CACHE";
/// Makes filecoin-proofs itself refuse parameters that are not the official ones, each time it loads some.
const OFFICIAL_VARIABLE: &str = "FIL_PROOFS_VERIFY_PRODUCTION_PARAMS";

/// What this process was told by [`init`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where parameters lie.
    pub params: PathBuf,
    /// Where parent caches lie.
    pub parents: PathBuf,
    /// Whose parameters they are.
    pub source: Source,
}

static SESSION: Mutex<Option<Session>> = Mutex::new(None);

/// Tells filecoin-proofs where parameters and parent caches live; creates both directories. To be called
/// once, early (it sets environment variables, so before other threads read them); calling it again with
/// the same directories does nothing.
///
/// The parent cache is an acceleration structure of the sealing graph (14 MB for 8 MiB sectors, 0.94 GB
/// for 512 MiB), made at the first sealing of a size.
///
/// Proofs are made and verified with generated parameters only: see [`params`](crate::params).
///
/// # Errors
/// [`Error::AlreadyInitialised`] for other directories than the first call's;
/// [`Error::SettingsOverridden`] if filecoin-proofs took its settings from elsewhere.
pub fn init(params_dir: &Path, parent_cache_dir: &Path) -> Result<(), Error> {
    init_from(params_dir, parent_cache_dir, Source::Generated)
}

/// [`init`], for proofs with parameters of either source. With [`Source::Official`] no proof is made or accepted by
/// any others, and filecoin-proofs hashes a parameter file once more when it first loads it.
///
/// # Errors
/// Those of [`init`], for another source than the first call's, too.
pub fn init_from(params_dir: &Path, parent_cache_dir: &Path, source: Source) -> Result<(), Error> {
    let asked = Session {
        params: directory(params_dir)?,
        parents: directory(parent_cache_dir)?,
        source,
    };
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(have) = session.as_ref() {
        if *have == asked {
            return Ok(());
        }
        return Err(Error::AlreadyInitialised {
            params: have.params.clone(),
            parents: have.parents.clone(),
        });
    }
    env::set_var(PARAMETER_VARIABLE, text(&asked.params)?);
    env::set_var(PARENT_VARIABLE, text(&asked.parents)?);
    if env::var_os(VERIFY_VARIABLE).is_none() {
        env::set_var(VERIFY_VARIABLE, "true");
    }
    match source {
        Source::Official => env::set_var(OFFICIAL_VARIABLE, "true"),
        Source::Generated => env::remove_var(OFFICIAL_VARIABLE),
    }
    let settings = guarded("reading settings", || {
        let found = (SETTINGS.parameter_cache.clone(), SETTINGS.parent_cache.clone());
        Ok::<_, String>(found)
    })?;
    let found = Session {
        params: settings.0.into(),
        parents: settings.1.into(),
        source,
    };
    let strict = SETTINGS.verify_production_params == (source == Source::Official);
    if found != asked || !strict {
        return Err(Error::SettingsOverridden {
            params: found.params,
            parents: found.parents,
        });
    }
    *session = Some(asked);
    Ok(())
}

/// What [`init`] was told, for a process that is to go by the same.
///
/// # Errors
/// [`Error::NotInitialised`] before `init`.
pub fn session() -> Result<Session, Error> {
    let session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    session.clone().ok_or(Error::NotInitialised)
}

/// The parameter directory, or an error before `init`.
pub(crate) fn params_dir() -> Result<PathBuf, Error> {
    Ok(session()?.params)
}

/// The parent cache directory, or an error before `init`.
pub(crate) fn parents_dir() -> Result<PathBuf, Error> {
    Ok(session()?.parents)
}

/// Where the parameters come from; generated ones before `init`.
pub(crate) fn source() -> Source {
    session().map_or(Source::Generated, |session| session.source)
}

/// Creates a directory and makes its name absolute.
fn directory(path: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    fs::canonicalize(path).map_err(Error::io("find", path))
}

fn text(path: &Path) -> Result<&str, Error> {
    path.to_str()
        .ok_or_else(|| Error::PathNotText { path: path.to_owned() })
}

/// Runs a call into filecoin-proofs; an error or a panic becomes [`Error::Proofs`] or [`Error::Panicked`], and one that tells of
/// a full disk or of no file descriptors [`Error::Shortage`].
///
/// The library's in-memory caches are only filled with complete entries and its other state belongs to
/// the call, so going on after a panic is sound; a replica touched by the failed call is not: see `sector`.
pub(crate) fn guarded<T, E: Display>(step: &'static str, call: impl FnOnce() -> Result<T, E>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match format!("{error:#}") {
            reason if tells_shortage(&reason) => Error::Shortage { step, reason },
            reason => Error::Proofs { step, reason },
        }),
        Err(panic) => Err(match panic_text(panic.as_ref()) {
            reason if tells_shortage(&reason) => Error::Shortage { step, reason },
            reason => Error::Panicked { step, reason },
        }),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => "unknown panic".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_full_disk_or_a_lack_of_descriptors_is_told_from_what_is_wrong_with_a_sector() {
        for code in [28, 24, 23] {
            let shortage = || io::Error::from_raw_os_error(code);
            let told = guarded::<(), _>("a step", || Err(format!("layer 1: {}", shortage())));
            assert!(matches!(told, Err(Error::Shortage { .. })), "{told:?}");
            let panicked = guarded::<(), String>("a step", || panic!("called unwrap on {:?}", shortage().to_string()));
            assert!(matches!(panicked, Err(Error::Shortage { .. })), "{panicked:?}");
            assert!(crate::is_shortage(&shortage()));
        }
        let damaged = io::Error::from_raw_os_error(5);
        assert!(!crate::is_shortage(&damaged));
        let told = guarded::<(), _>("a step", || Err(damaged.to_string()));
        assert!(matches!(told, Err(Error::Proofs { .. })), "{told:?}");
    }
}

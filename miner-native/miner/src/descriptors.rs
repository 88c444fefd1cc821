//! File descriptors: as many as the system lets this process have. Peers' connections, blocks' files and the database share them, and
//! without any a block cannot be kept.

/// Raises the limit of open files to the highest that this user may have; the start goes on with what there is.
pub fn raise_limit() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{getrlimit, setrlimit, Resource};
        let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
            // Some systems say "unlimited" and refuse it.
            let wanted = hard.min(MOST).max(soft);
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
        });
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
}

/// As many as a process of this user may have, where the system says so.
pub fn most() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{getrlimit, Resource};
        getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard)
    }
    #[cfg(not(unix))]
    None
}

/// More than all bounded connections and files together need.
#[cfg(unix)]
const MOST: u64 = 65_536;

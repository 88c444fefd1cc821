//! Runs a program on one of the network's hosts.

use std::ffi::c_int;
use std::fs::File;
use std::io::Error;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Becomes the program, in the namespace at this path (`/proc/PID/fd/N`); returns only when that cannot be, with the reason.
pub fn enter(namespace: &str, program: &str, arguments: &[String]) -> String {
    if let Err(reason) = join(Path::new(namespace)) {
        return format!("{namespace} cannot be entered: {reason}");
    }
    // SAFETY: prctl with these arguments touches no memory. Whoever started this dies with its tests; nobody else would end it.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let reason = Command::new(program).args(arguments).exec();
    format!("{program} cannot be started: {reason}")
}

fn join(namespace: &Path) -> Result<(), Error> {
    let network = File::open(namespace)?;
    // The network's process is root in a user namespace of its own where it is not root already.
    let users = namespace.ancestors().nth(2).map(|process| process.join("ns/user"));
    if let Some(users) = users.filter(|users| is_another(users)) {
        set(&File::open(users)?, libc::CLONE_NEWUSER)?;
    }
    set(&network, libc::CLONE_NEWNET)
}

fn is_another(users: &Path) -> bool {
    let inode = |path: &Path| std::fs::metadata(path).map(|about| about.ino()).ok();
    inode(users) != inode(Path::new("/proc/self/ns/user"))
}

fn set(namespace: &File, kind: c_int) -> Result<(), Error> {
    // SAFETY: setns takes two numbers and touches no memory.
    match unsafe { libc::setns(namespace.as_raw_fd(), kind) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

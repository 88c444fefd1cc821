//! Ctrl-C and its like (finding E3): a command ends at once, and leaves none of its files under way behind. Deals need no
//! more: what was done is on the disk before it is told, and `client resume` goes on.
//!
//! A signal that whoever started the command has it ignore (`nohup`, a shell's background job) stays ignored.

use super::client::keys::show_again;
use crate::client::partial;
use crate::terminal::escaped;
use dialoguer::console::Term;
use sealdrop_miner::console;

/// Ends the process with 128 and the signal's number, as shells say it, when one of the signals comes.
#[cfg(unix)]
pub async fn end_cleanly() {
    use tokio::signal::unix::{signal, SignalKind};
    let ignored = ignored();
    let listen = |kind: SignalKind| {
        let number = kind.as_raw_value();
        let is_ignored = ignored & (1 << (number - 1)) != 0;
        // To listen to one that is ignored would end that.
        let stream = (!is_ignored).then(|| signal(kind).ok()).flatten();
        async move {
            match stream {
                Some(mut stream) => drop(stream.recv().await),
                None => std::future::pending().await,
            }
            number
        }
    };
    let number = tokio::select! {
        number = listen(SignalKind::interrupt()) => number,
        number = listen(SignalKind::terminate()) => number,
        number = listen(SignalKind::hangup()) => number,
    };
    leave();
    std::process::exit(128 + number);
}

#[cfg(not(unix))]
pub async fn end_cleanly() {
    if tokio::signal::ctrl_c().await.is_ok() {
        leave();
        std::process::exit(130);
    }
}

/// Leaves nothing behind, not even a terminal without its cursor, which questions hide, or without an echo, which a passphrase does
/// not have; and says what stays.
fn leave() {
    let terminal = Term::stderr();
    if terminal.is_term() {
        let _ = terminal.show_cursor();
    }
    show_again();
    for path in partial::abandon_all() {
        console::stderr(&escaped(&partial::told_of(&path)));
    }
}

/// The signals that this process ignores from its start, a bit each; none where the system does not say.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

//! The signals that a daemon goes by: two stop it, one has it read its configuration anew ([`super::reloading`]).

use super::DaemonError;

/// The signals that stop the daemon.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> Result<Self, DaemonError> {
        use tokio::signal::unix::{signal, SignalKind};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(DaemonError::Signal)?,
            interrupt: signal(SignalKind::interrupt()).map_err(DaemonError::Signal)?,
        })
    }

    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn listen() -> Result<Self, DaemonError> {
        Ok(Self {})
    }

    pub(super) async fn any(&mut self) {
        // An error means that no signal can come: then only the process's end stops it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The signal that has the configuration read anew.
pub(super) struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    /// Listens for it, unless the daemon hangs on a terminal: there it means that the terminal is gone, and ends the daemon as ever.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, DaemonError> {
        use std::io::IsTerminal;
        use tokio::signal::unix::{signal, SignalKind};
        let is_foreground = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
        let signal = (!is_foreground).then(|| signal(SignalKind::hangup())).transpose();
        let signal = signal.map_err(DaemonError::Signal)?;
        Ok(Self { signal })
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Result<Self, DaemonError> {
        Ok(Self {})
    }

    /// Returns when it came; never where nobody listens.
    pub(super) async fn come(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            if signal.recv().await.is_some() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

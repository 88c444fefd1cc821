//! Reads the configuration anew while the daemon runs (SIGHUP, `systemctl reload`): the miner's settings and the log's levels hold at once;
//! of what holds from a start on only, the log says what has changed. A file that is wrong changes nothing, and health says why.

use super::signals::Hangup;
use super::DaemonConfig;
use sealdrop_database::blocking;
use sealdrop_miner::ask_publisher::{self, AskPublisher};
use sealdrop_miner::logging::Log;
use sealdrop_miner::operator::{ConfigurationEntry, ConfigurationView};
use sealdrop_miner::supervisor::{Lifeline, ServiceError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(10);
/// How long an ask with a new price may take to get into a block before health says so.
const ASK_LIMIT: Duration = Duration::from_secs(600);
/// What health calls it.
const FILE: &str = "configuration";
/// The log's levels, which hold at once.
const FILTER: &str = "log.filter";

/// Reads the configuration as it is now; fails with words.
pub type Read = Arc<dyn Fn() -> Result<DaemonConfig, String> + Send + Sync>;

/// What follows the configuration.
#[derive(Clone)]
pub(super) struct Reloading {
    pub(super) read: Read,
    pub(super) log: Log,
    pub(super) publisher: AskPublisher,
    /// What holds now, by key.
    pub(super) shown: Arc<Mutex<ConfigurationView>>,
}

impl Reloading {
    /// Waits for the signal until it is to stop.
    pub(super) async fn run(self, lifeline: Lifeline) -> Result<(), ServiceError> {
        let mut hangup = Hangup::listen()?;
        loop {
            tokio::select! {
                () = lifeline.stopping() => return Ok(()),
                () = tokio::time::sleep(BEAT) => lifeline.beat(),
                () = hangup.come() => {
                    let reloading = lifeline.busy(ASK_LIMIT, self.reload());
                    match lifeline.unless_stopping(reloading).await {
                        Some(Ok(())) => lifeline.well(FILE),
                        Some(Err(reason)) => {
                            tracing::error!(reason, "the configuration stays as it was");
                            lifeline.failing(FILE, &reason);
                        }
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    async fn reload(&self) -> Result<(), String> {
        let config = blocking(|| (self.read)())?;
        let before = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let changed = changed(&before, &config.shown);
        if let (true, Some(filter)) = (changed.iter().any(|key| key == FILTER), &config.log.filter) {
            self.log.follow_filter(filter).map_err(|error| error.to_string())?;
        }
        let settings = ask_publisher::change(&self.publisher, &config.settings).await;
        settings.map_err(|error| error.to_string())?;
        let later: Vec<&str> = changed
            .iter()
            .filter(|key| holds_later(&config.shown, key))
            .map(String::as_str)
            .collect();
        tracing::info!(changed = changed.join(", "), "the configuration was read anew");
        if !later.is_empty() {
            tracing::warn!(
                keys = later.join(", "),
                "these hold from the next start on: start the daemon anew for them"
            );
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.entries = merged(&before.entries, config.shown.entries);
        Ok(())
    }
}

/// Whether a change of this key holds from the next start on.
fn holds_later(view: &ConfigurationView, key: &str) -> bool {
    let entry = view.entries.iter().find(|entry| entry.key == key);
    key != FILTER && entry.is_none_or(|entry| entry.changes_at_start)
}

/// Keys whose values differ.
fn changed(before: &ConfigurationView, after: &ConfigurationView) -> Vec<String> {
    let value = |view: &ConfigurationView, key: &str| {
        let entry = view.entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.clone())
    };
    let all = before.entries.iter().chain(&after.entries).map(|entry| &entry.key);
    let mut keys: Vec<String> = all
        .filter(|key| value(before, key) != value(after, key))
        .cloned()
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

/// What holds now: what is read anew, but for the keys of the start, which stay.
fn merged(before: &[ConfigurationEntry], after: Vec<ConfigurationEntry>) -> Vec<ConfigurationEntry> {
    let stays = |entry: &ConfigurationEntry| entry.changes_at_start && entry.key != FILTER;
    let kept = before.iter().filter(|entry| stays(entry)).cloned();
    kept.chain(after.into_iter().filter(|entry| !stays(entry))).collect()
}

impl std::fmt::Debug for Reloading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reloading")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(entries: &[(&str, &str, bool)]) -> ConfigurationView {
        let entry = |(key, value, changes_at_start): &(&str, &str, bool)| ConfigurationEntry {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            source: "file".to_owned(),
            changes_at_start: *changes_at_start,
        };
        ConfigurationView {
            entries: entries.iter().map(entry).collect(),
        }
    }

    #[test]
    fn what_holds_from_a_start_on_is_told_and_not_shown_as_if_it_held() {
        let before = view(&[("web.port", "1", true), ("mining.takesDeals", "true", false)]);
        let after = view(&[
            ("web.port", "2", true),
            ("mining.takesDeals", "false", false),
            ("log.filter", "info", true),
        ]);
        let keys = changed(&before, &after);
        assert_eq!(keys, ["log.filter", "mining.takesDeals", "web.port"]);
        let later: Vec<&String> = keys.iter().filter(|key| holds_later(&after, key)).collect();
        assert_eq!(later, ["web.port"]);
        let merged = merged(&before.entries, after.entries);
        let value = |key: &str| {
            merged
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| entry.value.as_str())
        };
        assert_eq!(
            (value("web.port"), value("mining.takesDeals"), value("log.filter")),
            (Some("1"), Some("false"), Some("info"))
        );
    }
}

//! The log's last lines, for the operator's page.

use crate::clock::now_ms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::Layer;

/// Lines that are kept: an hour of a quiet miner, half a megabyte at most.
pub const MAX_LINES: usize = 1000;
/// Longest line that is kept whole, in bytes.
const MAX_TEXT: usize = 500;

/// The log's last lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogTail {
    /// Which lines there are, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// The oldest first.
    pub lines: Vec<LogLine>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Milliseconds since 1970.
    pub at: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// Where in the program it was written.
    pub target: String,
    /// What happened, then its fields.
    pub text: String,
}

/// Keeps the last lines. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<(Level, LogLine)>>>);

impl Tail {
    /// At most `most` lines of `level` and worse, the oldest first.
    pub(super) fn last(&self, most: usize, level: Level) -> Vec<LogLine> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = lines.iter().rev().filter(|(of, _)| *of <= level).take(most);
        let mut found: Vec<LogLine> = wanted.map(|(_, line)| line.clone()).collect();
        found.reverse();
        found
    }
}

impl<S: Subscriber> Layer<S> for Tail {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let line = LogLine {
            at: now_ms(),
            level: metadata.level().as_str().to_ascii_lowercase(),
            target: metadata.target().to_owned(),
            text: text.whole(),
        };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MAX_LINES {
            lines.pop_front();
        }
        lines.push_back((*metadata.level(), line));
    }
}

/// The message, and behind it the fields; no more than [`MAX_TEXT`] bytes of either is ever held.
#[derive(Default)]
struct Text {
    message: Bounded,
    fields: Bounded,
}

impl Text {
    fn whole(self) -> String {
        let mut whole = self.message;
        // Never fails: what is too much is left out.
        let _ = whole.write_str(&self.fields.0);
        whole.0
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => self.message.write_str(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT.saturating_sub(self.0.len());
        let fits = (0..=room.min(text.len())).rev().find_map(|end| text.get(..end));
        self.0.push_str(fits.unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn the_last_lines_are_kept_with_their_fields_and_no_more_than_there_is_room_for() {
        let tail = Tail::default();
        let subscriber = tracing_subscriber::registry().with(tail.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(sector = 7, "the first goes");
            for number in 0..MAX_LINES {
                tracing::info!(number, text = "é".repeat(MAX_TEXT), "a line");
            }
            tracing::error!(deal = %"bafy", "it failed");
        });
        let all = tail.last(usize::MAX, Level::TRACE);
        assert_eq!(all.len(), MAX_LINES);
        assert!(all.iter().all(|line| line.text.len() <= MAX_TEXT));
        assert_eq!(all.last().map(|line| line.text.as_str()), Some("it failed deal=bafy"));
        let worst = tail.last(5, Level::WARN);
        assert_eq!(
            worst.iter().map(|line| line.level.as_str()).collect::<Vec<_>>(),
            ["error"]
        );
    }
}

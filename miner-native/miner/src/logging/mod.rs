//! The daemon's log: text or JSON, to standard error or to files of a day each, at levels that change while it runs; its last lines are kept
//! for the operator's page ([`tail`]).
//!
//! Started by the command line before anything else, as text on standard error; [`Log::configure`] follows when the configuration has
//! been read. Under systemd the journal takes standard error and does the rotation. Nothing here stops or panics anything, whatever
//! becomes of the log ([`crate::console`]).

mod tail;

pub use tail::{LogLine, LogTail, MAX_LINES};

use crate::console::LogWriter;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tail::Tail;
use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload, EnvFilter, Layer, Registry};

/// Files of the log that are kept, one a day.
pub const DAYS_KEPT: usize = 14;
/// What a file of the log is called: this, then its day.
const FILE_PREFIX: &str = "sealdrop.log";
/// Longest filter that is read, in bytes.
const MAX_FILTER: usize = 1024;

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Format = Box<dyn Layer<Filtered> + Send + Sync>;

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log is text or json"),
        }
    }
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// What the operator says of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogConfig {
    pub format: LogFormat,
    /// The folder of its files; none for standard error.
    pub folder: Option<PathBuf>,
    /// Which lines there are, in the syntax of `RUST_LOG`; none for what is usual.
    pub filter: Option<String>,
}

/// Why the log is not as it was asked to be; it goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{filter:?} says no levels of a log ({reason}): give some such as \"info\" or \"sealdrop=debug,warn\"")]
    Filter { filter: String, reason: String },
    #[error("the log cannot be written to {}: {source}; check the folder's owner and its permissions, or leave log.folder out for standard error", folder.display())]
    Folder { folder: PathBuf, source: InitError },
    #[error("the log has no thread to write it: {0}; close other programs")]
    Thread(io::Error),
    #[error("this program's log was not started here")]
    NotStarted,
}

/// The log of this process. Clones are the same; one that was not started takes nothing.
#[derive(Clone, Default)]
pub struct Log {
    control: Option<Arc<Control>>,
    tail: Tail,
}

struct Control {
    filter: reload::Handle<EnvFilter, Registry>,
    format: reload::Handle<Format, Filtered>,
    writer: Mutex<LogWriter>,
    /// Whether it goes to files: somebody means to read them. What becomes of standard error is whoever started the daemon's business.
    is_kept: AtomicBool,
}

impl Log {
    /// Starts it: text on standard error, what the environment's `RUST_LOG` says or else `filter`. At most once in a process.
    pub fn start(filter: &str) -> Option<Self> {
        let filter = of_environment().unwrap_or_else(|| EnvFilter::new(filter));
        let writer = LogWriter::new(io::stderr()).ok()?;
        let (filtering, filter) = reload::Layer::new(filter);
        let (formatting, format) = reload::Layer::new(layer(LogFormat::Text, &writer, io::stderr().is_terminal()));
        let tail = Tail::default();
        let all = tracing_subscriber::registry().with(filtering);
        all.with(formatting).with(tail.clone()).try_init().ok()?;
        let writer = Mutex::new(writer);
        let control = Some(Arc::new(Control {
            filter,
            format,
            writer,
            is_kept: AtomicBool::new(false),
        }));
        Some(Self { control, tail })
    }

    /// Goes by what the operator says from now on.
    pub fn configure(&self, config: &LogConfig) -> Result<(), LogError> {
        let control = self.control.as_ref().ok_or(LogError::NotStarted)?;
        if let Some(filter) = &config.filter {
            self.follow_filter(filter)?;
        }
        let writer = match &config.folder {
            Some(folder) => LogWriter::new(files(folder)?).map_err(LogError::Thread)?,
            None => control.writer().clone(),
        };
        let has_colours = config.folder.is_none() && io::stderr().is_terminal();
        let format = layer(config.format, &writer, has_colours);
        control.format.reload(format).map_err(|_| LogError::NotStarted)?;
        *control.writer() = writer;
        control.is_kept.store(config.folder.is_some(), Ordering::Relaxed);
        Ok(())
    }

    /// Which lines there are from now on, as the file says; the environment of whoever looks for something comes before it.
    pub fn follow_filter(&self, filter: &str) -> Result<(), LogError> {
        match of_environment() {
            Some(_) => Ok(()),
            None => self.set_filter(filter),
        }
    }

    /// Which lines there are from now on.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        let control = self.control.as_ref().ok_or(LogError::NotStarted)?;
        let parsed = parse_filter(filter)?;
        control.filter.reload(parsed).map_err(|_| LogError::NotStarted)
    }

    /// Which lines there are.
    pub fn filter(&self) -> String {
        let filter = self
            .control
            .as_ref()
            .map(|control| control.filter.with_current(ToString::to_string));
        filter.and_then(Result::ok).unwrap_or_default()
    }

    /// The last lines, the oldest first: at most `most`, of `level` and worse.
    pub fn tail(&self, most: usize, level: tracing::Level) -> LogTail {
        LogTail {
            filter: self.filter(),
            lines: self.tail.last(most, level),
        }
    }

    /// Lines that were lost since the start because nobody took them in time.
    pub fn lost(&self) -> u64 {
        self.control.as_ref().map_or(0, |control| control.writer().lost())
    }

    /// Why the last lines could not be written to their files; `None` while they can, and where there are none.
    pub fn trouble(&self) -> Option<String> {
        let control = self.control.as_ref()?;
        let is_kept = control.is_kept.load(Ordering::Relaxed);
        is_kept.then(|| control.writer().trouble())?
    }

    /// Waits a moment for what was logged so far.
    pub fn flush(&self) {
        if let Some(control) = &self.control {
            let writer = control.writer().clone();
            writer.flush();
        }
    }
}

impl Control {
    fn writer(&self) -> std::sync::MutexGuard<'_, LogWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the environment says, if that says anything.
fn of_environment() -> Option<EnvFilter> {
    let said = std::env::var(EnvFilter::DEFAULT_ENV).ok()?;
    parse_filter(&said).ok()
}

/// Reads a filter. One that sets no level for everything and none for this program would silence it: a misspelt level, say.
pub fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let refuse = |reason: String| LogError::Filter {
        filter: filter.chars().take(100).collect(),
        reason,
    };
    if filter.trim().is_empty() || filter.len() > MAX_FILTER {
        return Err(refuse(format!("it has 1 to {MAX_FILTER} characters")));
    }
    let parsed = EnvFilter::try_new(filter).map_err(|error| refuse(error.to_string()))?;
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let mut directives = filter.split(',').map(str::trim);
    match directives.any(|directive| is_level(directive) || directive.starts_with("sealdrop")) {
        true => Ok(parsed),
        false => Err(refuse(
            "it has no level for everything, and names no part of sealdrop".to_owned(),
        )),
    }
}

fn layer(format: LogFormat, writer: &LogWriter, has_colours: bool) -> Format {
    let lines = writer.clone();
    let base = fmt::layer().with_writer(move || lines.clone()).with_ansi(has_colours);
    // It would print its own errors, and panic where that fails.
    let base = base.log_internal_errors(false);
    match format {
        LogFormat::Text => base.boxed(),
        LogFormat::Json => base.json().flatten_event(true).boxed(),
    }
}

/// A file a day in `folder`, the oldest of which go.
fn files(folder: &Path) -> Result<RollingFileAppender, LogError> {
    let files = RollingFileAppender::builder().rotation(Rotation::DAILY);
    let files = files.filename_prefix(FILE_PREFIX).max_log_files(DAYS_KEPT);
    files.build(folder).map_err(|source| LogError::Folder {
        folder: folder.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_says_no_levels_is_refused_with_an_example() {
        for filter in ["", "  ", "sealdrop=loud", "inof", "hyper=debug", &"a".repeat(2000)] {
            let refused = parse_filter(filter).expect_err("it says nothing").to_string();
            assert!(refused.contains("sealdrop=debug"), "{refused}");
        }
        assert!(parse_filter("sealdrop=debug,warn").is_ok());
    }

    #[test]
    fn files_of_the_log_are_in_their_folder_with_their_day() {
        let dir = tempfile::tempdir().expect("a folder");
        let writer = LogWriter::new(files(dir.path()).expect("it can be written")).expect("a thread");
        let (filtering, _) = reload::Layer::new(EnvFilter::new("info"));
        let subscriber = tracing_subscriber::registry().with(filtering);
        let subscriber = subscriber.with(layer(LogFormat::Json, &writer, false));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("sealing", sector = 7, deals = "bafy bafk");
            span.in_scope(|| tracing::info!(deal = "bafy", "it was sealed"));
        });
        writer.flush();
        let file = std::fs::read_dir(dir.path())
            .expect("a folder")
            .flatten()
            .next()
            .expect("a file");
        assert!(
            file.file_name().to_string_lossy().starts_with("sealdrop.log."),
            "{file:?}"
        );
        let text = std::fs::read_to_string(file.path()).expect("text");
        let line: serde_json::Value = serde_json::from_str(text.trim()).expect("one JSON object a line");
        assert_eq!(
            (&line["deal"], &line["message"]),
            (&"bafy".into(), &"it was sealed".into())
        );
        assert_eq!(line["span"]["deals"], "bafy bafk", "what the line belongs to");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let taken = dir.path().join("a file");
        std::fs::write(&taken, "").expect("a file");
        let refused = files(&taken).expect_err("it is no folder").to_string();
        assert!(
            refused.contains("a file") && refused.contains("log.folder"),
            "{refused}"
        );
    }
}

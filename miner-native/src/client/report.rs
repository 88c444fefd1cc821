//! What a person sees while a deal goes on: a moving line on a terminal, plain lines elsewhere. All of it goes to the
//! standard error; the standard output is for results. Nothing ends because nobody reads it (finding E2), and no name or
//! peer's word moves a terminal (E3).

use crate::terminal::escaped;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use sealdrop_miner::console;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two plain progress lines.
const PLAIN_PAUSE: Duration = Duration::from_secs(5);
/// Shortest time between two plain lines that say the same wait goes on.
const PLAIN_WAIT: Duration = Duration::from_secs(30);
/// How often a terminal's spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// Where progress is shown. Clones share the terminal.
#[derive(Clone)]
pub struct Report {
    /// `None` where there is no terminal.
    bars: Option<MultiProgress>,
    /// Stands in front of every line when several deals go on at once.
    label: String,
    says: Says,
}

/// What of a part of something larger is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Nothing,
    Notes,
    Everything,
}

/// Something under way: bytes that move, or a wait. Its line goes away when this is dropped.
pub struct Gauge {
    kind: Kind,
    done: Arc<AtomicU64>,
}

enum Kind {
    Hidden,
    Bar(ProgressBar),
    Plain {
        text: String,
        total: Option<u64>,
        started: Instant,
        shown: Mutex<Instant>,
    },
}

impl Report {
    /// Moving lines on a terminal, plain ones elsewhere.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            bars,
            label: String::new(),
            says: Says::Everything,
        }
    }

    /// The same, with a name in front of every line.
    pub fn labelled(&self, name: &str) -> Self {
        Self {
            bars: self.bars.clone(),
            label: format!("{name}: "),
            says: self.says,
        }
    }

    /// The same of a part of something whose progress is shown as a whole: notes only.
    pub fn of_part(&self) -> Self {
        let says = self.says.min(Says::Notes);
        Self { says, ..self.clone() }
    }

    /// The same without a word.
    pub fn silent(&self) -> Self {
        let says = Says::Nothing;
        Self { says, ..self.clone() }
    }

    /// A step that is done.
    pub fn step(&self, text: impl AsRef<str>) {
        if self.says >= Says::Everything {
            self.line(&format!("✓ {}{}", self.label, text.as_ref()));
        }
    }

    /// Something to know.
    pub fn note(&self, text: impl AsRef<str>) {
        if self.says >= Says::Notes {
            self.line(&format!("• {}{}", self.label, text.as_ref()));
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            // The terminal is gone: nobody is left to tell.
            Some(bars) => drop(bars.println(escaped(text))),
            None => console::stderr(&escaped(text)),
        }
    }

    /// Starts to show `total` bytes moving.
    pub fn bytes(&self, what: &str, total: u64) -> Gauge {
        let text = format!("{}{what}", self.label);
        let style = "{spinner} {msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        self.gauge(text, Some(total), style)
    }

    /// Starts to show a wait.
    pub fn wait(&self, what: &str) -> Gauge {
        let text = format!("{}{what}", self.label);
        self.gauge(text, None, "{spinner} {msg} ({elapsed})")
    }

    fn gauge(&self, text: String, total: Option<u64>, style: &str) -> Gauge {
        let done = Arc::new(AtomicU64::new(0));
        if self.says < Says::Everything {
            return Gauge {
                kind: Kind::Hidden,
                done,
            };
        }
        let Some(bars) = &self.bars else {
            if total.is_none() {
                console::stderr(&escaped(&format!("  {text}")));
            }
            let started = Instant::now();
            let shown = Mutex::new(started);
            return Gauge {
                kind: Kind::Plain {
                    text,
                    total,
                    started,
                    shown,
                },
                done,
            };
        };
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let bar = bars.add(bar);
        // A template that cannot be read leaves indicatif's own style, which shows the same numbers.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(escaped(&text).into_owned());
        bar.enable_steady_tick(TICK);
        Gauge {
            kind: Kind::Bar(bar),
            done,
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Gauge {
    /// Shows how far it is, in bytes; a wait only shows that it goes on.
    pub fn at(&self, position: u64) {
        self.done.store(position, Ordering::Relaxed);
        match &self.kind {
            Kind::Hidden => {}
            Kind::Bar(bar) => bar.set_position(position),
            Kind::Plain {
                text,
                total,
                started,
                shown,
            } => {
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                let pause = if total.is_some() { PLAIN_PAUSE } else { PLAIN_WAIT };
                if shown.elapsed() < pause {
                    return;
                }
                *shown = Instant::now();
                let seconds = started.elapsed().as_secs();
                console::stderr(&escaped(&match total {
                    Some(total) => format!("  {text}: {} of {}", HumanBytes(position), HumanBytes(*total)),
                    None => format!("  {text} ({seconds} s)"),
                }));
            }
        }
    }

    /// The last position shown.
    pub fn position(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

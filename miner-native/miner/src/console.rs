//! Lines for the operator, and the log: what cannot be written is lost, and nothing else is (finding C5).
//!
//! `println!` and `eprintln!` panic when nobody reads any more, and so does the subscriber's own report of that. The daemon's
//! standard error may be a closed pipe, a full disk or a terminal that is gone: no proof is late for it. A reader that is
//! merely stuck must not hold anybody up either, so the log is written by a thread of its own, which may fall behind by
//! [`MOST_LINES`] lines before further ones are dropped and counted.

use std::io::{self, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of the log that wait to be written: a few seconds of a busy miner.
const MOST_LINES: usize = 4096;
/// How long the end of the program waits for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A line on standard output; lost when nobody takes it.
pub fn stdout(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// A line on standard error; lost when nobody takes it.
pub fn stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Where the log's lines go. Clones are the same log.
#[derive(Clone)]
pub struct LogWriter {
    lines: SyncSender<Message>,
    seen: Arc<Seen>,
}

impl Seen {
    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// How the log is doing.
#[derive(Default)]
struct Seen {
    /// Lines that were dropped since the log said so last.
    dropped: AtomicU64,
    /// The same since the start.
    lost: AtomicU64,
    /// Why the last line was not written.
    trouble: Mutex<Option<String>>,
}

enum Message {
    Line(Vec<u8>),
    /// Answered when everything before it was written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Writes to `sink` from a thread of its own.
    pub fn new(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MOST_LINES);
        let seen = Arc::new(Seen::default());
        let told = seen.clone();
        let thread = std::thread::Builder::new().name("log".into());
        thread.spawn(move || write_all(&waiting, sink, &told))?;
        Ok(Self { lines, seen })
    }

    /// Lines that were dropped since the start, because nobody took them in time.
    pub fn lost(&self) -> u64 {
        self.seen.lost.load(Ordering::Relaxed)
    }

    /// Why the last line could not be written; `None` when it could.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.seen.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }

    /// Waits a moment for what was logged so far.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        let until = Instant::now() + LAST_WORDS;
        while let Err(TrySendError::Full(_)) = self.lines.try_send(Message::Flush(done.clone())) {
            if Instant::now() > until {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = written.recv_timeout(LAST_WORDS);
    }
}

/// One event is one write.
impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.lines.try_send(Message::Line(bytes.to_vec())) {
            if matches!(error, TrySendError::Disconnected(_)) {
                self.seen.note(Some("the thread that writes them has ended".to_owned()));
            }
            self.seen.dropped.fetch_add(1, Ordering::Relaxed);
            self.seen.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(waiting: &Receiver<Message>, mut sink: impl Write, seen: &Seen) {
    while let Ok(message) = waiting.recv() {
        match message {
            Message::Line(line) => {
                let missed = seen.dropped.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    let _ = writeln!(sink, "{missed} lines of the log were dropped: nobody took them in time");
                }
                // What a library prints where it cannot write panics where nobody reads.
                let written = catch_unwind(AssertUnwindSafe(|| sink.write_all(&line)));
                seen.note(match written {
                    Ok(written) => written.err().map(|error| error.to_string()),
                    Err(_) => Some("writing panicked".to_owned()),
                });
            }
            Message::Flush(done) => {
                let _ = sink.flush();
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::fmt::MakeWriter;

    /// Takes nothing, as a closed pipe or a full disk.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    /// Takes nothing before it is let go, as a reader that is stuck.
    struct Stuck {
        gate: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            self.written.lock().expect("whole").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged_to(writer: &LogWriter, work: impl FnOnce()) {
        let writer = writer.clone();
        let make = move || writer.clone();
        let _ = make.make_writer();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(make)
            .log_internal_errors(false)
            .finish();
        tracing::subscriber::with_default(subscriber, work);
    }

    #[test]
    fn a_log_that_cannot_be_written_stops_and_panics_nothing() {
        let writer = LogWriter::new(Broken).expect("a thread");
        logged_to(&writer, || {
            for number in 0..100 {
                tracing::error!(number, "lost");
            }
        });
        writer.flush();
    }

    #[test]
    fn a_reader_that_is_stuck_holds_nobody_up_and_is_told_what_it_missed() {
        let (open, gate) = sync_channel(MOST_LINES * 4);
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Stuck {
            gate,
            written: written.clone(),
        };
        let mut writer = LogWriter::new(sink).expect("a thread");
        for _ in 0..MOST_LINES * 2 {
            writer.write_all(b"a line\n").expect("it never fails");
        }
        for _ in 0..MOST_LINES * 3 {
            let _ = open.try_send(());
        }
        drop(open);
        writer.flush();
        writer.write_all(b"the last\n").expect("it never fails");
        writer.flush();
        let text = String::from_utf8(written.lock().expect("whole").clone()).expect("text");
        assert!(text.contains("lines of the log were dropped"), "{}", text.len());
        assert!(text.ends_with("the last\n"));
    }
}

//! The log of `serin run`: lines on standard error, written by a thread of their own.
//!
//! A log that nobody reads (a full pipe, a stuck terminal) must not hold up the loop that rolls
//! back. So lines wait in a bounded queue, and when it is full they are lost and counted.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::args::LogFormat;

/// What is logged unless `SERIN_LOG` says otherwise. Libraries warn of what strangers send, as
/// often as strangers send it.
const DEFAULT: &str =
    "info,hickory_net=error,hickory_proto=error,hickory_resolver=error,rustls=error,h2=error";
/// Lines that may wait.
const WAITING_MAX: usize = 4_096;
/// How long the last lines may take when the process ends.
const GRACE: Duration = Duration::from_secs(1);

/// Ends the log: what was said before is written, if somebody reads.
pub(super) struct Logs {
    queue: SyncSender<Word>,
    levels: Levels,
}

/// Chooses which lines are logged.
type Levels = Box<dyn Fn(EnvFilter) -> Result<(), String>>;

/// Starts the log. `SERIN_LOG` chooses levels, such as `debug` or `serin::control=debug`.
pub(super) fn start(format: LogFormat) -> Logs {
    let (queue, words) = sync_channel(WAITING_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let lines = Lines {
        queue: queue.clone(),
        lost: Arc::clone(&lost),
    };
    std::thread::spawn(move || write(&words, &lost, &mut io::stderr()));

    let wanted = std::env::var("SERIN_LOG")
        .ok()
        .filter(|wanted| !wanted.is_empty());
    let filter = wanted.as_deref().map(EnvFilter::try_new);
    let is_bad = matches!(filter, Some(Err(_)));
    let filter = match filter {
        Some(Ok(filter)) => filter,
        Some(Err(_)) | None => EnvFilter::new(DEFAULT),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines);
    let log = log.with_target(false).with_ansi(false);
    let told = |error: tracing_subscriber::reload::Error| error.to_string();
    // A second log in one process is a programmer's test; the first one stays.
    let (_first_stays, levels): (_, Levels) = match format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            let levels = move |filter| handle.reload(filter).map_err(told);
            (log.try_init(), Box::new(levels))
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_current_span(false);
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            let levels = move |filter| handle.reload(filter).map_err(told);
            (log.try_init(), Box::new(levels))
        }
    };
    if is_bad {
        tracing::warn!("SERIN_LOG cannot be understood; try `debug` or `serin::control=debug`");
    }
    Logs { queue, levels }
}

impl Logs {
    /// Logs what this filter lets through, from now on; else why not.
    pub(super) fn let_through(&self, filter: &str) -> Result<(), String> {
        let parsed = EnvFilter::try_new(filter);
        let filter = parsed.map_err(|error| format!("`{filter}` is no filter: {error}"))?;
        (self.levels)(filter)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Word::Flush(done)).is_ok() {
            // A stuck reader does not keep the process alive.
            let _in_time = written.recv_timeout(GRACE);
        }
    }
}

/// What the writing thread is told.
#[derive(Debug)]
enum Word {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

fn write(words: &Receiver<Word>, lost: &AtomicU64, out: &mut impl Write) {
    while let Ok(word) = words.recv() {
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            // There is nowhere to tell that the log cannot be written.
            let _gone = writeln!(out, "{missing} log lines were lost: nobody reads the log");
        }
        match word {
            Word::Line(line) => drop(out.write_all(&line)),
            Word::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// Makes a line for each event.
#[derive(Debug)]
struct Lines {
    queue: SyncSender<Word>,
    lost: Arc<AtomicU64>,
}

/// One event being written; it is queued whole.
struct Line<'a> {
    text: Vec<u8>,
    lines: &'a Lines,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            text: Vec::new(),
            lines: self,
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = Word::Line(std::mem::take(&mut self.text));
        if self.lines.queue.try_send(line).is_err() {
            self.lines.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libraries_think_of_strangers_is_not_logged() {
        let (queue, words) = sync_channel(8);
        let lost = Arc::new(AtomicU64::new(0));
        let lines = Lines {
            queue,
            lost: Arc::clone(&lost),
        };
        let log = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(DEFAULT))
            .with_writer(lines);
        tracing::subscriber::with_default(log.without_time().with_ansi(false).finish(), || {
            tracing::warn!(target: "rustls::msgs::handshake", "illegal SNI extension");
            tracing::warn!(target: "h2::proto::streams", "stream error");
            tracing::info!(target: "serin::control", "the file is in force");
        });
        let mut out = Vec::new();
        write(&words, &lost, &mut out);
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said, " INFO serin::control: the file is in force\n");
    }

    #[test]
    fn lines_that_nobody_takes_are_lost_and_counted_and_hold_nobody_up() {
        let (queue, words) = sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let lines = Lines {
            queue,
            lost: Arc::clone(&lost),
        };
        for number in 0..5 {
            writeln!(lines.make_writer(), "line {number}").unwrap();
        }
        drop(lines);
        let mut out = Vec::new();
        write(&words, &lost, &mut out);
        let expected = "3 log lines were lost: nobody reads the log\nline 0\nline 1\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

//! The access log: one JSON object a line, made by the worker, written by another thread.
//!
//! A worker never waits for the log: when the writer's queue is full, lines are dropped and
//! counted. Successes may be sampled; everything else is written.

use std::{
    cell::{Cell, RefCell},
    fs::OpenOptions,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use crate::{
    model::{
        Moment, Outcome, Role, RouteName, Share, SplitName, VersionName,
        number::{long, micros},
    },
    plan::{AccessLog, LogPath},
};

/// Bytes of lines that are handed over at the latest.
const HAND_OVER: usize = 32 * 1024;
/// Blocks of lines that may wait for the writer.
const QUEUE: usize = 256;

/// What one line says.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) at: Moment,
    pub(crate) request_id: u64,
    pub(crate) client: std::net::IpAddr,
    pub(crate) method: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) cause: &'static str,
    pub(crate) duration: Duration,
    pub(crate) attempts: u8,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) routed: Option<Routed<'a>>,
}

/// Where the request went.
#[derive(Debug)]
pub(crate) struct Routed<'a> {
    pub(crate) split: &'a SplitName,
    pub(crate) route: &'a RouteName,
    pub(crate) version: &'a VersionName,
    pub(crate) role: Role,
}

/// A worker's end of the log.
#[derive(Debug)]
pub(crate) struct Log {
    sink: Option<Sink>,
    lines: RefCell<Vec<u8>>,
    turn: Cell<u16>,
}

/// The way to the writer; one for all workers.
#[derive(Debug, Clone)]
pub struct Sink {
    blocks: SyncSender<Vec<u8>>,
    success: Share,
    failure: Share,
    dropped: Arc<AtomicU64>,
}

impl Sink {
    /// Starts the writer. It ends when the last worker has let go of its end.
    pub fn start(settings: &AccessLog) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        let output: Box<dyn Write + Send> = match &settings.path {
            LogPath::Stdout => Box::new(io::stdout()),
            LogPath::Stderr => Box::new(io::stderr()),
            LogPath::File(path) => {
                Box::new(OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        let (blocks, queue) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write(&queue, output))?;
        let (success, failure) = (settings.success, settings.failure);
        Ok((
            Self {
                blocks,
                success,
                failure,
                dropped,
            },
            thread,
        ))
    }

    /// Lines that were dropped since the start because the writer was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write(queue: &Receiver<Vec<u8>>, mut output: Box<dyn Write + Send>) {
    let mut is_failing = false;
    for block in queue {
        let result = output.write_all(&block).and_then(|()| output.flush());
        if let (Err(error), false) = (&result, is_failing) {
            tracing::warn!(%error, "the access log cannot be written");
        }
        is_failing = result.is_err();
    }
}

impl Log {
    /// A log that goes to the sink, or nowhere.
    pub(crate) fn new(sink: Option<Sink>) -> Self {
        Self {
            sink,
            lines: RefCell::default(),
            turn: Cell::new(0),
        }
    }

    /// Whether a line about this outcome is wanted now.
    pub(crate) fn wants(&self, outcome: Outcome) -> bool {
        let Some(sink) = &self.sink else { return false };
        let share = if outcome == Outcome::Success {
            sink.success
        } else {
            sink.failure
        };
        // A step coprime with 10,000 visits every point once: exact shares without chance.
        let turn = (self.turn.get() + 6_181) % 10_000;
        self.turn.set(turn);
        turn < share.basis_points()
    }

    /// Whether any line is ever wanted.
    pub(crate) fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Adds a line.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut lines = self.lines.borrow_mut();
        format(line, &mut lines);
        if lines.len() >= HAND_OVER {
            drop(lines);
            self.flush();
        }
    }

    /// Hands the lines to the writer.
    pub(crate) fn flush(&self) {
        let Some(sink) = &self.sink else { return };
        let mut lines = self.lines.borrow_mut();
        if lines.is_empty() {
            return;
        }
        let block = std::mem::take(&mut *lines);
        if let Err(unsent) = sink.blocks.try_send(block) {
            let (std::sync::mpsc::TrySendError::Full(block)
            | std::sync::mpsc::TrySendError::Disconnected(block)) = unsent;
            let count = long(memchr::memchr_iter(b'\n', &block).count());
            let _before = sink.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

fn format(line: &Line<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"at_ms\":");
    number(line.at.millis(), out);
    out.extend_from_slice(b",\"request_id\":\"");
    super::headers::hex(line.request_id, out);
    out.extend_from_slice(b"\",\"client\":\"");
    // Writing to a Vec cannot fail.
    let _written = write!(out, "{}", line.client);
    out.push(b'"');
    text("method", line.method, out);
    text("host", line.host, out);
    text("target", line.target, out);
    if let Some(routed) = &line.routed {
        text("split", routed.split.as_str().as_bytes(), out);
        text("route", routed.route.as_str().as_bytes(), out);
        text("version", routed.version.as_str().as_bytes(), out);
        text("role", routed.role.as_str().as_bytes(), out);
    }
    text("outcome", line.outcome.as_str().as_bytes(), out);
    text("cause", line.cause.as_bytes(), out);
    let counts = [
        ("status", u64::from(line.status)),
        ("duration_us", micros(line.duration)),
        ("attempts", u64::from(line.attempts)),
        ("bytes_in", line.bytes_in),
        ("bytes_out", line.bytes_out),
    ];
    for (name, value) in counts {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        number(value, out);
    }
    out.extend_from_slice(b"}\n");
}

fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A JSON string of bytes from a stranger: what is not printable ASCII is escaped as Latin-1.
fn text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x20..0x7f => out.push(*byte),
            _ => {
                let _written = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push(b'"');
}

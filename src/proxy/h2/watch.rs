//! What a client may do to a connection of HTTP/2 beyond asking for answers.
//!
//! The frames that pass are counted on the socket's side of the library, so that nothing it
//! absorbs is missed: streams that are reset, by the client or because of it (CVE-2023-44487,
//! CVE-2025-8671), frames that carry nothing (CVE-2019-9512, 9513, 9515, 9518), heads in endless
//! pieces (CVE-2024-27316). Only the nine bytes before each frame are looked at.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::model::{Moment, Rejection, number::long};

/// The bytes that a client's side of a connection begins with.
const PREFACE: usize = 24;
/// In millionths: what one event takes from a budget.
const ONE: u64 = 1_000_000;
/// How long it takes to earn all resets anew.
const RESETS_SECONDS: u64 = 10;
/// Streams that end well for each one that may be reset beside the allowance.
const WELL_ENDED: u64 = 8;
/// Frames without content that each frame with content may bring (window updates, pings).
const BROUGHT: u64 = 2;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// What a client may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Streams that are reset, in ten seconds.
    pub(super) resets: u32,
    /// Frames without content in a second.
    pub(super) control_frames: u32,
    /// Frames that one head may be continued in.
    pub(super) continuation_frames: u32,
}

/// An allowance that is earned anew as time passes.
#[derive(Debug)]
struct Budget {
    left: u64,
    full: u64,
    /// What a microsecond brings.
    earned: u64,
}

impl Budget {
    fn new(count: u32, seconds: u64) -> Self {
        let full = u64::from(count) * ONE;
        Self {
            left: full,
            full,
            earned: u64::from(count) / seconds.max(1),
        }
    }

    fn earn(&mut self, micros: u64) {
        self.add(self.earned.saturating_mul(micros));
    }

    fn add(&mut self, more: u64) {
        self.left = self.left.saturating_add(more).min(self.full);
    }

    /// Takes one; whether it was there.
    fn take(&mut self) -> bool {
        let is_there = self.left >= ONE;
        self.left = self.left.saturating_sub(ONE);
        is_there
    }
}

/// The counts of one connection.
#[derive(Debug)]
pub(super) struct Watch {
    counts: RefCell<Counts>,
    flood: Cell<Option<Rejection>>,
}

#[derive(Debug)]
struct Counts {
    limits: Limits,
    at: Moment,
    resets: Budget,
    control: Budget,
    inbound: Frames,
    outbound: Frames,
    continued: u32,
    is_in_head: bool,
}

impl Watch {
    pub(super) fn new(limits: Limits, now: Moment) -> Rc<Self> {
        let counts = Counts {
            at: now,
            resets: Budget::new(limits.resets, RESETS_SECONDS),
            control: Budget::new(limits.control_frames, 1),
            inbound: Frames::after(PREFACE),
            outbound: Frames::after(0),
            continued: 0,
            is_in_head: false,
            limits,
        };
        Rc::new(Self {
            counts: RefCell::new(counts),
            flood: Cell::new(None),
        })
    }

    /// What there was too much of, if anything.
    pub(super) fn flood(&self) -> Option<Rejection> {
        self.flood.get()
    }

    /// What the library has cut a connection off for, if it has: it has limits of its own, which
    /// may be reached first.
    pub(super) fn cut_off(&self, error: Option<h2::Error>) -> Option<Rejection> {
        let error = error.filter(h2::Error::is_library)?;
        let is_so = error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        is_so.then(|| self.flood().unwrap_or(Rejection::Resets))
    }

    /// Whether the client is in the middle of a head.
    pub(super) fn is_in_head(&self) -> bool {
        let counts = self.counts.borrow();
        counts.is_in_head || counts.inbound.is_in(HEADERS) || counts.inbound.is_in(CONTINUATION)
    }

    /// These bytes have come.
    pub(super) fn read(&self, bytes: &[u8], now: Moment) {
        let counts = &mut *self.counts.borrow_mut();
        counts.pass(now);
        let mut inbound = std::mem::take(&mut counts.inbound);
        inbound.feed(bytes, |frame| {
            if let Some(flood) = counts.received(frame) {
                self.flood.set(Some(flood));
            }
        });
        counts.inbound = inbound;
    }

    /// These bytes have gone.
    pub(super) fn wrote(&self, bytes: &[u8], now: Moment) {
        let counts = &mut *self.counts.borrow_mut();
        counts.pass(now);
        let mut outbound = std::mem::take(&mut counts.outbound);
        outbound.feed(bytes, |frame| {
            if let Some(flood) = counts.sent(frame) {
                self.flood.set(Some(flood));
            }
        });
        counts.outbound = outbound;
    }
}

impl Counts {
    fn pass(&mut self, now: Moment) {
        let micros = now.micros().saturating_sub(self.at.micros());
        self.at = now;
        self.resets.earn(micros);
        self.control.earn(micros);
    }

    fn received(&mut self, frame: Frame) -> Option<Rejection> {
        let has_content = frame.len > 0 || frame.flags & END_STREAM != 0;
        match frame.kind {
            DATA if has_content => {
                self.control.add(BROUGHT * ONE);
                None
            }
            HEADERS | CONTINUATION => self.head(frame),
            RST_STREAM => (!self.resets.take()).then_some(Rejection::Resets),
            _ => (!self.control.take()).then_some(Rejection::ControlFrames),
        }
    }

    fn head(&mut self, frame: Frame) -> Option<Rejection> {
        self.is_in_head = frame.flags & END_HEADERS == 0;
        self.continued = if frame.kind == HEADERS {
            0
        } else {
            self.continued + 1
        };
        (self.continued > self.limits.continuation_frames).then_some(Rejection::ContinuationFrames)
    }

    fn sent(&mut self, frame: Frame) -> Option<Rejection> {
        if frame.kind == RST_STREAM {
            return (!self.resets.take()).then_some(Rejection::Resets);
        }
        if frame.kind == DATA {
            self.control.add(BROUGHT * ONE);
        }
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
            self.resets.add(ONE / WELL_ENDED);
        }
        None
    }
}

/// What stands before a frame.
#[derive(Debug, Clone, Copy)]
struct Frame {
    len: u32,
    kind: u8,
    flags: u8,
}

/// Where a run of bytes stands among frames.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; 9],
    known: usize,
    /// Bytes to pass over before the next frame.
    left: u64,
    kind: u8,
}

impl Frames {
    fn after(skipped: usize) -> Self {
        Self {
            left: long(skipped),
            kind: u8::MAX,
            ..Self::default()
        }
    }

    /// Whether a frame of this kind has begun and is not all there.
    fn is_in(&self, kind: u8) -> bool {
        self.left > 0 && self.kind == kind
    }

    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passed = bytes.len().min(crate::model::number::length(self.left));
                self.left -= long(passed);
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            let wanted = self.head.len() - self.known;
            let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(room) = self.head.get_mut(self.known..self.known + piece.len()) {
                room.copy_from_slice(piece);
            }
            self.known += piece.len();
            bytes = rest;
            if self.known == self.head.len() {
                self.known = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                let len = u32::from_be_bytes([0, a, b, c]);
                (self.left, self.kind) = (u64::from(len), kind);
                each(Frame { len, kind, flags });
            }
        }
    }
}

//! Frames as bytes: a first line that says the format, then for each frame its length, a checksum
//! and its body. A record that was cut (a kill, a full disk) is good up to its last whole frame.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::{
    End, Frame, Header,
    wire::{self, Clock},
};
use crate::judge::Tick;

/// How every record begins.
const START: &[u8] = b"serin record ";
/// The format, after it. Any change of `wire` raises it.
const FORMAT: &[u8] = b"1\n";
/// How many bytes the checksum before a body has.
const SUM: usize = 4;

/// Why bytes are no record, or no more of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// They do not begin like one.
    #[error("this is no record of a rollout")]
    Stranger,
    /// Another build wrote it, in a format that this one does not know.
    #[error("the record has format {0:?}, this build reads {known:?}", known = known())]
    Format(String),
    /// The end comes before the header's.
    #[error("the record is cut short within its header")]
    NoHeader,
    /// A frame is whole, and makes no sense.
    #[error("the frame at byte {0} is whole, and cannot be understood")]
    Malformed(usize),
}

/// Where a record was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// All before this byte was used.
    pub at: usize,
    /// So many bytes were not.
    pub rest: usize,
}

/// Makes the bytes of one record, in order.
#[derive(Debug)]
pub struct Encoder {
    clock: Clock,
}

impl Encoder {
    /// Begins a record; the bytes are its beginning.
    pub fn begin(header: &Header) -> (Self, Vec<u8>) {
        let mut clock = Clock::default();
        let mut bytes = [START, FORMAT].concat();
        bytes.append(&mut framed(&wire::header(header, &mut clock)));
        (Self { clock }, bytes)
    }

    /// The bytes of the next frame.
    pub fn frame(&mut self, frame: &Frame) -> Vec<u8> {
        framed(&wire::frame(frame, &mut self.clock))
    }

    /// The bytes of a last frame, wherever it comes.
    pub fn end(end: End) -> Vec<u8> {
        framed(&wire::frame(&Frame::End(end), &mut Clock::default()))
    }

    /// The bytes of a tick that is not owned: of one route, or of all together.
    pub fn tick(&mut self, route: Option<usize>, tick: &Tick<'_>) -> Vec<u8> {
        framed(&wire::tick(route, tick, &mut self.clock))
    }
}

/// The frames of a record, in order. After the last one [`Frames::torn`] tells whether it was cut.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    at: usize,
    clock: Clock,
    is_over: bool,
}

impl<'a> Frames<'a> {
    /// Reads the header.
    pub fn open(bytes: &'a [u8]) -> Result<(Header, Self), ReadError> {
        let rest = bytes.strip_prefix(START).ok_or(ReadError::Stranger)?;
        let Some(rest) = rest.strip_prefix(FORMAT) else {
            let format = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let format = format.get(..format.len().min(20)).unwrap_or_default();
            return Err(ReadError::Format(
                String::from_utf8_lossy(format).into_owned(),
            ));
        };
        let mut frames = Self {
            rest,
            at: START.len() + FORMAT.len(),
            clock: Clock::default(),
            is_over: false,
        };
        let at = frames.at;
        let body = frames.body().ok_or(ReadError::NoHeader)?;
        let header = wire::read_header(body, &mut frames.clock);
        Ok((header.ok_or(ReadError::Malformed(at))?, frames))
    }

    /// Where the record was cut, if the frames have ended there.
    pub const fn torn(&self) -> Option<Torn> {
        if self.rest.is_empty() {
            return None;
        }
        Some(Torn {
            at: self.at,
            rest: self.rest.len(),
        })
    }

    /// The next body, if it is there and whole.
    fn body(&mut self) -> Option<&'a [u8]> {
        let (size, rest) = wire::read_size(self.rest)?;
        let (sum, rest) = rest.split_first_chunk::<SUM>()?;
        let (body, rest) = rest.split_at_checked(size)?;
        // What mutates bytes cannot sum them up.
        if checksum(body) != *sum && !cfg!(fuzzing) {
            return None;
        }
        self.at += self.rest.len() - rest.len();
        self.rest = rest;
        Some(body)
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let body = if self.is_over { None } else { self.body() };
        let frame = body.map(|body| wire::read_frame(body, &mut self.clock));
        self.is_over = !matches!(frame, Some(Some(_)));
        Some(frame?.ok_or(ReadError::Malformed(at)))
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&wire::size(body)[..], &checksum(body), body].concat()
}

fn checksum(body: &[u8]) -> [u8; SUM] {
    let mut hasher = SipHasher13::new();
    hasher.write(body);
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    [a, b, c, d]
}

fn known() -> String {
    String::from_utf8_lossy(FORMAT).trim().to_owned()
}

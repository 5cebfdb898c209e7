//! The chunked coding (RFC 9112, section 7.1), read strictly and passed on in its plain form:
//! extensions stay behind, trailers are filtered.
//!
//! Size lines, data and line ends that lie whole and plain in the input are passed on where they
//! lie. Only what is split between two reads, or is not plain, is held and written anew; so
//! nothing leaves before it was understood.

use std::ops::Range;

use super::{
    body::{BodyError, Step},
    fields::{is_token, is_token_byte, may_trail, trim_start},
};
use crate::model::number::{length, long};

const MAX_DIGITS: usize = 16;
const MAX_EXTENSION: usize = 256;
const MAX_TRAILER_BYTES: usize = 8 << 10;
const MAX_TRAILERS: usize = 32;

/// A chunked body that is being read.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Whether it leaves chunked; otherwise the payload alone leaves.
    keeps_chunks: bool,
    /// Bytes of the present chunk that are still to come.
    left: u64,
    /// The beginning of a line whose end was not read yet.
    held: Vec<u8>,
    /// Trailers that will be passed on.
    trailers: Vec<u8>,
    trailer_bytes: usize,
    trailer_count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data,
    DataEnd,
    DataLf,
    Trailers,
    Done,
}

impl Chunked {
    pub(super) fn new(keeps_chunks: bool) -> Self {
        Self {
            state: State::Size,
            keeps_chunks,
            left: 0,
            held: Vec::new(),
            trailers: Vec::new(),
            trailer_bytes: 0,
            trailer_count: 0,
        }
    }

    /// Whether the last chunk may come next.
    pub(super) fn can_end(&self) -> bool {
        self.keeps_chunks && self.state == State::Size && self.held.is_empty()
    }

    /// The trailers that pass, as lines.
    pub(super) fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// One step, and how many bytes of payload it took.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(Step, usize), BodyError> {
        let mut cursor = Cursor {
            input,
            at: 0,
            run: 0..0,
            payload: 0,
        };
        let mut goes_on = true;
        while goes_on && cursor.at < input.len() {
            goes_on = match self.state {
                State::Size => self.size(&mut cursor, out)?,
                State::Data => self.data(&mut cursor),
                State::DataEnd => self.data_end(&mut cursor)?,
                State::DataLf => self.data_lf(&mut cursor, out)?,
                State::Trailers => self.trailer(&mut cursor, out)?,
                State::Done => false,
            };
        }
        let done = self.state == State::Done;
        let step = Step {
            consumed: cursor.at,
            forward: cursor.run,
            suffix: b"",
            done,
        };
        Ok((step, cursor.payload))
    }

    /// A size line. Answers `false` if the step must end before it.
    fn size(&mut self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        let rest = cursor.rest();
        if self.held.is_empty()
            && let Some((size, line_len)) = plain_size(rest)
        {
            let ended = size == 0 && rest.get(line_len..line_len + 2) == Some(b"\r\n");
            let len = if ended { line_len + 2 } else { line_len };
            if (ended || size > 0) && (self.keeps_chunks || cursor.run.is_empty()) {
                self.begin(size, ended);
                cursor.pass(len, self.keeps_chunks);
                return Ok(true);
            }
        }
        if !cursor.run.is_empty() && memchr::memchr(b'\n', rest).is_some() {
            return Ok(false);
        }
        if !self.fill_line(cursor, MAX_DIGITS + MAX_EXTENSION + 3, BodyError::ChunkSize)? {
            return Ok(true);
        }
        let size = parse_size(&self.held)?;
        self.held.clear();
        self.begin(size, false);
        if size > 0 && self.keeps_chunks {
            push_size(size, out);
        }
        Ok(true)
    }

    fn begin(&mut self, size: u64, ended: bool) {
        self.left = size;
        self.state = match size {
            _ if ended => State::Done,
            0 => State::Trailers,
            _ => State::Data,
        };
    }

    fn data(&mut self, cursor: &mut Cursor<'_>) -> bool {
        let taken = cursor.rest().len().min(length(self.left));
        self.left -= long(taken);
        cursor.pass(taken, true);
        cursor.payload += taken;
        if self.left == 0 {
            self.state = State::DataEnd;
        }
        true
    }

    fn data_end(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, BodyError> {
        match cursor.rest() {
            [b'\r', b'\n', ..] => {
                cursor.pass(2, self.keeps_chunks);
                self.state = State::Size;
            }
            [b'\r'] => {
                cursor.at += 1;
                self.state = State::DataLf;
            }
            _ => return Err(BodyError::ChunkEnd),
        }
        Ok(true)
    }

    /// The second half of a CRLF that was split between two reads.
    fn data_lf(&mut self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        if cursor.rest().first() != Some(&b'\n') {
            return Err(BodyError::ChunkEnd);
        }
        cursor.at += 1;
        self.state = State::Size;
        if self.keeps_chunks {
            out.extend_from_slice(b"\r\n");
        }
        Ok(true)
    }

    /// A line of the trailer section. Nothing of it leaves before its end was seen.
    fn trailer(&mut self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        let room = MAX_TRAILER_BYTES - self.trailer_bytes;
        if !self.fill_line(cursor, room, BodyError::TrailersTooLarge)? {
            return Ok(true);
        }
        self.trailer_bytes += self.held.len();
        if self.held != b"\r\n" {
            self.trailer_count += 1;
            if self.trailer_count > MAX_TRAILERS {
                return Err(BodyError::TrailersTooLarge);
            }
            if keeps_trailer(&self.held)? {
                self.trailers.extend_from_slice(&self.held);
            }
            self.held.clear();
            return Ok(true);
        }
        self.state = State::Done;
        if self.keeps_chunks {
            out.extend_from_slice(b"0\r\n");
            out.extend_from_slice(&self.trailers);
            out.extend_from_slice(b"\r\n");
        }
        Ok(false)
    }

    /// Moves bytes up to a line's end into `held`; answers whether the line is whole.
    fn fill_line(
        &mut self,
        cursor: &mut Cursor<'_>,
        max: usize,
        too_long: BodyError,
    ) -> Result<bool, BodyError> {
        let rest = cursor.rest();
        let end = memchr::memchr(b'\n', rest);
        let part = rest
            .get(..end.map_or(rest.len(), |at| at + 1))
            .unwrap_or_default();
        if self.held.len() + part.len() > max {
            return Err(too_long);
        }
        self.held.extend_from_slice(part);
        cursor.at += part.len();
        // CR may only be the last byte but one, or the last of what is there.
        let text = self.held.strip_suffix(b"\n").unwrap_or(&self.held);
        let stray = memchr::memchr(b'\r', text).is_some_and(|at| at + 1 < text.len());
        if stray || (end.is_some() && !text.ends_with(b"\r")) {
            let in_trailers = self.state == State::Trailers;
            return Err(if in_trailers {
                BodyError::Trailer
            } else {
                BodyError::ChunkSize
            });
        }
        Ok(end.is_some())
    }
}

/// Where a step stands in its input.
struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
    /// What is sent on as it lies.
    run: Range<usize>,
    payload: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// Goes on by so many bytes, which are sent on or not.
    fn pass(&mut self, len: usize, sent: bool) {
        if sent {
            let start = if self.run.is_empty() {
                self.at
            } else {
                self.run.start
            };
            self.run = start..self.at + len;
        }
        self.at += len;
    }
}

/// Size and length of a size line without an extension or needless zeros, if all of it is there.
fn plain_size(rest: &[u8]) -> Option<(u64, usize)> {
    let (size, digits) = parse_digits(rest)?;
    if digits > 1 && rest.first() == Some(&b'0') {
        return None;
    }
    (rest.get(digits..digits + 2) == Some(b"\r\n")).then_some((size, digits + 2))
}

/// The size in a whole size line.
fn parse_size(line: &[u8]) -> Result<u64, BodyError> {
    let (size, digits) = parse_digits(line).ok_or(BodyError::ChunkSize)?;
    match line.get(digits..).unwrap_or_default() {
        b"\r\n" => Ok(size),
        [extensions @ .., b'\r', b'\n'] if extensions.first() == Some(&b';') => {
            if extensions.len() <= MAX_EXTENSION && are_extensions(extensions) {
                Ok(size)
            } else {
                Err(BodyError::ChunkExtension)
            }
        }
        _ => Err(BodyError::ChunkSize),
    }
}

/// Whether it is a row of extensions: `;`, a name, and perhaps `=` and a token or a quoted text.
/// Blanks may stand around each but the first `;` (RFC 9112, section 7.1.1).
fn are_extensions(mut rest: &[u8]) -> bool {
    let mut is_first = true;
    while let [b';', after @ ..] = rest {
        let after = if is_first { after } else { trim_start(after) };
        is_first = false;
        let Some(after) = skip_token(after).map(trim_start) else {
            return false;
        };
        rest = after;
        if let [b'=', value @ ..] = after {
            let value = trim_start(value);
            let Some(after) = skip_quoted(value).or_else(|| skip_token(value)) else {
                return false;
            };
            rest = trim_start(after);
        }
    }
    rest.is_empty()
}

/// What follows the token that the bytes begin with.
fn skip_token(bytes: &[u8]) -> Option<&[u8]> {
    let len = bytes.iter().position(|b| !is_token_byte(*b));
    bytes
        .get(len.unwrap_or(bytes.len())..)
        .filter(|rest| rest.len() < bytes.len())
}

/// What follows the quoted text that the bytes begin with (RFC 9110, section 5.6.4).
fn skip_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'\t' | b' '..=b'~', after @ ..]
            | [b'\t' | b' '..=b'[' | b']'..=b'~', after @ ..] => after,
            _ => return None,
        };
    }
}

/// Reads 1 to 16 hexadecimal digits, at most 2^63 - 1; answers the number and how many there were.
fn parse_digits(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0_u64;
    let mut digits = 0;
    for b in bytes {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'A'..=b'F' => b - b'A' + 10,
            _ => break,
        };
        digits += 1;
        if digits > MAX_DIGITS || size >> 59 != 0 {
            return None;
        }
        size = size << 4 | u64::from(digit);
    }
    (digits > 0).then_some((size, digits))
}

/// Whether a trailer line is well-formed, and then whether it is passed on.
fn keeps_trailer(line: &[u8]) -> Result<bool, BodyError> {
    let colon = memchr::memchr(b':', line).ok_or(BodyError::Trailer)?;
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let printable = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
    if is_token(name) && value.iter().all(printable) {
        Ok(may_trail(name))
    } else {
        Err(BodyError::Trailer)
    }
}

/// Writes the last chunk, and of these trailer lines the ones that pass.
pub(super) fn push_last(lines: &[u8], out: &mut Vec<u8>) -> Result<(), BodyError> {
    if lines.len() > MAX_TRAILER_BYTES {
        return Err(BodyError::TrailersTooLarge);
    }
    out.extend_from_slice(b"0\r\n");
    for line in lines.split_inclusive(|b| *b == b'\n') {
        if keeps_trailer(line)? {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the line that stands before a chunk.
pub(super) fn push_size(size: u64, out: &mut Vec<u8>) {
    let digits = (64 - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = size >> (4 * place) & 0xf;
        out.push(
            b"0123456789abcdef"
                .get(length(digit))
                .copied()
                .unwrap_or(b'0'),
        );
    }
    out.extend_from_slice(b"\r\n");
}

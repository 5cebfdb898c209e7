//! What comes before the fields of a request: empty lines, and the request line, judged also while
//! it is not all there.

use super::{
    head::{Flaw, HeadLimits, Version},
    reject::Reject,
    scan::{Name, text_len},
};

/// Empty lines that may stand before a request line (RFC 9112, section 2.2 asks for one).
const MAX_EMPTY_LINES: usize = 2;
/// No method is longer than this.
const MAX_METHOD: usize = 32;

/// Counts the bytes of empty lines before the request line.
pub(super) fn empty_lines(buf: &[u8]) -> Result<usize, Reject> {
    const JUNK: Reject = Reject::bad("no request line");
    let mut start = 0;
    for _ in 0..MAX_EMPTY_LINES {
        if !buf
            .get(start..)
            .is_some_and(|rest| rest.starts_with(b"\r\n"))
        {
            break;
        }
        start += 2;
    }
    match buf.get(start..) {
        Some([b'\n', ..]) => Err(JUNK),
        Some([b'\r', next, ..]) if *next != b'\n' || start == 2 * MAX_EMPTY_LINES => Err(JUNK),
        _ => Ok(start),
    }
}

/// Refuses a request line that is too long, told by what is there of it.
pub(super) fn check_request_line(head: &[u8], limits: &HeadLimits) -> Result<(), Reject> {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut words = line.split(|b| *b == b' ');
    if words.next().is_some_and(|method| method.len() > MAX_METHOD) {
        return Err(Reject::bad("method is too long"));
    }
    if words
        .next()
        .is_some_and(|target| target.len() > limits.max_target)
    {
        return Err(Reject::with(414, "target is too long"));
    }
    Ok(())
}

/// The first line of a request, as lengths.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method_len: usize,
    pub(super) target_len: usize,
    pub(super) version: Version,
    /// Its bytes, CRLF included.
    pub(super) len: usize,
}

impl RequestLine {
    /// Reads the line that `head` begins with: a method, one blank, a target, one blank, a version,
    /// CRLF. `None`: it is not all there.
    pub(super) fn read(head: &[u8], limits: &HeadLimits) -> Result<Option<Self>, Reject> {
        const MALFORMED: Reject = Reject::bad("request line is malformed");
        let (method_len, rest) = match Name::read(head).len {
            len if len > MAX_METHOD => return Err(Reject::bad("method is too long")),
            len => (len, head.get(len..).unwrap_or_default()),
        };
        let rest = match rest {
            [b' ', rest @ ..] if method_len > 0 => rest,
            [] => return Ok(None),
            // The first byte of an empty line.
            b"\r" if method_len == 0 => return Ok(None),
            _ => return Err(MALFORMED),
        };
        let (line, end) = rest.split_at_checked(text_len(rest)).ok_or(MALFORMED)?;
        let target_len = memchr::memchr(b' ', line).unwrap_or(line.len());
        if target_len > limits.max_target {
            return Err(Reject::with(414, "target is too long"));
        }
        match end {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Ok(None),
            [b'\r' | b'\n', ..] => return Err(flaw(Flaw::LineEnd)),
            _ => return Err(MALFORMED),
        }
        let Some([b' ', version @ ..]) = line.get(target_len..) else {
            return Err(Reject::bad("no HTTP version in the request line"));
        };
        if target_len == 0 {
            return Err(MALFORMED);
        }
        let version = Version::named(version).ok_or_else(|| other_version(version))?;
        Ok(Some(Self {
            method_len,
            target_len,
            version,
            len: method_len + line.len() + 3,
        }))
    }
}

/// What a version that we do not speak is answered with.
fn other_version(name: &[u8]) -> Reject {
    match name {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Reject::with(505, "HTTP version is neither 1.0 nor 1.1")
        }
        _ => Reject::bad("no HTTP version in the request line"),
    }
}

/// What a flaw is answered with.
pub(super) fn flaw(flaw: Flaw) -> Reject {
    match flaw {
        Flaw::LineEnd => Reject::bad("line does not end in CRLF"),
        Flaw::LongLine => Reject::with(431, "header field is too long"),
        Flaw::TooMany => Reject::with(431, "too many header fields"),
        Flaw::Name => Reject::bad("header field name is not a token"),
        Flaw::Control => Reject::bad("header field value holds a control character"),
    }
}

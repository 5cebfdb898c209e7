//! What comes before the fields of a request, judged also when httparse gives up on it: empty
//! lines, a request line that is too long or no request line at all.

use super::{
    head::{Flaw, HeadLimits},
    reject::Reject,
};

/// Empty lines that may stand before a request line (RFC 9112, section 2.2 asks for one).
const MAX_EMPTY_LINES: usize = 2;
/// No method is longer than this.
pub(super) const MAX_METHOD: usize = 32;

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
        return Err(Reject::with(501, "method is not known"));
    }
    if words
        .next()
        .is_some_and(|target| target.len() > limits.max_target)
    {
        return Err(Reject::with(414, "target is too long"));
    }
    Ok(())
}

pub(super) fn refusal(error: httparse::Error, head: &[u8], limits: &HeadLimits) -> Reject {
    match error {
        httparse::Error::HeaderName => Reject::bad("header field name is not a token"),
        httparse::Error::HeaderValue => Reject::bad("header field value holds a control character"),
        httparse::Error::NewLine => Reject::bad("line does not end in CRLF"),
        httparse::Error::TooManyHeaders => Reject::with(431, "too many header fields"),
        httparse::Error::Version if names_other_version(head) => {
            Reject::with(505, "HTTP version is neither 1.0 nor 1.1")
        }
        httparse::Error::Version => Reject::bad("no HTTP version in the request line"),
        httparse::Error::Status | httparse::Error::Token => check_request_line(head, limits)
            .err()
            .filter(|reject| reject.status == 414)
            .unwrap_or(Reject::bad("request line is malformed")),
    }
}

/// Whether this is a request line of three words, the last a well-formed version.
fn names_other_version(head: &[u8]) -> bool {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let mut words = line
        .strip_suffix(b"\r")
        .unwrap_or(line)
        .split(|b| *b == b' ');
    let version = words.nth(2).unwrap_or_default();
    words.next().is_none()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
}

pub(super) fn flaw(flaw: Flaw) -> Reject {
    match flaw {
        Flaw::LineEnd => Reject::bad("line does not end in CRLF"),
        Flaw::LongLine => Reject::with(431, "header field is too long"),
    }
}

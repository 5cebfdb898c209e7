//! Paths as routing sees them.
//!
//! Two spellings of one path must not reach two splits, so matching looks at a normal form: escaped
//! unreserved characters decoded, escapes in upper case (RFC 3986 section 6.2.2), `.` and `..` and
//! empty segments resolved, a `%` that starts no escape escaped. What is forwarded is what was
//! sent. `%2F` and the like stay escaped: decoding them would change the meaning.

use std::borrow::Cow;

/// The normal form; `None` if the path climbs above the root or is no path at all. Copies only if
/// there is something to normalise.
pub(super) fn normalise(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    match path {
        [] => Some(Cow::Borrowed(b"/")),
        b"*" => Some(Cow::Borrowed(path)),
        [b'/', rest @ ..] if is_normal(rest) => Some(Cow::Borrowed(path)),
        [b'/', rest @ ..] => rebuild(rest).map(Cow::Owned),
        _ => None,
    }
}

/// Whether a path (after its first slash) is its own normal form.
fn is_normal(mut rest: &[u8]) -> bool {
    let mut starts_segment = true;
    while let [byte, tail @ ..] = rest {
        let plain = match byte {
            b'/' => !starts_segment,
            b'.' if starts_segment => !matches!(tail, [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]),
            b'%' => escape(tail).is_some_and(|(decoded, upper)| upper && !is_unreserved(decoded)),
            _ => true,
        };
        if !plain {
            return false;
        }
        starts_segment = *byte == b'/';
        rest = tail;
    }
    true
}

fn rebuild(rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len().saturating_add(2));
    let mut open_end = false;
    for segment in rest.split(|byte| *byte == b'/') {
        let start = out.len();
        out.push(b'/');
        decode(segment, &mut out);
        open_end = true;
        match out.get(start.saturating_add(1)..) {
            Some(b"" | b".") => out.truncate(start),
            Some(b"..") => {
                out.truncate(start);
                let parent = out.iter().rposition(|byte| *byte == b'/')?;
                out.truncate(parent);
            }
            _ => open_end = false,
        }
    }
    if open_end {
        out.push(b'/');
    }
    Some(out)
}

fn decode(mut segment: &[u8], out: &mut Vec<u8>) {
    while let [byte, tail @ ..] = segment {
        segment = tail;
        match (byte, escape(tail)) {
            (b'%', Some((decoded, _))) => {
                if is_unreserved(decoded) {
                    out.push(decoded);
                } else {
                    out.push(b'%');
                    out.extend(tail.iter().take(2).map(u8::to_ascii_uppercase));
                }
                segment = tail.get(2..).unwrap_or_default();
            }
            // Left as it is it could become the start of an escape that nobody sent.
            (b'%', None) => out.extend(b"%25"),
            _ => out.push(*byte),
        }
    }
}

/// The byte that two hex digits stand for, and whether they are in upper case.
fn escape(after_percent: &[u8]) -> Option<(u8, bool)> {
    let [high, low, ..] = after_percent else {
        return None;
    };
    let upper = !high.is_ascii_lowercase() && !low.is_ascii_lowercase();
    Some((hex(*high)? << 4 | hex(*low)?, upper))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

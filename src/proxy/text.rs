//! Pieces of log lines and of JSON, written by hand: each request may need a few dozen.

use std::{cell::Cell, io::Write as _, net::SocketAddr};

use crate::model::Moment;

/// Appends a whole number.
pub(super) fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a text in quotes, as JSON has it.
pub(super) fn quoted(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(value, out);
    out.push(b'"');
}

/// Appends a text of a stranger: what is not printable ASCII is escaped as Latin-1, and quotes
/// are, so that no line can end early or look like two.
pub(super) fn escaped(value: &[u8], out: &mut Vec<u8>) {
    // Nearly every text is plain. Looking at all of it without a way out takes many bytes at once.
    if value
        .iter()
        .fold(true, |plain, byte| plain & is_plain(*byte))
    {
        return out.extend_from_slice(value);
    }
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, odd) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, behind)) = odd.split_first() else {
            return;
        };
        if matches!(byte, b'"' | b'\\') {
            out.extend_from_slice(&[b'\\', *byte]);
        } else {
            // Writing to a Vec cannot fail.
            let _written = write!(out, "\\u{byte:04x}");
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..0x7f) && byte != b'"' && byte != b'\\'
}

/// Appends bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four: u8| DIGITS.get(usize::from(four)).copied().unwrap_or(b'0');
    out.extend(bytes.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]));
}

/// Appends an address and its port.
pub(super) fn address(address: SocketAddr, out: &mut Vec<u8>) {
    let text = super::headers::AddressText::new(address.ip());
    if address.ip().to_canonical().is_ipv6() {
        out.push(b'[');
        out.extend_from_slice(text.as_bytes());
        out.push(b']');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b':');
    number(address.port().into(), out);
}

/// The start of a time in RFC 3339, up to and with the dot behind its seconds.
type Second = [u8; 20];

/// Times as RFC 3339 has them: the part that changes each second is kept for the next line.
#[derive(Debug)]
pub(super) struct Stamps(Cell<(u64, Second)>);

impl Default for Stamps {
    fn default() -> Self {
        Self(Cell::new((0, start(Moment::ZERO))))
    }
}

impl Stamps {
    /// Appends a moment in UTC, with its microseconds.
    pub(super) fn write(&self, moment: Moment, out: &mut Vec<u8>) {
        let (second, micros) = (moment.micros() / 1_000_000, moment.micros() % 1_000_000);
        let (known, mut text) = self.0.get();
        if known != second {
            text = start(moment);
            self.0.set((second, text));
        }
        out.extend_from_slice(&text);
        // Six digits, whatever the number.
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(1_000_000 + micros).as_bytes();
        out.extend_from_slice(digits.get(1..).unwrap_or_default());
        out.push(b'Z');
    }
}

fn start(moment: Moment) -> Second {
    let mut text = *b"1970-01-01T00:00:00.";
    let (year, month, day) = moment.date();
    let of_day = moment.micros() / 1_000_000 % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    // It has this length in every year of four digits.
    let _fits = write!(
        text.as_mut_slice(),
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}."
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_those_of_the_calendar_with_microseconds() {
        let stamps = Stamps::default();
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_782_400_000_042, "2000-02-29T00:00:00.000042Z"),
            (1_795_719_845_123_000, "2026-11-26T19:04:05.123000Z"),
        ] {
            let at = Moment::from_micros(micros);
            assert_eq!(told(|out| stamps.write(at, out)), expected);
        }
    }

    #[test]
    fn a_strangers_text_stays_in_its_quotes_and_in_its_line() {
        for (text, expected) in [
            (&b""[..], ""),
            (b"/a?b=c", "/a?b=c"),
            (b"\"}\n{\"", "\\\"}\\u000a{\\\""),
            (b"a\\b\x7f\xff\0", "a\\\\b\\u007f\\u00ff\\u0000"),
        ] {
            let quoted = told(|out| quoted(text, out));
            assert_eq!(quoted, format!("\"{expected}\""));
            let read: String = serde_json::from_str(&quoted).unwrap();
            let same: String = text.iter().map(|byte| char::from(*byte)).collect();
            assert_eq!(read, same);
        }
    }

    #[test]
    fn addresses_and_digits_are_as_everybody_writes_them() {
        for text in ["192.0.2.7:80", "[2001:db8::7]:8080"] {
            assert_eq!(told(|out| address(text.parse().unwrap(), out)), text);
        }
        let mapped = "[::ffff:192.0.2.7]:80".parse().unwrap();
        assert_eq!(told(|out| address(mapped, out)), "192.0.2.7:80");
        assert_eq!(told(|out| hex(&[0, 0x4b, 0xff], out)), "004bff");
    }
}

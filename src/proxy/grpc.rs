//! What gRPC adds to HTTP/2: statuses and deadlines in fields of its own
//! (the gRPC project's PROTOCOL-HTTP2.md).

use std::time::Duration;

use super::fault::FaultKind;
use crate::model::Side;

/// Whether a `Content-Type` is one of gRPC's.
pub(crate) fn is_content_type(value: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    value
        .get(..TYPE.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
}

/// What `grpc-timeout` says: at most eight digits and a unit.
pub(crate) fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let is_sane = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let count: u64 = str::from_utf8(digits)
        .ok()
        .filter(|_| is_sane)?
        .parse()
        .ok()?;
    Some(match unit {
        b'H' => Duration::from_hours(count),
        b'M' => Duration::from_mins(count),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The `grpc-status` among some field lines, the last one if there are several.
pub(crate) fn status_in(lines: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"grpc-status:";
    let mut lines = lines.rsplit(|b| *b == b'\n');
    let line = lines.find(|line| {
        let name = line.get(..NAME.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    })?;
    status(line.get(NAME.len()..)?.trim_ascii())
}

/// What the value of a `grpc-status` says.
pub(crate) fn status(value: &[u8]) -> Option<u8> {
    str::from_utf8(value).ok()?.parse().ok()
}

/// The status that a fault is told with.
pub(crate) const fn status_of(kind: FaultKind) -> u8 {
    const DEADLINE_EXCEEDED: u8 = 4;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    match kind.status() {
        504 => DEADLINE_EXCEEDED,
        413 | 431 => RESOURCE_EXHAUSTED,
        404 => UNIMPLEMENTED,
        _ if matches!(kind.side(), Side::Downstream) => INTERNAL,
        _ => UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_they_are_written() {
        for (text, expected) in [
            ("1H", Some(Duration::from_hours(1))),
            ("5M", Some(Duration::from_mins(5))),
            ("10S", Some(Duration::from_secs(10))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000n", None),
            ("m", None),
            ("", None),
            ("1", None),
            ("-1S", None),
            ("1s", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_status_is_found_among_trailers() {
        let lines = b"x: 1\r\nGrpc-Status: 14\r\ngrpc-message: no\r\n";
        assert_eq!(status_in(lines), Some(14));
        assert_eq!(status_in(b"grpc-message: grpc-status: 1\r\n"), None);
        assert_eq!(status_in(b""), None);
    }

    #[test]
    fn faults_are_told_by_who_must_act() {
        assert_eq!(status_of(FaultKind::ConnectRefused), 14);
        assert_eq!(status_of(FaultKind::TotalTimeout), 4);
        assert_eq!(status_of(FaultKind::NoRoute), 12);
        assert_eq!(status_of(FaultKind::BodyTooLarge), 8);
        assert_eq!(status_of(FaultKind::Refused(400, "no")), 13);
    }
}

//! What a request says of the trace that it belongs to: `traceparent` (W3C Trace Context) or, where
//! there is none, `X-Amzn-Trace-Id` (pure).
//!
//! Whatever is not exactly as it should be is as if it was not there: a trace that begins here is
//! better than one that others cannot find.

use crate::{
    model::{SpanId, TraceId},
    proxy::headers::hex_digits,
};

/// The length of a `traceparent` of the version that we write.
pub(crate) const LEN: usize = 55;

/// Bit of the flags: whoever sent it may have recorded it.
const SAMPLED: u8 = 1;

/// The span that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    /// Its trace.
    pub(crate) trace: TraceId,
    /// Its number; nobody has to say it in `X-Amzn-Trace-Id`.
    pub(crate) span: Option<SpanId>,
    /// Whether it is recorded; `None`: whoever comes next decides.
    pub(crate) is_sampled: Option<bool>,
    /// Whether `tracestate` belongs to it.
    pub(crate) has_state: bool,
}

/// The parent that the fields of a request name: each is given with all its values.
pub(crate) fn parent<'a>(
    traceparents: impl Iterator<Item = &'a [u8]>,
    amazon: impl Iterator<Item = &'a [u8]>,
) -> Option<Parent> {
    let named = only(traceparents).and_then(traceparent);
    named.or_else(|| only(amazon).and_then(amazon_id))
}

/// The value of a field that must be there once.
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Reads `VERSION-TRACE-PARENT-FLAGS`. Later versions may have more behind that, and are read as
/// far as this one goes.
fn traceparent(value: &[u8]) -> Option<Parent> {
    let (known, rest) = value.split_at_checked(LEN)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let [version, trace, span, flags] = [(); 4].map(|()| parts.next().unwrap_or_default());
    let version = byte(version).filter(|version| *version != 0xff)?;
    let is_whole =
        parts.next().is_none() && (rest.is_empty() || version > 0 && rest.starts_with(b"-"));
    let flags = byte(flags).filter(|_| is_whole)?;
    Some(Parent {
        trace: TraceId::parse(trace)?,
        span: Some(SpanId::parse(span)?),
        is_sampled: Some(flags & SAMPLED != 0),
        has_state: true,
    })
}

/// Two lower-case hexadecimal digits.
fn byte(text: &[u8]) -> Option<u8> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = str::from_utf8(text).ok();
    let text = text.filter(|text| text.len() == 2 && text.as_bytes().iter().all(is_digit))?;
    u8::from_str_radix(text, 16).ok()
}

/// Reads `Root=1-TIME-NUMBER;Parent=SPAN;Sampled=1`, in any order; all but the root may lack.
fn amazon_id(value: &[u8]) -> Option<Parent> {
    let (mut trace, mut span, mut is_sampled) = (None, None, None);
    for part in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
        if let Some(root) = part.strip_prefix(b"Root=") {
            trace = Some(amazon_root(root)?);
        } else if let Some(parent) = part.strip_prefix(b"Parent=") {
            span = SpanId::parse(parent);
        } else if let Some(sampled) = part.strip_prefix(b"Sampled=") {
            is_sampled = match sampled {
                b"1" => Some(true),
                b"0" => Some(false),
                _ => None,
            };
        }
    }
    Some(Parent {
        trace: trace?,
        span,
        is_sampled,
        has_state: false,
    })
}

/// The trace of a root: its time and its number, without what stands between them.
fn amazon_root(root: &[u8]) -> Option<TraceId> {
    let (time, number) = root.strip_prefix(b"1-")?.split_at_checked(8)?;
    let number = number.strip_prefix(b"-")?;
    let mut digits = [0; 32];
    let (first, second) = digits.split_at_mut(8);
    first.copy_from_slice(time);
    if number.len() != second.len() {
        return None;
    }
    second.copy_from_slice(number);
    TraceId::parse(&digits)
}

/// A `traceparent` for whoever comes next.
pub(crate) fn write(trace: TraceId, span: SpanId, is_sampled: bool) -> [u8; LEN] {
    let mut text = *b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";
    let (trace, span) = (trace.bytes(), span.bytes());
    let words = trace.as_chunks().0.iter().chain([&span]);
    for (place, word) in [3, 19, 36].into_iter().zip(words) {
        let digits = hex_digits(u64::from_be_bytes(*word));
        if let Some(place) = text.get_mut(place..place + digits.len()) {
            place.copy_from_slice(&digits);
        }
    }
    if let Some(last) = text.last_mut().filter(|_| is_sampled) {
        *last = b'1';
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    /// Trace, span, and whether it is sampled; empty if there is no parent.
    fn read(traceparents: &[&str], amazon: &[&str]) -> String {
        let bytes = |values: &[&str]| -> Vec<Vec<u8>> {
            values.iter().map(|it| it.as_bytes().to_vec()).collect()
        };
        let (traceparents, amazon) = (bytes(traceparents), bytes(amazon));
        let found = parent(
            traceparents.iter().map(|it| &**it),
            amazon.iter().map(|it| &**it),
        );
        let Some(found) = found else {
            return String::new();
        };
        let span = found.span.map_or("-".into(), |span| span.to_string());
        let sampled = found
            .is_sampled
            .map_or("?", |it| if it { "1" } else { "0" });
        format!("{} {span} {sampled} {}", found.trace, found.has_state)
    }

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_has_it() {
        let is = |sampled| format!("{TRACE} {SPAN} {sampled} true");
        let nothing = String::new;
        for (value, expected) in [
            (format!("00-{TRACE}-{SPAN}-01"), is("1")),
            (format!("00-{TRACE}-{SPAN}-00"), is("0")),
            (format!("00-{TRACE}-{SPAN}-03"), is("1")),
            (format!("00-{TRACE}-{SPAN}-fe"), is("0")),
            // A later version, with and without more.
            (format!("01-{TRACE}-{SPAN}-01"), is("1")),
            (
                format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be"),
                is("1"),
            ),
            (format!("cc-{TRACE}-{SPAN}-01."), nothing()),
            // What is not one.
            (String::new(), nothing()),
            (format!("ff-{TRACE}-{SPAN}-01"), nothing()),
            (format!("00-{TRACE}-{SPAN}-01-"), nothing()),
            (format!("00-{TRACE}-{SPAN}-1"), nothing()),
            (format!("00-{TRACE}-{SPAN}-0x"), nothing()),
            (format!("00-{TRACE}-{SPAN}-+1"), nothing()),
            (format!("0-{TRACE}-{SPAN}-001"), nothing()),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), nothing()),
            (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), nothing()),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), nothing()),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), nothing()),
            (format!("00_{TRACE}_{SPAN}_01"), nothing()),
            (format!(" 00-{TRACE}-{SPAN}-01"), nothing()),
        ] {
            assert_eq!(read(&[&value], &[]), expected, "{value}");
        }
        let twice = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(read(&[&twice, &twice], &[]), "", "which one?");
    }

    #[test]
    fn amazons_field_is_read_where_there_is_no_traceparent() {
        let root = "1-4bf92f35-77b34da6a3ce929d0e0e4736";
        let is = |rest: &str| format!("{TRACE} {rest} false");
        for (value, expected) in [
            (format!("Root={root}"), is("- ?")),
            (
                format!("Root={root};Parent={SPAN};Sampled=1"),
                is(&format!("{SPAN} 1")),
            ),
            (format!("Sampled=0; Root={root}; Lineage=a:1"), is("- 0")),
            (
                format!("Self=1-2-3;Root={root};Parent=x;Sampled=?"),
                is("- ?"),
            ),
            ("Parent=00f067aa0ba902b7;Sampled=1".into(), String::new()),
            (format!("Root=2{}", &root[1..]), String::new()),
            (format!("Root={root}0"), String::new()),
            (
                "Root=1-4bf92f3-577b34da6a3ce929d0e0e47360".into(),
                String::new(),
            ),
            ("Root=".into(), String::new()),
            (String::new(), String::new()),
        ] {
            assert_eq!(read(&[], &[&value]), expected, "{value}");
        }
        let amazon = format!("Root=1-{}-{}", "1".repeat(8), "2".repeat(24));
        let ours = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(read(&[&ours], &[&amazon]), format!("{TRACE} {SPAN} 1 true"));
        let theirs = format!("{}{} - ? false", "1".repeat(8), "2".repeat(24));
        assert_eq!(read(&["garbage"], &[&amazon]), theirs);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), is_sampled: bool,
        ) {
            let (Some(id), Some(span)) = (TraceId::new(trace), SpanId::new(span)) else {
                return Ok(());
            };
            let text = write(id, span, is_sampled);
            let expected = Parent {
                trace: id,
                span: Some(span),
                is_sampled: Some(is_sampled),
                has_state: true,
            };
            prop_assert_eq!(traceparent(&text), Some(expected));
        }

        #[test]
        fn nothing_that_strangers_send_is_read_as_more_than_it_is(value in ".{0,80}") {
            if let Some(found) = traceparent(value.as_bytes()) {
                prop_assert!(value.len() >= LEN);
                prop_assert_eq!(value.get(3..35).unwrap(), found.trace.to_string());
            }
            let _read = amazon_id(value.as_bytes());
        }
    }
}

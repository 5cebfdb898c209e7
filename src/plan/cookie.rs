//! Finding a cookie among the `Cookie` fields of a request (RFC 6265 section 4.2.1), in place.

use super::Head;

/// Calls `each` with every value of the cookie `name`, in order.
pub(super) fn values<'a>(head: &'a impl Head, name: &[u8], mut each: impl FnMut(&'a [u8])) {
    head.cookies(&mut |field| {
        let mut rest = field;
        loop {
            let end = memchr::memchr(b';', rest);
            let pair = end
                .and_then(|end| rest.get(..end))
                .unwrap_or(rest)
                .trim_ascii();
            if let Some(value) = pair
                .strip_prefix(name)
                .and_then(|tail| tail.strip_prefix(b"="))
            {
                each(value);
            }
            let Some(next) = end.and_then(|end| rest.get(end.saturating_add(1)..)) else {
                break;
            };
            rest = next;
        }
    });
}

/// The first value of the cookie `name` that is not empty.
pub(super) fn first<'a>(head: &'a impl Head, name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    values(head, name, |value| {
        if found.is_none() && !value.is_empty() {
            found = Some(value);
        }
    });
    found
}

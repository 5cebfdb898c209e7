//! A request of HTTP/2 on its way to an origin of HTTP/1.1, and one of HTTP/1.1 on its way to an
//! origin of HTTP/2: refused, or one request that says the same.

#![no_main]

use http::{HeaderName, HeaderValue, Method, Request, Uri, request};
use libfuzzer_sys::fuzz_target;
use serin::proxy::fuzzing::{downgrade, upgrade};
use serin_fuzz::{canon, relay::relay, unambiguous::check_unambiguous};

fuzz_target!(|bytes: &[u8]| {
    let Some(parts) = parts(bytes) else { return };
    let has_body = bytes.len() % 2 == 0;
    let Some(head) = downgrade(&parts, has_body) else {
        return;
    };
    let relayed = relay(&[&head]);
    assert_eq!(check_unambiguous(&relayed), Ok(()));
    // Nothing in a field may end the head before its end, or begin another.
    assert!(relayed.heads <= 1);
    if relayed.heads == 0 {
        return;
    }
    assert_eq!(relayed.taken, [head]);
    let sent = canon::parse(&relayed.forwarded).requests.remove(0);
    assert_eq!(sent.method, parts.method.as_str().as_bytes());
    let asked = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    assert_eq!(sent.target, asked.as_bytes());

    let end = canon::find(&relayed.forwarded, b"\r\n\r\n").expect("a head has an end") + 4;
    let Some(risen) = upgrade(&relayed.forwarded[..end]) else {
        return;
    };
    assert_eq!(*risen.method(), parts.method);
    let target = risen.uri().path_and_query().map_or("/", |it| it.as_str());
    assert_eq!(target.as_bytes(), sent.target);
    for (name, value) in risen.headers() {
        // We say ourselves that trailers are welcome to calls of gRPC.
        if name != "te" {
            let values = sent.values(name.as_str());
            assert!(values.contains(&value.as_bytes()), "{name}: {value:?}");
        }
    }
});

/// Lines: the method, the authority, the target, then a name and a value in turn. All that the
/// library lets through, and nothing else.
fn parts(bytes: &[u8]) -> Option<request::Parts> {
    let mut lines = bytes.split(|b| *b == b'\n');
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(lines.next()?).ok()?;
    let authority = lines.next()?;
    let mut uri = Uri::builder().path_and_query(lines.next()?);
    if !authority.is_empty() {
        uri = uri.scheme("http").authority(authority);
    }
    *request.uri_mut() = uri.build().ok()?;
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        let name = HeaderName::from_lowercase(name).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request.into_parts().0)
}

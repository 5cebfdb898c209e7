//! Whether what was forwarded is what was accepted. Both are read by code that the proxy does not
//! have: the one strictly, the other as one who knows all that HTTP/1.1 allows.

use crate::{
    canon::{self, CanonRequest, find, show},
    relay::Relayed,
};

/// Fields that are for one hop, that the proxy writes itself, or that strangers may not claim.
const NOT_CARRIED: &[&[u8]] = &[
    b"client-cert",
    b"client-cert-chain",
    b"connection",
    b"content-length",
    b"expect",
    b"forwarded",
    b"host",
    b"http2-settings",
    b"keep-alive",
    b"max-forwards",
    b"proxy-authenticate",
    b"proxy-authentication-info",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"x-client-cert-subject",
    b"x-real-ip",
    b"x-request-id",
    b"x-request-start",
    b"x-serin-version",
];

/// Everything that must hold for what was made of a client's stream, whatever the stream.
pub fn check_unambiguous(relayed: &Relayed) -> Result<(), String> {
    let canon = canon::parse(&relayed.forwarded);
    if !canon.crit.is_empty() || !canon.minor.is_empty() {
        return Err(format!("crit {:?}, minor {:?}", canon.crit, canon.minor));
    }
    if !canon.rest.is_empty() {
        return Err(format!("stray bytes {}", show(&canon.rest)));
    }
    let (heads, read) = (relayed.heads, canon.requests.len());
    if heads != read {
        return Err(format!("{heads} heads, {read} read"));
    }
    let whole = canon.requests.iter().filter(|read| !read.incomplete);
    let (ours, whole) = (relayed.requests.len(), whole.count());
    if whole != ours {
        return Err(format!("{ours} whole, {whole} read as whole"));
    }
    for (ours, read) in relayed.requests.iter().zip(&canon.requests) {
        let same = ours.0.as_bytes() == read.method && ours.1.as_bytes() == read.target;
        if !same || ours.2 != u64::try_from(read.body.len()).unwrap_or(u64::MAX) {
            return Err(format!("sent as {ours:?}, read as {read:?}"));
        }
    }
    let mut taken = relayed.taken.iter().zip(&canon.requests);
    taken.try_for_each(|(taken, read)| check_same(taken, read))
}

/// Whether the bytes of one request say what was read of it behind the proxy.
fn check_same(taken: &[u8], read: &CanonRequest) -> Result<(), String> {
    let empty = taken.iter().take_while(|b| b"\r\n".contains(b)).count();
    let taken = &taken[empty..];
    let end = find(taken, b"\r\n\r\n").ok_or("the head has no end")?;
    let asked = canon::parse(&taken[..end + 4]);
    let asked = asked.requests.first().ok_or("no request was taken")?;
    let (host, target) = host_and_target(asked);
    if asked.method != read.method || target != read.target {
        return Err(format!("asked {asked:?}, read {read:?}"));
    }
    // Without one, the endpoint's address stands for it.
    if host.is_some() && read.values("host").first() != host.as_ref() {
        return Err(format!("asked of {host:?}, read {read:?}"));
    }
    let nominated: Vec<Vec<u8>> = asked
        .values("connection")
        .into_iter()
        .flat_map(|value| value.split(|b| *b == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect();
    let (asked_fields, read_fields) = (carried(asked, &nominated), carried(read, &nominated));
    if asked_fields != read_fields {
        return Err(format!("fields {asked_fields:?}, read {read_fields:?}"));
    }
    let body = body(asked, &taken[end + 4..]);
    if body != read.body {
        return Err(format!("body {}, read {}", show(&body), show(&read.body)));
    }
    Ok(())
}

/// The host that is asked, and the target without it (RFC 9112, section 3.2.2).
fn host_and_target(asked: &CanonRequest) -> (Option<&[u8]>, Vec<u8>) {
    let target = asked.target.as_slice();
    let scheme = find(target, b"://").filter(|_| !target.starts_with(b"/"));
    let Some(scheme) = scheme else {
        return (asked.values("host").first().copied(), target.to_vec());
    };
    let rest = &target[scheme + 3..];
    let end = rest.iter().position(|b| b"/?".contains(b));
    let (host, path) = rest.split_at(end.unwrap_or(rest.len()));
    let path = match path {
        [] if asked.method == b"OPTIONS" => b"*".to_vec(),
        [b'/', ..] => path.to_vec(),
        _ => [b"/", path].concat(),
    };
    (Some(host), path)
}

/// The fields that go to the origin as they came.
fn carried<'r>(request: &'r CanonRequest, nominated: &[Vec<u8>]) -> Vec<(&'r [u8], &'r [u8])> {
    let always: [&[u8]; 2] = [b"authorization", b"cookie"];
    let fields = request.fields.iter().filter(|(name, _)| {
        let is_nominated = nominated.contains(name) && !always.contains(&name.as_slice());
        let is_ours = NOT_CARRIED.contains(&name.as_slice()) || name.starts_with(b"x-forwarded-");
        !is_nominated && !is_ours && !name.contains(&b'_')
    });
    fields
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
        .collect()
}

/// The payload of what was taken of a body.
fn body(asked: &CanonRequest, mut rest: &[u8]) -> Vec<u8> {
    if asked.values("transfer-encoding").is_empty() {
        return rest.to_vec();
    }
    let mut payload = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]);
        let digits = line.split(|c: char| !c.is_ascii_hexdigit()).next();
        let size = usize::from_str_radix(digits.unwrap_or_default(), 16).unwrap_or(0);
        rest = &rest[end + 2..];
        payload.extend_from_slice(&rest[..size.min(rest.len())]);
        if size == 0 || rest.len() < size + 2 {
            break;
        }
        rest = &rest[size + 2..];
    }
    payload
}

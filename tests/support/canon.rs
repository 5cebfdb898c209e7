//! A strict reader of forwarded bytes that shares no code with the proxy. `crit` holds what
//! another parser, allowed by the RFC or known to be lenient, could frame in another way.

/// What a stream of requests says.
#[derive(Debug, Default)]
pub struct Canon {
    /// The requests found, in order.
    pub requests: Vec<CanonRequest>,
    /// What could be read in two ways.
    pub crit: Vec<String>,
    /// What is wrong but not ambiguous.
    pub minor: Vec<String>,
    /// Bytes that belong to no whole message.
    pub rest: Vec<u8>,
}

/// One request of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CanonRequest {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// Lower-case name, value.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub incomplete: bool,
}

impl CanonRequest {
    /// The values of a field.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(n, _)| n == name.as_bytes());
        named.map(|(_, value)| value.as_slice()).collect()
    }
}

/// Reads a whole stream of requests.
pub fn parse(stream: &[u8]) -> Canon {
    let mut canon = Canon::default();
    let mut rest = stream;
    while !rest.is_empty() {
        let Some(end) = find(rest, b"\r\n\r\n") else {
            canon.rest = rest.to_vec();
            return canon;
        };
        let head = &rest[..end];
        let Some(request) = canon.head(head) else {
            canon.rest = rest.to_vec();
            return canon;
        };
        rest = &rest[end + 4..];
        let left = canon.body(request, rest);
        match left {
            Some(left) => rest = left,
            None => return canon,
        }
    }
    canon
}

impl Canon {
    fn head(&mut self, head: &[u8]) -> Option<CanonRequest> {
        let mut lines = split(head, b"\r\n").into_iter();
        let line = lines.next().unwrap_or_default();
        let words: Vec<_> = line.split(|b| *b == b' ').collect();
        let [method, target, version] = words.as_slice() else {
            self.crit.push(format!("request line {}", show(line)));
            return None;
        };
        let plain = |b: &u8| *b > 0x20 && *b != 0x7f;
        let versions: [&[u8]; 2] = [b"HTTP/1.0", b"HTTP/1.1"];
        let target_ok = !target.is_empty() && target.iter().all(plain);
        if !is_token(method) || !target_ok || !versions.contains(version) {
            self.crit.push(format!("request line {}", show(line)));
            return None;
        }
        if target.iter().any(|b| *b > 0x7f) {
            self.minor.push("8bit-target".into());
        }
        let fields = lines.filter_map(|line| self.field(line)).collect();
        let request = CanonRequest {
            method: method.to_vec(),
            target: target.to_vec(),
            fields,
            ..CanonRequest::default()
        };
        self.framing(&request, *version == b"HTTP/1.1");
        Some(request)
    }

    fn field(&mut self, line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            self.crit
                .push(format!("bare CR, LF or NUL in header line {}", show(line)));
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            self.crit
                .push(format!("obs-fold or leading space {}", show(line)));
            return None;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            self.crit.push(format!("no colon {}", show(line)));
            return None;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) {
            self.crit.push(format!("bad header name {}", show(name)));
        }
        if value
            .iter()
            .any(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f)
        {
            self.minor.push(format!("CTL in value {}", show(line)));
        }
        Some((name.to_ascii_lowercase(), trim(value).to_vec()))
    }

    fn framing(&mut self, request: &CanonRequest, http11: bool) {
        let host = request.values("host");
        let lengths = request.values("content-length");
        let codings = request.values("transfer-encoding");
        if host.len() > 1 {
            self.crit.push("multiple Host".into());
        }
        if host.is_empty() && http11 {
            self.minor.push("no Host".into());
        }
        let bad = |b: &u8| *b <= 0x20 || *b == 0x7f || b",@/\\?#<>\"".contains(b);
        if host.first().is_some_and(|host| host.iter().any(bad)) {
            self.minor.push(format!("invalid Host {}", show(host[0])));
        }
        if !lengths.is_empty() && !codings.is_empty() {
            self.crit.push("CL+TE".into());
        }
        if lengths.len() > 1 {
            self.crit.push("multiple CL".into());
        }
        if lengths
            .iter()
            .any(|v| v.is_empty() || !v.iter().all(u8::is_ascii_digit))
        {
            self.crit.push("CL value".into());
        }
        if codings.len() > 1 {
            self.crit.push("multiple TE".into());
        }
        if codings.iter().any(|v| !v.eq_ignore_ascii_case(b"chunked")) {
            self.crit.push("TE value".into());
        }
        if !codings.is_empty() && !http11 {
            self.crit.push("TE in 1.0".into());
        }
    }

    /// Reads the body of `request` and keeps the request; answers what follows, if it was whole.
    fn body<'s>(&mut self, mut request: CanonRequest, rest: &'s [u8]) -> Option<&'s [u8]> {
        if !request.values("transfer-encoding").is_empty() {
            let left = self.chunks(&mut request, rest);
            request.incomplete = left.is_none();
            self.requests.push(request);
            return left;
        }
        let length = request.values("content-length").first().map_or(0, |v| {
            std::str::from_utf8(v)
                .ok()
                .and_then(|v| v.parse::<usize>().ok())
                .unwrap_or(0)
        });
        let there = length.min(rest.len());
        request.body = rest[..there].to_vec();
        request.incomplete = there < length;
        let left = (!request.incomplete).then(|| &rest[there..]);
        self.requests.push(request);
        left
    }

    fn chunks<'s>(&mut self, request: &mut CanonRequest, mut rest: &'s [u8]) -> Option<&'s [u8]> {
        loop {
            let end = find(rest, b"\r\n")?;
            let line = &rest[..end];
            let hex = !line.is_empty() && line.len() <= 16;
            if !hex || !line.iter().all(u8::is_ascii_hexdigit) {
                self.crit.push(format!("chunk size {}", show(line)));
                return None;
            }
            rest = &rest[end + 2..];
            let text = String::from_utf8_lossy(line);
            let size = u64::from_str_radix(&text, 16).unwrap_or(u64::MAX);
            if size == 0 {
                return self.trailers(rest);
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            request
                .body
                .extend_from_slice(&rest[..size.min(rest.len())]);
            let after = rest.get(size..).filter(|after| after.len() >= 2)?;
            if !after.starts_with(b"\r\n") {
                self.crit.push("chunk not ended by CRLF".into());
                return None;
            }
            rest = &after[2..];
        }
    }

    fn trailers<'s>(&mut self, mut rest: &'s [u8]) -> Option<&'s [u8]> {
        loop {
            let end = find(rest, b"\r\n")?;
            let line = &rest[..end];
            rest = &rest[end + 2..];
            if line.is_empty() {
                return Some(rest);
            }
            let name = line.split(|b| *b == b':').next().unwrap_or_default();
            let clean = !line.iter().any(|b| matches!(b, b'\r' | b'\n'));
            if !clean || !line.contains(&b':') || !is_token(name) {
                self.crit.push(format!("bad trailer {}", show(line)));
            }
        }
    }
}

/// Finds the first place of `what`.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn split<'b>(mut bytes: &'b [u8], separator: &[u8]) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, separator) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + separator.len()..];
    }
    parts.push(bytes);
    parts
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn is_token(bytes: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(plain)
}

/// Bytes for a message.
pub fn show(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(60)].escape_ascii().to_string()
}

/// One answer that a client got.
#[derive(Debug)]
pub struct CanonAnswer {
    pub status: u16,
    /// The end of the body came.
    pub whole: bool,
}

/// Reads all that a client got: answers to requests of these methods and nothing else. Strict: the
/// sender is the proxy, whose answers must never need leniency.
pub fn answers(mut rest: &[u8], methods: &[Vec<u8>]) -> Result<Vec<CanonAnswer>, String> {
    let mut answers: Vec<CanonAnswer> = Vec::new();
    let mut methods = methods.iter();
    while !rest.is_empty() {
        let end = find(rest, b"\r\n\r\n").ok_or_else(|| format!("no head: {}", show(rest)))?;
        let mut canon = Canon::default();
        let mut lines = split(&rest[..end], b"\r\n").into_iter();
        let status = status(lines.next().unwrap_or_default())?;
        let fields = lines.filter_map(|line| canon.field(line)).collect();
        rest = &rest[end + 4..];
        let mut read = CanonRequest {
            fields,
            ..CanonRequest::default()
        };
        let framings = read.values("content-length").len() + read.values("transfer-encoding").len();
        if framings > 1 || !canon.crit.is_empty() || !canon.minor.is_empty() {
            return Err(format!(
                "{framings} framings, {:?} {:?}",
                canon.crit, canon.minor
            ));
        }
        if status < 200 {
            answers.push(CanonAnswer {
                status,
                whole: true,
            });
            continue;
        }
        let head = methods.next().is_some_and(|method| method == b"HEAD");
        if head || status == 204 || status == 304 {
            answers.push(CanonAnswer {
                status,
                whole: true,
            });
            continue;
        }
        if framings == 0 {
            answers.push(CanonAnswer {
                status,
                whole: true,
            });
            return Ok(answers);
        }
        read.method.clear();
        let left = canon.body(read, rest);
        if !canon.crit.is_empty() {
            return Err(format!("body: {:?}", canon.crit));
        }
        answers.push(CanonAnswer {
            status,
            whole: left.is_some(),
        });
        rest = left.unwrap_or_default();
    }
    Ok(answers)
}

fn status(line: &[u8]) -> Result<u16, String> {
    let text = line
        .strip_prefix(b"HTTP/1.1 ")
        .ok_or_else(|| format!("line {}", show(line)))?;
    let (digits, after) = text.split_at_checked(3).unwrap_or_default();
    let text = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
    let status = text.parse::<u16>().map_err(|error| error.to_string())?;
    if after.starts_with(b" ") && (100..600).contains(&status) {
        Ok(status)
    } else {
        Err(format!("status line {}", show(line)))
    }
}

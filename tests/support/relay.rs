//! A proxy without sockets: a client's stream in, the origin's stream out.

use serin::{
    plan::RequestStart,
    proxy::h1::{BodyError, BodyRelay, HeadLimits, Parsed, Reject, RequestHead, rewrite},
};

/// What became of a client's stream.
#[derive(Debug, Default)]
pub struct Relayed {
    /// What the origin gets.
    pub forwarded: Vec<u8>,
    /// Method, target and length of the payload of each request forwarded to its end.
    pub requests: Vec<(String, String, u64)>,
    /// Requests whose head was forwarded.
    pub heads: usize,
    /// What was taken of the client's bytes for each of them.
    pub taken: Vec<Vec<u8>>,
    /// Why it ended early.
    pub refused: Option<Reject>,
    /// Why a body ended early.
    pub broken: Option<BodyError>,
}

pub const LIMITS: HeadLimits = HeadLimits {
    max_bytes: 64 << 10,
    max_fields: 100,
    max_line: 32 << 10,
    max_target: 8 << 10,
};

/// Sends a stream through parser, rewriting and body relay, in the pieces given.
pub fn relay(pieces: &[&[u8]]) -> Relayed {
    let mut client = Client::default();
    for piece in pieces {
        client.buf.extend_from_slice(piece);
        while client.goes_on() {}
    }
    client.relayed
}

#[derive(Default)]
struct Client {
    buf: Vec<u8>,
    head: RequestHead,
    body: Option<(BodyRelay, String, String)>,
    closed: bool,
    relayed: Relayed,
}

impl Client {
    /// Does what can be done with the bytes that are there; answers whether there is more to do.
    fn goes_on(&mut self) -> bool {
        if self.closed || self.relayed.refused.is_some() || self.relayed.broken.is_some() {
            return false;
        }
        if self.body.is_some() {
            self.relay_body()
        } else {
            self.relay_head()
        }
    }

    fn relay_head(&mut self) -> bool {
        let len = match self.head.parse(&self.buf, &LIMITS) {
            Ok(Parsed::Complete(len)) => len,
            Ok(Parsed::Partial) => return false,
            Err(reject) => {
                self.relayed.refused = Some(reject);
                return false;
            }
        };
        let edits = rewrite::RequestEdits {
            trace: None,
            client: b"192.0.2.1",
            proto: b"http",
            subject: None,
            trusted: false,
            request_id: b"0123456789abcdef",
            request_start: (1_700_000_000_000_000, RequestStart::Seconds),
            version_name: b"ecs",
            default_host: b"127.0.0.1:8080",
            upgrade: false,
        };
        rewrite::request(&self.head, &self.buf, &edits, &mut self.relayed.forwarded);
        self.relayed.heads += 1;
        let framing = self.head.framing();
        let method = String::from_utf8_lossy(self.head.method(&self.buf)).into_owned();
        let target = self.head.target(&self.buf).concat();
        let target = String::from_utf8_lossy(&target).into_owned();
        self.body = Some((BodyRelay::new(framing, framing), method, target));
        self.relayed.taken.push(self.buf.drain(..len).collect());
        true
    }

    fn relay_body(&mut self) -> bool {
        let Some((relay, method, target)) = &mut self.body else {
            return false;
        };
        let mut out = Vec::new();
        let step = match relay.step(&self.buf, &mut out) {
            Ok(step) => step,
            Err(error) => {
                self.relayed.broken = Some(error);
                return false;
            }
        };
        out.extend_from_slice(&self.buf[step.forward.clone()]);
        out.extend_from_slice(step.suffix);
        self.relayed.forwarded.extend_from_slice(&out);
        if let Some(taken) = self.relayed.taken.last_mut() {
            taken.extend(self.buf.drain(..step.consumed));
        }
        if step.done {
            self.relayed
                .requests
                .push((method.clone(), target.clone(), relay.received()));
            self.body = None;
            self.closed = !self.head.keep_alive();
        }
        step.done || (step.consumed > 0 && !self.buf.is_empty())
    }
}

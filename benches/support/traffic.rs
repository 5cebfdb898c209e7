//! One request as a browser sends it, its answer, and plans that take it.
//!
//! The heads are those of scenario s2 in `load-tests`: 12 fields and about 600 bytes up, 10 fields
//! down.

use std::{
    collections::HashMap,
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use serin::{
    config::{self, Config},
    measure::{Attempt, AttemptLabel, CellKey, Recorder, Request, RequestLabel, Sample},
    model::{
        CodeClass, Endpoint, EndpointKey, Epoch, Generation, Moment, Nonce, Outcome, Protocol,
        Reason, Role, RouteId, Share, SplitId, SplitKey, Stage, UpstreamName,
    },
    plan::{self, Assignment, Chance, Inputs, Keys, Plan, RequestStart, Rotation, Secrets, Shift},
    proxy::h1::{
        Asked, Framing, HeadLimits, Parsed, RequestHead, ResponseHead, Version,
        rewrite::{self, RequestEdits, ResponseEdits},
    },
};

/// The request.
pub(crate) const REQUEST: &[u8] = b"GET /head HTTP/1.1\r\n\
Host: shop.example\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
Chrome/131.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Referer: https://shop.example/catalogue/garden/tools?page=3\r\n\
Cookie: uid=7f3a9c51e2b84d60; theme=dark; basket=3\r\n\
Cache-Control: no-cache\r\n\
Upgrade-Insecure-Requests: 1\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-Site: same-origin\r\n\
X-Device-Id: d41d8cd98f00b204e9800998\r\n\
\r\n";

/// The head of its answer.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
Server: nginx\r\n\
Date: Thu, 26 Nov 2026 08:00:00 GMT\r\n\
Content-Type: text/plain\r\n\
Content-Length: 1000\r\n\
Connection: keep-alive\r\n\
X-Version: stable\r\n\
Cache-Control: private, max-age=0, must-revalidate\r\n\
ETag: W/\"5f0c3e1a9b7d4c2e8f6a\"\r\n\
Vary: Accept-Encoding, Cookie\r\n\
X-Frame-Options: SAMEORIGIN\r\n\
\r\n";

/// What a listener allows by default.
pub(crate) const LIMITS: HeadLimits = HeadLimits {
    max_bytes: 64 << 10,
    max_fields: 100,
    max_line: 32 << 10,
    max_target: 8 << 10,
};

/// The request with a cookie more.
pub(crate) fn request_with(cookie: &str) -> Vec<u8> {
    let text = str::from_utf8(REQUEST).unwrap();
    text.replace("basket=3", &format!("basket=3; {cookie}"))
        .into_bytes()
}

/// Reads the request's head into `head`, which is used again and again.
pub(crate) fn parse_request(head: &mut RequestHead, bytes: &[u8]) {
    let parsed = head.parse(bytes, &LIMITS);
    assert_eq!(parsed, Ok(Parsed::Complete(bytes.len())));
}

/// Reads the answer's head.
pub(crate) fn parse_answer(head: &mut ResponseHead, bytes: &[u8]) {
    let parsed = head.parse(bytes, &HeadLimits::RESPONSE, Asked::default());
    assert_eq!(parsed, Ok(Parsed::Complete(bytes.len())));
}

/// The request's head as an origin sees it.
pub(crate) fn rewrite_request(head: &RequestHead, bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let edits = RequestEdits {
        trace: None,
        client: b"192.0.2.1",
        proto: b"http",
        subject: None,
        trusted: false,
        request_id: b"0123456789abcdef0123456789abcdef",
        request_start: (1_800_000_000_000_000, RequestStart::Seconds),
        version_name: b"stable",
        default_host: b"192.0.2.2:8080",
        upgrade: false,
    };
    rewrite::request(head, bytes, &edits, out);
}

/// The answer's head as the client sees it.
pub(crate) fn rewrite_answer(head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let edits = ResponseEdits {
        client: Version::Http11,
        outgoing: Framing::Length(1_000).towards(Version::Http11, true),
        lines: b"",
        date: b"Sun, 06 Nov 1994 08:49:37 GMT",
    };
    rewrite::response(head, bytes, &edits, out);
}

/// A head as the plan sees it.
pub(crate) struct Seen {
    head: RequestHead,
    bytes: Vec<u8>,
}

impl Seen {
    /// Of a whole request.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut head = RequestHead::new();
        parse_request(&mut head, &bytes);
        Self { head, bytes }
    }
}

impl plan::Head for Seen {
    fn method(&self) -> &[u8] {
        self.head.method(&self.bytes)
    }

    fn host(&self) -> &[u8] {
        self.head.host(&self.bytes)
    }

    fn path(&self) -> &[u8] {
        self.head.path(&self.bytes)
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        self.head.field(&self.bytes, name)
    }

    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        self.head.cookies(&self.bytes).for_each(each);
    }

    fn client(&self) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, 1).into()
    }
}

/// A file with so many splits, and so many endpoints of each of two upstreams. The first split
/// takes everything that no other does (half of them have a host, half a path); `more` is added to
/// it.
pub(crate) fn text(splits: usize, endpoints: usize, more: &str) -> String {
    let mut text = "listen: \"127.0.0.1:0\"\nupstreams:\n".to_owned();
    for (name, net) in [("stable", 1), ("canary", 2)] {
        let list: Vec<_> = (0..endpoints)
            .map(|at| format!("\"10.{net}.{}.{}:80\"", at / 250, at % 250))
            .collect();
        writeln!(text, "  {name}: {{ static: [{}] }}", list.join(", ")).unwrap();
    }
    text.push_str("splits:\n");
    for at in 0..splits {
        let (takes, more) = match at {
            0 => (String::new(), more),
            _ if at % 2 == 0 => (format!("    match: {{ path_prefix: /p{at} }}\n"), ""),
            _ => (format!("    match: {{ hosts: shop{at}.example }}\n"), ""),
        };
        let versions = "    stable: stable\n    canary: canary\n    weight: 10%\n";
        write!(text, "  shop{at}:\n{takes}{versions}{more}").unwrap();
    }
    text
}

/// What a plan is made of.
pub(crate) struct Written {
    config: Config,
    endpoints: HashMap<UpstreamName, Arc<[Endpoint]>>,
    secrets: Secrets,
    keys: Keys,
}

impl Written {
    /// Reads a file; upstreams that name no endpoints have none.
    pub(crate) fn new(text: &str) -> Self {
        let (config, _warnings) = config::load(text, "bench.yaml").unwrap();
        let endpoints = |upstream: &config::Upstream| {
            let found = match &upstream.source {
                config::Source::Static(list) => list.as_slice(),
                config::Source::CloudMap(_)
                | config::Source::Dns { .. }
                | config::Source::Ecs(_)
                | config::Source::File(_)
                | config::Source::Marathon(_)
                | config::Source::Srv { .. } => &[],
            };
            let known = found.iter().map(|written| {
                let host = written
                    .host
                    .parse()
                    .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                Endpoint::new((host, written.port).into())
            });
            (upstream.name.clone(), known.collect())
        };
        Self {
            endpoints: config.upstreams.iter().map(endpoints).collect(),
            config,
            secrets: Secrets {
                default: b"a secret of a bench".to_vec(),
                ..Secrets::default()
            },
            keys: Keys::default(),
        }
    }

    /// The plan with every canary at a tenth.
    pub(crate) fn plan(&mut self, previous: Option<&Plan>) -> Plan {
        let shift = Shift {
            epoch: Epoch(1),
            nonce: Nonce(7),
            stage: Stage(1),
            share: Share::from_basis_points(1_000).unwrap(),
        };
        let names = self.config.splits.iter().map(|split| split.name.clone());
        let inputs = Inputs {
            config: &self.config,
            endpoints: &self.endpoints,
            shifts: &names.map(|name| (name, shift)).collect(),
            secrets: &self.secrets,
            tls: &plan::Tls::default(),
            previous,
            generation: previous.map_or(Generation(1), |plan| plan.generation.next()),
            now: Moment::ZERO,
        };
        plan::compile(&inputs, &mut self.keys)
    }
}

/// What a worker counts of one request, times and all.
pub(crate) struct Counted {
    recorder: Recorder,
    key: CellKey,
    requests: u64,
}

impl Counted {
    /// A worker that has counted a request of either outcome already.
    pub(crate) fn new() -> Self {
        let key = CellKey {
            split: SplitKey(0),
            stage: Stage(1),
            role: Role::Stable,
            route: RouteId(0),
            is_shadow: false,
        };
        let mut counted = Self {
            recorder: Recorder::new(),
            key,
            requests: 0,
        };
        counted.one();
        counted
    }

    /// A judged request, from its assignment to its end: between 1 and 17 ms.
    pub(crate) fn one(&mut self) {
        self.requests += 1;
        let took = Duration::from_micros(1_000 + (self.requests & 15) * 1_000);
        self.recorder.assign(self.key);
        let flight = self
            .recorder
            .launch(self.key, Moment::from_millis(self.requests));
        self.recorder.land(&flight);
        let (code_class, outcome) = (CodeClass::of(200), Outcome::Success);
        self.recorder.attempt(&Attempt {
            key: self.key,
            label: AttemptLabel {
                code_class,
                outcome,
                reason: Reason::None,
            },
            first_byte: Some(took),
            total: took,
            ended: Moment::from_millis(self.requests),
            judged: true,
            user: None,
            request_id: self.requests,
            endpoint: Some(EndpointKey(1)),
        });
        self.recorder.request(&Request {
            key: self.key,
            label: RequestLabel {
                protocol: Protocol::H1,
                code_class,
                outcome,
            },
            duration: took,
            trace: None,
        });
    }

    /// What is handed over on a tick.
    pub(crate) fn hand_over(&mut self) -> Sample {
        self.recorder.take(0, Moment::from_millis(self.requests))
    }
}

/// A plan, and a request that asks it.
pub(crate) struct Question {
    plan: Plan,
    seen: Seen,
    rotation: Rotation,
}

impl Question {
    fn new(text: &str) -> Self {
        Self {
            plan: Written::new(text).plan(None),
            seen: Seen::new(REQUEST.to_vec()),
            rotation: Rotation::new(1),
        }
    }

    /// A plan of so many splits.
    pub(crate) fn among(splits: usize) -> Self {
        Self::new(&text(splits, 2, ""))
    }

    /// A sticky split, and a client that it does not know.
    pub(crate) fn stranger() -> Self {
        Self::new(&text(1, 2, "    sticky: {}\n"))
    }

    /// A sticky split, and a client with its cookie.
    pub(crate) fn known() -> Self {
        let mut question = Self::stranger();
        let mut line = Vec::new();
        question.write_cookie(&mut line);
        let line = String::from_utf8(line).unwrap();
        let cookie = line.trim_start_matches("Set-Cookie: ").split(';').next();
        question.seen = Seen::new(request_with(cookie.unwrap()));
        question
    }

    /// Where the request belongs.
    pub(crate) fn route(&self) -> Option<(SplitId, RouteId)> {
        self.plan.find(&self.seen)
    }

    /// The version it is for.
    pub(crate) fn assign(&mut self) -> Assignment {
        let split = self.plan.splits.first().unwrap();
        let chance = Chance {
            point: self.rotation.next(split.key),
            fresh: 0x5eed,
        };
        split.assign(&self.seen, chance)
    }

    /// What a client that is seen for the first time has to remember.
    pub(crate) fn write_cookie(&mut self, out: &mut Vec<u8>) {
        let remember = self.assign().remember.unwrap();
        let split = self.plan.splits.first().unwrap();
        split.affinity.as_ref().unwrap().write_cookie(remember, out);
    }
}

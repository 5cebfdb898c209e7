//! Requests by their meaning: what HTTP/1.1 and HTTP/2 can both say.

/// A request, and what must become of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) authority: &'static str,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: &'static str,
    pub(crate) trailers: Vec<(&'static str, &'static str)>,
    pub(crate) expect: Expect,
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// The origin gets it: with this target, each of these fields once and with this value, and
    /// none of those.
    Passes {
        has: Vec<(&'static str, &'static str)>,
        lacks: Vec<&'static str>,
    },
    /// The proxy answers with one of these statuses, and the origin gets nothing. Where it says
    /// 400, HTTP/2 may reset the stream instead.
    Answered(Vec<u16>),
}

impl Case {
    fn new(name: &'static str, method: &'static str, target: &str) -> Self {
        Self {
            name,
            method,
            target: target.to_owned(),
            authority: "a.test",
            fields: Vec::new(),
            body: "",
            trailers: Vec::new(),
            expect: Expect::Passes {
                has: Vec::new(),
                lacks: Vec::new(),
            },
        }
    }

    fn to(mut self, authority: &'static str) -> Self {
        self.authority = authority;
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(mut self, body: &'static str) -> Self {
        self.body = body;
        self
    }

    fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.trailers.push((name, value));
        self
    }

    fn answered(mut self, statuses: &[u16]) -> Self {
        self.expect = Expect::Answered(statuses.to_vec());
        self
    }

    fn has(mut self, name: &'static str, value: &'static str) -> Self {
        if let Expect::Passes { has, .. } = &mut self.expect {
            has.push((name, value));
        }
        self
    }

    fn lacks(mut self, name: &'static str) -> Self {
        if let Expect::Passes { lacks, .. } = &mut self.expect {
            lacks.push(name);
        }
        self
    }
}

fn get(name: &'static str, target: &str) -> Case {
    Case::new(name, "GET", target)
}

fn post(name: &'static str) -> Case {
    Case::new(name, "POST", "/")
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = methods();
    all.extend(targets());
    all.extend(authorities());
    all.extend(fields());
    all.extend(identity());
    all.extend(trailers());
    all.extend(sizes());
    all
}

fn methods() -> Vec<Case> {
    let options = |name, hops| Case::new(name, "OPTIONS", "/x").with("max-forwards", hops);
    vec![
        Case::new("an extension method passes", "PURGE", "/x"),
        Case::new("a method with a hyphen passes", "M-SEARCH", "/x"),
        Case::new("a method in lower case is another method", "get", "/x"),
        Case::new("OPTIONS for the whole server passes", "OPTIONS", "*"),
        Case::new("TRACE goes nowhere", "TRACE", "/").answered(&[405]),
        options("the last hop of OPTIONS is here", "0").answered(&[204]),
        Case::new("TRACE has no last hop", "TRACE", "/")
            .with("max-forwards", "0")
            .answered(&[405]),
        options("a hop of OPTIONS is counted", "3").has("max-forwards", "2"),
        get("hops of other methods are not counted", "/")
            .with("max-forwards", "0")
            .has("max-forwards", "0"),
    ]
}

fn targets() -> Vec<Case> {
    let bad = |name, target| get(name, target).answered(&[400]);
    vec![
        get(
            "a path is forwarded untouched",
            "/a/../b//c/./%2e%2E/%7e?x=%2F&y",
        ),
        get("a query may hold what people send", "/?a={b}|\\c&d[]=^`"),
        bad("a letter outside of ASCII is not a path", "/\u{e9}"),
        bad("nor a query", "/?\u{e9}"),
        bad("a backslash is a slash for some", "/a\\b"),
        bad("an encoded NUL ends a path for some", "/a%00.html"),
        bad("a blank ends a target", "/a b"),
        bad("DEL is a control character", "/a\u{7f}"),
        bad("a NUL is one, too", "/a\0b"),
        bad("a target is a path", "a/b"),
        bad("only OPTIONS asks for the whole server", "*"),
    ]
}

fn authorities() -> Vec<Case> {
    let good = |name, authority| get(name, "/").to(authority).has("host", authority);
    let bad = |name, authority| get(name, "/").to(authority).answered(&[400]);
    vec![
        good("a host may have a port", "a.test:8080"),
        good("a host may be an IPv6 address", "[2001:db8::1]:80"),
        bad("an empty host is none", ""),
        bad("a host has no user", "user@a.test"),
        bad("a host has no path", "a.test/x"),
        bad("a host has no query", "a.test?x"),
        bad("two hosts are not one", "a.test,b.test"),
        bad("a host has no blank", "a.test b.test"),
        bad("a host has no percent sign", "a%2etest"),
        bad("a host has no backslash", "a.test\\b"),
        bad("port 0 is no port", "a.test:0"),
        bad("a port is a number of 16 bits", "a.test:65536"),
        bad("a port has digits only", "a.test:80a"),
        bad("a bracket is closed", "[::1"),
        bad("in brackets is an address", "[a.test]"),
        bad("a host has no letter outside of ASCII", "\u{e9}.test"),
        bad("a host has no NUL", "a.test\0"),
    ]
}

fn fields() -> Vec<Case> {
    let bad = |name, value| get(name, "/").with("x-own", value).answered(&[400]);
    vec![
        get("a field may be empty", "/")
            .with("x-own", "")
            .has("x-own", ""),
        get("a value may hold more than ASCII", "/")
            .with("x-own", "caf\u{e9}")
            .has("x-own", "caf\u{e9}"),
        get("a value may hold a tab", "/")
            .with("x-own", "a\tb")
            .has("x-own", "a\tb"),
        bad("a value has no NUL", "a\0b"),
        bad("a value has no bell", "a\u{7}b"),
        bad("a value has no DEL", "a\u{7f}b"),
        get("what is for this hop stays here", "/")
            .with("proxy-authorization", "Basic eDp5")
            .lacks("proxy-authorization"),
        get("credentials for the origin pass", "/")
            .with("authorization", "Basic eDp5")
            .has("authorization", "Basic eDp5"),
        post("an expectation that nobody knows is refused")
            .with("expect", "200-ok")
            .body("hello")
            .answered(&[417]),
        post("a body arrives with its length")
            .body("hello")
            .has("content-length", "5")
            .lacks("transfer-encoding"),
        get("a length with a zero before it is refused", "/")
            .with("content-length", "00")
            .answered(&[400]),
        get("a negative length is refused", "/")
            .with("content-length", "-1")
            .answered(&[400]),
        get("two lengths are refused", "/")
            .with("content-length", "0")
            .with("content-length", "0")
            .answered(&[400]),
    ]
}

/// What a stranger says of himself.
fn identity() -> Vec<Case> {
    let mine = "127.0.0.1";
    vec![
        get("a stranger's address is ours to tell", "/")
            .with("x-forwarded-for", "6.6.6.6")
            .has("x-forwarded-for", mine),
        get("said twice, too", "/")
            .with("x-forwarded-for", "6.6.6.6")
            .with("x-forwarded-for", "7.7.7.7")
            .has("x-forwarded-for", mine),
        get("and in every other way", "/")
            .with("forwarded", "for=6.6.6.6")
            .with("x-real-ip", "6.6.6.6")
            .with("x-forwarded-port", "1")
            .lacks("forwarded")
            .lacks("x-real-ip")
            .lacks("x-forwarded-port"),
        get("the host that was asked for is ours to tell", "/")
            .with("x-forwarded-host", "evil.test")
            .has("x-forwarded-host", "a.test"),
        get("the version is chosen here", "/")
            .with("x-serin-version", "new")
            .has("x-serin-version", "old"),
        get("an underscore may be a hyphen to an origin", "/")
            .with("x_forwarded_for", "6.6.6.6")
            .with("x_own", "1")
            .lacks("x_forwarded_for")
            .lacks("x_own"),
        get("a framing field with an underscore is an attack", "/")
            .with("content_length", "5")
            .answered(&[400]),
        get("any of them", "/")
            .with("transfer_encoding", "chunked")
            .answered(&[400]),
        get("an id from outside is kept", "/")
            .with("x-request-id", "abc-1")
            .has("x-request-id", "abc-1"),
    ]
}

fn trailers() -> Vec<Case> {
    vec![
        post("trailers pass")
            .body("hello")
            .trailer("x-sum", "1")
            .has("trailer:x-sum", "1"),
        post("a trailer cannot route, frame or authenticate")
            .body("hello")
            .trailer("x-sum", "1")
            .trailer("host", "evil.test")
            .trailer("content-length", "9")
            .trailer("authorization", "Basic eDp5")
            .trailer("cookie", "a=b")
            .trailer("x-forwarded-for", "6.6.6.6")
            .has("trailer:x-sum", "1")
            .lacks("trailer:host")
            .lacks("trailer:content-length")
            .lacks("trailer:authorization")
            .lacks("trailer:cookie")
            .lacks("trailer:x-forwarded-for"),
    ]
}

/// The limits as they are if nothing is said.
fn sizes() -> Vec<Case> {
    let far = |bytes| format!("/{}", "a".repeat(bytes));
    let many = |name, count, bytes: usize| {
        let value = "v".repeat(bytes);
        (0..count).fold(get(name, "/"), |case, number| {
            case.with(&format!("x-{number}"), &value)
        })
    };
    vec![
        get("a target of 8,000 bytes passes", &far(7_999)),
        get("one of 100 KB does not", &far(100_000)).answered(&[414, 400, 431]),
        many("90 fields pass", 90, 1),
        many("10,000 do not", 10_000, 1).answered(&[431, 400]),
        many("a value of 20 KB passes", 1, 20_000),
        many("one of 100 KB does not", 1, 100_000).answered(&[431, 400]),
        many("nor a head of 90 KB", 90, 1_000).answered(&[431, 400]),
    ]
}

//! What origins send, and what becomes of it on the way to the client.

/// Bytes that an origin answers a GET with.
#[derive(Debug, Clone)]
pub(crate) struct Recital {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
    pub(crate) becomes: Becomes,
}

/// What the origin does when it has said its piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    Wait,
}

/// What the client gets.
#[derive(Debug, Clone)]
pub(crate) enum Becomes {
    /// The answer, with this body, none of these fields, and a connection for the next request.
    Relayed {
        status: u16,
        body: &'static str,
        lacks: &'static [&'static str],
    },
    /// A 502 whose `Proxy-Status` names this error, and a connection for the next request.
    BadGateway(&'static str),
    /// The status and a part of the body. HTTP/1.1 ends the connection without a last chunk,
    /// HTTP/2 resets the stream: in no case does it look whole.
    CutOff(u16),
}

/// All of them.
pub(crate) fn recitals() -> Vec<Recital> {
    let refused = GARBAGE.iter().map(|(name, text)| Recital {
        name,
        bytes: text.as_bytes().to_vec(),
        then: Then::Wait,
        becomes: Becomes::BadGateway("http_protocol_error"),
    });
    let relayed = RELAYED
        .iter()
        .map(|(name, text, then, status, body, lacks)| Recital {
            name,
            bytes: text.as_bytes().to_vec(),
            then: *then,
            becomes: Becomes::Relayed {
                status: *status,
                body,
                lacks,
            },
        });
    let cut = CUT.iter().map(|(name, text)| Recital {
        name,
        bytes: text.as_bytes().to_vec(),
        then: Then::Close,
        becomes: Becomes::CutOff(200),
    });
    let mut all: Vec<_> = refused.chain(relayed).chain(cut).collect();
    all.extend(too_much());
    all.push(Recital {
        name: "nothing at all",
        bytes: Vec::new(),
        then: Then::Close,
        becomes: Becomes::BadGateway("connection_terminated"),
    });
    all
}

/// What is not HTTP/1.x as the RFCs have it.
const GARBAGE: &[(&str, &str)] = &[
    ("the banner of another protocol", "SSH-2.0-OpenSSH_9.6\r\n"),
    (
        "another protocol",
        "RTSP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    ("a page without a head", "<html>hello</html>\r\n\r\n"),
    ("binary", "\u{16}\u{3}\u{1}\0\u{1}\r\n\r\n"),
    (
        "a version that is none",
        "HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    ("HTTP/2 in clear", "HTTP/2 200\r\nContent-Length: 0\r\n\r\n"),
    (
        "a version in lower case",
        "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    ("status 0", "HTTP/1.1 0 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 000", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 099", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 600", "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"),
    (
        "a status of five digits",
        "HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a negative status",
        "HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    ("no status", "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"),
    (
        "two blanks",
        "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "an empty line first",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "lines that end in LF",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ),
    (
        "a line without a colon",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ),
    (
        "a blank before the colon",
        "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a folded line",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a NUL in a value",
        "HTTP/1.1 200 OK\r\nA: \0\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a CR in a value",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a NUL in a reason",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a name that is no token",
        "HTTP/1.1 200 OK\r\nA[: b\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a length and chunks",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks and a length",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ),
    (
        "the same length twice",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    ),
    (
        "a list of lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
    ),
    (
        "a negative length",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na",
    ),
    (
        "a length with a sign",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
    ),
    (
        "no length in the field",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\na",
    ),
    (
        "chunks in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "another coding",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
    ),
    (
        "chunks twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "an empty item",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a chunk without a size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ),
    (
        "101 that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
];

type Relayed = (
    &'static str,
    &'static str,
    Then,
    u16,
    &'static str,
    &'static [&'static str],
);

/// What is odd and yet clear.
const RELAYED: &[Relayed] = &[
    (
        "a reason that is not there",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        Then::Wait,
        200,
        "ok",
        &[],
    ),
    (
        "an old origin's answer, up to the end of the connection",
        "HTTP/1.0 200 OK\r\n\r\nok",
        Then::Close,
        200,
        "ok",
        &[],
    ),
    (
        "chunks with extensions and trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0\r\n\
         Content-Length: 9\r\nHost: b\r\nSet-Cookie: a=b\r\n\r\n",
        Then::Wait,
        200,
        "ok",
        &[
            "trailer:content-length",
            "trailer:host",
            "trailer:set-cookie",
        ],
    ),
    (
        "fields for the hop behind us",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\r\nok",
        Then::Wait,
        200,
        "ok",
        &[
            "connection",
            "x-hop",
            "keep-alive",
            "proxy-connection",
            "upgrade",
        ],
    ),
    (
        "a date of its own",
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok",
        Then::Wait,
        200,
        "ok",
        &[],
    ),
    (
        "an end that is announced",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        Then::Close,
        200,
        "ok",
        &["connection"],
    ),
    (
        "no content, with a length",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        Then::Wait,
        204,
        "",
        &["content-length"],
    ),
    (
        "not modified, with the length of what was not",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
        Then::Wait,
        304,
        "",
        &["transfer-encoding"],
    ),
    (
        "more bytes than were announced",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
        Then::Wait,
        200,
        "ok",
        &[],
    ),
    (
        "hints first",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Then::Wait,
        200,
        "ok",
        &["link"],
    ),
    (
        "leave to go on that nobody waits for",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Then::Wait,
        200,
        "ok",
        &[],
    ),
    (
        "a length with zeros before it",
        "HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nok",
        Then::Wait,
        200,
        "ok",
        &[],
    ),
];

/// What ends too early.
const CUT: &[(&str, &str)] = &[
    (
        "a short body",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    ),
    (
        "a chunk that is not whole",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ),
    (
        "no last chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ),
    (
        "no end of the trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n",
    ),
];

/// What would never end if nobody counted.
fn too_much() -> Vec<Recital> {
    let field = format!("A: {}\r\n", "b".repeat(1_000));
    let head = |name, fields: String| Recital {
        name,
        bytes: format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes(),
        then: Then::Wait,
        becomes: Becomes::BadGateway("http_protocol_error"),
    };
    let interims = |name, count: usize| {
        let text = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        (name, format!("{text}{last}").into_bytes())
    };
    let (few, many) = (interims("16 interim answers", 16), interims("17", 17));
    vec![
        head("a head of 66 KB", field.repeat(66)),
        head("a head of 3 MB", field.repeat(3_000)),
        head(
            "a field of 100 KB",
            format!("A: {}\r\n", "b".repeat(100_000)),
        ),
        head("201 fields", "A: b\r\n".repeat(201)),
        Recital {
            name: few.0,
            bytes: few.1,
            then: Then::Wait,
            becomes: Becomes::Relayed {
                status: 200,
                body: "ok",
                lacks: &[],
            },
        },
        Recital {
            name: many.0,
            bytes: many.1,
            then: Then::Wait,
            becomes: Becomes::BadGateway("http_protocol_error"),
        },
    ]
}

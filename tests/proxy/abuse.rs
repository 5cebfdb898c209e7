//! Clients of HTTP/2 that make work and want no answers: each is cut off, few of its requests reach
//! an endpoint, and others are served.

use crate::support::{
    client::Client,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, block, frame,
    },
    origin::Origin,
    proxy::proxy,
};

/// Far more than any limit.
const MANY: u32 = 20_000;
/// Requests that may reach an endpoint before a client is cut off.
const SERVED: usize = 200;

/// A request that ends with its head, or does not.
fn request(stream: u32, flags: u8) -> Vec<u8> {
    let method = if flags & END_STREAM == 0 {
        "POST"
    } else {
        "GET"
    };
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/"),
    ];
    frame(HEADERS, flags | END_HEADERS, stream, &block(&fields))
}

/// The whole request and something behind it.
fn request_and(stream: u32, then: &[u8]) -> Vec<u8> {
    [&request(stream, END_STREAM), then].concat()
}

type Flood = (&'static str, fn(u32) -> Vec<u8>);

/// What is sent over and over; the argument is a stream that is new each time.
const FLOODS: &[Flood] = &[
    ("requests that are reset at once", |stream| {
        request_and(stream, &frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]))
    }),
    ("uploads that are reset at once", |stream| {
        [
            request(stream, 0),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    }),
    ("a window that does not grow makes us reset", |stream| {
        request_and(stream, &frame(WINDOW_UPDATE, 0, stream, &[0; 4]))
    }),
    ("a window that grows too far makes us reset", |stream| {
        request_and(
            stream,
            &frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
        )
    }),
    ("data behind the end makes us reset", |stream| {
        request_and(stream, &frame(DATA, 0, stream, b"x"))
    }),
    ("a head behind the end makes us reset", |stream| {
        request_and(stream, &request(stream, END_STREAM))
    }),
    ("a stream that depends on itself", |stream| {
        let itself = [&stream.to_be_bytes()[..], &[0]].concat();
        request_and(stream, &frame(PRIORITY, 0, stream, &itself))
    }),
    ("malformed requests make us reset", |stream| {
        frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &block(&[(":method", "GET")]),
        )
    }),
    ("pings", |_| frame(PING, 0, 0, &[0; 8])),
    ("settings", |_| frame(SETTINGS, 0, 0, &[])),
    ("settings that change and change", |stream| {
        let size = (stream % 2 + 1) * 65_535;
        frame(SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat())
    }),
    ("priorities", |stream| {
        frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 1])
    }),
    ("windows", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
    ("frames of no known kind", |_| frame(99, 0, 0, b"x")),
    ("data without data", |stream| {
        let head = if stream == 1 {
            request(1, 0)
        } else {
            Vec::new()
        };
        [head, frame(DATA, 0, 1, b"")].concat()
    }),
    ("padding", |stream| {
        let head = if stream == 1 {
            request(1, 0)
        } else {
            Vec::new()
        };
        [head, frame(DATA, 0x8, 1, &[0])].concat()
    }),
    ("a head without an end", |stream| {
        let kind = if stream == 1 { HEADERS } else { CONTINUATION };
        frame(kind, 0, 1, &block(&[("x-a", "b")]))
    }),
    ("a head in pieces of nothing", |stream| {
        let kind = if stream == 1 { HEADERS } else { CONTINUATION };
        frame(kind, 0, 1, &[])
    }),
    ("fields that cost one byte each", |stream| {
        // One large field goes into the table; then it is named thousands of times.
        let mut fields = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]);
        fields.extend_from_slice(&[0x40, 1, b'a', 127, 0xa1, 0x1e]);
        fields.extend_from_slice(&[b'b'; 4_000]);
        fields.extend_from_slice(&[0xbe; 8_000]);
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields)
    }),
];

#[tokio::test]
async fn whoever_only_makes_work_is_cut_off() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    for (name, piece) in FLOODS {
        let client = Frames::connect(proxy.address).await;
        let pieces = (0..MANY).map(|number| piece(2 * number + 1));
        if client.flood(pieces).await.is_none() {
            failures.push(format!("{name}: all of it was taken"));
        }
        let served = std::iter::from_fn(|| origin.try_next()).count();
        if served > SERVED {
            failures.push(format!("{name}: {served} requests were served"));
        }
        let other = Client::connect(proxy.address).await.get("/", "").await;
        if other.text() != "x" {
            failures.push(format!("{name}: another client got {}", other.status));
        }
        origin.next().await;
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn whoever_asks_much_and_takes_it_is_served() {
    let origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Frames::connect(proxy.address).await;
    for _ in 0..1_000 {
        let stream = client.open();
        client.send_raw(&request(stream, END_STREAM)).await;
        assert!(client.reply(stream).await.is_whole);
    }
}

//! Where bodies end, and what of them is sent on.

use crate::proxy::h1::{BodyError, BodyRelay, Framing};

/// Sends a body through in pieces: what left, what stayed over, or why it broke.
fn relay(
    incoming: Framing,
    outgoing: Framing,
    pieces: &[&[u8]],
) -> Result<(String, String, bool), BodyError> {
    let mut relay = BodyRelay::new(incoming, outgoing);
    let (mut sent, mut buf) = (Vec::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        while !buf.is_empty() && !relay.is_done() {
            let step = relay.step(&buf, &mut sent)?;
            sent.extend_from_slice(&buf[step.forward]);
            sent.extend_from_slice(step.suffix);
            buf.drain(..step.consumed);
            assert_eq!(step.done, relay.is_done());
            assert!(step.consumed > 0 || step.done, "a step that does nothing");
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ok((text(sent), text(buf), relay.is_done()))
}

fn chunked(pieces: &[&[u8]]) -> Result<(String, String, bool), BodyError> {
    relay(Framing::Chunked, Framing::Chunked, pieces)
}

fn sent(text: &str) -> (String, String, bool) {
    (text.to_owned(), String::new(), true)
}

#[test]
fn lengths() {
    let five = |pieces: &[&[u8]]| relay(Framing::Length(5), Framing::Length(5), pieces).unwrap();
    assert_eq!(five(&[b"abcdeGET"]), ("abcde".into(), "GET".into(), true));
    assert_eq!(
        five(&[b"abc", b"de"]),
        ("abcde".into(), String::new(), true)
    );
    assert_eq!(five(&[b"abc"]), ("abc".into(), String::new(), false));
    assert!(BodyRelay::new(Framing::None, Framing::None).is_done());
    assert!(BodyRelay::new(Framing::Length(0), Framing::Length(0)).is_done());
}

#[test]
fn plain_chunks_pass_as_they_are_however_they_are_cut() {
    for (wire, text) in [
        (
            b"5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n".as_slice(),
            "5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n",
        ),
        // Needless zeros are counted in another way by some, and do not pass.
        (
            b"5\r\nhello\r\n0A\r\n, world!!!\r\n000\r\n\r\n",
            "5\r\nhello\r\na\r\n, world!!!\r\n0\r\n\r\n",
        ),
    ] {
        assert_eq!(chunked(&[wire]), Ok(sent(text)));
        for at in 0..wire.len() {
            let (front, back) = wire.split_at(at);
            let (got, rest, done) = chunked(&[front, back]).unwrap();
            assert!(done && rest.is_empty(), "cut at {at}");
            assert_eq!(got.to_lowercase(), text.to_lowercase(), "cut at {at}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(chunked(&bytes), Ok(sent(&text.replace('A', "a"))));
    }
}

#[test]
fn a_whole_plain_body_is_one_step_without_copying() {
    let wire = b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\nGET";
    let mut out = Vec::new();
    let mut relay = BodyRelay::new(Framing::Chunked, Framing::Chunked);
    let step = relay.step(wire, &mut out).unwrap();
    assert_eq!((step.consumed, step.forward, step.done), (23, 0..23, true));
    assert!(out.is_empty());
    assert_eq!(relay.received(), 8);
}

#[test]
fn extensions_stay_behind() {
    assert_eq!(
        chunked(&[b"5;a=b\r\nhello\r\n0\r\n\r\n"]),
        Ok(sent("5\r\nhello\r\n0\r\n\r\n"))
    );
    assert_eq!(
        chunked(&[b"1\r\na\r\n1;a\r\nb\r\n0;c=\"d\"\r\n\r\n"]),
        Ok(sent("1\r\na\r\n1\r\nb\r\n0\r\n\r\n"))
    );
    for extensions in ["a;b", "a=b;c=\"d \\\" ;\";e", "a = b ; c\t=\"\"", "a=!~"] {
        let wire = format!("1;{extensions}\r\na\r\n0\r\n\r\n");
        assert_eq!(
            chunked(&[wire.as_bytes()]),
            Ok(sent("1\r\na\r\n0\r\n\r\n")),
            "{extensions}"
        );
    }
    let long = format!("1;a{}\r\na\r\n0\r\n\r\n", "b".repeat(300));
    assert!(chunked(&[long.as_bytes()]).is_err());
}

#[test]
fn trailers_are_filtered() {
    let wire =
        b"0\r\nX-Sum: 1\r\nHost: evil\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\
        Authorization: x\r\nX-Forwarded-For: 1\r\nCookie: a\r\nA_b: 1\r\nETag2: y\r\n\r\n";
    assert_eq!(
        chunked(&[wire]),
        Ok(sent("0\r\nX-Sum: 1\r\nETag2: y\r\n\r\n"))
    );
    let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(33));
    assert_eq!(
        chunked(&[many.as_bytes()]),
        Err(BodyError::TrailersTooLarge)
    );
    let large = format!("0\r\nA: {}\r\n\r\n", "b".repeat(9000));
    assert_eq!(
        chunked(&[large.as_bytes()]),
        Err(BodyError::TrailersTooLarge)
    );
    for bad in [
        "A\r\n\r\n",
        " A: b\r\n\r\n",
        "A : b\r\n\r\n",
        "A: b\n\r\n",
        "A: b\rc\r\n\r\n",
        "A: \0\r\n\r\n",
    ] {
        let wire = format!("0\r\n{bad}");
        assert_eq!(
            chunked(&[wire.as_bytes()]),
            Err(BodyError::Trailer),
            "{}",
            bad.escape_debug()
        );
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    for bad in [
        "\r\n",
        "x\r\n",
        "0x5\r\nhello\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1 ;a\r\na\r\n",
        "1;\r\na\r\n",
        "1; a\r\na\r\n",
        "1;a\0\r\na\r\n",
        "1;a[=b\r\na\r\n",
        "1;a b\r\na\r\n",
        "1;a=\r\na\r\n",
        "1;=a\r\na\r\n",
        "1;a;\r\na\r\n",
        "1;a=b=c\r\na\r\n",
        "1;a=\"b\r\na\r\n",
        "1;a=\"b\"c\r\na\r\n",
        "1;a=\"b\\\r\na\r\n",
        "1;a=\"\u{e9}\"\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "1;a\nb\r\na\r\n",
        "1\na\r\n",
        "1\r\r\na\r\n",
        "0_2e\r\n\r\n",
        "5\r\r;ABCD\r\n34\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\rb",
        "1\r\na0\r\n\r\n",
        "8000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "00000000000000001\r\na\r\n",
    ] {
        assert!(
            chunked(&[bad.as_bytes()]).is_err(),
            "{}",
            bad.escape_debug()
        );
        let bytes: Vec<&[u8]> = bad.as_bytes().chunks(1).collect();
        assert!(
            chunked(&bytes).is_err(),
            "{} byte by byte",
            bad.escape_debug()
        );
    }
}

#[test]
fn chunks_become_plain_bytes_for_old_clients() {
    let plain = |wire: &[u8]| relay(Framing::Chunked, Framing::UntilClose, &[wire]).unwrap();
    let wire = b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(plain(wire), ("hello!".into(), String::new(), true));
}

#[test]
fn plain_bytes_become_chunks_for_new_clients() {
    let mut relay = BodyRelay::new(Framing::UntilClose, Framing::Chunked);
    let mut out = Vec::new();
    let step = relay.step(b"hello, hello, hello", &mut out).unwrap();
    assert_eq!(
        (out.as_slice(), step.forward, step.suffix),
        (b"13\r\n".as_slice(), 0..19, b"\r\n".as_slice())
    );
    out.clear();
    assert_eq!(relay.end(b"", &mut out), Ok(()));
    assert_eq!(out, b"0\r\n\r\n");
    assert!(relay.is_done());
}

#[test]
fn a_body_that_stops_early_is_truncated() {
    for framing in [Framing::Length(5), Framing::Chunked] {
        let mut relay = BodyRelay::new(framing, framing);
        relay.step(b"1\r\n", &mut Vec::new()).unwrap();
        assert_eq!(relay.end(b"", &mut Vec::new()), Err(BodyError::Truncated));
    }
    let mut relay = BodyRelay::new(Framing::UntilClose, Framing::UntilClose);
    assert_eq!(relay.end(b"", &mut Vec::new()), Ok(()));
}

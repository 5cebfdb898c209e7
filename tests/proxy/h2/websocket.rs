//! WebSocket between HTTP/1.1 and HTTP/2 (RFC 8441).

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{to_h1, to_h1_by, to_h2c};
use crate::support::{
    client::Client,
    h2_client::{Connection, End, request},
    h2_origin::{self, H2Origin},
    origin::{self, Origin},
};

/// What a client opens a WebSocket with over HTTP/2.
fn opening() -> Vec<(&'static str, &'static str)> {
    let mut fields = request("CONNECT", "/chat").to_vec();
    fields.insert(1, (":protocol", "websocket"));
    fields.extend([
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "own"),
    ]);
    fields
}

/// An origin of HTTP/1.1 that switches and echoes.
async fn echo() -> Origin {
    Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        let seen = origin::request(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(seen.line, "GET /chat HTTP/1.1");
        assert_eq!(seen.field("upgrade"), Some("websocket"));
        assert_eq!(seen.field("sec-websocket-protocol"), Some("own"));
        assert_eq!(seen.field("sec-websocket-key").unwrap().len(), 24);
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\
                       Sec-WebSocket-Protocol: own\r\n\r\n";
        stream.write_all(switch).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let _copied = tokio::io::copy(&mut reader, &mut writer).await;
        let _ended = writer.shutdown().await;
    })
    .await
}

#[tokio::test]
async fn from_http_2_to_an_origin_of_http_1() {
    let origin = echo().await;
    let mut proxy = to_h1(&origin);
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&opening(), false).await;
    let begun = client.until(stream, |it| it.status == 200).await;
    assert_eq!(begun.field("sec-websocket-protocol"), Some("own"));
    assert_eq!(begun.field("sec-websocket-accept"), None);
    proxy.exposed(serin::model::Role::Stable, 1).await;
    client.data(stream, b"\x81\x05hello", false).await;
    client.until(stream, |it| it.body == b"\x81\x05hello").await;
    client.data(stream, b"", true).await;
    assert_eq!(client.answer(stream).await.end, End::Whole);
    proxy.exposed(serin::model::Role::Stable, 0).await;
    assert!(client.settled().await);
}

#[tokio::test]
async fn from_http_1_to_an_origin_of_http_2() {
    let origin = H2Origin::doing(|request, mut respond| async move {
        let protocol = request.extensions().get::<h2::ext::Protocol>();
        assert_eq!(protocol.map(h2::ext::Protocol::as_str), Some("websocket"));
        assert_eq!(request.method(), "CONNECT");
        assert_eq!(request.uri().path(), "/chat");
        assert!(!request.headers().contains_key("sec-websocket-key"));
        let mut sending = respond
            .send_response(h2_origin::head(200, &[]), false)
            .unwrap();
        let mut body = request.into_body();
        while let Some(Ok(piece)) = body.data().await {
            let _released = body.flow_control().release_capacity(piece.len());
            sending.send_data(piece, false).unwrap();
        }
        let _ended = sending.send_data(Bytes::new(), true);
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    client
        .send(
            "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 101);
    // The answer to this key in RFC 6455, section 1.3.
    let accept = answer.field("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    client.send(b"\x81\x05hello").await;
    let mut echoed = [0; 7];
    client.stream.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"\x81\x05hello");
    client.stream.shutdown().await.unwrap();
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn an_origin_of_http_2_that_takes_none_is_a_bad_gateway() {
    let origin = H2Origin::connected(|stream, _| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let _sent = respond.send_response(h2_origin::head(200, &[]), true);
        }
    })
    .await;
    let proxy = to_h2c(&origin);
    let mut client = Client::connect(proxy.address).await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let answer = client.get("/chat", upgrade).await;
    assert_eq!(answer.status, 502);
    let cause = answer.field("proxy-status");
    assert_eq!(cause, Some("serin; error=http_upgrade_failed"));
}

#[tokio::test]
async fn a_listener_without_websocket_makes_none() {
    let mut origin = Origin::saying("x").await;
    let proxy = to_h1_by(&origin, "protocols: [h1, h2c]");
    let mut client = Connection::connect(proxy.address).await;
    let stream = client.open(&opening(), false).await;
    let answer = client.answer(stream).await;
    assert!(answer.status >= 400 || matches!(answer.end, End::Reset(_) | End::Lost));
    assert!(origin.try_next().is_none());
}

//! What comes before a connection's first request, and how many connections an address has.

use std::{net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use serin::model::Rejection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    certificates::Authority,
    client::{Client, find},
    h2_client::{Connection, request},
    origin::{Origin, ok},
    proxy::{Proxy, edge},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 203.0.113.9 4000 80\r\n";
const BELIEVED: &str = "from: [\"127.0.0.0/8\"]";

/// A header of version 2 with this command, from 192.0.2.8 port 4001, and these fields behind.
fn v2(command: u8, fields: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 8, 203, 0, 113, 9, 0x0f, 0xa1, 0, 80];
    let length = u16::try_from(addresses.len() + fields.len()).unwrap();
    let start = [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11][..]].concat();
    [&start, &length.to_be_bytes()[..], &addresses, fields].concat()
}

/// What AWS tells of the VPC endpoint that a connection came through.
fn of_aws() -> Vec<u8> {
    let endpoint = b"\x01vpce-08d2bf15fac5001c9";
    let length = u16::try_from(endpoint.len()).unwrap().to_be_bytes();
    v2(0x21, &[&[0xea], &length[..], endpoint].concat())
}

fn behind(origin: &Origin, mode: &str, from: &str) -> Proxy {
    by(
        origin,
        &format!("proxy_protocol: {{ mode: {mode}, {from} }}"),
    )
}

/// With these keys more of the listener, and one worker.
fn by(origin: &Origin, listener: &str) -> Proxy {
    Proxy::with_workers(1, edge(listener, "", ""), &[origin.address], &[], 0)
}

/// Whom the origin was told that a client is that begins with these bytes, sent in pieces.
async fn told(proxy: &Proxy, origin: &mut Origin, header: &[u8], piece: usize) -> String {
    let mut client = Client::connect(proxy.address).await;
    for part in [header, GET.as_bytes()].concat().chunks(piece) {
        client.send(part).await;
    }
    assert_eq!(client.answer().await.status, 200, "{header:?}");
    let seen = origin.next().await;
    seen.field("x-forwarded-for").unwrap().to_owned()
}

#[tokio::test]
async fn who_is_believed_may_say_who_the_client_is() {
    let mut origin = Origin::saying("x").await;
    for mode in ["accept", "require"] {
        let proxy = behind(&origin, mode, BELIEVED);
        for piece in [usize::MAX, 7, 1] {
            let headers: [(&[u8], &str); 5] = [
                (V1, "192.0.2.7"),
                (&v2(0x21, &[]), "192.0.2.8"),
                (&of_aws(), "192.0.2.8"),
                // Who speaks for itself, such as a health check.
                (&v2(0x20, &[]), "127.0.0.1"),
                (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            ];
            for (header, client) in headers {
                let seen = told(&proxy, &mut origin, header, piece).await;
                assert_eq!(seen, client, "{mode}, {piece}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_of_http_2_may_begin_so_too() {
    let mut origin = Origin::saying("x").await;
    let proxy = behind(&origin, "require", BELIEVED);
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(V1).await.unwrap();
    let mut client = Connection::over(stream, &[]).await;
    let stream = client.open(&request("GET", "/"), true).await;
    assert_eq!(client.answer(stream).await.status, 200);
    let seen = origin.next().await;
    assert_eq!(seen.field("x-forwarded-for"), Some("192.0.2.7"));
}

#[tokio::test]
async fn where_it_may_be_absent_requests_may_come_at_once() {
    let mut origin = Origin::saying("x").await;
    let proxy = behind(&origin, "accept", BELIEVED);
    assert_eq!(told(&proxy, &mut origin, b"", 1).await, "127.0.0.1");
    // A method that begins like the header is none of its kind.
    let mut client = Client::connect(proxy.address).await;
    client.send(GET.replace("GET", "PATCH")).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn a_stranger_says_nothing_of_who_he_is() {
    let mut origin = Origin::saying("x").await;
    let others = "from: [\"192.0.2.0/24\"]";
    let proxy = behind(&origin, "accept", others);
    assert_eq!(told(&proxy, &mut origin, b"", 100).await, "127.0.0.1");
    for header in [V1, &v2(0x21, &[])] {
        let mut client = Client::connect(proxy.address).await;
        client.send([header, GET.as_bytes()].concat()).await;
        assert_eq!(client.answer().await.status, 400);
    }
    let mut proxy = behind(&origin, "require", others);
    let mut client = Client::connect(proxy.address).await;
    client.try_send([V1, GET.as_bytes()].concat()).await;
    assert!(client.is_closed().await);
    proxy.rejected(Rejection::ProxyProtocol, 1).await;
    assert!(origin.try_next().is_none());
}

#[tokio::test]
async fn without_a_header_that_is_required_nothing_is_served() {
    let mut origin = Origin::saying("x").await;
    let mut proxy = behind(&origin, "require", BELIEVED);
    let broken: [&[u8]; 4] = [
        b"",
        b"PROXY TCP4 nobody 203.0.113.9 4000 80\r\n",
        b"PROXY TCP4 192.0.2.7 203.0.113.9 4000 80\n",
        &v2(0x31, &[]),
    ];
    for (count, header) in (1..).zip(broken) {
        let mut client = Client::connect(proxy.address).await;
        client.try_send([header, GET.as_bytes()].concat()).await;
        assert!(client.is_closed().await, "{header:?}");
        proxy.rejected(Rejection::ProxyProtocol, count).await;
    }
    assert!(origin.try_next().is_none());
}

#[tokio::test]
async fn a_header_that_is_never_whole_is_not_waited_for() {
    let origin = Origin::saying("x").await;
    let mode = format!("proxy_protocol: {{ mode: require, {BELIEVED} }}");
    let mut proxy = by(
        &origin,
        &format!("{mode}, timeouts: {{ tls_handshake: 200ms }}"),
    );
    for (count, begun) in (1..).zip([&b""[..], b"PROXY TCP4 192."]) {
        let mut client = Client::connect(proxy.address).await;
        client.send(begun).await;
        assert!(client.is_closed().await);
        proxy.rejected(Rejection::ProxyProtocolTimeout, count).await;
    }
}

/// An origin that tells what each connection begins with, up to the request, and how it answered.
async fn hearing() -> (Origin, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
    let origin = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut read = Vec::new();
            let at = loop {
                if let Some(at) = find(&read, b"GET / HTTP/1.1\r\n") {
                    break at;
                }
                if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    return;
                }
            };
            tell.send(read[..at].to_vec()).unwrap();
            stream.write_all(&ok("x")).await.unwrap();
            let _rest = stream.read_to_end(&mut read).await;
        }
    })
    .await;
    (origin, heard)
}

#[tokio::test]
async fn an_endpoint_is_told_who_the_client_is_on_a_connection_of_his_own() {
    for version in ["v1", "v2"] {
        let (origin, mut heard) = hearing().await;
        let listener = format!("proxy_protocol: {{ mode: accept, {BELIEVED} }}");
        let config = edge(&listener, &format!("proxy_protocol: {version}"), "");
        let proxy = Proxy::with_workers(1, config, &[origin.address], &[], 0);
        let mut client = Client::connect(proxy.address).await;
        client.send([V1, GET.as_bytes()].concat()).await;
        assert_eq!(client.answer().await.status, 200);
        let expected = match version {
            "v1" => V1.to_vec(),
            _ => [
                &v2(0x21, &[])[..19],
                &[7],
                &v2(0x21, &[])[20..24],
                &[0x0f, 0xa0, 0, 80],
            ]
            .concat(),
        };
        assert_eq!(heard.recv().await.unwrap(), expected, "{version}");
        // One that speaks for itself, on another connection.
        let mut other = Client::connect(proxy.address).await;
        let port = other.stream.local_addr().unwrap().port();
        assert_eq!(other.get("/", "").await.status, 200);
        let said = heard.recv().await.unwrap();
        if version == "v1" {
            let end = proxy.address.port();
            let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} {end}\r\n");
            assert_eq!(said, line.as_bytes());
        } else {
            assert_eq!(&said[16..20], [127, 0, 0, 1]);
            assert_eq!(&said[24..26], port.to_be_bytes());
        }
        assert_eq!(origin.connections(), 2);
    }
}

/// A connection from one of loopback's addresses.
async fn from(address: [u8; 4], to: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let stream = socket.connect(to).await.unwrap();
    Client::over(stream)
}

#[tokio::test]
async fn an_address_has_as_many_connections_as_it_may() {
    let origin = Origin::saying("x").await;
    let config = edge("limits: { max_connections_per_ip: 2 }", "", "");
    let mut proxy = Proxy::start(config, &[origin.address], &[], 0);
    let mut first = from([127, 0, 0, 2], proxy.address).await;
    let mut second = from([127, 0, 0, 2], proxy.address).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.get("/", "").await.status, 200);
    }
    let mut third = from([127, 0, 0, 2], proxy.address).await;
    third.try_send(GET).await;
    assert!(third.is_closed().await);
    proxy.rejected(Rejection::AddressLimit, 1).await;
    let mut other = from([127, 0, 0, 3], proxy.address).await;
    assert_eq!(other.get("/", "").await.status, 200, "another address");
    proxy.open(3).await;
    drop(first);
    proxy.open(2).await;
    let mut again = from([127, 0, 0, 2], proxy.address).await;
    assert_eq!(again.get("/", "").await.status, 200, "after one has left");
}

#[tokio::test]
async fn behind_a_proxy_it_is_the_clients_address_that_counts() {
    let origin = Origin::saying("x").await;
    let mode = format!("proxy_protocol: {{ mode: require, {BELIEVED} }}");
    let limit = "limits: { max_connections_per_ip: 1 }";
    let mut proxy = by(&origin, &format!("{mode}, {limit}"));
    let mut first = Client::connect(proxy.address).await;
    first.send([V1, GET.as_bytes()].concat()).await;
    assert_eq!(first.answer().await.status, 200);
    let mut same = Client::connect(proxy.address).await;
    same.try_send([V1, GET.as_bytes()].concat()).await;
    assert!(same.is_closed().await);
    proxy.rejected(Rejection::AddressLimit, 1).await;
    let mut other = Client::connect(proxy.address).await;
    other
        .send([&v2(0x21, &[])[..], GET.as_bytes()].concat())
        .await;
    assert_eq!(other.answer().await.status, 200);
}

/// A proxy with certificates for `shop.example` and `news.example`, in front of an origin.
fn secure(origin: &Origin, authority: &Authority, more: &str) -> Proxy {
    let (shop, news) = (
        authority.issue(&["shop.example"]),
        authority.issue(&["news.example"]),
    );
    let of = |name: &str| format!("{{ cert: /{name}.pem, key: /{name}.key }}");
    let tls = format!(
        "tls: {{ certificates: [{}, {}] }}{more}",
        of("shop"),
        of("news")
    );
    let issued = [("shop", &shop), ("news", &news)];
    Proxy::secure(edge(&tls, "", ""), &issued, &[origin.address])
}

async fn shake(proxy: &Proxy, client: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    shake_with("shop.example", proxy, client).await
}

async fn shake_with(
    name: &'static str,
    proxy: &Proxy,
    client: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(client).connect(name, stream).await
}

#[tokio::test]
async fn a_host_that_the_certificate_is_not_for_is_misdirected() {
    let mut origin = Origin::saying("x").await;
    let authority = Authority::new();
    let mut proxy = secure(&origin, &authority, "");
    let stream = shake(&proxy, authority.client(&["h2"], None))
        .await
        .unwrap();
    let mut client = Connection::over(stream, &[]).await;
    let asking = |host| {
        let mut fields = request("GET", "/");
        (fields[1].1, fields[3].1) = ("https", host);
        fields
    };
    let stream = client.open(&asking("news.example"), true).await;
    let answer = client.answer(stream).await;
    assert_eq!(answer.status, 421);
    assert!(origin.try_next().is_none());
    let stream = client.open(&asking("shop.example"), true).await;
    assert_eq!(
        client.answer(stream).await.status,
        200,
        "the connection stays"
    );
    assert_eq!(
        origin.next().await.field("x-forwarded-proto"),
        Some("https")
    );
    proxy.rejected(Rejection::Misdirected, 1).await;
}

#[tokio::test]
async fn a_port_behind_the_host_misdirects_nothing() {
    let origin = Origin::saying("x").await;
    let authority = Authority::new();
    let proxy = secure(&origin, &authority, "");
    for name in ["shop.example", "news.example"] {
        let client = authority.client(&["h2"], None);
        let stream = shake_with(name, &proxy, client).await.unwrap();
        let mut client = Connection::over(stream, &[]).await;
        let host = format!("{name}:8443");
        let mut fields = request("GET", "/");
        (fields[1].1, fields[3].1) = ("https", &host);
        let stream = client.open(&fields, true).await;
        assert_eq!(client.answer(stream).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_in_time_is_cut_off() {
    let origin = Origin::saying("x").await;
    let authority = Authority::new();
    let mut proxy = secure(&origin, &authority, ", timeouts: { tls_handshake: 200ms }");
    // Silent, and in the middle of a ClientHello.
    for (count, begun) in (1..).zip([&b""[..], &[22, 3, 1, 0, 200, 1]]) {
        let mut client = Client::connect(proxy.address).await;
        client.send(begun).await;
        assert!(client.is_closed().await);
        proxy.rejected(Rejection::TlsHandshakeTimeout, count).await;
    }
    let stranger = Authority::new();
    let shaken = shake(&proxy, stranger.client(&["h2"], None)).await;
    assert!(shaken.is_err(), "it does not trust us");
    proxy.rejected(Rejection::TlsHandshake, 1).await;
    let spoken = shake(&proxy, authority.client(&["spdy/3"], None)).await;
    assert!(spoken.is_err(), "nothing that both speak");
    proxy.rejected(Rejection::TlsHandshake, 2).await;
    let _good = shake(&proxy, authority.client(&["http/1.1"], None))
        .await
        .unwrap();
    assert_eq!(proxy.handshakes(1).await, (1, 4));
}

#[tokio::test]
async fn the_end_of_a_connection_with_tls_is_said() {
    let origin = Origin::saying("x").await;
    let authority = Authority::new();
    let proxy = secure(&origin, &authority, ", timeouts: { idle: 200ms }");
    for (protocol, asked) in [
        (
            "http/1.1",
            "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
        ),
        ("http/1.1", "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ("http/1.1", "nonsense\r\n\r\n"),
    ] {
        let mut stream = shake(&proxy, authority.client(&[protocol], None))
            .await
            .unwrap();
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Without close_notify, this is an error.
        let ended = stream.read_to_end(&mut answer).await;
        assert!(
            ended.is_ok() && answer.starts_with(b"HTTP/1.1 "),
            "{asked}: {ended:?}"
        );
    }
}

//! Questions over real sockets, to servers that answer as they are told.

use std::sync::atomic::AtomicBool;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// An upstream with these keys.
fn upstream(keys: &str) -> config::Upstream {
    let file = format!(
        "listen: \"127.0.0.1:0\"\n\
         upstreams: {{ web: {{ static: [\"127.0.0.1:1\"], {keys} }} }}\n\
         splits: {{ shop: {{ stable: web }} }}\n"
    );
    let (config, _) = config::load(&file, "test.yaml").unwrap();
    config.upstreams[0].clone()
}

/// What one question to an address comes to.
async fn ask(keys: &str, address: SocketAddr) -> Result<(), String> {
    let upstream = upstream(keys);
    let asking = Asking {
        way: Way::new(&upstream, None),
        check: Arc::new(upstream.health_check.unwrap()),
        upstream: upstream.name,
        address,
        counts: Arc::default(),
        into: mpsc::channel(1).0,
    };
    asking.ask().await
}

/// Answers each connection with these bytes once it has sent a head; what it was asked is told.
async fn server(answer: &'static [u8]) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(reply(stream, answer, tell));
        }
    });
    (address, told)
}

async fn reply(mut stream: TcpStream, answer: &'static [u8], tell: mpsc::UnboundedSender<String>) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap() == 0 {
            return;
        }
    }
    stream.write_all(answer).await.unwrap();
    tell.send(String::from_utf8(read).unwrap()).unwrap();
}

#[tokio::test]
async fn a_get_is_good_if_its_status_is() {
    let (address, mut told) = server(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let keys = "health_check: { path: /healthz, host: shop.internal }";
    assert_eq!(ask(keys, address).await, Ok(()));
    let asked = told.recv().await.unwrap();
    assert!(asked.starts_with("GET /healthz HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("host: shop.internal\r\n"), "{asked}");
    let keys = "health_check: { expect: [200, 3xx] }";
    let wrong = ask(keys, address).await;
    assert_eq!(wrong, Err("it answers 204".to_owned()));
    let keys = "proxy_protocol: v1, health_check: { path: /healthz }";
    ask(keys, address).await.unwrap();
    told.recv().await.unwrap();
    let asked = told.recv().await.unwrap();
    assert!(
        asked.starts_with("PROXY UNKNOWN\r\nGET /healthz"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_refused_connection_and_a_silent_server_are_no_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let keys = "health_check: { timeout: 50ms }";
    assert_eq!(ask(keys, silent).await, Err("no answer in 50ms".to_owned()));
    assert_eq!(ask("health_check: { protocol: tcp }", silent).await, Ok(()));
    drop(listener);
    for protocol in ["tcp", "http"] {
        let keys = format!("health_check: {{ protocol: {protocol} }}");
        let refused = ask(&keys, silent).await.unwrap_err();
        assert!(refused.starts_with("no connection: "), "{refused}");
    }
    let other = format!("health_check: {{ protocol: tcp, port: {} }}", silent.port());
    assert!(ask(&other, ([127, 0, 0, 1], 1).into()).await.is_err());
}

/// A server of HTTP/2 that answers the health service with this message and status.
async fn grpc(message: &'static [u8], status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let service = "/grpc.health.v1.Health/Check";
                    assert_eq!(request.uri().path(), service);
                    let head = http::Response::builder().status(200).body(()).unwrap();
                    let mut body = respond.send_response(head, false).unwrap();
                    body.send_data(bytes::Bytes::from_static(message), false)
                        .unwrap();
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("grpc-status", status.parse().unwrap());
                    body.send_trailers(trailers).unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn the_health_service_of_grpc_is_asked() {
    let keys = "protocol: h2c, health_check: { protocol: grpc, service: shop.Cart }";
    let serving = grpc(b"\0\0\0\0\x02\x08\x01", "0").await;
    assert_eq!(ask(keys, serving).await, Ok(()));
    let stopping = grpc(b"\0\0\0\0\x02\x08\x02", "0").await;
    let wrong = ask(keys, stopping).await;
    assert_eq!(wrong, Err("it does not serve (status 2)".to_owned()));
    let unknown = grpc(b"", "5").await;
    assert_eq!(ask(keys, unknown).await, Err("gRPC status 5".to_owned()));
}

#[tokio::test]
async fn endpoints_are_asked_again_and_again_and_changes_are_told() {
    let is_well = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let well = Arc::clone(&is_well);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer: &[u8] = if well.load(Ordering::SeqCst) {
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            } else {
                b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
            };
            tokio::spawn(reply(stream, answer, mpsc::unbounded_channel().0));
        }
    });
    let upstream = upstream("health_check: { interval: 20ms, timeout: 20ms }");
    let (into, mut checked) = mpsc::channel(8);
    let mut checks = Checks::new(into);
    let endpoints = [Endpoint::new(address)];
    let wanted = || Wanted {
        upstream: &upstream,
        tls: None,
        endpoints: &endpoints,
    };
    checks.replace([wanted()].into_iter());
    let first = checked.recv().await.unwrap();
    assert!(!first.is_healthy && first.address == address);
    is_well.store(true, Ordering::SeqCst);
    assert!(checked.recv().await.unwrap().is_healthy);
    let counts = checks.counts();
    let (name, passed, failed) = &counts[0];
    assert!(*name == upstream.name && *passed >= 2 && *failed >= 3);
    // The same again goes on as it is; a gone endpoint is asked no more.
    checks.replace([wanted()].into_iter());
    checks.ask(&upstream.name, &[]);
    assert!(checks.running[&upstream.name].tasks.is_empty());
}

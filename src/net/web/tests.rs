//! Servers that answer well, late, too much, or not at all.

use std::{future::poll_fn, net::SocketAddr};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::net::tls;

#[expect(clippy::disallowed_methods, reason = "a test may wait for a file")]
fn write(path: &PathBuf, text: &str) {
    std::fs::write(path, text).unwrap();
}

const LIMITS: Limits = Limits {
    time: Duration::from_secs(5),
    body: 16,
};

/// A server that reads the beginning of each request, answers with this and closes.
async fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _read = socket.read(&mut request).await;
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            let _written = socket.write_all(answer.as_bytes()).await;
        }
    });
    address
}

async fn ask(address: SocketAddr, limits: Limits) -> Result<Response<Bytes>, WebError> {
    let request = Request::get(format!("http://{address}/v2"));
    let web = Web::new(&Trust::System).unwrap();
    web.ask(request.body(Bytes::new()).unwrap(), limits).await
}

#[tokio::test]
async fn an_answer_is_read_whole_and_a_redirect_is_handed_back() {
    let address = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    assert_eq!(&ask(address, LIMITS).await.unwrap().body()[..], b"hello");
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://other/\r\ncontent-length: 0\r\n\r\n";
    let answer = ask(server(moved).await, LIMITS).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (302, &"http://other/".parse().unwrap())
    );
}

#[tokio::test]
async fn what_went_wrong_is_told() {
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n01234567890123456";
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n0123";
    let cases = [
        (server(long).await, "the answer is over 16 bytes long"),
        (
            server(cut).await,
            "end of file before message length reached",
        ),
        (
            server("garbage\r\n\r\n").await,
            "invalid HTTP version parsed",
        ),
        (
            ([127, 0, 0, 1], 1).into(),
            "Connection refused (os error 111)",
        ),
    ];
    for (address, expected) in cases {
        assert_eq!(
            ask(address, LIMITS).await.unwrap_err().to_string(),
            expected
        );
    }
    let soon = Limits {
        time: Duration::from_millis(20),
        ..LIMITS
    };
    let error = ask(server("").await, soon).await.unwrap_err();
    assert_eq!(error.to_string(), "no whole answer in 20ms");
}

#[tokio::test]
async fn a_certificate_is_held_to_the_authorities_that_are_named() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(stream) = tls::Stream::accept(socket, Arc::clone(&config)).await else {
                continue;
            };
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            poll_fn(|cx| stream.poll_write(cx, answer)).await.unwrap();
            poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
            poll_fn(|cx| stream.poll_left(cx)).await;
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    write(&path, &cert.pem());
    let answers = [Trust::Authorities(path.clone()), Trust::System].map(|trust| async move {
        let request = Request::get(format!("https://localhost:{port}/"));
        let web = Web::new(&trust).unwrap();
        let asked = web.ask(request.body(Bytes::new()).unwrap(), LIMITS).await;
        asked
            .map(Response::into_body)
            .map_err(|error| error.to_string())
    });
    let [named, system] = answers;
    let asking = async { (named.await, system.await.unwrap_err()) };
    let (named, refused) = tokio::select! {
        () = serving => panic!("the server has ended"),
        both = asking => both,
    };
    assert_eq!(named.unwrap(), "ok");
    assert!(refused.contains("invalid peer certificate"), "{refused}");

    write(&path, "nothing");
    let error = Web::new(&Trust::Authorities(path)).unwrap_err().to_string();
    assert!(error.ends_with("ca.pem: it has no certificate"), "{error}");
}

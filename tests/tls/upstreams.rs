//! Origins that speak TLS: held to what the file says of them.

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An origin with a certificate for these names; it says whether it was shown one.
async fn origin(authority: &Authority, names: &[&str]) -> SocketAddr {
    let config = authority.server(&["http/1.1"], &authority.issue(names));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(socket).await?;
                let is_shown = stream.get_ref().1.peer_certificates().is_some();
                let said = answer(
                    200,
                    if is_shown {
                        "I know you"
                    } else {
                        "who are you"
                    },
                );
                let mut read = Vec::new();
                while stream.read_buf(&mut read).await? > 0 {
                    if find(&read, b"\r\n\r\n").is_some() {
                        read.clear();
                        stream.write_all(&said).await?;
                    }
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_who_it_should_be_gets_no_request() {
    let own = "certificate: { cert: @/own.pem, key: @/own.key }";
    let named = "server_name: old.internal";
    let cases = [
        (format!("ca: @/ca.pem, {named}"), "who are you"),
        (format!("ca: @/ca.pem, {named}, {own}"), "I know you"),
        // Its certificate is for the address, too.
        ("ca: @/ca.pem".to_owned(), "who are you"),
        ("ca: @/ca.pem, server_name: new.internal".to_owned(), "502"),
        (format!("ca: @/own.pem, {named}"), "502"),
        ("verify: none".to_owned(), "who are you"),
    ];
    for (keys, expected) in cases {
        let authority = Authority::new();
        let address = origin(&authority, &["old.internal", "127.0.0.1"]).await;
        let upstream = format!("static: [\"{address}\"], tls: {{ {keys} }}");
        let live = Live::start_under(authority, "", &upstream);
        let client = live.authority.client(&[], None);
        let answered = live.connect(&client).await.get("").await.unwrap();
        assert!(answered.contains(expected), "{keys}: {answered}");
        live.end().await;
    }
}

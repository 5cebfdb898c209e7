//! What passes, and as what.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    client::Client,
    origin::{Origin, ok, request},
    proxy::proxy,
};

#[tokio::test]
async fn a_request_arrives_with_what_the_origin_must_know() {
    let mut origin = Origin::saying("hello").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    let answer = client
        .get(
            "/a/b?c=d",
            "X-Forwarded-For: 6.6.6.6\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Own: 2\r\n",
        )
        .await;
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    let seen = origin.next().await;
    assert_eq!(seen.line, "GET /a/b?c=d HTTP/1.1");
    assert_eq!(seen.field("host"), Some("a.test"));
    assert_eq!(
        seen.field("x-forwarded-for"),
        Some("127.0.0.1"),
        "a stranger's claim is replaced"
    );
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-forwarded-host"), Some("a.test"));
    assert_eq!(seen.field("via"), Some("1.1 serin"));
    assert_eq!(seen.field("x-serin-version"), Some("old"));
    assert_eq!(seen.field("x-own"), Some("2"));
    assert_eq!(seen.field("x-hop"), None, "nominated by Connection");
    assert_eq!(seen.field("x-request-id").map(str::len), Some(32));
    assert!(seen.field("x-request-start").unwrap().starts_with("t=1"));
}

#[tokio::test]
async fn connections_are_used_again_on_both_sides() {
    let origin = Origin::saying("again").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..20 {
        assert_eq!(client.get("/", "").await.text(), "again");
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn long_and_short_answers_of_one_endpoint_come_whole_one_after_the_other() {
    let origin = Origin::answering(|seen| ok(&seen.path().repeat(100_000))).await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    // A long answer changes how the next one is read, a short one changes it back.
    for path in ["/ab", "/cd", "/", "/ef"] {
        let answer = client.get(path, "").await;
        assert_eq!(answer.text(), path.repeat(100_000));
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::answering(|seen| ok(seen.path())).await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    let one = |path| format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let post = "POST /2 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc";
    client
        .send(format!("{}{post}{}", one("/1"), one("/3")))
        .await;
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.answer().await.text(), path);
    }
}

#[tokio::test]
async fn bodies_pass_whole_in_both_directions() {
    let origin = Origin::answering(|seen| {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            seen.body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&seen.body);
        answer
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for length in [0, 1, 8_000, 8_192, 65_536, 3_000_000] {
        let body: Vec<u8> = (0..length)
            .map(|n: u32| n.to_le_bytes()[usize::from(n.is_multiple_of(3))])
            .collect();
        let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
        let (mut reader, mut writer) = client.stream.split();
        let sending = async {
            writer.write_all(head.as_bytes()).await.unwrap();
            writer.write_all(&body).await.unwrap();
        };
        let receiving = async {
            let mut got = Vec::new();
            while crate::support::client::find(&got, b"\r\n\r\n")
                .is_none_or(|at| got.len() < at + 4 + body.len())
            {
                assert!(reader.read_buf(&mut got).await.unwrap() > 0);
            }
            got
        };
        let ((), got) = tokio::join!(sending, receiving);
        assert!(got.ends_with(&body), "{length} bytes");
    }
}

#[tokio::test]
async fn chunks_and_trailers_pass_and_extensions_do_not() {
    let mut origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
          3;quality=bad\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\n\r\n"
            .to_vec()
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
             4;x=y\r\nwxyz\r\n0\r\nX-End: 1\r\n\r\n",
        )
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.text(), "abcde");
    assert_eq!(answer.field("trailer:x-sum"), Some("5"));
    assert_eq!(
        answer.field("trailer:content-length"),
        None,
        "a trailer cannot frame"
    );
    let seen = origin.next().await;
    assert_eq!(seen.body, b"4\r\nwxyz\r\n0\r\nX-End: 1\r\n\r\n");
    assert_eq!(
        client.get("/", "").await.status,
        200,
        "the connection lives on"
    );
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    let origin = Origin::answering(|seen| match seen.path() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n".to_vec(),
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/204", "").await.status, 204);
    assert_eq!(client.get("/304", "").await.status, 304);
    client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let answer = client.answer_to("HEAD").await;
    assert_eq!(answer.field("content-length"), Some("77"));
    assert_eq!(client.get("/204", "").await.status, 204);
}

#[tokio::test]
async fn an_old_client_gets_an_end_that_it_understands() {
    let mut origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec()
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let text = String::from_utf8(client.rest().await).unwrap();
    assert!(text.ends_with("\r\n\r\nhello"), "{text}");
    assert!(
        !text.contains("chunked") && text.contains("Connection: close"),
        "{text}"
    );
    assert_eq!(origin.next().await.line, "GET / HTTP/1.1");
    let origin = Origin::saying("kept").await;
    let proxy = crate::support::proxy::proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..2 {
        client
            .send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.text(), answer.field("connection")),
            ("kept", Some("keep-alive"))
        );
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_chunked_for_a_new_client() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec()
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..2 {
        let answer = client.get("/", "").await;
        assert_eq!(answer.text(), "until the end");
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    }
}

#[tokio::test]
async fn interim_answers_pass_and_a_body_waits_for_continue() {
    let origin = Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        let mut head = Vec::new();
        while crate::support::client::find(&head, b"\r\n\r\n").is_none() {
            stream.read_buf(&mut head).await.unwrap();
        }
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        stream.write_all(hints).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .unwrap();
        while buffer.len() < 5 {
            stream.read_buf(&mut buffer).await.unwrap();
        }
        stream.write_all(&ok("done")).await.unwrap();
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        )
        .await;
    let early = client.any_answer("POST").await.unwrap();
    assert_eq!((early.status, early.field("link")), (103, Some("</a.css>")));
    assert_eq!(client.any_answer("POST").await.unwrap().status, 100);
    client.send("12345").await;
    assert_eq!(client.answer().await.text(), "done");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let origin = Origin::doing(|mut stream| async move {
        let mut head = Vec::new();
        while crate::support::client::find(&head, b"\r\n\r\n").is_none() {
            stream.read_buf(&mut head).await.unwrap();
        }
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(answer).await.unwrap();
        let mut rest = Vec::new();
        let _left = stream.read_to_end(&mut rest).await;
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nabc")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (401, "no"));
    assert!(
        client.is_closed().await,
        "the rest of the body was never read"
    );
}

#[tokio::test]
async fn a_websocket_passes_both_ways_until_one_side_ends() {
    let origin = Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        let seen = request(&mut stream, &mut buffer).await.unwrap();
        assert_eq!(seen.field("upgrade"), Some("websocket"));
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst";
        stream.write_all(switch).await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"ping");
        stream.write_all(b"pong").await.unwrap();
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client
        .send(
            "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.field("upgrade")),
        (101, Some("websocket"))
    );
    client.send("ping").await;
    assert_eq!(client.rest().await, b"firstpong");
}

#[tokio::test]
async fn last_words_over_a_websocket_arrive_although_their_speaker_listens_no_more() {
    let origin = Origin::doing(|mut stream| async move {
        let mut buffer = Vec::new();
        request(&mut stream, &mut buffer).await.unwrap();
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
        stream.write_all(switch).await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        stream.write_all(b"last words").await.unwrap();
        // Dropped with bytes that were not read, it resets the connection.
    })
    .await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    for _ in 0..50 {
        let mut client = Client::connect(proxy.address).await;
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n";
        client
            .send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{upgrade}\r\n"))
            .await;
        assert_eq!(client.answer().await.status, 101);
        let (mut reader, mut writer) = client.stream.into_split();
        let talking = tokio::spawn(async move {
            while writer.write_all(b"and another thing").await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        let mut heard = [0; 10];
        reader.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"last words");
        drop(reader);
        talking.await.unwrap();
    }
}

#[tokio::test]
async fn a_host_that_no_split_takes_is_not_found() {
    let origin = Origin::saying("x").await;
    let mut proxy = proxy(
        &[origin.address],
        &[],
        0,
        "    match: { hosts: [\"shop.test\"] }\n",
    );
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.status, 404);
    client
        .send("GET / HTTP/1.1\r\nHost: SHOP.test:80\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    proxy.refused(1).await;
}

#[tokio::test]
async fn an_options_that_may_go_no_further_is_answered_here() {
    let mut origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    let options =
        |hops| format!("OPTIONS / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: {hops}\r\n\r\n");
    client.send(options(0)).await;
    let here = client.answer().await;
    assert_eq!(here.status, 204);
    assert!(here.field("allow").is_some());
    assert!(origin.try_next().is_none());
    client.send(options(3)).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(origin.next().await.field("max-forwards"), Some("2"));
}

#[tokio::test]
async fn an_upgrade_that_the_listener_does_not_offer_is_an_ordinary_request() {
    let mut origin = Origin::saying("plain").await;
    let proxy = crate::limits::strict("protocols: [h1]", &origin);
    let mut client = Client::connect(proxy.address).await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n";
    assert_eq!(client.get("/", upgrade).await.text(), "plain");
    assert_eq!(origin.next().await.field("upgrade"), None);
}

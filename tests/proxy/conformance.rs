//! Hostile and odd messages over real sockets, from the client's side and from the origin's.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::support::{
    canon::{self, CanonRequest},
    client::{Client, find},
    corpus::{self, Vector},
    origin::{self, Origin},
    proxy::{Proxy, proxy},
};

/// An origin that writes down every byte of each connection, and answers each request that a
/// strict reader finds in them with its method and target.
#[derive(Debug)]
struct Recorder {
    address: std::net::SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    /// What each connection has sent so far.
    streams: Vec<Vec<u8>>,
    served: usize,
    task: JoinHandle<()>,
}

/// What the origin has to tell.
#[derive(Debug)]
enum Heard {
    Bytes(usize, Vec<u8>),
    Served,
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            for id in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                serving.spawn(record(stream, id, tell.clone()));
            }
        });
        Self {
            address,
            heard,
            streams: Vec::new(),
            served: 0,
            task,
        }
    }

    /// Takes in what was heard until now; answers how many requests were served meanwhile.
    fn listen(&mut self) -> usize {
        let before = self.served;
        while let Ok(heard) = self.heard.try_recv() {
            match heard {
                Heard::Served => self.served += 1,
                Heard::Bytes(id, bytes) => {
                    self.streams
                        .resize(self.streams.len().max(id + 1), Vec::new());
                    self.streams[id].extend_from_slice(&bytes);
                }
            }
        }
        self.served - before
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(mut stream: TcpStream, id: usize, tell: mpsc::UnboundedSender<Heard>) {
    let (mut read, mut answered) = (Vec::new(), 0);
    loop {
        let before = read.len();
        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
        let _heard = tell.send(Heard::Bytes(id, read[before..].to_vec()));
        let whole: Vec<_> = canon::parse(&read)
            .requests
            .into_iter()
            .filter(|request| !request.incomplete)
            .skip(answered)
            .collect();
        for request in whole {
            answered += 1;
            let _heard = tell.send(Heard::Served);
            if stream.write_all(&answer_to(&request)).await.is_err() {
                return;
            }
        }
    }
}

fn answer_to(request: &CanonRequest) -> Vec<u8> {
    let said = [&request.method[..], b" ", &request.target].concat();
    let said = String::from_utf8(said).unwrap();
    let answer = origin::ok(&said);
    if request.method == b"HEAD" {
        answer[..answer.len() - said.len()].to_vec()
    } else {
        answer
    }
}

/// Sends a vector in pieces, ends the sending direction, and reads all that comes.
async fn exchange(proxy: &Proxy, vector: &Vector, piece: usize) -> Vec<u8> {
    let mut client = Client::connect(proxy.address).await;
    for part in vector.parts.iter().flat_map(|part| part.chunks(piece)) {
        // The proxy may have refused the first part and closed already.
        if !client.try_send(part).await {
            break;
        }
    }
    let _closed = client.stream.shutdown().await;
    client.rest().await
}

/// The methods of a hostile stream, as far as they can be told: what its answers depend on.
fn methods(stream: &[u8]) -> Vec<Vec<u8>> {
    let lines = stream
        .split(|b| *b == b'\n')
        .filter(|line| find(line, b" HTTP/1.").is_some());
    lines
        .map(|line| {
            line.split(|b| *b == b' ')
                .next()
                .unwrap_or_default()
                .to_vec()
        })
        .collect()
}

/// Everything that must hold between what a client got and what the origin was asked. Answers how
/// many final answers there were.
fn check(bytes: &[u8], methods: &[Vec<u8>], served: usize) -> Result<usize, String> {
    let answers = canon::answers(bytes, methods)?;
    let finals = answers.iter().filter(|answer| answer.status >= 200).count();
    if served > finals {
        return Err(format!(
            "the origin served {served}, the client got {finals}"
        ));
    }
    let proper = |status| matches!(status, 100 | 200 | 400..=499 | 501 | 505);
    match answers.iter().find(|answer| !proper(answer.status)) {
        Some(answer) => Err(format!("answered {}", answer.status)),
        None => Ok(finals),
    }
}

#[tokio::test]
async fn every_hostile_request_is_refused_or_reaches_the_origin_unambiguously() {
    check_all(usize::MAX).await;
}

#[tokio::test]
async fn every_hostile_request_fares_so_byte_by_byte() {
    check_all(1).await;
}

/// Sends every vector in pieces of this size; after each comes a request that what was left behind
/// anywhere would spoil.
async fn check_all(piece: usize) {
    let mut origin = Recorder::start().await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut failures = Vec::new();
    let (mut victims, mut finals) = (0, 0);
    for vector in corpus::requests() {
        let bytes = exchange(&proxy, &vector, piece).await;
        let served = origin.listen();
        match check(&bytes, &methods(&vector.stream()), served) {
            Ok(answers) => finals += answers,
            Err(why) => failures.push(format!("{}: {why}; {}", vector.id, canon::show(&bytes))),
        }
        victims += 1;
        let path = format!("/victim-{victims}");
        let answer = Client::connect(proxy.address).await.get(&path, "").await;
        if answer.text() != format!("GET {path}") {
            failures.push(format!("{}: the next one got {}", vector.id, answer.text()));
        }
        origin.listen();
    }
    for stream in &origin.streams {
        let canon = canon::parse(stream);
        if !canon.crit.is_empty() || !canon.minor.is_empty() || !canon.rest.is_empty() {
            failures.push(format!("forwarded: {:?} {:?}", canon.crit, canon.minor));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(origin.served > victims, "nothing but victims was served");
    assert!(
        origin.served <= victims + finals,
        "{} served for {finals}",
        origin.served
    );
}

#[tokio::test]
async fn a_refused_request_reaches_no_origin_and_ends_its_connection() {
    let mut origin = Recorder::start().await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 3\r\nContent-Length: 3",
        "Transfer-Encoding: gzip, chunked",
        "Host: b",
        "A : b",
        "A: b\r\n c",
        "A: \0",
    ] {
        let mut client = Client::connect(proxy.address).await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        client
            .send(format!("{head}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.field("connection")),
            (400, Some("close")),
            "{fields}"
        );
        client.stream.shutdown().await.unwrap();
        assert!(client.is_closed().await, "{fields}");
        assert_eq!(origin.listen(), 0, "{fields}");
        assert!(origin.streams.is_empty(), "{fields}");
    }
}

#[tokio::test]
async fn a_refused_head_gets_an_answer_without_a_body() {
    let origin = Origin::saying("x").await;
    let proxy = proxy(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    client
        .send("HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        .await;
    assert_eq!(client.answer_to("HEAD").await.status, 400);
    client.stream.shutdown().await.unwrap();
    assert!(client.is_closed().await);
}

/// What an origin does when it has said its piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Close,
    Wait,
}

/// An origin that answers `/N` with the bytes of vector N, and all else properly.
async fn reciting(vectors: Vec<Vec<u8>>, then: Then) -> Origin {
    let vectors = std::sync::Arc::new(vectors);
    Origin::doing(move |mut stream| {
        let vectors = std::sync::Arc::clone(&vectors);
        async move {
            let mut buffer = Vec::new();
            while let Some(seen) = origin::request(&mut stream, &mut buffer).await {
                let number = seen.path().trim_start_matches('/').parse::<usize>().ok();
                let vector = number.and_then(|number| vectors.get(number));
                let proper = origin::ok("proper");
                let sent = stream.write_all(vector.unwrap_or(&proper)).await;
                if sent.is_err() || (vector.is_some() && then == Then::Close) {
                    return;
                }
            }
        }
    })
    .await
}

/// Asks for vector `number`, and for a proper answer after it.
async fn ask(proxy: std::net::SocketAddr, number: usize) -> Result<(), String> {
    let mut client = Client::connect(proxy).await;
    let fields = "Host: a\r\nConnection: close\r\n\r\n";
    client
        .send(format!("GET /{number} HTTP/1.1\r\n{fields}"))
        .await;
    let bytes = client.rest().await;
    let answers = canon::answers(&bytes, &[b"GET".to_vec()])?;
    if answers.len() != 1 {
        return Err(format!("{} answers", answers.len()));
    }
    if find(&bytes, b"Via: ").is_none() && !matches!(answers[0].status, 502 | 504) {
        return Err(format!(
            "neither relayed nor refused: {}",
            canon::show(&bytes)
        ));
    }
    let next = Client::connect(proxy).await.get("/proper", "").await;
    if (next.status, next.text()) == (200, "proper") {
        Ok(())
    } else {
        Err(format!("the next one got {next:?}"))
    }
}

#[tokio::test]
async fn every_odd_answer_is_relayed_cleanly_or_is_a_502() {
    let vectors = corpus::responses();
    for then in [Then::Close, Then::Wait] {
        let origin = reciting(vectors.iter().map(Vector::stream).collect(), then).await;
        let proxy = proxy(
            &[origin.address],
            &[],
            0,
            "    timeouts: { total: 500ms }\n",
        );
        let address = proxy.address;
        let asking = (0..vectors.len()).map(|number| tokio::spawn(ask(address, number)));
        let asking: Vec<_> = asking.collect();
        let mut failures = Vec::new();
        for (vector, asked) in vectors.iter().zip(asking) {
            if let Err(why) = asked.await.unwrap() {
                failures.push(format!("{}, {then:?}: {why}", vector.id));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
    }
}

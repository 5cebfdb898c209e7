//! A client that sends what it is told, byte by byte if need be, and reads answers strictly.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the proxy.
#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The whole body came.
    pub is_whole: bool,
}

impl Answer {
    /// The first value of a field (lower-case name).
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Over a connection that was made already.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// From an address of this machine.
    pub async fn connect_from(from: std::net::IpAddr, address: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(address).await.unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends bytes that the proxy may refuse to take.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// A whole GET and its answer.
    pub async fn get(&mut self, path: &str, fields: &str) -> Answer {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"
        ))
        .await;
        self.answer().await
    }

    /// The next final answer; interim ones are passed over.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// The next final answer to a method.
    pub async fn answer_to(&mut self, method: &str) -> Answer {
        loop {
            let answer = self.any_answer(method).await.expect("an answer");
            if answer.status >= 200 || answer.status == 101 {
                return answer;
            }
        }
    }

    /// The next answer, interim or final; `None` if the connection ends first.
    pub async fn any_answer(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill().await {
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let split = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let mut answer = Answer {
            status,
            is_whole: true,
            ..Answer::default()
        };
        answer.fields = lines.map(split).collect();
        let is_bodiless = status < 200 || status == 204 || status == 304 || method == "HEAD";
        if !is_bodiless {
            self.body(&mut answer).await;
        }
        Some(answer)
    }

    async fn body(&mut self, answer: &mut Answer) {
        if answer.field("transfer-encoding") == Some("chunked") {
            return self.chunks(answer).await;
        }
        let Some(length) = answer.field("content-length") else {
            while self.fill().await {}
            answer.body = std::mem::take(&mut self.read);
            return;
        };
        let length: usize = length.parse().unwrap();
        while self.read.len() < length && self.fill().await {}
        answer.is_whole = self.read.len() >= length;
        answer.body = self.read.drain(..length.min(self.read.len())).collect();
    }

    async fn chunks(&mut self, answer: &mut Answer) {
        loop {
            let Some(line) = self.line().await else {
                answer.is_whole = false;
                return;
            };
            let size = usize::from_str_radix(&line, 16).expect("a chunk size and nothing else");
            if size == 0 {
                break;
            }
            while self.read.len() < size + 2 && self.fill().await {}
            if self.read.len() < size + 2 {
                answer.is_whole = false;
                return;
            }
            answer.body.extend(self.read.drain(..size));
            assert_eq!(self.read.drain(..2).collect::<Vec<_>>(), b"\r\n");
        }
        while let Some(line) = self.line().await {
            match line.split_once(':') {
                Some((name, value)) => answer.fields.push((
                    format!("trailer:{}", name.to_ascii_lowercase()),
                    value.trim().into(),
                )),
                None => return,
            }
        }
        answer.is_whole = false;
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.read, b"\r\n") {
                let line: Vec<u8> = self.read.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Whether the proxy has ended the connection and nothing is left on it.
    pub async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.fill().await
    }

    /// All that still comes until the connection ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.read)
    }

    async fn fill(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.read);
        let read = timeout(PATIENCE, reading)
            .await
            .expect("the proxy says nothing");
        matches!(read, Ok(1..))
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

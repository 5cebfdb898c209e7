//! A client of HTTP/2 that sends the frames that it is told, proper or not, and reads strictly
//! what comes. It shares no code with what it talks to.

use std::{collections::HashMap, fmt, net::SocketAddr, time::Duration};

use httlib_hpack::Decoder;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload of a frame that anybody takes.
const FRAME_MAX: usize = 16_384;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

pub const PROTOCOL_ERROR: u32 = 1;
pub const INTERNAL_ERROR: u32 = 2;
pub const NO_ERROR: u32 = 0;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub const INITIAL_WINDOW: u16 = 4;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a stream has ended, if it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Open,
    Whole,
    Reset(u32),
    /// The connection ended first.
    Lost,
}

/// What came on one stream.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Statuses of interim answers.
    pub interim: Vec<u16>,
    pub end: End,
}

/// A connection to the proxy.
pub struct Connection {
    io: Box<dyn Wire>,
    read: Vec<u8>,
    decoder: Decoder<'static>,
    block: Vec<u8>,
    streams: HashMap<u32, Answer>,
    next: u32,
    /// The last stream and the code of each GOAWAY.
    pub goaways: Vec<(u32, u32)>,
    /// Streams that may be open at once, as the proxy has told.
    pub settings: HashMap<u16, u32>,
    is_over: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("streams", &self.streams)
            .field("goaways", &self.goaways)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The first value of a field (lower-case name).
    pub fn field(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    /// The first value of a trailer.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        value(&self.trailers, name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

impl Connection {
    /// With windows that nothing of a test fills.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut connection = Self::connect_with(address, &[(INITIAL_WINDOW, 16 << 20)]).await;
        connection.give(0, 1 << 28).await;
        connection
    }

    /// With these settings, and the window of the connection as it is.
    pub async fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, settings).await
    }

    /// Over a connection that was made already.
    pub async fn over(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        settings: &[(u16, u32)],
    ) -> Self {
        let mut connection = Self {
            io: Box::new(io),
            read: Vec::new(),
            decoder: Decoder::with_dynamic_size(4_096),
            block: Vec::new(),
            streams: HashMap::new(),
            next: 1,
            goaways: Vec::new(),
            settings: HashMap::new(),
            is_over: false,
        };
        let pairs = settings.iter().flat_map(|(id, value)| {
            let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
            id.into_iter().chain(value)
        });
        connection.send(PREFACE).await;
        let settings: Vec<u8> = pairs.collect();
        connection.frame(SETTINGS, 0, 0, &settings).await;
        connection
    }

    /// Sends bytes; whether the proxy still takes them.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = timeout(PATIENCE, self.io.write_all(bytes)).await;
        let flushed = async {
            sent.expect("the proxy reads")?;
            self.io.flush().await
        };
        flushed.await.is_ok()
    }

    /// Sends one frame.
    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let bytes = frame(kind, flags, stream, payload);
        self.send(&bytes).await
    }

    /// Lets the proxy send so much more on a stream, or on all of them (0).
    pub async fn give(&mut self, stream: u32, bytes: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
            .await;
    }

    /// The number that the next stream will have.
    pub fn next_stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Opens a stream with these fields, in as many frames as it takes.
    pub async fn open(&mut self, fields: &[(&str, &str)], ends: bool) -> u32 {
        let stream = self.next_stream();
        self.head(stream, fields, ends).await;
        stream
    }

    /// Sends fields on a stream: a head, or trailers.
    pub async fn head(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) -> bool {
        let bytes = head(stream, fields, ends);
        self.send(&bytes).await
    }

    /// Sends a piece of a body.
    pub async fn data(&mut self, stream: u32, body: impl AsRef<[u8]>, ends: bool) -> bool {
        let flags = if ends { END_STREAM } else { 0 };
        self.frame(DATA, flags, stream, body.as_ref()).await
    }

    /// Resets a stream.
    pub async fn reset(&mut self, stream: u32, code: u32) -> bool {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes()).await
    }

    /// A whole request without a body, and its answer.
    pub async fn get(&mut self, path: &str, more: &[(&str, &str)]) -> Answer {
        let fields = [&request("GET", path)[..], more].concat();
        let stream = self.open(&fields, true).await;
        self.answer(stream).await
    }

    /// A whole request with a body, and its answer.
    pub async fn post(&mut self, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let fields = [&request("POST", path)[..], more].concat();
        let stream = self.open(&fields, false).await;
        self.data(stream, body, true).await;
        self.answer(stream).await
    }

    /// What comes on a stream until it ends.
    pub async fn answer(&mut self, stream: u32) -> Answer {
        loop {
            let known = self.streams.entry(stream).or_default();
            if known.end != End::Open {
                return self.streams.remove(&stream).unwrap();
            }
            if self.next().await.is_none() {
                known_end(&mut self.streams, stream);
            }
        }
    }

    /// What came on a stream so far, once it is as wanted.
    pub async fn until(&mut self, stream: u32, is_enough: impl Fn(&Answer) -> bool) -> &Answer {
        while !is_enough(self.streams.entry(stream).or_default()) {
            let frame = self.next().await;
            assert!(frame.is_some(), "the connection ended: {self:?}");
        }
        &self.streams[&stream]
    }

    /// The code of the first GOAWAY.
    pub async fn goaway(&mut self) -> u32 {
        while self.goaways.is_empty() {
            assert!(self.next().await.is_some(), "it ended without GOAWAY");
        }
        self.goaways[0].1
    }

    /// Waits until all that was sent was read: a PING comes back.
    pub async fn settled(&mut self) -> bool {
        self.frame(PING, 0, 0, b"settled!").await;
        loop {
            match self.next().await {
                Some(frame) if frame.kind == PING && frame.payload == b"settled!" => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Reads to the end of the connection.
    pub async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }

    /// The next frame, which is taken into account already; `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let frame = self.read_frame().await?;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => {
                for pair in frame.payload.chunks_exact(6) {
                    let value = u32::from_be_bytes(pair[2..].try_into().unwrap());
                    let id = u16::from_be_bytes([pair[0], pair[1]]);
                    self.settings.insert(id, value);
                }
                self.frame(SETTINGS, ACK, 0, &[]).await;
            }
            PING if frame.flags & ACK == 0 => {
                self.frame(PING, ACK, 0, &frame.payload.clone()).await;
            }
            GOAWAY => self
                .goaways
                .push((number(&frame.payload), number(&frame.payload[4..]))),
            RST_STREAM => {
                let answer = self.streams.entry(frame.stream).or_default();
                if answer.end == End::Open {
                    answer.end = End::Reset(number(&frame.payload));
                }
            }
            DATA => {
                let answer = self.streams.entry(frame.stream).or_default();
                assert_eq!(answer.end, End::Open, "a body behind the end");
                assert!(answer.status >= 200, "a body before its head");
                answer.body.extend_from_slice(&frame.payload);
                if frame.flags & END_STREAM != 0 {
                    answer.end = End::Whole;
                }
            }
            HEADERS | CONTINUATION => self.take_head(&frame),
            _ => {}
        }
        Some(frame)
    }

    fn take_head(&mut self, frame: &Frame) {
        assert!(frame.flags & 0x28 == 0, "no padding, no priority");
        self.block.extend_from_slice(&frame.payload);
        let answer = self.streams.entry(frame.stream).or_default();
        if frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
            answer.end = End::Whole;
        }
        if frame.flags & END_HEADERS == 0 {
            return;
        }
        let (mut block, mut decoded) = (std::mem::take(&mut self.block), Vec::new());
        self.decoder.decode(&mut block, &mut decoded).unwrap();
        let text = |bytes: Vec<u8>| bytes.into_iter().map(char::from).collect::<String>();
        let fields = decoded.into_iter().map(|(n, v, _)| (text(n), text(v)));
        let mut fields: Vec<(String, String)> = fields.collect();
        for (name, _) in &fields {
            let is_of_hop = ["connection", "transfer-encoding", "keep-alive", "upgrade"];
            assert!(!is_of_hop.contains(&name.as_str()), "{name} in HTTP/2");
            assert_eq!(*name, name.to_ascii_lowercase());
        }
        if answer.status >= 200 {
            assert_eq!(answer.end, End::Whole, "trailers end a stream");
            answer.trailers = fields;
            return;
        }
        let (name, status) = fields.remove(0);
        assert_eq!(name, ":status");
        let status = status.parse().unwrap();
        if status < 200 {
            answer.interim.push(status);
        } else {
            (answer.status, answer.fields) = (status, fields);
        }
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        self.fill(9).await?;
        let length = u32::from_be_bytes([0, self.read[0], self.read[1], self.read[2]]);
        let total = 9 + usize::try_from(length).unwrap();
        self.fill(total).await?;
        let bytes: Vec<u8> = self.read.drain(..total).collect();
        Some(Frame {
            kind: bytes[3],
            flags: bytes[4],
            stream: number(&bytes[5..]),
            payload: bytes[9..].to_vec(),
        })
    }

    async fn fill(&mut self, length: usize) -> Option<()> {
        while self.read.len() < length {
            let reading = self.io.read_buf(&mut self.read);
            let read = timeout(PATIENCE, reading)
                .await
                .expect("the proxy says nothing");
            if self.is_over || !matches!(read, Ok(1..)) {
                self.is_over = true;
                return None;
            }
        }
        Some(())
    }
}

fn known_end(streams: &mut HashMap<u32, Answer>, stream: u32) {
    streams.entry(stream).or_default().end = End::Lost;
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// The fields of a usual request.
pub fn request<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a.test"),
    ]
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The frames of a head as bytes.
pub fn head(stream: u32, fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
    let block = encode(fields);
    let mut pieces: Vec<&[u8]> = block.chunks(FRAME_MAX).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let last = pieces.len() - 1;
    let mut bytes = Vec::new();
    for (place, piece) in pieces.into_iter().enumerate() {
        let kind = if place == 0 { HEADERS } else { CONTINUATION };
        let ends_stream = if place == 0 && ends { END_STREAM } else { 0 };
        let ends_head = if place == last { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, ends_stream | ends_head, stream, piece));
    }
    bytes
}

/// Fields as literals that nothing is remembered of (RFC 7541, section 6.2.2).
pub fn encode(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            push_length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn push_length(block: &mut Vec<u8>, length: usize) {
    let byte = |value: usize| u8::try_from(value).unwrap();
    if length < 127 {
        return block.push(byte(length));
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    block.push(byte(rest));
}

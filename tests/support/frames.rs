//! A client of HTTP/2 that sends the frames it is told, well-formed or not.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest frame that a peer takes if it says nothing else.
const FRAME: usize = 16_384;

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
pub const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;

/// A connection to the proxy.
#[derive(Debug)]
pub struct Frames {
    pub stream: TcpStream,
    next: u32,
}

/// What a stream comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A final answer with this status.
    Status(u16),
    /// The stream was reset for this reason.
    Reset(u32),
    /// The connection was given up for this reason.
    GoAway(u32),
    /// The connection ended.
    Closed,
}

/// A whole answer, or what there is of one.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    /// The end of the stream came, and not a reset.
    pub is_whole: bool,
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    /// Connects and says that it keeps no table of fields, so that none need be kept here.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        stream.write_all(preface).await.unwrap();
        let mut frames = Self { stream, next: 1 };
        frames.send(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]).await;
        frames
    }

    /// Sends one frame; whether the proxy took it.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let frame = frame(kind, flags, stream, payload);
        self.stream.write_all(&frame).await.is_ok()
    }

    /// Sends whole frames.
    pub async fn send_raw(&mut self, frames: &[u8]) {
        self.stream.write_all(frames).await.unwrap();
    }

    /// Sends pieces one after the other, whatever comes back, until the proxy has enough of it.
    /// Answers the reason that it gave (0: none, it just ended the connection), or `None` if it
    /// took everything.
    pub async fn flood(self, mut pieces: impl Iterator<Item = Vec<u8>>) -> Option<u32> {
        let (mut reader, mut writer) = self.stream.into_split();
        let given_up = Notify::new();
        let sending = async {
            let sent_all = async {
                for piece in pieces.by_ref() {
                    if writer.write_all(&piece).await.is_err() {
                        return false;
                    }
                }
                true
            };
            let sent_all = tokio::select! {
                sent_all = sent_all => sent_all,
                () = given_up.notified() => false,
            };
            let _ended = writer.shutdown().await;
            sent_all
        };
        let reading = async {
            let mut bytes = Vec::new();
            while matches!(reader.read_buf(&mut bytes).await, Ok(1..)) {
                if goaway(&bytes).is_some() {
                    given_up.notify_one();
                }
            }
            given_up.notify_one();
            goaway(&bytes)
        };
        let both = timeout(PATIENCE, async { tokio::join!(sending, reading) });
        let (sent_all, code) = both.await.expect("the flood has no end");
        if sent_all { code } else { code.or(Some(0)) }
    }

    /// The number of a new stream.
    pub fn open(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Sends a block of fields in as many frames as it takes.
    pub async fn fields(&mut self, stream: u32, block: &[u8], ends: bool) {
        let pieces: Vec<_> = block.chunks(FRAME).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let kind = if number == 0 { HEADERS } else { CONTINUATION };
            let end = if ends && number == 0 { END_STREAM } else { 0 };
            let last = number + 1 == pieces.len();
            let flags = end | if last { END_HEADERS } else { 0 };
            if !self.send(kind, flags, stream, piece).await {
                return;
            }
        }
    }

    /// What a stream comes to.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.frame().await {
            match frame.kind {
                HEADERS if frame.stream == stream => match status(&frame.payload) {
                    100..=199 => {}
                    status => return Outcome::Status(status),
                },
                RST_STREAM if frame.stream == stream => {
                    return Outcome::Reset(code(&frame.payload));
                }
                GOAWAY => return Outcome::GoAway(code(&frame.payload[4..])),
                _ => {}
            }
        }
        Outcome::Closed
    }

    /// Everything that comes on a stream until it ends or is reset.
    pub async fn reply(&mut self, stream: u32) -> Reply {
        let mut reply = Reply::default();
        while let Some(frame) = self.frame().await {
            match frame.kind {
                _ if frame.stream != stream => continue,
                // Trailers have no status.
                HEADERS if reply.status < 200 => reply.status = status(&frame.payload),
                DATA => reply.body.extend_from_slice(&frame.payload),
                RST_STREAM => return reply,
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                reply.is_whole = true;
                return reply;
            }
        }
        reply
    }

    /// The next frame; settings and pings are answered. `None`: the connection ended.
    pub async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.read(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let empty = frame.kind == SETTINGS;
            let payload = if empty { &[][..] } else { &frame.payload };
            self.send(frame.kind, ACK, 0, payload).await;
        }
        Some(frame)
    }

    async fn read(&mut self, bytes: &mut [u8]) -> Option<()> {
        let read = timeout(PATIENCE, self.stream.read_exact(bytes)).await;
        read.expect("the proxy says nothing").ok().map(drop)
    }
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The reason of the first GOAWAY among frames that is not the announcement of an orderly end.
fn goaway(mut bytes: &[u8]) -> Option<u32> {
    while let [_, a, b, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*a, *b]));
        let payload = rest.get(..length)?;
        if *kind == GOAWAY && code(&payload[4..]) != 0 {
            return Some(code(&payload[4..]));
        }
        bytes = &rest[length..];
    }
    None
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}

/// Fields as HPACK has them at its plainest: literal, neither indexed nor compressed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(name, &mut block);
        text(value, &mut block);
    }
    block
}

/// A length of 7 bits and more (RFC 7541, section 5.1), then the bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    let length = text.len();
    if let Ok(short @ ..127) = u8::try_from(length) {
        out.push(short);
    } else {
        out.push(127);
        let mut rest = length - 127;
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap());
    }
    out.extend_from_slice(text.as_bytes());
}

/// The status, which is the first field of an answer: one of the static table, or a literal.
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may come first.
    let start = block.iter().position(|b| b & 0xe0 != 0x20).unwrap();
    match block[start..] {
        [indexed @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
        }
        [_, 3, a, b, c, ..] => [a, b, c]
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
        [_, length @ 0x80..=0xff, ref rest @ ..] => digits(&rest[..usize::from(length & 0x7f)]),
        _ => panic!("no status in {}", block.escape_ascii()),
    }
}

/// Digits in the code of HPACK (RFC 7541, appendix B): 0, 1 and 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)))
        .collect();
    let number = |bits: &[u16]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let short = number(&bits[at..at + 5]);
        let (digit, length) = if short < 3 {
            (short, 5)
        } else {
            (number(&bits[at..at + 6]) - 0b01_1001 + 3, 6)
        };
        status = status * 10 + digit;
        at += length;
    }
    status
}

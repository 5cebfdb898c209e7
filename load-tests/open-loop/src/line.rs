//! One keep-alive connection with at most one request on it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

/// The most fields that an answer may have.
const FIELDS: usize = 64;

/// A connection, and the request that is on it.
#[derive(Debug)]
pub(crate) struct Line {
    /// Whose readiness is waited for.
    pub(crate) stream: TcpStream,
    /// When the request on it was to leave.
    scheduled: Option<Instant>,
    answer: Vec<u8>,
}

impl Line {
    /// Connects.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            scheduled: None,
            answer: Vec::new(),
        })
    }

    /// Sends a request. It is small: a socket that does not take it whole has failed.
    pub(crate) fn send(&mut self, request: &[u8], scheduled: Instant) -> io::Result<()> {
        self.scheduled = Some(scheduled);
        self.answer.clear();
        let sent = self.stream.write(request)?;
        if sent == request.len() {
            Ok(())
        } else {
            Err(ErrorKind::WriteZero.into())
        }
    }

    /// Reads what is there. `Some`: the answer is whole, to the request that was to leave then.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<Instant>> {
        match self.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        if self.is_whole()? {
            Ok(self.scheduled.take())
        } else {
            Ok(None)
        }
    }

    /// Whether a request is on it.
    pub(crate) fn is_busy(&self) -> bool {
        self.scheduled.is_some()
    }

    fn is_whole(&self) -> io::Result<bool> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(&self.answer).map_err(io::Error::other)?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(false);
        };
        if head.code != Some(200) {
            return Err(io::Error::other(format!("answered {:?}", head.code)));
        }
        let body = head
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case("content-length"))
            .and_then(|field| str::from_utf8(field.value).ok()?.parse::<usize>().ok())
            .ok_or_else(|| io::Error::other("an answer without Content-Length"))?;
        Ok(self.answer.len() >= length + body)
    }
}

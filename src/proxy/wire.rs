//! What one exchange is read from and written to, on either side: a socket, with or without TLS,
//! or one stream of an HTTP/2 connection.
//!
//! Whoever reads and writes here speaks HTTP/1.1 messages. A stream of HTTP/2 makes frames of what
//! is written to it, and gives the bare body of what it receives; so there is one set of rules and
//! one life of a request for every protocol (`h2/mod.rs`).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{h2, proxy_protocol::Ends};
use crate::net::{self, tls};

/// A plaintext record of TLS: while there is room for one more, more is read.
const RECORD: usize = 16 * 1024;

/// One side of an exchange.
#[derive(Debug)]
pub(crate) enum Wire {
    /// A socket.
    Tcp(net::Stream),
    /// A socket with TLS.
    Tls(Box<tls::Stream>),
    /// A stream that a client has opened.
    FromClient(Box<h2::downstream::Stream>),
    /// A stream that we open at an endpoint.
    ToEndpoint(Box<h2::upstream::Stream>),
}

/// The half that is read.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    Tcp(net::Reader<'a>),
    Tls(&'a tls::Stream),
    FromClient(&'a h2::downstream::Stream),
    ToEndpoint(&'a h2::upstream::Stream),
}

/// The half that is written.
#[derive(Debug)]
pub(crate) enum Writer<'a> {
    Tcp(net::Writer<'a>),
    Tls(&'a tls::Stream),
    FromClient(&'a h2::downstream::Stream),
    ToEndpoint(&'a h2::upstream::Stream),
}

impl Wire {
    /// Both halves, to be used at the same time by one task.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Tls(stream) => (Reader::Tls(stream), Writer::Tls(stream)),
            Self::FromClient(stream) => (Reader::FromClient(stream), Writer::FromClient(stream)),
            Self::ToEndpoint(stream) => (Reader::ToEndpoint(stream), Writer::ToEndpoint(stream)),
        }
    }

    /// Both ends of a client's connection.
    pub(crate) fn ends(&self) -> io::Result<Ends> {
        let (client, server) = match self {
            Self::Tcp(stream) => net::ends(stream)?,
            Self::Tls(stream) => stream.ends()?,
            Self::FromClient(_) | Self::ToEndpoint(_) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
        };
        Ok(Ends { client, server })
    }

    /// Whether nothing has happened on a connection that waits for its next exchange.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Tcp(stream) => net::is_quiet(stream),
            Self::Tls(stream) => stream.is_quiet(),
            Self::FromClient(_) | Self::ToEndpoint(_) => false,
        }
    }

    /// Has what was written to a peer that does not take it thrown away when this is dropped.
    pub(crate) fn cut_off(&self) {
        match self {
            Self::Tcp(stream) => net::cut_off(stream),
            Self::Tls(stream) => stream.cut_off(),
            // It is reset, and other streams of its connection go on.
            Self::FromClient(_) | Self::ToEndpoint(_) => {}
        }
    }

    /// Whether it is one of many streams of a connection, and carries one exchange only.
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self, Self::FromClient(_) | Self::ToEndpoint(_))
    }
}

impl Reader<'_> {
    /// Whether the end of the body is told beside it: then what is read is the bare body.
    pub(crate) const fn tells_end(&self) -> bool {
        matches!(self, Self::FromClient(_) | Self::ToEndpoint(_))
    }

    /// The trailers that came behind a body that is told the end of, as lines.
    pub(crate) fn trailers(&self) -> Vec<u8> {
        match self {
            Self::Tcp(_) | Self::Tls(_) => Vec::new(),
            Self::FromClient(stream) => stream.trailers(),
            Self::ToEndpoint(stream) => stream.trailers(),
        }
    }

    /// Ready once the peer has said something: `true` if that it will send no more, `false` if it
    /// sends its next message already.
    pub(crate) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Tcp(reader) => {
                let mut byte = [0];
                let peeked = reader.poll_peek(cx, &mut ReadBuf::new(&mut byte));
                peeked.map(|peeked| !matches!(peeked, Ok(1..)))
            }
            Self::Tls(stream) => stream.poll_left(cx),
            Self::FromClient(stream) => stream.poll_left(cx),
            Self::ToEndpoint(_) => Poll::Pending,
        }
    }
}

impl AsyncRead for Reader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(reader) => Pin::new(reader).poll_read(cx, buf),
            Self::Tls(stream) => read_records(stream, cx, buf),
            Self::FromClient(stream) => stream.poll_read(cx, buf),
            Self::ToEndpoint(stream) => stream.poll_read(cx, buf),
        }
    }
}

/// Reads all records that are there and have room.
fn read_records(
    stream: &tls::Stream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let before = buf.filled().len();
    loop {
        let known = buf.filled().len();
        match stream.poll_read(cx, buf) {
            // What was read comes first; an error or the end comes again.
            Poll::Pending | Poll::Ready(Err(_)) if known > before => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) if buf.filled().len() > known && buf.remaining() >= RECORD => {}
            polled @ (Poll::Pending | Poll::Ready(_)) => return polled,
        }
    }
}

impl AsyncWrite for Writer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(writer) => Pin::new(writer).poll_write(cx, buf),
            Self::Tls(stream) => stream.poll_write(cx, buf),
            Self::FromClient(stream) => stream.poll_write(cx, buf),
            Self::ToEndpoint(stream) => stream.poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = || bufs.iter().find(|buf| !buf.is_empty());
        match self.get_mut() {
            Self::Tcp(writer) => Pin::new(writer).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => stream.poll_write_vectored(cx, bufs),
            Self::FromClient(stream) => stream.poll_write(cx, first().map_or(&[], |buf| buf)),
            Self::ToEndpoint(stream) => stream.poll_write(cx, first().map_or(&[], |buf| buf)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // What a socket has taken is on its way.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.poll_flush(cx),
            Self::FromClient(stream) => stream.poll_flush(cx),
            Self::ToEndpoint(stream) => stream.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(writer) => Pin::new(writer).poll_shutdown(cx),
            Self::Tls(stream) => stream.poll_shutdown(cx),
            Self::FromClient(stream) => stream.poll_shutdown(cx),
            Self::ToEndpoint(stream) => stream.poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            wire @ (Self::Tls(_) | Self::FromClient(_) | Self::ToEndpoint(_)) => {
                Pin::new(&mut wire.split().0).poll_read(cx, buf)
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().split().1).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().split().1).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Tls(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().split().1).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().split().1).poll_shutdown(cx)
    }
}

//! The receiving side of a stream, on either side of the proxy: the bare body, then the trailers.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use tokio::io::ReadBuf;

use super::{fields, outbox::broken};

/// The receiving side of one stream.
#[derive(Debug)]
pub(super) struct Inbox {
    body: RecvStream,
    unread: Bytes,
    trailers: Option<HeaderMap>,
    is_at_end: bool,
}

impl Inbox {
    pub(super) fn new(body: RecvStream) -> Self {
        Self {
            body,
            unread: Bytes::new(),
            trailers: None,
            is_at_end: false,
        }
    }

    /// Reads the bare body; the peer may send as much again as was read.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while buf.remaining() > 0 && !self.is_at_end {
            if self.unread.is_empty() {
                match self.poll_more(cx) {
                    Poll::Ready(Ok(())) => {}
                    // What was read comes first; an error comes again.
                    Poll::Pending | Poll::Ready(Err(_)) if buf.filled().len() > before => break,
                    polled @ (Poll::Pending | Poll::Ready(Err(_))) => return polled,
                }
            }
            let piece = self.unread.split_to(buf.remaining().min(self.unread.len()));
            buf.put_slice(&piece);
            // Can only fail for more than was received.
            let _released = self.body.flow_control().release_capacity(piece.len());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.body.poll_data(cx)) {
            Some(Ok(bytes)) => self.unread = bytes,
            Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            None => {
                let trailers = ready!(self.body.poll_trailers(cx)).map_err(broken)?;
                (self.trailers, self.is_at_end) = (trailers, true);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The trailers as lines, once the body is at its end.
    pub(super) fn trailers(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        if let Some(trailers) = &self.trailers
            && fields::write_trailers(trailers, &mut lines).is_err()
        {
            lines.clear();
        }
        lines
    }
}

//! Reading and writing on sockets, with buffers that are held only while there is data.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::proxy::buffer::{BULK, Buffers, READ};

/// Room that a buffer must have before more is read into it.
const ROOM: usize = 512;

/// Which buffer the next piece of a body is read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// For heads and short bodies.
    Usual,
    /// For long bodies: fewer system calls.
    Bulk,
    /// For long bodies as long as nobody knows whether the client reads: what it does not take is
    /// held as long as it is waited for.
    Piece,
}

impl Size {
    /// The size for the piece after one of `len` bytes that filled its buffer or not.
    pub(crate) const fn after(len: usize) -> Self {
        if len >= READ { Self::Bulk } else { Self::Usual }
    }
}

/// Reads into a buffer that is taken only once there is data. Empty means the end.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffers: &Buffers,
    size: Size,
) -> io::Result<Vec<u8>> {
    poll_fn(|cx| poll_read(reader, buffers, size, cx)).await
}

/// The same for a caller that waits for something else, too.
pub(crate) fn poll_read<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffers: &Buffers,
    size: Size,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Vec<u8>>> {
    let mut buffer = match size {
        Size::Usual => buffers.read(),
        Size::Bulk => buffers.bulk(),
        Size::Piece => buffers.piece(),
    };
    match poll_read_buf(Pin::new(reader), cx, &mut buffer) {
        Poll::Ready(Ok(_)) => Poll::Ready(Ok(buffer)),
        Poll::Ready(Err(error)) => {
            buffers.give(buffer);
            Poll::Ready(Err(error))
        }
        Poll::Pending => {
            buffers.give(buffer);
            Poll::Pending
        }
    }
}

/// Reads a small piece into a buffer that is taken only once there is data. Empty means the end.
pub(crate) fn poll_read_piece<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffers: &Buffers,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Vec<u8>>> {
    poll_read(reader, buffers, Size::Piece, cx)
}

/// Reads more behind what a buffer holds already; 0 is the end. The buffer grows as needed.
pub(crate) async fn read_more<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    if buffer.capacity() - buffer.len() < ROOM {
        buffer.reserve(BULK.min(buffer.capacity()));
    }
    poll_fn(|cx| poll_read_buf(Pin::new(&mut *reader), cx, buffer)).await
}

/// Writes all of two pieces, in one system call where the socket takes them, and sees them off.
pub(crate) async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    first: &[u8],
    second: &[u8],
) -> io::Result<()> {
    let mut left = Left { first, second };
    poll_fn(|cx| left.poll_write(writer, cx)).await
}

/// What is still to be written of two pieces.
#[derive(Debug)]
pub(crate) struct Left<'a> {
    pub(crate) first: &'a [u8],
    pub(crate) second: &'a [u8],
}

impl Left<'_> {
    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    /// Writes until all is written and seen off, or nothing more is taken.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Self { first, second } = *self;
            let pin = Pin::new(&mut *writer);
            let wrote = match (first.is_empty(), second.is_empty()) {
                (true, true) => return pin.poll_flush(cx),
                (false, true) => pin.poll_write(cx, first),
                (true, false) => pin.poll_write(cx, second),
                (false, false) => {
                    pin.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)])
                }
            };
            let count = match wrote {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(result) => result?,
            };
            let of_first = count.min(first.len());
            self.first = first.get(of_first..).unwrap_or_default();
            self.second = second.get(count - of_first..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn both_pieces_arrive_whole_through_a_narrow_pipe() {
        let (mut near, mut far) = duplex(3);
        let writing = async { write(&mut near, b"hello, ", b"world").await.unwrap() };
        let reading = async {
            let mut got = [0; 12];
            far.read_exact(&mut got).await.unwrap();
            got
        };
        let ((), got) = tokio::join!(writing, reading);
        assert_eq!(&got, b"hello, world");
    }

    #[tokio::test]
    async fn a_buffer_grows_when_it_is_full() {
        let buffers = Buffers::default();
        let data = vec![7; READ + 1];
        let mut source = data.as_slice();
        let mut buffer = read(&mut source, &buffers, Size::Usual).await.unwrap();
        while read_more(&mut source, &mut buffer).await.unwrap() > 0 {}
        assert_eq!(buffer, data);
    }
}

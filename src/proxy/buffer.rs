//! A worker's read and write buffers, held only while there is data in them.
//!
//! Last in, first out: the buffer that is taken is the one that is still in the cache. An idle
//! connection owns none.

use std::cell::RefCell;

/// Of a buffer that heads and short bodies are read into.
pub(crate) const READ: usize = 64 * 1024;
/// Of a buffer that the body goes through of a client that may not be reading.
pub(crate) const PIECE: usize = 16 * 1024;
/// Of a buffer that long bodies are read into: what a client's socket takes at once, even if the
/// client does not read (`net`'s bound on what is not sent yet, and a part that is being sent).
pub(crate) const BULK: usize = 96 * 1024;
/// Of a buffer that heads are written into.
const HEAD: usize = 4 * 1024;
/// Buffers of a kind that are kept for the next taker.
const KEPT: usize = 64;
/// Bulk buffers that are kept.
const KEPT_BULK: usize = 8;

/// The buffers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    usual: RefCell<Vec<Vec<u8>>>,
    bulk: RefCell<Vec<Vec<u8>>>,
    piece: RefCell<Vec<Vec<u8>>>,
    head: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer of [`READ`] bytes.
    pub(crate) fn read(&self) -> Vec<u8> {
        self.usual
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(READ))
    }

    /// An empty buffer of [`BULK`] bytes.
    pub(crate) fn bulk(&self) -> Vec<u8> {
        self.bulk
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(BULK))
    }

    /// An empty buffer of [`PIECE`] bytes.
    pub(crate) fn piece(&self) -> Vec<u8> {
        self.piece
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(PIECE))
    }

    /// An empty buffer for a head.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.head
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(HEAD))
    }

    /// Gives any of them back. A head's buffer that grew far is let go.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let (rack, bound) = match buffer.capacity() {
            READ => (&self.usual, KEPT),
            BULK => (&self.bulk, KEPT_BULK),
            PIECE => (&self.piece, KEPT),
            HEAD..READ => (&self.head, KEPT),
            _ => return,
        };
        let mut buffers = rack.borrow_mut();
        if buffers.len() < bound {
            buffers.push(buffer);
        }
    }
}

//! Text on its way from workers to a thread that may be slow, or stuck.
//!
//! A worker gathers what it has to tell and hands it over in blocks. It never waits: what finds the
//! queue full is lost and counted. Blocks come back to be filled again, so that telling allocates
//! nothing.

use std::{
    cell::{Cell, RefCell},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use crate::measure::Counter;

/// Bytes that are handed over at the latest.
const HAND_OVER: usize = 32 * 1024;
/// Room for what goes beyond that before it is handed over.
const ROOM: usize = HAND_OVER + 8 * 1024;
/// Blocks that may wait for the thread.
const QUEUE: usize = 256;
/// Empty blocks that may wait for their worker.
const SPARE: usize = 8;

/// Some of what a worker has told.
#[derive(Debug)]
pub(super) struct Block {
    /// One thing after the other.
    pub(super) bytes: Vec<u8>,
    /// How many things.
    pub(super) count: u64,
    home: SyncSender<Vec<u8>>,
}

impl Block {
    /// Gives the room back to the worker.
    pub(super) fn give_back(mut self) {
        self.bytes.clear();
        // A worker that has enough, or has ended, does without.
        let _unwanted = self.home.try_send(self.bytes);
    }
}

/// The way to the thread; one for all workers.
#[derive(Debug, Clone)]
pub(super) struct Way {
    blocks: SyncSender<Block>,
    lost: Counter,
}

/// A way and its end; what finds it full is counted there.
pub(super) fn way(lost: Counter) -> (Way, Receiver<Block>) {
    let (blocks, queue) = sync_channel(QUEUE);
    (Way { blocks, lost }, queue)
}

/// A worker's end of the way.
#[derive(Debug)]
pub(super) struct Outlet {
    way: Way,
    gathered: RefCell<Vec<u8>>,
    count: Cell<u64>,
    home: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl Outlet {
    /// An end of this way.
    pub(super) fn new(way: Way) -> Self {
        let (home, spare) = sync_channel(SPARE);
        Self {
            way,
            gathered: RefCell::new(Vec::with_capacity(ROOM)),
            count: Cell::new(0),
            home,
            spare,
        }
    }

    /// Adds so many things, as they are written.
    pub(super) fn add(&self, count: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let mut gathered = self.gathered.borrow_mut();
        write(&mut gathered);
        self.count.set(self.count.get() + count);
        if gathered.len() >= HAND_OVER {
            drop(gathered);
            self.flush();
        }
    }

    /// Hands over what was gathered.
    pub(super) fn flush(&self) {
        let mut gathered = self.gathered.borrow_mut();
        if gathered.is_empty() {
            return;
        }
        let spare = self.spare.try_recv();
        let next = spare.unwrap_or_else(|_| Vec::with_capacity(ROOM));
        let block = Block {
            bytes: std::mem::replace(&mut *gathered, next),
            count: self.count.take(),
            home: self.home.clone(),
        };
        if let Err(unsent) = self.way.blocks.try_send(block) {
            let (TrySendError::Full(block) | TrySendError::Disconnected(block)) = unsent;
            self.way.lost.add(block.count);
            block.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_the_queue_full_is_lost_and_counted_and_nobody_waits() {
        let lost = Counter::default();
        let (way, queue) = way(lost.clone());
        let outlet = Outlet::new(way);
        for _ in 0..QUEUE + 7 {
            outlet.add(3, |out| out.resize(HAND_OVER, b'x'));
        }
        assert_eq!(lost.get(), 7 * 3);
        assert_eq!(queue.try_iter().count(), QUEUE);
        outlet.add(1, |out| out.push(b'y'));
        outlet.flush();
        let block = queue.try_recv().unwrap();
        assert_eq!((&*block.bytes, block.count), (&b"y"[..], 1));
        drop(queue);
        outlet.add(2, |out| out.push(b'z'));
        outlet.flush();
        assert_eq!(lost.get(), 7 * 3 + 2);
    }

    #[test]
    fn a_block_that_was_given_back_is_filled_again() {
        let (way, queue) = way(Counter::default());
        let outlet = Outlet::new(way);
        let mut rooms = Vec::new();
        for _ in 0..4 {
            outlet.add(1, |out| out.push(b'x'));
            outlet.flush();
            let block = queue.try_recv().unwrap();
            rooms.push(block.bytes.as_ptr());
            block.give_back();
        }
        assert_eq!((rooms[0], rooms[1]), (rooms[2], rooms[3]));
    }
}

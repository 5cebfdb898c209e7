//! Bodies that are held: what an endpoint is to be spared of a slow client, or what may be sent
//! once more. Each is bounded by the file (`buffer`), and a worker knows how much it holds in all.

use std::rc::Rc;

use super::worker::Worker;
use crate::model::number::long;

/// Bytes of one body.
#[derive(Debug)]
pub(crate) struct Hoard {
    worker: Rc<Worker>,
    bytes: Vec<u8>,
    /// What the worker has been told.
    told: usize,
}

impl Hoard {
    /// Nothing yet.
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            bytes: Vec::new(),
            told: 0,
        }
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.tell();
    }

    /// What is held.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// How much is held.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What is held, to be added to; [`Hoard::tell`] comes after it.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Gives all of it away.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        self.tell();
        bytes
    }

    /// Tells the worker how much is held.
    pub(crate) fn tell(&mut self) {
        let held = self.worker.held_bytes.get();
        let held = held.saturating_sub(long(self.told));
        self.told = self.bytes.len();
        self.worker.held_bytes.set(held + long(self.told));
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        self.bytes = Vec::new();
        self.tell();
    }
}

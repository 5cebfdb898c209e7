//! Session tickets: one store of keys for the whole process, which survives reloads.
//!
//! So a client may come back to any worker, also after a new certificate. The store renews its
//! keys every six hours and takes tickets that are up to twelve hours old.
//!
//! A ticket stands for a handshake, and so for what was asked in it: rustls believes the client's
//! certificate that a ticket names. A ticket of a listener that asks nobody would open one that
//! asks everybody; one that was given under authorities which the file does not name any more
//! would outlive them. So each ticket carries what it was given under, and is good for nothing
//! else.

use std::sync::Arc;

use rustls::{crypto::aws_lc_rs::Ticketer, server::ProducesTickets};

use super::Digest;

/// The keys that tickets are sealed with. Clones share them.
#[derive(Debug, Clone)]
pub struct Tickets(Option<Arc<dyn ProducesTickets>>);

impl Tickets {
    /// A store with fresh keys; without randomness of the system, none that gives tickets.
    pub fn new() -> Self {
        Self(Ticketer::new().ok())
    }

    /// The part of the store for handshakes of one kind.
    pub(super) fn bound_to(&self, kind: Digest) -> Option<Arc<dyn ProducesTickets>> {
        let keys = Arc::clone(self.0.as_ref()?);
        Some(Arc::new(Bound { keys, kind }))
    }
}

impl Default for Tickets {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct Bound {
    keys: Arc<dyn ProducesTickets>,
    kind: Digest,
}

impl ProducesTickets for Bound {
    fn enabled(&self) -> bool {
        self.keys.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.keys.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.encrypt(&[&self.kind, plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.keys.decrypt(cipher)?;
        plain.strip_prefix(&self.kind).map(<[u8]>::to_vec)
    }
}

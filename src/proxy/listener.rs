//! One listener of one worker: its settings, its counts, and the places within its limit.

use std::{
    cell::{Cell, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    addresses::{Addresses, Visit},
    begin,
    crew::Load,
};
use crate::{measure::ListenerGauges, plan};

/// One listener of one worker.
#[derive(Debug)]
pub(crate) struct Listener {
    /// What the file says; follows reloads.
    settings: RefCell<Rc<plan::Listener>>,
    /// Of how many workers it is one's.
    share: u32,
    open: Cell<u32>,
    accepted: Cell<u64>,
    refused: Cell<u64>,
    handshakes: Cell<(u64, u64)>,
    places: Arc<Places>,
}

/// How much of its limit a listener has given to connections, whichever worker serves them.
#[derive(Debug, Default)]
struct Places {
    taken: AtomicU32,
    has_room: Notify,
}

impl Listener {
    /// The listener of one of `share` workers.
    pub(crate) fn new(settings: plan::Listener, share: u32) -> Rc<Self> {
        Rc::new(Self {
            settings: RefCell::new(Rc::new(settings)),
            share,
            open: Cell::new(0),
            accepted: Cell::new(0),
            refused: Cell::new(0),
            handshakes: Cell::new((0, 0)),
            places: Arc::default(),
        })
    }

    /// What the file says now.
    pub(crate) fn settings(&self) -> Rc<plan::Listener> {
        Rc::clone(&self.settings.borrow())
    }

    /// The file says something else now.
    pub(crate) fn set(&self, settings: plan::Listener) {
        *self.settings.borrow_mut() = Rc::new(settings);
        self.places.has_room.notify_one();
    }

    /// Connections that are served here.
    pub(crate) fn open(&self) -> u32 {
        self.open.get()
    }

    /// A connection could not be accepted.
    pub(crate) fn refuse(&self) {
        self.refused.set(self.refused.get() + 1);
    }

    /// Waits until one more connection is within the limit.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            self.places.has_room.notified().await;
        }
    }

    fn is_full(&self) -> bool {
        let max = self.settings.borrow().limits.max_connections;
        self.places.taken.load(Ordering::Relaxed) >= max.div_ceil(self.share).max(1)
    }

    /// A TLS handshake has ended, well or not.
    pub(crate) fn shook_hands(&self, is_well: bool) {
        let (good, bad) = self.handshakes.get();
        let counted = if is_well {
            (good + 1, bad)
        } else {
            (good, bad + 1)
        };
        self.handshakes.set(counted);
    }

    /// What metrics want to know.
    pub(crate) fn gauges(&self) -> ListenerGauges {
        ListenerGauges {
            name: self.settings.borrow().name.clone(),
            open: u64::from(self.open.get()),
            accepted: self.accepted.get(),
            refused: self.refused.get(),
            handshakes: self.handshakes.get(),
        }
    }
}

/// A connection's place within the limit of the listener that has accepted it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    addresses: Arc<Addresses>,
    visit: Option<Visit>,
}

impl Place {
    /// Takes a place for a client; `None`: its address has too many.
    pub(crate) fn take(
        listener: &Listener,
        addresses: &Arc<Addresses>,
        peer: IpAddr,
    ) -> Option<Self> {
        listener.places.taken.fetch_add(1, Ordering::Relaxed);
        let mut place = Self {
            places: Arc::clone(&listener.places),
            addresses: Arc::clone(addresses),
            visit: None,
        };
        let settings = listener.settings.borrow();
        // A proxy that tells whom it speaks for is not the client.
        let is_client = !begin::is_believed(&settings, peer);
        (!is_client || place.enter(&settings, peer)).then_some(place)
    }

    fn enter(&mut self, settings: &plan::Listener, client: IpAddr) -> bool {
        let Some(max) = settings.limits.max_connections_per_ip else {
            return true;
        };
        self.visit = self.addresses.enter(&settings.name, client, max);
        self.visit.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
        self.places.has_room.notify_one();
    }
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open {
    listener: Rc<Listener>,
    load: Load,
    place: Place,
}

impl Open {
    /// A connection begins to be served.
    pub(crate) fn new(listener: &Rc<Listener>, place: Place, load: Load) -> Self {
        listener.open.set(listener.open.get() + 1);
        listener.accepted.set(listener.accepted.get() + 1);
        Self {
            listener: Rc::clone(listener),
            load,
            place,
        }
    }

    /// The connection is this client's; `false`: its address has too many.
    pub(crate) fn enter(&mut self, client: IpAddr) -> bool {
        self.place.enter(&self.listener.settings.borrow(), client)
    }

    /// The listener that the connection came by.
    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// What the connection counts for at its worker.
    pub(crate) const fn load(&self) -> &Load {
        &self.load
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let open = &self.listener.open;
        open.set(open.get().saturating_sub(1));
    }
}

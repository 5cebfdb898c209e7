//! Where connections come in: a worker's listening sockets, their limits and their end; and the
//! connections that other workers hand over (`crew.rs`).

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::task::{JoinHandle, spawn_local};

use super::{
    arrival::Arrival,
    begin,
    crew::{Crew, Handed},
    h1,
    listener::{Listener, Open, Place},
    wire::Wire,
    worker::Worker,
};
use crate::{measure::ListenerGauges, model::ListenerName, net, plan};

/// How long accepting rests when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Accepting {
    listener: Rc<Listener>,
    socket: Rc<net::Listener>,
    task: JoinHandle<()>,
}

/// The listeners of one worker.
#[derive(Debug)]
pub(crate) struct Listeners {
    share: u32,
    crew: Rc<Crew>,
    followed: RefCell<Option<Arc<[plan::Listener]>>>,
    accepting: RefCell<Vec<Accepting>>,
    /// Listeners that are gone and still have connections.
    leaving: RefCell<Vec<Rc<Listener>>>,
    is_closed: Cell<bool>,
    /// An address could not be listened on; it is tried again.
    has_failed: Cell<bool>,
}

impl Listeners {
    /// The listeners of one of `workers` workers.
    pub(crate) fn new(workers: u16, crew: Crew) -> Rc<Self> {
        Rc::new(Self {
            share: u32::from(workers.max(1)),
            crew: Rc::new(crew),
            followed: RefCell::default(),
            accepting: RefCell::default(),
            leaving: RefCell::default(),
            is_closed: Cell::new(false),
            has_failed: Cell::new(false),
        })
    }

    /// Begins to accept on sockets that are bound already. The plan may be a later one than they
    /// were bound for; [`Listeners::follow`] does the rest.
    pub(crate) fn open(
        &self,
        worker: &Rc<Worker>,
        listeners: &Arc<[plan::Listener]>,
        bound: Vec<(ListenerName, net::Bound)>,
    ) {
        for (name, socket) in bound {
            if let Some(settings) = listeners.iter().find(|listener| listener.name == name) {
                self.accept_on(worker, settings, socket);
            }
        }
    }

    /// Opens and closes listeners as the plan has them; does nothing while the plan's are the same.
    pub(crate) fn follow(&self, worker: &Rc<Worker>, wanted: &Arc<[plan::Listener]>) {
        let is_known = self
            .followed
            .borrow()
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, wanted));
        if is_known || self.is_closed.get() {
            return;
        }
        *self.followed.borrow_mut() = Some(Arc::clone(wanted));
        let _ending = self.close_those(|listener| {
            !wanted
                .iter()
                .any(|w| w.name == listener.name && w.address == listener.address)
        });
        for settings in wanted.iter() {
            let known = self.accepting.borrow().iter().find_map(|accepting| {
                let is_it = accepting.listener.settings().name == settings.name;
                is_it.then(|| Rc::clone(&accepting.listener))
            });
            match known {
                Some(listener) => listener.set(settings.clone()),
                None => self.bind_and_accept(worker, settings),
            }
        }
    }

    /// Tries again what could not be listened on.
    pub(crate) fn retry(&self, worker: &Rc<Worker>, wanted: &Arc<[plan::Listener]>) {
        if self.has_failed.take() {
            *self.followed.borrow_mut() = None;
            self.follow(worker, wanted);
        }
    }

    /// Serves a connection that another worker has accepted.
    pub(crate) fn take_over(&self, worker: &Rc<Worker>, handed: Handed) {
        let Ok(stream) = net::attach(handed.stream) else {
            return;
        };
        let listener = self.like(*handed.settings);
        let open = Open::new(&listener, handed.place, handed.load);
        serve(worker, open, stream, handed.peer);
    }

    /// The listener that the settings are of; one that leaves already if it is not here.
    fn like(&self, settings: plan::Listener) -> Rc<Listener> {
        let accepting = self.accepting.borrow();
        let mut leaving = self.leaving.borrow_mut();
        let all = accepting.iter().map(|accepting| &accepting.listener);
        let mut all = all.chain(leaving.iter());
        if let Some(known) = all.find(|known| known.settings().name == settings.name) {
            return Rc::clone(known);
        }
        let listener = Listener::new(settings, self.share);
        leaving.push(Rc::clone(&listener));
        listener
    }

    /// Accepts no more. When it is done, all that the kernel had queued is being served.
    pub(crate) async fn close(&self) {
        self.is_closed.set(true);
        for task in self.close_those(|_| true) {
            // It was broken off, which is what it says.
            let _broken_off = task.await;
        }
    }

    /// A second hold on each listening socket, for the process that takes this one's place.
    pub(crate) fn lend(&self) -> Vec<(ListenerName, OwnedFd)> {
        let accepting = self.accepting.borrow();
        let lent = accepting.iter().filter_map(|accepting| {
            let name = accepting.listener.settings().name.clone();
            let socket = net::lend(&accepting.socket);
            let socket = socket.inspect_err(|error| {
                tracing::error!(listener = %name, %error, "a socket cannot be handed over");
            });
            Some((name, socket.ok()?))
        });
        lent.collect()
    }

    /// Lets in no connection that has not begun yet, on the listeners for which that is wanted.
    pub(crate) fn turn_away(&self, is_wanted: impl Fn(&ListenerName) -> bool) {
        for accepting in self.accepting.borrow().iter() {
            let name = &accepting.listener.settings().name;
            if is_wanted(name)
                && let Err(error) = net::turn_away(&accepting.socket)
            {
                tracing::debug!(listener = %name, %error, "new connections are not held off");
            }
        }
    }

    /// Open connections.
    pub(crate) fn open_connections(&self) -> u32 {
        let leaving: u32 = self.leaving.borrow().iter().map(|l| l.open()).sum();
        let open: u32 = self.accepting().iter().map(|l| l.open()).sum();
        leaving + open
    }

    /// The listeners that accept, each once: one that was taken over may have several sockets.
    fn accepting(&self) -> Vec<Rc<Listener>> {
        let mut listeners: Vec<Rc<Listener>> = Vec::new();
        for accepting in self.accepting.borrow().iter() {
            if !listeners
                .iter()
                .any(|known| Rc::ptr_eq(known, &accepting.listener))
            {
                listeners.push(Rc::clone(&accepting.listener));
            }
        }
        listeners
    }

    /// What metrics want to know.
    pub(crate) fn gauges(&self) -> Vec<ListenerGauges> {
        self.leaving
            .borrow_mut()
            .retain(|listener| listener.open() > 0);
        let accepting = self.accepting();
        let gauges = accepting.iter().map(|listener| listener.gauges());
        gauges.collect()
    }

    /// Ends accepting; the tasks end a moment later.
    fn close_those(&self, is_leaving: impl Fn(&plan::Listener) -> bool) -> Vec<JoinHandle<()>> {
        let mut ending = Vec::new();
        let mut accepting = self.accepting.borrow_mut();
        let mut place = 0;
        while place < accepting.len() {
            let leaves = accepting
                .get(place)
                .is_some_and(|a| is_leaving(&a.listener.settings()));
            if leaves {
                let gone = accepting.swap_remove(place);
                gone.task.abort();
                ending.push(gone.task);
                let mut leaving = self.leaving.borrow_mut();
                if !leaving
                    .iter()
                    .any(|known| Rc::ptr_eq(known, &gone.listener))
                {
                    leaving.push(gone.listener);
                }
            } else {
                place += 1;
            }
        }
        ending
    }

    fn bind_and_accept(&self, worker: &Rc<Worker>, settings: &plan::Listener) {
        match net::bind(settings.address) {
            Ok(socket) => self.accept_on(worker, settings, socket),
            Err(error) => {
                self.has_failed.set(true);
                tracing::error!(
                    listener = %settings.name, address = %settings.address, %error,
                    "cannot listen: free the address or change it in the file, then save again"
                );
            }
        }
    }

    fn accept_on(&self, worker: &Rc<Worker>, settings: &plan::Listener, socket: net::Bound) {
        let socket = match net::listen(socket) {
            Ok(socket) => Rc::new(socket),
            Err(error) => {
                tracing::error!(listener = %settings.name, %error, "cannot listen");
                return;
            }
        };
        let accepting = self.accepting();
        let known = accepting
            .iter()
            .find(|it| it.settings().name == settings.name);
        let listener = known.map_or_else(|| Listener::new(settings.clone(), self.share), Rc::clone);
        let door = LastCall {
            worker: Rc::clone(worker),
            listener: Rc::clone(&listener),
            crew: Rc::clone(&self.crew),
            socket: Rc::clone(&socket),
        };
        self.accepting.borrow_mut().push(Accepting {
            listener,
            socket,
            task: spawn_local(accept(door)),
        });
    }
}

async fn accept(door: LastCall) {
    let listener = &door.listener;
    loop {
        listener.room().await;
        match door.socket.accept().await {
            Ok((stream, peer)) => door.place(stream, peer),
            Err(error) => {
                listener.refuse();
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// A listening socket that, when it is given up, first takes what the kernel has queued for it:
/// those clients have a connection already and would see a reset.
#[derive(Debug)]
struct LastCall {
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    crew: Rc<Crew>,
    socket: Rc<net::Listener>,
}

impl LastCall {
    /// Serves a connection, or hands it over to a worker that has less to do.
    fn place(&self, stream: net::Stream, peer: SocketAddr) {
        let Some(place) = self.take_place(peer) else {
            return;
        };
        let Some((way, load)) = self.crew.freer() else {
            return self.keep(place, stream, peer);
        };
        let Ok(stream) = net::detach(stream) else {
            return;
        };
        way.send(Handed {
            stream,
            peer,
            settings: Box::new(plan::Listener::clone(&self.listener.settings())),
            place,
            load,
        });
    }

    fn take_place(&self, peer: SocketAddr) -> Option<Place> {
        let place = Place::take(&self.listener, self.crew.addresses(), peer.ip());
        if place.is_none() {
            self.listener.refuse();
            self.worker.reject("address_limit");
        }
        place
    }

    fn keep(&self, place: Place, stream: net::Stream, peer: SocketAddr) {
        let open = Open::new(&self.listener, place, self.crew.keep());
        serve(&self.worker, open, stream, peer);
    }
}

fn serve(worker: &Rc<Worker>, open: Open, stream: net::Stream, peer: SocketAddr) {
    let (worker, peer) = (Rc::clone(worker), peer.ip());
    if begin::is_needed(&open.listener().settings(), peer) {
        spawn_local(begin::serve(worker, open, stream, peer));
    } else {
        // Most connections of most proxies: what they wait in is to be small.
        let (wire, arrival) = (Wire::Tcp(stream), Arrival::of(peer));
        spawn_local(h1::downstream::serve(worker, open, wire, arrival));
    }
}

impl Drop for LastCall {
    fn drop(&mut self) {
        let max = self.listener.settings().limits.max_connections;
        for _ in 0..max {
            match net::accept_queued(&self.socket) {
                Ok((stream, peer)) => {
                    if let Some(place) = self.take_place(peer) {
                        self.keep(place, stream, peer);
                    }
                }
                Err(_) => return,
            }
        }
    }
}

/// Waits until a worker's connections have ended.
pub(crate) async fn all_closed(listeners: &Listeners) {
    let mut interval = tokio::time::interval(super::timer::TICK);
    while listeners.open_connections() > 0 {
        let _at = interval.tick().await;
    }
}

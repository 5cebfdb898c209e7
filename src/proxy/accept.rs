//! Where connections come in: a worker's listening sockets, their limits and their end.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_local},
};

use super::{h1::downstream, worker::Worker};
use crate::{measure::ListenerGauges, model::ListenerName, net, plan};

/// How long accepting rests when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(50);

/// One listener of one worker.
#[derive(Debug)]
pub(crate) struct Listener {
    /// What the file says; follows reloads.
    settings: RefCell<Rc<plan::Listener>>,
    open: Cell<u32>,
    accepted: Cell<u64>,
    refused: Cell<u64>,
    share: u32,
    has_room: Notify,
}

impl Listener {
    /// What the file says now.
    pub(crate) fn settings(&self) -> Rc<plan::Listener> {
        Rc::clone(&self.settings.borrow())
    }

    fn is_full(&self) -> bool {
        let max = self.settings.borrow().limits.max_connections;
        self.open.get() >= max.div_ceil(self.share).max(1)
    }

    async fn room(&self) {
        while self.is_full() {
            self.has_room.notified().await;
        }
    }
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open(Rc<Listener>);

impl Open {
    fn new(listener: &Rc<Listener>) -> Self {
        listener.open.set(listener.open.get() + 1);
        listener.accepted.set(listener.accepted.get() + 1);
        Self(Rc::clone(listener))
    }

    /// The listener that the connection came by.
    pub(crate) fn listener(&self) -> &Listener {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.has_room.notify_one();
    }
}

#[derive(Debug)]
struct Accepting {
    listener: Rc<Listener>,
    task: JoinHandle<()>,
}

/// The listeners of one worker.
#[derive(Debug)]
pub(crate) struct Listeners {
    share: u32,
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
    pub(crate) fn new(workers: u16) -> Rc<Self> {
        Rc::new(Self {
            share: u32::from(workers.max(1)),
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
        self.close_those(|listener| {
            !wanted
                .iter()
                .any(|w| w.name == listener.name && w.address == listener.address)
        });
        for settings in wanted.iter() {
            let known = self.accepting.borrow().iter().find_map(|accepting| {
                let is_it = accepting.listener.settings.borrow().name == settings.name;
                is_it.then(|| Rc::clone(&accepting.listener))
            });
            match known {
                Some(listener) => {
                    *listener.settings.borrow_mut() = Rc::new(settings.clone());
                    listener.has_room.notify_one();
                }
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

    /// Accepts no more.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.close_those(|_| true);
    }

    /// Open connections.
    pub(crate) fn open_connections(&self) -> u32 {
        let leaving: u32 = self.leaving.borrow().iter().map(|l| l.open.get()).sum();
        let open: u32 = self
            .accepting
            .borrow()
            .iter()
            .map(|a| a.listener.open.get())
            .sum();
        leaving + open
    }

    /// What metrics want to know.
    pub(crate) fn gauges(&self) -> Vec<ListenerGauges> {
        self.leaving
            .borrow_mut()
            .retain(|listener| listener.open.get() > 0);
        let accepting = self.accepting.borrow();
        let all = accepting.iter().map(|accepting| &accepting.listener);
        all.map(|listener| ListenerGauges {
            name: listener.settings.borrow().name.clone(),
            open: u64::from(listener.open.get()),
            accepted: listener.accepted.get(),
            refused: listener.refused.get(),
        })
        .collect()
    }

    fn close_those(&self, is_leaving: impl Fn(&plan::Listener) -> bool) {
        let mut accepting = self.accepting.borrow_mut();
        let mut place = 0;
        while place < accepting.len() {
            let leaves = accepting
                .get(place)
                .is_some_and(|a| is_leaving(&a.listener.settings.borrow()));
            if leaves {
                let gone = accepting.swap_remove(place);
                gone.task.abort();
                self.leaving.borrow_mut().push(gone.listener);
            } else {
                place += 1;
            }
        }
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
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(listener = %settings.name, %error, "cannot listen");
                return;
            }
        };
        let listener = Rc::new(Listener {
            settings: RefCell::new(Rc::new(settings.clone())),
            open: Cell::new(0),
            accepted: Cell::new(0),
            refused: Cell::new(0),
            share: self.share,
            has_room: Notify::new(),
        });
        let task = spawn_local(accept(
            Rc::clone(worker),
            Rc::clone(&listener),
            Socket(socket),
        ));
        self.accepting
            .borrow_mut()
            .push(Accepting { listener, task });
    }
}

/// A listening socket that, when it is given up, first takes what the kernel has queued for it:
/// those clients have a connection already and would see a reset.
#[derive(Debug)]
struct Socket(net::Listener);

async fn accept(worker: Rc<Worker>, listener: Rc<Listener>, socket: Socket) {
    let mut last = LastCall {
        worker,
        listener,
        socket,
    };
    loop {
        last.listener.room().await;
        match last.socket.0.accept().await {
            Ok((stream, peer)) => last.serve(stream, peer),
            Err(error) => {
                last.listener.refused.set(last.listener.refused.get() + 1);
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

#[derive(Debug)]
struct LastCall {
    worker: Rc<Worker>,
    listener: Rc<Listener>,
    socket: Socket,
}

impl LastCall {
    fn serve(&mut self, stream: net::Stream, peer: std::net::SocketAddr) {
        net::settle_in(&stream);
        let open = Open::new(&self.listener);
        spawn_local(downstream::serve(
            Rc::clone(&self.worker),
            open,
            stream,
            peer.ip(),
        ));
    }
}

impl Drop for LastCall {
    fn drop(&mut self) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let max = self.listener.settings.borrow().limits.max_connections;
        for _ in 0..max {
            match self.socket.0.poll_accept(&mut context) {
                Poll::Ready(Ok((stream, peer))) => self.serve(stream, peer),
                Poll::Ready(Err(_)) | Poll::Pending => return,
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

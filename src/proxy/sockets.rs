//! The listening sockets, before workers have them: bound, or made by another process.
//!
//! Each worker wants a socket of its own for each listener. Those that an earlier process of ours
//! hands over are all taken, however many workers there were: what waits in the queue of one that
//! is closed would be reset. If there are fewer than workers, more are bound beside them.

use std::{io, net::SocketAddr, os::fd::OwnedFd};

use super::StartError;
use crate::{model::ListenerName, net};

/// Who has made a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// A process of ours; with it the socket goes.
    Serin,
    /// systemd, which keeps it open whatever becomes of us.
    Systemd,
}

/// A listening socket that another process has made.
#[derive(Debug)]
pub struct Taken {
    /// The listener's name there.
    pub name: ListenerName,
    /// Who has made it.
    pub maker: Maker,
    /// The socket.
    pub socket: net::Bound,
}

/// A listening socket on its way to another process.
#[derive(Debug)]
pub struct Lent {
    /// The listener's name.
    pub name: ListenerName,
    /// Who has made it.
    pub maker: Maker,
    /// A second hold on it.
    pub socket: OwnedFd,
}

/// What all workers listen on.
#[derive(Debug)]
pub struct Sockets {
    pub(super) by_worker: Vec<Vec<(ListenerName, net::Bound)>>,
    pub(super) kept: Vec<ListenerName>,
    pub(super) addresses: Vec<(ListenerName, SocketAddr)>,
}

impl Sockets {
    /// Takes what is there for these listeners, and binds what is missing.
    pub fn open(
        workers: u16,
        wanted: &[(ListenerName, SocketAddr)],
        mut taken: Vec<Taken>,
    ) -> Result<Self, StartError> {
        let mut sockets = Self {
            by_worker: Vec::new(),
            kept: Vec::new(),
            addresses: Vec::new(),
        };
        for unknown in taken.iter().filter(|it| !it.is_wanted(wanted)) {
            let name = &unknown.name;
            tracing::warn!(listener = %name, "a socket is handed over that no listener wants");
        }
        let workers = usize::from(workers.max(1));
        sockets.by_worker.resize_with(workers, Vec::new);
        for (name, address) in wanted {
            let (own, others) = taken.into_iter().partition(|it| it.is_for(name, *address));
            taken = others;
            let opened = sockets.add(name, *address, own);
            opened.map_err(|source| StartError::Listen {
                name: name.clone(),
                address: *address,
                source,
            })?;
        }
        Ok(sockets)
    }

    /// Spreads the sockets of one listener over the workers; the first decides the port if it is 0.
    fn add(&mut self, name: &ListenerName, address: SocketAddr, own: Vec<Taken>) -> io::Result<()> {
        if own.iter().any(|it| it.maker == Maker::Systemd) {
            self.kept.push(name.clone());
        }
        let mut own: Vec<net::Bound> = own.into_iter().map(|it| it.socket).collect();
        if own.is_empty() {
            net::is_free(address)?;
            own.push(net::bind(address)?);
        }
        let Some(first) = own.first() else {
            return Ok(());
        };
        let actual = first.local_addr()?;
        for _ in own.len()..self.by_worker.len() {
            // systemd's is not made to be shared by address: then its one queue is shared.
            let beside = net::bind(actual).or_else(|_| clone(&own))?;
            own.push(beside);
        }
        let workers = self.by_worker.len();
        for (place, socket) in own.into_iter().enumerate() {
            if let Some(worker) = self.by_worker.get_mut(place % workers) {
                worker.push((name.clone(), socket));
            }
        }
        self.addresses.push((name.clone(), actual));
        Ok(())
    }
}

fn clone(own: &[net::Bound]) -> io::Result<net::Bound> {
    own.first().ok_or(io::ErrorKind::NotFound)?.try_clone()
}

impl Taken {
    fn is_wanted(&self, wanted: &[(ListenerName, SocketAddr)]) -> bool {
        wanted
            .iter()
            .any(|(name, address)| self.is_for(name, *address))
    }

    /// systemd's sockets are known by their names, ours by their addresses: the name of a listener
    /// may have changed in the file, and port 0 stands for the one that was chosen then.
    fn is_for(&self, name: &ListenerName, wanted: SocketAddr) -> bool {
        if self.maker == Maker::Systemd {
            return self.name == *name;
        }
        let Ok(actual) = self.socket.local_addr() else {
            return false;
        };
        let is_chosen = wanted.port() == 0 && self.name == *name && actual.ip() == wanted.ip();
        is_chosen || actual == wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ListenerName {
        ListenerName::new("edge").unwrap()
    }

    fn taken(count: usize, maker: Maker) -> (SocketAddr, Vec<Taken>) {
        let first = net::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let beside = (1..count).map(|_| net::bind(address).unwrap());
        let all = std::iter::once(first).chain(beside);
        let name = name();
        let taken = all.map(|socket| Taken {
            name: name.clone(),
            maker,
            socket,
        });
        (address, taken.collect())
    }

    #[track_caller]
    fn check(workers: u16, there: usize, maker: Maker, by_worker: &[usize]) {
        let (address, taken) = taken(there, maker);
        let sockets = Sockets::open(workers, &[(name(), address)], taken).unwrap();
        let counts: Vec<usize> = sockets.by_worker.iter().map(Vec::len).collect();
        assert_eq!(counts, by_worker, "{there} sockets, {workers} workers");
        let all = sockets.by_worker.iter().flatten();
        for (_, socket) in all {
            assert_eq!(socket.local_addr().unwrap(), address);
        }
        assert_eq!(sockets.addresses, [(name(), address)]);
    }

    #[test]
    fn no_socket_that_is_handed_over_is_left_alone_and_no_worker_without_one() {
        check(2, 2, Maker::Serin, &[1, 1]);
        check(2, 5, Maker::Serin, &[3, 2]);
        check(3, 1, Maker::Serin, &[1, 1, 1]);
        check(3, 1, Maker::Systemd, &[1, 1, 1]);
    }

    #[test]
    fn a_socket_that_cannot_be_bound_beside_is_shared() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let taken = vec![Taken {
            name: name(),
            maker: Maker::Systemd,
            socket,
        }];
        let any = SocketAddr::from(([0, 0, 0, 0], 80));
        let sockets = Sockets::open(2, &[(name(), any)], taken).unwrap();
        assert_eq!(sockets.addresses, [(name(), address)]);
        assert_eq!(sockets.kept, [name()]);
        assert!(sockets.by_worker.iter().all(|worker| worker.len() == 1));
    }

    #[test]
    fn a_port_of_the_systems_choice_is_kept_and_another_address_is_not_taken() {
        let (address, one) = taken(1, Maker::Serin);
        let chosen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = Sockets::open(1, &[(name(), chosen)], one).unwrap();
        assert_eq!(sockets.addresses, [(name(), address)]);

        let (old, one) = taken(1, Maker::Serin);
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], 0));
        let sockets = Sockets::open(1, &[(name(), elsewhere)], one).unwrap();
        assert_ne!(sockets.addresses[0].1, old);
    }
}

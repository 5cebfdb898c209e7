//! Certificates and keys as the data plane obeys them: what speaks TLS, and with whom.
//!
//! *Owns:* what a listener and an upstream shake hands with, made of bytes that somebody else has
//! read; what is wrong with such bytes; which certificate is for which name; session tickets.
//! *Does not know:* files, handshakes, sockets, the clock.
//! *Invariants:* a private key is never shown: nothing here prints more than names. What cannot be
//! used is told, and never becomes plain text.
//! *Read next:* `read.rs`, `names.rs`, `tickets.rs`.

mod anybody;
mod names;
mod pem;
mod problem;
mod read;
mod tickets;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use sha2::{Digest as _, Sha256};

use self::names::Names;
pub use self::{
    problem::{ReadError, TlsProblem},
    read::{needs_system_roots, tls_files, tls_keys},
    tickets::Tickets,
};
use crate::{
    config,
    model::{ListenerName, Moment, UpstreamName},
};

/// What tells the same bytes and settings from others.
type Digest = [u8; 32];

/// An address to accept on, and what its handshakes are made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// As it is written in the file; shared, since connections that are handed over take it along.
    pub written: Arc<config::Listener>,
    /// How TLS is spoken; `None`: plain text.
    pub tls: Option<ServerTls>,
}

impl Deref for Listener {
    type Target = config::Listener;

    fn deref(&self) -> &Self::Target {
        &self.written
    }
}

/// What a listener shakes hands with.
#[derive(Clone)]
pub struct ServerTls {
    /// What rustls obeys. Application protocols are those that the listener speaks.
    pub config: Arc<ServerConfig>,
    /// Its certificates, in the order of the file.
    pub certificates: Arc<[Dated]>,
    names: Arc<Names>,
    asks_clients: bool,
    /// Whose tickets are as good as a handshake: those of the same listener, with the same wish to
    /// see clients' certificates.
    trusts: Digest,
    made_of: Digest,
}

/// What an upstream's connections shake hands with.
#[derive(Clone)]
pub struct ClientTls {
    /// What rustls obeys. The application protocol is the upstream's.
    pub config: Arc<ClientConfig>,
    /// The name that certificates must have; `None`: the endpoint's IP address.
    pub server_name: Option<ServerName<'static>>,
    /// The certificate that we show.
    pub certificate: Option<Dated>,
    made_of: Digest,
}

/// A certificate, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// Its file.
    pub path: PathBuf,
    /// The last moment at which it holds.
    pub not_after: Moment,
}

/// All that a file's `tls` keys name, read and understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tls {
    /// By listener.
    pub servers: HashMap<ListenerName, ServerTls>,
    /// By upstream.
    pub clients: HashMap<UpstreamName, ClientTls>,
    /// The admin address's.
    pub admin: Option<ServerTls>,
    read_from: Digest,
}

impl Tls {
    /// Whether this was made of files with these contents.
    pub fn is_read_from(&self, files: &HashMap<PathBuf, Vec<u8>>) -> bool {
        self.read_from == digest_of(files)
    }

    /// Every certificate, and whose it is in words.
    pub fn certificates(&self) -> impl Iterator<Item = (String, &Dated)> {
        let servers = self.servers.iter().flat_map(|(name, tls)| {
            let dated = tls.certificates.iter();
            dated.map(move |dated| (format!("listener {name}"), dated))
        });
        let clients = self.clients.iter().filter_map(|(name, tls)| {
            let dated = tls.certificate.as_ref()?;
            Some((format!("upstream {name}"), dated))
        });
        let admin = self.admin.iter().flat_map(|tls| tls.certificates.iter());
        let admin = admin.map(|dated| ("admin".to_owned(), dated));
        servers.chain(clients).chain(admin)
    }
}

impl ServerTls {
    /// When the first of its certificates ends.
    pub fn not_after(&self) -> Option<Moment> {
        self.certificates.iter().map(|dated| dated.not_after).min()
    }

    /// Whether clients may show certificates.
    pub const fn asks_clients(&self) -> bool {
        self.asks_clients
    }

    /// Whether a request for `host` must be told that it came the wrong way (421): its connection
    /// asked for another name, and got a certificate that is not for this host.
    pub fn is_misdirected(&self, sni: Option<&str>, host: &str) -> bool {
        self.names.is_misdirected(sni, host)
    }

    /// The same, with tickets of the process's one store.
    pub(super) fn with_tickets(&self, tickets: &Tickets) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        if let Some(bound) = tickets.bound_to(self.trusts) {
            config.ticketer = bound;
        }
        Self {
            config: Arc::new(config),
            ..self.clone()
        }
    }
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ServerTls");
        shown.field("certificates", &self.certificates);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientTls");
        shown.field("server_name", &self.server_name);
        shown.field("certificate", &self.certificate);
        shown.finish_non_exhaustive()
    }
}

/// Tells these contents from others.
fn digest_of(files: &HashMap<PathBuf, Vec<u8>>) -> Digest {
    if files.is_empty() {
        return Digest::default();
    }
    let mut names: Vec<&Path> = files.keys().map(PathBuf::as_path).collect();
    names.sort_unstable();
    digest(names.into_iter().flat_map(|name| {
        let content = files.get(name).map_or(&[][..], Vec::as_slice);
        [name.as_os_str().as_encoded_bytes(), content]
    }))
}

/// Tells these parts, in this order, from others.
fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        // A hash of each, so that no part can pass for the end of another one.
        hasher.update(Sha256::digest(part));
    }
    hasher.finalize().into()
}

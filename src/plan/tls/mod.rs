//! Certificates and keys as the data plane obeys them: what speaks TLS, and with whom.
//!
//! *Owns:* what a listener and an upstream shake hands with, made of bytes that somebody else has
//! read; what is wrong with such bytes.
//! *Does not know:* files, handshakes, sockets.
//! *Invariants:* a private key is never shown: nothing here prints more than names; what cannot be
//! used is told, and is never replaced by plain text.
//! *Read next:* `read.rs`, `names.rs`, `tickets.rs`.

use std::{collections::HashMap, fmt, ops::Deref, sync::Arc};

use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};

use crate::{
    config,
    model::{ListenerName, UpstreamName},
};

/// What tells the same bytes and settings from others.
type Digest = [u8; 32];

/// An address to accept on, and what its handshakes are made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// As it is written in the file.
    pub written: config::Listener,
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
    made_of: Digest,
}

/// What an upstream's connections shake hands with.
#[derive(Clone)]
pub struct ClientTls {
    /// What rustls obeys. The application protocol is the upstream's.
    pub config: Arc<ClientConfig>,
    /// The name that certificates must have; `None`: the endpoint's IP address.
    pub server_name: Option<ServerName<'static>>,
    made_of: Digest,
}

/// All that a file's `tls` keys name, read and understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tls {
    /// By listener.
    pub servers: HashMap<ListenerName, ServerTls>,
    /// By upstream.
    pub clients: HashMap<UpstreamName, ClientTls>,
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
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientTls");
        shown.field("server_name", &self.server_name);
        shown.finish_non_exhaustive()
    }
}

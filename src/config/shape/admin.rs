//! Where operators and scrapers ask, and who may do what.

use std::{net::SocketAddr, path::PathBuf};

use super::ListenerTls;
use crate::model::Access;

/// Where operators and scrapers ask, and who may do what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admin {
    /// A TCP address; loopback unless told otherwise.
    pub http: Option<SocketAddr>,
    /// A unix socket. Who may open it may do everything.
    pub unix: AdminSocket,
    /// A file with tokens.
    pub tokens_file: Option<PathBuf>,
    /// How TLS is spoken on `http`, and whose certificates clients may show; `None`: plain text.
    pub tls: Option<ListenerTls>,
    /// What owners of certificates may do; those that are not named here may read.
    pub certificates: Vec<CallerCertificate>,
    /// What callers of `http` may do who prove nothing.
    pub anonymous: Access,
    /// Whether there is a page.
    pub has_page: bool,
}

/// Where the unix socket is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdminSocket {
    /// There is none.
    #[default]
    None,
    /// Where the platform keeps such sockets (see `app/state.rs`).
    Own,
    /// At this path.
    At(PathBuf),
}

/// What the owner of a certificate may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerCertificate {
    /// The whole subject, most specific part first: `CN=deploy,O=Example` (RFC 4514).
    pub subject: String,
    /// What its owner may do.
    pub role: Access,
}

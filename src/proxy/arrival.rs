//! How a client's connection has come: from whom, and over what.

use std::{net::IpAddr, rc::Rc};

use super::{headers::AddressText, proxy_protocol::Ends};

/// How a client's connection has come.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The client's address, or that of the proxy before us.
    pub(crate) peer: IpAddr,
    /// The same as text.
    pub(crate) peer_text: AddressText,
    /// Both ends of the connection, where the proxy before us has told them.
    pub(crate) ends: Option<Rc<Ends>>,
    /// What TLS has told, if it is spoken.
    pub(crate) secure: Option<Rc<Secure>>,
}

/// What the handshake has told about a client.
#[derive(Debug)]
pub(crate) struct Secure {
    /// The name that it asked for.
    pub(crate) asked_name: Option<String>,
    /// The subject of the certificate that it has proven to own.
    pub(crate) subject: Option<String>,
}

impl Arrival {
    /// From this address.
    pub(crate) fn of(peer: IpAddr) -> Self {
        Self {
            peer,
            peer_text: AddressText::new(peer),
            ends: None,
            secure: None,
        }
    }

    /// Through a proxy that has told both ends.
    pub(crate) fn through(ends: Ends) -> Self {
        Self {
            ends: Some(Rc::new(ends)),
            ..Self::of(ends.client.ip())
        }
    }

    /// Who the client has proven to be, if it has.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.secure.as_ref()?.subject.as_deref()
    }

    /// `http` or `https`.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.secure.is_some() {
            "https"
        } else {
            "http"
        }
    }
}

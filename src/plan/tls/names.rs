//! Which certificate is for which name.
//!
//! A name is looked for as it is, then as one of a whole domain (`*.example.com` is for one more
//! label, RFC 6125 section 6.4.3). Several certificates may have the same name, with keys of
//! different kinds: the first that the client can check is taken.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::config::UnknownSni;

type Certificates = Vec<Arc<CertifiedKey>>;

/// The certificates of one listener, by name.
pub(super) struct Names {
    /// In the order of the file.
    all: Certificates,
    exact: HashMap<Box<str>, Certificates>,
    /// By what follows `*.`.
    wild: HashMap<Box<str>, Certificates>,
    unknown: UnknownSni,
}

impl Names {
    /// Certificates and the names that they have, in the order of the file.
    pub(super) fn new(
        certificates: impl IntoIterator<Item = (Arc<CertifiedKey>, Vec<String>)>,
        unknown: UnknownSni,
    ) -> Self {
        let mut names = Self {
            all: Vec::new(),
            exact: HashMap::new(),
            wild: HashMap::new(),
            unknown,
        };
        for (key, of) in certificates {
            for name in of {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(domain) => (&mut names.wild, domain),
                    None => (&mut names.exact, &*name),
                };
                map.entry(name.into()).or_default().push(Arc::clone(&key));
            }
            names.all.push(key);
        }
        names
    }

    /// Those that have a name.
    fn having(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        let wild = || self.wild.get(name.split_once('.')?.1);
        self.exact.get(&*name).or_else(wild).map(Vec::as_slice)
    }

    /// Those that a client gets that asks for a name; none: it is turned away.
    fn for_client(&self, sni: Option<&str>) -> &[Arc<CertifiedKey>] {
        let others = match self.unknown {
            UnknownSni::Default => &*self.all,
            UnknownSni::Reject => &[],
        };
        sni.and_then(|name| self.having(name)).unwrap_or(others)
    }

    fn choose(&self, sni: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let found = self.for_client(sni);
        let can_check =
            |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(schemes).is_some();
        found.iter().find(can_check).or(found.first()).cloned()
    }

    /// Whether a connection that asked for one name is not the place for requests to `host`: the
    /// host has certificates of its own here, none of which the client can have seen.
    /// A client that asked for no name cares for none; a host without certificates has its place
    /// with the default one.
    pub(super) fn is_misdirected(&self, sni: Option<&str>, host: &str) -> bool {
        let Some(sni) = sni.filter(|sni| !sni.eq_ignore_ascii_case(host)) else {
            return false;
        };
        let default = self.all.get(..1).unwrap_or_default();
        let seen = self.having(sni).unwrap_or(default);
        let own = self.having(host).unwrap_or(default);
        let is_seen = |own: &Arc<CertifiedKey>| seen.iter().any(|seen| Arc::ptr_eq(seen, own));
        !own.iter().any(is_seen)
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Names");
        shown.field("exact", &self.exact.keys());
        shown.field("wild", &self.wild.keys());
        shown.finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

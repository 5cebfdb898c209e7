//! From bytes of files to what rustls obeys, or every problem.
//!
//! One crypto path: rustls with aws-lc-rs and its defaults, which are TLS 1.3, and TLS 1.2 with
//! ECDHE and AEAD only. Nothing is sent before the handshake is over (no 0-RTT), since it could be
//! replayed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{
    ClientTls, Dated, Digest, ReadError, ServerTls, Tls, TlsProblem, anybody::BelievesAnybody,
    digest, digest_of, names::Names, pem,
};
use crate::config::{
    Certificate, ClientAuth, Clients, Config, Listener, ListenerTls, Upstream, UpstreamProtocol,
    UpstreamTls, Verify,
};

/// Sessions of an upstream's endpoints that may be taken up again.
const SESSIONS: usize = 64;

/// Every file that a config's `tls` keys name.
pub fn tls_files(config: &Config) -> Vec<&Path> {
    let of_servers = servers(config).flat_map(|(_, tls)| files_of_server(tls));
    let of_clients = clients(config).flat_map(|(_, tls)| files_of_client(tls));
    let of_admin = config.admin.tls.iter().flat_map(files_of_server);
    let mut files: Vec<&Path> = of_servers.chain(of_clients).chain(of_admin).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Those of them that hold a private key.
pub fn tls_keys(config: &Config) -> Vec<&Path> {
    let mut keys: Vec<&Path> = certificates(config).map(|found| &*found.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Whether an upstream is held to the authorities that the system trusts.
pub fn needs_system_roots(config: &Config) -> bool {
    clients(config).any(|(_, tls)| tls.ca.is_none() && tls.verify == Verify::Full)
}

fn servers(config: &Config) -> impl Iterator<Item = (&Listener, &ListenerTls)> {
    let all = config.listeners.iter();
    all.filter_map(|listener| Some((listener, listener.tls.as_ref()?)))
}

fn clients(config: &Config) -> impl Iterator<Item = (&Upstream, &UpstreamTls)> {
    let all = config.upstreams.iter();
    all.filter_map(|upstream| Some((upstream, upstream.tls.as_ref()?)))
}

fn certificates(config: &Config) -> impl Iterator<Item = &Certificate> {
    let shown = servers(config).flat_map(|(_, tls)| &tls.certificates);
    let of_admin = config.admin.tls.iter().flat_map(|tls| &tls.certificates);
    let shown = shown.chain(of_admin);
    shown.chain(clients(config).filter_map(|(_, tls)| tls.certificate.as_ref()))
}

fn files_of_server(tls: &ListenerTls) -> impl Iterator<Item = &Path> {
    let authorities = tls.clients.iter().map(|clients| &*clients.ca);
    tls.certificates
        .iter()
        .flat_map(files_of)
        .chain(authorities)
}

fn files_of_client(tls: &UpstreamTls) -> impl Iterator<Item = &Path> {
    tls.certificate
        .iter()
        .flat_map(files_of)
        .chain(tls.ca.as_deref())
}

fn files_of(certificate: &Certificate) -> impl Iterator<Item = &Path> {
    let both = [&*certificate.cert, &*certificate.key].into_iter();
    both.chain(certificate.ocsp.as_deref())
}

impl Tls {
    /// Makes what speaks TLS of the files that [`tls_files`] names, and of the authorities that the
    /// system trusts. A file that is not there was told by who has read them. What has a problem is
    /// not in the answer.
    pub fn read(
        config: &Config,
        files: &HashMap<PathBuf, Vec<u8>>,
        roots: &[CertificateDer<'static>],
    ) -> (Self, Vec<TlsProblem>) {
        let mut reader = Reader {
            files,
            roots,
            provider: Arc::new(aws_lc_rs::default_provider()),
            owner: String::new(),
            problems: Vec::new(),
        };
        let mut tls = Self {
            read_from: digest_of(files),
            ..Self::default()
        };
        for (listener, written) in servers(config) {
            reader.owner = format!("listener {}", listener.name);
            let spoken = Spoken {
                name: listener.name.as_str(),
                h1: listener.h1,
                h2: listener.h2,
            };
            if let Some(server) = reader.server(spoken, written) {
                tls.servers.insert(listener.name.clone(), server);
            }
        }
        for (upstream, written) in clients(config) {
            reader.owner = format!("upstream {}", upstream.name);
            if let Some(client) = reader.client(upstream, written) {
                tls.clients.insert(upstream.name.clone(), client);
            }
        }
        if let Some(written) = &config.admin.tls {
            "admin".clone_into(&mut reader.owner);
            // No listener has this name, so that tickets of one are good for none.
            let spoken = Spoken {
                name: "(admin)",
                h1: true,
                h2: false,
            };
            tls.admin = reader.server(spoken, written);
        }
        (tls, reader.problems)
    }
}

/// Who shakes hands, and for which protocols.
#[derive(Clone, Copy)]
struct Spoken<'a> {
    name: &'a str,
    h1: bool,
    h2: bool,
}

struct Reader<'a> {
    files: &'a HashMap<PathBuf, Vec<u8>>,
    roots: &'a [CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
    /// Whose files are read.
    owner: String,
    problems: Vec<TlsProblem>,
}

/// A certificate that can be shown.
struct Shown {
    key: CertifiedKey,
    names: Vec<String>,
    dated: Dated,
}

impl Reader<'_> {
    fn server(&mut self, listener: Spoken<'_>, tls: &ListenerTls) -> Option<ServerTls> {
        let shown: Vec<_> = tls.certificates.iter().map(|c| self.shown(c)).collect();
        let verifier = match &tls.clients {
            Some(clients) => Some(self.client_verifier(clients)?),
            None => None,
        };
        let shown = shown.into_iter().collect::<Option<Vec<Shown>>>()?;
        let certificates = shown.iter().map(|shown| shown.dated.clone()).collect();
        let shown = shown.into_iter().map(|it| (Arc::new(it.key), it.names));
        let names = Arc::new(Names::new(shown, tls.unknown_sni));
        let provider = Arc::clone(&self.provider);
        let begun =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let begun = self.accepted(None, begun.map_err(|error| refused(&error)))?;
        let begun = match verifier {
            Some(verifier) => begun.with_client_cert_verifier(verifier),
            None => begun.with_no_client_auth(),
        };
        let mut config = begun.with_cert_resolver(names.clone());
        let spoken = [(listener.h2, &b"h2"[..]), (listener.h1, b"http/1.1")];
        let spoken = spoken.into_iter().filter(|(is_spoken, _)| *is_spoken);
        config.alpn_protocols = spoken.map(|(_, name)| name.to_vec()).collect();
        // One is enough: a client gets another with each connection that it resumes.
        config.send_tls13_tickets = 1;
        let name = listener.name;
        let asked = tls.clients.as_ref().map(|clients| &*clients.ca);
        let settings = format!("{name} {} {} {tls:?}", listener.h1, listener.h2);
        Some(ServerTls {
            config: Arc::new(config),
            certificates,
            names,
            asks_clients: tls.clients.is_some(),
            trusts: self.digest(&format!("{name} {:?}", tls.clients), asked),
            made_of: self.digest(&settings, files_of_server(tls)),
        })
    }

    fn client_verifier(&mut self, clients: &Clients) -> Option<Arc<dyn ClientCertVerifier>> {
        let roots = Arc::new(self.authorities(&clients.ca)?);
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let verifier = match clients.auth {
            ClientAuth::Required => verifier,
            ClientAuth::Optional => verifier.allow_unauthenticated(),
        };
        let built = verifier.build();
        let built = built.map_err(|error| refused(&error));
        self.accepted(Some(&clients.ca), built)
    }

    fn client(&mut self, upstream: &Upstream, tls: &UpstreamTls) -> Option<ClientTls> {
        let provider = Arc::clone(&self.provider);
        let begun = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions();
        let begun = self.accepted(None, begun.map_err(|error| refused(&error)))?;
        let begun = match tls.verify {
            Verify::Full => begun.with_root_certificates(self.trusted(tls.ca.as_deref())?),
            Verify::None => begun
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(BelievesAnybody(provider))),
        };
        let shown = match &tls.certificate {
            Some(certificate) => Some(self.shown(certificate)?),
            None => None,
        };
        let certificate = shown.as_ref().map(|shown| shown.dated.clone());
        let mut config = match shown {
            Some(shown) => {
                begun.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown.key)))
            }
            None => begun.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let spoken: &[u8] = match upstream.protocol {
            UpstreamProtocol::H1 | UpstreamProtocol::H2c => b"http/1.1",
            UpstreamProtocol::H2 => b"h2",
        };
        config.alpn_protocols = vec![spoken.to_vec()];
        let settings = format!("{:?} {tls:?}", upstream.protocol);
        Some(ClientTls {
            config: Arc::new(config),
            server_name: match &tls.server_name {
                Some(name) => Some(self.server_name(name)?),
                None => None,
            },
            certificate,
            made_of: self.digest(&settings, files_of_client(tls)),
        })
    }

    fn server_name(&mut self, name: &str) -> Option<ServerName<'static>> {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let parsed = ServerName::try_from(bare.to_owned());
        self.accepted(
            None,
            parsed.map_err(|_| ReadError::BadServerName(name.to_owned())),
        )
    }

    fn trusted(&mut self, ca: Option<&Path>) -> Option<RootCertStore> {
        if let Some(ca) = ca {
            return self.authorities(ca);
        }
        let mut roots = RootCertStore::empty();
        // Some of what systems trust is too old to be read: whoever it signed is not trusted.
        let _read = roots.add_parsable_certificates(self.roots.iter().cloned());
        let found = if roots.is_empty() {
            Err(ReadError::NoRoots)
        } else {
            Ok(roots)
        };
        self.accepted(None, found)
    }

    fn authorities(&mut self, path: &Path) -> Option<RootCertStore> {
        let bytes = self.files.get(path)?;
        let found = pem::certificates(bytes).and_then(|certificates| {
            let mut roots = RootCertStore::empty();
            for (certificate, number) in certificates.into_iter().zip(1..) {
                let added = roots.add(certificate);
                added.map_err(|_| ReadError::BadCertificate(number))?;
            }
            Ok(roots)
        });
        self.accepted(Some(path), found)
    }

    /// A certificate with its key; all three files are looked at, so that all problems are told.
    fn shown(&mut self, written: &Certificate) -> Option<Shown> {
        let chain = self.parsed(&written.cert, pem::certificates);
        let key = self.parsed(&written.key, pem::key);
        let ocsp = match &written.ocsp {
            Some(path) => Some(self.parsed(path, pem::ocsp)?),
            None => None,
        };
        let (chain, key) = (chain?, key?);
        let facts = pem::facts(chain.first()?)?;
        let certified = CertifiedKey::from_der(chain, key, &self.provider);
        let certified = certified.map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                ReadError::OtherKey(written.cert.clone())
            } else {
                ReadError::BadKey
            }
        });
        let mut key = self.accepted(Some(&written.key), certified)?;
        key.ocsp = ocsp;
        Some(Shown {
            key,
            names: facts.names,
            dated: Dated {
                path: written.cert.clone(),
                not_after: facts.not_after,
            },
        })
    }

    fn parsed<T>(
        &mut self,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Result<T, ReadError>,
    ) -> Option<T> {
        let bytes = self.files.get(path)?;
        self.accepted(Some(path), parse(bytes))
    }

    /// Notes what is wrong, once for each file.
    fn accepted<T>(&mut self, path: Option<&Path>, found: Result<T, ReadError>) -> Option<T> {
        let why = match found {
            Ok(found) => return Some(found),
            Err(why) => why,
        };
        let path = path.map(Path::to_owned);
        let is_same = |known: &TlsProblem| known.path == path && known.why == why;
        let is_known = path.is_some() && self.problems.iter().any(is_same);
        if !is_known {
            let owner = self.owner.clone();
            self.problems.push(TlsProblem { owner, path, why });
        }
        None
    }

    fn digest<'a>(&self, settings: &str, files: impl IntoIterator<Item = &'a Path>) -> Digest {
        let contents = files.into_iter().filter_map(|path| self.files.get(path));
        let contents = contents.map(Vec::as_slice);
        digest(std::iter::once(settings.as_bytes()).chain(contents))
    }
}

fn refused(error: &impl ToString) -> ReadError {
    ReadError::Refused(error.to_string())
}

//! Handshakes in memory: what a client of rustls gets from a plan's listeners, and what a plan's
//! upstreams say to a server.

mod files;
mod handshakes;
mod tickets;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, RootCertStore, ServerConfig,
    ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::*;
use crate::{
    config::{self, Config},
    model::Generation,
    plan::{Inputs, Keys, Plan, Secrets, compile},
};

/// A certificate authority, and the files that it makes.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate and its key.
    fn issue(&self, names: &[&str]) -> (String, String) {
        self.sign(&params(names))
    }

    fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "shop");
    params
}

/// Files, a config that names them, and what lives as long as the process.
struct World {
    files: HashMap<PathBuf, Vec<u8>>,
    authority: Authority,
    text: String,
    keys: Keys,
}

impl World {
    /// Listeners and an upstream with these `tls` keys. `a.pem` is for `a.example`, `b.pem` for
    /// `b.example` and `*.b.example`; `ca.pem` has signed both.
    fn new(listener: &str, upstream: &str) -> Self {
        let authority = Authority::new("the authority of tests");
        let mut world = Self {
            files: HashMap::new(),
            text: String::new(),
            keys: Keys::default(),
            authority,
        };
        world.write(listener, upstream);
        let ca = world.authority.pem.clone();
        world.file("ca.pem", ca);
        world.renew("a", &["a.example"]);
        world.renew("b", &["b.example", "*.b.example"]);
        world
    }

    fn write(&mut self, listener: &str, upstream: &str) {
        self.text = format!(
            "listeners:\n{listener}\n\
             upstreams:\n  old: {{ static: [\"127.0.0.1:9\"], {upstream} }}\n\
             splits: {{ s: {{ stable: old }} }}\n"
        );
    }

    fn file(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), content.into());
    }

    /// Writes `NAME.pem` and `NAME.key` anew.
    fn renew(&mut self, name: &str, of: &[&str]) {
        let (certificate, key) = self.authority.issue(of);
        self.file(&format!("{name}.pem"), certificate);
        self.file(&format!("{name}.key"), key);
    }

    fn config(&self) -> Config {
        let loaded = config::load(&self.text, "x.yaml");
        loaded.map_err(|problems| problems.to_string()).unwrap().0
    }

    fn read(&self) -> (Tls, Vec<TlsProblem>) {
        let config = self.config();
        let named = tls_files(&config).into_iter();
        let files = named.filter_map(|name| Some((name.to_owned(), self.files.get(name)?.clone())));
        Tls::read(&config, &files.collect(), &[])
    }

    fn plan_after(&mut self, previous: Option<&Plan>) -> Plan {
        let (config, (tls, problems)) = (self.config(), self.read());
        assert_eq!(problems, []);
        let inputs = Inputs {
            config: &config,
            endpoints: &HashMap::new(),
            shifts: &HashMap::new(),
            secrets: &Secrets::default(),
            tls: &tls,
            previous,
            generation: Generation(1),
            now: Moment::ZERO,
        };
        compile(&inputs, &mut self.keys)
    }

    fn plan(&mut self) -> Plan {
        self.plan_after(None)
    }

    /// Who trusts the authority of tests, and speaks these protocols.
    fn client(&self, protocols: &[&str]) -> ClientConfig {
        let roots = self.roots();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        config
    }

    /// The same, with a certificate of its own.
    fn client_with(&self, (certificate, key): &(String, String)) -> ClientConfig {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key)
            .unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let pem = self.authority.pem.as_bytes();
        roots
            .add(CertificateDer::from_pem_slice(pem).unwrap())
            .unwrap();
        roots
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A listener `web` with a `tls` block.
fn listener(tls: &str) -> String {
    format!("  - {{ name: web, address: \"127.0.0.1:1\", tls: {tls} }}")
}

/// Both ends after a handshake.
#[derive(Debug)]
struct Shaken {
    client: ClientConnection,
    server: ServerConnection,
}

impl Shaken {
    /// Whether the whole handshake was spared.
    fn is_resumed(&self) -> bool {
        self.client.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The server's certificate.
    fn certificate(&self) -> &[u8] {
        &self.client.peer_certificates().unwrap()[0]
    }
}

/// Shakes hands; the error is of whoever gives up first.
fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Shaken, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    // Twice more than a handshake takes, for tickets that come after it.
    for _ in 0..6 {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Shaken { client, server })
}

/// Takes what one end has to say to the other one.
fn pass<A, B>(
    from: &mut impl std::ops::DerefMut<Target = ConnectionCommon<A>>,
    to: &mut impl std::ops::DerefMut<Target = ConnectionCommon<B>>,
) -> Result<(), rustls::Error> {
    let mut said = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut said).unwrap();
    }
    let mut said = &*said;
    while !said.is_empty() {
        to.read_tls(&mut said).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

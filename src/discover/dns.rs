//! The addresses of a host name: from the hosts file, else A and AAAA records with their TTL.
//!
//! Two ways in which resolvers usually take working endpoints away are closed here (I8). A name
//! server that answers one family and fails the other does not remove the failed family: its last
//! good addresses stay. And "no such name" is an error to be told, not an empty answer to obey.
//! The system's files are read anew for each question, so edits to them need no restart.

mod records;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::NetError,
    net::runtime::TokioRuntimeProvider,
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};

pub(super) use self::records::{Service, Target};
use super::DiscoverError;

/// The hosts file has no TTL; an edit of it is seen after this time at the latest.
const HOSTS_TTL: Duration = Duration::from_secs(5);
/// One question to one server.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Who is asked for the addresses of host names.
#[derive(Debug, Clone)]
pub struct Names {
    server: Option<SocketAddr>,
    hosts: PathBuf,
}

impl Names {
    /// The system's hosts file and name servers.
    pub fn system() -> Self {
        Self {
            server: None,
            hosts: PathBuf::from("/etc/hosts"),
        }
    }

    /// This hosts file and this name server only (over UDP, and TCP for long answers).
    pub fn asking(server: SocketAddr, hosts: PathBuf) -> Self {
        Self {
            server: Some(server),
            hosts,
        }
    }

    /// What the hosts file says; nothing if it cannot be read. Reads a file: may block.
    fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        let read = std::fs::File::open(&self.hosts)
            .map(|file| hosts.read_hosts_conf(std::io::BufReader::new(file)));
        match read {
            Ok(Ok(())) => hosts,
            Ok(Err(_)) | Err(_) => Hosts::default(),
        }
    }

    /// A way to ask the name servers. Reads a file: may block.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.server {
            None => TokioResolver::builder_tokio()?,
            Some(server) => {
                let only = ResolverConfig::from_name_servers(vec![name_server(server)]);
                TokioResolver::builder_with_config(only, TokioRuntimeProvider::default())
            }
        };
        tune(builder.options_mut());
        builder.build()
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    NameServerConfig::new(server.ip(), true, connections)
}

fn tune(options: &mut ResolverOpts) {
    // Our own pace is the only cache: a second one would answer with what is left of a TTL.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = TIMEOUT;
}

/// A host name and its last good addresses.
#[derive(Debug, Clone)]
pub(super) struct Host {
    name: String,
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl Host {
    /// Nothing known yet, unless the name is an address.
    pub(super) fn new(name: &str) -> Self {
        let literal = name.parse::<IpAddr>().ok();
        Self {
            name: name.to_owned(),
            v4: literal.into_iter().filter(IpAddr::is_ipv4).collect(),
            v6: literal.into_iter().filter(IpAddr::is_ipv6).collect(),
        }
    }

    /// Whether nobody needs to be asked.
    pub(super) fn is_literal(&self) -> bool {
        self.name.parse::<IpAddr>().is_ok()
    }

    /// The last good addresses. Of a name that stands for this machine in both families only the
    /// first is taken: servers on `localhost` seldom listen on `::1` too.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let is_local = self.v4.iter().any(IpAddr::is_loopback);
        let v6 = self
            .v6
            .iter()
            .filter(move |address| !(is_local && address.is_loopback()));
        self.v4.iter().chain(v6).copied()
    }

    /// Asks; says how long the answer holds. After an error the last good addresses are still here.
    pub(super) async fn ask(&mut self, names: &Names) -> Result<Duration, DiscoverError> {
        if self.is_literal() {
            return Ok(Duration::MAX);
        }
        let name = Name::from_utf8(&self.name).map_err(|error| {
            DiscoverError::Malformed(format!("`{}` is not a host name: {error}", self.name))
        })?;
        let names = names.clone();
        let read = tokio::task::spawn_blocking(move || (names.hosts(), names.resolver())).await;
        let (hosts, resolver) = read.map_err(|error| self.unreachable(&error))?;
        if self.found_in(&hosts, &name) {
            return Ok(HOSTS_TTL);
        }
        // A machine without name servers still has its hosts file.
        let resolver = resolver.map_err(|error| self.unreachable(&error))?;
        let (v4, v6) = tokio::join!(
            resolver.lookup(name.clone(), RecordType::A),
            resolver.lookup(name, RecordType::AAAA)
        );
        self.take(Family::of(v4), Family::of(v6))
    }

    fn found_in(&mut self, hosts: &Hosts, name: &Name) -> bool {
        let find = |family| {
            let found = hosts.lookup_static_host(&Query::query(name.clone(), family));
            let records = found.iter().flat_map(Lookup::answers);
            records
                .filter_map(|record| record.data.ip_addr())
                .collect::<Vec<_>>()
        };
        let (v4, v6) = (find(RecordType::A), find(RecordType::AAAA));
        let is_found = !(v4.is_empty() && v6.is_empty());
        if is_found {
            (self.v4, self.v6) = (v4, v6);
        }
        is_found
    }

    fn take(&mut self, v4: Family, v6: Family) -> Result<Duration, DiscoverError> {
        let has_some = |family: &Family| matches!(family, Family::Some { .. });
        if !has_some(&v4) && !has_some(&v6) {
            return Err(match (v4, v6) {
                (Family::Failed(error), _) | (_, Family::Failed(error)) => self.unreachable(&error),
                _ => self.unreachable("the name has no A and no AAAA record"),
            });
        }
        let holds = v4.apply(&mut self.v4).min(v6.apply(&mut self.v6));
        Ok(holds)
    }

    fn unreachable(&self, error: &(impl ToString + ?Sized)) -> DiscoverError {
        let error = error.to_string();
        DiscoverError::Unreachable(format!(
            "cannot find the addresses of `{}`: {error}",
            self.name
        ))
    }
}

/// What a name server said of one family of addresses.
enum Family {
    Some {
        addresses: Vec<IpAddr>,
        ttl: Duration,
    },
    None,
    Failed(String),
}

impl Family {
    fn of(answer: Result<Lookup, NetError>) -> Self {
        let lookup = match answer {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Self::None,
            Err(error) => return Self::Failed(error.to_string()),
        };
        let records = lookup.answers();
        let addresses = records
            .iter()
            .filter_map(|record| record.data.ip_addr())
            .collect();
        let ttl = records
            .iter()
            .map(|record| u64::from(record.ttl))
            .min()
            .unwrap_or(0);
        Self::Some {
            addresses,
            ttl: Duration::from_secs(ttl),
        }
    }

    /// Replaces the last good addresses, unless this family failed.
    fn apply(self, last_good: &mut Vec<IpAddr>) -> Duration {
        match self {
            Self::Some { addresses, ttl } => {
                *last_good = addresses;
                ttl
            }
            Self::None => {
                last_good.clear();
                Duration::MAX
            }
            Self::Failed(error) => {
                tracing::debug!(error, "one family of addresses was not answered");
                Duration::MAX
            }
        }
    }
}

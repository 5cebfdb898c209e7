//! SRV records of a name: which hosts, which ports, with which weights (RFC 2782).

use std::{collections::HashMap, net::IpAddr, time::Duration};

use hickory_resolver::{
    lookup::Lookup,
    proto::rr::{Name, RData, RecordType},
};

use super::Names;
use crate::discover::DiscoverError;

/// What SRV records say.
#[derive(Debug, PartialEq)]
pub(crate) struct Service {
    /// Those that are to be used: the ones of the lowest priority.
    pub(crate) targets: Vec<Target>,
    /// Addresses that came along, by host.
    pub(crate) addresses: HashMap<String, Vec<IpAddr>>,
    /// How long the answer holds.
    pub(crate) holds: Duration,
}

/// One host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) weight: u32,
}

impl Service {
    /// Asks for a name's SRV records.
    pub(crate) async fn ask(name: &str, names: &Names) -> Result<Self, DiscoverError> {
        let lost = |error: &dyn ToString| {
            let error = error.to_string();
            DiscoverError::Unreachable(format!("cannot find the services of `{name}`: {error}"))
        };
        let parsed = Name::from_utf8(name).map_err(|error| {
            DiscoverError::Malformed(format!("`{name}` is not a name: {error}"))
        })?;
        let names = names.clone();
        let resolver = tokio::task::spawn_blocking(move || names.resolver()).await;
        let resolver = resolver.map_err(|error| lost(&error))?;
        let resolver = resolver.map_err(|error| lost(&error))?;
        let answer = resolver.lookup(parsed, RecordType::SRV).await;
        let service = Self::of(&answer.map_err(|error| lost(&error))?);
        if service.targets.is_empty() {
            let error = format!("`{name}` has no SRV record that names a host and a port");
            return Err(DiscoverError::Missing(error));
        }
        Ok(service)
    }

    fn of(answer: &Lookup) -> Self {
        let mut records = Vec::new();
        for record in answer.answers() {
            // `.` says that the service is not there.
            if let RData::SRV(srv) = &record.data
                && srv.port > 0
                && !srv.target.is_root()
            {
                records.push((srv, record.ttl));
            }
        }
        let first = records.iter().map(|(srv, _)| srv.priority).min();
        let ttl = records.iter().map(|(_, ttl)| *ttl).min().unwrap_or(0);
        let used = records
            .iter()
            .filter(|(srv, _)| Some(srv.priority) == first);
        let targets = used.map(|(srv, _)| Target {
            host: host(&srv.target),
            port: srv.port,
            // 0 is the smallest weight there is, not none.
            weight: u32::from(srv.weight).max(1),
        });
        let mut addresses: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for record in answer.additionals() {
            if let Some(address) = record.data.ip_addr() {
                addresses
                    .entry(host(&record.name))
                    .or_default()
                    .push(address);
            }
        }
        Self {
            targets: targets.collect(),
            addresses,
            holds: Duration::from_secs(ttl.into()),
        }
    }
}

fn host(name: &Name) -> String {
    let name = name.to_utf8().to_ascii_lowercase();
    name.trim_end_matches('.').to_owned()
}

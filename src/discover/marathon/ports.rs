//! Where the tasks of an app listen: Marathon has had five ways to say it.
//!
//! | app | a task's address | its ports |
//! |---|---|---|
//! | `networks: host`, `docker.network: HOST`, neither | the agent | `task.ports` |
//! | `networks: container/bridge`, `docker.network: BRIDGE` | the agent | `task.ports` |
//! | `networks: container`, `docker.network: USER` | its own | `portMappings[].containerPort` |
//! | `ipAddress` | its own | `ipAddress.discovery.ports[].number` |

use std::net::IpAddr;

use serde_json::Value;

use super::wire::{Task, each, port_of, text};
use crate::config::TaskPort;

/// The ports of an app, in Marathon's order.
#[derive(Debug)]
pub(super) struct Ports {
    /// Tasks have addresses of their own.
    is_own: bool,
    ports: Vec<Port>,
}

#[derive(Debug)]
struct Port {
    name: Option<String>,
    /// Where a task with an address of its own listens.
    number: u16,
    is_udp: bool,
}

/// Whether something can be there: a name, or an address of one machine.
fn is_place(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return !address.is_unspecified() && !address.is_multicast();
    }
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=253).contains(&host.len()) && host.bytes().all(letter)
}

/// Where a port is to be found.
enum Place {
    /// Among those of the app or of the task.
    Index(usize),
    /// Nowhere: this is it.
    Number(u16),
}

impl Ports {
    pub(super) fn read(app: &Value) -> Result<Self, String> {
        let modern = each(app, "networks", |network| {
            text(network, "mode").map(|mode| mode.unwrap_or("container").to_owned())
        })?;
        let container = app.get("container").unwrap_or(&Value::Null);
        let docker = container.get("docker").unwrap_or(&Value::Null);
        let legacy = text(docker, "network")?;
        let is_ip_per_task = app.get("ipAddress").is_some_and(|ip| !ip.is_null());
        let is_own = match (modern.first().map(String::as_str), legacy) {
            (Some(mode), _) => mode == "container",
            (None, Some(network)) => network == "USER",
            (None, None) => is_ip_per_task,
        };
        let mut ports = mappings(container)?;
        if ports.is_empty() {
            ports = mappings(docker)?;
        }
        if ports.is_empty() && is_own {
            let discovery = app.get("ipAddress").and_then(|ip| ip.get("discovery"));
            ports = each(discovery.unwrap_or(&Value::Null), "ports", |port| {
                Port::read(port, "number")
            })?;
        }
        if ports.is_empty() && !is_own {
            ports = each(app, "portDefinitions", |port| Port::read(port, "port"))?;
        }
        Ok(Self { is_own, ports })
    }

    /// Where a task listens; the error says why that is not known.
    pub(super) fn of(&self, task: &Task, wanted: &TaskPort) -> Result<(String, u16), String> {
        let host = if self.is_own {
            task.addresses.first().map_or("", String::as_str)
        } else {
            &*task.host
        };
        let (port, index) = match self.index(wanted)? {
            Place::Number(port) => (Some(port), 0),
            Place::Index(index) if self.is_own => {
                (self.ports.get(index).map(|port| port.number), index)
            }
            Place::Index(index) => (task.ports.get(index).copied(), index),
        };
        let port = port.filter(|port| *port > 0);
        match port {
            Some(_) if !is_place(host) => Err("Marathon does not say where it runs".to_owned()),
            Some(port) => Ok((host.to_owned(), port)),
            None => Err(format!("it has no port {index}")),
        }
    }

    fn index(&self, wanted: &TaskPort) -> Result<Place, String> {
        let index = match wanted {
            TaskPort::First => {
                let first = self.ports.iter().position(|port| !port.is_udp);
                match first {
                    Some(index) => index,
                    // Old apps say nothing of their ports.
                    None if self.ports.is_empty() => 0,
                    None => return Err("its ports are UDP".to_owned()),
                }
            }
            TaskPort::Index(index) => *index,
            TaskPort::Number(number) => return Ok(Place::Number(*number)),
            TaskPort::Name(name) => {
                let mut names = self.ports.iter().map(|port| port.name.as_deref());
                let index = names.position(|known| known == Some(name));
                index.ok_or_else(|| format!("it has no port named `{name}`"))?
            }
        };
        match self.ports.get(index) {
            Some(port) if port.is_udp => Err(format!("its port {index} is UDP")),
            Some(_) | None => Ok(Place::Index(index)),
        }
    }
}

impl Port {
    fn read(port: &Value, key: &str) -> Result<Self, String> {
        let number = match port.get(key) {
            None | Some(Value::Null) => 0,
            Some(number) => port_of(number, key)?,
        };
        let protocol = text(port, "protocol")?.unwrap_or("tcp");
        Ok(Self {
            name: text(port, "name")?.map(str::to_owned),
            number,
            is_udp: !protocol.split(',').any(|one| one.trim() == "tcp"),
        })
    }
}

fn mappings(of: &Value) -> Result<Vec<Port>, String> {
    each(of, "portMappings", |port| Port::read(port, "containerPort"))
}

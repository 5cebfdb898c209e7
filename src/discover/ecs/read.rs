//! From what ECS says of tasks to endpoints. No I/O.
//!
//! A task is where its interface is (`awsvpc`), or where its host is, at the port that its
//! container got there (`bridge`, `host`). Health is the container's own: a task's is `UNKNOWN` as
//! soon as one sidecar has no check. A task that is to stop is draining at once, well before its
//! process is told.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
};

use super::answers::{Binding, Container, Interface, Rollout, Task};
use crate::{
    config::{Deployment, Ecs},
    discover::DiscoverError,
    model::{Endpoint, Health, VersionKey, Zone},
};

/// A container that only holds the network of its task.
const PAUSE: &str = "~internal~ecs~pause";

/// All that one round of questions has come to.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) tasks: Vec<Task>,
    /// Where hosts of tasks are, or why that is not known.
    pub(super) hosts: HashMap<String, Result<IpAddr, String>>,
    pub(super) rollouts: Rollouts,
}

/// A service's deployments or task sets, if anybody wants to know.
#[derive(Debug, Clone, Default)]
pub(super) struct Rollouts {
    pub(super) all: Vec<Rollout>,
    pub(super) are_task_sets: bool,
    /// Those of which a task has been seen running.
    pub(super) served: BTreeSet<String>,
}

impl Rollouts {
    /// Remembers which have served, from round to round.
    pub(super) fn remember(&mut self, mut served: BTreeSet<String>, tasks: &[Task]) {
        let running = tasks.iter().filter(|task| task.life() == Life::Running);
        served.extend(running.filter_map(|task| task.started_by.clone()));
        served.retain(|id| self.all.iter().any(|rollout| rollout.id == *id));
        self.served = served;
    }
}

/// Endpoints, and what is odd about tasks that have none.
#[derive(Debug, PartialEq)]
pub(super) struct Picked {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) odd: Option<DiscoverError>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It does not serve yet.
    Coming,
    /// It serves.
    Running,
    /// It serves what it has, and gets no more.
    Draining,
    /// It is no more.
    Gone,
}

impl Task {
    /// Where it stands. What ECS wants comes first: it wants a task stopped before the load
    /// balancer lets it go, and that is before its process is told.
    pub(super) fn life(&self) -> Life {
        let last = self.last_status.as_deref().unwrap_or_default();
        let is_wanted = self.desired_status.as_deref() != Some("STOPPED");
        let is_over = matches!(last, "STOPPED" | "DEPROVISIONING" | "DELETED");
        match last {
            "RUNNING" if is_wanted => Life::Running,
            "RUNNING" | "DEACTIVATING" | "STOPPING" => Life::Draining,
            _ if is_wanted && !is_over => Life::Coming,
            _ => Life::Gone,
        }
    }

    /// The last part of its ARN, as people know it.
    fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    fn containers(&self) -> impl Iterator<Item = &Container> {
        let all = self.containers.iter().flatten();
        all.filter(|container| container.name.as_deref() != Some(PAUSE))
    }
}

/// The endpoints of the tasks that an upstream wants, sorted and without doubles.
pub(super) fn pick(seen: &Seen, wanted: &Ecs) -> Picked {
    let started_by = starters(seen, wanted.deployment.as_ref());
    let ours = seen.tasks.iter().filter(|task| {
        is_of_definition(task, wanted.task_definition.as_deref())
            && is_started_by(task, started_by.as_deref())
    });
    let (mut endpoints, mut odd, mut running) = (Vec::new(), Vec::new(), 0_usize);
    for task in ours {
        let life = task.life();
        let is_running = match life {
            Life::Running => true,
            Life::Draining => false,
            Life::Coming | Life::Gone => continue,
        };
        running += usize::from(is_running);
        match endpoint(task, seen, wanted) {
            Ok(found) => endpoints.push(Endpoint {
                draining: !is_running,
                ..found
            }),
            Err(why) if is_running => odd.push(format!("task {}: {why}", task.id())),
            Err(_) => {}
        }
    }
    endpoints.sort_by_key(|one| {
        (
            one.address,
            one.draining,
            Reverse(one.health == Health::Healthy),
        )
    });
    endpoints.dedup_by_key(|one| one.address);
    let odd = odd.first().map(|first| {
        let what = format!(
            "{} of {running} running tasks have no endpoint: {first}",
            odd.len()
        );
        DiscoverError::Malformed(what)
    });
    Picked { endpoints, odd }
}

fn is_of_definition(task: &Task, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    let arn = task.definition.as_deref().unwrap_or_default();
    let short = arn.rsplit('/').next().unwrap_or_default();
    let family = short.split(':').next().unwrap_or_default();
    [arn, short, family].contains(&wanted)
}

fn is_started_by(task: &Task, starters: Option<&[&str]>) -> bool {
    let starter = task.started_by.as_deref().unwrap_or_default();
    starters.is_none_or(|starters| starters.contains(&starter))
}

/// Who must have started a task; `None`: anybody. Neither side of a deployment is empty for the
/// want of one: the newer one is the older one until it has served, and the older one is the newer
/// one when it serves no more. What is new and has failed is not replaced: that is what it is
/// judged by.
fn starters<'a>(seen: &'a Seen, wanted: Option<&'a Deployment>) -> Option<Vec<&'a str>> {
    let (mine, other, is_primary) = match wanted? {
        Deployment::Id(id) => return Some(vec![id]),
        Deployment::Primary => ("PRIMARY", "ACTIVE", true),
        Deployment::Active => ("ACTIVE", "PRIMARY", false),
    };
    let rollouts = &seen.rollouts;
    let with = |status| {
        let all = rollouts.all.iter();
        all.filter(move |rollout| rollout.status.as_deref() == Some(status))
    };
    let ids = |status| with(status).map(|rollout| rollout.id.as_str());
    // Of task sets, the primary one is what serves today.
    let is_newer = is_primary != rollouts.are_task_sets;
    let stands = if is_newer {
        with(mine).any(|rollout| {
            let has_failed = rollout.failed.is_some_and(|tasks| tasks > 0);
            has_failed || rollouts.served.contains(&rollout.id)
        })
    } else {
        let starters: Vec<&str> = ids(mine).collect();
        let mut tasks = seen.tasks.iter();
        tasks.any(|task| task.life() == Life::Running && is_started_by(task, Some(&starters)))
    };
    Some(ids(if stands { mine } else { other }).collect())
}

fn endpoint(task: &Task, seen: &Seen, wanted: &Ecs) -> Result<Endpoint, String> {
    let container = container(task, wanted)?;
    let address = address(task, container, seen, wanted.port)?;
    let zone = task.availability_zone.as_deref();
    let version = task.definition.as_deref();
    Ok(Endpoint {
        health: health(task, container),
        zone: zone.map(Zone::new),
        version: version.map(VersionKey::new),
        ..Endpoint::new(address)
    })
}

/// The container that is meant: by name; else the one that has the port; else the only one.
fn container<'a>(task: &'a Task, wanted: &Ecs) -> Result<Option<&'a Container>, String> {
    if let Some(name) = &wanted.container {
        let found = task
            .containers()
            .find(|container| container.name.as_ref() == Some(name));
        return found
            .map(Some)
            .ok_or_else(|| format!("it has no container `{name}`"));
    }
    let with_port = task.containers().find(|container| {
        let mut bindings = container.network_bindings.iter().flatten();
        bindings.any(|binding| host_port(binding, wanted.port).is_some())
    });
    let mut all = task.containers();
    let only = all.next().filter(|_| all.next().is_none());
    Ok(with_port.or(only))
}

/// Of a container of which nothing is said, the task's.
fn health(task: &Task, container: Option<&Container>) -> Health {
    let told = match container {
        Some(container) => container.health_status.as_deref(),
        None => task.health_status.as_deref(),
    };
    match told {
        Some("HEALTHY") => Health::Healthy,
        Some("UNHEALTHY") => Health::Unhealthy,
        Some(_) | None => Health::Unknown,
    }
}

fn address(
    task: &Task,
    container: Option<&Container>,
    seen: &Seen,
    port: u16,
) -> Result<SocketAddr, String> {
    if let Some(address) = own_address(task, container) {
        return Ok(SocketAddr::new(address, port));
    }
    let host = task.container_instance_arn.as_deref();
    let host = host.ok_or("it has no network interface yet, and no host")?;
    let host = seen.hosts.get(host).ok_or("its host is not known")?;
    let host = *host.as_ref().map_err(Clone::clone)?;
    let containers: Vec<&Container> = match container {
        Some(container) => vec![container],
        None => task.containers().collect(),
    };
    let bindings = || {
        let all = containers.iter();
        all.flat_map(|container| container.network_bindings.iter().flatten())
    };
    if bindings().next().is_none() {
        // In the host's own network a container may listen without a word to ECS.
        return Ok(SocketAddr::new(host, port));
    }
    let fitting = bindings().filter_map(|binding| Some((binding, host_port(binding, port)?)));
    let reachable = fitting.filter(|(binding, _)| !is_local(binding));
    // There may be one for each family; the host's address has one.
    let best = reachable.min_by_key(|(binding, _)| is_v6(binding) != host.is_ipv6());
    let (_, port) = best.ok_or_else(|| not_mapped(bindings(), port))?;
    Ok(SocketAddr::new(host, port))
}

fn not_mapped<'a>(bindings: impl Iterator<Item = &'a Binding>, port: u16) -> String {
    let mapped: Vec<String> = bindings
        .map(|binding| {
            let range = binding.container_port_range.clone();
            let ports = binding.container_port.map(|port| port.to_string());
            let ports = ports.or(range).unwrap_or_default();
            format!("{ports}/{}", binding.protocol.as_deref().unwrap_or("tcp"))
        })
        .collect();
    let mapped = mapped.join(", ");
    format!("it does not map port {port} of TCP to its host, but {mapped}")
}

/// The address of an interface that the task has for itself.
pub(super) fn own_address(task: &Task, container: Option<&Container>) -> Option<IpAddr> {
    let of = |interface: &Interface| {
        let told = [&interface.private_ipv4_address, &interface.ipv6_address];
        told.into_iter().flatten().find_map(|text| plausible(text))
    };
    let named = container.into_iter();
    let containers = named.chain(task.containers());
    let mut interfaces =
        containers.flat_map(|container| container.network_interfaces.iter().flatten());
    interfaces.find_map(of).or_else(|| attached(task))
}

/// An address that something can listen on.
fn plausible(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    (!address.is_unspecified() && !address.is_multicast()).then_some(address)
}

/// The same, from what is attached to the task.
fn attached(task: &Task) -> Option<IpAddr> {
    let attachments = task.attachments.iter().flatten();
    let interfaces = attachments
        .filter(|one| matches!(one.kind.as_deref(), Some("ElasticNetworkInterface" | "eni")));
    let details = || {
        interfaces
            .clone()
            .flat_map(|one| one.details.iter().flatten())
    };
    let with = |name: &str| {
        let mut found = details().filter(|detail| detail.name.as_deref() == Some(name));
        found.find_map(|detail| plausible(detail.value.as_deref()?))
    };
    with("privateIPv4Address").or_else(|| with("ipv6Address"))
}

/// The port on the host that stands for a container's port, if it carries TCP.
fn host_port(binding: &Binding, port: u16) -> Option<u16> {
    if binding
        .protocol
        .as_deref()
        .is_some_and(|protocol| protocol != "tcp")
    {
        return None;
    }
    if binding.container_port == Some(port) {
        return binding.host_port.filter(|port| *port > 0);
    }
    let inside = range(binding.container_port_range.as_deref()?)?;
    let outside = range(binding.host_port_range.as_deref()?)?;
    let offset = port.checked_sub(*inside.start())?;
    let found = outside.start().checked_add(offset)?;
    (inside.contains(&port) && outside.contains(&found)).then_some(found)
}

/// `8000-8010`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

fn bound(binding: &Binding) -> Option<IpAddr> {
    binding.bind_ip.as_deref()?.parse().ok()
}

fn is_v6(binding: &Binding) -> bool {
    bound(binding).is_some_and(|address| address.is_ipv6())
}

/// Whether it listens on its host for its host only.
fn is_local(binding: &Binding) -> bool {
    bound(binding).is_some_and(|address| address.is_loopback())
}

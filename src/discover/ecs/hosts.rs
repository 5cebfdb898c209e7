//! Where the hosts of tasks are: ECS knows their instances, EC2 the instances' addresses.
//!
//! A private address never changes while its instance lives, so each is asked for once. EC2 answers
//! in XML, where an instance and each of its interfaces have elements of the same names: that takes
//! a real reader. `roxmltree` is a small one without dependencies, and refuses entities.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use serde_json::json;

use super::{
    answers::{Hosts, Task},
    read::{Life, own_address},
};
use crate::discover::{
    DiscoverError,
    aws::{Action, CallError, Caller, Service},
};

/// No call takes more at once.
const CHUNK: usize = 100;
const INSTANCES: Action = Action(Service::Ecs, "DescribeContainerInstances");
const ADDRESSES: Action = Action(Service::Ec2, "DescribeInstances");
const VERSION: &str = "2016-11-15";

/// Hosts by ARN: where each is, or why that is not known.
#[derive(Debug, Default)]
pub(super) struct Atlas(HashMap<String, Result<IpAddr, String>>);

impl Atlas {
    /// Learns where the hosts of these tasks are, and forgets the others.
    pub(super) async fn learn(
        &mut self,
        caller: &mut Caller,
        cluster: &str,
        tasks: &[Task],
    ) -> Result<HashMap<String, Result<IpAddr, String>>, CallError> {
        let hosts: BTreeSet<&str> = tasks.iter().filter_map(host_of).collect();
        self.0.retain(|host, _| hosts.contains(host.as_str()));
        let unknown: Vec<&str> = hosts
            .into_iter()
            .filter(|host| !matches!(self.0.get(*host), Some(Ok(_))))
            .collect();
        for chunk in unknown.chunks(CHUNK) {
            let found = ask(caller, cluster, chunk).await?;
            self.0.extend(found);
        }
        Ok(self.0.clone())
    }
}

/// The host of a task that serves and has no interface of its own.
fn host_of(task: &Task) -> Option<&str> {
    let serves = matches!(task.life(), Life::Running | Life::Draining);
    let is_needed = serves && own_address(task, None).is_none();
    task.container_instance_arn.as_deref().filter(|_| is_needed)
}

async fn ask(
    caller: &mut Caller,
    cluster: &str,
    hosts: &[&str],
) -> Result<Vec<(String, Result<IpAddr, String>)>, CallError> {
    let question = json!({ "cluster": cluster, "containerInstances": hosts });
    let told: Hosts = caller.json(INSTANCES, &question).await?;
    let hosts: Vec<(String, String)> = told
        .container_instances
        .into_iter()
        .filter_map(|host| Some((host.container_instance_arn, host.ec2_instance_id?)))
        .collect();
    let is_ours = |id: &str| !id.starts_with("mi-");
    let ids: Vec<&str> = hosts
        .iter()
        .map(|(_, id)| id.as_str())
        .filter(|id| is_ours(id))
        .collect();
    let addresses = if ids.is_empty() {
        HashMap::new()
    } else {
        let told = caller.query(ADDRESSES, VERSION, &filter(&ids)).await?;
        addresses(&told)?
    };
    let placed = hosts.into_iter().map(|(host, id)| {
        let address = addresses.get(&id).copied();
        let address = address.ok_or_else(|| {
            if is_ours(&id) {
                format!("EC2 knows no private address of its host `{id}`")
            } else {
                format!("its host `{id}` is outside of AWS (ECS Anywhere): no address is known")
            }
        });
        (host, address)
    });
    Ok(placed.collect())
}

/// By a filter: an id that EC2 has forgotten would make the call fail if it was asked for by name.
fn filter(ids: &[&str]) -> Vec<(String, String)> {
    let mut parameters = vec![("Filter.1.Name".to_owned(), "instance-id".to_owned())];
    for (place, id) in ids.iter().enumerate() {
        parameters.push((format!("Filter.1.Value.{}", place + 1), (*id).to_owned()));
    }
    parameters
}

/// Private addresses by instance, of an answer in XML. An instance's interfaces have addresses,
/// too: only what stands directly in the instance counts.
pub(super) fn addresses(told: &str) -> Result<HashMap<String, IpAddr>, DiscoverError> {
    let odd = |what: &str| DiscoverError::Malformed(format!("{ADDRESSES} answered {what}"));
    let document = roxmltree::Document::parse(told).map_err(|_| odd("what is no XML"))?;
    let root = document.root_element();
    if !root.has_tag_name("DescribeInstancesResponse") {
        return Err(odd("something else"));
    }
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        let mut children = node.children();
        let found = children.find(|child| child.has_tag_name(name));
        found.and_then(|child| child.text()).map(str::to_owned)
    };
    let sets = root
        .descendants()
        .filter(|node| node.has_tag_name("instancesSet"));
    let instances = sets.flat_map(|set| set.children().filter(roxmltree::Node::is_element));
    let addresses = instances.filter_map(|instance| {
        let told = child(instance, "privateIpAddress").or_else(|| child(instance, "ipv6Address"));
        Some((child(instance, "instanceId")?, told?.parse().ok()?))
    });
    Ok(addresses.collect())
}

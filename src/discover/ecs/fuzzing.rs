//! Doors to what is read of ECS and EC2.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    answers::{Described, Hosts, Listed, Services},
    read::{Rollouts, Seen, pick},
};
use crate::{
    config::{Aws, Deployment, Ecs},
    model::Endpoint,
};

/// The endpoints of tasks, whose hosts all have one address; `None`: it is no such answer.
pub fn tasks(told: &[u8]) -> Option<Vec<Endpoint>> {
    let _listed = serde_json::from_slice::<Listed>(told);
    let _hosts = serde_json::from_slice::<Hosts>(told);
    let services = serde_json::from_slice::<Services>(told).ok();
    let all = services.and_then(|told| told.services.into_iter().next()?.deployments);
    let mut rollouts = Rollouts {
        all: all.unwrap_or_default(),
        ..Rollouts::default()
    };
    let tasks = serde_json::from_slice::<Described>(told).ok()?.tasks;
    rollouts.remember(BTreeSet::new(), &tasks);
    let host = IpAddr::from([10, 0, 0, 1]);
    let hosts = tasks
        .iter()
        .filter_map(|task| task.container_instance_arn.clone());
    let seen = Seen {
        hosts: hosts.map(|arn| (arn, Ok(host))).collect(),
        tasks,
        rollouts,
    };
    let wanted = |deployment| Ecs {
        aws: Aws::default(),
        cluster: "shop".to_owned(),
        service: "web".to_owned(),
        port: 3000,
        container: None,
        deployment,
        task_definition: None,
    };
    let _active = pick(&seen, &wanted(Some(Deployment::Active)));
    Some(pick(&seen, &wanted(None)).endpoints)
}

/// How many instances have an address, in an answer of EC2.
pub fn addresses(told: &str) -> Option<usize> {
    super::hosts::addresses(told).ok().map(|found| found.len())
}

//! The instances of a service of AWS Cloud Map.
//!
//! The list is asked for each time: its revision does not change when the health of an instance
//! does. `HEALTHY_OR_ELSE_ALL` is asked for, so that a check that fails everywhere takes nobody
//! away.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::{
    DiscoverError, Environment, Outlet,
    aws::{Action, CallError, Caller, Pace, Service},
};
use crate::{
    config::CloudMap,
    model::{Endpoint, Health, VersionKey, Zone},
};

const DISCOVER: Action = Action(Service::CloudMap, "DiscoverInstances");
/// The most that one answer has; there is no next page.
const INSTANCES_MAX: usize = 1_000;

/// The answer of `DiscoverInstances`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    instances: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    #[serde(rename = "InstanceId")]
    id: String,
    health_status: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

/// Asks for a service again and again, and tells its endpoints.
pub(super) async fn run(wanted: CloudMap, environment: Environment, outlet: Outlet) {
    let mut pace = Pace::new(wanted.aws.interval);
    let mut caller = None;
    loop {
        let asked = ask(&mut caller, &wanted, &environment).await;
        let is_throttled = asked.as_ref().is_err_and(CallError::is_throttled);
        let is_heard = match asked {
            Ok(found) => {
                let (endpoints, odd) = pick(&found, &wanted);
                outlet.tell_with(endpoints, odd).await
            }
            Err(error) => outlet.tell(Err(error.into())).await,
        };
        if !is_heard {
            return;
        }
        sleep(pace.next(is_throttled)).await;
    }
}

async fn ask(
    caller: &mut Option<Caller>,
    wanted: &CloudMap,
    environment: &Environment,
) -> Result<Found, CallError> {
    let caller = match caller {
        Some(caller) => caller,
        None => caller.insert(Caller::new(wanted.aws.clone(), environment.clone()).await?),
    };
    let mut question = json!({
        "NamespaceName": wanted.namespace,
        "ServiceName": wanted.service,
        "HealthStatus": "HEALTHY_OR_ELSE_ALL",
        "MaxResults": INSTANCES_MAX,
    });
    if !wanted.attributes.is_empty()
        && let Some(question) = question.as_object_mut()
    {
        question.insert("QueryParameters".to_owned(), json!(wanted.attributes));
    }
    caller.json(DISCOVER, &question).await
}

/// The endpoints that an upstream wants, and what is odd about instances that are none.
fn pick(found: &Found, wanted: &CloudMap) -> (Vec<Endpoint>, Option<DiscoverError>) {
    let ours = || {
        found.instances.iter().filter(|instance| {
            let has = |(name, value)| instance.attribute(name) == Some(value);
            wanted
                .attributes
                .iter()
                .all(|(name, value)| has((name, value.as_str())))
        })
    };
    // "Or else all": when none is healthy, the check is doubted, not the instances.
    let is_doubted = ours().all(|instance| instance.health() == Health::Unhealthy);
    let (mut endpoints, mut odd, mut count) = (Vec::new(), Vec::new(), 0_usize);
    for instance in ours() {
        count += 1;
        match instance.endpoint(wanted) {
            Ok(endpoint) if is_doubted => endpoints.push(Endpoint {
                health: Health::Unknown,
                ..endpoint
            }),
            Ok(endpoint) => endpoints.push(endpoint),
            Err(why) => odd.push(format!("instance {}: {why}", instance.id)),
        }
    }
    endpoints.sort_by_key(|one| (one.address, Reverse(one.health == Health::Healthy)));
    endpoints.dedup_by_key(|one| one.address);
    let odd = odd.first().map(|first| {
        let what = format!(
            "{} of {count} instances are no endpoints: {first}",
            odd.len()
        );
        DiscoverError::Malformed(what)
    });
    (endpoints, odd)
}

impl Instance {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.as_ref()?.get(name).map(String::as_str)
    }

    fn health(&self) -> Health {
        match self.health_status.as_deref() {
            Some("HEALTHY") => Health::Healthy,
            Some("UNHEALTHY") => Health::Unhealthy,
            Some(_) | None => Health::Unknown,
        }
    }

    fn endpoint(&self, wanted: &CloudMap) -> Result<Endpoint, &'static str> {
        let told = ["AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6"];
        let address: Option<IpAddr> = told
            .into_iter()
            .find_map(|name| self.attribute(name)?.parse().ok())
            .filter(|address: &IpAddr| !address.is_unspecified() && !address.is_multicast());
        let address = address.ok_or("it has no `AWS_INSTANCE_IPV4` and no `AWS_INSTANCE_IPV6`")?;
        let port = match self.attribute("AWS_INSTANCE_PORT") {
            Some(text) => text.parse().ok().filter(|port| *port > 0),
            None => wanted.port,
        };
        let port = port.ok_or("it has no `AWS_INSTANCE_PORT`: write `port:`")?;
        Ok(Endpoint {
            health: self.health(),
            zone: self.attribute("AVAILABILITY_ZONE").map(Zone::new),
            version: self
                .attribute(&wanted.version_attribute)
                .map(VersionKey::new),
            ..Endpoint::new(SocketAddr::new(address, port))
        })
    }
}

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

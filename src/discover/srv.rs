//! SRV records as endpoints: Mesos-DNS, and all that names hosts, ports and weights in DNS.
//!
//! Only records of the lowest priority are used: whether their endpoints can be reached is for
//! health to say, not for DNS. An answer that fails, or that names nobody, changes nothing.

use std::{cmp::Reverse, net::SocketAddr, sync::Arc};

use super::{
    DiscoverError, Names, Outlet,
    dns::{Service, Target},
    fixed::Pace,
    hosts::Hosts,
};
use crate::model::Endpoint;

/// Keeps the services of one name fresh.
pub(super) async fn run(name: String, pace: Pace, names: Names, outlet: Outlet) {
    let (mut hosts, mut errors) = (Hosts::default(), 0_u32);
    loop {
        let asked = Service::ask(&name, &names).await;
        let (mut holds, mut error) = (std::time::Duration::ZERO, None);
        match asked {
            Err(failed) => error = Some(failed),
            Ok(service) => {
                holds = service.holds;
                let (endpoints, failed) = resolve(&service, &mut hosts, &names).await;
                error = failed.or(error);
                let is_known = !endpoints.is_empty();
                if is_known && !outlet.tell(Ok(endpoints)).await {
                    return;
                }
            }
        }
        errors = if error.is_some() {
            errors.saturating_add(1)
        } else {
            0
        };
        if let Some(error) = error
            && !outlet.tell(Err(error)).await
        {
            return;
        }
        tokio::time::sleep(pace.wait(holds, errors)).await;
    }
}

/// The addresses of all targets; those that did not come along are asked for.
async fn resolve(
    service: &Service,
    hosts: &mut Hosts,
    names: &Names,
) -> (Arc<[Endpoint]>, Option<DiscoverError>) {
    let is_alone = |target: &&Target| !service.addresses.contains_key(&target.host);
    let alone = service.targets.iter().filter(is_alone);
    let error = hosts
        .refresh(names, alone.map(|target| target.host.as_str()))
        .await;
    let mut endpoints = Vec::new();
    for target in &service.targets {
        let known = service.addresses.get(&target.host);
        let asked = hosts.addresses(&target.host);
        for address in known.into_iter().flatten().copied().chain(asked) {
            endpoints.push(Endpoint {
                weight: target.weight,
                ..Endpoint::new(SocketAddr::new(address, target.port))
            });
        }
    }
    endpoints.sort_by_key(|endpoint| (endpoint.address, Reverse(endpoint.weight)));
    endpoints.dedup_by_key(|endpoint| endpoint.address);
    (endpoints.into(), error)
}

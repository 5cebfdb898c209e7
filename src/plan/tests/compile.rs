//! What a plan is made of, and what two plans share.

use std::sync::Arc;

use super::{ParseName, Request, World, address, listener, prefix, sticky, takes, written_split};
use crate::{
    model::{Endpoint, EndpointKey, Generation, Health, Share, Stage, UpstreamName},
    plan::{Plan, Split, Upstream, channel},
};

fn world() -> World {
    let mut other = written_split("search", None);
    other.routes = vec![takes(&["search.example"], prefix("/"))];
    World::new(vec![written_split("shop", Some(sticky(&[]))), other])
}

/// Which splits and which upstreams are the very same in both plans.
fn kept(one: &Plan, two: &Plan) -> (Vec<bool>, Vec<bool>) {
    let same_split = |(a, b): (&Arc<Split>, &Arc<Split>)| Arc::ptr_eq(a, b);
    let same_upstream = |(a, b): (&Arc<Upstream>, &Arc<Upstream>)| Arc::ptr_eq(a, b);
    let splits = one.splits.iter().zip(&two.splits).map(same_split).collect();
    (
        splits,
        one.upstreams
            .iter()
            .zip(&two.upstreams)
            .map(same_upstream)
            .collect(),
    )
}

fn addresses(plan: &Plan, at: usize) -> Vec<u16> {
    plan.upstreams[at]
        .endpoints
        .iter()
        .map(|target| target.address.port())
        .collect()
}

fn keys(plan: &Plan, at: usize) -> Vec<EndpointKey> {
    plan.upstreams[at]
        .endpoints
        .iter()
        .map(|target| target.key)
        .collect()
}

#[test]
fn what_did_not_change_is_shared() {
    let mut world = world();
    world.shift("shop", 1, 500);
    let first = world.plan();

    let second = world.plan_after(Some(&first));
    assert!(Arc::ptr_eq(&first.listeners, &second.listeners));
    assert!(Arc::ptr_eq(&first.routes, &second.routes));
    assert_eq!(kept(&first, &second), (vec![true, true], vec![true, true]));

    let third = world.shift("shop", 1, 600).plan_after(Some(&second));
    assert!(Arc::ptr_eq(&second.routes, &third.routes));
    assert_eq!(kept(&second, &third), (vec![false, true], vec![true, true]));
    assert_eq!(
        third.splits[0].share,
        Share::from_basis_points(600).unwrap()
    );

    world
        .endpoints
        .insert("new".parse_name(), [Endpoint::new(address(3))].into());
    let fourth = world.plan_after(Some(&third));
    assert_eq!(kept(&third, &fourth), (vec![true, true], vec![true, false]));

    world.config.listeners.push(listener(8081));
    world.config.splits[1]
        .routes
        .push(takes(&[], prefix("/search")));
    let fifth = world.plan_after(Some(&fourth));
    assert!(!Arc::ptr_eq(&fourth.listeners, &fifth.listeners));
    assert!(!Arc::ptr_eq(&fourth.routes, &fifth.routes));
    assert_eq!(kept(&fourth, &fifth), (vec![true, false], vec![true, true]));
    assert_eq!(fifth.generation, Generation(5));
}

#[test]
fn a_split_without_a_decision_gets_stable_only() {
    let plan = world().plan();
    assert_eq!(plan.splits[0].share, Share::ZERO);
    assert_eq!(plan.splits[0].stage, Stage(0));
    assert_eq!(plan.splits[0].canary.as_ref().unwrap().name.as_str(), "new");
    assert_eq!(
        plan.upstream(plan.splits[0].stable.upstream)
            .unwrap()
            .name
            .as_str(),
        "old"
    );
}

#[test]
fn only_usable_endpoints_are_in_the_plan_each_once() {
    let mut world = world();
    let health = |port, health| Endpoint {
        health,
        ..Endpoint::new(address(port))
    };
    let list = [
        health(9, Health::Unknown),
        health(2, Health::Healthy),
        health(3, Health::Unhealthy),
        Endpoint {
            draining: true,
            ..Endpoint::new(address(4))
        },
        Endpoint {
            weight: 0,
            ..Endpoint::new(address(5))
        },
        Endpoint {
            weight: 3,
            ..Endpoint::new(address(6))
        },
        health(2, Health::Healthy),
    ];
    world.endpoints.insert("old".parse_name(), list.into());
    world.endpoints.remove(&"new".parse_name::<UpstreamName>());
    let plan = world.plan();
    assert_eq!(addresses(&plan, 0), [9, 2, 6]);
    assert_eq!(plan.upstreams[0].endpoints[2].weight, 3);
    assert!(plan.upstreams[1].endpoints.is_empty());
}

#[test]
fn keys_outlive_absence_and_order() {
    let mut world = world();
    let list = |ports: &[u16]| -> Arc<[Endpoint]> {
        ports
            .iter()
            .map(|port| Endpoint::new(address(*port)))
            .collect()
    };
    world
        .endpoints
        .insert("old".parse_name(), list(&[10, 11, 12]));
    let first = world.plan();
    world
        .endpoints
        .insert("old".parse_name(), list(&[12, 10, 11]));
    let second = world.plan_after(Some(&first));
    assert!(
        Arc::ptr_eq(&first.upstreams[0], &second.upstreams[0]),
        "order means nothing"
    );

    world.endpoints.insert("old".parse_name(), list(&[13]));
    world.plan_after(Some(&second));
    world
        .endpoints
        .insert("old".parse_name(), list(&[11, 13, 10]));
    world.config.splits.swap(0, 1);
    world.config.upstreams.swap(0, 1);
    let third = world.plan_after(Some(&second));
    assert_eq!(addresses(&third, 1), [10, 11, 13]);
    assert_eq!(keys(&third, 1)[..2], keys(&first, 0)[..2]);
    assert!(
        !keys(&first, 0).contains(&keys(&third, 1)[2]),
        "a new one has a new key"
    );
    let split_keys = |plan: &Plan, a: usize, b: usize| [plan.splits[a].key, plan.splits[b].key];
    assert_eq!(split_keys(&third, 1, 0), split_keys(&first, 0, 1));

    // The same address in another upstream is another endpoint.
    world.endpoints.insert("new".parse_name(), list(&[10]));
    let fourth = world.plan_after(Some(&third));
    assert_ne!(keys(&fourth, 0)[0], keys(&fourth, 1)[0]);
}

#[test]
fn a_request_finds_its_split_route_and_upstream() {
    let plan = world().plan();
    let (split, route) = plan.find(&Request::to("search.example", "/")).unwrap();
    let split = plan.split(split).unwrap();
    assert_eq!(
        (split.name.as_str(), split.routes[route.index()].as_str()),
        ("search", "default")
    );
}

#[test]
fn an_empty_plan_takes_nothing() {
    let plan = Plan::empty(Generation(0));
    assert_eq!(plan.find(&Request::to("h", "/")), None);
    assert!(plan.listeners.is_empty());
}

#[test]
fn generations_only_rise() {
    let (mut publisher, mut reader) = channel(Plan::empty(Generation(5)));
    let mut other = reader.clone();
    for (generation, rises) in [(5, false), (4, false), (6, true), (6, false), (9, true)] {
        assert_eq!(
            publisher.publish(Plan::empty(Generation(generation))),
            rises,
            "{generation}"
        );
        let expected = Generation(generation.max(if rises { generation } else { 5 }));
        assert!(reader.current().generation >= expected);
    }
    assert_eq!(reader.current().generation, Generation(9));
    assert!(Arc::ptr_eq(reader.current(), other.current()));
}

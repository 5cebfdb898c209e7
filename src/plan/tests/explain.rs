//! The words are the decisions.

use super::{Request, World, address, chance, prefix, sticky, takes, written_split};
use crate::{
    config::KeySource,
    model::{Endpoint, Role},
    plan::explain,
};

#[test]
fn every_decision_is_told() {
    let key = [KeySource::Header("x-device-id".to_owned())];
    let mut split = written_split("shop", Some(sticky(&key)));
    split.routes = vec![takes(&["shop.example"], prefix("/"))];
    let mut world = World::new(vec![split]);
    let seven = (1..=7).map(|port| Endpoint::new(address(port))).collect();
    world
        .endpoints
        .insert(super::ParseName::parse_name("new"), seven);
    let plan = world.shift("shop", 1, 10_000).plan();

    let request = Request::to("shop.example", "/cart").with("x-device-id", "d");
    let told = explain(&plan, &request, chance(1));
    let split = plan.split(plan.find(&request).unwrap().0).unwrap();
    assert_eq!(told.assignment, Some(split.assign(&request, chance(1))));
    assert_eq!(told.assignment.unwrap().role, Role::Canary);
    assert_eq!(told.endpoints.len(), 7);
    let words = "plan: generation 1\n\
        split: shop (route default)\n\
        version: new (canary), because the hash of header x-device-id fell there with a share of \
        100%\n\
        cookie: the answer sets one that says canary\n\
        endpoints: the less busy of two of 127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3, 127.0.0.1:4, \
        127.0.0.1:5 and 2 more\n";
    assert_eq!(told.to_string(), words);
}

#[test]
fn it_is_told_that_nothing_takes_a_request_or_can_answer_it() {
    let mut split = written_split("shop", None);
    split.routes = vec![takes(&["shop.example"], prefix("/"))];
    let mut world = World::new(vec![split]);
    world.endpoints.clear();
    let plan = world.shift("shop", 1, 10_000).plan();
    let lost = explain(&plan, &Request::to("other.example", "/a"), chance(1));
    assert_eq!(lost.lines[1], "split: none takes GET other.example/a");
    let dead = explain(&plan, &Request::to("shop.example", "/a"), chance(1));
    let end = [
        "endpoints: none is usable",
        "fallback: stable answers instead",
    ];
    assert_eq!(dead.lines[3..], end);
}

//! The word of health checks: in the plan at once, told, shown, and doubted.

use std::net::SocketAddr;

use super::*;
use crate::discover::Checked;

/// The endpoints of `v1` that requests may go to, by the last part of their address.
fn used(desk: &mut Desk) -> Vec<u8> {
    let plan = desk.reader.current();
    let targets = plan.upstreams[0].endpoints.iter();
    let last = targets.map(|target| match target.address {
        SocketAddr::V4(address) => address.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    });
    last.collect()
}

fn say(desk: &mut Desk, last: u8, is_healthy: bool) {
    let why = if is_healthy { "" } else { "it answers 503" };
    desk.on(Event::Checked(Checked {
        upstream: fixture::upstream_name("v1"),
        address: ([10, 0, 1, last], 80).into(),
        is_healthy,
        why: why.to_owned(),
    }));
}

#[test]
fn checks_take_endpoints_out_of_the_plan_and_are_not_believed_when_all_fail() {
    let mut loaded = loaded(1, vec![shop(10)]);
    let upstream = &mut loaded.config.upstreams[0];
    upstream.balance.panic_threshold = share(50);
    upstream.health_check = Some(config::HealthCheck {
        question: config::Question::Tcp,
        host: None,
        port: None,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        healthy: 1,
        unhealthy: 1,
    });
    let mut desk = Desk::of(shop(10), None);
    desk.on(Event::Configured(Box::new(loaded)));
    desk.on(Event::Discovered(Discovered {
        upstream: fixture::upstream_name("v1"),
        as_of: at(desk.now),
        result: Ok((1..=4)
            .map(|last| Endpoint::new(([10, 0, 1, last], 80).into()))
            .collect()),
    }));
    assert_eq!(used(&mut desk), [1, 2, 3, 4], "nobody has been asked yet");
    for last in 1..=4 {
        say(&mut desk, last, true);
    }
    let mut news = desk.handle.news();
    say(&mut desk, 2, false);
    assert_eq!(used(&mut desk), [1, 3, 4]);
    let told = news.try_recv().unwrap();
    assert_eq!((told.what, told.is_warning), ("health", true));
    assert_eq!(
        told.text,
        "v1: 10.0.1.2:80 is unhealthy: it answers 503; 3 of 4 may be chosen"
    );
    let status = desk.handle.status();
    assert_eq!(status.upstreams[0].states, [3, 1, 0, 0, 0]);
    say(&mut desk, 1, false);
    say(&mut desk, 3, false);
    assert_eq!(used(&mut desk), [1, 2, 3, 4]);
    let told: Vec<_> = std::iter::from_fn(|| news.try_recv().ok()).collect();
    assert!(
        told.iter()
            .any(|news| news.text.contains("only 1 of 4 endpoints are healthy"))
    );
    say(&mut desk, 1, true);
    assert_eq!(used(&mut desk), [1, 4]);
    desk.on(Event::Discovered(Discovered {
        upstream: fixture::upstream_name("v1"),
        as_of: at(desk.now),
        result: Ok((1..=6)
            .map(|last| Endpoint::new(([10, 0, 1, last], 80).into()))
            .collect()),
    }));
    assert_eq!(
        used(&mut desk),
        [1, 4],
        "new ones wait for their first good answer"
    );
    say(&mut desk, 6, true);
    assert_eq!(used(&mut desk), [1, 4, 6]);
}

#[test]
fn a_new_endpoint_is_warming_until_its_age_where_nobody_warms_it() {
    let mut loaded = loaded(1, vec![shop(10)]);
    loaded.config.upstreams[0].warm_up = Some(config::WarmUp {
        mirror: 3,
        methods: vec![config::SafeMethod::Get],
        age: Duration::from_mins(1),
    });
    let mut desk = Desk::of(shop(10), None);
    desk.on(Event::Configured(Box::new(loaded)));
    for count in [4, 5] {
        desk.now += 200_000;
        desk.on(Event::Discovered(Discovered {
            upstream: fixture::upstream_name("v1"),
            as_of: at(desk.now),
            result: Ok((1..=count)
                .map(|last| Endpoint::new(([10, 0, 1, last], 80).into()))
                .collect()),
        }));
    }
    let status = desk.handle.status();
    assert_eq!(status.upstreams[0].states, [4, 0, 0, 1, 0]);
    let plan = desk.reader.current();
    let (upstream, now) = (&plan.upstreams[0], at(desk.now));
    let parts = upstream.endpoints.iter().map(|it| upstream.warmth(it, now));
    assert_eq!(parts.collect::<Vec<_>>(), [256, 256, 256, 256, 0]);
}

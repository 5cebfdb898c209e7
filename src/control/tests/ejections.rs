//! Endpoints that are out: told, shown, and back when their time is over.

use super::*;
use crate::{
    control::{Asker, EndpointCommand, EndpointStatus},
    measure::{Ejection, EndpointGauge},
    model::EndpointState,
};

fn endpoint(last: u8) -> Endpoint {
    Endpoint::new(([10, 0, 1, last], 80).into())
}

/// Control that knows so many endpoints of `v1`.
fn desk(count: u8) -> Desk {
    let mut desk = Desk::of(shop(10), None);
    discover(&mut desk, count);
    desk
}

fn discover(desk: &mut Desk, count: u8) {
    desk.on(Event::Discovered(Discovered {
        upstream: fixture::upstream_name("v1"),
        as_of: at(desk.now),
        result: Ok((1..=count).map(endpoint).collect()),
    }));
}

/// What a worker says that has ejected an endpoint.
fn ejects(desk: &mut Desk, nth: usize, seconds: u64) {
    let plan = Arc::clone(desk.reader.current());
    let (upstream, now) = (&plan.upstreams[0], at(desk.now));
    let target = &upstream.endpoints[nth];
    let until = now + Duration::from_secs(seconds);
    upstream.eject(target, Some(until));
    let ejection = Ejection {
        endpoint: target.key,
        at: now,
        until,
        times: 1,
        status: 500,
        reason: Reason::None,
    };
    let mut sample = Sample {
        ejections: vec![ejection],
        ..Sample::default()
    };
    sample.gauges.endpoints = Arc::new([EndpointGauge {
        endpoint: target.key,
        in_flight: 3,
        idle: 1,
        latency: Some(Duration::from_millis(7)),
    }]);
    desk.on(Event::Sampled(Box::new(sample)));
}

fn survey(desk: &mut Desk) -> Vec<EndpointStatus> {
    let (answer, mut answered) = oneshot::channel();
    desk.on(Event::Surveyed(answer));
    let all: Vec<EndpointStatus> = answered.try_recv().unwrap();
    let is_of_v1 = |one: &EndpointStatus| one.upstream.as_str() == "v1";
    all.into_iter().filter(is_of_v1).collect()
}

fn states(desk: &mut Desk) -> Vec<&'static str> {
    survey(desk).iter().map(|one| one.state.as_str()).collect()
}

/// Whether this was told by now.
fn has_told(news: &mut tokio::sync::broadcast::Receiver<News>, what: &str) -> bool {
    std::iter::from_fn(|| news.try_recv().ok()).any(|news| news.what == what)
}

/// A person asks; the answer.
fn ask(desk: &mut Desk, last: u8, command: EndpointCommand) -> Result<String, Refusal> {
    let (answer, mut answered) = oneshot::channel();
    desk.on(Event::AskedOfEndpoint(EndpointAsk {
        upstream: None,
        address: endpoint(last).address,
        command,
        reason: Some("its disk is full".to_owned()),
        actor: Asker::default().actor + "ada",
        answer,
    }));
    answered.try_recv().unwrap()
}

#[test]
fn what_workers_eject_is_told_shown_and_told_again_when_it_is_back() {
    let mut desk = desk(3);
    let mut news = desk.handle.news();
    ejects(&mut desk, 1, 10);
    let told = news.try_recv().unwrap();
    assert_eq!((told.what, told.is_warning), ("endpoint_ejected", true));
    assert_eq!(
        told.text,
        "v1: 10.0.1.2:80 gets no requests for 10 s: 0 failures in a row, the last one a 500"
    );
    let all = survey(&mut desk);
    let out = &all[1];
    assert_eq!(out.state, EndpointState::Ejected);
    assert_eq!(out.out_for, Some(Duration::from_secs(10)));
    assert!(out.why.as_ref().unwrap().ends_with("a 500"));
    let latency = Some(Duration::from_millis(7));
    assert_eq!((out.in_flight, out.latency), (3, latency));
    let status = desk.handle.status();
    assert_eq!(status.upstreams[0].states, [2, 0, 1, 0, 0]);
    assert_eq!(status.upstreams[0].in_flight, 3);
    let (answer, mut answered) = oneshot::channel();
    desk.on(Event::Scraped(answer));
    let ejections = answered.try_recv().unwrap().ejections;
    assert_eq!(ejections, [(fixture::upstream_name("v1"), 1)]);
    desk.now += 9_999;
    desk.on(Event::Tick);
    assert!(!has_told(&mut news, "endpoint_back"));
    desk.now += 1;
    desk.on(Event::Tick);
    assert!(has_told(&mut news, "endpoint_back"));
    assert_eq!(states(&mut desk), ["healthy"; 3]);
}

#[test]
fn a_person_takes_an_endpoint_out_and_back() {
    let mut desk = desk(2);
    let mut news = desk.handle.news();
    let long = EndpointCommand::Eject(Some(Duration::from_mins(1)));
    let done = ask(&mut desk, 1, long).unwrap();
    assert_eq!(done, "v1: 10.0.1.1:80 is out for 60s");
    let told = news.try_recv().unwrap();
    assert_eq!(told.by, "ada");
    assert!(told.text.ends_with("for 60 s: its disk is full"));
    let done = ask(&mut desk, 2, EndpointCommand::Eject(None)).unwrap();
    assert_eq!(
        done,
        "v1: 10.0.1.2:80 is out (none is left, so that it is used all the same)"
    );
    desk.now += 60_000;
    desk.on(Event::Tick);
    assert_eq!(states(&mut desk), ["healthy", "ejected"]);
    let done = ask(&mut desk, 2, EndpointCommand::Uneject).unwrap();
    assert_eq!(done, "v1: 10.0.1.2:80 is back");
    assert_eq!(states(&mut desk), ["healthy"; 2]);
    let again = ask(&mut desk, 2, EndpointCommand::Uneject).unwrap();
    assert_eq!(again, "v1: 10.0.1.2:80 was not out");
    let refusal = ask(&mut desk, 9, EndpointCommand::Uneject).unwrap_err();
    assert_eq!(refusal.message, "no requests go to 10.0.1.9:80");
}

#[test]
fn what_a_person_did_to_an_endpoint_stands_in_the_audit() {
    let directory = tempfile::tempdir().unwrap();
    let mut desk = Desk::of(shop(10), Some(directory.path()));
    discover(&mut desk, 2);
    let long = EndpointCommand::Eject(Some(Duration::from_mins(1)));
    ask(&mut desk, 1, long).unwrap();
    ask(&mut desk, 9, EndpointCommand::Uneject).unwrap_err();
    drop(desk);
    let file = rusqlite::Connection::open(directory.path().join("serin.db")).unwrap();
    let mut acts = file
        .prepare(
            "SELECT endpoint, actor, command, reason, result FROM audit
            WHERE endpoint IS NOT NULL ORDER BY id",
        )
        .unwrap();
    let acts = acts.query_map([], |row| {
        let text = |column| row.get::<_, String>(column);
        Ok([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?].join(" | "))
    });
    let acts: Vec<String> = acts.unwrap().map(Result::unwrap).collect();
    assert_eq!(
        acts,
        [
            "10.0.1.1:80 | ada | eject for 60s | its disk is full | \
             done: v1: 10.0.1.1:80 is out for 60s",
            "10.0.1.9:80 | ada | uneject | its disk is full | \
             refused: no requests go to 10.0.1.9:80",
        ]
    );
}

#[test]
fn a_new_plan_and_a_lost_source_change_nothing_about_who_is_out() {
    let mut desk = desk(3);
    ejects(&mut desk, 0, 60);
    discover(&mut desk, 4);
    assert_eq!(states(&mut desk)[..3], ["ejected", "healthy", "healthy"]);
}

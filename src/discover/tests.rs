//! Sources over real loopback sockets and real files.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, time::Duration};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::SRV},
};
use tokio::{net::UdpSocket, sync::watch};

use super::*;
use crate::{
    config::{StaticEndpoint, Upstream, UpstreamProtocol, UpstreamTimeouts},
    model::{Health, VersionKey},
};

/// What the responder says to each question: addresses with a TTL, or an error code.
type Zone = HashMap<(&'static str, RecordType), Result<(Vec<&'static str>, u32), ResponseCode>>;

/// A name server on loopback that answers from a zone which the test may replace.
async fn responder() -> (SocketAddr, watch::Sender<Zone>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (zones, zone) = watch::channel(Zone::new());
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let answer = respond(&query, &zone.borrow());
            socket
                .send_to(&answer.to_vec().unwrap(), client)
                .await
                .unwrap();
        }
    });
    (address, zones)
}

fn respond(query: &Message, zone: &Zone) -> Message {
    let question = query.queries[0].clone();
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.add_query(question.clone());
    let name = question.name().to_utf8();
    let entry = zone.iter().find(|((known, family), _)| {
        *known == name.trim_end_matches('.') && *family == question.query_type()
    });
    match entry.map(|(_, entry)| entry) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(Err(code)) => answer.metadata.response_code = *code,
        Some(Ok((addresses, ttl))) => {
            for text in addresses {
                let (name, data) = (question.name().clone(), data(text));
                answer.add_answer(Record::from_rdata(name, *ttl, data));
            }
            // Addresses of targets that the zone has under `+` come along.
            for ((name, _), entry) in zone {
                let Some(target) = name.strip_prefix('+') else {
                    continue;
                };
                for text in entry.iter().flat_map(|(addresses, _)| addresses) {
                    let name = Name::from_utf8(target).unwrap();
                    answer.add_additional(Record::from_rdata(name, *ttl, data(text)));
                }
            }
        }
    }
    answer
}

/// An address, or `PRIORITY WEIGHT PORT TARGET`.
fn data(text: &str) -> RData {
    match text.parse() {
        Ok(IpAddr::V4(v4)) => return RData::A(v4.into()),
        Ok(IpAddr::V6(v6)) => return RData::AAAA(v6.into()),
        Err(_) => {}
    }
    let mut words = text.split(' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let (priority, weight, port) = (number(), number(), number());
    let target = Name::from_utf8(words.next().unwrap()).unwrap();
    RData::SRV(SRV::new(priority, weight, port, target))
}

fn upstream(source: Source) -> Upstream {
    let second = Duration::from_secs(1);
    Upstream {
        name: UpstreamName::new("web").unwrap(),
        source,
        protocol: UpstreamProtocol::H1,
        tls: None,
        proxy_protocol: None,
        timeouts: UpstreamTimeouts {
            connect: second,
            response_header: second,
            body_idle: second,
            idle: second,
        },
        max_idle_connections: 1,
        buffer: config::Buffer::default(),
        health_check: None,
        balance: config::Balance::default(),
        outlier_detection: None,
        circuit_breaker: None,
        warm_up: None,
    }
}

fn fixed(hosts: &[(&str, u16, u32)]) -> Upstream {
    let written = hosts.iter().map(|(host, port, weight)| StaticEndpoint {
        weight: *weight,
        ..StaticEndpoint::new(host, *port)
    });
    upstream(Source::Static(written.collect()))
}

fn dns(name: &str) -> Upstream {
    upstream(Source::Dns {
        name: name.to_owned(),
        port: 80,
        min_ttl: Duration::from_millis(20),
        max_ttl: Duration::from_millis(40),
    })
}

fn nobody() -> Names {
    Names::asking(
        "127.0.0.1:9".parse().unwrap(),
        PathBuf::from("/nowhere/hosts"),
    )
}

/// Addresses with weights, as text, of the next answer that `wanted` takes.
async fn next(
    answers: &mut mpsc::Receiver<Discovered>,
    wanted: impl Fn(&Result<Vec<String>, String>) -> bool,
) -> Result<Vec<String>, String> {
    let waiting = async {
        loop {
            let answer = answers.recv().await.unwrap();
            let shown = |endpoint: &Endpoint| format!("{}*{}", endpoint.address, endpoint.weight);
            let result = answer.result.map(|all| all.iter().map(shown).collect());
            let result = result.map_err(|error| error.to_string());
            if wanted(&result) {
                return result;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("no such answer in 20 s")
}

fn is<'a>(expected: &'a [&str]) -> impl Fn(&Result<Vec<String>, String>) -> bool + 'a {
    move |result| result.as_ref().is_ok_and(|endpoints| endpoints == expected)
}

#[tokio::test]
async fn written_addresses_are_endpoints_at_once_sorted_and_without_doubles() {
    let written = fixed(&[
        ("10.0.0.9", 80, 1),
        ("10.0.0.1", 80, 2),
        ("10.0.0.9", 80, 5),
    ]);
    let known = at_once(&written).unwrap().result.unwrap();
    assert_eq!(known.iter().map(|e| e.weight).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(at_once(&fixed(&[("web.internal", 80, 1)])), None);

    let (into, mut answers) = mpsc::channel(8);
    let _sources = spawn_with((nobody(), Environment::default()), &[written], into);
    next(&mut answers, is(&["10.0.0.1:80*2", "10.0.0.9:80*5"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn records_are_asked_again_when_their_time_is_over() {
    let (server, zones) = responder().await;
    let zone = |v4: &[&'static str]| {
        Zone::from([
            (("web.test", RecordType::A), Ok((v4.to_vec(), 1))),
            (("web.test", RecordType::AAAA), Ok((vec!["fd00::7"], 3_600))),
        ])
    };
    zones.send_replace(zone(&["10.0.0.2", "10.0.0.1"]));
    let (into, mut answers) = mpsc::channel(8);
    let names = Names::asking(server, PathBuf::from("/nowhere/hosts"));
    let _sources = spawn_with((names, Environment::default()), &[dns("web.test")], into);
    let first = ["10.0.0.1:80*1", "10.0.0.2:80*1", "[fd00::7]:80*1"];
    next(&mut answers, is(&first)).await.unwrap();
    zones.send_replace(zone(&["10.0.0.3"]));
    next(&mut answers, is(&["10.0.0.3:80*1", "[fd00::7]:80*1"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_family_that_fails_keeps_its_addresses_and_a_lost_name_is_an_error() {
    let (server, zones) = responder().await;
    let good = || Ok((vec!["10.0.0.1"], 1));
    zones.send_replace(Zone::from([
        (("web.test", RecordType::A), good()),
        (("web.test", RecordType::AAAA), Ok((vec!["fd00::7"], 1))),
    ]));
    let (into, mut answers) = mpsc::channel(8);
    let names = Names::asking(server, PathBuf::from("/nowhere/hosts"));
    let _sources = spawn_with((names, Environment::default()), &[dns("web.test")], into);
    let both = ["10.0.0.1:80*1", "[fd00::7]:80*1"];
    next(&mut answers, is(&both)).await.unwrap();

    zones.send_replace(Zone::from([
        (("web.test", RecordType::A), Ok((vec!["10.0.0.2"], 1))),
        (("web.test", RecordType::AAAA), Err(ResponseCode::ServFail)),
    ]));
    let changed = |result: &Result<Vec<String>, _>| {
        result
            .as_ref()
            .is_ok_and(|endpoints| endpoints[0] == "10.0.0.2:80*1")
    };
    let kept = next(&mut answers, changed).await.unwrap();
    assert_eq!(kept, ["10.0.0.2:80*1", "[fd00::7]:80*1"]);

    zones.send_replace(Zone::new());
    let error = next(&mut answers, Result::is_err).await.unwrap_err();
    assert!(
        error.starts_with("cannot find the addresses of `web.test`"),
        "{error}"
    );
}

#[tokio::test]
async fn the_hosts_file_is_read_first_and_localhost_is_one_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let hosts = directory.path().join("hosts");
    let text = "127.0.0.1 localhost\n::1 localhost\n10.1.1.1 web-1 web-1.internal\n";
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&hosts, text).unwrap();
    let (into, mut answers) = mpsc::channel(8);
    let names = Names::asking("127.0.0.1:9".parse().unwrap(), hosts);
    let written = fixed(&[("web-1", 80, 3), ("localhost", 81, 1)]);
    let _sources = spawn_with((names, Environment::default()), &[written], into);
    next(&mut answers, is(&["10.1.1.1:80*3", "127.0.0.1:81*1"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_is_seen_when_it_appears_changes_breaks_and_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("endpoints.yaml");
    let replace = |text: &str| {
        let next = directory.path().join("endpoints.tmp");
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, &path).unwrap();
    };
    let (into, mut answers) = mpsc::channel(8);
    let _sources = spawn_with(
        (nobody(), Environment::default()),
        &[upstream(Source::File(path.clone()))],
        into,
    );
    let error = next(&mut answers, Result::is_err).await.unwrap_err();
    assert!(
        error.starts_with(&format!("cannot read {}: ", path.display())),
        "{error}"
    );
    replace("- 10.0.0.1:80\n");
    next(&mut answers, is(&["10.0.0.1:80*1"])).await.unwrap();
    replace("- 10.0.0.1:80\n- 10.0.0.2\n");
    let error = next(&mut answers, Result::is_err).await.unwrap_err();
    assert!(
        error.contains("endpoints.yaml:2:3: `10.0.0.2` is not"),
        "{error}"
    );
    replace("[{\"address\": \"10.0.0.2:80\", \"weight\": 4}]");
    next(&mut answers, is(&["10.0.0.2:80*4"])).await.unwrap();
    replace(
        "- { address: \"10.0.0.3:80\", zone: a, version: \"7\", health: healthy, draining: true }",
    );
    let told = loop {
        let told = answers.recv().await.unwrap().result.unwrap();
        if told[0].draining {
            break told;
        }
    };
    let expected = Endpoint {
        zone: Some(crate::model::Zone::new("a")),
        version: Some(VersionKey::new("7")),
        health: Health::Healthy,
        draining: true,
        ..Endpoint::new("10.0.0.3:80".parse().unwrap())
    };
    assert_eq!(told[..], [expected]);
}

#[tokio::test]
async fn a_reload_keeps_unchanged_sources_and_stops_gone_ones() {
    let (into, mut answers) = mpsc::channel(8);
    let mut sources = spawn_with(
        (nobody(), Environment::default()),
        &[fixed(&[("10.0.0.1", 80, 1)])],
        into,
    );
    next(&mut answers, is(&["10.0.0.1:80*1"])).await.unwrap();
    sources.replace(&[fixed(&[("10.0.0.1", 80, 1)])]);
    assert!(
        answers.try_recv().is_err(),
        "an unchanged source is not asked anew"
    );
    sources.replace(&[fixed(&[("10.0.0.2", 80, 1)])]);
    next(&mut answers, is(&["10.0.0.2:80*1"])).await.unwrap();
    sources.replace(&[]);
    assert!(sources.running.is_empty());
}

fn srv(name: &str) -> Upstream {
    upstream(Source::Srv {
        name: name.to_owned(),
        min_ttl: Duration::from_millis(20),
        max_ttl: Duration::from_millis(50),
    })
}

#[tokio::test]
async fn services_have_ports_and_weights_and_only_the_lowest_priority_is_used() {
    let (server, zones) = responder().await;
    let service = "_web._tcp.marathon.mesos";
    let a = |address| Ok((vec![address], 1));
    zones.send_replace(Zone::from([
        (
            (service, RecordType::SRV),
            Ok((
                vec![
                    "1 5 31000 one.test.",
                    "1 0 31001 two.test.",
                    "9 1 80 far.test.",
                    "1 1 0 x.",
                ],
                1,
            )),
        ),
        (("one.test", RecordType::A), a("10.0.0.1")),
        (("two.test", RecordType::A), a("10.0.0.2")),
        (("far.test", RecordType::A), a("10.0.0.9")),
    ]));
    let (into, mut answers) = mpsc::channel(8);
    let names = Names::asking(server, PathBuf::from("/nowhere/hosts"));
    let _sources = spawn_with((names, Environment::of([])), &[srv(service)], into);
    let both = ["10.0.0.1:31000*5", "10.0.0.2:31001*1"];
    next(&mut answers, is(&both)).await.unwrap();

    // Addresses that come along are taken; nobody is asked for them.
    zones.send_replace(Zone::from([
        (
            (service, RecordType::SRV),
            Ok((vec!["0 0 7 four.test."], 1)),
        ),
        (("+four.test", RecordType::A), a("10.0.0.4")),
    ]));
    next(&mut answers, is(&["10.0.0.4:7*1"])).await.unwrap();

    // A name that is lost is an error, and so is a service that says that it is not there.
    zones.send_replace(Zone::new());
    let error = next(&mut answers, Result::is_err).await.unwrap_err();
    let expected = format!("cannot find the services of `{service}`");
    assert!(error.starts_with(&expected), "{error}");
    zones.send_replace(Zone::from([(
        (service, RecordType::SRV),
        Ok((vec!["0 0 0 ."], 1)),
    )]));
    let missing = |result: &Result<Vec<String>, String>| {
        result
            .as_ref()
            .is_err_and(|error| error.contains("has no SRV record"))
    };
    next(&mut answers, missing).await.unwrap_err();
}

//! Traces: what passes through, what endpoints are told, and the spans that a collector gets.

use std::{fs, net::SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    client::Client,
    collector::{Collector, Span},
    h2_client::Connection,
    h2_origin::{H2Origin, given},
    origin::{Origin, Seen, answer, nowhere, request},
    proxy::{Proxy, edge, one_worker},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

/// The key of the file.
fn key(collector: SocketAddr, more: &str) -> String {
    format!("tracing: {{ otlp: \"http://{collector}\"{more} }}\n")
}

/// The values of what is said of a trace.
fn told(seen: &Seen) -> Vec<(&str, &str)> {
    let names = ["traceparent", "tracestate", "x-amzn-trace-id"];
    let fields = seen.fields.iter();
    let fields = fields.map(|(name, value)| (&**name, &**value));
    fields.filter(|(name, _)| names.contains(name)).collect()
}

/// What an endpoint is told of the trace: its number, its parent and the flags.
fn parent(seen: &Seen) -> (String, String, String) {
    let parents: Vec<_> = told(seen);
    let parents = parents.iter().filter(|(name, _)| *name == "traceparent");
    let parents: Vec<_> = parents.collect();
    assert_eq!(parents.len(), 1, "{seen:?}");
    let (_, value) = parents[0];
    let parts: Vec<_> = value.split('-').map(str::to_owned).collect();
    assert_eq!(
        (parts.len(), &*parts[0], value.len()),
        (4, "00", 55),
        "{value}"
    );
    (parts[1].clone(), parts[2].clone(), parts[3].clone())
}

/// The span of the request, and those of its attempts in their order.
fn sorted(mut spans: Vec<Span>) -> (Span, Vec<Span>) {
    spans.sort_by_key(|span| (span.kind, span.start));
    let request = spans.remove(0);
    assert_eq!(request.kind, 2);
    for attempt in &spans {
        assert_eq!((attempt.kind, &attempt.trace), (3, &request.trace));
        assert_eq!(attempt.parent.as_ref(), Some(&request.id));
    }
    (request, spans)
}

/// What passes through if Serin has no part in traces.
fn sayings() -> Vec<Vec<(&'static str, String)>> {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    vec![
        vec![
            ("traceparent", parent.clone()),
            ("tracestate", "a=1,b@c=2".into()),
            ("x-amzn-trace-id", format!("Root={ROOT};Sampled=1")),
        ],
        vec![("traceparent", "00-nonsense".into())],
        vec![("traceparent", parent.clone()), ("traceparent", parent)],
        vec![("tracestate", "a=1".into()), ("tracestate", "b=2".into())],
        vec![("x-amzn-trace-id", "?".into())],
        vec![],
    ]
}

/// One of them as fields, and as the lines of a head.
fn both<'a>(saying: &'a [(&'static str, String)]) -> (Vec<(&'static str, &'a str)>, String) {
    let said: Vec<_> = saying.iter().map(|(name, it)| (*name, &**it)).collect();
    let lines = said.iter().map(|(name, it)| format!("{name}: {it}\r\n"));
    let lines = lines.collect::<Vec<_>>().concat();
    (said, lines)
}

#[tokio::test]
async fn what_clients_say_of_traces_passes_untouched_whatever_it_is() {
    let mut origin = Origin::saying("fine").await;
    let proxy = one_worker(&[origin.address], &[], 0, "");
    let mut client = Client::connect(proxy.address).await;
    let mut connection = Connection::connect(proxy.address).await;
    for saying in sayings() {
        let (said, lines) = both(&saying);
        assert_eq!(client.get("/", &lines).await.status, 200);
        assert_eq!(told(&origin.next().await), said);
        assert_eq!(connection.get("/", &said).await.status, 200);
        assert_eq!(told(&origin.next().await), said);
    }
}

#[tokio::test]
async fn what_clients_say_of_traces_reaches_an_endpoint_of_http2_untouched() {
    let mut origin = H2Origin::answering(|_| given("fine")).await;
    let config = edge("protocols: [h1]", "protocol: h2c", "");
    let proxy = Proxy::start(config, &[origin.address], &[], 0);
    let mut client = Client::connect(proxy.address).await;
    for saying in sayings() {
        let (said, lines) = both(&saying);
        assert_eq!(client.get("/", &lines).await.status, 200);
        assert_eq!(told(&origin.next().await), said);
    }
}

#[tokio::test]
async fn a_request_and_its_attempt_are_spans_between_the_clients_and_the_endpoints() {
    let mut collector = Collector::start().await;
    let mut origin = Origin::saying("fine").await;
    let more = key(collector.address(), ", sample: 0%");
    let proxy = one_worker(&[origin.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    let fields = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\ntracestate: a=1\r\n");
    client.get("/a/b?token=secret", &fields).await;
    let seen = origin.next().await;
    let state: Vec<_> = told(&seen)
        .into_iter()
        .filter(|it| it.0 == "tracestate")
        .collect();
    assert_eq!(state, [("tracestate", "a=1")]);
    let (trace, child_of, flags) = parent(&seen);
    assert_eq!((&*trace, &*flags), (TRACE, "01"));
    let (_, spans) = collector.next().await;
    let (request, attempts) = sorted(spans);
    assert_eq!(
        (&*request.trace, request.parent.as_deref()),
        (TRACE, Some(SPAN))
    );
    assert_eq!((&*request.name, request.is_error), ("GET", false));
    assert_eq!(request.flags, 0x301, "sampled, and its parent is elsewhere");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("url.path", "/a/b"),
        ("server.address", "a.test"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("serin.split", "shop"),
        ("serin.route", "default"),
        ("serin.version", "old"),
        ("serin.role", "stable"),
        ("serin.outcome", "success"),
        ("serin.request_id", seen.field("x-request-id").unwrap()),
    ] {
        assert_eq!(request.text(name), value, "{name}");
    }
    assert_eq!(request.attributes["serin.weight"], 0);
    assert_eq!(attempts.len(), 1);
    let attempt = &attempts[0];
    assert_eq!(attempt.id, child_of, "the endpoint's parent is the attempt");
    assert_eq!(attempt.flags, 0x101);
    let port = origin.address.port().to_string();
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
        ("server.port", &*port),
        ("url.full", "http://a.test/a/b"),
        ("serin.version", "old"),
        ("serin.outcome", "success"),
    ] {
        assert_eq!(attempt.text(name), value, "{name}");
    }
    assert!(request.start <= attempt.start && attempt.end <= request.end);
    assert!(!format!("{request:?}{attempt:?}").contains("secret"));
    assert_eq!(proxy.outlets.spans_dropped.get(), 0);
}

#[tokio::test]
async fn a_trace_begins_here_where_none_was_told_and_its_sample_decides() {
    for (share, flags) in [("0%", "00"), ("100%", "01")] {
        let mut collector = Collector::start().await;
        let mut origin = Origin::saying("fine").await;
        let more = key(collector.address(), &format!(", sample: {share}"));
        let proxy = one_worker(&[origin.address], &[], 0, &more);
        let mut client = Client::connect(proxy.address).await;
        let mut traces = Vec::new();
        for fields in ["", "traceparent: 00-nonsense\r\ntracestate: a=1\r\n"] {
            client.get("/", fields).await;
            let seen = origin.next().await;
            assert_eq!(told(&seen).len(), 1, "a state of no trace is dropped");
            let (trace, _, told) = parent(&seen);
            assert_eq!(told, flags);
            traces.push(trace);
        }
        assert_ne!(traces[0], traces[1]);
        proxy.end().await;
        let taken = collector.taken();
        let requests: Vec<_> = taken.into_iter().filter(|span| span.kind == 2).collect();
        let sent: Vec<_> = requests.iter().map(|span| span.trace.clone()).collect();
        assert_eq!(sent, if flags == "01" { traces } else { Vec::new() });
        assert!(requests.iter().all(|span| span.parent.is_none()));
    }
}

#[tokio::test]
async fn what_a_load_balancer_of_amazon_says_is_the_trace_and_passes_on() {
    let collector = Collector::start().await;
    let mut origin = Origin::saying("fine").await;
    let proxy = one_worker(&[origin.address], &[], 0, &key(collector.address(), ""));
    let mut connection = Connection::connect(proxy.address).await;
    let said = format!("Root={ROOT};Parent={SPAN};Sampled=1");
    connection.get("/", &[("x-amzn-trace-id", &said)]).await;
    let seen = origin.next().await;
    assert!(told(&seen).contains(&("x-amzn-trace-id", &*said)));
    let (trace, _, flags) = parent(&seen);
    assert_eq!((trace, &*flags), (ROOT[2..].replace('-', ""), "01"));
}

#[tokio::test]
async fn what_failed_at_the_canary_is_sent_unsampled_with_a_span_for_each_attempt() {
    for (more, count) in [("", 3), (", always_on_failure: false", 0)] {
        let mut collector = Collector::start().await;
        let mut stable = Origin::saying("fine").await;
        let canary =
            Origin::answering(|seen| answer(if seen.path() == "/bad" { 503 } else { 200 }, ""));
        let mut canary = canary.await;
        let more = key(collector.address(), &format!(", sample: 0%{more}"));
        let proxy = one_worker(&[stable.address], &[canary.address], 100, &more);
        let mut client = Client::connect(proxy.address).await;
        client.get("/good", "").await;
        canary.next().await;
        assert_eq!(client.get("/bad", "").await.text(), "fine");
        proxy.end().await;
        let spans = collector.taken();
        assert_eq!(spans.len(), count);
        if count == 0 {
            continue;
        }
        let (request, attempts) = sorted(spans);
        assert_eq!(request.text("url.path"), "/bad");
        assert_eq!(
            request.text("serin.outcome"),
            "success",
            "its client was spared"
        );
        assert_eq!(request.attributes["serin.rescued"], true);
        assert_eq!(request.attributes["serin.weight"], 1);
        let seen = [canary.next().await, stable.next().await];
        assert_eq!(attempts.len(), 2);
        let (failed, rescue) = (&attempts[0], &attempts[1]);
        for (attempt, seen) in attempts.iter().zip(&seen) {
            let (trace, child_of, flags) = parent(seen);
            assert_eq!(
                (trace, child_of),
                (attempt.trace.clone(), attempt.id.clone())
            );
            assert_eq!(flags, "00");
        }
        for (name, value) in [
            ("serin.version", "new"),
            ("serin.role", "canary"),
            ("serin.outcome", "failure"),
            ("error.type", "503"),
            ("http.response.status_code", "503"),
        ] {
            assert_eq!(failed.text(name), value, "{name}");
        }
        assert!(failed.is_error && !rescue.is_error && !request.is_error);
        for (name, value) in [
            ("serin.version", "old"),
            ("serin.outcome", "success"),
            ("serin.why", "rescue"),
            ("http.request.resend_count", "1"),
        ] {
            assert_eq!(rescue.text(name), value, "{name}");
        }
    }
}

#[tokio::test]
async fn a_canary_that_is_not_there_is_an_attempt_without_an_answer() {
    let mut collector = Collector::start().await;
    let stable = Origin::saying("fine").await;
    let dead = nowhere().await;
    let proxy = one_worker(
        &[stable.address],
        &[dead],
        100,
        &key(collector.address(), ""),
    );
    Client::connect(proxy.address).await.get("/", "").await;
    let (_, spans) = collector.next().await;
    let (_, attempts) = sorted(spans);
    let first = &attempts[0];
    assert_eq!(first.text("error.type"), "connect_refused");
    assert_eq!(first.text("serin.reason"), "connect_refused");
    assert_eq!(first.text("server.port"), dead.port().to_string());
    assert_eq!(attempts[1].text("serin.why"), "fallback");
}

#[tokio::test]
async fn two_attempts_at_once_are_two_spans_and_each_endpoint_has_its_own_parent() {
    let mut collector = Collector::start().await;
    let (tell, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let slow = Origin::doing(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = Vec::new();
            if let Some(seen) = request(&mut stream, &mut buffer).await {
                let _heard = tell.send(seen);
                // Until its client has had enough.
                let mut byte = [0];
                let _left = stream.read(&mut byte).await;
            }
        }
    });
    let (slow, mut quick) = (slow.await, Origin::saying("fine").await);
    let split = "    hedge: { after: 20ms, budget: 100% }\n";
    let more = format!("{split}{}", key(collector.address(), ", sample: 100%"));
    let proxy = one_worker(&[slow.address, quick.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    // Until one has gone to the slow endpoint first.
    let at_slow = loop {
        assert_eq!(client.get("/", "").await.text(), "fine");
        if let Ok(seen) = heads.try_recv() {
            break seen;
        }
        quick.next().await;
    };
    let at_quick = quick.next().await;
    proxy.end().await;
    let (trace, ..) = parent(&at_slow);
    let spans = collector.taken().into_iter().filter(|it| it.trace == trace);
    let (_, attempts) = sorted(spans.collect());
    let ids: Vec<_> = attempts.iter().map(|it| it.id.clone()).collect();
    assert_eq!(ids, [parent(&at_slow).1, parent(&at_quick).1]);
    assert_eq!(attempts[0].text("serin.outcome"), "ignored");
    assert_eq!(attempts[1].text("serin.why"), "hedge");
    assert_eq!(attempts[1].text("serin.outcome"), "success");
}

#[tokio::test]
async fn a_collector_gets_the_fields_that_a_file_names_as_it_is_by_then() {
    let mut collector = Collector::start().await;
    let origin = Origin::saying("fine").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    write(
        &path,
        "# for the collector\nX-Token: one\n\nx-tenant:  shop \n",
    );
    let file = format!(
        ", sample: 100%, service_name: edge, headers_file: \"{}\"",
        path.display()
    );
    let proxy = one_worker(&[origin.address], &[], 0, &key(collector.address(), &file));
    let mut client = Client::connect(proxy.address).await;
    client.get("/", "").await;
    let (seen, _) = collector.next().await;
    assert_eq!(seen.field("x-token"), Some("one"));
    assert_eq!(seen.field("x-tenant"), Some("shop"));
    let body = String::from_utf8(seen.body).unwrap();
    assert!(
        body.contains(r#""service.name","value":{"stringValue":"edge"}"#),
        "{body}"
    );
    write(&path, "X-Token: two\n");
    client.get("/", "").await;
    let (seen, _) = collector.next().await;
    assert_eq!(seen.field("x-token"), Some("two"));
}

#[expect(clippy::disallowed_methods, reason = "a test writes its own files")]
fn write(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// Sends requests that must all be answered; spans that were sent and lost by the end.
async fn beside(collector: SocketAddr) -> (u64, u64) {
    let origin = Origin::saying("fine").await;
    let more = key(collector, ", sample: 100%");
    let proxy = one_worker(&[origin.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..50 {
        assert_eq!(client.get("/", "").await.text(), "fine");
    }
    let outlets = proxy.outlets.clone();
    proxy.end().await;
    (outlets.spans_exported.get(), outlets.spans_dropped.get())
}

#[tokio::test]
async fn a_collector_that_is_dead_or_talks_nonsense_changes_no_request_and_losses_are_counted() {
    assert_eq!(beside(nowhere().await).await, (0, 100), "dead");
    let nonsense = Origin::doing(|mut stream| async move {
        let mut bytes = [0; 4_096];
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {
            if stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.is_err() {
                return;
            }
        }
    });
    assert_eq!(beside(nonsense.await.address).await, (0, 100), "nonsense");
    for (given, expected) in [
        (answer(503, "later"), (0, 100)),
        (answer(404, ""), (0, 100)),
        (answer(200, "what?"), (100, 0)),
        (
            answer(200, r#"{"partialSuccess":{"rejectedSpans":"1000"}}"#),
            (0, 100),
        ),
    ] {
        let text = String::from_utf8(given.clone()).unwrap();
        let collector = Collector::answering(given).await;
        assert_eq!(beside(collector.address()).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_collector_that_is_stuck_changes_no_request_and_the_queue_has_an_end() {
    let stuck = Origin::doing(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    });
    let stuck = stuck.await;
    let origin = Origin::saying("fine").await;
    let more = key(stuck.address, ", sample: 100%");
    let proxy = one_worker(&[origin.address], &[], 0, &more);
    let mut client = Client::connect(proxy.address).await;
    let target = format!("/{}", "x".repeat(6_000));
    // Two spans of each have more bytes than its target twice: more than the queue holds.
    for _ in 0..1_500 {
        assert_eq!(client.get(&target, "").await.status, 200);
    }
    assert!(proxy.outlets.spans_dropped.get() > 0);
    assert_eq!(proxy.outlets.spans_exported.get(), 0);
}

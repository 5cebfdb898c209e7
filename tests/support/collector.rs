//! A collector of spans that takes nothing that is not exactly as OTLP has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use serde_json::Value;

use super::origin::{Origin, Seen, answer};

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub name: String,
    /// 2: of a server, 3: of a client.
    pub kind: u64,
    pub flags: u64,
    pub start: u64,
    pub end: u64,
    pub is_error: bool,
    pub attributes: BTreeMap<String, Value>,
}

impl Span {
    /// An attribute that is a text, or a number as one.
    pub fn text(&self, key: &str) -> &str {
        self.attributes
            .get(key)
            .map_or("", |it| it.as_str().unwrap())
    }
}

/// A collector on a port of its own.
#[derive(Debug)]
pub struct Collector(Origin);

impl Collector {
    /// One that takes all.
    pub async fn start() -> Self {
        Self::answering(answer(200, "{}")).await
    }

    /// One that answers this.
    pub async fn answering(answer: Vec<u8>) -> Self {
        Self(Origin::answering(move |_| answer.clone()).await)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What came in the next request, and its spans.
    pub async fn next(&mut self) -> (Seen, Vec<Span>) {
        let seen = self.0.next().await;
        let spans = read(&seen);
        (seen, spans)
    }

    /// All spans that have come.
    pub fn taken(&mut self) -> Vec<Span> {
        let requests = std::iter::from_fn(|| self.0.try_next());
        requests.flat_map(|seen| read(&seen)).collect()
    }
}

/// The spans of a request to a collector.
fn read(seen: &Seen) -> Vec<Span> {
    assert_eq!(seen.line, "POST /v1/traces HTTP/1.1");
    assert_eq!(seen.field("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let [resource] = only(&body, ["resourceSpans"]);
    let [resource] = list(resource)[..] else {
        panic!("{body}");
    };
    let [about, scopes] = only(resource, ["resource", "scopeSpans"]);
    let [about] = only(about, ["attributes"]);
    let about = attributes(about);
    assert!(about.contains_key("service.name"), "{about:?}");
    let [scope] = list(scopes)[..] else {
        panic!("{body}");
    };
    let [scope, spans] = only(scope, ["scope", "spans"]);
    let [name, _version] = only(scope, ["name", "version"]);
    assert_eq!(name, "serin");
    list(spans).into_iter().map(span).collect()
}

fn span(span: &Value) -> Span {
    const MUST: [&str; 8] = [
        "traceId",
        "spanId",
        "flags",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
    ];
    let fields = span.as_object().unwrap();
    let known: BTreeSet<_> = MUST.into_iter().chain(["parentSpanId", "status"]).collect();
    assert!(fields.keys().all(|it| known.contains(&**it)), "{span}");
    assert!(MUST.iter().all(|it| fields.contains_key(*it)), "{span}");
    let nanos = |name: &str| span[name].as_str().unwrap().parse().unwrap();
    let status = &span["status"];
    assert!(
        status.is_null() || *status == serde_json::json!({ "code": 2 }),
        "{span}"
    );
    let read = Span {
        trace: digits(&span["traceId"], 32),
        id: digits(&span["spanId"], 16),
        parent: span.get("parentSpanId").map(|parent| digits(parent, 16)),
        name: span["name"].as_str().unwrap().to_owned(),
        kind: span["kind"].as_u64().unwrap(),
        flags: span["flags"].as_u64().unwrap(),
        start: nanos("startTimeUnixNano"),
        end: nanos("endTimeUnixNano"),
        is_error: !status.is_null(),
        attributes: attributes(&span["attributes"]),
    };
    assert!(read.start <= read.end, "{span}");
    read
}

/// The values of an object that has these fields and no other.
fn only<'a, const N: usize>(object: &'a Value, names: [&str; N]) -> [&'a Value; N] {
    assert_eq!(object.as_object().unwrap().len(), N, "{object}");
    names.map(|name| object.get(name).unwrap())
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().unwrap().iter().collect()
}

fn digits(value: &Value, length: usize) -> String {
    let text = value.as_str().unwrap();
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(text.len() == length && text.chars().all(is_digit), "{text}");
    assert!(text.chars().any(|c| c != '0'), "{text}");
    text.to_owned()
}

fn attributes(value: &Value) -> BTreeMap<String, Value> {
    let mut read = BTreeMap::new();
    for attribute in list(value) {
        let [key, value] = only(attribute, ["key", "value"]);
        let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
        let fits = match kind.as_str() {
            "stringValue" => value.is_string(),
            // Whole numbers of 64 bits are texts in the JSON of Protobuf.
            "intValue" => value.as_str().is_some_and(|it| it.parse::<i64>().is_ok()),
            "doubleValue" => value.is_number(),
            "boolValue" => value.is_boolean(),
            _ => false,
        };
        assert!(fits, "{attribute}");
        let key = key.as_str().unwrap().to_owned();
        assert!(
            read.insert(key, value.clone()).is_none(),
            "twice: {attribute}"
        );
    }
    read
}

//! Short forms: what can be written in one word stands for a whole block.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value as Json, json};

use super::{
    CookieName, DnsBlock, DomainName, EndpointBlock, HeaderName, ListedBlock, Node, Placed, Shape,
    StepBlock, Walk, http::is_host, rollout::PauseBlock, split::CookieBlock,
};
use crate::{
    config::{
        StaticEndpoint,
        leaf::Text,
        tree::Value,
        units::{self, Misfit},
        walk::scalar,
    },
    model::{VersionKey, Zone},
};

pub(super) fn any_of(forms: &[Json]) -> Json {
    json!({ "anyOf": forms })
}

fn is_scalar(node: &Node) -> bool {
    matches!(node.value, Value::Scalar { .. })
}

/// What a scalar says.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        Value::Null | Value::Broken | Value::List(_) | Value::Map(_) => None,
    }
}

/// `host:port`, `[::1]:port`.
fn host_and_port(text: &str) -> Result<(String, u16), Misfit> {
    let misfit = || {
        Misfit::new(
            "bad_address",
            format!("`{text}` is not a host and a port"),
            "write `10.0.0.1:8080`, `app.internal:8080` or `[::1]:8080`",
        )
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        let port = Some(address.port())
            .filter(|port| *port > 0)
            .ok_or_else(misfit)?;
        return Ok((address.ip().to_string(), port));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(misfit)?;
    let port = port
        .parse()
        .ok()
        .filter(|port: &u16| *port > 0)
        .ok_or_else(misfit)?;
    if is_host(host) {
        Ok((host.to_ascii_lowercase(), port))
    } else {
        Err(misfit())
    }
}

/// `"host:port"`, `{ address, weight, zone }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct EndpointForm(pub StaticEndpoint);

impl Shape for EndpointForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if is_scalar(node) {
            return bare(node, walk).map(Self);
        }
        let block = EndpointBlock::read(node, walk)?;
        let endpoint = addressed(block.address?, walk)?;
        Some(Self(StaticEndpoint {
            weight: u32::try_from(block.weight?.value.0).ok()?,
            zone: block.zone.map(|at| Zone::new(&at.value.0)),
            ..endpoint
        }))
    }

    fn describe() -> Json {
        any_of(&[json!({ "type": "string" }), EndpointBlock::describe()])
    }
}

/// An endpoint in one word.
fn bare(node: &Node, walk: &mut Walk) -> Option<StaticEndpoint> {
    let expects = "an endpoint such as `10.0.0.1:8080`";
    let (host, port) = scalar(node, walk, expects, host_and_port)?;
    Some(StaticEndpoint::new(&host, port))
}

fn addressed(address: Placed<Text>, walk: &mut Walk) -> Option<StaticEndpoint> {
    let Text(text) = address.value;
    let parsed = host_and_port(&text).map_err(|misfit| walk.note(address.at, misfit, false));
    let (host, port) = parsed.ok()?;
    Some(StaticEndpoint::new(&host, port))
}

/// `"host:port"`, `{ address, weight, zone, version, health, draining }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct ListedForm(pub StaticEndpoint);

impl Shape for ListedForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if is_scalar(node) {
            return bare(node, walk).map(Self);
        }
        let block = ListedBlock::read(node, walk)?;
        let endpoint = addressed(block.address?, walk)?;
        Some(Self(StaticEndpoint {
            weight: u32::try_from(block.weight?.value.0).ok()?,
            zone: block.zone.map(|at| Zone::new(&at.value.0)),
            version: block.version.map(|at| VersionKey::new(&at.value.0)),
            health: block.health?.value,
            draining: block.draining?.value,
            ..endpoint
        }))
    }

    fn describe() -> Json {
        any_of(&[json!({ "type": "string" }), ListedBlock::describe()])
    }
}

/// A file of endpoints.
#[derive(Debug)]
pub(in crate::config) struct EndpointList(pub Vec<StaticEndpoint>);

impl Shape for EndpointList {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let list = Vec::<Placed<ListedForm>>::read(node, walk)?;
        Some(Self(list.into_iter().map(|at| at.value.0).collect()))
    }

    fn describe() -> Json {
        Vec::<Placed<ListedForm>>::describe()
    }
}

/// `dns: "name:port"`, `dns: { name, port, min_ttl, max_ttl }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct DnsForm(pub DnsBlock);

impl Shape for DnsForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if !is_scalar(node) {
            return DnsBlock::read(node, walk).map(Self);
        }
        let (name, port) = scalar(node, walk, "a name and a port", host_and_port)?;
        let mut block = DnsBlock::read(&Node::empty(node.at), &mut Walk::default())?;
        block.name = Some(Placed::written(DomainName(name), node.place()));
        let port = super::Port::of(port);
        block.port = Some(Placed::written(port, node.place()));
        Some(Self(block))
    }

    fn describe() -> Json {
        any_of(&[json!({ "type": "string" }), DnsBlock::describe()])
    }
}

/// `cookie: name`, `cookie: { name, max_age, ... }`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct CookieForm(pub CookieBlock);

impl Shape for CookieForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if !is_scalar(node) {
            return CookieBlock::read(node, walk).map(Self);
        }
        let value = CookieName::read(node, walk)?;
        let mut block = CookieBlock::read(&Node::empty(node.at), walk)?;
        block.name = Some(Placed::written(value, node.place()));
        Some(Self(block))
    }

    fn describe() -> Json {
        any_of(&[CookieName::describe(), CookieBlock::describe()])
    }
}

/// `cookie:NAME`, `header:NAME`, `client_ip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Key(pub crate::config::KeySource);

impl Shape for Key {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        use crate::config::KeySource::{ClientIp, Cookie, Header};
        let expects = "`cookie:NAME`, `header:NAME` or `client_ip`";
        if text(node).is_some_and(|text| text.starts_with("jwt:")) {
            walk.not_yet(node.at, "jwt:");
            return None;
        }
        scalar(node, walk, expects, |text| match text.split_once(':') {
            None if text == "client_ip" => Ok(Self(ClientIp)),
            Some(("cookie", name)) => CookieName::parse(name.trim()).map(|n| Self(Cookie(n.0))),
            Some(("header", name)) => HeaderName::parse(name.trim()).map(|n| Self(Header(n.0))),
            _ => Err(Misfit::value(text, expects)),
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^(client_ip|cookie:.+|header:.+)$" })
    }
}

/// One step: exactly one key.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct StepForm(pub StepBlock);

impl Shape for StepForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let block = StepBlock::read(node, walk)?;
        if let Value::Map(entries) = &node.value
            && entries.len() != 1
            && !walk.is_partial
        {
            let message = format!("a step has one key, this one has {}", entries.len());
            walk.error(
                node.at,
                "bad_step",
                message,
                "put each in a `- ` of its own",
            );
        }
        Some(Self(block))
    }

    fn describe() -> Json {
        let mut schema = StepBlock::describe();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("minProperties".into(), 1.into());
            schema.insert("maxProperties".into(), 1.into());
        }
        schema
    }
}

/// `pause: 10m`, `pause: {}`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct Pause(pub Option<Duration>);

impl Shape for Pause {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if is_scalar(node) {
            return Duration::read(node, walk).map(|long| Self(Some(long)));
        }
        let block = PauseBlock::read(node, walk)?;
        Some(Self(block.duration.map(|at| at.value)))
    }

    fn describe() -> Json {
        any_of(&[Duration::describe(), PauseBlock::describe()])
    }
}

/// Header fields and their values: `{ x-beta: "1", x-any: }` or `[{ name, value }]`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct Fields(pub Vec<(HeaderName, Option<String>)>);

impl Shape for Fields {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            walk.wrong_kind(node, "a mapping from field names to values");
            return None;
        };
        let mut fields = Vec::new();
        for entry in entries {
            let name = HeaderName::parse(&entry.key);
            let name = name
                .map_err(|misfit| walk.note(entry.at, misfit, false))
                .ok();
            let is_any = matches!(entry.value.value, Value::Null);
            let value = if is_any {
                None
            } else {
                Some(Text::read(&entry.value, walk))
            };
            match (name, value) {
                (Some(name), None) => fields.push((name, None)),
                (Some(name), Some(Some(Text(value)))) => fields.push((name, Some(value))),
                (None, _) | (_, Some(None)) => {}
            }
        }
        Some(Self(fields))
    }

    fn describe() -> Json {
        json!({ "type": "object", "additionalProperties": { "type": ["string", "null"] } })
    }
}

/// `max_age: 1d`, `max_age: session`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct MaxAge(pub Option<Duration>);

impl Shape for MaxAge {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if text(node) == Some("session") {
            return Some(Self(None));
        }
        let at_least = |text: &str| {
            let long = units::duration(text)?;
            let message = "a cookie lives for whole seconds, at least one".to_owned();
            let short = || Misfit::new("out_of_range", message, "write `session` or `1d`");
            if long.as_secs() == 0 {
                Err(short())
            } else {
                Ok(Self(Some(long)))
            }
        };
        scalar(
            node,
            walk,
            "a duration such as `1d`, or `session`",
            at_least,
        )
    }

    fn describe() -> Json {
        any_of(&[json!({ "const": "session" }), Duration::describe()])
    }
}

/// `warm_up: 30s`; `age_matched` comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct WarmUp(pub Duration);

impl Shape for WarmUp {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        if text(node) == Some("age_matched") {
            walk.not_yet(node.at, "age_matched");
            return None;
        }
        scalar(node, walk, "a duration such as `30s`", |text| {
            units::duration(text).map(Self)
        })
    }

    fn describe() -> Json {
        crate::config::leaf::OrZero::describe()
    }
}

//! Endpoints that Amazon knows: tasks of a service of ECS, instances of a service of Cloud Map.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Node, Optional, Placed, Port, Required, Shape, Text, Walk, block,
    describe_block,
};
use crate::config::{Deployment, leaf::SecretFile, tree::Value, units::Misfit, walk::scalar};

/// Others share the API's rate.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

block! {
    /// The tasks of a service of Amazon ECS.
    struct EcsBlock {
        /// The cluster: its name or its ARN.
        cluster: Text = Required,
        /// The service: its name or its ARN.
        service: Text = Required,
        /// The port that the container listens on. Where it has another one on its host, that one
        /// is found.
        port: Port = Required,
        /// The container whose port and health count. Without it: the one that has the port.
        container: Text = Optional,
        /// Tasks of this deployment or task set only: `primary` or `active`, as ECS calls them (one
        /// stands in for the other while there is no deployment), or an id such as `ecs-svc/123`.
        deployment: Deployment = Optional,
        /// Tasks of this task definition only: `family:revision`, a family, or an ARN.
        task_definition: Text = Optional,
        /// The region. Without it: `AWS_REGION`, else `AWS_DEFAULT_REGION`, else where the
        /// instance is.
        region: Region = Optional,
        /// Where the API is asked. Without it: `AWS_ENDPOINT_URL_ECS` and `AWS_ENDPOINT_URL_EC2`,
        /// else `AWS_ENDPOINT_URL`, else the region's address.
        endpoint: ApiUrl = Optional,
        /// A file with a key in the form of `~/.aws/credentials`, profile `default`; read again
        /// each minute. Without it: the environment, else the task's role, else the instance's.
        credentials_file: SecretFile = Optional,
        /// The time between two questions.
        interval: PollInterval = Default("5s"),
    } later []
}

block! {
    /// The instances of a service of AWS Cloud Map.
    struct CloudMapBlock {
        /// The namespace, by name.
        namespace: Text = Required,
        /// The service, by name.
        service: Text = Required,
        /// The port of instances that are registered without one.
        port: Port = Optional,
        /// Instances with these attributes only: `{ version: "2" }`.
        attributes: Attributes = Optional,
        /// The attribute that tells a new release from an old one.
        version_attribute: Text = Default("ECS_TASK_DEFINITION_FAMILY"),
        /// The region. Without it: `AWS_REGION`, else `AWS_DEFAULT_REGION`, else where the
        /// instance is.
        region: Region = Optional,
        /// Where the API is asked. Without it: `AWS_ENDPOINT_URL_SERVICEDISCOVERY`, else
        /// `AWS_ENDPOINT_URL`, else the region's address.
        endpoint: ApiUrl = Optional,
        /// A file with a key in the form of `~/.aws/credentials`, profile `default`; read again
        /// each minute. Without it: the environment, else the task's role, else the instance's.
        credentials_file: SecretFile = Optional,
        /// The time between two questions.
        interval: PollInterval = Default("5s"),
    } later []
}

impl Shape for Deployment {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Text(text) = Text::read(node, walk)?;
        Some(match text.as_str() {
            "primary" => Self::Primary,
            "active" => Self::Active,
            _ => Self::Id(text),
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "examples": ["primary", "active", "ecs-svc/123456789"] })
    }
}

/// The name of a region: it becomes a part of a host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Region(pub String);

impl Shape for Region {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let expects = "a region such as `eu-west-1`";
        scalar(node, walk, expects, |text| {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if text.is_empty() || text.len() > 32 || !text.chars().all(is_plain) {
                return Err(Misfit::value(text, expects));
            }
            Ok(Self(text.to_owned()))
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$" })
    }
}

/// Where an API is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ApiUrl(pub String);

impl Shape for ApiUrl {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let expects = "an address such as `https://vpce-1.ecs.eu-west-1.vpce.amazonaws.com`";
        scalar(node, walk, expects, |text| {
            let misfit = || Misfit::value(text, expects);
            let uri: ::http::Uri = text.parse().map_err(|_| misfit())?;
            let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
            let authority = uri.authority().filter(|_| is_web).ok_or_else(misfit)?;
            let host_is_odd = authority.host().is_empty() || authority.as_str().contains('@');
            let is_root = uri.path() == "/" && uri.query().is_none();
            if host_is_odd || authority.as_str().ends_with(':') || !is_root {
                return Err(misfit());
            }
            Ok(Self(text.trim_end_matches('/').to_owned()))
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^https?://[^/@]+/?$" })
    }
}

/// A time between two questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct PollInterval(pub Duration);

impl Shape for PollInterval {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let long = Duration::read(node, walk)?;
        if long < INTERVAL_MIN {
            let message = "this is too often for an API whose rate the whole account shares";
            walk.error(node.at, "out_of_range", message, "write `100ms` or more");
            return None;
        }
        Some(Self(long))
    }

    fn describe() -> Json {
        Duration::describe()
    }
}

/// Attributes and their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Attributes(pub BTreeMap<String, String>);

impl Shape for Attributes {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            walk.wrong_kind(node, "a mapping from attributes to values");
            return None;
        };
        let read = entries.iter().map(|entry| {
            let Text(value) = Text::read(&entry.value, walk)?;
            Some((entry.key.clone(), value))
        });
        let all: Vec<_> = read.collect();
        all.into_iter().collect::<Option<_>>().map(Self)
    }

    fn describe() -> Json {
        json!({ "type": "object", "additionalProperties": Text::describe() })
    }
}

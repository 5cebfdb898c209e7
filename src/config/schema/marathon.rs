//! The keys of `marathon`.

use serde_json::{Value as Json, json};

use super::{
    Default, Interval, KeyInfo, Node, Optional, Placed, Port, Required, Shape, Walk, block,
    describe_block, http::server, word, words,
};
use crate::config::{
    LabelRule, TaskHalf,
    collection::Several,
    leaf::{Count, SecretFile, Text},
    units::Misfit,
    walk::scalar,
};

block! {
    /// Tasks of Marathon apps. `app`, `label` or both say which apps.
    struct MarathonBlock {
        /// Where Marathon is, or a list of its masters: `"http://master.mesos:8080"`. Any of them
        /// answers; one that does not is put aside for a while.
        url: Several<ServerUrl> = Required,
        /// The id of an app, or a list of them.
        app: Several<AppId> = Optional,
        /// What an app's labels must say: `"tier==web"`, `"canary"`, `"stage!=test"`, several
        /// joined by commas.
        label: LabelSelector = Optional,
        /// Which port of a task, counted from 0. Without it and `port_name`: the first that is not
        /// UDP.
        port_index: Count<0, 255> = Optional,
        /// Which port of a task, by its name in the app.
        port_name: Text = Optional,
        /// The number of the port, for tasks with addresses of their own whose app names no ports.
        port: Port = Optional,
        /// Which tasks while a deployment replaces them: `all`; `old`, those of the configuration
        /// before; `new`, those of the present one. Where there is nothing to tell apart, `old` and
        /// `new` are all.
        tasks: TaskHalf = Default("all"),
        /// Whether tasks that a deployment has not found ready yet are left out.
        ready_only: bool = Default("true"),
        /// How changes are heard of at once: `sse`, the stream of events; or `none`, by asking
        /// only.
        events: Events = Default("sse"),
        /// The longest time between two questions, with or without events.
        interval: Interval = Default("10s"),
        /// A file with the authorities (PEM) that sign the masters' certificates. Without it: those
        /// that the system trusts.
        ca: SecretFile = Optional,
        /// Who asks. Without it: nobody in particular.
        auth: MarathonAuthBlock = Optional,
    } later []
}

block! {
    /// Who asks a master: `username` and `password_file`, or `service_account_file`.
    struct MarathonAuthBlock {
        /// The user of HTTP basic authentication.
        username: Text = Optional,
        /// A file with the user's password.
        password_file: SecretFile = Optional,
        /// A file with a service account of DC/OS, in JSON as DC/OS keeps it: `uid`, `private_key`
        /// and `login_endpoint`.
        service_account_file: SecretFile = Optional,
    } later []
}

/// How changes are heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Events {
    Sse,
    None,
}

words!(Events { "sse" => Self::Sse, "none" => Self::None, } later []);
words!(TaskHalf { "all" => Self::All, "old" => Self::Old, "new" => Self::New, } later []);

/// Where a server of the rim is: scheme, host, port and perhaps a path, without a `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ServerUrl(pub String);

impl ServerUrl {
    fn parse(text: &str) -> Result<Self, Misfit> {
        let expects = "an address such as `http://master.mesos:8080`";
        let say_who = "write `auth: { username: NAME, password_file: PATH }`";
        let text = server(text, expects, say_who)?;
        Ok(Self(text.to_owned()))
    }
}

impl Shape for ServerUrl {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "the address of a server", Self::parse)
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^https?://" })
    }
}

/// The id of an app, from its root: `/shop/web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AppId(pub String);

impl Shape for AppId {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "the id of an app", |text| {
            let part = |part: &str| {
                let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
                let fits = part.bytes().all(|b| letter(b) || b == b'-' || b == b'.');
                fits && !part.is_empty()
            };
            let inner = text.strip_prefix('/');
            match inner {
                Some(inner) if inner.split('/').all(part) => Ok(Self(text.to_owned())),
                Some(_) => Err(Misfit::value(text, "the id of an app")),
                None => {
                    let message = format!("`{text}` is not the whole id of an app");
                    let help = format!("write it from the root: `/{text}`");
                    Err(Misfit::new("bad_value", message, &help))
                }
            }
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^(/[a-z0-9.-]+)+$" })
    }
}

/// `tier==web,canary,stage!=test`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct LabelSelector(pub Vec<LabelRule>);

impl Shape for LabelSelector {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "what labels must say", |text| {
            let rules: Option<Vec<_>> = text.split(',').map(rule).collect();
            let misfit = || Misfit::value(text, "a selector such as `tier==web,stage!=test`");
            rules.map(Self).ok_or_else(misfit)
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "examples": ["tier==web", "tier==web,stage!=test"] })
    }
}

fn rule(text: &str) -> Option<LabelRule> {
    let (name, value, is_negated) = match (text.split_once("!="), text.split_once("==")) {
        (Some((name, value)), _) => (name, Some(value), true),
        (None, Some((name, value))) => (name, Some(value), false),
        (None, None) => (text, None, false),
    };
    let word = |text: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
        let fits = !text.is_empty() && text.bytes().all(letter);
        fits.then(|| text.to_owned())
    };
    Some(LabelRule {
        name: word(name.trim())?,
        value: match value {
            Some(value) => Some(word(value.trim())?),
            None => None,
        },
        is_negated,
    })
}

//! An answer of `/v2/apps`, read as far as endpoints need it.
//!
//! Clusters answer with tens of megabytes, so that one app at a time is held as a tree. What is
//! absent has its meaning (`tasks.rs`); what is there and of another type than Marathon's makes the
//! whole answer malformed: half of a garbled answer is worse than the last good one.

use std::{collections::HashMap, fmt};

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::ports::Ports;
use crate::config::LabelRule;

/// Which apps are wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Their ids; empty: all that the labels take.
    pub(super) apps: Vec<String>,
    /// What their labels must say.
    pub(super) labels: Vec<LabelRule>,
}

/// An app and its tasks.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    /// How many tasks there should be.
    pub(super) instances: u64,
    /// Its health is checked by somebody.
    pub(super) has_checks: bool,
    /// Its tasks are asked whether they are ready.
    pub(super) has_readiness: bool,
    /// A deployment is under way.
    pub(super) is_deploying: bool,
    /// Since when its configuration is what it is, as Marathon writes times.
    pub(super) current: Option<String>,
    /// Where its tasks listen.
    pub(super) ports: Ports,
    /// Which tasks are ready, by their ids.
    pub(super) ready: HashMap<String, bool>,
    pub(super) tasks: Vec<Task>,
}

/// A task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: String,
    /// Its agent's name or address.
    pub(super) host: String,
    pub(super) state: State,
    /// The agent's ports that it was given.
    pub(super) ports: Vec<u16>,
    /// Addresses of its own.
    pub(super) addresses: Vec<String>,
    /// What each health check last said.
    pub(super) alive: Vec<bool>,
    /// The app's version that it was started with, as Marathon writes times.
    pub(super) version: Option<String>,
    pub(super) zone: Option<String>,
}

/// What becomes of a task in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It runs.
    Running,
    /// Its agent is cut off; it may serve on.
    Unreachable,
    /// It is being killed.
    Killing,
    /// It does not serve: not yet, or no more.
    Absent,
}

/// Reads the apps that are wanted. The error says where, and what was expected there.
pub(super) fn read(answer: &[u8], wanted: &Wanted) -> Result<Vec<App>, String> {
    let mut reader = serde_json::Deserializer::from_slice(answer);
    let apps = reader
        .deserialize_map(Answer(wanted))
        .map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    apps.ok_or_else(|| "there is no `apps` in the answer".to_owned())
}

/// `{"apps": [...]}`.
struct Answer<'a>(&'a Wanted);

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = Option<Vec<App>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `apps`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut apps = None;
        while let Some(key) = entries.next_key::<String>()? {
            if key == "apps" {
                apps = Some(entries.next_value_seed(Apps(self.0))?);
            } else {
                let IgnoredAny = entries.next_value()?;
            }
        }
        Ok(apps)
    }
}

struct Apps<'a>(&'a Wanted);

impl<'de> DeserializeSeed<'de> for Apps<'_> {
    type Value = Vec<App>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Vec<App>, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Apps<'_> {
    type Value = Vec<App>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of apps")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<App>, A::Error> {
        let mut apps = Vec::new();
        while let Some(app) = list.next_element::<Value>()? {
            let app = App::read(&app, self.0).map_err(serde::de::Error::custom)?;
            apps.extend(app);
        }
        Ok(apps)
    }
}

impl App {
    /// `None`: it is not wanted.
    fn read(app: &Value, wanted: &Wanted) -> Result<Option<Self>, String> {
        let id = text(app, "id")?.ok_or("an app has no `id`")?;
        let is_named = wanted.apps.is_empty() || wanted.apps.iter().any(|known| known == id);
        if !is_named {
            return Ok(None);
        }
        let within = |error: String| format!("app `{}`: {error}", shown(id));
        if !has_labels(app, &wanted.labels).map_err(within)? {
            return Ok(None);
        }
        Self::known(id, app).map(Some).map_err(within)
    }

    fn known(id: &str, app: &Value) -> Result<Self, String> {
        let tasks = list(app, "tasks")?.ok_or("there is no `tasks`")?;
        let changed = match app.get("versionInfo") {
            None | Some(Value::Null) => None,
            Some(info) => text(info, "lastConfigChangeAt")?,
        };
        let current = changed.or(text(app, "version")?);
        let has = |key| list(app, key).map(|list| list.is_some_and(|list| !list.is_empty()));
        Ok(Self {
            id: id.to_owned(),
            instances: number(app, "instances")?.unwrap_or(0),
            has_checks: has("healthChecks")?,
            has_readiness: has("readinessChecks")?,
            is_deploying: has("deployments")?,
            current: current.map(str::to_owned),
            ports: Ports::read(app)?,
            ready: readiness(app)?,
            tasks: tasks.iter().map(Task::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Task {
    fn read(task: &Value) -> Result<Self, String> {
        let id = text(task, "id")?.ok_or("a task has no `id`")?;
        Self::known(id, task).map_err(|error| format!("task `{}`: {error}", shown(id)))
    }

    fn known(id: &str, task: &Value) -> Result<Self, String> {
        let alive = |result: &Value| match result.get("alive") {
            Some(Value::Bool(alive)) => Ok(*alive),
            _ => Err("a health check's `alive` is not true or false".to_owned()),
        };
        let address = |address: &Value| text(address, "ipAddress").map(|ip| ip.map(str::to_owned));
        let addresses = each(task, "ipAddresses", address)?;
        Ok(Self {
            id: id.to_owned(),
            host: text(task, "host")?.unwrap_or_default().to_owned(),
            state: match text(task, "state")? {
                Some("TASK_RUNNING") => State::Running,
                Some("TASK_UNREACHABLE" | "TASK_LOST") => State::Unreachable,
                Some("TASK_KILLING") => State::Killing,
                // Before 0.13 tasks had no state.
                None if text(task, "startedAt")?.is_some() => State::Running,
                Some(_) | None => State::Absent,
            },
            ports: each(task, "ports", |port| port_of(port, "a port of the task"))?,
            addresses: addresses.into_iter().flatten().collect(),
            alive: each(task, "healthCheckResults", alive)?,
            version: text(task, "version")?.map(str::to_owned),
            zone: text(task, "zone")?.map(str::to_owned),
        })
    }
}

fn has_labels(app: &Value, rules: &[LabelRule]) -> Result<bool, String> {
    let empty = serde_json::Map::new();
    let labels = match app.get("labels") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(labels)) => labels,
        Some(_) => return Err("`labels` is not an object".to_owned()),
    };
    Ok(rules.iter().all(|rule| {
        let found = labels.get(&rule.name);
        let fits = match &rule.value {
            None => found.is_some(),
            Some(value) => found.is_some_and(|found| found.as_str() == Some(value)),
        };
        fits != rule.is_negated
    }))
}

fn readiness(app: &Value) -> Result<HashMap<String, bool>, String> {
    let mut ready = HashMap::new();
    for result in list(app, "readinessCheckResults")?.unwrap_or_default() {
        let (Some(task), Some(Value::Bool(is_ready))) =
            (text(result, "taskId")?, result.get("ready"))
        else {
            return Err("a result of `readinessCheckResults` has no task or no `ready`".to_owned());
        };
        // Of several checks every one must say so.
        let known = ready.entry(task.to_owned()).or_insert(true);
        *known = *known && *is_ready;
    }
    Ok(ready)
}

/// A text of a stranger's as people may see it.
pub(super) fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(100).collect()
}

/// A text; `None`: absent.
pub(super) fn text<'a>(of: &'a Value, key: &str) -> Result<Option<&'a str>, String> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` is not a text")),
    }
}

/// A list; `None`: absent.
pub(super) fn list<'a>(of: &'a Value, key: &str) -> Result<Option<&'a [Value]>, String> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(format!("`{key}` is not a list")),
    }
}

/// Each item of a list that may be absent.
pub(super) fn each<T>(
    of: &Value,
    key: &str,
    read: impl FnMut(&Value) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = list(of, key)?.unwrap_or_default();
    items.iter().map(read).collect()
}

fn number(of: &Value, key: &str) -> Result<Option<u64>, String> {
    match of.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => number
            .as_u64()
            .map(Some)
            .ok_or_else(|| format!("`{key}` is not a count")),
    }
}

/// A port; 0 stands for one that is not known yet.
pub(super) fn port_of(port: &Value, what: &str) -> Result<u16, String> {
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| format!("{what} is not a number from 0 to 65535"))
}

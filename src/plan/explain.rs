//! The same decisions told in words, for `serin explain` and the page.

use std::fmt;

use super::{Assignment, Chance, Head, Plan, Target, Why};
use crate::{
    config::{ClassRule, KeySource, When},
    model::{Outcome, Role, RouteName, Share, SplitName, VersionName},
};

/// More endpoints than this are counted, not named.
const NAMED: usize = 5;

/// What the plan does with a request, and why. `Display` tells it, a line for each decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The split that takes it, if any does.
    pub split: Option<SplitName>,
    /// The match that takes it.
    pub route: Option<RouteName>,
    /// The version it is for.
    pub version: Option<VersionName>,
    /// The part and the user.
    pub assignment: Option<Assignment>,
    /// Where it may go.
    pub endpoints: Vec<std::net::SocketAddr>,
    /// The decisions in words, in their order.
    pub lines: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Tells what the plan does with a request.
pub fn explain(plan: &Plan, head: &impl Head, chance: Chance) -> Explanation {
    let mut told = Explanation {
        split: None,
        route: None,
        version: None,
        assignment: None,
        endpoints: Vec::new(),
        lines: vec![format!("plan: generation {}", plan.generation)],
    };
    let found = plan
        .find(head)
        .and_then(|(id, route)| Some((plan.split(id)?, route)));
    let Some((split, route)) = found else {
        let parts = [head.method(), head.host(), head.path()];
        let [method, host, path] = parts.map(String::from_utf8_lossy);
        told.lines
            .push(format!("split: none takes {method} {host}{path}"));
        return told;
    };
    told.split = Some(split.name.clone());
    told.route = split.routes.get(route.index()).cloned();
    let named = told.route.as_ref().map_or("", |name| name.as_str());
    told.lines
        .push(format!("split: {} (route {named})", split.name));

    let (assignment, why) = split.assign_because(head, chance);
    let version = split.version(assignment.role);
    told.version = Some(version.name.clone());
    told.assignment = Some(assignment);
    let (name, role, because) = (&version.name, assignment.role, words(why, split.share));
    told.lines
        .push(format!("version: {name} ({role}), because {because}"));
    if let Some(remember) = assignment.remember {
        let role = remember.role;
        told.lines
            .push(format!("cookie: the answer sets one that says {role}"));
    }

    let targets = plan
        .upstream(version.upstream)
        .map_or(&[][..], |up| &up.endpoints);
    told.endpoints = targets.iter().map(|target| target.address).collect();
    told.lines.push(candidates(targets));
    let rules = split.classify.open(split.classify.fitting(head));
    told.lines.extend(rules.map(rule));
    if targets.is_empty() && assignment.role == Role::Canary {
        let what = if split.retry.falls_back() {
            "stable answers instead"
        } else {
            "the client gets 503"
        };
        told.lines.push(format!("fallback: {what}"));
    }
    told
}

/// A rule of what counts against a version; its path fits already.
fn rule(rule: &ClassRule) -> String {
    let what = match &rule.when {
        When::ClientAbort {
            unless_slower_than: None,
        } => "client_abort".to_owned(),
        When::ClientAbort {
            unless_slower_than: Some(limit),
        } => format!("client_abort, unless slower than {limit:?},"),
        When::Request {
            statuses,
            grpc_statuses,
            ..
        } => {
            let statuses = statuses.iter().map(|range| match range.end() {
                last if last == range.start() => last.to_string(),
                last => format!("{} to {last}", range.start()),
            });
            let grpc_statuses = grpc_statuses.iter().map(ToString::to_string);
            let conditions = [
                one_of("status", statuses.collect()),
                one_of("grpc_status", grpc_statuses.collect()),
            ];
            let conditions: Vec<String> = conditions.into_iter().flatten().collect();
            if conditions.is_empty() {
                "every answer".to_owned()
            } else {
                conditions.join(" and ")
            }
        }
    };
    let article = match rule.outcome {
        Outcome::Success | Outcome::Failure => "a ",
        Outcome::Tracked | Outcome::ClientAbort | Outcome::Rejected | Outcome::Ignored => "",
    };
    format!("classify: {what} is {article}{}", rule.outcome)
}

/// A condition and what fulfils it; `None`: it is not asked for.
fn one_of(condition: &str, mut values: Vec<String>) -> Option<String> {
    let last = values.pop()?;
    Some(if values.is_empty() {
        format!("{condition} {last}")
    } else {
        format!("{condition} {} or {last}", values.join(", "))
    })
}

fn words(why: Why<'_>, share: Share) -> String {
    match why {
        Why::Override => "a signed override asks for it".to_owned(),
        Why::OnlyVersion => "there is no canary".to_owned(),
        Why::Cookie => "the client's cookie of this rollout says canary".to_owned(),
        Why::CookiePoint => format!("of the point in the client's cookie and a share of {share}"),
        Why::NewClient => format!("a new client fell there with a share of {share}"),
        Why::Chance => format!("the request fell there with a share of {share}"),
        Why::Key(source) => {
            let key = match source {
                KeySource::Cookie(name) => format!("cookie {name}"),
                KeySource::Header(name) => format!("header {name}"),
                KeySource::ClientIp => "the client's address".to_owned(),
            };
            format!("the hash of {key} fell there with a share of {share}")
        }
    }
}

fn candidates(targets: &[Target]) -> String {
    let named = targets
        .iter()
        .take(NAMED)
        .map(|target| target.address.to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    match targets.len().saturating_sub(NAMED) {
        _ if targets.is_empty() => "endpoints: none is usable".to_owned(),
        0 => format!("endpoints: the less busy of two of {named}"),
        more => format!("endpoints: the less busy of two of {named} and {more} more"),
    }
}

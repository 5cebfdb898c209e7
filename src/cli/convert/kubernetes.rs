//! A `Canary` of Flagger, or a `Rollout` of Argo: steps, weights and thresholds. Their services
//! become names in the cluster's DNS.

use std::collections::BTreeMap;

use super::{
    draft::{Draft, Match, Split, Upstream, time},
    quoted,
};
use crate::config::{Foreign, foreign};

type Keys = BTreeMap<&'static str, String>;

/// Steps that a file may have at most.
const STEPS_MAX: usize = 200;

/// Reads `Canary` objects.
pub(super) fn flagger(text: &str) -> Result<String, String> {
    let documents = foreign(text)?;
    let mut draft = Draft::default();
    for document in &documents {
        match document.get("kind").text() {
            Some("Canary") => canary(document, &mut draft),
            kind => draft.leave(document.line, format!("an object {}", kind.unwrap_or("?"))),
        }
    }
    draft.file("flagger")
}

/// Reads `Rollout` objects.
pub(super) fn argo(text: &str) -> Result<String, String> {
    let documents = foreign(text)?;
    let mut draft = Draft::default();
    for document in &documents {
        match document.get("kind").text() {
            Some("Rollout") => rollout(document, &mut draft),
            Some(kind @ ("AnalysisTemplate" | "ClusterAnalysisTemplate")) => {
                let name = document.at(&["metadata", "name"]).text().unwrap_or("?");
                let what = format!("{kind} {name}: Serin judges every request by itself");
                draft.leave(document.line, what);
            }
            kind => draft.leave(document.line, format!("an object {}", kind.unwrap_or("?"))),
        }
    }
    draft.file("argo")
}

/// A service of the cluster as an upstream.
fn service(name: &str, (namespace, port): (&str, &str), line: usize, draft: &mut Draft) {
    let upstream = Upstream {
        name: name.to_owned(),
        dns: Some(format!("{name}.{namespace}.svc.cluster.local:{port}")),
        ..Upstream::default()
    };
    draft.upstream(upstream, line);
}

fn hosts(list: &Foreign) -> Vec<Match> {
    let hosts = list
        .items()
        .iter()
        .filter_map(Foreign::text)
        .filter(|host| *host != "*");
    let hosts: Vec<String> = hosts.map(str::to_owned).collect();
    if hosts.is_empty() {
        return Vec::new();
    }
    vec![Match {
        hosts,
        ..Match::default()
    }]
}

fn canary(object: &Foreign, draft: &mut Draft) {
    let spec = object.get("spec");
    let target = spec.at(&["targetRef", "name"]).text();
    let named = spec.at(&["service", "name"]).text();
    let Some(name) = named.or(target) else {
        draft.leave(object.line, "a Canary without a target");
        return;
    };
    let namespace = object
        .at(&["metadata", "namespace"])
        .text()
        .unwrap_or("default");
    let port = spec.at(&["service", "port"]).text().unwrap_or("80");
    let [stable, tried] = ["primary", "canary"].map(|role| format!("{name}-{role}"));
    for upstream in [&stable, &tried] {
        service(upstream, (namespace, port), object.line, draft);
    }
    let analysis = spec.get("analysis");
    let mut keys = Keys::new();
    let steps = flagger_steps(analysis, draft);
    keys.insert("rollout", lines("steps", &steps));
    thresholds(analysis, &mut keys, draft);
    let cookie = analysis.at(&["sessionAffinity", "cookieName"]);
    if cookie.is_there() {
        keys.insert("sticky", "{ cookie: { secure: true } }".to_owned());
    }
    for hook in analysis.get("webhooks").items() {
        let kind = hook.get("type").text().unwrap_or("rollout");
        let name = hook.get("name").text().unwrap_or("?");
        draft.leave(
            hook.line,
            format!("the webhook {name} ({kind}): see `gate` in the manual"),
        );
    }
    for key in ["match", "mirror", "iterations"] {
        let found = analysis.get(key);
        if found.line > 0 {
            draft.leave(found.line, format!("analysis.{key}"));
        }
    }
    let split = Split {
        name: name.to_owned(),
        matches: hosts(spec.at(&["service", "hosts"])),
        versions: vec![(stable, 100.0), (tried, 0.0)],
        keys,
    };
    draft.split(split, object.line);
}

/// A list of steps under one key.
fn lines(key: &str, steps: &[String]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|step| format!("\n        - {step}"))
        .collect();
    format!("\n      {key}:{}", steps.concat())
}

/// Each weight is held until the judge has decided, for as long as Flagger would have looked.
fn flagger_steps(analysis: &Foreign, draft: &mut Draft) -> Vec<String> {
    let written: Vec<f64> = analysis
        .get("stepWeights")
        .items()
        .iter()
        .filter_map(Foreign::number)
        .collect();
    let most = analysis.get("maxWeight").number().unwrap_or(50.0);
    let step = analysis.get("stepWeight").number().unwrap_or(10.0);
    let weights = if written.is_empty() && step >= 0.01 {
        let mut weights = Vec::new();
        let mut weight = step;
        while weight <= most && weights.len() < STEPS_MAX {
            weights.push(weight);
            weight += step;
        }
        weights
    } else {
        written
    };
    let sound = |weight: &f64| *weight > 0.0 && *weight < 100.0;
    let weights: Vec<f64> = weights.into_iter().filter(sound).take(STEPS_MAX).collect();
    let interval = analysis
        .get("interval")
        .text()
        .and_then(|text| time(text, 1.0));
    if interval.is_some() {
        let line = analysis.get("interval").line;
        draft.leave(
            line,
            "interval and threshold: the judge decides as soon as it can",
        );
    }
    let mut steps = Vec::new();
    for weight in &weights {
        steps.push(format!("set_weight: {}%", rounded(*weight)));
        steps.push("analysis: { until: decided }".to_owned());
    }
    if steps.is_empty() {
        steps.push("set_weight: 10%".to_owned());
        steps.push("analysis: { until: decided }".to_owned());
    }
    steps.push("set_weight: 100%".to_owned());
    steps
}

fn rounded(weight: f64) -> f64 {
    (weight * 100.0).round() / 100.0
}

/// Success rates and durations become plain floors.
fn thresholds(analysis: &Foreign, keys: &mut Keys, draft: &mut Draft) {
    let mut floors = Vec::new();
    for metric in analysis.get("metrics").items() {
        let name = metric.get("name").text().unwrap_or("?");
        let range = metric.get("thresholdRange");
        let (least, most) = (range.get("min").number(), range.get("max").number());
        match (name, least, most) {
            ("request-success-rate", Some(least), _) if (0.01..100.0).contains(&least) => {
                floors.push(format!("success_rate: {}%", rounded(least)));
            }
            ("request-duration", _, Some(most)) if (1.0..=3.6e6).contains(&most) => {
                floors.push(format!("latency_p99: {most:.0}ms"));
            }
            _ => draft.leave(metric.line, format!("the metric {name}")),
        }
    }
    if !floors.is_empty() {
        floors.dedup();
        keys.insert(
            "analysis",
            format!("{{ absolute: [{{ {} }}] }}", floors.join(", ")),
        );
    }
}

fn rollout(object: &Foreign, draft: &mut Draft) {
    let name = object.at(&["metadata", "name"]).text().unwrap_or("rollout");
    let namespace = object
        .at(&["metadata", "namespace"])
        .text()
        .unwrap_or("default");
    let strategy = object.at(&["spec", "strategy", "canary"]);
    if !strategy.is_there() {
        draft.leave(object.line, format!("{name}: its strategy is not `canary`"));
        return;
    }
    let service_of = |key: &str, role: &str| {
        let named = strategy.get(key).text();
        named.map_or_else(|| format!("{name}-{role}"), str::to_owned)
    };
    let stable = service_of("stableService", "stable");
    let tried = service_of("canaryService", "canary");
    let port = port_of(object);
    for upstream in [&stable, &tried] {
        service(upstream, (namespace, &port), object.line, draft);
    }
    let mut steps = Vec::new();
    for found in strategy.get("steps").items().iter().take(STEPS_MAX) {
        steps.extend(argo_step(found, !steps.is_empty(), draft));
    }
    if !steps.iter().any(|step| step.starts_with("set_weight")) {
        steps.insert(0, "set_weight: 10%".to_owned());
    }
    if steps.last().map(String::as_str) != Some("set_weight: 100%") {
        steps.push("set_weight: 100%".to_owned());
    }
    let mut keys = Keys::new();
    keys.insert("rollout", lines("steps", &steps));
    for key in [
        "trafficRouting",
        "maxSurge",
        "maxUnavailable",
        "analysis",
        "antiAffinity",
    ] {
        let found = strategy.get(key);
        if found.line > 0 {
            draft.leave(found.line, format!("{name}: {key}"));
        }
    }
    let split = Split {
        name: name.to_owned(),
        matches: Vec::new(),
        versions: vec![(stable, 100.0), (tried, 0.0)],
        keys,
    };
    draft.split(split, object.line);
}

/// The first port of the first container.
fn port_of(object: &Foreign) -> String {
    let containers = object
        .at(&["spec", "template", "spec", "containers"])
        .items();
    let mut ports = containers.iter().flat_map(|it| it.get("ports").items());
    let port = ports.find_map(|it| it.get("containerPort").text());
    port.unwrap_or("80").to_owned()
}

fn argo_step(step: &Foreign, has_weight: bool, draft: &mut Draft) -> Option<String> {
    let (kind, value) = step.entries().first()?;
    match kind.as_str() {
        "setWeight" => {
            let weight = value.number().filter(|it| (0.01..=100.0).contains(it));
            let Some(weight) = weight else {
                draft.leave(value.line, "setWeight: it gives the canary nothing");
                return None;
            };
            Some(format!("set_weight: {}%", rounded(weight)))
        }
        "pause" => {
            let duration = value.get("duration").text();
            match duration.map(|text| time(text, 1.0)) {
                None => Some("pause: {}".to_owned()),
                Some(Some(time)) => Some(format!("pause: {time}")),
                Some(None) => {
                    draft.leave(value.line, "pause: its duration");
                    None
                }
            }
        }
        "analysis" => {
            let templates = value.get("templates").items().iter();
            let names = templates.filter_map(|it| it.get("templateName").text());
            let names: Vec<&str> = names.collect();
            let what = format!(
                "the templates {}: Serin's own judge decides",
                quoted(&names.join(", "))
            );
            draft.leave(value.line, what);
            has_weight.then(|| "analysis: { until: decided }".to_owned())
        }
        other => {
            draft.leave(value.line.max(step.line), format!("the step {other}"));
            None
        }
    }
}

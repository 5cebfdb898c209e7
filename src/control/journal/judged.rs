//! A judgement as text in the journal, and back: every number that justified a decision (I9: serde
//! ends here).

use serde_json::{Value, json};

use crate::{
    judge::{Invalid, Judgement, MetricJudgement, Part, Suspect, Verdict},
    model::RouteName,
};

const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Pass, "pass"),
    (Verdict::Fail, "fail"),
    (Verdict::Inconclusive, "inconclusive"),
    (Verdict::NoData, "no_data"),
];
const INVALID: [Invalid; 4] = [
    Invalid::RatioMismatch,
    Invalid::StableSilent,
    Invalid::Stalled,
    Invalid::StableOutsideSlo,
];

/// As text.
pub(super) fn text(judgement: &Judgement) -> String {
    let metrics: Vec<Value> = judgement.metrics.iter().map(metric).collect();
    let parts: Vec<Value> = judgement.parts.iter().map(part).collect();
    let ids = judgement.first_failed.iter();
    let ids: Vec<String> = ids.map(|id| format!("{id:016x}")).collect();
    json!({
        "verdict": verdict(judgement.verdict),
        "cause": judgement.cause,
        "why": judgement.why,
        "evidence": finite(judgement.evidence),
        "threshold": finite(judgement.threshold),
        "is_worse": judgement.is_worse,
        "invalid": judgement.invalid.map(|invalid| invalid.to_string()),
        "canary_requests": judgement.canary_requests,
        "needed": judgement.canary_requests_needed,
        "metrics": metrics,
        "route": judgement.route.as_ref().map(RouteName::as_str),
        "parts": parts,
        "harm": finite(judgement.harm),
        "pace": finite(judgement.pace),
        "first_failed": ids,
        "suspect": judgement.suspect.as_ref().map(suspect),
    })
    .to_string()
}

/// From text; `None`: it is none. What an earlier build did not write is as if nothing was known.
pub(super) fn read(text: &str) -> Option<Judgement> {
    let value: Value = serde_json::from_str(text).ok()?;
    let invalid = value.get("invalid").and_then(Value::as_str);
    let ids = list(&value, "first_failed").iter();
    Some(Judgement {
        verdict: read_verdict(&value)?,
        cause: word(&value, "cause")?,
        why: word(&value, "why")?,
        evidence: real(&value, "evidence")?,
        threshold: real(&value, "threshold")?,
        metrics: list(&value, "metrics")
            .iter()
            .filter_map(read_metric)
            .collect(),
        is_worse: is(&value, "is_worse"),
        invalid: INVALID
            .into_iter()
            .find(|known| invalid == Some(known.to_string().as_str())),
        canary_requests: count(&value, "canary_requests").unwrap_or_default(),
        canary_requests_needed: count(&value, "needed"),
        route: route(&value),
        parts: list(&value, "parts").iter().filter_map(read_part).collect(),
        harm: real(&value, "harm").unwrap_or_default(),
        pace: real(&value, "pace").unwrap_or_default(),
        first_failed: ids
            .filter_map(|id| u64::from_str_radix(id.as_str()?, 16).ok())
            .collect(),
        suspect: value.get("suspect").and_then(read_suspect),
    })
}

fn metric(metric: &MetricJudgement) -> Value {
    json!({
        "metric": metric.metric,
        "verdict": verdict(metric.verdict),
        "canary": { "hits": metric.canary.0, "trials": metric.canary.1 },
        "stable": { "hits": metric.stable.0, "trials": metric.stable.1 },
        "estimate": finite(metric.estimate),
        "interval": [finite(metric.interval.0), finite(metric.interval.1)],
        "margin": finite(metric.margin),
        "evidence": finite(metric.evidence),
        "is_dry_run": metric.is_dry_run,
    })
}

fn read_metric(value: &Value) -> Option<MetricJudgement> {
    let counts = |name: &str| -> Option<(u64, u64)> {
        let counts = value.get(name)?;
        Some((count(counts, "hits")?, count(counts, "trials")?))
    };
    let mut interval = list(value, "interval").iter().map(Value::as_f64);
    Some(MetricJudgement {
        metric: word(value, "metric")?,
        verdict: read_verdict(value)?,
        canary: counts("canary")?,
        stable: counts("stable")?,
        estimate: real(value, "estimate")?,
        interval: (interval.next()??, interval.next()??),
        margin: real(value, "margin")?,
        evidence: real(value, "evidence")?,
        is_dry_run: is(value, "is_dry_run"),
    })
}

fn part(part: &Part) -> Value {
    json!({
        "cause": part.cause,
        "route": part.route.as_ref().map(RouteName::as_str),
        "evidence": finite(part.evidence),
        "hits": part.hits,
    })
}

fn read_part(value: &Value) -> Option<Part> {
    Some(Part {
        cause: word(value, "cause")?,
        route: route(value),
        evidence: real(value, "evidence")?,
        hits: count(value, "hits")?,
    })
}

fn suspect(suspect: &Suspect) -> Value {
    let counts = |(failures, requests): (u64, u64)| json!([failures, requests]);
    json!({
        "address": suspect.address.to_string(),
        "counts": counts(suspect.counts),
        "others": counts(suspect.others),
    })
}

fn read_suspect(value: &Value) -> Option<Suspect> {
    let counts = |name: &str| -> Option<(u64, u64)> {
        let mut both = list(value, name).iter().map(Value::as_u64);
        Some((both.next()??, both.next()??))
    };
    Some(Suspect {
        address: value.get("address")?.as_str()?.parse().ok()?,
        counts: counts("counts")?,
        others: counts("others")?,
    })
}

fn verdict(verdict: Verdict) -> &'static str {
    let mut known = VERDICTS.iter();
    let found = known.find(|(known, _)| *known == verdict);
    found.map_or("no_data", |(_, word)| word)
}

fn read_verdict(value: &Value) -> Option<Verdict> {
    let word = value.get("verdict")?.as_str()?;
    let mut known = VERDICTS.iter();
    known
        .find(|(_, text)| *text == word)
        .map(|(found, _)| *found)
}

fn route(value: &Value) -> Option<RouteName> {
    RouteName::new(value.get("route")?.as_str()?).ok()
}

/// JSON has no infinity and no NaN.
pub(super) fn finite(x: f64) -> f64 {
    if x.is_nan() {
        0.0
    } else {
        x.clamp(f64::MIN, f64::MAX)
    }
}

fn word(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn real(value: &Value, name: &str) -> Option<f64> {
    value.get(name)?.as_f64()
}

/// A count.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    value.get(name)?.as_u64()
}

fn is(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// A list; empty if it is absent.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

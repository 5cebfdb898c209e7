//! What was counted and how the numbers moved, as text in the journal, and back. Lists of numbers
//! instead of named fields: a trail has thousands of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::judged::{count, finite, list};
use crate::{
    control::{Line, Measured, Spot, Trail},
    model::{CodeClass, Moment, Reason, Role, number::micros},
};

/// Both versions' requests as text.
pub(super) fn versions_text(versions: &[Measured; 2]) -> String {
    let version = |version: &Measured| {
        let errors = version.errors.iter();
        let errors: Vec<Value> = errors
            .map(|(code, reason, count)| json!([code.as_str(), reason.as_str(), count]))
            .collect();
        let curve = version.curve.iter();
        let curve: Vec<Value> = curve
            .map(|(quantile, latency)| json!([rounded(*quantile), micros(*latency)]))
            .collect();
        json!({
            "requests": version.requests,
            "failures": version.failures,
            "errors": errors,
            "curve_us": curve,
        })
    };
    let [stable, canary] = versions;
    json!({ "stable": version(stable), "canary": version(canary) }).to_string()
}

/// Both versions' requests from text; of what was not kept nothing is known.
pub(super) fn read_versions(text: Option<&str>) -> [Measured; 2] {
    let value = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let value = value.unwrap_or_default();
    [Role::Stable, Role::Canary].map(|role| {
        let version = value.get(role.as_str()).unwrap_or(&Value::Null);
        Measured {
            role,
            requests: count(version, "requests").unwrap_or_default(),
            failures: count(version, "failures").unwrap_or_default(),
            errors: list(version, "errors").iter().filter_map(error).collect(),
            curve: list(version, "curve_us").iter().filter_map(point).collect(),
        }
    })
}

fn error(value: &Value) -> Option<(CodeClass, Reason, u64)> {
    let [code, reason, count] = value.as_array()?.as_slice() else {
        return None;
    };
    let reason = Reason::parse(reason.as_str()?).unwrap_or(Reason::Other);
    Some((CodeClass::parse(code.as_str()?)?, reason, count.as_u64()?))
}

fn point(value: &Value) -> Option<(f64, Duration)> {
    let [quantile, latency] = value.as_array()?.as_slice() else {
        return None;
    };
    Some((quantile.as_f64()?, Duration::from_micros(latency.as_u64()?)))
}

/// A trail as text.
pub(super) fn trail_text(trail: &Trail) -> String {
    let line = |line: &Option<Line>| {
        line.map(|line| [line.estimate, line.low, line.high, line.margin].map(rounded))
    };
    let spot = |spot: &Spot| {
        let lines: Vec<Option<[f64; 4]>> = spot.lines.iter().map(line).collect();
        json!([spot.at.micros(), finite(spot.evidence), lines])
    };
    let points: Vec<Value> = trail.points.iter().map(spot).collect();
    json!({ "metrics": trail.metrics, "points": points }).to_string()
}

/// A trail from text; `None`: it is none.
pub(super) fn read_trail(text: &str) -> Option<Trail> {
    let value: Value = serde_json::from_str(text).ok()?;
    let metrics = list(&value, "metrics").iter();
    let metrics = metrics.map(|name| name.as_str().map(str::to_owned));
    let points = list(&value, "points").iter().map(spot);
    Some(Trail::kept(
        metrics.collect::<Option<_>>()?,
        points.collect::<Option<_>>()?,
    ))
}

fn spot(value: &Value) -> Option<Spot> {
    let [at, evidence, lines] = value.as_array()?.as_slice() else {
        return None;
    };
    Some(Spot {
        at: Moment::from_micros(at.as_u64()?),
        evidence: evidence.as_f64()?,
        lines: lines.as_array()?.iter().map(line).collect(),
    })
}

fn line(value: &Value) -> Option<Line> {
    let [estimate, low, high, margin] = value.as_array()?.as_slice() else {
        return None;
    };
    Some(Line {
        estimate: estimate.as_f64()?,
        low: low.as_f64()?,
        high: high.as_f64()?,
        margin: margin.as_f64()?,
    })
}

/// To a millionth: no screen shows more.
fn rounded(x: f64) -> f64 {
    (finite(x) * 1e6).round() / 1e6
}

//! CloudWatch's Embedded Metric Format: a line of JSON for all metrics of the same labels, which an
//! agent or the log driver takes for what it is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::round::{Point, Said};
use crate::model::{Moment, number::real};

/// So many metrics are in one line at most.
const METRICS_MAX: usize = 100;
/// So many values has one metric at most.
const VALUES_MAX: usize = 100;

/// The lines of one round, each with its end.
pub(super) fn lines(points: &[Point], namespace: &str, now: Moment) -> String {
    let mut groups: BTreeMap<&[(&'static str, String)], Vec<&Point>> = BTreeMap::new();
    for point in points {
        groups.entry(&point.labels).or_default().push(point);
    }
    let mut out = String::new();
    for (labels, points) in groups {
        for points in points.chunks(METRICS_MAX) {
            out.push_str(&line(labels, points, namespace, now).to_string());
            out.push('\n');
        }
    }
    out
}

fn line(
    labels: &[(&'static str, String)],
    points: &[&Point],
    namespace: &str,
    now: Moment,
) -> Value {
    let mut fields = Map::new();
    let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
    let metrics: Vec<Value> = points
        .iter()
        .map(|point| json!({ "Name": point.name, "Unit": unit(point) }))
        .collect();
    let directive = json!({
        "Namespace": namespace,
        "Dimensions": [names],
        "Metrics": metrics,
    });
    fields.insert(
        "_aws".to_owned(),
        json!({ "Timestamp": now.millis(), "CloudWatchMetrics": [directive] }),
    );
    for (name, value) in labels {
        fields.insert((*name).to_owned(), value.as_str().into());
    }
    for point in points {
        let value = match &point.said {
            Said::More(number) | Said::Now(number) => json!(number),
            Said::Took(took) => distribution(took),
        };
        fields.insert(point.name.clone(), value);
    }
    Value::Object(fields)
}

/// CloudWatch's word for what is counted.
fn unit(point: &Point) -> &'static str {
    match &point.said {
        Said::More(_) => "Count",
        Said::Took(_) => "Milliseconds",
        Said::Now(_) if point.name.ends_with("_seconds") => "Seconds",
        Said::Now(_) if point.name.ends_with("_bytes") => "Bytes",
        Said::Now(_) => "None",
    }
}

/// Values and how often each came; neighbours are put together where there are too many.
fn distribution(took: &[(f64, u64)]) -> Value {
    let step = took.len().div_ceil(VALUES_MAX).max(1);
    let groups = took.chunks(step).filter_map(|group| {
        let (value, _) = group.last()?;
        let count: u64 = group.iter().map(|(_, count)| count).sum();
        Some((*value, count))
    });
    let (values, counts): (Vec<f64>, Vec<u64>) = groups.unzip();
    let sum: f64 = took.iter().map(|(value, count)| value * real(*count)).sum();
    let count: u64 = took.iter().map(|(_, count)| count).sum();
    json!({
        "Values": values,
        "Counts": counts,
        "Min": took.first().map(|(value, _)| value),
        "Max": took.last().map(|(value, _)| value),
        "Sum": sum,
        "Count": count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_the_same_labels_are_one_line_within_the_limits_of_the_format() {
        let shop = vec![("split", "shop".to_owned())];
        let point = |name: &str, labels: &[(&'static str, String)], said| Point {
            name: name.to_owned(),
            labels: labels.to_vec(),
            said,
        };
        let took = (0..250).map(|number| (real(number), 2)).collect();
        let mut points = vec![
            point("took_ms", &shop, Said::Took(took)),
            point("busy_ratio", &[], Said::Now(0.5)),
        ];
        points.extend((0..150).map(|n| point(&format!("m{n}"), &shop, Said::More(1.0))));
        let text = lines(&points, "Serin", Moment::from_millis(1_700_000_000_000));
        let read = |line| serde_json::from_str::<Value>(line).unwrap();
        let lines: Vec<Value> = text.lines().map(read).collect();
        assert_eq!(lines.len(), 3);
        let directive = |line: &Value| line["_aws"]["CloudWatchMetrics"][0].clone();
        assert_eq!(lines[0]["_aws"]["Timestamp"], 1_700_000_000_000_u64);
        assert_eq!(directive(&lines[0])["Dimensions"], json!([[]]));
        assert_eq!(lines[0]["busy_ratio"], 0.5);
        assert_eq!(directive(&lines[1])["Dimensions"], json!([["split"]]));
        assert_eq!(lines[1]["split"], "shop");
        for line in &lines {
            let directive = directive(line);
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.len() <= METRICS_MAX);
            for metric in metrics {
                let name = metric["Name"].as_str().unwrap();
                assert!(!line[name].is_null(), "{name} is announced and not there");
            }
        }
        let took = &lines[1]["took_ms"];
        let (values, counts) = (took["Values"].as_array().unwrap(), &took["Counts"]);
        assert!(values.len() <= VALUES_MAX);
        assert_eq!(values.len(), counts.as_array().unwrap().len());
        let counted: u64 = counts
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!((counted, &took["Count"]), (500, &json!(500)));
        assert_eq!((&took["Min"], &took["Max"]), (&json!(0.0), &json!(249.0)));
    }
}

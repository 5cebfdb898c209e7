//! One round of telling: what has risen since the last one, what is so now, and how long things
//! took meanwhile.

use std::collections::HashMap;

use crate::{
    admin::metrics::text::{Kind, Text, Value},
    control::Totals,
    measure::Latencies,
    model::number::{micros, real},
};

/// One thing to be told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// Without a prefix.
    pub(super) name: String,
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) said: Said,
}

/// What is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// So many more.
    More(f64),
    /// So it is.
    Now(f64),
    /// So many milliseconds, so often, ascending.
    Took(Vec<(f64, u64)>),
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    counters: HashMap<String, f64>,
    times: HashMap<String, HashMap<u64, u64>>,
}

impl Told {
    /// What there is to tell now.
    pub(super) fn round(&mut self, text: &Text, totals: &Totals) -> Vec<Point> {
        let mut points = Vec::new();
        for family in text.families() {
            for sample in text.samples(family) {
                let Value::Number(number) = sample.value else {
                    continue;
                };
                let labels = text.labels(sample);
                let labels: Vec<_> = labels.map(|(name, it)| (name, it.to_owned())).collect();
                let said = match family.kind {
                    Kind::Counter => {
                        let more = self.more(key_of(&family.name, &labels), number);
                        Said::More(more)
                    }
                    Kind::Gauge => Said::Now(number),
                    Kind::Info | Kind::Histogram => continue,
                };
                let is_told = match said {
                    Said::More(more) => more > 0.0,
                    Said::Now(now) => now.is_finite(),
                    Said::Took(_) => true,
                };
                if is_told {
                    points.push(Point {
                        name: family.name.clone(),
                        labels,
                        said,
                    });
                }
            }
        }
        self.add_times(totals, &mut points);
        points
    }

    fn add_times(&mut self, totals: &Totals, points: &mut Vec<Point>) {
        for (key, cell) in &totals.series {
            let by_version = vec![
                ("split", key.split.to_string()),
                ("version", key.version.to_string()),
                ("role", key.role.to_string()),
                ("route", key.route.to_string()),
            ];
            let kinds = [
                ("request_duration_ms", &cell.duration),
                ("attempt_duration_ms", &cell.latency),
            ];
            for (name, latencies) in kinds {
                self.add_time(name, &by_version, latencies, points);
            }
        }
        for (split, stage, times) in &totals.rollback_times {
            let labels = vec![("split", split.to_string()), ("stage", (*stage).to_owned())];
            self.add_time("rollback_ms", &labels, times, points);
        }
    }

    fn add_time(
        &mut self,
        name: &str,
        labels: &[(&'static str, String)],
        latencies: &Latencies,
        points: &mut Vec<Point>,
    ) {
        let before = self.times.entry(key_of(name, labels)).or_default();
        let mut took = Vec::new();
        for (edge, count) in latencies.buckets() {
            let known = before.entry(micros(edge)).or_default();
            let more = count.saturating_sub(*known);
            *known = count;
            if more > 0 {
                took.push((real(micros(edge)) / 1e3, more));
            }
        }
        if !took.is_empty() {
            points.push(Point {
                name: name.to_owned(),
                labels: labels.to_vec(),
                said: Said::Took(took),
            });
        }
    }

    /// How much a counter has risen; one that is lower than before began anew.
    fn more(&mut self, key: String, now: f64) -> f64 {
        let before = self.counters.insert(key, now).unwrap_or_default();
        if now >= before { now - before } else { now }
    }
}

/// What a series is found by.
fn key_of(name: &str, labels: &[(&'static str, String)]) -> String {
    let mut key = name.to_owned();
    for (label, value) in labels {
        key.push('\n');
        key.push_str(label);
        key.push('=');
        key.push_str(value);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(told: &mut Told, requests: f64, busy: f64) -> Vec<(String, Said)> {
        let mut text = Text::new("");
        text.family("requests", Kind::Counter, "All.");
        text.sample(&[("split", "shop")], requests);
        text.sample(&[("split", "search")], 0.0);
        text.family("busy_ratio", Kind::Gauge, "Now.");
        text.sample(&[], busy);
        text.family("build", Kind::Info, "What.");
        text.sample(&[], 1.0);
        let points = told.round(&text, &Totals::default()).into_iter();
        points.map(|point| (point.name, point.said)).collect()
    }

    #[test]
    fn counters_are_told_as_what_has_risen_and_gauges_as_they_are() {
        let mut told = Told::default();
        let requests = |more| ("requests".to_owned(), Said::More(more));
        let busy = |now| ("busy_ratio".to_owned(), Said::Now(now));
        assert_eq!(round(&mut told, 5.0, 0.5), [requests(5.0), busy(0.5)]);
        assert_eq!(round(&mut told, 5.0, 0.5), [busy(0.5)]);
        assert_eq!(round(&mut told, 12.0, 0.0), [requests(7.0), busy(0.0)]);
        let anew = round(&mut told, 3.0, f64::NAN);
        assert_eq!(anew, [requests(3.0)], "it began anew");
    }

    #[test]
    fn times_are_told_as_what_has_come_since() {
        let mut told = Told::default();
        let mut latencies = Latencies::new();
        let mut points = Vec::new();
        latencies.record_n(std::time::Duration::from_micros(100), 3);
        told.add_time("x_ms", &[], &latencies, &mut points);
        latencies.record_n(std::time::Duration::from_micros(100), 2);
        latencies.record(std::time::Duration::from_micros(200));
        told.add_time("x_ms", &[], &latencies, &mut points);
        told.add_time("x_ms", &[], &latencies, &mut points);
        let said: Vec<&Said> = points.iter().map(|point| &point.said).collect();
        let first = Said::Took(vec![(0.1, 3)]);
        let then = Said::Took(vec![(0.1, 2), (0.2, 1)]);
        assert_eq!(said, [&first, &then]);
    }
}

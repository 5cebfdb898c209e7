//! The book: everything counted since the start, and what each worker holds right now.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use super::{RepeatKey, SeriesKey, Totals, analysis::InFlight, carried::Carried, toll::Durations};
use crate::{
    measure::{Cell, EndpointGauge, Gauges, Latencies, RequestLabel, Sample, StreamKey, Tally},
    model::{EndpointKey, Moment, Role, RouteName, SplitKey, SplitName, UpstreamName},
};

/// How many lines of the metrics page one series of ours makes: 5 code classes by 6 outcomes.
const LINES_OF_A_SERIES: usize = 30;
/// How many ids of failed requests a series names.
const FAILED_IDS_MAX: usize = 8;
/// The route that takes what is over the bound.
const OTHER_ROUTE: &str = "_other";

/// Totals since the start.
#[derive(Debug, Default)]
pub(super) struct Book {
    series: HashMap<SeriesKey, Cell>,
    repeats: BTreeMap<RepeatKey, u64>,
    refused: Tally<RequestLabel>,
    workers: BTreeMap<u16, Gauges>,
    carried: Carried,
    rollbacks: BTreeMap<(SplitName, &'static str), u64>,
    rollouts: BTreeMap<(SplitName, &'static str), u64>,
    discoveries: BTreeMap<(UpstreamName, &'static str), u64>,
    /// When each worker was heard last.
    heard: BTreeMap<u16, Moment>,
    rollback_times: BTreeMap<(SplitName, &'static str), Latencies>,
}

impl Book {
    /// Adds a cell; beyond `lines_max` lines of metrics new routes are counted together.
    pub(super) fn count(&mut self, key: SeriesKey, cell: &Cell, lines_max: usize) {
        let is_full = self.series.len() * LINES_OF_A_SERIES >= lines_max;
        let key = if is_full && !self.series.contains_key(&key) {
            other(key)
        } else {
            key
        };
        let total = self.series.entry(key).or_default();
        total.merge(cell);
        // Users are for the judge; of ids the last few are kept.
        total.failed_users.clear();
        let surplus = total.failed_requests.len().saturating_sub(FAILED_IDS_MAX);
        total.failed_requests.drain(..surplus);
    }

    /// Requests were asked again.
    pub(super) fn repeated(&mut self, key: RepeatKey, count: u64) {
        *self.repeats.entry(key).or_default() += count;
    }

    /// Takes what a sample says of its worker, and what was refused there.
    pub(super) fn hold(&mut self, sample: Sample, now: Moment) {
        self.heard.insert(sample.worker, now);
        self.refused.merge(&sample.refused);
        let before = self.workers.get(&sample.worker);
        self.carried.replace(before, &sample.gauges);
        self.workers.insert(sample.worker, sample.gauges);
    }

    /// Long-lived streams by what they belong to, over all workers.
    pub(super) fn streams(&self) -> impl Iterator<Item = (StreamKey, u64)> {
        let streams = self.workers.values().flat_map(|held| &held.streams);
        streams.copied()
    }

    /// How busy each worker is.
    pub(super) fn busy(&self) -> Vec<f64> {
        self.workers.values().map(|held| held.busy).collect()
    }

    /// What all workers know of endpoints.
    pub(super) fn endpoints(&self) -> HashMap<EndpointKey, EndpointGauge> {
        let mut all: HashMap<EndpointKey, EndpointGauge> = HashMap::new();
        for gauge in self.workers.values().flat_map(|held| &*held.endpoints) {
            let known = all.entry(gauge.endpoint);
            let known = known.or_insert(EndpointGauge {
                in_flight: 0,
                idle: 0,
                ..*gauge
            });
            known.in_flight += gauge.in_flight;
            known.idle += gauge.idle;
            known.latency = known.latency.max(gauge.latency);
        }
        all
    }

    /// The splits that have attempts under way.
    pub(super) fn under_way(&self) -> BTreeSet<SplitKey> {
        let keys = self.workers.values().flat_map(|held| held.in_flight.keys());
        keys.map(|key| key.split).collect()
    }

    /// Ages of one split's attempts under way, over all workers.
    pub(super) fn in_flight(&self, split: SplitKey) -> InFlight {
        let mut all = InFlight::default();
        for gauges in self.workers.values() {
            let of_split = gauges
                .in_flight
                .iter()
                .filter(|(key, _)| key.split == split);
            for (key, ages) in of_split {
                all.add((key.stage, key.route), key.role, ages);
            }
        }
        all
    }

    /// Ages of one split's attempts at stable under way: of the rest, and of the shadow.
    pub(super) fn shadow_in_flight(&self, split: SplitKey) -> [Latencies; 2] {
        let [mut rest, mut shadow] = [const { Latencies::new() }; 2];
        for (key, ages) in self.workers.values().flat_map(|held| &held.in_flight) {
            match key.role {
                Role::Stable if key.split == split && key.is_shadow => shadow.merge(ages),
                Role::Stable if key.split == split => rest.merge(ages),
                Role::Stable | Role::Canary => {}
            }
        }
        [rest, shadow]
    }

    /// A canary was taken to 0.
    pub(super) fn rolled_back(&mut self, split: &SplitName, cause: &'static str) {
        *self.rollbacks.entry((split.clone(), cause)).or_default() += 1;
    }

    /// A stage of a rollback took so long.
    pub(super) fn took(&mut self, split: &SplitName, stage: &'static str, time: Duration) {
        let times = self.rollback_times.entry((split.clone(), stage));
        times.or_default().record(time);
    }

    /// Whether every worker was heard since.
    pub(super) fn is_heard_since(&self, since: Moment) -> bool {
        self.heard.values().all(|heard| *heard >= since)
    }

    /// Whether requests or long-lived streams of a split's canary are under way.
    pub(super) fn is_at_canary(&self, split: SplitKey) -> bool {
        let is_canary = |of: SplitKey, role: Role| of == split && role == Role::Canary;
        self.workers.values().any(|held| {
            let mut streams = held.streams.iter();
            let mut flights = held.in_flight.keys();
            streams.any(|(key, count)| *count > 0 && is_canary(key.split, key.role))
                || flights.any(|key| is_canary(key.split, key.role))
        })
    }

    /// A rollout has ended.
    pub(super) fn ended(&mut self, split: &SplitName, result: &'static str) {
        *self.rollouts.entry((split.clone(), result)).or_default() += 1;
    }

    /// A source has answered.
    pub(super) fn discovered(&mut self, upstream: &UpstreamName, result: &'static str) {
        *self
            .discoveries
            .entry((upstream.clone(), result))
            .or_default() += 1;
    }

    fn rollback_times(&self) -> Durations {
        let times = self.rollback_times.iter();
        times
            .map(|((split, stage), times)| (split.clone(), *stage, times.clone()))
            .collect()
    }

    /// A copy for those who ask.
    pub(super) fn totals(&self, journal_failures: u64) -> Totals {
        let mut series: Vec<_> = self
            .series
            .iter()
            .map(|(key, cell)| (key.clone(), cell.clone()))
            .collect();
        series.sort_by(|left, right| left.0.cmp(&right.0));
        Totals {
            series,
            repeats: self.repeats.clone().into_iter().collect(),
            refused: self.refused.clone(),
            workers: self.workers.values().cloned().collect(),
            listeners: self.carried.listeners(self.workers.values()),
            rejections: self.carried.rejections(),
            streams: Vec::new(),
            rollbacks: flat(&self.rollbacks),
            rollouts: flat(&self.rollouts),
            discoveries: flat(&self.discoveries),
            rollback_times: self.rollback_times(),
            ejections: Vec::new(),
            checks: Vec::new(),
            journal_failures,
            record_failures: 0,
        }
    }
}

fn other(key: SeriesKey) -> SeriesKey {
    match RouteName::new(OTHER_ROUTE) {
        Ok(route) => SeriesKey { route, ..key },
        Err(_) => key,
    }
}

fn flat<N: Clone>(counts: &BTreeMap<(N, &'static str), u64>) -> Vec<(N, &'static str, u64)> {
    counts
        .iter()
        .map(|((name, word), count)| (name.clone(), *word, *count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, VersionName};

    #[test]
    fn routes_beyond_the_bound_are_counted_together() {
        let mut book = Book::default();
        let cell = Cell {
            trials: 1,
            assigned: 1,
            failed_users: vec![7],
            ..Cell::default()
        };
        for number in 0..5 {
            let key = SeriesKey {
                split: SplitName::new("shop").unwrap(),
                version: VersionName::new("v1").unwrap(),
                role: Role::Stable,
                route: RouteName::new(&format!("r{number}")).unwrap(),
            };
            book.count(key, &cell, 60);
        }
        let totals = book.totals(0);
        let routes: Vec<_> = totals
            .series
            .iter()
            .map(|(key, _)| key.route.as_str())
            .collect();
        assert_eq!(routes, ["_other", "r0", "r1"]);
        let trials: u64 = totals.series.iter().map(|(_, cell)| cell.trials).sum();
        assert_eq!(trials, 5);
        assert!(
            totals
                .series
                .iter()
                .all(|(_, cell)| cell.failed_users.is_empty())
        );
    }
}

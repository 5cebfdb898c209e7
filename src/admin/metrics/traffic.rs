//! Requests and attempts: the families that have a series for each split, version and route.

use std::collections::{BTreeMap, HashMap};

use super::text::{Kind, Text};
use crate::{
    control::{SeriesKey, Totals},
    measure::{AttemptLabel, BUCKETS, Cell, Exemplars, Latencies, RequestLabel},
    model::{RouteName, SplitName, number::real},
};

/// What one split, version and route may cost: code classes times outcomes.
const COST: usize = 30;
/// The route of what is over the budget.
const OTHER: &str = "_other";
/// Split, version and route of what was refused before it reached any.
const NOWHERE: &str = "_none";

/// Which routes have series of their own. It follows from the file alone, so that no counter
/// changes its name while the file stays the same.
#[derive(Debug)]
pub(super) struct Budget {
    places: usize,
    ranks: HashMap<(SplitName, RouteName), usize>,
}

impl Budget {
    /// Room for `max_series`, given to routes in the order of the file.
    pub(super) fn new(
        max_series: usize,
        routes: impl Iterator<Item = (SplitName, RouteName)>,
    ) -> Self {
        let ranks = routes
            .enumerate()
            .map(|(rank, route)| (route, rank))
            .collect();
        Self {
            places: max_series / COST,
            ranks,
        }
    }
}

/// A series as it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    split: &'a str,
    version: &'a str,
    role: &'a str,
    route: &'a str,
}

/// The series within the budget, and how many requests were counted under `_other`.
fn within<'a>(totals: &'a Totals, budget: &Budget) -> (BTreeMap<Key<'a>, Cell>, u64) {
    let rank = |key: &SeriesKey| {
        let rank = budget.ranks.get(&(key.split.clone(), key.route.clone()));
        rank.copied().unwrap_or(usize::MAX)
    };
    let mut series: Vec<&(SeriesKey, Cell)> = totals.series.iter().collect();
    series.sort_by_key(|(key, _)| (rank(key), key));
    let mut kept: BTreeMap<Key<'_>, Cell> = BTreeMap::new();
    let mut overflow = 0;
    for (place, (key, cell)) in series.into_iter().enumerate() {
        let is_over = place >= budget.places;
        if is_over {
            overflow += cell.requests.sum(|_| true);
        }
        let key = Key {
            split: key.split.as_str(),
            version: key.version.as_str(),
            role: key.role.as_str(),
            route: if is_over { OTHER } else { key.route.as_str() },
        };
        kept.entry(key).or_default().merge(cell);
    }
    (kept, overflow)
}

/// Writes the families; answers how many requests were counted under `_other`.
pub(super) fn write(text: &mut Text, totals: &Totals, budget: &Budget) -> u64 {
    let (series, overflow) = within(totals, budget);
    requests(text, totals, &series);
    attempts(text, &series);
    let by_route = sum(&series, |key| {
        vec![
            ("split", key.split),
            ("version", key.version),
            ("route", key.route),
        ]
    });
    let by_version = sum(&series, |key| {
        vec![("split", key.split), ("version", key.version)]
    });
    let help = "End of the request's head to the last byte handed to the client.";
    histograms(text, "request_duration_seconds", help, &by_route, |cell| {
        (&cell.duration, Some(&cell.exemplars))
    });
    let help = "Judged attempts: first byte sent to last byte received.";
    histograms(
        text,
        "attempt_duration_seconds",
        help,
        &by_version,
        |cell| (&cell.latency, None),
    );
    let help = "Attempts: first byte sent to first byte received.";
    histograms(text, "attempt_ttfb_seconds", help, &by_version, |cell| {
        (&cell.first_byte, None)
    });
    let help = "Connections made to endpoints, TLS included, or until that failed.";
    histograms(
        text,
        "connect_duration_seconds",
        help,
        &by_version,
        |cell| (&cell.connect, None),
    );
    overflow
}

fn requests(text: &mut Text, totals: &Totals, series: &BTreeMap<Key<'_>, Cell>) {
    text.family(
        "requests",
        Kind::Counter,
        "Requests by what the client saw.",
    );
    let by_route = sum(series, |key| {
        vec![
            ("split", key.split),
            ("version", key.version),
            ("route", key.route),
        ]
    });
    let nowhere = vec![("split", NOWHERE), ("version", NOWHERE), ("route", NOWHERE)];
    let refused = std::iter::once((&nowhere, &totals.refused));
    let served = by_route
        .iter()
        .map(|(labels, cell)| (labels, &cell.requests));
    for (labels, tally) in served.chain(refused) {
        let mut counts: Vec<(RequestLabel, u64)> = tally.iter().collect();
        counts.sort_unstable();
        for (label, count) in counts {
            let mut labels = labels.clone();
            labels.extend([
                ("protocol", label.protocol.as_str()),
                ("code_class", label.code_class.as_str()),
                ("outcome", label.outcome.as_str()),
            ]);
            text.sample(&labels, real(count));
        }
    }
}

fn attempts(text: &mut Text, series: &BTreeMap<Key<'_>, Cell>) {
    text.family(
        "attempts",
        Kind::Counter,
        "Tries against an endpoint: what the judge sees.",
    );
    for (key, cell) in series {
        let mut counts: Vec<(AttemptLabel, u64)> = cell.attempts.iter().collect();
        counts.sort_unstable();
        for (label, count) in counts {
            let labels = [
                ("split", key.split),
                ("version", key.version),
                ("role", key.role),
                ("route", key.route),
                ("code_class", label.code_class.as_str()),
                ("outcome", label.outcome.as_str()),
                ("reason", label.reason.as_str()),
            ];
            text.sample(&labels, real(count));
        }
    }
}

/// Cells by label, and the distribution that one family is made of.
type Labelled<'a> = BTreeMap<Vec<(&'static str, &'a str)>, Cell>;

fn sum<'a>(
    series: &BTreeMap<Key<'a>, Cell>,
    labels: impl Fn(&Key<'a>) -> Vec<(&'static str, &'a str)>,
) -> Labelled<'a> {
    let mut sums = Labelled::new();
    for (key, cell) in series {
        sums.entry(labels(key)).or_default().merge(cell);
    }
    sums
}

fn histograms(
    text: &mut Text,
    name: &str,
    help: &str,
    cells: &Labelled<'_>,
    chosen: impl Fn(&Cell) -> (&Latencies, Option<&Exemplars>),
) {
    text.family(name, Kind::Histogram, help);
    for (labels, cell) in cells {
        text.distribution(labels, &BUCKETS, chosen(cell));
    }
}

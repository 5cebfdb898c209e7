//! The families of one scrape, and their text, which the `prometheus` crate writes.
//!
//! There is no registry: our counts live in workers and control, so a scrape is one walk over
//! them.

use std::time::Duration;

use prometheus::{
    TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use crate::{measure::Latencies, model::number::real};

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises; its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Classic buckets, sum and count.
    Histogram,
}

/// The families so far.
#[derive(Debug)]
pub(super) struct Text {
    prefix: String,
    families: Vec<(Kind, MetricFamily)>,
    series: usize,
}

impl Text {
    /// Every name begins with `prefix` and `_`, if there is one.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}_")
        };
        Self {
            prefix,
            families: Vec::new(),
            series: 0,
        }
    }

    /// Begins a family. A counter's name is given without `_total`.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.begin(format!("{}{name}", self.prefix), kind, help);
    }

    /// Begins a family whose name the world has agreed on (`process_...`).
    pub(super) fn common_family(&mut self, name: &str, kind: Kind, help: &str) {
        self.begin(name.to_owned(), kind, help);
    }

    fn begin(&mut self, name: String, kind: Kind, help: &str) {
        let mut family = MetricFamily::default();
        let (name, field) = match kind {
            Kind::Counter => (name + "_total", MetricType::COUNTER),
            Kind::Gauge => (name, MetricType::GAUGE),
            Kind::Histogram => (name, MetricType::HISTOGRAM),
        };
        family.set_name(name);
        family.set_help(help.to_owned());
        family.set_field_type(field);
        self.families.push((kind, family));
    }

    /// One sample of a counter or a gauge; label values come from the file or from closed sets.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let Some((kind, family)) = self.families.last_mut() else {
            return;
        };
        let mut metric = Metric::from_label(pairs(labels));
        if *kind == Kind::Counter {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        family.mut_metric().push(metric);
        self.series += 1;
    }

    /// One histogram: upper bounds in seconds with cumulative counts, the sum, and how many in all.
    pub(super) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        buckets: impl IntoIterator<Item = (f64, u64)>,
        sum: f64,
        all: u64,
    ) {
        let bucket = |(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.into_iter().map(bucket).collect());
        histogram.set_sample_sum(sum);
        histogram.set_sample_count(all);
        // The text has a series more for `+Inf`, one for the sum and one for the count.
        self.series += histogram.get_bucket().len() + 3;
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram);
        if let Some((_, family)) = self.families.last_mut() {
            family.mut_metric().push(metric);
        }
    }

    /// One histogram of latencies, with buckets up to these many microseconds.
    pub(super) fn distribution(
        &mut self,
        labels: &[(&str, &str)],
        edges: &[u64],
        latencies: &Latencies,
    ) {
        let all = latencies.count();
        let at_most = |micros| all - latencies.count_above(Duration::from_micros(micros));
        let buckets = edges.iter().map(|edge| (seconds(*edge), at_most(*edge)));
        // Sums of nothing can be -0.
        self.histogram(labels, buckets, latencies.sum_seconds() + 0.0, all);
    }

    /// How many series were added.
    pub(super) const fn series(&self) -> usize {
        self.series
    }

    /// The whole text; families without a sample are left out.
    pub(super) fn finish(self) -> String {
        let families = self.families.into_iter().map(|(_, family)| family);
        let families: Vec<_> = families.filter(|it| !it.get_metric().is_empty()).collect();
        let text = TextEncoder::new().encode_to_string(&families);
        text.unwrap_or_else(|error| format!("# metrics cannot be written: {error}\n"))
    }
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// Microseconds as the seconds of a bucket's bound.
fn seconds(micros: u64) -> f64 {
    real(micros) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_scrapers_read_it() {
        let mut text = Text::new("serin");
        text.family("requests", Kind::Counter, "What it is.");
        text.sample(&[("split", "shop"), ("odd", "a\"b\\c\nd")], 3.0);
        text.sample(&[], f64::INFINITY);
        text.family("nothing", Kind::Gauge, "Left out.");
        text.family("wait_seconds", Kind::Histogram, "How long.");
        text.histogram(&[("split", "shop")], [(0.001, 1), (1.0, 2)], 2.5, 3);
        let expected = "# HELP serin_requests_total What it is.\n\
                        # TYPE serin_requests_total counter\n\
                        serin_requests_total{split=\"shop\",odd=\"a\\\"b\\\\c\\nd\"} 3\n\
                        serin_requests_total inf\n\
                        # HELP serin_wait_seconds How long.\n\
                        # TYPE serin_wait_seconds histogram\n\
                        serin_wait_seconds_bucket{split=\"shop\",le=\"0.001\"} 1\n\
                        serin_wait_seconds_bucket{split=\"shop\",le=\"1\"} 2\n\
                        serin_wait_seconds_bucket{split=\"shop\",le=\"+Inf\"} 3\n\
                        serin_wait_seconds_sum{split=\"shop\"} 2.5\n\
                        serin_wait_seconds_count{split=\"shop\"} 3\n";
        assert_eq!(text.series(), 7);
        assert_eq!(text.finish(), expected);
    }
}

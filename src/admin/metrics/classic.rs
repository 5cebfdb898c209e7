//! Families as Prometheus' text has them (version 0.0.4), which the `prometheus` crate writes.

use prometheus::{
    TextEncoder,
    proto::{self, Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::text::{Family, Histogram, Kind, Sample, Text, Value};

/// Writes the families; those without a sample are left out.
pub(super) fn write(text: &Text) -> String {
    let families: Vec<MetricFamily> = text.families().map(|it| family(text, it)).collect();
    let written = TextEncoder::new().encode_to_string(&families);
    written.unwrap_or_else(|error| format!("# metrics cannot be written: {error}\n"))
}

fn family(text: &Text, family: &Family) -> MetricFamily {
    let (kind, suffix) = match family.kind {
        Kind::Counter => (MetricType::COUNTER, "_total"),
        Kind::Gauge => (MetricType::GAUGE, ""),
        Kind::Info => (MetricType::GAUGE, "_info"),
        Kind::Histogram => (MetricType::HISTOGRAM, ""),
    };
    let samples = text.samples(family).iter();
    let mut written = MetricFamily::default();
    written.set_name(format!("{}{suffix}", family.name));
    written.set_help(family.help.clone());
    written.set_field_type(kind);
    written.set_metric(samples.map(|it| metric(text, it, family.kind)).collect());
    written
}

fn metric(text: &Text, sample: &Sample, kind: Kind) -> Metric {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let mut metric = Metric::from_label(text.labels(sample).map(pair).collect());
    match &sample.value {
        Value::Number(number) if kind == Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(*number);
            metric.set_counter(counter);
        }
        Value::Number(number) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*number);
            metric.set_gauge(gauge);
        }
        Value::Histogram(whole) => metric.set_histogram(histogram(whole)),
    }
    metric
}

/// The encoder adds the bucket `+Inf` by itself.
fn histogram(histogram: &Histogram) -> proto::Histogram {
    let bucket = |(bound, count): &(f64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut written = proto::Histogram::default();
    written.set_bucket(histogram.buckets.iter().map(bucket).collect());
    written.set_sample_sum(histogram.sum);
    written.set_sample_count(histogram.count);
    written
}

//! The families of one scrape: names, labels and numbers, in the order in which they are written.
//!
//! There is no registry: our counts live in workers and control, so a scrape is one walk over
//! them. All label values lie behind each other in one text: twenty thousand series are no
//! twenty thousand small allocations.

use std::{ops::Range, time::Duration};

use crate::{
    measure::{Exemplars, Latencies},
    model::number::real,
};

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum Kind {
    /// It only rises; its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Labels that say something, and always 1; its name ends in `_info`.
    Info,
    /// Classic buckets, sum and count.
    Histogram,
}

/// A family begins with this sample.
#[derive(Debug)]
pub(super) struct Family {
    /// With the prefix, without `_total` and `_info`.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) samples: Range<usize>,
}

/// One sample, or one histogram.
#[derive(Debug)]
pub(super) struct Sample {
    labels: Range<usize>,
    pub(super) value: Value,
}

/// What a sample says.
#[derive(Debug)]
pub(super) enum Value {
    Number(f64),
    Histogram(Box<Histogram>),
}

/// The buckets of a histogram below `+Inf`, with their upper bounds in seconds and cumulative
/// counts, and what stands for each of them.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
    pub(super) count: u64,
    pub(super) exemplars: Exemplars,
}

/// A label's name and the place of its value.
#[derive(Debug)]
struct Label {
    name: &'static str,
    value: Range<usize>,
}

/// The families so far.
#[derive(Debug)]
pub(in crate::admin) struct Text {
    prefix: String,
    families: Vec<Family>,
    samples: Vec<Sample>,
    labels: Vec<Label>,
    values: String,
    series: usize,
}

impl Text {
    /// Every name begins with `prefix` and `_`, if there is one.
    pub(in crate::admin) fn new(prefix: &str) -> Self {
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}_")
        };
        Self {
            prefix,
            families: Vec::new(),
            samples: Vec::new(),
            labels: Vec::new(),
            values: String::new(),
            series: 0,
        }
    }

    /// Begins a family. A counter's name is given without `_total`, an info's without `_info`.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.begin(format!("{}{name}", self.prefix), kind, help);
    }

    /// Begins a family whose name the world has agreed on (`process_...`).
    pub(super) fn common_family(&mut self, name: &str, kind: Kind, help: &str) {
        self.begin(name.to_owned(), kind, help);
    }

    fn begin(&mut self, name: String, kind: Kind, help: &str) {
        let next = self.samples.len();
        self.families.push(Family {
            name,
            kind,
            help: help.to_owned(),
            samples: next..next,
        });
    }

    /// One sample of anything but a histogram; label values come from the file or from closed sets.
    pub(super) fn sample(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.add(labels, Value::Number(value));
        self.series += 1;
    }

    /// One histogram of latencies, with buckets up to these many microseconds.
    pub(super) fn distribution(
        &mut self,
        labels: &[(&'static str, &str)],
        edges: &[u64],
        (latencies, exemplars): (&Latencies, Option<&Exemplars>),
    ) {
        let count = latencies.count();
        let at_most = |micros| count - latencies.count_above(Duration::from_micros(micros));
        let histogram = Histogram {
            buckets: edges
                .iter()
                .map(|edge| (real(*edge) / 1e6, at_most(*edge)))
                .collect(),
            // The sum of nothing can be -0.
            sum: latencies.sum_seconds() + 0.0,
            count,
            exemplars: exemplars.cloned().unwrap_or_default(),
        };
        // A series more for `+Inf`, one for the sum and one for the count.
        self.series += histogram.buckets.len() + 3;
        self.add(labels, Value::Histogram(Box::new(histogram)));
    }

    fn add(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let first = self.labels.len();
        for (name, text) in labels {
            let start = self.values.len();
            self.values.push_str(text);
            self.labels.push(Label {
                name,
                value: start..self.values.len(),
            });
        }
        self.samples.push(Sample {
            labels: first..self.labels.len(),
            value,
        });
        if let Some(family) = self.families.last_mut() {
            family.samples.end = self.samples.len();
        }
    }

    /// How many series were added.
    pub(super) const fn series(&self) -> usize {
        self.series
    }

    /// The families that have a sample.
    pub(super) fn families(&self) -> impl Iterator<Item = &Family> {
        let families = self.families.iter();
        families.filter(|family| !family.samples.is_empty())
    }

    /// The samples of a family.
    pub(super) fn samples(&self, family: &Family) -> &[Sample] {
        self.samples.get(family.samples.clone()).unwrap_or_default()
    }

    /// The labels of a sample, in their order.
    pub(super) fn labels(&self, sample: &Sample) -> impl Iterator<Item = (&'static str, &str)> {
        let labels = self.labels.get(sample.labels.clone());
        let labels = labels.unwrap_or_default().iter();
        labels.map(|label| {
            let value = self.values.get(label.value.clone());
            (label.name, value.unwrap_or_default())
        })
    }
}

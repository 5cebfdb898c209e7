//! Families as `OpenMetrics` 1.0 has them, with units and exemplars: the `prometheus` crate has
//! neither.

use std::fmt::{self, Write as _};

use super::text::{Family, Histogram, Kind, Sample, Text, Value};
use crate::{measure::Exemplar, model::number::real};

/// The units that names end in.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Writes the families; those without a sample are left out.
pub(super) fn write(text: &Text) -> String {
    let mut out = Out {
        text,
        written: String::with_capacity(128 * text.series()),
    };
    for family in text.families() {
        out.family(family);
    }
    out.written.push_str("# EOF\n");
    out.written
}

/// A text that is being written.
#[derive(Debug)]
struct Out<'a> {
    text: &'a Text,
    written: String,
}

/// A number as it is written.
#[derive(Debug)]
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl Out<'_> {
    fn family(&mut self, family: &Family) {
        let (kind, suffix) = match family.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Info => ("info", "_info"),
            Kind::Histogram => ("histogram", ""),
        };
        // A family is called by its name without what its samples add.
        let name = &family.name;
        self.put(format_args!("# HELP {name} "));
        self.escaped(&family.help);
        self.put(format_args!("\n# TYPE {name} {kind}\n"));
        let mut units = UNITS.into_iter();
        let is_unit = |unit: &&str| {
            let rest = name.strip_suffix(unit);
            rest.is_some_and(|rest| rest.ends_with('_'))
        };
        if let Some(unit) = units.find(is_unit) {
            self.put(format_args!("# UNIT {name} {unit}\n"));
        }
        for sample in self.text.samples(family) {
            match &sample.value {
                Value::Number(number) => {
                    self.line(name, suffix, sample, None);
                    self.put(format_args!(" {}\n", Number(*number)));
                }
                Value::Histogram(histogram) => self.histogram(name, sample, histogram),
            }
        }
    }

    fn histogram(&mut self, name: &str, sample: &Sample, histogram: &Histogram) {
        for (place, (bound, count)) in histogram.buckets.iter().enumerate() {
            self.bucket((name, sample), *bound, *count);
            self.exemplar(histogram.exemplars.of(place));
        }
        self.bucket((name, sample), f64::INFINITY, histogram.count);
        self.exemplar(histogram.exemplars.of(histogram.buckets.len()));
        self.line(name, "_sum", sample, None);
        self.put(format_args!(" {}\n", Number(histogram.sum)));
        self.line(name, "_count", sample, None);
        self.put(format_args!(" {}\n", histogram.count));
    }

    fn bucket(&mut self, (name, sample): (&str, &Sample), bound: f64, count: u64) {
        self.line(name, "_bucket", sample, Some(bound));
        self.put(format_args!(" {count}"));
    }

    /// What stands for a bucket, and the end of its line.
    fn exemplar(&mut self, exemplar: Option<&Exemplar>) {
        if let Some(exemplar) = exemplar {
            let took = exemplar.took.as_secs_f64();
            let at = real(exemplar.at.millis()) / 1e3;
            let trace = exemplar.trace;
            self.put(format_args!(" # {{trace_id=\"{trace}\"}} {took} {at}"));
        }
        self.written.push('\n');
    }

    /// A sample's name and labels.
    fn line(&mut self, name: &str, suffix: &str, sample: &Sample, bound: Option<f64>) {
        self.written.push_str(name);
        self.written.push_str(suffix);
        let mut before = '{';
        for (name, value) in self.text.labels(sample) {
            self.written.push(before);
            self.written.push_str(name);
            self.written.push_str("=\"");
            self.escaped(value);
            self.written.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            self.put(format_args!("{before}le=\"{}", Number(bound)));
            // Bounds are written as the real numbers that they are.
            if bound.fract() <= 0.0 {
                self.written.push_str(".0");
            }
            self.written.push('"');
            before = ',';
        }
        if before == ',' {
            self.written.push('}');
        }
    }

    fn escaped(&mut self, text: &str) {
        if !text.contains(['\\', '\n', '"']) {
            self.written.push_str(text);
            return;
        }
        for character in text.chars() {
            match character {
                '\\' => self.written.push_str("\\\\"),
                '\n' => self.written.push_str("\\n"),
                '"' => self.written.push_str("\\\""),
                other => self.written.push(other),
            }
        }
    }

    fn put(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _fits = self.written.write_fmt(what);
    }
}

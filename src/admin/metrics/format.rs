//! Families as text: as Prometheus has it (version 0.0.4), and as `OpenMetrics` has it, with
//! exemplars.

use std::fmt::{self, Write as _};

use super::text::{Family, Histogram, Kind, Sample, Text, Value};
use crate::{measure::Exemplar, model::number::real};

/// The units that names end in.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Which text is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// What an `Accept` field asks for: what it likes most, and of equals `OpenMetrics`.
    pub(super) fn wanted(accept: &str) -> Self {
        let liking = |kind: &str| {
            let parts = accept.split(',').map(str::trim);
            let parts = parts.filter(|part| {
                let name = part.split(';').next().unwrap_or_default();
                name.trim().eq_ignore_ascii_case(kind)
            });
            let likings = parts.map(|part| {
                let mut options = part.split(';').map(str::trim);
                let quality = options.find_map(|option| option.strip_prefix("q="));
                quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0))
            });
            likings.fold(0.0_f64, f64::max)
        };
        let open = liking("application/openmetrics-text");
        if open > 0.0 && open >= liking("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// How it is called.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes the families; those without a sample are left out.
    pub(super) fn write(self, text: &Text) -> String {
        let mut out = Out {
            format: self,
            text,
            written: String::with_capacity(128 * text.series()),
        };
        for family in text.families() {
            out.family(family);
        }
        if self == Self::OpenMetrics {
            out.written.push_str("# EOF\n");
        }
        out.written
    }
}

/// A text that is being written.
#[derive(Debug)]
struct Out<'a> {
    format: Format,
    text: &'a Text,
    written: String,
}

/// A number as both texts have it.
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
        let is_open = self.format == Format::OpenMetrics;
        let (kind, suffix) = match family.kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Info if is_open => ("info", "_info"),
            Kind::Info => ("gauge", "_info"),
            Kind::Histogram => ("histogram", ""),
        };
        // `OpenMetrics` calls a family by its name without what its samples add.
        let title = if is_open { "" } else { suffix };
        let name = &family.name;
        self.put(format_args!("# HELP {name}{title} "));
        self.escaped(&family.help, is_open);
        self.put(format_args!("\n# TYPE {name}{title} {kind}\n"));
        let mut units = UNITS.into_iter().filter(|_| is_open);
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
        if let Some(exemplar) = exemplar.filter(|_| self.format == Format::OpenMetrics) {
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
            self.escaped(value, true);
            self.written.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            self.put(format_args!("{before}le=\"{}", Number(bound)));
            // `OpenMetrics` writes real numbers as such.
            if self.format == Format::OpenMetrics && bound.fract() <= 0.0 {
                self.written.push_str(".0");
            }
            self.written.push('"');
            before = ',';
        }
        if before == ',' {
            self.written.push('}');
        }
    }

    fn escaped(&mut self, text: &str, with_quotes: bool) {
        if !text.contains(['\\', '\n', '"']) {
            self.written.push_str(text);
            return;
        }
        for character in text.chars() {
            match character {
                '\\' => self.written.push_str("\\\\"),
                '\n' => self.written.push_str("\\n"),
                '"' if with_quotes => self.written.push_str("\\\""),
                other => self.written.push(other),
            }
        }
    }

    fn put(&mut self, what: fmt::Arguments<'_>) {
        // Writing to a text does not fail.
        let _fits = self.written.write_fmt(what);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        measure::{BUCKETS, CellKey, Recorder, Request, RequestLabel},
        model::{CodeClass, Moment, Outcome, Protocol, Role, RouteId, SplitKey, Stage, TraceId},
    };

    fn text() -> Text {
        let mut text = Text::new("serin");
        text.family("requests", Kind::Counter, "What it \"is\".");
        text.sample(&[("split", "shop"), ("odd", "a\"b\\c\nd")], 3.0);
        text.sample(&[], f64::INFINITY);
        text.family("nothing", Kind::Gauge, "Left out.");
        text.family("build", Kind::Info, "The program.");
        text.sample(&[("version", "1")], 1.0);
        text.family("wait_seconds", Kind::Histogram, "How long.");
        let mut recorder = Recorder::new();
        for (millis, trace) in [(1, Some(9)), (2, None), (40_000, Some(7))] {
            recorder.request(&Request {
                key: CellKey {
                    split: SplitKey(0),
                    stage: Stage(0),
                    role: Role::Stable,
                    route: RouteId(0),
                    is_shadow: false,
                },
                label: RequestLabel {
                    protocol: Protocol::H1,
                    code_class: CodeClass::Success,
                    outcome: Outcome::Success,
                },
                duration: Duration::from_millis(millis),
                trace: trace.map(|byte| {
                    (
                        TraceId::new([byte; 16]).unwrap(),
                        Moment::from_millis(2_500),
                    )
                }),
            });
        }
        let sample = recorder.take(0, Moment::ZERO);
        let cell = sample.cells.values().next().unwrap();
        let edges = [BUCKETS[0], 1_000_000];
        let whole = (&cell.duration, Some(&cell.exemplars));
        text.distribution(&[("split", "shop")], &edges, whole);
        text
    }

    #[test]
    fn prometheus_reads_names_with_their_ends_and_no_exemplars() {
        let expected = "# HELP serin_requests_total What it \"is\".\n\
                        # TYPE serin_requests_total counter\n\
                        serin_requests_total{split=\"shop\",odd=\"a\\\"b\\\\c\\nd\"} 3\n\
                        serin_requests_total +Inf\n\
                        # HELP serin_build_info The program.\n\
                        # TYPE serin_build_info gauge\n\
                        serin_build_info{version=\"1\"} 1\n\
                        # HELP serin_wait_seconds How long.\n\
                        # TYPE serin_wait_seconds histogram\n\
                        serin_wait_seconds_bucket{split=\"shop\",le=\"0.001\"} 1\n\
                        serin_wait_seconds_bucket{split=\"shop\",le=\"1\"} 2\n\
                        serin_wait_seconds_bucket{split=\"shop\",le=\"+Inf\"} 3\n";
        let written = Format::Prometheus.write(&text());
        assert_eq!(&written[..expected.len()], expected);
        assert!(written.ends_with("serin_wait_seconds_count{split=\"shop\"} 3\n"));
        assert_eq!(text().series(), 3 + 5);
    }

    #[test]
    fn open_metrics_has_bare_names_units_exemplars_and_an_end() {
        let written = Format::OpenMetrics.write(&text());
        let (seven, nine) = ("07".repeat(16), "09".repeat(16));
        for line in [
            "# HELP serin_requests What it \\\"is\\\".",
            "# TYPE serin_requests counter",
            "serin_requests_total +Inf",
            "# TYPE serin_build info",
            "serin_build_info{version=\"1\"} 1",
            "# UNIT serin_wait_seconds seconds",
            &format!(
                "serin_wait_seconds_bucket{{split=\"shop\",le=\"0.001\"}} 1 # \
                 {{trace_id=\"{nine}\"}} 0.001 2.5"
            ),
            "serin_wait_seconds_bucket{split=\"shop\",le=\"1.0\"} 2",
        ] {
            assert!(written.lines().any(|it| it == line), "{line}\n{written}");
        }
        assert!(written.ends_with("\n# EOF\n"));
        assert!(!written.contains(&seven), "no bucket of ours is its own");
    }

    #[test]
    fn the_text_is_the_one_that_is_liked_most() {
        let cases = [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "application/openmetrics-text; version=1.0.0; q=0.5, text/plain; q=0.3",
                Format::OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4, application/openmetrics-text;q=0.2",
                Format::Prometheus,
            ),
            ("application/openmetrics-text;q=0", Format::Prometheus),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::wanted(accept), format, "{accept}");
        }
    }
}

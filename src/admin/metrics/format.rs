//! Families as text: which of the two that scrapers read is wanted, and its writer.

use super::{classic, open, text::Text};

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
        match self {
            Self::Prometheus => classic::write(text),
            Self::OpenMetrics => open::write(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        admin::metrics::text::Kind,
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
                        serin_requests_total inf\n\
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

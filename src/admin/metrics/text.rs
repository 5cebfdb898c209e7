//! A writer of the Prometheus text format 0.0.4.
//!
//! Our own and not the `prometheus` crate's: our counts live in workers and control, so there is
//! nothing to register, and a scrape is one walk over them.

use std::fmt::Write as _;

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises; its samples end in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Classic buckets, sum and count.
    Histogram,
}

/// The text so far.
#[derive(Debug)]
pub(super) struct Text {
    prefix: String,
    family: String,
    out: String,
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
            family: String::new(),
            out: String::new(),
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

    fn begin(&mut self, family: String, kind: Kind, help: &str) {
        let (suffix, kind) = match kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("", "histogram"),
        };
        let name = format!("{family}{suffix}");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.family = family;
    }

    /// One sample of the family; label values come from the file or from closed sets.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        self.out.push_str(&self.family);
        self.out.push_str(suffix);
        let mut before = '{';
        for (name, value) in labels {
            self.out.push(before);
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.escaped(value);
            self.out.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let value = Shown(value);
        self.line(format_args!(" {value}\n"));
        self.series += 1;
    }

    /// How many samples were written.
    pub(super) const fn series(&self) -> usize {
        self.series
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.out
    }

    fn escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                c => self.out.push(c),
            }
        }
    }

    fn line(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _cannot_fail = self.out.write_fmt(arguments);
    }
}

/// A number as Prometheus spells it.
struct Shown(f64);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_infinite() {
            return f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" });
        }
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_scrapers_read_it() {
        let mut text = Text::new("serin");
        text.family("requests", Kind::Counter, "What it is.");
        text.sample("_total", &[("split", "shop"), ("odd", "a\"b\\c\nd")], 3.0);
        text.sample("_total", &[], f64::INFINITY);
        let expected = "# HELP serin_requests_total What it is.\n\
                        # TYPE serin_requests_total counter\n\
                        serin_requests_total{split=\"shop\",odd=\"a\\\"b\\\\c\\nd\"} 3\n\
                        serin_requests_total +Inf\n";
        assert_eq!(text.series(), 2);
        assert_eq!(text.finish(), expected);
    }
}

//! How long each step of a file will take, and which of them cannot decide.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::super::{
    forecast::{HEADINGS, time, to_find},
    screen::Tone,
    status::percent,
    table::{Cell, number, table, word},
};
use crate::{
    admin::wire::{Forecast, Latency},
    control::{Ahead, Traffic, roughly},
    measure::Latencies,
};

/// Points of a distribution that is known by its quantiles.
const POINTS: u32 = 4_000;

/// One split with what lies ahead.
#[derive(Debug)]
pub(super) struct Planned {
    /// Its name.
    pub(super) name: String,
    /// What is known of its traffic.
    pub(super) traffic: Traffic,
    /// Its steps.
    pub(super) steps: Vec<Ahead>,
}

/// A distribution with these quantiles, smooth between them.
pub(super) fn shape(seen: Latency) -> Latencies {
    // The share that is slower, and from which latency on; to both ends by guess.
    let knots = [
        (1.0, 0.5 * seen.p50),
        (0.5, seen.p50),
        (0.1, seen.p90),
        (0.01, seen.p99),
        (0.001, seen.p99_9),
        (0.000_1, 1.5 * seen.p99_9),
    ];
    let mut latencies = Latencies::new();
    for point in 0..POINTS {
        let slower = (f64::from(point) + 0.5) / f64::from(POINTS);
        let mut between = knots.iter().zip(knots.iter().skip(1));
        let found = between.find(|(from, to)| slower <= from.0 && slower >= to.0);
        let Some((from, to)) = found else { continue };
        let part = (slower / from.0).ln() / (to.0 / from.0).ln();
        let millis = from.1 * (to.1 / from.1).powf(part);
        if millis.is_finite() {
            latencies.record(Duration::from_secs_f64(millis.max(0.0) / 1e3));
        }
    }
    latencies
}

impl Planned {
    /// Whether a step cannot decide in its time.
    pub(super) fn is_slow(&self) -> bool {
        self.steps.iter().any(|step| step.warning.is_some())
    }

    /// How long all of it takes if all is well; `None`: a step waits for a person, or for ever.
    fn total(&self) -> Option<Duration> {
        self.steps.iter().map(|step| step.takes).sum()
    }

    fn total_in_words(&self) -> String {
        if self.steps.iter().all(|step| step.number == 0) {
            return "without steps this weight is held until the file or a person changes it"
                .into();
        }
        let known: Duration = self.steps.iter().filter_map(|step| step.takes).sum();
        let known = roughly(known.as_secs_f64());
        match self.total() {
            Some(_) => format!("{known} if all is well"),
            None if self.is_slow() => "a step cannot decide in its time".to_owned(),
            None => format!("{known} if all is well, and the waits for a person or a webhook"),
        }
    }
}

/// One split as JSON.
pub(super) fn as_json(split: &Planned) -> Value {
    let seconds = |takes: Option<Duration>| takes.map(|takes| takes.as_secs_f64());
    let step = |step: &Ahead| {
        json!({
            "number": step.number,
            "text": step.text,
            "weight": step.share.to_string(),
            "canary_rate": step.canary_rate,
            "seconds": seconds(step.takes),
            "forecast": step.forecast.as_ref().map(Forecast::from),
            "warning": step.warning,
        })
    };
    json!({
        "name": split.name,
        "rate": split.traffic.rate,
        "error_rate": split.traffic.error_rate,
        "seconds": seconds(split.total()),
        "steps": split.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

/// One split in words.
pub(super) fn as_text(split: &Planned, has_colour: bool) -> String {
    let Traffic {
        rate, error_rate, ..
    } = &split.traffic;
    let mut text = format!(
        "{}: {rate:.1} requests a second, {} of stable's fail\n",
        Tone::Head.paint(&split.name, has_colour),
        percent(*error_rate),
    );
    let mut rows = vec![heading(["STEP", "WHAT", "WEIGHT"])];
    if let Some(first) = rows.first_mut() {
        first.extend(["CANARY/S", "TAKES"].map(number));
    }
    rows.extend(split.steps.iter().map(step));
    text.push_str(&table(&rows, has_colour));
    text.push_str("  half of the bad canaries are found within, and half of the good ones pass:\n");
    let mut rows = vec![heading(["WEIGHT", "PASS"])];
    if let Some(first) = rows.first_mut() {
        first.extend(HEADINGS.map(|(_, words)| number(words)));
    }
    rows.extend(verdicts(&split.steps));
    text.push_str(&table(&rows, has_colour));
    // Writing to a String cannot fail.
    let _cannot_fail = writeln!(text, "  in all: {}", split.total_in_words());
    for warning in split
        .steps
        .iter()
        .filter_map(|step| step.warning.as_deref())
    {
        let title = Tone::Wait.paint("warning", has_colour);
        let _cannot_fail = writeln!(text, "  {title}: {warning}");
    }
    text
}

fn heading<const N: usize>(words: [&str; N]) -> Vec<Cell> {
    words.map(word).to_vec()
}

fn step(step: &Ahead) -> Vec<Cell> {
    let takes = match step.takes {
        Some(Duration::ZERO) => "-".to_owned(),
        Some(takes) => roughly(takes.as_secs_f64()),
        None if step.warning.is_some() => "too long".to_owned(),
        None => "waits".to_owned(),
    };
    vec![
        word(step.number.to_string()),
        word(&step.text),
        word(step.share.to_string()),
        number(format!("{:.1}", step.canary_rate)),
        number(takes),
    ]
}

/// A row for each share.
fn verdicts(steps: &[Ahead]) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let mut before = None;
    for step in steps {
        let is_new = before != Some(step.share);
        before = Some(step.share);
        let forecast = step.forecast.as_ref().filter(|_| is_new);
        // With the whole traffic on the canary there is nothing to compare with.
        let Some(forecast) = forecast.filter(|forecast| !forecast.to_fail.is_empty()) else {
            continue;
        };
        let forecast = Forecast::from(forecast);
        let mut row = vec![word(step.share.to_string()), number(time(forecast.to_pass))];
        row.extend(HEADINGS.map(|(effect, _)| number(time(to_find(&forecast, effect)))));
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_the_quantiles_that_were_seen() {
        let seen = Latency {
            p50: 12.0,
            p90: 30.0,
            p99: 80.0,
            p99_9: 240.0,
        };
        let latencies = shape(seen);
        for (quantile, millis) in [(0.5, 12.0), (0.9, 30.0), (0.99, 80.0), (0.999, 240.0)] {
            let found = latencies.quantile(quantile).unwrap().as_secs_f64() * 1e3;
            assert!((found / millis - 1.0).abs() < 0.06, "{quantile} {found}");
        }
    }
    #[test]
    fn a_weight_without_steps_has_no_end() {
        let total = |number| {
            let step = Ahead {
                number,
                text: "weight 5%".to_owned(),
                share: crate::model::Share::ZERO,
                canary_rate: 10.0,
                forecast: None,
                takes: None,
                warning: None,
            };
            let planned = Planned {
                name: "shop".to_owned(),
                traffic: Traffic::default(),
                steps: vec![step],
            };
            planned.total_in_words()
        };
        assert!(total(0).contains("is held until"), "{}", total(0));
        assert!(total(1).contains("waits for a person"), "{}", total(1));
    }
}

//! `serin plan`: how long each step of a file will take, and which of them cannot decide.

use std::{fmt::Write as _, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{
    Trouble,
    args::{Output, Plan},
    client::Client,
    forecast::{HEADINGS, time, to_find},
    offline::faulty,
    screen::{Screen, Tone},
    status::percent,
    table::{Cell, number, table, word},
    validate::read,
};
use crate::{
    admin::wire::{self, Forecast, Latency},
    config::{self, Config, Split},
    control::{Ahead, Traffic, ahead, roughly},
    measure::Latencies,
    model::number::real,
};

/// Stable's error rate if only a rate is given.
const ERROR_RATE: f64 = 0.005;
/// Points of a distribution that is known by its quantiles.
const POINTS: u32 = 4_000;
/// A step cannot decide in its time.
const TOO_SLOW: u8 = 1;

/// One split with what lies ahead.
struct Planned {
    name: String,
    traffic: Traffic,
    steps: Vec<Ahead>,
}

/// Reads the file, learns the traffic, and prints every step; the exit code.
pub(super) async fn plan(screen: &mut Screen, wanted: &Plan) -> Result<u8, Trouble> {
    let config = load(&wanted.file)?;
    let mut planned = Vec::new();
    for split in chosen(&config, wanted.split.as_deref())? {
        let traffic = traffic(split, wanted).await?;
        let steps = ahead(split, &traffic);
        planned.push(Planned {
            name: split.name.to_string(),
            traffic,
            steps,
        });
    }
    let text = match wanted.ask.output {
        Output::Json => format!("{:#}\n", as_json(&planned)),
        Output::Text | Output::Wide => as_text(&planned, screen.has_colour()),
    };
    screen.write(&text)?;
    let is_slow = planned.iter().any(Planned::is_slow);
    Ok(if is_slow { TOO_SLOW } else { 0 })
}

fn load(file: &Path) -> Result<Config, Trouble> {
    let is_stdin = file == Path::new("-");
    let name = file.display().to_string();
    let text = read(file, is_stdin).map_err(|error| {
        Trouble::unasked(
            format!("cannot read {name}: {error}"),
            "give the path of a file, or `-`",
        )
    })?;
    let (config, _warnings) =
        config::load(&text, &name).map_err(|problems| faulty(file, &problems))?;
    Ok(config)
}

/// The splits with a canary, or the one that was named.
fn chosen<'a>(config: &'a Config, only: Option<&str>) -> Result<Vec<&'a Split>, Trouble> {
    let has_canary = |split: &&Split| split.canary.is_some();
    let all: Vec<&Split> = config.splits.iter().filter(has_canary).collect();
    let names: Vec<&str> = all.iter().map(|split| split.name.as_str()).collect();
    let Some(only) = only else {
        return Ok(all);
    };
    match all.iter().find(|split| split.name.as_str() == only) {
        Some(split) => Ok(vec![split]),
        None => Err(Trouble::refused(
            format!("there is no split `{only}` with a canary"),
            format!("there are: {}", names.join(", ")),
        )),
    }
}

/// As given, or as the running proxy sees it.
async fn traffic(split: &Split, wanted: &Plan) -> Result<Traffic, Trouble> {
    if let Some(rate) = wanted.rate {
        return Ok(Traffic {
            rate,
            error_rate: wanted.error_rate.unwrap_or(ERROR_RATE),
            latency: Latencies::new(),
        });
    }
    let client = Client::new(&wanted.ask.admin)?;
    let path = format!("/v1/splits/{}", split.name);
    let found: Result<wire::Split, Trouble> = client.get(&path).await;
    let seen = found.map_err(|trouble| unknown(&trouble.message))?;
    let rate = seen.versions.iter().map(|version| version.rate).sum();
    if rate <= 0.0 {
        return Err(unknown(&format!(
            "{} has no traffic at {}",
            split.name,
            client.shown()
        )));
    }
    let stable = seen
        .versions
        .iter()
        .find(|version| version.role == "stable");
    let failed = stable.map(|stable| real(stable.failures) / real(stable.requests.max(1)));
    Ok(Traffic {
        rate,
        error_rate: wanted.error_rate.or(failed).unwrap_or(ERROR_RATE),
        latency: stable
            .and_then(|stable| stable.latency_ms)
            .map_or_else(Latencies::new, shape),
    })
}

/// A distribution with these quantiles, smooth between them.
fn shape(seen: Latency) -> Latencies {
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

fn unknown(why: &str) -> Trouble {
    let help = "give it with --rate (requests a second of both versions), or name a running proxy \
                with --admin";
    Trouble::unasked(format!("the rate of requests is not known: {why}"), help)
}

impl Planned {
    fn is_slow(&self) -> bool {
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

fn as_json(planned: &[Planned]) -> Value {
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
    let split = |split: &Planned| {
        json!({
            "name": split.name,
            "rate": split.traffic.rate,
            "error_rate": split.traffic.error_rate,
            "seconds": seconds(split.total()),
            "steps": split.steps.iter().map(step).collect::<Vec<_>>(),
        })
    };
    json!({
        "ok": !planned.iter().any(Planned::is_slow),
        "splits": planned.iter().map(split).collect::<Vec<_>>(),
    })
}

fn as_text(planned: &[Planned], has_colour: bool) -> String {
    if planned.is_empty() {
        return "no split has a canary\n".to_owned();
    }
    let shown: Vec<String> = planned
        .iter()
        .map(|split| show(split, has_colour))
        .collect();
    shown.join("\n")
}

fn show(split: &Planned, has_colour: bool) -> String {
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

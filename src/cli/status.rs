//! `serin status`: one screen that says how things stand.

use std::{fmt::Write as _, time::Duration};

use super::{
    Trouble,
    args::{self, Output},
    client::Client,
    forecast,
    screen::{Screen, Tone},
    table::{number, table, word},
    why::doubt,
};
use crate::{
    admin::wire::{
        self, Config, Counts, Frame, Latency, Split, Splits, Step, Upstream, Upstreams, Version,
    },
    model::number::real,
};

/// Between two tries to reach a process that has gone.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows once, or keeps showing.
pub(super) async fn status(screen: &mut Screen, status: args::Status) -> Result<(), Trouble> {
    let client = Client::new(&status.ask.admin)?;
    let only = status.split.as_deref();
    if status.watch {
        return watch(screen, &client, only, status.ask.output).await;
    }
    let splits = splits(&client, only).await?;
    if status.ask.output.is_json() {
        return Ok(screen.write(&(wire::to_pretty_json(&splits) + "\n"))?);
    }
    let mut text = String::new();
    if only.is_none() {
        let config: Config = client.get("/v1/config").await?;
        config_problem(&mut text, &config, screen.has_colour());
    }
    show_splits(&mut text, &splits.splits, screen.has_colour());
    if only.is_none() {
        let upstreams: Upstreams = client.get("/v1/upstreams").await?;
        show_upstreams(&mut text, &upstreams.upstreams, screen.has_colour());
    }
    Ok(screen.write(&text)?)
}

/// All splits, or the one that was named.
pub(super) async fn splits(client: &Client, only: Option<&str>) -> Result<Splits, Trouble> {
    match only {
        None => client.get("/v1/splits").await,
        Some(name) => {
            let split: Split = client.get(&format!("/v1/splits/{name}")).await?;
            Ok(Splits {
                splits: vec![split],
            })
        }
    }
}

/// Until Ctrl-C; goes on when the process comes back.
async fn watch(
    screen: &mut Screen,
    client: &Client,
    only: Option<&str>,
    output: Output,
) -> Result<(), Trouble> {
    let mut events = client.events().await?;
    loop {
        while let Some((kind, data)) = events.next().await {
            if kind == "status" {
                draw(screen, client, only, output, &data)?;
            }
        }
        events = loop {
            tokio::time::sleep(AGAIN).await;
            match client.events().await {
                Ok(events) => break events,
                Err(gone) if !output.is_json() => screen.redraw(&gone.to_string())?,
                Err(_) => {}
            }
        };
    }
}

fn draw(
    screen: &mut Screen,
    client: &Client,
    only: Option<&str>,
    output: Output,
    data: &str,
) -> Result<(), Trouble> {
    let mut frame: Frame = wire::from_json(data.as_bytes()).map_err(|error| {
        let help = "is it a serin of the same version?";
        Trouble::unasked(
            format!("cannot understand {}: {error}", client.shown()),
            help,
        )
    })?;
    if let Some(name) = only {
        frame.splits.retain(|split| split.name == name);
    }
    if output.is_json() {
        return Ok(screen.write(&(wire::to_json(&frame) + "\n"))?);
    }
    Ok(screen.redraw(&show_frame(&frame, client.shown(), screen.has_colour()))?)
}

fn show_frame(frame: &Frame, place: &str, has_colour: bool) -> String {
    let (state, tone) = match (frame.is_draining, frame.is_ready) {
        (true, _) => ("going down", Tone::Wait),
        (false, true) => ("ready", Tone::Good),
        (false, false) => ("not ready", Tone::Bad),
    };
    let (state, generation, at) = (
        tone.paint(state, has_colour),
        frame.generation,
        clock(&frame.at),
    );
    let mut text = format!("serin at {place}: {state}, plan {generation}, {at} UTC\n\n");
    config_problem(&mut text, &frame.config, has_colour);
    show_splits(&mut text, &frame.splits, has_colour);
    show_upstreams(&mut text, &frame.upstreams, has_colour);
    text
}

/// The time of day in an RFC 3339 moment.
pub(super) fn clock(at: &str) -> &str {
    at.get(11..19).unwrap_or(at)
}

fn config_problem(text: &mut String, config: &Config, has_colour: bool) {
    if let Some(problem) = &config.problem {
        let title = "the last file was bad; the one before it is in force:";
        say(
            text,
            format_args!(
                "{}\n{}\n\n",
                Tone::Bad.paint(title, has_colour),
                problem.trim_end()
            ),
        );
    }
}

fn show_splits(text: &mut String, splits: &[Split], has_colour: bool) {
    if splits.is_empty() {
        text.push_str("no splits\n\n");
    }
    for split in splits {
        let phase = Tone::of(&split.phase).paint(&split.phase, has_colour);
        let name = Tone::Head.paint(&split.name, has_colour);
        say(text, format_args!("{name}  {phase}"));
        // A rollout that has ended stands at a step, but no step is under way.
        let is_under_way = matches!(split.phase.as_str(), "progressing" | "paused");
        if let Some(step) = split.step.as_ref().filter(|_| is_under_way) {
            show_step(text, step);
        }
        say(text, format_args!("  epoch {}\n", split.epoch));
        if !split.phase_reason.is_empty() {
            say(text, format_args!("  {}\n", split.phase_reason));
        }
        weight(text, split);
        if let Some(analysis) = &split.analysis {
            let verdict = Tone::of(&analysis.verdict).paint(&analysis.verdict, has_colour);
            say(text, format_args!("  verdict {verdict}"));
            // Of a rollout that is over, the reason above is the last word.
            let is_over = matches!(split.phase.as_str(), "rolled_back" | "promoted");
            let is_said = analysis.why.is_empty() || analysis.why == split.phase_reason;
            let why = if is_said || is_over {
                String::new()
            } else {
                format!(": {}", analysis.why)
            };
            say(text, format_args!("{why}\n"));
            if !is_over {
                doubt(text, analysis);
            }
        }
        tried(text, split, has_colour);
        budget(text, split);
        streams(text, split);
        shadow(text, split, has_colour);
        outlook(text, split, has_colour);
        let mut rows = vec![heading()];
        rows.extend(split.versions.iter().map(version));
        text.push_str(&table(&rows, has_colour));
        text.push('\n');
    }
}

/// Metrics that are tried only, and would have rolled the canary back.
fn tried(text: &mut String, split: &Split, has_colour: bool) {
    let judged = split.analysis.iter().flat_map(|analysis| &analysis.metrics);
    for metric in judged.filter(|metric| metric.is_dry_run && metric.verdict == "fail") {
        let title = Tone::Wait.paint("dry run", has_colour);
        let (canary, stable) = (counts(metric.canary), counts(metric.stable));
        say(
            text,
            format_args!(
                "  {title}: {} would have rolled back: canary {canary}, stable {stable}\n",
                metric.metric
            ),
        );
    }
}

fn budget(text: &mut String, split: &Split) {
    if let Some(budget) = &split.harm_budget {
        let (spent, all) = (budget.spent, budget.failed_requests);
        say(
            text,
            format_args!("  harm budget: {spent:.0} of {all} failed requests\n"),
        );
    }
}

/// Streams that outlive the choice of their version, if there are any.
fn streams(text: &mut String, split: &Split) {
    let open = split.versions.iter().filter(|it| it.streams > 0);
    let open: Vec<_> = open
        .map(|it| format!("{} on {}", it.streams, it.version))
        .collect();
    if !open.is_empty() {
        say(
            text,
            format_args!("  long-lived streams: {}\n", open.join(", ")),
        );
    }
}

/// Only when something is amiss: most people never need to know of it.
fn shadow(text: &mut String, split: &Split, has_colour: bool) {
    let Some(shadow) = split.shadow.filter(|shadow| shadow.alarms > 0) else {
        return;
    };
    let title = Tone::Bad.paint("alarms of the shadow A/A", has_colour);
    let words = "stable was found worse than itself, a rollback may be false";
    say(
        text,
        format_args!("  {title}: {} ({words})\n", shadow.alarms),
    );
}

fn show_step(text: &mut String, step: &Step) {
    let Step {
        number,
        of,
        text: words,
        ends_at,
    } = step;
    say(text, format_args!(", step {number} of {of}: {words}"));
    if let Some(end) = ends_at {
        say(text, format_args!(" (until {})", clock(end)));
    }
}

fn weight(text: &mut String, split: &Split) {
    let Some(canary) = &split.canary else { return };
    say(
        text,
        format_args!("  canary {canary} at {}", split.weight.effective),
    );
    if let Some(observed) = split.weight.observed {
        say(text, format_args!(", seen {}", percent(observed)));
    }
    match &split.weight.configured {
        Some(written) if *written != split.weight.effective => {
            say(text, format_args!(", {written} in the file\n"));
        }
        _ => text.push('\n'),
    }
}

fn outlook(text: &mut String, split: &Split, has_colour: bool) {
    let is_decided = split
        .analysis
        .as_ref()
        .is_some_and(|it| it.verdict == "fail");
    let forecast = split.forecast.as_ref().filter(|_| !is_decided);
    let decides = forecast.map(forecast::sentence);
    if let Some(decides) = decides.filter(|decides| !decides.is_empty()) {
        say(text, format_args!("  decides: {decides}\n"));
    }
    for warning in &split.warnings {
        let title = Tone::Wait.paint("warning", has_colour);
        say(text, format_args!("  {title}: {warning}\n"));
    }
}

fn heading() -> Vec<super::table::Cell> {
    let numbers = [
        "REQUESTS",
        "FAILED",
        "PER SECOND",
        "p50",
        "p90",
        "p99",
        "p99.9",
    ];
    let words = ["ROLE", "VERSION"].map(word);
    words.into_iter().chain(numbers.map(number)).collect()
}

fn version(version: &Version) -> Vec<super::table::Cell> {
    let failed = match version.requests {
        0 => "-".to_owned(),
        all => percent(real(version.failures) / real(all)),
    };
    let latency = |chosen: fn(&Latency) -> f64| {
        let chosen = version.latency_ms.as_ref().map(chosen);
        number(chosen.map_or_else(|| "-".to_owned(), millis))
    };
    vec![
        word(&version.role),
        word(&version.version),
        number(version.requests.to_string()),
        number(failed),
        number(format!("{:.1}", version.rate)),
        latency(|latency| latency.p50),
        latency(|latency| latency.p90),
        latency(|latency| latency.p99),
        latency(|latency| latency.p99_9),
    ]
}

fn show_upstreams(text: &mut String, upstreams: &[Upstream], has_colour: bool) {
    let heading = vec![
        word("UPSTREAM"),
        number("USABLE"),
        number("ALL"),
        word("PROBLEM"),
    ];
    let row = |upstream: &Upstream| {
        let usable = number(upstream.usable_endpoints.to_string());
        let tone = if upstream.usable_endpoints == 0 {
            Tone::Bad
        } else {
            Tone::Plain
        };
        vec![
            word(&upstream.name),
            usable.tone(tone),
            number(upstream.endpoints.to_string()),
            word(upstream.problem.as_deref().unwrap_or_default()).tone(Tone::Bad),
        ]
    };
    let rows: Vec<_> = std::iter::once(heading)
        .chain(upstreams.iter().map(row))
        .collect();
    text.push_str(&table(&rows, has_colour));
}

/// A ratio as people read it.
pub(super) fn percent(ratio: f64) -> String {
    format!("{:.2}%", 100.0 * ratio)
}

/// Hits of trials.
pub(super) fn counts(counts: Counts) -> String {
    let Counts { hits, trials } = counts;
    format!("{hits}/{trials} = {}", percent(counts.ratio()))
}

fn millis(millis: f64) -> String {
    match millis {
        short if short < 9.995 => format!("{short:.2} ms"),
        middle if middle < 99.95 => format!("{middle:.1} ms"),
        long if long < 9_999.5 => format!("{long:.0} ms"),
        longer => format!("{:.1} s", longer / 1e3),
    }
}

fn say(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _cannot_fail = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_has_three_figures() {
        let cases = [
            (0.05, "0.05 ms"),
            (9.994, "9.99 ms"),
            (9.996, "10.0 ms"),
            (80.0, "80.0 ms"),
            (999.7, "1000 ms"),
            (12_345.0, "12.3 s"),
        ];
        for (latency, expected) in cases {
            assert_eq!(millis(latency), expected);
        }
    }
}

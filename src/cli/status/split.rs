//! One split in words.

use std::fmt::Write as _;

use crate::{
    admin::wire::{Analysis, Latency, Metric, Rollback, Split, Step, Version},
    cli::{
        args::Output,
        figures::{clock, counts, evidence, millis, percent, points},
        forecast,
        screen::{Screen, Tone},
        table::{Cell, number, table, word},
        why::{doubt, metrics},
    },
    model::number::real,
};

/// How much is shown, and whether in colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Whether there may be colours.
    pub(super) has_colour: bool,
    is_wide: bool,
}

impl Look {
    /// What was asked for, on this screen.
    pub(super) const fn new(output: Output, screen: &Screen) -> Self {
        Self {
            has_colour: screen.has_colour(),
            is_wide: output.is_wide(),
        }
    }
}

/// All splits, each as a paragraph.
pub(super) fn show_splits(text: &mut String, splits: &[Split], look: Look) {
    let has_colour = look.has_colour;
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
                judged(text, analysis, look);
            }
        }
        last_change(text, split);
        rolled_back(text, split);
        tried(text, split, has_colour);
        budget(text, split);
        shadow(text, split, has_colour);
        outlook(text, split, has_colour);
        let versions = split.versions.iter();
        let rows: Vec<_> = std::iter::once(heading(look))
            .chain(versions.map(|it| version(it, look)))
            .collect();
        text.push_str(&table(&rows, has_colour));
        text.push('\n');
    }
}

/// How far the evidence is, and the metric that says most.
fn judged(text: &mut String, analysis: &Analysis, look: Look) {
    let (now, limit) = (evidence(analysis.evidence), evidence(analysis.threshold));
    let requests = analysis.canary_requests;
    say(
        text,
        format_args!(
            "  evidence {now}, rolled back at {limit}; {requests} canary requests judged\n"
        ),
    );
    doubt(text, analysis);
    if look.is_wide && !analysis.metrics.is_empty() {
        metrics(text, analysis, look.has_colour);
        text.push('\n');
    } else if let Some(metric) = worst(analysis) {
        let [low, high] = metric.interval.map(points);
        let (name, estimate) = (&metric.metric, points(metric.estimate));
        let margin = points(metric.margin);
        say(
            text,
            format_args!(
                "  worst metric: {name} {estimate}, between {low} and {high}; allowed {margin}\n"
            ),
        );
    }
}

/// The metric with the most evidence, of those that count.
pub(in crate::cli) fn worst(analysis: &Analysis) -> Option<&Metric> {
    let counting = analysis.metrics.iter().filter(|it| !it.is_dry_run);
    counting.max_by(|a, b| a.evidence.total_cmp(&b.evidence))
}

/// Who changed what last.
fn last_change(text: &mut String, split: &Split) {
    let Some(last) = split.history.last() else {
        return;
    };
    let (at, what, weight, by) = (clock(&last.at), &last.what, &last.weight, &last.by);
    say(
        text,
        format_args!("  last change: {at} {what}, canary {weight}, by {by}\n"),
    );
}

/// When the last rollback broke, was found, applied and complete, and what it had cost.
fn rolled_back(text: &mut String, split: &Split) {
    let Some(rollback) = &split.rollback else {
        return;
    };
    say(
        text,
        format_args!("  rollback of epoch {}: ", rollback.epoch),
    );
    say(text, format_args!("{}\n", moments(rollback)));
    say(
        text,
        format_args!(
            "  it cost: {}; evidence: {}\n",
            cost(rollback),
            rollback.evidence
        ),
    );
}

/// Each stage of a rollback.
pub(in crate::cli) fn moments(rollback: &Rollback) -> String {
    let [broke, found, applied] =
        [&rollback.broke_at, &rollback.found_at, &rollback.applied_at].map(|at| millis_of(at));
    let complete = rollback.complete_at.as_deref().map(millis_of);
    let complete = complete.unwrap_or("not yet");
    let cause = &rollback.cause;
    format!("{cause}; broke {broke}, found {found}, applied {applied}, complete {complete}")
}

/// Who paid for it.
pub(in crate::cli) fn cost(rollback: &Rollback) -> String {
    let users = rollback
        .users
        .map_or_else(|| "unknown".to_owned(), |it| it.to_string());
    format!(
        "{} failed requests, users: {users}",
        rollback.failed_requests
    )
}

/// The time of day with milliseconds.
fn millis_of(at: &str) -> &str {
    at.get(11..23).unwrap_or_else(|| clock(at))
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

fn heading(look: Look) -> Vec<Cell> {
    let numbers = [
        "PER SECOND",
        "REQUESTS",
        "FAILED",
        "USERS",
        "STREAMS",
        "p50",
        "p99",
    ];
    let wide = ["p90", "p99.9", "CLIENTS SAW FAIL", "RESCUED"]
        .into_iter()
        .filter(|_| look.is_wide);
    let words = ["ROLE", "VERSION"].map(word);
    let numbers = numbers.into_iter().chain(wide);
    words.into_iter().chain(numbers.map(number)).collect()
}

fn version(version: &Version, look: Look) -> Vec<Cell> {
    let failed = match version.requests {
        0 => "-".to_owned(),
        all => percent(real(version.failures) / real(all)),
    };
    let latency = |chosen: fn(&Latency) -> f64| {
        let chosen = version.latency_ms.as_ref().map(chosen);
        number(chosen.map_or_else(|| "-".to_owned(), millis))
    };
    let mut cells = vec![
        word(&version.role),
        word(&version.version),
        number(format!("{:.1}", version.rate)),
        number(version.requests.to_string()),
        number(failed),
        number(users(version)),
        number(version.streams.to_string()),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
    ];
    if look.is_wide {
        cells.push(latency(|latency| latency.p90));
        cells.push(latency(|latency| latency.p99_9));
        cells.push(number(version.answers_failed.to_string()));
        cells.push(number(version.rescued.to_string()));
    }
    cells
}

/// How many were exposed; `-`: they are not told apart.
pub(in crate::cli) fn users(version: &Version) -> String {
    version
        .users
        .map_or_else(|| "-".to_owned(), |users| users.to_string())
}

fn say(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _cannot_fail = text.write_fmt(arguments);
}

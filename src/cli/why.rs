//! `serin why`: the evidence, and what was decided when.

use std::fmt::Write as _;

use super::{
    Trouble, args,
    client::Client,
    figures::{clock, counts, evidence, points},
    rollouts,
    screen::{Screen, Tone},
    status::splits,
    table::{number, table, word},
};
use crate::admin::wire::{self, Analysis, Decision, Metric, Part, Split};

/// How many parts of the evidence are shown.
const PARTS_MAX: usize = 5;
/// What a latency metric counts.
const OF_LATENCY: &str =
    "  (latency_pN: slower than stable's pN when the stage began, the canary by the margin)\n";

/// The evidence of one split, or of all.
pub(super) async fn why(screen: &mut Screen, why: args::Why) -> Result<(), Trouble> {
    let client = Client::new(&why.ask.admin)?;
    if let Some(id) = rollouts::meant(&client, &why).await? {
        return rollouts::show(screen, &client, &id, why.ask.output).await;
    }
    let splits = splits(&client, why.split.as_deref()).await?;
    if why.ask.output.is_json() {
        return Ok(screen.write(&(wire::to_pretty_json(&splits) + "\n"))?);
    }
    let mut text = String::new();
    for split in &splits.splits {
        if !text.is_empty() {
            text.push('\n');
        }
        explain(&mut text, split, screen.has_colour());
    }
    if text.is_empty() {
        text.push_str("no splits\n");
    }
    Ok(screen.write(&text)?)
}

fn explain(text: &mut String, split: &Split, has_colour: bool) {
    let name = Tone::Head.paint(&split.name, has_colour);
    let phase = Tone::of(&split.phase).paint(&split.phase, has_colour);
    let canary = split.canary.as_deref().unwrap_or("none");
    let (weight, epoch) = (&split.weight.effective, split.epoch);
    say(
        text,
        format_args!("{name}  {phase}, canary {canary} at {weight}, epoch {epoch}\n"),
    );
    let judged_so = split.analysis.as_ref().map(|analysis| &analysis.why);
    if !split.phase_reason.is_empty() && judged_so != Some(&split.phase_reason) {
        say(text, format_args!("  because: {}\n", split.phase_reason));
    }
    match &split.analysis {
        Some(analysis) => judged(text, analysis, has_colour),
        None if matches!(split.phase.as_str(), "rolled_back" | "promoted") => say(
            text,
            format_args!(
                "  `serin why --rollout {}-{}` shows what that rested on\n",
                split.name, split.epoch
            ),
        ),
        None => text.push_str("  nothing is judged: the canary has had no share yet\n"),
    }
    if !split.history.is_empty() {
        decisions(text, split.history.iter(), has_colour);
    }
}

/// What was decided, line by line.
pub(super) fn decisions<'a>(
    text: &mut String,
    decided: impl Iterator<Item = &'a Decision>,
    has_colour: bool,
) {
    text.push('\n');
    let heading = ["AT (UTC)", "WHAT", "CANARY", "BY", "WHY"].map(word);
    let rows: Vec<_> = std::iter::once(heading.to_vec())
        .chain(decided.map(decision))
        .collect();
    text.push_str(&table(&rows, has_colour));
}

/// What the judge says, and the numbers that it says it by.
pub(super) fn judged(text: &mut String, analysis: &Analysis, has_colour: bool) {
    let verdict = Tone::of(&analysis.verdict).paint(&analysis.verdict, has_colour);
    say(
        text,
        format_args!("  verdict {verdict}: {}\n", analysis.why),
    );
    let (evidence, threshold) = (evidence(analysis.evidence), evidence(analysis.threshold));
    say(
        text,
        format_args!("  evidence {evidence}; at {threshold} the canary is rolled back\n"),
    );
    place(text, analysis);
    if !analysis.metrics.is_empty() {
        metrics(text, analysis, has_colour);
    }
    if !analysis.parts.is_empty() {
        parts(text, analysis, has_colour);
    }
    if !analysis.first_failed.is_empty() {
        let ids = analysis.first_failed.join(" ");
        say(text, format_args!("\n  first failed request ids: {ids}\n"));
    }
}

/// Where it is, what it has cost, and why nothing may be concluded.
fn place(text: &mut String, analysis: &Analysis) {
    if let Some(route) = &analysis.route {
        say(text, format_args!("  on route {route}\n"));
    }
    if let Some(suspect) = &analysis.suspect {
        let (bad, others) = (counts(suspect.counts), counts(suspect.others));
        say(
            text,
            format_args!(
                "  one endpoint stands out: {} failed {bad}, the others {others}; \
                 it may be the machine and not the version\n",
                suspect.endpoint
            ),
        );
    }
    if analysis.harm >= 0.5 {
        let harm = analysis.harm;
        say(
            text,
            format_args!("  about {harm:.0} requests failed beyond what is tolerated\n"),
        );
    }
    if analysis.is_worse && analysis.verdict != "fail" {
        text.push_str("  it is proven to fail more than stable, though within the margin\n");
    }
    doubt(text, analysis);
}

/// Why nothing may be promoted, unless the verdict's own sentence says so.
pub(super) fn doubt(text: &mut String, analysis: &Analysis) {
    let invalid = analysis.invalid.as_ref();
    let is_open = analysis.verdict != "fail";
    if let Some(invalid) = invalid.filter(|it| is_open && !analysis.why.contains(it.as_str())) {
        say(text, format_args!("  nothing is promoted: {invalid}\n"));
    }
}

fn parts(text: &mut String, analysis: &Analysis, has_colour: bool) {
    text.push('\n');
    let heading = vec![
        word("PART OF THE EVIDENCE"),
        word("ROUTE"),
        number("CANARY HITS"),
        number("EVIDENCE"),
    ];
    let row = |part: &Part| {
        vec![
            word(&part.cause),
            word(part.route.as_deref().unwrap_or("(all)")),
            number(part.hits.to_string()),
            number(evidence(part.evidence)),
        ]
    };
    let shown = analysis.parts.iter().take(PARTS_MAX);
    let rows: Vec<_> = std::iter::once(heading).chain(shown.map(row)).collect();
    text.push_str(&table(&rows, has_colour));
}

/// Every metric, line by line.
pub(super) fn metrics(text: &mut String, analysis: &Analysis, has_colour: bool) {
    text.push('\n');
    let heading = vec![
        word("METRIC"),
        word("VERDICT"),
        number("CANARY"),
        number("STABLE"),
        number("DIFFERENCE"),
        number("BETWEEN"),
        number("ALLOWED"),
        number("EVIDENCE"),
    ];
    let rows: Vec<_> = std::iter::once(heading)
        .chain(analysis.metrics.iter().map(metric))
        .collect();
    text.push_str(&table(&rows, has_colour));
    let mut metrics = analysis.metrics.iter();
    if metrics.any(|metric| metric.metric.starts_with("latency_")) {
        text.push_str(OF_LATENCY);
    }
}

fn metric(metric: &Metric) -> Vec<super::table::Cell> {
    let [low, high] = metric.interval;
    vec![
        word(&metric.metric),
        verdict(metric),
        number(counts(metric.canary)),
        number(counts(metric.stable)),
        number(points(metric.estimate)),
        number(format!("{} .. {}", points(low), points(high))),
        number(points(metric.margin)),
        number(evidence(metric.evidence)),
    ]
}

fn verdict(metric: &Metric) -> super::table::Cell {
    if metric.is_dry_run {
        return word(format!("{} (dry run)", metric.verdict));
    }
    word(&metric.verdict).tone(Tone::of(&metric.verdict))
}

fn decision(decision: &Decision) -> Vec<super::table::Cell> {
    vec![
        word(clock(&decision.at)),
        word(&decision.what).tone(Tone::of(&decision.what)),
        word(&decision.weight),
        word(&decision.by),
        word(&decision.why),
    ]
}

/// Writes to a text.
pub(super) fn say(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _cannot_fail = text.write_fmt(arguments);
}

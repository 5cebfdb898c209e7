//! The chosen split: its verdict, its versions, how they moved, and how they differ.

use std::collections::VecDeque;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Sparkline,
};

use super::{NARROW, height, lines, loud, shout, span, style};
use crate::{
    admin::wire::{Analysis, Metric, Split, Version},
    cli::{
        figures::{clock, evidence, millis, percent, points},
        forecast,
        screen::Tone,
        status::{cost, moments, users, worst},
        top::state::{Top, Trend},
    },
    model::number::{length, real, real_len, whole},
};

/// Metrics that are shown, the worst first.
const METRICS_MAX: usize = 6;
/// Metrics that are shown where there are fewer lines than this.
const METRICS_FEW: usize = 3;
const TALL: u16 = 30;
/// Lines of the trends.
const TRENDS: u16 = 4;
/// A sentence has no more lines.
const SENTENCE_LINES: usize = 2;
/// Columns of the bar of the evidence.
const BAR: f64 = 20.0;
/// Columns of what stands before and after a bar.
const NAME: u16 = 14;
const FIGURE: u16 = 10;
/// Columns of a difference, its margin and its verdict.
const FIGURES: usize = 36;

/// How many lines each part wants.
pub(super) fn heights(top: &Top, split: &Split, area: Rect) -> [u16; 4] {
    let most = if area.height < TALL {
        METRICS_FEW
    } else {
        METRICS_MAX
    };
    let metrics = metrics(split).len().min(most);
    let metrics = height(metrics) + u16::from(metrics > 0);
    let trends = top.trends(&split.name).map_or(0, |_| TRENDS);
    let versions = height(split.versions.len()) + 1;
    let verdict = verdict(top, split, area.width).len();
    [height(verdict), versions, metrics, trends]
}

/// Part after part, until there is no room left.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    top: &Top,
    (split, wanted): (&Split, [u16; 4]),
) {
    let mut left = area;
    let mut next = |wanted: u16| {
        let [part, rest] = Layout::vertical([
            Constraint::Length(wanted.min(left.height)),
            Constraint::Min(0),
        ])
        .areas(left);
        left = rest;
        part
    };
    let [of_verdict, of_versions, of_metrics, of_trends] = wanted.map(&mut next);
    lines(frame, of_verdict, verdict(top, split, area.width));
    lines(frame, of_versions, versions(split, area.width, top));
    lines(frame, of_metrics, differences(split, area.width, top));
    trends(frame, of_trends, top, split);
}

/// What is thought of the canary, and how things stand.
fn verdict(top: &Top, split: &Split, width: u16) -> Vec<Line<'static>> {
    let mut all = Vec::new();
    // Of a rollout that is over, its end is the last word.
    let is_over = is_over(split);
    let judged = split.analysis.as_ref().filter(|_| !is_over);
    let word = match judged {
        Some(it) => loud(shout(&it.verdict), Tone::of(&it.verdict), top),
        None if is_over => loud(shout(&split.phase), Tone::of(&split.phase), top),
        None => loud("NOT JUDGED", Tone::Plain, top),
    };
    let why = judged.map_or("", |it| it.why.as_str());
    let why = if why.is_empty() {
        &split.phase_reason
    } else {
        why
    };
    let mut why = wrapped(why, width, word.width() + 1).into_iter();
    let first = Span::raw(format!(" {}", why.next().unwrap_or_default()));
    all.push(Line::from(vec![word, first]));
    all.extend(why.map(Line::from));
    let step = split.step.as_ref().filter(|_| !is_over).map(|step| {
        let end = step.ends_at.as_deref().map(clock);
        let end = end.map_or_else(String::new, |end| format!(", until {end}"));
        format!("step {} of {}: {}{end}; ", step.number, step.of, step.text)
    });
    let (step, epoch) = (step.unwrap_or_default(), split.epoch);
    all.push(Line::from(format!("{step}epoch {epoch}")));
    all.extend(judged.map(gauge));
    let mut notes = Vec::new();
    if let Some(budget) = &split.harm_budget {
        let (spent, all) = (budget.spent, budget.failed_requests);
        notes.push(format!("harm budget {spent:.0} of {all} failed requests"));
    }
    let decides = split.forecast.as_ref().map(forecast::sentence);
    notes.extend(
        decides
            .filter(|it| !it.is_empty())
            .map(|it| format!("decides: {it}")),
    );
    if !notes.is_empty() {
        all.extend(
            wrapped(&notes.join("; "), width, 0)
                .into_iter()
                .map(Line::from),
        );
    }
    if let Some(last) = split.history.last() {
        let (at, what, weight, by) = (clock(&last.at), &last.what, &last.weight, &last.by);
        all.push(Line::from(format!(
            "last change {at}: {what}, canary {weight}, by {by}"
        )));
    }
    if let Some(rollback) = &split.rollback {
        let (epoch, moments, cost) = (rollback.epoch, moments(rollback), cost(rollback));
        let told = format!("rollback of epoch {epoch}: {moments}; it cost {cost}");
        all.extend(wrapped(&told, width, 0).into_iter().map(Line::from));
    }
    let warnings = split.warnings.iter();
    let warnings = warnings.flat_map(|it| wrapped(&format!("warning: {it}"), width, 0));
    all.extend(warnings.map(|it| Line::from(span(it, Tone::Wait, top))));
    all
}

/// A sentence in lines; the first one begins after so many columns.
fn wrapped(sentence: &str, width: u16, begun: usize) -> Vec<String> {
    let width = usize::from(width);
    let mut lines = vec![String::new()];
    let mut used = begun;
    for word in sentence.split_whitespace() {
        let length = word.chars().count();
        let is_full = used > 0 && used + 1 + length > width;
        if is_full && lines.len() < SENTENCE_LINES {
            lines.push(format!("  {word}"));
            used = length + 2;
        } else if let Some(line) = lines.last_mut() {
            let gap = if line.is_empty() { "" } else { " " };
            line.push_str(gap);
            line.push_str(word);
            used += length + gap.len();
        }
    }
    lines
}

/// Whether its rollout has ended.
pub(super) fn is_over(split: &Split) -> bool {
    matches!(split.phase.as_str(), "rolled_back" | "promoted")
}

/// Evidence is a product: its bar grows with its logarithm.
fn gauge(analysis: &Analysis) -> Line<'static> {
    let part = analysis.evidence.max(1.0).ln() / analysis.threshold.max(2.0).ln();
    let full = length(whole((part.clamp(0.0, 1.0) * BAR).round()));
    let rest = length(whole(BAR)).saturating_sub(full);
    let (now, limit) = (evidence(analysis.evidence), evidence(analysis.threshold));
    let (full, rest) = ("#".repeat(full), ".".repeat(rest));
    Line::from(format!(
        "evidence [{full}{rest}] {now}; rolled back at {limit}"
    ))
}

/// A line for each version, with fewer columns where there is less room.
fn versions(split: &Split, width: u16, top: &Top) -> Vec<Line<'static>> {
    let is_narrow = width < NARROW;
    let heading = ["/s", "REQUESTS", "FAILED", "USERS", "STREAMS", "p50", "p99"];
    let rows = split
        .versions
        .iter()
        .map(|it| (format!("{} {}", it.role, it.version), cells(it)));
    let head = (String::from("VERSION"), heading.map(str::to_owned));
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let name = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0)
        .min(30);
    let lines = rows.iter().enumerate().map(|(place, (title, cells))| {
        let cells = cells.iter().enumerate();
        let cells = cells.filter(|(column, _)| !(is_narrow && matches!(column, 1 | 3 | 4)));
        let cells: Vec<_> = cells.map(|(_, cell)| format!("{cell:>9}")).collect();
        let text = format!("{title:<name$}{}", cells.concat());
        if place == 0 {
            Line::from(span(text, Tone::Head, top))
        } else {
            Line::from(text)
        }
    });
    lines.collect()
}

fn cells(version: &Version) -> [String; 7] {
    let failed = match version.requests {
        0 => "-".to_owned(),
        all => percent(real(version.failures) / real(all)),
    };
    let latency = |chosen: Option<f64>| chosen.map_or_else(|| "-".to_owned(), millis);
    [
        format!("{:.1}", version.rate),
        version.requests.to_string(),
        failed,
        users(version),
        version.streams.to_string(),
        latency(version.latency_ms.map(|it| it.p50)),
        latency(version.latency_ms.map(|it| it.p99)),
    ]
}

/// A line of figures over time.
struct Kind {
    name: &'static str,
    points: fn(&Trend) -> &VecDeque<u64>,
    shown: fn(u64) -> String,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "failed",
        points: |trend| &trend.failed,
        shown: |point| percent(real(point) / 10_000.0),
    },
    Kind {
        name: "p99",
        points: |trend| &trend.p99,
        shown: |point| millis(real(point) / 1e3),
    },
];

/// Failures and latency of both versions over time, each pair on one scale.
fn trends(frame: &mut Frame<'_>, area: Rect, top: &Top, split: &Split) {
    let Some(trends) = top.trends(&split.name) else {
        return;
    };
    let mut rows = area.rows();
    for kind in KINDS {
        let all = trends.iter().flat_map(|it| (kind.points)(it).iter());
        let most = all.copied().max().unwrap_or(0).max(1);
        for (role, trend) in ["stable", "canary"].into_iter().zip(trends) {
            let Some(row) = rows.next() else { return };
            let points = (kind.points)(trend);
            let last = points
                .back()
                .map_or_else(String::new, |it| (kind.shown)(*it));
            let [name, bars, figure] = Layout::horizontal([
                Constraint::Length(NAME),
                Constraint::Fill(1),
                Constraint::Length(FIGURE),
            ])
            .areas(row);
            frame.render_widget(Line::from(format!("{:<6} {role}", kind.name)), name);
            frame.render_widget(Line::from(last).right_aligned(), figure);
            let skipped = points.len().saturating_sub(usize::from(bars.width));
            let bar = Sparkline::default()
                .data(points.iter().skip(skipped))
                .max(most);
            let is_canary = role == "canary" && top.has_colour;
            let tone = if is_canary { Tone::Wait } else { Tone::Plain };
            frame.render_widget(bar.style(style(tone, top.has_colour)), bars);
        }
    }
}

/// The metrics, the worst first.
fn metrics(split: &Split) -> Vec<&Metric> {
    let Some(analysis) = &split.analysis else {
        return Vec::new();
    };
    let worst = worst(analysis).map(|it| it.metric.as_str());
    let mut all: Vec<&Metric> = analysis.metrics.iter().collect();
    all.sort_by(|a, b| {
        let first = (Some(b.metric.as_str()) == worst).cmp(&(Some(a.metric.as_str()) == worst));
        let counts = a.is_dry_run.cmp(&b.is_dry_run);
        first.then(counts).then(b.evidence.total_cmp(&a.evidence))
    });
    all.truncate(METRICS_MAX);
    all
}

/// Canary minus stable, as an interval on a line with zero and the margin.
fn differences(split: &Split, width: u16, top: &Top) -> Vec<Line<'static>> {
    let metrics = metrics(split);
    if metrics.is_empty() {
        return Vec::new();
    }
    let title = "CANARY MINUS STABLE (| zero, ! margin, o estimate in its interval)";
    let heading = Line::from(span(title, Tone::Head, top));
    let name = |metric: &Metric| {
        let tried = if metric.is_dry_run { " (dry)" } else { "" };
        format!("{}{tried}", metric.metric)
    };
    let names = metrics.iter().map(|metric| name(metric).chars().count());
    let names = names.max().unwrap_or(0);
    let room = usize::from(width)
        .saturating_sub(names + FIGURES)
        .clamp(8, 80);
    let rows = metrics.into_iter().map(|metric| {
        let tone = Tone::of(&metric.verdict);
        let (estimate, margin) = (points(metric.estimate), points(metric.margin));
        let figures = if width < NARROW {
            format!(" {estimate} of {margin} ")
        } else {
            format!(" {estimate:>9} of {margin:>8} ")
        };
        Line::from(vec![
            Span::raw(format!("{:<names$} ", name(metric))),
            span(bar(metric, room), tone, top),
            Span::raw(figures),
            span(shout(&metric.verdict), tone, top),
        ])
    });
    std::iter::once(heading).chain(rows).collect()
}

/// The interval as signs in so many columns.
fn bar(metric: &Metric, room: usize) -> String {
    let [low, high] = metric.interval;
    let marks = [low, high, metric.estimate, metric.margin, 0.0];
    let least = marks.into_iter().fold(f64::INFINITY, f64::min);
    let most = marks.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let span = (most - least).max(1e-9);
    let columns = real_len(room.saturating_sub(1));
    let place = |value: f64| length(whole(((value - least) / span * columns).round()));
    let (from, to) = (place(low), place(high));
    let sign = |column: usize| match column {
        it if it == place(metric.estimate) => 'o',
        it if it == place(metric.margin) => '!',
        it if it == place(0.0) => '|',
        it if (from..=to).contains(&it) => '-',
        _ => ' ',
    };
    (0..room).map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wire::Counts;

    #[test]
    fn an_interval_is_drawn_between_zero_and_the_margin() {
        let counts = Counts {
            hits: 1,
            trials: 100,
        };
        let mut metric = Metric {
            metric: "error_rate".to_owned(),
            verdict: "pass".to_owned(),
            canary: counts,
            stable: counts,
            estimate: 0.2,
            interval: [0.1, 0.3],
            margin: 0.5,
            evidence: 1.0,
            is_dry_run: false,
        };
        assert_eq!(bar(&metric, 11), "| --o--   !");
        (metric.estimate, metric.interval) = (0.0, [-0.5, 1.0]);
        assert_eq!(bar(&metric, 16), "-----o----!-----");
        (metric.estimate, metric.interval, metric.margin) = (0.0, [0.0, 0.0], 0.0);
        assert_eq!(bar(&metric, 3), "o  ");
    }
}

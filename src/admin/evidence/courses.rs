//! How the numbers moved: each metric's difference with its band, and the evidence.

use super::{
    axis::{Field, Scale, WIDTH, power_marks, round_marks, time_marks},
    html::{Html, Px},
    words,
};
use crate::admin::wire::{Evidence, Trail};

/// Metrics that are always shown; of the others only the one that was the cause.
const SHOWN: [&str; 3] = ["error_rate", "latency_p50", "latency_p99"];
/// Of the trail, the part at whose end the band has room in the picture: it begins as wide as the
/// world, and would make a flat line of everything.
const SETTLED: usize = 4;

/// Less evidence than this is drawn as this.
const LEAST: f64 = 0.01;

/// The room that a share needs beside its line.
const SHARE_WIDTH: f64 = 48.0;

/// The section, if anything was seen.
pub(super) fn section(html: &mut Html, evidence: &Evidence) {
    let trail = &evidence.trail;
    if trail.points.len() < 2 {
        return;
    }
    html.raw("<h2>How it went</h2>\n");
    html.raw("<p class=\"quiet\">The line is the canary's rate minus stable's since the rollout ");
    html.raw("began; the difference surely lies in the band. Above the dashed line is more than ");
    html.raw("what is tolerated. Dotted lines are changes of the canary's share.</p>\n");
    let analysis = evidence.analysis.as_ref();
    let cause = analysis.map_or("", |analysis| analysis.cause.as_str());
    let cause = cause.rsplit(':').next().unwrap_or_default();
    for (place, metric) in trail.metrics.iter().enumerate() {
        if SHOWN.contains(&metric.as_str()) || metric == cause {
            difference(html, evidence, metric, &lines(trail, place));
        }
    }
    let threshold = analysis.map_or(0.0, |analysis| analysis.threshold);
    against(html, evidence, threshold);
}

/// Seconds, and estimate, low, high, margin.
type Lines = Vec<(f64, [f64; 4])>;

fn lines(trail: &Trail, place: usize) -> Lines {
    let known = trail.points.iter().filter_map(|spot| {
        let line = spot.lines.get(place).copied().flatten()?;
        Some((spot.seconds, line))
    });
    known.collect()
}

fn difference(html: &mut Html, evidence: &Evidence, metric: &str, lines: &Lines) {
    let Some((_, [.., margin])) = lines.last() else {
        return;
    };
    let (low, high) = span(lines);
    let field = field(evidence, 190.0, Scale::linear(low, high));
    html.raw("<figure><figcaption><strong>");
    html.text(heading(metric));
    html.raw("</strong>: canary minus stable</figcaption>\n");
    begin(html, &field, metric);
    let marks = round_marks(low, high, 5).into_iter();
    let marks: Vec<_> = marks.map(|mark| (mark, words::points(mark))).collect();
    field.marks_y(html, &marks);
    field.marks_x(html, &time_marks(length(evidence)));
    html.open("g", &[("clip-path", &format!("url(#clip-{metric})"))]);
    let band: Vec<_> = lines
        .iter()
        .map(|(at, [_, low, high, _])| (*at, *low, *high))
        .collect();
    field.band(html, "canary-band", &band);
    steps(html, &field, evidence);
    field.level(html, "zero", 0.0);
    let tolerated: Vec<_> = lines.iter().map(|(at, [.., it])| (*at, *it)).collect();
    field.line(html, "limit-line", &tolerated);
    let estimates: Vec<_> = lines.iter().map(|(at, [it, ..])| (*at, *it)).collect();
    field.line(html, "canary-line", &estimates);
    html.close("g");
    let estimate = estimates.last().map_or(0.0, |(_, estimate)| *estimate);
    let said = [
        ("name canary", estimate, words::points(estimate)),
        (
            "name limit",
            *margin,
            format!("{} allowed", words::points(*margin)),
        ),
    ];
    ends(html, &field, &said);
    html.raw("</svg></figure>\n");
}

fn against(html: &mut Html, evidence: &Evidence, threshold: f64) {
    let points: Vec<(f64, f64)> = evidence
        .trail
        .points
        .iter()
        .map(|spot| (spot.seconds, spot.evidence.max(LEAST)))
        .collect();
    let most = points.iter().map(|(_, it)| *it).fold(threshold, f64::max);
    let least = points.iter().map(|(_, it)| *it).fold(0.1, f64::min);
    let (low, high) = (least * 0.7, most.max(1.0) * 8.0);
    let field = field(evidence, 190.0, Scale::log(low, high));
    html.raw("<figure><figcaption><strong>Evidence against the canary</strong>: ");
    html.raw("at the dashed line it is rolled back</figcaption>\n");
    begin(html, &field, "evidence");
    let marks = power_marks(low, high).into_iter();
    let marks: Vec<_> = marks.map(|mark| (mark, words::evidence(mark))).collect();
    field.marks_y(html, &marks);
    field.marks_x(html, &time_marks(length(evidence)));
    html.raw("<g clip-path=\"url(#clip-evidence)\">\n");
    steps(html, &field, evidence);
    field.level(html, "limit-line", threshold);
    field.line(html, "canary-line", &points);
    html.close("g");
    let newest = points.last().map_or(0.0, |(_, evidence)| *evidence);
    let said = [
        ("name canary", newest, words::evidence(newest)),
        (
            "name limit",
            threshold,
            format!("{} rolls back", words::evidence(threshold)),
        ),
    ];
    ends(html, &field, &said);
    html.raw("</svg></figure>\n");
}

/// What is said of lines at their right ends, apart from each other.
fn ends(html: &mut Html, field: &Field, said: &[(&'static str, f64, String); 2]) {
    let clamp = |number: f64| field.at_y(number).clamp(field.top + 6.0, field.bottom);
    let [(_, first, _), (_, second, _)] = said;
    let (mut first, mut second) = (clamp(*first), clamp(*second));
    let apart = 16.0;
    if (first - second).abs() < apart {
        let middle = f64::midpoint(first, second)
            .clamp(field.top + 6.0 + apart / 2.0, field.bottom - apart / 2.0);
        let side = if first <= second { -0.5_f64 } else { 0.5 };
        (first, second) = (side.mul_add(apart, middle), (-side).mul_add(apart, middle));
    }
    let x = Px(field.right + 8.0);
    for ((class, _, text), y) in said.iter().zip([first, second]) {
        html.element(
            "text",
            &[("class", class), ("x", &x), ("y", &Px(y + 4.0))],
            text,
        );
    }
}

/// Where the share of the canary was changed.
fn steps(html: &mut Html, field: &Field, evidence: &Evidence) {
    let decisions = evidence.decisions.iter();
    let changes = decisions.filter(|decided| {
        let what = decided.decision.what.as_str();
        matches!(
            what,
            "stepped" | "weight_set" | "promoted" | "rolled_back" | "aborted"
        )
    });
    let changes = changes.filter(|decided| decided.seconds <= length(evidence) + 1.0);
    let mut free = field.left;
    for decided in changes {
        let at = field.at_x(decided.seconds);
        let (x, top, bottom) = (Px(at), Px(field.top), Px(field.bottom));
        html.leaf(
            "line",
            &[
                ("class", &"step-line"),
                ("x1", &x),
                ("x2", &x),
                ("y1", &top),
                ("y2", &bottom),
            ],
        );
        if at >= free && at + SHARE_WIDTH < field.right {
            free = at + SHARE_WIDTH;
            let (x, y) = (Px(at + 4.0), Px(field.top + 12.0));
            html.element("text", &[("x", &x), ("y", &y)], &decided.decision.weight);
        }
    }
}

/// The range that tells most: all estimates, the margin, zero, and the band once it has settled.
fn span(lines: &Lines) -> (f64, f64) {
    let late = lines.len() - lines.len().div_ceil(SETTLED);
    let (mut low, mut high) = (0.0_f64, 0.0_f64);
    for (place, (_, [estimate, from, to, margin])) in lines.iter().enumerate() {
        let (mut from, mut to) = (*from, *to);
        if place < late {
            (from, to) = (*estimate, *estimate);
        }
        low = low.min(from).min(*estimate);
        high = high.max(to).max(*estimate).max(*margin);
    }
    let room = 0.06 * (high - low).max(1e-6);
    (low - room, high + room)
}

fn length(evidence: &Evidence) -> f64 {
    let newest = evidence.trail.points.last();
    newest.map_or(1.0, |spot| spot.seconds.max(1.0))
}

fn field(evidence: &Evidence, height: f64, y: Scale) -> Field {
    Field {
        left: 78.0,
        right: WIDTH - 148.0,
        top: 10.0,
        bottom: height - 24.0,
        x: Scale::linear(0.0, length(evidence)),
        y,
    }
}

/// The picture's beginning, with the edges beyond which lines are cut off.
fn begin(html: &mut Html, field: &Field, name: &str) {
    let (width, height) = (Px(WIDTH), Px(field.bottom + 24.0));
    html.open(
        "svg",
        &[
            ("viewBox", &format!("0 0 {width} {height}")),
            ("role", &"img"),
            ("aria-label", &format!("{} over time", heading(name))),
        ],
    );
    html.open("clipPath", &[("id", &format!("clip-{name}"))]);
    html.leaf(
        "rect",
        &[
            ("x", &Px(field.left)),
            ("y", &Px(field.top)),
            ("width", &Px(field.right - field.left)),
            ("height", &Px(field.bottom - field.top)),
        ],
    );
    html.close("clipPath");
}

fn heading(metric: &str) -> String {
    match metric.strip_prefix("latency_") {
        Some(quantile) => format!("Requests slower than stable's {quantile}"),
        None if metric == "error_rate" => "Failed requests".to_owned(),
        None => metric.to_owned(),
    }
}

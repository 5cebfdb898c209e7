//! The numbers themselves: metrics, the parts of the evidence, decisions.

use super::{html::Html, words};
use crate::admin::wire::{Analysis, Counts, Decided, Metric, Part};

/// How many parts of the evidence are shown.
const PARTS_MAX: usize = 12;

/// One row a metric.
pub(super) fn metrics(html: &mut Html, analysis: &Analysis) {
    if analysis.metrics.is_empty() {
        return;
    }
    html.raw("<h2>What was compared</h2>\n<div class=\"wide\"><table>\n<tr><th>Metric</th>");
    html.raw("<th class=\"number\">Canary</th><th class=\"number\">Stable</th>");
    html.raw("<th class=\"number\">Difference</th><th class=\"number\">Surely in</th>");
    html.raw("<th class=\"number\">Tolerated</th><th class=\"number\">Evidence</th>");
    html.raw("<th>Verdict</th></tr>\n");
    for metric in &analysis.metrics {
        let cause = analysis.cause.rsplit(':').next();
        let class = if cause == Some(metric.metric.as_str()) {
            "cause"
        } else {
            ""
        };
        html.open("tr", &[("class", &class)]);
        row(html, metric);
        html.close("tr");
    }
    html.raw("</table></div>\n");
    let has_latency = |metric: &Metric| metric.metric.starts_with("latency_");
    if analysis.metrics.iter().any(has_latency) {
        html.raw("<p class=\"quiet\">latency_pN counts requests slower than the pN that stable ");
        html.raw("had when the stage began; the canary may be slower by the margin.</p>\n");
    }
}

fn row(html: &mut Html, metric: &Metric) {
    html.open("td", &[("class", &"nowrap")]);
    html.text(&metric.metric);
    if metric.is_dry_run {
        html.raw(" <span class=\"quiet\">(dry run)</span>");
    }
    html.close("td");
    let [low, high] = metric.interval.map(words::points);
    let low = low.trim_end_matches(" pp");
    let numbers = [
        counts(metric.canary),
        counts(metric.stable),
        words::points(metric.estimate),
        format!("{low} .. {high}"),
        words::points(metric.margin),
        words::evidence(metric.evidence),
    ];
    for number in numbers {
        html.element("td", &[("class", &"number")], number);
    }
    let class = match metric.verdict.as_str() {
        "fail" => "bad",
        "pass" => "good",
        _ => "",
    };
    html.open("td", &[]);
    html.element(
        "span",
        &[("class", &class)],
        metric.verdict.replace('_', " "),
    );
    html.close("td");
}

fn counts(counts: Counts) -> String {
    let (hits, trials) = (words::count(counts.hits), words::count(counts.trials));
    format!("{hits} of {trials}, {}", words::percent(counts.ratio()))
}

/// One row a test, by its share in the evidence.
pub(super) fn parts(html: &mut Html, analysis: &Analysis) {
    if analysis.parts.is_empty() {
        return;
    }
    html.raw("<h2>What the evidence is made of</h2>\n");
    html.raw("<div class=\"wide\"><table>\n<tr><th>Test</th><th>Route</th>");
    html.raw("<th class=\"number\">Hits of the canary</th><th class=\"number\">Evidence</th>");
    html.raw("<th class=\"number\">Share</th></tr>\n");
    let whole: f64 = analysis.parts.iter().map(|part| part.evidence).sum();
    for part in analysis.parts.iter().take(PARTS_MAX) {
        part_row(html, part, whole);
    }
    html.raw("</table></div>\n");
    let hidden = analysis.parts.len().saturating_sub(PARTS_MAX);
    if hidden > 0 {
        html.open("p", &[("class", &"quiet")]);
        html.text(format_args!("{hidden} smaller parts are not shown."));
        html.close("p");
    }
}

fn part_row(html: &mut Html, part: &Part, whole: f64) {
    html.raw("<tr>");
    html.element("td", &[], words::cause(&part.cause));
    let route = part.route.as_deref().unwrap_or("all together");
    html.element("td", &[], route);
    let share = if whole > 0.0 {
        part.evidence / whole
    } else {
        0.0
    };
    let numbers = [
        words::count(part.hits),
        words::evidence(part.evidence),
        words::percent(share),
    ];
    for number in numbers {
        html.element("td", &[("class", &"number")], number);
    }
    html.close("tr");
}

/// What was decided when.
pub(super) fn decisions(html: &mut Html, decisions: &[Decided]) {
    if decisions.is_empty() {
        return;
    }
    html.raw("<h2>What was decided</h2>\n<div class=\"wide\"><table>\n<tr><th>At (UTC)</th>");
    html.raw("<th class=\"number\">After</th><th>What</th><th class=\"number\">Canary</th>");
    html.raw("<th>By</th><th>Why</th></tr>\n");
    for Decided { seconds, decision } in decisions {
        html.raw("<tr>");
        html.element("td", &[("class", &"nowrap")], words::clock(&decision.at));
        html.element("td", &[("class", &"number")], words::duration(*seconds));
        let class = match decision.what.as_str() {
            "rolled_back" | "aborted" | "failed" | "undone" => "nowrap bad",
            "promoted" => "nowrap good",
            _ => "nowrap",
        };
        html.element("td", &[("class", &class)], decision.what.replace('_', " "));
        html.element("td", &[("class", &"number")], &decision.weight);
        html.element("td", &[("class", &"nowrap")], &decision.by);
        html.element("td", &[], &decision.why);
        html.close("tr");
    }
    html.raw("</table></div>\n");
}

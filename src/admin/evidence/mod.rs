//! The evidence of one rollout as a page: one file, no script, nothing loaded, so that it can be
//! kept beside an incident, sent and printed.
//!
//! Pure functions from the wire's [`Evidence`] to a text; `html.rs` sees to it that no name or
//! reason can become markup. The order is that of a person's questions at night: what happened,
//! how sure is it, how did it go, what failed, what do I do now.

mod axis;
mod courses;
mod html;
mod tables;
#[cfg(test)]
mod tests;
mod versions;
mod words;

use self::html::Html;
use super::wire::{Analysis, Evidence, Rollout};

/// The whole page.
pub(super) fn page(evidence: &Evidence) -> String {
    let rollout = &evidence.rollout;
    let mut html = Html::new();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.element(
        "title",
        &[],
        format_args!("{}: {}", rollout.id, outcome(rollout)),
    );
    html.raw("<style>\n");
    html.raw(include_str!("page.css"));
    html.raw("</style>\n</head>\n<body>\n");
    verdict(&mut html, evidence);
    facts(&mut html, evidence);
    if let Some(analysis) = &evidence.analysis {
        tables::metrics(&mut html, analysis);
        tables::parts(&mut html, analysis);
    }
    courses::section(&mut html, evidence);
    versions::latency(&mut html, evidence);
    if !evidence.versions.is_empty() {
        versions::errors(&mut html, evidence);
    }
    tables::decisions(&mut html, &evidence.decisions);
    next(&mut html, evidence);
    html.raw("</body>\n</html>\n");
    html.into_text()
}

/// What came of it, in words.
fn outcome(rollout: &Rollout) -> String {
    let Rollout { canary, stable, .. } = rollout;
    match rollout.result.as_str() {
        "running" => format!("{canary} is on trial against {stable}"),
        "promoted" => format!("{canary} took the place of {stable}"),
        "rolled_back" => format!("{canary} was rolled back to {stable}"),
        "aborted" => format!("{canary} was taken back to {stable} by hand"),
        "undone" => format!("the promotion of {canary} was undone"),
        "superseded" => format!("the trial of {canary} gave way to another"),
        other => format!("{canary}: {other}"),
    }
}

/// The answer to the first question, in a sentence or two.
fn verdict(html: &mut Html, evidence: &Evidence) {
    let rollout = &evidence.rollout;
    html.element("h1", &[], capital(&outcome(rollout)));
    let analysis = evidence.analysis.as_ref();
    let is_running = rollout.result == "running";
    let why = match analysis {
        Some(analysis) if is_running => analysis.why.as_str(),
        _ => rollout.why.as_str(),
    };
    html.open("p", &[("class", &"lead")]);
    if !rollout.cause.is_empty() && rollout.cause != "operator" {
        html.text(capital(&words::cause(&rollout.cause)));
        if let Some(route) = analysis.and_then(|analysis| analysis.route.as_ref()) {
            html.text(format_args!(" on route {route}"));
        }
        html.raw(": ");
    }
    if why.is_empty() {
        html.raw("Nothing more was written down.");
    } else {
        html.text(why);
        html.raw(".");
    }
    html.close("p");
    if let Some(suspect) = analysis.and_then(|analysis| analysis.suspect.as_ref()) {
        html.open("p", &[("class", &"lead")]);
        html.raw("<strong>One endpoint stands out.</strong> ");
        let (bad, others) = (suspect.counts, suspect.others);
        html.text(format_args!(
            "{} failed {} of {} requests ({}), the canary's other endpoints {} of {} ({}): it may \
             be the machine and not the version.",
            suspect.endpoint,
            words::count(bad.hits),
            words::count(bad.trials),
            words::percent(bad.ratio()),
            words::count(others.hits),
            words::count(others.trials),
            words::percent(others.ratio()),
        ));
        html.close("p");
    }
}

fn facts(html: &mut Html, evidence: &Evidence) {
    let rollout = &evidence.rollout;
    html.raw("<dl>\n");
    fact(html, "Split", &rollout.split);
    html.raw("<dt>Versions</dt><dd>");
    html.element("span", &[("class", &"canary")], &rollout.canary);
    html.raw(" (canary) against ");
    html.element("span", &[("class", &"stable")], &rollout.stable);
    html.raw(" (stable)</dd>\n");
    fact(
        html,
        "Rollout",
        &format!("number {} of this split", rollout.epoch),
    );
    fact(html, "Began", &words::moment(&rollout.started));
    if let Some(seconds) = turned(evidence) {
        let text = format!("{} after the beginning", words::duration(seconds));
        fact(html, "Turned against it", &text);
    }
    if let Some(ended) = &rollout.ended {
        let after = rollout.seconds.map(words::duration).unwrap_or_default();
        let text = format!("{}, after {after}; in force at once", words::moment(ended));
        fact(html, "Decided", &text);
    } else if let Some(at) = &evidence.at {
        fact(html, "As of", &words::moment(at));
    }
    if let Some(analysis) = &evidence.analysis {
        about(html, analysis);
    }
    html.raw("</dl>\n");
}

fn about(html: &mut Html, analysis: &Analysis) {
    let text = format!(
        "{}; at {} the canary is rolled back",
        words::evidence(analysis.evidence),
        words::evidence(analysis.threshold)
    );
    fact(html, "Evidence", &text);
    let mut requests = words::count(analysis.canary_requests);
    if analysis.pace > 0.0 {
        requests = format!("{requests}, lately {:.1} a second", analysis.pace);
    }
    fact(html, "Canary requests", &requests);
    if analysis.harm >= 0.5 {
        let text = format!(
            "{:.0} requests failed beyond what is tolerated",
            analysis.harm
        );
        fact(html, "Cost to users", &text);
    }
    if let Some(invalid) = &analysis.invalid {
        fact(html, "Not to be trusted", invalid);
    }
}

fn fact(html: &mut Html, name: &'static str, value: &str) {
    html.element("dt", &[], name);
    html.element("dd", &[], value);
}

/// When the evidence began the rise that led to the end: the last time that it was below 1.
fn turned(evidence: &Evidence) -> Option<f64> {
    let points = &evidence.trail.points;
    let newest = points.last()?;
    let threshold = evidence.analysis.as_ref()?.threshold;
    if newest.evidence < threshold {
        return None;
    }
    let calm = points.iter().rposition(|spot| spot.evidence < 1.0)?;
    points.get(calm).map(|spot| spot.seconds)
}

/// What a person can do with it.
fn next(html: &mut Html, evidence: &Evidence) {
    let rollout = &evidence.rollout;
    if let Some(analysis) = evidence.analysis.as_ref()
        && !analysis.first_failed.is_empty()
    {
        html.raw("<h2>The first requests that failed</h2>\n<p>");
        for id in &analysis.first_failed {
            html.element("code", &[("class", &"id")], id);
        }
        html.raw("</p>\n<p class=\"quiet\">Look for these request ids in the access log and in ");
        html.raw("the canary's own log.</p>\n");
    }
    html.raw("<h2>What now</h2>\n<pre>");
    html.text(format_args!("serin why --rollout {}\n", rollout.id));
    if matches!(
        rollout.result.as_str(),
        "rolled_back" | "aborted" | "undone"
    ) {
        html.text(format_args!(
            "serin retry {}    # the same version again, as a new rollout\n",
            rollout.split
        ));
    }
    let Some(record) = evidence.records.last() else {
        html.raw("</pre>\n");
        return;
    };
    html.text(format_args!("serin replay {record}\n"));
    html.text(format_args!("serin replay {record} --config NEW.yaml\n"));
    html.raw("</pre>\n<p class=\"quiet\">If the verdict is wrong in your eyes, widen the margin ");
    html.raw("in <code>analysis:</code> of a copy of the file: the last line tells what that ");
    html.text(format_args!(
        "would have led to. /v1/rollouts/{}/",
        rollout.id
    ));
    html.raw("evidence.rec on the admin address gives the record to another machine.</p>\n");
}

/// A sentence begins with a capital, but a name stays as it is written.
fn capital(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let is_plain = matches!(word, "the" | "failed" | "requests" | "latency");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if is_plain => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

//! A plan in words, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    super::{
        screen::Tone,
        status::percent,
        table::{Cell, number, table, word},
    },
    Report,
    load::{Burden, EFFECTS, Harm},
    time,
    users::{Moves, Recorded, Shares},
};
use crate::{config::Difference, model::SplitName};

/// Lines of a kind that are shown; the others are counted.
const LINES: usize = 200;

/// For programs.
pub(super) fn as_json(report: &Report, with_keys: bool, is_refused: bool) -> Value {
    let name = |split: &Option<SplitName>| split.as_ref().map(ToString::to_string);
    let change =
        |change: &Difference| json!({ "key": change.key, "old": change.old, "new": change.new });
    let moved = |moved: &super::routes::Moved| {
        json!({
            "requests": moved.what,
            "before": name(&moved.before),
            "after": name(&moved.after),
        })
    };
    let refused = |it: &(SplitName, String)| json!({ "split": it.0.to_string(), "why": it.1 });
    json!({
        "ok": !is_refused,
        "against": report.basis,
        "same": report.is_same,
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
        "at_next_start": report.at_next_start,
        "not_done": report.refused.iter().map(refused).collect::<Vec<_>>(),
        "users": report.moves.iter().map(|it| users_json(it, with_keys)).collect::<Vec<_>>(),
        "routes": {
            "shadowed": report.routes.shadowed,
            "moved": report.routes.moved.iter().map(moved).collect::<Vec<_>>(),
        },
        "endpoints": report.burdens.iter().map(burden_json).collect::<Vec<_>>(),
        "splits": report.planned.iter().map(time::as_json).collect::<Vec<_>>(),
        "harm": report.harms.iter().map(harm_json).collect::<Vec<_>>(),
        "notes": report.notes,
        "met": report.met,
    })
}

fn users_json(moves: &Moves, with_keys: bool) -> Value {
    let shares = |shares: Shares| json!({ "moved": shares.moved, "flips": shares.flipped });
    let recorded = moves.recorded.as_ref().map(|all| {
        let mut recorded = json!({
            "users": all.users,
            "moved": all.moved.len(),
            "moved_with_cookie": all.moved_with_cookie.len(),
            "flips": all.flipped,
            "flips_with_cookie": all.flipped_with_cookie,
            "without_key": all.without_key,
        });
        if let Some(recorded) = recorded.as_object_mut().filter(|_| with_keys) {
            recorded.insert("moved_keys".to_owned(), json!(all.moved));
            recorded.insert(
                "moved_keys_with_cookie".to_owned(),
                json!(all.moved_with_cookie),
            );
        }
        recorded
    });
    json!({
        "split": moves.splits.1.to_string(),
        "taken_from": moves.splits.0.to_string(),
        "sticky": moves.is_sticky.0 && moves.is_sticky.1,
        "exact": moves.is_exact,
        "by_key": shares(moves.by_key),
        "with_cookie": shares(moves.with_cookie),
        "recorded": recorded,
        "why": moves.why,
        "exposed": moves.exposed,
    })
}

fn burden_json(burden: &Burden) -> Value {
    json!({
        "upstream": burden.upstream.to_string(),
        "endpoints": burden.endpoints,
        "rate_before": burden.rate.0,
        "rate_after": burden.rate.1,
        "each_before": burden.each().map(|each| each.0),
        "each_after": burden.each().map(|each| each.1),
    })
}

fn harm_json(harm: &Harm) -> Value {
    let failed = EFFECTS.iter().zip(&harm.failed);
    let failed = failed.map(|((effect, _), failed)| json!({ "fails": effect, "requests": failed }));
    json!({ "split": harm.split.to_string(), "failed": failed.collect::<Vec<_>>() })
}

/// For people.
pub(super) fn as_text(report: &Report, with_keys: bool, has_colour: bool) -> String {
    let mut text = String::new();
    if let Some(basis) = &report.basis {
        section(&mut text, &format!("compared with {basis}"), has_colour);
        changes(&mut text, report);
        users(&mut text, report, with_keys);
        routes(&mut text, report);
    }
    burdens(&mut text, report, has_colour);
    for planned in &report.planned {
        gap(&mut text);
        text.push_str(&time::as_text(planned, has_colour));
    }
    harms(&mut text, report, has_colour);
    if text.is_empty() && report.notes.is_empty() {
        text.push_str("no split has a canary\n");
    }
    for note in &report.notes {
        line(
            &mut text,
            &format!("{}: {note}", Tone::Wait.paint("note", has_colour)),
        );
    }
    for met in &report.met {
        line(
            &mut text,
            &format!("{} {met}", Tone::Bad.paint("refused:", has_colour)),
        );
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn gap(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

fn section(text: &mut String, title: &str, has_colour: bool) {
    gap(text);
    let head = Tone::Head.paint(title, has_colour);
    line(text, &format!("{head}:"));
}

fn changes(text: &mut String, report: &Report) {
    if report.is_same {
        line(text, "  nothing changes");
    }
    for Difference { key, old, new } in report.changes.iter().take(LINES) {
        let told = match (old.as_deref(), new.as_deref()) {
            (None, Some("added")) => format!("  + {key}"),
            (Some("removed"), None) => format!("  - {key}"),
            (None, Some(new)) => format!("  + {key}: {new}"),
            (Some(old), None) => format!("  - {key}: {old}"),
            (old, new) => {
                let [old, new] = [old, new].map(|side| side.unwrap_or("nothing"));
                format!("  ~ {key}: {old} -> {new}")
            }
        };
        line(text, &told);
    }
    let more = report.changes.len().saturating_sub(LINES);
    if more > 0 {
        line(text, &format!("  and {more} keys more"));
    }
    if !report.at_next_start.is_empty() {
        let keys = report.at_next_start.join(", ");
        line(text, &format!("  at the next start only: {keys}"));
    }
    for (split, why) in &report.refused {
        line(text, &format!("  {split}: {why}"));
    }
}

fn users(text: &mut String, report: &Report, with_keys: bool) {
    for moves in &report.moves {
        let (before, after) = &moves.splits;
        let name = if before == after {
            after.to_string()
        } else {
            format!("{after}, from {before}")
        };
        line(text, &format!("  users of {name}: {}", in_words(moves)));
        for why in &moves.why {
            line(text, &format!("    {why}"));
        }
        if let Some(exposed) = moves.exposed.filter(|_| moves.flips() > 0.0) {
            line(
                text,
                &format!("    {exposed} users have seen the canary so far"),
            );
        }
        let Some(all) = moves.recorded.as_ref().filter(|_| with_keys) else {
            continue;
        };
        for key in &all.moved {
            line(text, &format!("    moves: {key}"));
        }
    }
}

fn in_words(moves: &Moves) -> String {
    let mut words = moves
        .recorded
        .as_ref()
        .map_or_else(String::new, of_recorded);
    let what = match moves.is_sticky {
        (true, true) => "",
        (false, _) => " of requests (nobody was known again)",
        (true, false) => " of requests (nobody is known again)",
    };
    let about = if moves.is_exact { "" } else { "about " };
    let (by_key, kept) = (moves.by_key, moves.with_cookie);
    let _cannot_fail = write!(
        words,
        "{about}{}{what} get another version",
        percent(by_key.moved)
    );
    if by_key.flipped > 0.0 {
        let back = percent(by_key.flipped);
        let _cannot_fail = write!(words, ", {back} go back from the canary");
    }
    if kept != by_key {
        let (some, back) = (percent(kept.moved), percent(kept.flipped));
        let _cannot_fail = write!(words, "; of those that keep their cookie {some} and {back}");
    }
    words
}

fn of_recorded(all: &Recorded) -> String {
    let by_key = (all.moved.len(), all.flipped);
    let kept = (all.moved_with_cookie.len(), all.flipped_with_cookie);
    let mut words = format!(
        "{} of {} recorded move, {} of them back from the canary",
        by_key.0, all.users, by_key.1
    );
    if kept != by_key {
        let (some, back) = kept;
        let _cannot_fail = write!(
            words,
            "; {some} move and {back} go back if they keep their cookie"
        );
    }
    if all.without_key > 0 {
        let _cannot_fail = write!(words, "; {} have no key", all.without_key);
    }
    words.push_str(". Of all users: ");
    words
}

fn routes(text: &mut String, report: &Report) {
    for shadowed in &report.routes.shadowed {
        line(
            text,
            &format!("  match {shadowed} gets nothing: others take all of it"),
        );
    }
    let name = |split: &Option<SplitName>| {
        let split = split.as_ref();
        split.map_or_else(|| "nobody (404)".to_owned(), ToString::to_string)
    };
    for moved in report.routes.moved.iter().take(LINES) {
        let (before, after) = (name(&moved.before), name(&moved.after));
        line(
            text,
            &format!("  requests for {}: {before} -> {after}", moved.what),
        );
    }
}

fn burdens(text: &mut String, report: &Report, has_colour: bool) {
    if report.burdens.is_empty() {
        return;
    }
    section(text, "requests a second", has_colour);
    let heads = ["ENDPOINTS", "BEFORE", "AFTER", "EACH BEFORE", "EACH AFTER"].map(number);
    let mut rows = vec![[vec![word("UPSTREAM")], heads.to_vec()].concat()];
    let rate = |rate: f64| number(format!("{rate:.1}"));
    rows.extend(report.burdens.iter().map(|burden| {
        let each = burden.each();
        let unknown = || number("-");
        let endpoints = burden
            .endpoints
            .map_or_else(unknown, |count| number(count.to_string()));
        vec![
            word(burden.upstream.to_string()),
            endpoints,
            rate(burden.rate.0),
            rate(burden.rate.1),
            each.map_or_else(unknown, |each| rate(each.0)),
            each.map_or_else(unknown, |each| rate(each.1)),
        ]
    }));
    text.push_str(&table(&rows, has_colour));
}

fn harms(text: &mut String, report: &Report, has_colour: bool) {
    if report.harms.is_empty() {
        return;
    }
    let title = "requests that a bad canary fails until it is rolled back, half of the time";
    section(text, title, has_colour);
    let heads: Vec<Cell> = EFFECTS
        .iter()
        .map(|(effect, _)| number(format!("{} FAIL", effect.to_uppercase())))
        .collect();
    let mut rows = vec![[vec![word("SPLIT")], heads].concat()];
    rows.extend(report.harms.iter().map(|harm| {
        let failed = harm.failed.iter().map(|failed| {
            number(failed.map_or_else(|| "no end".to_owned(), |failed| format!("{failed:.0}")))
        });
        let split = word(harm.split.to_string());
        [vec![split], failed.collect()].concat()
    }));
    text.push_str(&table(&rows, has_colour));
}

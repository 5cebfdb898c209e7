//! Attempts beyond the first one of a request: who was asked again, and why.

use std::collections::BTreeMap;

use super::text::{Kind, Text};
use crate::{
    control::{RepeatKey, Totals},
    measure::Repeat,
    model::number::real,
};

/// A label's name and value.
type Label<'a> = (&'static str, &'a str);

/// Writes the families.
pub(super) fn write(text: &mut Text, totals: &Totals) {
    let help = "Requests of a canary that stable was asked for, by what became of them before.";
    family(text, totals, ("rescues", help), Repeat::Rescue, |key| {
        let reason = ("reason", key.label.reason.as_str());
        [of_both(key), vec![reason]].concat()
    });
    let help = "Files that the other version was asked for after a 404 (`fallback_on_404`).";
    family(
        text,
        totals,
        ("asset_fallbacks", help),
        Repeat::Asset,
        of_both,
    );
    let help = "Attempts at the version that was asked before, by what became of the one before.";
    family(text, totals, ("retries", help), Repeat::Retry, of_version);
    let help = "Repeats that were not made because no budget was left.";
    family(
        text,
        totals,
        ("retries_denied", help),
        Repeat::Denied,
        of_version,
    );
    hedges(text, totals);
}

/// Of a split, whichever version was asked twice.
fn hedges(text: &mut Text, totals: &Totals) {
    let help = "Requests that were sent to a second endpoint since the first was late, by whose \
                answer was taken.";
    text.family("hedges", Kind::Counter, help);
    let mut counts = BTreeMap::new();
    for (key, count) in &totals.repeats {
        let won = match key.label.repeat {
            Repeat::HedgeLost => "first",
            Repeat::HedgeWon => "second",
            Repeat::Retry | Repeat::Rescue | Repeat::Asset | Repeat::Denied => continue,
        };
        *counts.entry((key.split.as_str(), won)).or_default() += count;
    }
    for ((split, won), count) in counts {
        text.sample(&[("split", split), ("won", won)], real(count));
    }
}

fn of_both(key: &RepeatKey) -> Vec<Label<'_>> {
    vec![
        ("split", key.split.as_str()),
        ("from", key.from.as_str()),
        ("to", key.to.as_str()),
    ]
}

fn of_version(key: &RepeatKey) -> Vec<Label<'_>> {
    vec![
        ("split", key.split.as_str()),
        ("version", key.from.as_str()),
        ("reason", key.label.reason.as_str()),
    ]
}

fn family(
    text: &mut Text,
    totals: &Totals,
    (name, help): (&str, &str),
    repeat: Repeat,
    labels: impl Fn(&RepeatKey) -> Vec<Label<'_>>,
) {
    text.family(name, Kind::Counter, help);
    let repeats = totals.repeats.iter();
    for (key, count) in repeats.filter(|(key, _)| key.label.repeat == repeat) {
        text.sample(&labels(key), real(*count));
    }
}

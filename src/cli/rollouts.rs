//! `serin rollouts` and `serin why --rollout`: what became of rollouts, and why.

use super::{
    Trouble,
    args::{self, Output},
    client::Client,
    figures::clock,
    screen::{Screen, Tone},
    status::splits,
    table::{Cell, number, table, word},
    why::{self, say},
};
use crate::{
    admin::wire::{self, Evidence, Measured, Rollout, Rollouts},
    model::number::whole,
};

/// How many kinds of errors a version is shown with.
const KINDS_MAX: usize = 4;

/// Rollouts of one split, or of all, the newest first.
pub(super) async fn rollouts(screen: &mut Screen, wanted: args::Rollouts) -> Result<(), Trouble> {
    let client = Client::new(&wanted.ask.admin)?;
    let path = match &wanted.split {
        Some(split) => format!("/v1/rollouts?split={split}"),
        None => "/v1/rollouts".to_owned(),
    };
    let known: Rollouts = client.get(&path).await?;
    if wanted.ask.output.is_json() {
        return Ok(screen.write(&(wire::to_pretty_json(&known) + "\n"))?);
    }
    if known.rollouts.is_empty() {
        return Ok(screen.write("no rollouts: no split has had a canary\n")?);
    }
    let heading = [
        "ROLLOUT",
        "RESULT",
        "CANARY",
        "STABLE",
        "BEGAN (UTC)",
        "TOOK",
        "CAUSE",
        "WHY",
    ];
    let is_wide = wanted.ask.output.is_wide();
    let ended = is_wide.then(|| word("ENDED (UTC)"));
    let heading = heading.map(word).into_iter().chain(ended).collect();
    let rows: Vec<_> = std::iter::once(heading)
        .chain(known.rollouts.iter().map(|it| row(it, is_wide)))
        .collect();
    let mut text = table(&rows, screen.has_colour());
    text.push_str("  `serin why --rollout ROLLOUT` shows what one rested on\n");
    Ok(screen.write(&text)?)
}

fn row(rollout: &Rollout, is_wide: bool) -> Vec<Cell> {
    let took = rollout.seconds.map(duration);
    let mut cells = vec![
        word(&rollout.id),
        word(&rollout.result).tone(Tone::of(&rollout.result)),
        word(&rollout.canary),
        word(&rollout.stable),
        word(moment(&rollout.started)),
        number(took.unwrap_or_else(|| "-".to_owned())),
        word(&rollout.cause),
        word(&rollout.why),
    ];
    if is_wide {
        let ended = rollout.ended.as_deref().map(moment);
        cells.push(word(ended.unwrap_or_else(|| "-".to_owned())));
    }
    cells
}

/// The rollout that a person means; `None`: it is a split, or all of them.
pub(super) async fn meant(client: &Client, why: &args::Why) -> Result<Option<String>, Trouble> {
    if let Some(id) = &why.rollout {
        return Ok(Some(id.clone()));
    }
    let name = why.split.as_deref().filter(|name| is_id(name));
    let Some(name) = name else { return Ok(None) };
    // A split may be called so.
    let splits = splits(client, None).await?;
    let is_split = splits.splits.iter().any(|split| split.name == name);
    Ok((!is_split).then(|| name.to_owned()))
}

fn is_id(name: &str) -> bool {
    let parts = name.rsplit_once('-');
    parts.is_some_and(|(split, epoch)| !split.is_empty() && epoch.parse::<u64>().is_ok())
}

/// All that is known of one rollout.
pub(super) async fn show(
    screen: &mut Screen,
    client: &Client,
    id: &str,
    output: Output,
) -> Result<(), Trouble> {
    let path = format!("/v1/rollouts/{id}/evidence");
    let evidence: Evidence = client.get(&path).await?;
    if output.is_json() {
        return Ok(screen.write(&(wire::to_pretty_json(&evidence) + "\n"))?);
    }
    let mut text = String::new();
    head(&mut text, &evidence.rollout, screen.has_colour());
    let (why, analysis) = (&evidence.rollout.why, evidence.analysis.as_ref());
    // A rollback says what the judge says; a person has reasons of their own.
    let is_told = analysis.is_some_and(|analysis| analysis.why == *why);
    if !(is_told || why.is_empty()) {
        say(&mut text, format_args!("  because: {why}\n"));
    }
    match analysis {
        Some(analysis) => why::judged(&mut text, analysis, screen.has_colour()),
        None => text.push_str("  nothing is kept of what was compared\n"),
    }
    text.push('\n');
    for version in &evidence.versions {
        say(&mut text, format_args!("  {}\n", requests(version)));
    }
    if !evidence.decisions.is_empty() {
        let decisions = evidence.decisions.iter().map(|decided| &decided.decision);
        why::decisions(&mut text, decisions, screen.has_colour());
    }
    say(
        &mut text,
        format_args!("\n  as a page: {}.html\n", client.address_of(&path)),
    );
    if let Some(record) = evidence.records.last() {
        say(
            &mut text,
            format_args!("  judged again: serin replay {record}\n"),
        );
    }
    Ok(screen.write(&text)?)
}

fn head(text: &mut String, rollout: &Rollout, has_colour: bool) {
    let id = Tone::Head.paint(&rollout.id, has_colour);
    let result = Tone::of(&rollout.result).paint(&rollout.result, has_colour);
    let (canary, stable) = (&rollout.canary, &rollout.stable);
    say(
        text,
        format_args!("{id}  {result}, canary {canary} against {stable}\n"),
    );
    let began = moment(&rollout.started);
    let ended = match (&rollout.ended, rollout.seconds) {
        (Some(ended), Some(seconds)) => {
            format!("ended {} after {}", moment(ended), duration(seconds))
        }
        _ => "not over".to_owned(),
    };
    say(text, format_args!("  began {began} UTC, {ended}\n"));
}

/// What came of one version's requests.
fn requests(version: &Measured) -> String {
    let mut kinds: Vec<String> = version
        .errors
        .iter()
        .take(KINDS_MAX)
        .map(|it| match it.reason.as_str() {
            "none" => format!("{} answered {}", it.count, it.code_class),
            reason => format!("{} {}", it.count, reason.replace('_', " ")),
        })
        .collect();
    if version.errors.len() > KINDS_MAX {
        kinds.push("others".to_owned());
    }
    let failed = match kinds.as_slice() {
        [] => "none failed".to_owned(),
        kinds => format!("failed: {}", kinds.join(", ")),
    };
    let (role, name) = (&version.role, &version.version);
    format!("{role} {name}: {} requests, {failed}", version.requests)
}

/// Day and time of a moment of the wire.
fn moment(at: &str) -> String {
    format!("{} {}", at.get(..10).unwrap_or_default(), clock(at))
}

fn duration(seconds: f64) -> String {
    let all = whole(seconds.round());
    match (all / 86_400, all / 3_600 % 24, all / 60 % 60, all % 60) {
        (0, 0, 0, _) if seconds < 9.95 => format!("{seconds:.1}s"),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, ..) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_units_at_most() {
        let cases = [
            (0.75, "0.8s"),
            (9.96, "10s"),
            (125.3, "2m05s"),
            (7_200.0, "2h00m"),
            (100_000.0, "1d03h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn an_id_ends_with_an_epoch() {
        let cases = [
            ("shop-3", true),
            ("a-b-12", true),
            ("shop", false),
            ("shop-v2", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_id(name), expected, "{name}");
        }
    }
}

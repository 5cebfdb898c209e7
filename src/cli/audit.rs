//! `serin audit`: who has moved traffic, or has tried to.

use clap::Args;

use super::{
    Trouble,
    args::{Ask, Output},
    client::Client,
    screen::{Screen, Tone},
    table::{Cell, table, word},
};
use crate::admin::wire::{self, Audit, Audited};

/// `serin audit`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only acts on this split
    split: Option<String>,
    /// How many, the newest first
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    #[command(flatten)]
    ask: Ask,
}

/// The audit log, the newest line first.
pub(super) async fn audit(screen: &mut Screen, wanted: Arguments) -> Result<(), Trouble> {
    let client = Client::new(&wanted.ask.admin)?;
    let mut path = format!("/v1/audit?limit={}", wanted.limit);
    if let Some(split) = &wanted.split {
        path.push_str("&split=");
        path.push_str(split);
    }
    let known: Audit = client.get(&path).await?;
    let text = match wanted.ask.output {
        Output::Json => wire::to_pretty_json(&known) + "\n",
        Output::Text | Output::Wide => shown(&known, screen.has_colour()),
    };
    Ok(screen.write(&text)?)
}

fn shown(known: &Audit, has_colour: bool) -> String {
    if known.acts.is_empty() {
        return "nobody has moved traffic\n".to_owned();
    }
    let heading = [
        "WHEN (UTC)",
        "WHO",
        "ACT",
        "ON",
        "WEIGHT",
        "RESULT",
        "REASON",
    ];
    let heading = heading.map(word).to_vec();
    let rows: Vec<_> = std::iter::once(heading)
        .chain(known.acts.iter().map(row))
        .collect();
    table(&rows, has_colour)
}

fn row(act: &Audited) -> Vec<Cell> {
    let on = act.split.as_ref().or(act.endpoint.as_ref());
    let weight = match (&act.before, &act.after) {
        (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
        (_, Some(after)) => after.clone(),
        (_, None) => "-".to_owned(),
    };
    let is_refused = act.result.starts_with("refused");
    let tone = if is_refused { Tone::Bad } else { Tone::Plain };
    // The sentence after `done` says again what stands in the other columns.
    let result = if is_refused { &act.result } else { "done" };
    vec![
        word(act.at.get(..19).unwrap_or(&act.at).replace('T', " ")),
        word(&act.who),
        word(&act.act),
        word(on.map_or("process", String::as_str)),
        word(weight),
        word(result).tone(tone),
        word(act.reason.as_deref().unwrap_or("-")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(who: &str, act: &str) -> Audited {
        Audited {
            at: "2026-01-02T03:04:05.678Z".to_owned(),
            split: Some("shop".to_owned()),
            upstream: None,
            endpoint: None,
            who: who.to_owned(),
            act: act.to_owned(),
            reason: None,
            result: "done: new has 0% (rolled_back)".to_owned(),
            epoch: Some(3),
            before: Some("5%".to_owned()),
            after: Some("0%".to_owned()),
        }
    }

    #[test]
    fn each_act_is_a_line() {
        let known = Audit {
            acts: vec![
                Audited {
                    reason: Some("errors on checkout".to_owned()),
                    ..act("deploy (token, 10.0.0.7), says lee", "abort")
                },
                Audited {
                    after: None,
                    before: None,
                    split: None,
                    result: "refused: it takes the role admin".to_owned(),
                    ..act("uid 1000 (unix)", "POST /v1/drain")
                },
                act("judge", "rolled_back"),
            ],
        };
        let text = shown(&known, false);
        assert_eq!(text.lines().count(), 4, "{text}");
        for part in [
            "5% -> 0%",
            "errors on checkout",
            "refused: it takes the role admin",
            "judge",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("(rolled_back)"), "{text}");
        let none = Audit { acts: Vec::new() };
        assert_eq!(shown(&none, false), "nobody has moved traffic\n");
    }
}

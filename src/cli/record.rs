//! `serin replay REC`: a rollout that was recorded is judged again, by the criteria it had or by
//! those of another file, and what comes of it is held against what was decided live.

use std::{
    fmt::Write as _,
    fs::File,
    io::{Read as _, Write},
    path::Path,
};

use serde_json::json;

use super::{
    Trouble,
    args::{self, Output},
    offline,
    progress::Progress,
    screen::Tone,
    table::{number, table, word},
};
use crate::{
    admin::wire::rfc3339,
    judge::Criteria,
    model::{Moment, RouteName},
    record::{Decision, End, Frames, Header, Replay, Said, Torn},
    rollout,
};

/// How many frames are judged between two looks at the clock.
const FRAMES: u64 = 256;

/// A record that was judged again.
struct Judged {
    header: Header,
    replay: Replay,
    /// Whose criteria it was judged by.
    by: String,
    torn: Option<Torn>,
}

/// Judges a record again and writes what comes of it.
pub(super) fn replay(
    wanted: &args::Replay,
    has_colour: bool,
    out: &mut impl Write,
) -> Result<(), Trouble> {
    let judged = judge(wanted)?;
    let text = match wanted.output {
        Output::Json => judged.lines(),
        Output::Text | Output::Wide => judged.text(has_colour),
    };
    Ok(out.write_all(text.as_bytes())?)
}

fn judge(wanted: &args::Replay) -> Result<Judged, Trouble> {
    let path = &wanted.recording;
    let bytes = read(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Trouble::unasked(message, "records are in `records` in the state directory")
    })?;
    let wrong = |error: &dyn std::error::Error| {
        let help = "a record is a `.rec` file; a trace wants its SETTINGS.json, too";
        Trouble::unasked(format!("{}: {error}", path.display()), help)
    };
    let (header, mut frames) = Frames::open(&bytes).map_err(|error| wrong(&error))?;
    let (criteria, by) = match &wanted.config {
        Some(config) => (
            criteria(config, wanted.split.as_deref(), &header)?,
            config.display().to_string(),
        ),
        None => (header.criteria.clone(), "the same criteria".to_owned()),
    };
    let mut replay = Replay::new(&header, &criteria);
    let mut progress = Progress::begin();
    for (frame, number) in (&mut frames).zip(1_u64..) {
        replay.step(&frame.map_err(|error| wrong(&error))?);
        if number.is_multiple_of(FRAMES) {
            progress.at(|| format!("judging again: {number} frames"));
        }
    }
    drop(progress);
    let torn = frames.torn();
    Ok(Judged {
        header,
        replay,
        by,
        torn,
    })
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What this file says of the split.
fn criteria(config: &Path, split: Option<&str>, header: &Header) -> Result<Criteria, Trouble> {
    let loaded = offline::load(config)?;
    let wanted = split.unwrap_or(header.split.as_str());
    let splits = &loaded.config.splits;
    let Some(split) = splits.iter().find(|split| split.name.as_str() == wanted) else {
        let names: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
        let message = format!("{} has no split `{wanted}`", config.display());
        let help = format!("choose one with --split: {}", names.join(", "));
        return Err(Trouble::refused(message, help));
    };
    Ok(Criteria {
        // How clients were assigned is a fact of the record, whatever the file says now.
        is_sticky: header.criteria.is_sticky,
        ..rollout::criteria(split)
    })
}

impl Judged {
    fn seconds(&self, at: Moment) -> f64 {
        at.since(self.replay.span().0).as_secs_f64()
    }

    /// For programs: one JSON object a line, as of a trace.
    fn lines(&self) -> String {
        let mut text = String::new();
        for decision in self.replay.decisions() {
            let line = json!({
                "verdict": decision.said.as_str(),
                "t": self.seconds(decision.at),
                "at": rfc3339(decision.at),
                "cause": decision.cause,
                "route": decision.route.as_ref().map(RouteName::as_str),
                "evidence": decision.evidence,
                "canary_requests": decision.canary_requests,
                "why": decision.why,
                "is_as_live": self.was_live(decision),
            });
            say(&mut text, format_args!("{line}\n"));
        }
        let is_decided = |it: &Decision| it.said != Said::Worse;
        if !self.replay.decisions().iter().any(is_decided) {
            let (_, end) = self.replay.span();
            let (t, at) = (self.seconds(end), rfc3339(end));
            let line = json!({"verdict": "inconclusive", "t": t, "at": at});
            say(&mut text, format_args!("{line}\n"));
        }
        text
    }

    fn was_live(&self, decision: &Decision) -> bool {
        self.replay.live().iter().any(|live| live.is_same(decision))
    }

    /// For people.
    fn text(&self, has_colour: bool) -> String {
        let Header {
            split,
            epoch,
            stable,
            canary,
            written_by,
            ..
        } = &self.header;
        let (began, end) = self.replay.span();
        let name = Tone::Head.paint(split.as_str(), has_colour);
        let mut text = format!(
            "{name}  epoch {epoch}, {canary} against {stable}\n  {:.1} s from {}, recorded by \
             serin {written_by}\n",
            self.seconds(end),
            rfc3339(began),
        );
        for note in self.notes() {
            say(&mut text, format_args!("  note: {note}\n"));
        }
        say(&mut text, format_args!("\nlive\n"));
        text.push_str(&self.list(self.replay.live(), has_colour));
        say(&mut text, format_args!("\nby {}\n", self.by));
        if self.replay.is_as_live() {
            text.push_str("  the same, to the last bit\n");
        } else {
            text.push_str(&self.list(self.replay.decisions(), has_colour));
            say(&mut text, format_args!("\n{}\n", self.difference()));
        }
        text
    }

    /// What a person should know of the record.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(Torn { at, rest }) = self.torn {
            notes.push(format!(
                "it is torn at byte {at}; the {rest} bytes after that cannot be used"
            ));
        } else if self.replay.end().is_none() {
            notes.push("it has no end: serin is still writing it, or was killed".to_owned());
        }
        if let Some(end) = self.replay.end().filter(|end| *end != End::Finished) {
            notes.push(format!("it ends early: {}", end.as_str()));
        }
        notes
    }

    fn list(&self, decisions: &[Decision], has_colour: bool) -> String {
        if decisions.is_empty() {
            return "  nothing was decided\n".to_owned();
        }
        let heading = vec![
            number("AFTER"),
            word("VERDICT"),
            word("CAUSE"),
            number("EVIDENCE"),
            word("WHY"),
        ];
        let row = |decision: &Decision| {
            let said = decision.said.as_str();
            let route = decision.route.as_ref();
            let route = route.map_or_else(String::new, |route| format!(" on {route}"));
            vec![
                number(format!("{:.2} s", self.seconds(decision.at))),
                word(said).tone(Tone::of(said)),
                word(format!("{}{route}", decision.cause)),
                number(format!("{:.2}", decision.evidence)),
                word(&decision.why),
            ]
        };
        let rows: Vec<_> = std::iter::once(heading)
            .chain(decisions.iter().map(row))
            .collect();
        table(&rows, has_colour)
    }

    /// How this judge differs from the live one, in a sentence.
    fn difference(&self) -> String {
        let fail = |decisions: &[Decision]| {
            let mut decisions = decisions.iter();
            let fail = decisions.find(|it| it.said == Said::Fail)?;
            Some(self.seconds(fail.at))
        };
        let by = &self.by;
        match (fail(self.replay.live()), fail(self.replay.decisions())) {
            (Some(live), Some(again)) if again < live => format!(
                "By {by} the canary would have failed {:.2} s earlier.",
                live - again
            ),
            (Some(live), Some(again)) if again > live => format!(
                "By {by} the canary would have failed {:.2} s later.",
                again - live
            ),
            (Some(_), Some(_)) => {
                format!("By {by} the canary would have failed at the same moment.")
            }
            (Some(_), None) => format!(
                "By {by} the canary would not have failed; what it would have done after the \
                 record's end is not known."
            ),
            (None, Some(again)) => {
                format!("By {by} the canary would have failed after {again:.2} s.")
            }
            (None, None) => format!("By {by} the canary would not have failed either."),
        }
    }
}

fn say(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _cannot_fail = text.write_fmt(arguments);
}

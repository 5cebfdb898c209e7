//! The screen as a function of what is known and of its size. Colour only repeats what a word or a
//! sign says already.

mod dialog;
mod rest;
mod split;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use super::state::{Mode, Top};
use crate::{
    admin::wire::Split,
    cli::{
        figures::{clock, percent},
        screen::Tone,
    },
};

/// Splits that are listed at a time.
const LISTED_MAX: usize = 5;
/// Lines that endpoints and news have at least, where there is room.
const REST: u16 = 6;
/// A narrower screen has fewer columns.
const NARROW: u16 = 78;
/// From this width on endpoints and news stand side by side.
const BROAD: u16 = 110;

/// How a tone looks, with colours and without.
pub(super) fn style(tone: Tone, has_colour: bool) -> Style {
    let plain = Style::new();
    match (tone, has_colour) {
        (Tone::Plain, _) => plain,
        (Tone::Head, _) | (Tone::Good | Tone::Wait, false) => plain.add_modifier(Modifier::BOLD),
        (Tone::Good, true) => plain.fg(Color::Green),
        (Tone::Wait, true) => plain.fg(Color::Yellow),
        (Tone::Bad, true) => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
        (Tone::Bad, false) => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
    }
}

/// A piece of a line in a tone.
fn span(text: impl Into<String>, tone: Tone, top: &Top) -> Span<'static> {
    Span::styled(text.into(), style(tone, top.has_colour))
}

/// A word that must not be overlooked.
fn loud(text: impl Into<String>, tone: Tone, top: &Top) -> Span<'static> {
    let style = style(tone, top.has_colour).add_modifier(Modifier::REVERSED | Modifier::BOLD);
    Span::styled(format!(" {} ", text.into()), style)
}

/// The whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, top: &Top) {
    let alarms = alarms(top);
    let listed = top.splits().len().clamp(1, LISTED_MAX);
    let [head, alarm, list, chosen, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height(alarms.len())),
        Constraint::Length(height(listed)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(top), head);
    lines(frame, alarm, alarms);
    lines(frame, list, splits(top, listed));
    if let Some(split) = top.chosen() {
        body(frame, chosen, top, split);
    }
    frame.render_widget(footer(top, keys.width), keys);
    match &top.mode {
        Mode::Watching => {}
        Mode::Help => dialog::help(frame, top),
        Mode::Reason(act) => dialog::reason(frame, act, top),
        Mode::Sure(act) => dialog::sure(frame, act, top),
    }
}

/// The chosen split, and below it what is true of all.
fn body(frame: &mut Frame<'_>, area: Rect, top: &Top, split: &Split) {
    let heights = split::heights(top, split, area);
    let kept = REST.min(area.height / 4);
    let wanted: u16 = heights.into_iter().sum();
    let upper = wanted.min(area.height.saturating_sub(kept));
    let [of_split, of_all] =
        Layout::vertical([Constraint::Length(upper), Constraint::Min(0)]).areas(area);
    split::draw(frame, of_split, top, (split, heights));
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [endpoints, news] = if area.width >= BROAD {
        Layout::horizontal(halves).spacing(2).areas(of_all)
    } else {
        Layout::vertical(halves).areas(of_all)
    };
    lines(frame, endpoints, rest::endpoints(top, endpoints.height));
    lines(frame, news, rest::news(top, news.height));
}

/// A length as a height.
fn height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}

/// Lines from the top of an area; what does not fit is cut off.
fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}

fn header(top: &Top) -> Line<'static> {
    let mut spans = vec![
        span("serin", Tone::Head, top),
        Span::raw(format!(" at {}  ", top.place)),
    ];
    if let Some(frame) = &top.frame {
        let (state, tone) = match (frame.is_draining, frame.is_ready) {
            (true, _) => ("going down", Tone::Wait),
            (false, true) => ("ready", Tone::Good),
            (false, false) => ("not ready", Tone::Bad),
        };
        spans.push(span(state, tone, top));
        let (generation, at) = (frame.generation, clock(&frame.at));
        spans.push(Span::raw(format!("  plan {generation}  {at} UTC")));
        let busiest = frame.workers.iter().copied().reduce(f64::max);
        if let Some(busiest) = busiest {
            spans.push(Span::raw(format!(
                "  busiest worker {:.0}%",
                100.0 * busiest
            )));
        }
    }
    Line::from(spans)
}

/// What is wrong with what is seen, in lines that cannot be overlooked.
fn alarms(top: &Top) -> Vec<Line<'static>> {
    let mut all = Vec::new();
    let silence = top.silence;
    if let Some(why) = &top.lost {
        let words = format!("{silence} s without news, trying again: {why}");
        all.push(vec![
            loud("CONNECTION LOST", Tone::Bad, top),
            Span::raw(format!(" {words}")),
        ]);
    } else if top.is_silent() {
        let words = format!(" for {silence} s: the numbers below are old");
        all.push(vec![
            loud("NOTHING HEARD", Tone::Bad, top),
            Span::raw(words),
        ]);
    }
    let problem = top
        .frame
        .as_ref()
        .and_then(|frame| frame.config.problem.as_deref());
    if let Some(problem) = problem {
        let first = problem.lines().next().unwrap_or_default();
        all.push(vec![
            loud("BAD FILE", Tone::Bad, top),
            Span::raw(format!(" the one before it is in force: {first}")),
        ]);
    }
    let upstreams = top.frame.iter().flat_map(|frame| &frame.upstreams);
    for upstream in upstreams {
        if let Some(problem) = &upstream.problem {
            let words = format!(" {}: {problem}", upstream.name);
            all.push(vec![loud("UPSTREAM", Tone::Bad, top), Span::raw(words)]);
        }
    }
    if let Some((text, is_bad)) = &top.said {
        let (word, tone) = if *is_bad {
            ("REFUSED", Tone::Bad)
        } else {
            ("DONE", Tone::Good)
        };
        let words = Span::raw(format!(" {text}"));
        let is_asked = text.ends_with("...") || text.ends_with("not done");
        let word = (!is_asked).then(|| loud(word, tone, top));
        all.push(word.into_iter().chain([words]).collect());
    }
    all.into_iter().map(Line::from).collect()
}

/// The splits around the chosen one.
fn splits(top: &Top, rows: usize) -> Vec<Line<'static>> {
    let splits = top.splits();
    if splits.is_empty() {
        let words = if top.frame.is_some() {
            "no splits"
        } else {
            "waiting for the first frame"
        };
        return vec![Line::from(words)];
    }
    let (chosen, last) = (top.place_of_chosen(), splits.len().saturating_sub(rows));
    let first = chosen.saturating_sub(rows / 2).min(last);
    let width = splits
        .iter()
        .map(|it| it.name.chars().count())
        .max()
        .unwrap_or(0);
    let shown = splits.iter().enumerate().skip(first).take(rows);
    shown
        .map(|(place, split)| listed(split, place == chosen, width, top))
        .collect()
}

fn listed(split: &Split, is_chosen: bool, width: usize, top: &Top) -> Line<'static> {
    let mark = if is_chosen { ">" } else { " " };
    let name = format!("{mark} {:<width$}  ", split.name);
    let name = if is_chosen {
        span(name, Tone::Head, top)
    } else {
        Span::raw(name)
    };
    let phase = span(split.phase.clone(), Tone::of(&split.phase), top);
    let is_over = split::is_over(split);
    let step = split.step.as_ref().filter(|_| !is_over);
    let step = step.map_or_else(String::new, |step| format!(" {}/{}", step.number, step.of));
    let weight = split.canary.as_ref().map_or_else(String::new, |canary| {
        let seen = split
            .weight
            .observed
            .map(|seen| format!(" (seen {})", percent(seen)));
        let seen = seen.unwrap_or_default();
        format!("  {canary} {}{seen}", split.weight.effective)
    });
    let verdict = split.analysis.as_ref().filter(|_| !is_over);
    let verdict = verdict.map(|it| it.verdict.as_str());
    let verdict = verdict.map(|it| span(format!("  {}", shout(it)), Tone::of(it), top));
    let spans = [name, phase, Span::raw(step), Span::raw(weight)];
    Line::from(spans.into_iter().chain(verdict).collect::<Vec<_>>())
}

/// A verdict as the page writes it.
fn shout(verdict: &str) -> String {
    verdict.to_uppercase().replace('_', " ")
}

fn footer(top: &Top, width: u16) -> Line<'static> {
    let short = [
        ("↑↓", "split"),
        ("p r a P R", "act"),
        ("?", "help"),
        ("q", "quit"),
    ];
    let long = [
        ("↑↓", "split"),
        ("p", "pause"),
        ("r", "resume"),
        ("a", "abort"),
        ("P", "promote"),
        ("R", "retry"),
        ("?", "help"),
        ("q", "quit"),
    ];
    let keys: &[_] = if width < NARROW { &short } else { &long };
    let spans = keys
        .iter()
        .flat_map(|(key, does)| [span(*key, Tone::Head, top), Span::raw(format!(" {does}  "))]);
    Line::from(spans.collect::<Vec<_>>())
}

//! Windows over the screen: help, the reason of an act, and whether it is meant.

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    text::Line,
    widgets::{Block, Clear, Paragraph, Wrap},
};

use super::{height, span};
use crate::cli::{
    screen::Tone,
    top::state::{Act, Top, Verb},
};

/// Columns of a window, where there are so many.
const WIDTH: u16 = 64;

fn window(frame: &mut Frame<'_>, title: &str, text: Vec<Line<'static>>) {
    let tall = height(text.len()).saturating_add(3);
    let [area] = Layout::vertical([Constraint::Length(tall)])
        .flex(Flex::Center)
        .areas(frame.area());
    let [area]: [Rect; 1] = Layout::horizontal([Constraint::Length(WIDTH)])
        .flex(Flex::Center)
        .areas(area);
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(format!(" {title} "));
    frame.render_widget(
        Paragraph::new(text).wrap(Wrap { trim: false }).block(block),
        area,
    );
}

/// What keys do.
pub(super) fn help(frame: &mut Frame<'_>, top: &Top) {
    let others = [
        ("up, down, j, k", "chooses a split"),
        ("?", "shows this"),
        ("q, Ctrl-C", "ends; the proxy does not notice"),
    ];
    let acts = Verb::ALL
        .iter()
        .map(|(key, verb)| (key.to_string(), verb.meaning()));
    let others = others.iter().map(|(key, does)| ((*key).to_owned(), *does));
    let mut text: Vec<Line<'static>> = acts
        .chain(others)
        .map(|(key, does)| {
            Line::from(vec![
                span(format!("{key:<16}"), Tone::Head, top),
                does.into(),
            ])
        })
        .collect();
    text.push(Line::from(""));
    text.push(Line::from(
        "An act asks for a reason and whether you are sure; it is",
    ));
    text.push(Line::from(
        "refused if the rollout has another epoch by then.",
    ));
    window(frame, "keys", text);
}

/// The reason as it is written.
pub(super) fn reason(frame: &mut Frame<'_>, act: &Act, top: &Top) {
    let title = format!("{} {} (epoch {})", act.verb.path(), act.split, act.epoch);
    let text = vec![
        Line::from(format!("It {}.", act.verb.meaning())),
        Line::from(format!("Why? {}_", act.reason)),
        Line::from(""),
        Line::from(span(
            "Enter goes on, Esc leaves it; a reason is needed.",
            Tone::Head,
            top,
        )),
    ];
    window(frame, &title, text);
}

/// The last question.
pub(super) fn sure(frame: &mut Frame<'_>, act: &Act, top: &Top) {
    let title = format!("{} {} (epoch {})", act.verb.path(), act.split, act.epoch);
    let text = vec![
        Line::from(format!("It {}.", act.verb.meaning())),
        Line::from(format!("Reason: {}", act.reason)),
        Line::from(""),
        Line::from(span("y does it, any other key leaves it.", Tone::Head, top)),
    ];
    window(frame, &title, text);
}

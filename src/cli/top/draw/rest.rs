//! What is true of all splits: endpoints, the worst first, and what has happened.

use ratatui::text::{Line, Span};

use super::span;
use crate::{
    admin::wire::{Cell, Surveyed, Upstream},
    cli::{figures::clock, screen::Tone, top::state::Top},
};

/// Upstreams in a line, then single endpoints.
pub(super) fn endpoints(top: &Top, rows: u16) -> Vec<Line<'static>> {
    let Some(frame) = &top.frame else {
        return Vec::new();
    };
    let sums = frame
        .upstreams
        .iter()
        .map(sum)
        .collect::<Vec<_>>()
        .join(", ");
    let heading = vec![span("ENDPOINTS ", Tone::Head, top), Span::raw(sums)];
    let surveyed = top.survey.iter().flat_map(|it| &it.upstreams);
    let mut cells: Vec<(&Surveyed, &Cell)> = surveyed
        .flat_map(|it| it.cells.iter().map(move |cell| (it, cell)))
        .collect();
    cells.sort_by(|(_, a), (_, b)| {
        let gravity = gravity(&b.state).cmp(&gravity(&a.state));
        let slow = |it: &Cell| it.latency_ms.unwrap_or(0.0);
        gravity
            .then(b.failures.cmp(&a.failures))
            .then(slow(b).total_cmp(&slow(a)))
    });
    let rows = usize::from(rows.saturating_sub(1));
    let rest = cells
        .into_iter()
        .take(rows)
        .map(|(of, cell)| line(of, cell, top));
    std::iter::once(Line::from(heading)).chain(rest).collect()
}

fn sum(upstream: &Upstream) -> String {
    let Upstream {
        name,
        usable_endpoints,
        endpoints,
        ..
    } = upstream;
    format!("{name} {usable_endpoints}/{endpoints} usable")
}

fn line(of: &Surveyed, cell: &Cell, top: &Top) -> Line<'static> {
    let tone = match cell.state.as_str() {
        "healthy" => Tone::Plain,
        "unhealthy" | "ejected" => Tone::Bad,
        _ => Tone::Wait,
    };
    let latency = cell.latency_ms.map(|it| format!("{it:.1} ms"));
    let failed = (cell.failures > 0).then(|| format!("{} failures in a row", cell.failures));
    let left = cell.ejected_seconds.map(|left| format!("{left:.0} s left"));
    let group = (cell.count > 1).then(|| format!("the worst of {}", cell.count));
    let busy = (cell.in_flight > 0).then(|| format!("{} in flight", cell.in_flight));
    let notes = [cell.why.clone().or(failed), left, latency, busy, group];
    let notes = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Line::from(vec![
        span(format!("{:<10}", cell.state), tone, top),
        Span::raw(format!("{:<22}{:<12}", cell.address, of.upstream)),
        Span::raw(notes),
    ])
}

/// What a person wants to know of first.
fn gravity(state: &str) -> u8 {
    match state {
        "ejected" => 4,
        "unhealthy" => 3,
        "warming" => 2,
        "draining" => 1,
        _ => 0,
    }
}

/// The last things that happened, newest first.
pub(super) fn news(top: &Top, rows: u16) -> Vec<Line<'static>> {
    let heading = Line::from(span("NEWS", Tone::Head, top));
    let rows = usize::from(rows.saturating_sub(1));
    let shown = top.news.iter().rev().take(rows).map(|news| {
        let tone = if news.is_warning {
            Tone::Bad
        } else {
            Tone::of(&news.event)
        };
        let split = news
            .split
            .as_ref()
            .map(|it| format!(" {it}"))
            .unwrap_or_default();
        let weight = news
            .weight
            .as_ref()
            .map(|it| format!(" {it}"))
            .unwrap_or_default();
        let by = if news.by.is_empty() {
            String::new()
        } else {
            format!(" (by {})", news.by)
        };
        Line::from(vec![
            Span::raw(format!("{} ", clock(&news.at))),
            span(news.event.clone(), tone, top),
            Span::raw(format!("{split}{weight} {}{by}", news.text)),
        ])
    });
    std::iter::once(heading).chain(shown).collect()
}

//! `serin status`: one screen that says how things stand.

mod split;

use std::{fmt::Write as _, time::Duration};

use serde_json::json;

use self::split::{Look, show_splits};
pub(super) use self::split::{cost, moments, users, worst};
pub(super) use super::figures::percent;
use super::{
    Trouble,
    args::{self, Output},
    client::Client,
    figures::clock,
    screen::{Screen, Tone},
    table::{number, table, word},
};
use crate::admin::wire::{self, Config, Frame, Split, Splits, Upstream, Upstreams};

/// Between two tries to reach a process that has gone.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows once, or keeps showing.
pub(super) async fn status(screen: &mut Screen, status: args::Status) -> Result<(), Trouble> {
    let client = Client::new(&status.ask.admin)?;
    let only = status.split.as_deref();
    if status.watch {
        return watch(screen, &client, only, status.ask.output).await;
    }
    let Splits { splits } = splits(&client, only).await?;
    let config: Config = client.get("/v1/config").await?;
    let Upstreams { upstreams } = client.get("/v1/upstreams").await?;
    if status.ask.output.is_json() {
        let all = json!({ "splits": splits, "upstreams": upstreams, "config": config });
        return Ok(screen.write(&format!("{all:#}\n"))?);
    }
    let look = Look::new(status.ask.output, screen);
    let mut text = String::new();
    config_problem(&mut text, &config, look.has_colour);
    show_splits(&mut text, &splits, look);
    if only.is_none() {
        show_upstreams(&mut text, &upstreams, look.has_colour);
    }
    Ok(screen.write(&text)?)
}

/// All splits, or the one that was named.
pub(super) async fn splits(client: &Client, only: Option<&str>) -> Result<Splits, Trouble> {
    match only {
        None => client.get("/v1/splits").await,
        Some(name) => {
            let split: Split = client.get(&format!("/v1/splits/{name}")).await?;
            Ok(Splits {
                splits: vec![split],
            })
        }
    }
}

/// Until Ctrl-C; goes on when the process comes back.
async fn watch(
    screen: &mut Screen,
    client: &Client,
    only: Option<&str>,
    output: Output,
) -> Result<(), Trouble> {
    let mut events = client.events().await?;
    loop {
        while let Some((kind, data)) = events.next().await {
            if kind == "status" {
                draw(screen, client, only, output, &data)?;
            }
        }
        events = loop {
            tokio::time::sleep(AGAIN).await;
            match client.events().await {
                Ok(events) => break events,
                Err(gone) if !output.is_json() => screen.redraw(&gone.to_string())?,
                Err(_) => {}
            }
        };
    }
}

fn draw(
    screen: &mut Screen,
    client: &Client,
    only: Option<&str>,
    output: Output,
    data: &str,
) -> Result<(), Trouble> {
    let mut frame: Frame = wire::from_json(data.as_bytes()).map_err(|error| {
        let help = "is it a serin of the same version?";
        Trouble::unasked(
            format!("cannot understand {}: {error}", client.shown()),
            help,
        )
    })?;
    if let Some(name) = only {
        frame.splits.retain(|split| split.name == name);
    }
    if output.is_json() {
        return Ok(screen.write(&(wire::to_json(&frame) + "\n"))?);
    }
    let look = Look::new(output, screen);
    Ok(screen.redraw(&show_frame(&frame, client.shown(), look))?)
}

fn show_frame(frame: &Frame, place: &str, look: Look) -> String {
    let has_colour = look.has_colour;
    let (state, tone) = match (frame.is_draining, frame.is_ready) {
        (true, _) => ("going down", Tone::Wait),
        (false, true) => ("ready", Tone::Good),
        (false, false) => ("not ready", Tone::Bad),
    };
    let (state, generation, at) = (
        tone.paint(state, has_colour),
        frame.generation,
        clock(&frame.at),
    );
    let mut text = format!("serin at {place}: {state}, plan {generation}, {at} UTC\n\n");
    config_problem(&mut text, &frame.config, has_colour);
    show_splits(&mut text, &frame.splits, look);
    show_upstreams(&mut text, &frame.upstreams, has_colour);
    text
}

fn config_problem(text: &mut String, config: &Config, has_colour: bool) {
    if let Some(problem) = &config.problem {
        let title = "the last file was bad; the one before it is in force:";
        let title = Tone::Bad.paint(title, has_colour);
        // Writing to a String cannot fail.
        let _cannot_fail = write!(text, "{title}\n{}\n\n", problem.trim_end());
    }
}

fn show_upstreams(text: &mut String, upstreams: &[Upstream], has_colour: bool) {
    let heading = vec![
        word("UPSTREAM"),
        number("USABLE"),
        number("ALL"),
        word("PROBLEM"),
    ];
    let row = |upstream: &Upstream| {
        let usable = number(upstream.usable_endpoints.to_string());
        let tone = if upstream.usable_endpoints == 0 {
            Tone::Bad
        } else {
            Tone::Plain
        };
        vec![
            word(&upstream.name),
            usable.tone(tone),
            number(upstream.endpoints.to_string()),
            word(upstream.problem.as_deref().unwrap_or_default()).tone(Tone::Bad),
        ]
    };
    let rows: Vec<_> = std::iter::once(heading)
        .chain(upstreams.iter().map(row))
        .collect();
    text.push_str(&table(&rows, has_colour));
}

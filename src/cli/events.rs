//! `serin events`: what has happened, and what happens.
//!
//! A stream that ends is asked for again. What happened meanwhile is read from the history then, so
//! decisions are not lost by it; other news of that time are.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Trouble,
    args::{self, Output},
    client::{Client, Events},
    figures::clock,
    screen::{Screen, Tone},
    status::splits,
    why::say,
};
use crate::admin::wire::{self, Decision, News, Split};

/// Between two tries to reach a process that has gone.
const AGAIN: Duration = Duration::from_millis(500);

/// What is told, and how.
struct Teller {
    split: Option<String>,
    is_warnings: bool,
    output: Output,
    /// Of the newest that was told.
    newest: String,
}

/// What was decided, and with `--follow` what happens from now on.
pub(super) async fn events(screen: &mut Screen, wanted: args::Events) -> Result<(), Trouble> {
    let client = Client::new(&wanted.ask.admin)?;
    // Subscribe first, then read the past: nothing falls between the two.
    let mut live = if wanted.follow {
        Some(client.events().await?)
    } else {
        None
    };
    let mut teller = Teller {
        split: wanted.split,
        is_warnings: wanted.warnings,
        output: wanted.ask.output,
        newest: String::new(),
    };
    loop {
        teller.past(screen, &client).await?;
        let Some(stream) = live else { return Ok(()) };
        teller.live(screen, stream).await?;
        let patience = Duration::from_secs(wanted.patience);
        live = Some(again(&client, patience).await?);
    }
}

impl Teller {
    /// What was decided since the newest that was told.
    async fn past(&mut self, screen: &mut Screen, client: &Client) -> Result<(), Trouble> {
        let known = splits(client, None).await?;
        let all = known.splits.iter();
        let all = all.flat_map(|split| split.history.iter().map(move |it| told(split, it)));
        let mut past: Vec<News> = all.filter(|news| news.at > self.newest).collect();
        past.sort_by(|a, b| a.at.cmp(&b.at));
        past.iter().try_for_each(|news| self.tell(screen, news))
    }

    /// Until the stream ends.
    async fn live(&mut self, screen: &mut Screen, mut stream: Events) -> Result<(), Trouble> {
        let known = self.newest.clone();
        while let Some((kind, data)) = stream.next().await {
            let Ok(news) = wire::from_json::<News>(data.as_bytes()) else {
                continue;
            };
            if kind == "news" && news.at > known {
                self.tell(screen, &news)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, screen: &mut Screen, news: &News) -> Result<(), Trouble> {
        if news.at > self.newest {
            self.newest.clone_from(&news.at);
        }
        let is_other = self.split.is_some() && news.split != self.split;
        if is_other || (self.is_warnings && !news.is_warning) {
            return Ok(());
        }
        line(screen, news, self.output)
    }
}

/// The stream of the process that comes back, or of the next one.
async fn again(client: &Client, patience: Duration) -> Result<Events, Trouble> {
    let place = client.shown();
    note(&format!("{place} has ended the stream; trying again"));
    let begun = Instant::now();
    loop {
        sleep(AGAIN.min(patience)).await;
        if let Ok(events) = client.events().await {
            note(&format!("{place} is back"));
            return Ok(events);
        }
        if begun.elapsed() >= patience {
            let seconds = patience.as_secs();
            let message =
                format!("{place} has ended the stream, and is not back after {seconds} s");
            let help = "`serin health` tells whether it is back";
            return Err(Trouble::unasked(message, help));
        }
    }
}

/// To whoever watches; programs read standard output.
fn note(text: &str) {
    use std::io::Write as _;
    // There is nowhere left to tell it.
    let _closed = writeln!(std::io::stderr(), "{text}");
}

fn told(split: &Split, decision: &Decision) -> News {
    News {
        at: decision.at.clone(),
        event: decision.what.clone(),
        split: Some(split.name.clone()),
        epoch: None,
        weight: Some(decision.weight.clone()),
        by: decision.by.clone(),
        text: decision.why.clone(),
        is_warning: Tone::of(&decision.what) == Tone::Bad,
    }
}

fn line(screen: &mut Screen, news: &News, output: Output) -> Result<(), Trouble> {
    if output.is_json() {
        return Ok(screen.write(&(wire::to_json(news) + "\n"))?);
    }
    let tone = if news.is_warning {
        Tone::Bad
    } else {
        Tone::of(&news.event)
    };
    let event = format!("{:<16}", news.event);
    let event = tone.paint(&event, screen.has_colour());
    let mut text = format!("{}  {event}", clock(&news.at));
    if let Some(split) = &news.split {
        say(&mut text, format_args!("  {split}"));
    }
    if let Some(weight) = &news.weight {
        say(&mut text, format_args!(" {weight}"));
    }
    say(&mut text, format_args!("  {}", news.text));
    if !news.by.is_empty() {
        say(&mut text, format_args!(" (by {})", news.by));
    }
    Ok(screen.write(&(text.trim_end().to_owned() + "\n"))?)
}

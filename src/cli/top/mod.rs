//! `serin top`: the same truth as the page, on a whole terminal and over ssh.
//!
//! What is shown is a function of what was told (`state.rs`) and of the size (`draw/`); here are
//! the things with effects: the terminal, its keys, the event stream, acts.

mod draw;
mod state;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::Args;
use http::Method;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEvent, KeyEventKind},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

use self::state::{Act, Todo, Top};
use super::{
    Trouble,
    args::Ask,
    client::{Client, Events},
};
use crate::admin::wire::{self, Done};

/// Between two tries to reach a process that has gone.
const AGAIN: Duration = Duration::from_secs(1);
/// Keys that wait while the screen is drawn.
const KEYS_MAX: usize = 64;

/// `serin top`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The split to begin with
    split: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

/// What comes in.
enum Input {
    Key(KeyEvent),
    Resized,
    Told(String, String),
    Lost(Trouble),
    Back,
    Acted(Result<Done, Trouble>),
    Second,
    End,
}

/// The terminal, given back whatever happens: on a panic by the hook that `try_init` sets.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows until `q`, Ctrl-C or a signal.
pub(super) async fn top(wanted: Arguments) -> Result<(), Trouble> {
    if wanted.ask.output.is_json() {
        let help = "`serin status -w -o json` prints each frame as a line";
        return Err(Trouble::unasked("top draws, it prints no JSON", help));
    }
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        let help = "`serin status -w` shows the same as lines, and `-o json` as JSON";
        return Err(Trouble::unasked("top needs a terminal", help));
    }
    let client = Client::new(&wanted.ask.admin)?;
    // A wrong address is told before the screen is taken.
    let events = client.events().await?;
    let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let top = Top::new(client.shown(), wanted.split, is_wanted);
    let mut screen = Screen::open()?;
    watch(&mut screen, &client, events, top).await
}

async fn watch(
    screen: &mut Screen,
    client: &Client,
    events: Events,
    mut top: Top,
) -> Result<(), Trouble> {
    let (into, mut inputs) = mpsc::channel(KEYS_MAX);
    let keys = into.clone();
    // Reading keys blocks; the thread ends with the process.
    let _keys = std::thread::spawn(move || read_keys(&keys));
    let _told = tokio::spawn(listen(client.clone(), events, into.clone()));
    let _end = tokio::spawn(end(into.clone()));
    let _ticks = tokio::spawn(seconds(into.clone()));
    loop {
        screen.0.draw(|frame| draw::draw(frame, &top))?;
        let Some(first) = inputs.recv().await else {
            return Ok(());
        };
        // All that has come meanwhile, before it is drawn again.
        let mut next = Some(first);
        while let Some(input) = next {
            match take(&mut top, input) {
                Todo::Nothing => {}
                Todo::Quit => return Ok(()),
                Todo::Act(act) => {
                    let (client, into) = (client.clone(), into.clone());
                    let _sent = tokio::spawn(async move {
                        let done = send(&client, act).await;
                        // A reader that is gone needs no answer.
                        let _gone = into.send(Input::Acted(done)).await;
                    });
                }
            }
            next = inputs.try_recv().ok();
        }
    }
}

fn take(top: &mut Top, input: Input) -> Todo {
    match input {
        Input::Key(key) => return top.key(key.code, key.modifiers),
        Input::End => return Todo::Quit,
        Input::Resized => {}
        Input::Told(kind, data) => top.told(&kind, &data),
        Input::Lost(trouble) => top.lost(trouble.message),
        Input::Back => top.back(),
        Input::Second => top.second(),
        Input::Acted(Ok(done)) => top.say(format!("{}: {}", done.split, done.message), false),
        Input::Acted(Err(no)) => top.say(format!("{} ({})", no.message, no.help), true),
    }
    Todo::Nothing
}

fn read_keys(into: &mpsc::Sender<Input>) {
    while let Ok(event) = event::read() {
        let input = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key),
            Event::Resize(..) => Input::Resized,
            Event::Key(_)
            | Event::FocusGained
            | Event::FocusLost
            | Event::Mouse(_)
            | Event::Paste(_) => continue,
        };
        if into.blocking_send(input).is_err() {
            return;
        }
    }
    // The terminal has gone.
    let _gone = into.blocking_send(Input::End);
}

/// Passes events on; asks again and again when the process has gone.
async fn listen(client: Client, mut events: Events, into: mpsc::Sender<Input>) {
    loop {
        while let Some((kind, data)) = events.next().await {
            if into.send(Input::Told(kind, data)).await.is_err() {
                return;
            }
        }
        let mut why = Trouble::unasked("the stream has ended", "");
        events = loop {
            if into.send(Input::Lost(why)).await.is_err() {
                return;
            }
            sleep(AGAIN).await;
            match client.events().await {
                Ok(events) => break events,
                Err(trouble) => why = trouble,
            }
        };
        if into.send(Input::Back).await.is_err() {
            return;
        }
    }
}

/// SIGTERM, SIGINT and SIGHUP end it as `q` does, so that the terminal is given back.
async fn end(into: mpsc::Sender<Input>) {
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let [Ok(mut term), Ok(mut int), Ok(mut hang)] = kinds.map(signal) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        _ = hang.recv() => {}
    }
    // It ends already.
    let _gone = into.send(Input::End).await;
}

async fn seconds(into: mpsc::Sender<Input>) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let _at = tick.tick().await;
        if into.send(Input::Second).await.is_err() {
            return;
        }
    }
}

async fn send(client: &Client, act: Act) -> Result<Done, Trouble> {
    let path = format!("/v1/splits/{}:{}", act.split, act.verb.path());
    let body = wire::to_json(&wire::Act {
        reason: Some(act.reason),
        full: None,
    });
    client.act(Method::POST, &path, body, Some(act.epoch)).await
}

#[cfg(test)]
mod tests;

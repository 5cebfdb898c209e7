//! `serin demo`: a rollout to watch, with nothing to install and nothing to configure.
//!
//! Two small backends, users, and Serin between them, all in this process and over real sockets.
//! The canary goes through its steps; at a set moment it breaks in the way that was asked for, and
//! Serin has to notice by itself. The exit code tells whether what should have happened did.

mod backends;
mod load;
mod scene;
mod summary;
mod view;

use std::{io::Write, time::Duration};

use tokio::{sync::broadcast, time::Instant};

use self::{
    backends::Backends,
    load::Crowd,
    scene::Scene,
    summary::{Ending, Story},
    view::View,
};
use super::args::Print;
use crate::{
    app::{self, Options, Running},
    clock,
    config::Drain,
    control::{News, SplitStatus},
    model::Role,
};

/// Into the rollout, at 25 %, the canary breaks.
const FAULT_AFTER: Duration = Duration::from_secs(8);
/// How long traffic is watched after the end of the rollout.
const EPILOGUE: Duration = Duration::from_millis(2_500);
/// A demo that has not ended by then ends as it is.
const LONGEST: Duration = Duration::from_secs(50);
/// How Serin ends: nobody asks any more.
const END: Drain = Drain {
    timeout: Duration::from_millis(500),
    lag: Duration::ZERO,
    long_lived: None,
};
/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(250);

/// How a canary breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Fault {
    /// It does not: the rollout ends with a promotion.
    None,
    /// It answers 500 to every request.
    Errors,
    /// It answers 700 ms late.
    Latency,
    /// It is gone: connections are refused.
    Dead,
}

impl Fault {
    /// As it is written on the command line.
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Dead => "dead",
        }
    }
}

/// What a person types after `serin demo`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Arguments {
    /// How the canary breaks.
    #[arg(long, value_enum, default_value_t = Fault::Errors)]
    pub(super) fault: Fault,
    /// Requests a second, over both versions.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(50..=5_000))]
    pub(super) rate: u32,
    /// Go on after the end, until Ctrl-C, so that there is time for the page.
    #[arg(long)]
    pub(super) stay: bool,
    /// Print one JSON object a line, the last one is the summary; the same as -o json.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) print: Print,
}

impl Arguments {
    /// Whether a program reads what happens.
    const fn is_json(&self) -> bool {
        self.json || self.print.output.is_json()
    }
}

/// Plays the demo to its end. The exit code is 0 only if what should have happened did.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let story = runtime.block_on(play(arguments))?;
    let mut out = std::io::stdout().lock();
    if arguments.is_json() {
        writeln!(out, "{}", story.json())?;
    } else {
        writeln!(out, "{}", story.text())?;
    }
    Ok(u8::from(!story.is_as_expected()))
}

async fn play(arguments: &Arguments) -> anyhow::Result<Story> {
    let backends = Backends::start().await?;
    let scene = Scene::build(backends.addresses())?;
    let running = app::start(&Options {
        config: scene.config(),
        state_dir: Some(scene.state()),
    })?;
    let result = show(arguments, &backends, &running).await;
    running.stop(END, std::future::pending()).await;
    result
}

/// Lets the load run, breaks the canary, shows what happens and keeps count.
async fn show(
    arguments: &Arguments,
    backends: &Backends,
    running: &Running,
) -> anyhow::Result<Story> {
    let Some((_, proxy)) = running.listeners.first() else {
        anyhow::bail!("serin opened no listener");
    };
    let mut news = running.handle.news();
    let mut crowd = Crowd::start(*proxy, arguments.rate);
    let mut story = Story::new(arguments.fault, clock::now());
    let mut view = View::new(arguments.is_json(), story.began);
    view.open((*proxy, running.admin), &forecast(arguments.fault))?;
    let began = Instant::now();
    let mut frames = tokio::time::interval(FRAME);
    let mut end = began + LONGEST;
    while arguments.stay || Instant::now() < end {
        tokio::select! {
            Some(answer) = crowd.answers.recv() => {
                view.answered(&answer);
                story.answered(&answer);
            }
            told = news.recv() => match told {
                Ok(told) => {
                    view.tell(&told)?;
                    if let Some(ending) = ending(&told, running).await {
                        story.ended(ending);
                        end = end.min(Instant::now() + EPILOGUE);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
            _ = tokio::signal::ctrl_c() => break,
            _ = frames.tick() => view.draw(&running.handle.status())?,
            () = tokio::time::sleep_until(began + FAULT_AFTER), if story.is_before_fault() => {
                backends.break_canary(arguments.fault);
                story.broke(clock::now());
                view.say(story.fault_text())?;
            }
        }
    }
    drop(crowd);
    if let Some(totals) = running.handle.totals().await {
        story.count_rescued(&totals);
    }
    Ok(story)
}

/// What will happen to the canary, for those who watch.
fn forecast(fault: Fault) -> String {
    if fault == Fault::None {
        return "Nothing will go wrong.".to_owned();
    }
    format!(
        "At {} s it will break ({}).",
        FAULT_AFTER.as_secs(),
        fault.as_str()
    )
}

/// Whether these news end the rollout, and how.
async fn ending(news: &News, running: &Running) -> Option<Ending> {
    let is_rollback = match news.what {
        "rolled_back" => true,
        "promoted" => false,
        _ => return None,
    };
    // News are told just before the status that goes with them is there to read.
    let mut status = running.handle.watch();
    let status = status
        .wait_for(|status| status.as_of >= news.at)
        .await
        .ok()?;
    let cause = status.splits.first().map(cause_of).unwrap_or_default();
    Some(Ending {
        at: news.at,
        in_force: clock::now(),
        is_rollback,
        cause,
        why: news.text.clone(),
    })
}

/// What the judge held against the canary.
fn cause_of(split: &SplitStatus) -> String {
    split
        .judgement
        .as_ref()
        .map(|judgement| judgement.cause.clone())
        .unwrap_or_default()
}

/// The name of a role on the screen and in `X-Version`.
const fn version(role: Role) -> &'static str {
    match role {
        Role::Stable => "stable",
        Role::Canary => "canary",
    }
}

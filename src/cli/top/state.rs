//! What `serin top` knows, and what a key means. No terminal, no socket, no clock.

use std::collections::{HashMap, VecDeque};

use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use crate::{
    admin::wire::{self, Frame, News, Split, Survey, Version},
    model::number::{real, whole},
};

/// News that are kept.
const NEWS_MAX: usize = 100;
/// Seconds that a trend goes back.
const TREND_MAX: usize = 240;
/// A stream that is silent for longer is told, in seconds.
const SILENT: u64 = 5;
/// The longest reason.
const REASON_MAX: usize = 200;

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Top {
    /// Where the admin API is.
    pub(super) place: String,
    /// Whether there may be colours.
    pub(super) has_colour: bool,
    /// The last frame.
    pub(super) frame: Option<Frame>,
    /// Endpoints, as they were last.
    pub(super) survey: Option<Survey>,
    /// Newest last.
    pub(super) news: VecDeque<News>,
    /// What keys mean now.
    pub(super) mode: Mode,
    /// What the last act led to, and whether it was refused.
    pub(super) said: Option<(String, bool)>,
    /// Why the connection is gone.
    pub(super) lost: Option<String>,
    /// Seconds since anything was heard.
    pub(super) silence: u64,
    chosen: Option<String>,
    trends: HashMap<String, [Trend; 2]>,
}

/// How a version's numbers moved, a point a second.
#[derive(Debug, Clone, Default)]
pub(super) struct Trend {
    /// Failures of requests in hundredths of a percent.
    pub(super) failed: VecDeque<u64>,
    /// The 99th percentile of latency in microseconds.
    pub(super) p99: VecDeque<u64>,
    counts: (u64, u64),
}

/// What keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Keys choose and act.
    Watching,
    /// Any key goes back.
    Help,
    /// Keys write the reason of an act.
    Reason(Act),
    /// `y` does it, anything else does not.
    Sure(Act),
}

/// An act that is being prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    /// On which split.
    pub(super) split: String,
    /// What is done.
    pub(super) verb: Verb,
    /// Why.
    pub(super) reason: String,
    /// The epoch that the person saw; if it is another by then, the act is refused.
    pub(super) epoch: u64,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Hold the share.
    Pause,
    /// Go on.
    Resume,
    /// Take the canary to 0 %.
    Abort,
    /// Go to the next step.
    Promote,
    /// Begin again.
    Retry,
}

/// What is to be done after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// Nothing but drawing.
    Nothing,
    /// To end.
    Quit,
    /// To ask the proxy.
    Act(Act),
}

impl Verb {
    /// All, with their keys.
    pub(super) const ALL: [(char, Self); 5] = [
        ('p', Self::Pause),
        ('r', Self::Resume),
        ('a', Self::Abort),
        ('P', Self::Promote),
        ('R', Self::Retry),
    ];

    /// As the API names it.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Promote => "promote",
            Self::Retry => "retry",
        }
    }

    /// What it does.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Pause => "holds the canary's share; analysis goes on",
            Self::Resume => "goes on with a paused rollout",
            Self::Abort => "takes the canary to 0 %",
            Self::Promote => "goes to the next step",
            Self::Retry => "starts a new rollout of the same canary",
        }
    }
}

impl Top {
    /// Before anything was told.
    pub(super) fn new(place: &str, split: Option<String>, has_colour: bool) -> Self {
        Self {
            place: place.to_owned(),
            has_colour,
            frame: None,
            survey: None,
            news: VecDeque::new(),
            mode: Mode::Watching,
            said: None,
            lost: None,
            silence: 0,
            chosen: split,
            trends: HashMap::new(),
        }
    }

    /// All splits.
    pub(super) fn splits(&self) -> &[Split] {
        self.frame.as_ref().map_or(&[], |frame| &frame.splits)
    }

    /// The place of the chosen split.
    pub(super) fn place_of_chosen(&self) -> usize {
        let is_chosen = |split: &Split| Some(&split.name) == self.chosen.as_ref();
        self.splits().iter().position(is_chosen).unwrap_or(0)
    }

    /// The chosen split.
    pub(super) fn chosen(&self) -> Option<&Split> {
        self.splits().get(self.place_of_chosen())
    }

    /// How stable's and the canary's numbers moved.
    pub(super) fn trends(&self, split: &str) -> Option<&[Trend; 2]> {
        self.trends.get(split)
    }

    /// Whether nothing was heard for too long.
    pub(super) const fn is_silent(&self) -> bool {
        self.silence > SILENT
    }

    /// An event of the stream; one that cannot be understood is passed over.
    pub(super) fn told(&mut self, kind: &str, data: &str) {
        self.silence = 0;
        match kind {
            "status" => match wire::from_json::<Frame>(data.as_bytes()) {
                Ok(frame) => self.framed(frame),
                Err(error) => self.say(
                    format!("cannot understand it: {error}; is it of the same version?"),
                    true,
                ),
            },
            "endpoints" => self.survey = wire::from_json(data.as_bytes()).ok(),
            "news" => {
                if let Ok(news) = wire::from_json(data.as_bytes()) {
                    self.tell(news);
                }
            }
            _ => {}
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// The connection is there again.
    pub(super) fn back(&mut self) {
        self.lost = None;
        self.silence = 0;
    }

    /// A second has passed.
    pub(super) fn second(&mut self) {
        self.silence = self.silence.saturating_add(1);
    }

    /// What an act led to.
    pub(super) fn say(&mut self, text: String, is_bad: bool) {
        self.said = Some((text, is_bad));
    }

    fn tell(&mut self, news: News) {
        self.news.push_back(news);
        while self.news.len() > NEWS_MAX {
            self.news.pop_front();
        }
    }

    fn framed(&mut self, frame: Frame) {
        let second = |frame: &Frame| frame.at.get(..19).map(str::to_owned);
        let is_new_second = self.frame.as_ref().map(second) != Some(second(&frame));
        if self.frame.is_none() {
            self.remember(&frame);
        }
        if is_new_second {
            for split in &frame.splits {
                let trends = self.trends.entry(split.name.clone()).or_default();
                for (trend, version) in trends.iter_mut().zip(&split.versions) {
                    trend.add(version);
                }
            }
        }
        self.frame = Some(frame);
    }

    /// What was decided before anybody watched.
    fn remember(&mut self, frame: &Frame) {
        let told = |split: &Split, it: &wire::Decision| News {
            at: it.at.clone(),
            event: it.what.clone(),
            split: Some(split.name.clone()),
            epoch: None,
            weight: Some(it.weight.clone()),
            by: it.by.clone(),
            text: it.why.clone(),
            is_warning: false,
        };
        let splits = frame.splits.iter();
        let past = splits.flat_map(|split| split.history.iter().map(move |it| told(split, it)));
        let mut past: Vec<News> = past.collect();
        past.extend(self.news.drain(..));
        past.sort_by(|a, b| a.at.cmp(&b.at));
        for news in past {
            self.tell(news);
        }
    }

    /// What a key means.
    pub(super) fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Todo {
        let is_control = modifiers.contains(KeyModifiers::CONTROL);
        if is_control && matches!(code, KeyCode::Char('c' | 'd')) {
            return Todo::Quit;
        }
        match std::mem::replace(&mut self.mode, Mode::Watching) {
            Mode::Watching => return self.watching(code),
            Mode::Help => {}
            Mode::Reason(act) => self.writing(act, code),
            Mode::Sure(act) => {
                if matches!(code, KeyCode::Char('y' | 'Y')) {
                    self.say(
                        format!("{} of {} is asked ...", act.verb.path(), act.split),
                        false,
                    );
                    return Todo::Act(act);
                }
                self.say(format!("{} was not done", act.verb.path()), false);
            }
        }
        Todo::Nothing
    }

    fn watching(&mut self, code: KeyCode) -> Todo {
        if code == KeyCode::Char('q') {
            return Todo::Quit;
        }
        self.said = None;
        let down = matches!(code, KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab);
        let up = matches!(code, KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab);
        let asked = Verb::ALL
            .iter()
            .find(|(key, _)| code == KeyCode::Char(*key));
        if down || up {
            let (place, last) = (
                self.place_of_chosen(),
                self.splits().len().saturating_sub(1),
            );
            let next = if down {
                (place + 1).min(last)
            } else {
                place.saturating_sub(1)
            };
            self.chosen = self.splits().get(next).map(|split| split.name.clone());
        } else if code == KeyCode::Char('?') {
            self.mode = Mode::Help;
        } else if let (Some((_, verb)), Some(split)) = (asked, self.chosen()) {
            self.mode = Mode::Reason(Act {
                split: split.name.clone(),
                verb: *verb,
                reason: String::new(),
                epoch: split.epoch,
            });
        }
        Todo::Nothing
    }

    /// A key of the reason.
    fn writing(&mut self, mut act: Act, code: KeyCode) {
        if code == KeyCode::Esc {
            self.say(format!("{} was not done", act.verb.path()), false);
            return;
        }
        if code == KeyCode::Enter && !act.reason.trim().is_empty() {
            self.mode = Mode::Sure(act);
            return;
        }
        if code == KeyCode::Backspace {
            let _last = act.reason.pop();
        }
        if let KeyCode::Char(letter) = code
            && act.reason.chars().count() < REASON_MAX
        {
            act.reason.push(letter);
        }
        self.mode = Mode::Reason(act);
    }
}

impl Trend {
    fn add(&mut self, version: &Version) {
        let (requests, failures) = (version.requests, version.failures);
        let (requests_then, failures_then) = self.counts;
        self.counts = (requests, failures);
        let is_first = self.p99.is_empty();
        // A new rollout counts from 0 again.
        let new = requests.checked_sub(requests_then).unwrap_or(requests);
        let bad = failures.checked_sub(failures_then).unwrap_or(failures);
        let failed = if is_first || new == 0 {
            0
        } else {
            whole((real(bad) / real(new) * 10_000.0).round())
        };
        let p99 = version.latency_ms.map_or(0, |it| whole(it.p99 * 1e3));
        push(&mut self.failed, failed);
        push(&mut self.p99, p99);
    }
}

fn push(points: &mut VecDeque<u64>, point: u64) {
    points.push_back(point);
    while points.len() > TREND_MAX {
        points.pop_front();
    }
}

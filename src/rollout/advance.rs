//! How a rollout goes by itself: what the schedule and the judge lead to.

use super::{Entry, Rollout, Standing, Step, auto::Climb, step_text, strategy::waited_text};
use crate::{
    config::{OnFailure, OnInconclusive},
    judge::{Judgement, Verdict},
    model::{Moment, Share},
};

/// What is known of the stage, and who says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) verdict: Verdict,
    pub(super) why: &'a str,
    /// The evidence cannot be trusted for now: nothing goes on by the clock.
    pub(super) is_frozen: bool,
    /// With all its numbers; `None`: nothing was judged.
    pub(super) judgement: Option<&'a Judgement>,
}

impl Word<'_> {
    /// Of a stage that has just begun nothing is known.
    pub(super) const NOTHING: Word<'static> = Word {
        verdict: Verdict::NoData,
        why: "",
        is_frozen: false,
        judgement: None,
    };
}

impl Rollout {
    /// Time has passed; the judge says this of the stage now.
    pub(super) fn judged(&mut self, judgement: Option<&Judgement>, now: Moment) -> Vec<Entry> {
        if !self.is_judged() {
            return Vec::new();
        }
        let mut entries = Vec::new();
        let mut word = judgement.map_or(Word::NOTHING, |judgement| Word {
            verdict: judgement.verdict,
            why: &judgement.why,
            is_frozen: judgement.invalid.is_some(),
            judgement: Some(judgement),
        });
        if let Some(judgement) = judgement.filter(|word| word.verdict == Verdict::Fail) {
            entries = self.failed(judgement, now);
            if self.strategy.on_failure != OnFailure::Notify {
                // A person has gone on after a fail: that is no pass, analysis waits on.
                word.verdict = Verdict::Inconclusive;
            }
        }
        if self.record.state.position.standing == Standing::Going && self.is_judged() {
            entries.extend(self.advance(word, now));
        }
        entries
    }

    /// Goes on through all steps that are over.
    pub(super) fn advance(&mut self, word: Word<'_>, now: Moment) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut word = word;
        self.waits.clear();
        if !self.strategy.is_automatic() {
            return entries;
        }
        while self.record.state.position.standing == Standing::Going {
            let Some(step) = self.step().cloned() else {
                entries.extend(self.finish(word, now));
                break;
            };
            match step {
                Step::SetWeight(share) => {
                    entries.push(self.shift(share, &step, word, now));
                    word = Word::NOTHING;
                }
                Step::Pause(None) => {
                    entries.push(self.hold("the file pauses here", "schedule", now));
                }
                Step::Pause(Some(time)) | Step::Bake(time) => {
                    if now.since(self.record.since) < time || word.is_frozen {
                        break;
                    }
                    if word.verdict == Verdict::NoData && self.share() > Share::ZERO {
                        entries.push(self.undecided(word.verdict, &step, now));
                    } else {
                        self.next_step(now);
                    }
                }
                Step::Auto(ref auto) => match self.climb(auto, word, now) {
                    Climb::Over => self.next_step(now),
                    Climb::Decided(decided) => {
                        entries.extend(decided);
                        break;
                    }
                    Climb::Waits(why) => {
                        self.waits = why;
                        let waited = now.since(self.record.since);
                        if auto.max.is_some_and(|max| waited >= max) {
                            entries.push(self.undecided(word.verdict, &step, now));
                        }
                        break;
                    }
                },
                Step::Gate(ref gate) => {
                    entries.extend(self.stand_at_gate(gate, &step, now));
                    break;
                }
                Step::Analysis { max, min } => {
                    let waited = now.since(self.record.since);
                    // A fail that comes here is one that the file wants to be told only.
                    let is_decided = matches!(word.verdict, Verdict::Pass | Verdict::Fail);
                    if is_decided && min.is_none_or(|min| waited >= min) {
                        self.next_step(now);
                    } else if max.is_some_and(|max| waited >= max) {
                        entries.push(self.undecided(word.verdict, &step, now));
                    } else {
                        break;
                    }
                }
            }
        }
        entries
    }

    /// The weight that the file wants next.
    fn shift(&mut self, share: Share, step: &Step, word: Word<'_>, now: Moment) -> Entry {
        self.record.state.position.share = share;
        self.next_step(now);
        let (by, text) = match word.verdict {
            Verdict::Pass => ("judge", format!("{}: {}", step_text(step), word.why)),
            Verdict::Fail | Verdict::Inconclusive | Verdict::NoData => {
                ("schedule", step_text(step))
            }
        };
        Entry {
            why: text,
            ..self.entry(now, "stepped", by)
        }
    }

    pub(super) fn next_step(&mut self, now: Moment) {
        self.record.state.position.step += 1;
        self.record.state.position.rung = 0;
        self.record.since = now;
        self.record.why.clear();
    }

    /// The steps are over: well, if the canary has everything and was seen to have traffic.
    fn finish(&mut self, word: Word<'_>, now: Moment) -> Option<Entry> {
        if self.share() < Share::FULL {
            let why = format!(
                "the steps end at {}; `promote --full` gives the canary everything",
                self.share()
            );
            return Some(self.hold(&why, "schedule", now));
        }
        if word.verdict == Verdict::NoData {
            "the steps are over; it ends when the canary has seen traffic at 100%"
                .clone_into(&mut self.record.why);
            return None;
        }
        self.record.state.position.standing = Standing::Finished;
        self.record.since = now;
        "every step went well".clone_into(&mut self.record.why);
        Some(self.entry(now, "promoted", "schedule"))
    }

    /// A stage's time is over without a decision.
    fn undecided(&mut self, verdict: Verdict, step: &Step, now: Moment) -> Entry {
        let waited = waited_text(now.since(self.record.since));
        let (action, what) = match verdict {
            Verdict::NoData => (self.strategy.on_no_data, "the canary has seen no traffic"),
            Verdict::Pass | Verdict::Fail | Verdict::Inconclusive => (
                self.strategy.on_inconclusive,
                "not enough is known either way",
            ),
        };
        let why = format!("{}: {what} after {waited}", step_text(step));
        self.give_up(action, &why, now)
    }

    /// Does what the file says of a stage that leads to nothing.
    pub(super) fn give_up(&mut self, action: OnInconclusive, why: &str, now: Moment) -> Entry {
        match action {
            OnInconclusive::Pause => self.hold(why, "schedule", now),
            OnInconclusive::Rollback => self.abort(why, "rolled_back", "schedule", now),
        }
    }

    /// The judge says `fail`.
    fn failed(&mut self, judgement: &Judgement, now: Moment) -> Vec<Entry> {
        let by = if judgement.cause.starts_with("absolute:") {
            "absolute"
        } else {
            "judge"
        };
        self.fail(&judgement.why, by, now)
    }

    /// What the judge has against the canary was the fault of endpoints that are out now. The step
    /// begins anew, as its evidence does.
    pub(super) fn excused(&mut self, why: &str, now: Moment) -> Vec<Entry> {
        if self.record.state.position.standing == Standing::Going {
            self.record.since = now;
            self.rung = None;
        }
        vec![Entry {
            why: why.to_owned(),
            ..self.entry(now, "excused", "judge")
        }]
    }

    /// Does what the file says of a canary that is bad; what does not roll back is told once.
    pub(super) fn fail(&mut self, why: &str, by: &str, now: Moment) -> Vec<Entry> {
        match self.strategy.on_failure {
            OnFailure::Rollback => vec![self.abort(why, "rolled_back", by, now)],
            OnFailure::Pause | OnFailure::Notify if self.record.fail_told => Vec::new(),
            OnFailure::Pause => {
                self.record.fail_told = true;
                vec![self.hold(why, by, now)]
            }
            OnFailure::Notify => {
                self.record.fail_told = true;
                vec![Entry {
                    why: why.to_owned(),
                    ..self.entry(now, "failed", by)
                }]
            }
        }
    }

    /// Holds the weight until a person says more.
    pub(super) fn hold(&mut self, why: &str, by: &str, now: Moment) -> Entry {
        self.record.state.position.standing = Standing::Held;
        self.record.since = now;
        why.clone_into(&mut self.record.why);
        self.entry(now, "paused", by)
    }

    /// Takes the canary to 0 for the rest of the epoch, and bars its version.
    pub(super) fn abort(&mut self, why: &str, what: &'static str, by: &str, now: Moment) -> Entry {
        self.record.state.aborted = true;
        self.record.state.barred.extend(self.record.canary.clone());
        self.record.since = now;
        why.clone_into(&mut self.record.why);
        self.entry(now, what, by)
    }
}

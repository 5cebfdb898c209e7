//! What happened in a demo, in numbers and in words, and whether it should have.

use std::{collections::HashSet, fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::{Fault, load::Answer};
use crate::{
    control::Totals,
    model::{Moment, Outcome, Role, number::millis},
};

/// Users call an answer slow that took longer.
const SLOW: Duration = Duration::from_millis(500);
/// A rollback that took longer is no success.
const PROMPT: Duration = Duration::from_secs(10);

/// How the rollout ended.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    /// When it was decided.
    pub(super) at: Moment,
    /// When the last share was in force for certain: it was told after that.
    pub(super) in_force: Moment,
    /// Rolled back, or promoted.
    pub(super) is_rollback: bool,
    /// The metric that decided, if it was a rollback.
    pub(super) cause: String,
    /// Why, with the numbers.
    pub(super) why: String,
}

/// Everything that counts.
#[derive(Debug)]
pub(super) struct Story {
    /// When users began to ask.
    pub(super) began: Moment,
    fault: Fault,
    fault_at: Option<Moment>,
    ending: Option<Ending>,
    requests: u64,
    client_errors: u64,
    canary_after_fault: u64,
    canary_after_rollback: u64,
    users: HashSet<u32>,
    users_hit: HashSet<u32>,
}

impl Story {
    /// A story that begins.
    pub(super) fn new(fault: Fault, began: Moment) -> Self {
        Self {
            began,
            fault,
            fault_at: None,
            ending: None,
            requests: 0,
            client_errors: 0,
            canary_after_fault: 0,
            canary_after_rollback: 0,
            users: HashSet::new(),
            users_hit: HashSet::new(),
        }
    }

    /// Whether the canary is still to be broken.
    pub(super) fn is_before_fault(&self) -> bool {
        self.fault != Fault::None && self.fault_at.is_none()
    }

    /// The canary has been broken.
    pub(super) fn broke(&mut self, at: Moment) {
        self.fault_at = Some(at);
    }

    /// The rollout has ended; only its first end counts.
    pub(super) fn ended(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// Counts an answer.
    pub(super) fn answered(&mut self, answer: &Answer) {
        self.requests += 1;
        self.users.insert(answer.user);
        self.client_errors += u64::from(answer.is_error());
        let is_after_fault = self.fault_at.is_some_and(|at| answer.at > at);
        let sent_at = Moment::from_micros(
            answer
                .at
                .micros()
                .saturating_sub(crate::model::number::micros(answer.took)),
        );
        let is_after_end = self
            .rollback()
            .is_some_and(|ending| sent_at > ending.in_force);
        if answer.role == Some(Role::Canary) {
            self.canary_after_fault += u64::from(is_after_fault);
            self.canary_after_rollback += u64::from(is_after_end);
        }
        if is_after_fault && (answer.is_error() || answer.took > SLOW) {
            self.users_hit.insert(answer.user);
        }
    }

    /// Nobody sees what a canary could not answer, for stable has: it is in the books only.
    pub(super) fn count_rescued(&mut self, totals: &Totals) {
        if matches!(self.fault, Fault::Dead | Fault::Errors) {
            let canary = totals
                .series
                .iter()
                .filter(|(key, _)| key.role == Role::Canary);
            let failed: u64 = canary
                .map(|(_, cell)| cell.attempts.sum(|label| label.outcome == Outcome::Failure))
                .sum();
            self.canary_after_fault = self.canary_after_fault.max(failed);
        }
    }

    fn rollback(&self) -> Option<&Ending> {
        self.ending.as_ref().filter(|ending| ending.is_rollback)
    }

    /// From the fault to the plan without the canary; `None` unless that order was kept.
    fn rollback_after(&self) -> Option<Duration> {
        let (ending, fault_at) = (self.rollback()?, self.fault_at?);
        (ending.at >= fault_at).then(|| ending.at.since(fault_at))
    }

    /// Whether what should have happened did.
    pub(super) fn is_as_expected(&self) -> bool {
        if self.fault == Fault::None {
            let is_promoted = self
                .ending
                .as_ref()
                .is_some_and(|ending| !ending.is_rollback);
            return is_promoted && self.client_errors == 0;
        }
        let is_prompt = self.rollback_after().is_some_and(|after| after <= PROMPT);
        is_prompt && self.canary_after_rollback == 0
    }

    /// The last line of `--json`.
    pub(super) fn json(&self) -> Value {
        json!({
            "fault": self.fault.as_str(),
            "fault_at_ms": self.fault_at.map(|at| millis(at.since(self.began))),
            "rolled_back": self.rollback().is_some(),
            "rollback_after_ms": self.rollback_after().map(millis),
            "cause": self.rollback().map(|ending| &ending.cause),
            "requests": self.requests,
            "client_errors": self.client_errors,
            "canary_requests_after_fault": self.canary_after_fault,
        })
    }

    /// What just happened to the canary.
    pub(super) fn fault_text(&self) -> &'static str {
        match self.fault {
            Fault::None => "the canary is fine",
            Fault::Errors => "the canary BREAKS: it answers 500 to every request",
            Fault::Latency => "the canary BREAKS: every answer is 700 ms late",
            Fault::Dead => "the canary BREAKS: it refuses connections",
        }
    }

    /// The summary for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("\n");
        let seconds = |at: Moment| at.since(self.began).as_secs_f64();
        let mut line = |label: &str, value: String| {
            // Writing to a string cannot fail.
            let _always_ok = writeln!(text, "  {label:<22}{value}");
        };
        if let Some(at) = self.fault_at {
            line("canary broke at", format!("{:.2} s", seconds(at)));
        }
        match &self.ending {
            Some(ending) if ending.is_rollback => {
                line("rolled back at", format!("{:.2} s", seconds(ending.at)));
                if let Some(after) = self.rollback_after() {
                    line("after", format!("{} ms", millis(after)));
                }
                line("because of", format!("{}: {}", ending.cause, ending.why));
            }
            Some(ending) => line("promoted at", format!("{:.2} s", seconds(ending.at))),
            None => line("ended", "without a promotion or a rollback".to_owned()),
        }
        line(
            "requests",
            format!("{} of {} users", self.requests, self.users.len()),
        );
        if self.fault != Fault::None {
            line(
                "at the broken canary",
                format!("{} requests", self.canary_after_fault),
            );
            line(
                "users hit",
                format!("{} of {}", self.users_hit.len(), self.users.len()),
            );
        }
        line("errors users saw", self.client_errors.to_string());
        line(
            "as it should be",
            if self.is_as_expected() { "yes" } else { "NO" }.to_owned(),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn answer(role: Role, status: u16, at: u64) -> Answer {
        Answer {
            user: 1,
            role: Some(role),
            status: StatusCode::from_u16(status).ok(),
            took: Duration::from_millis(10),
            at: Moment::from_millis(at),
        }
    }

    fn ending(at: u64, is_rollback: bool) -> Ending {
        let at = Moment::from_millis(at);
        Ending {
            at,
            in_force: at,
            is_rollback,
            cause: "error_rate".to_owned(),
            why: String::new(),
        }
    }

    #[test]
    fn a_rollback_after_the_fault_is_as_expected() {
        let mut story = Story::new(Fault::Errors, Moment::from_millis(1_000));
        story.answered(&answer(Role::Canary, 200, 1_500));
        story.broke(Moment::from_millis(2_000));
        story.answered(&answer(Role::Canary, 500, 2_100));
        story.ended(ending(2_400, true));
        story.answered(&answer(Role::Canary, 500, 2_405));
        story.answered(&answer(Role::Stable, 200, 2_600));
        assert!(
            story.is_as_expected(),
            "the answer at 2,405 was asked for before the rollback"
        );
        let text = story.json().to_string();
        assert_eq!(
            text,
            r#"{"fault":"errors","fault_at_ms":1000,"rolled_back":true,"rollback_after_ms":400,"#
                .to_owned()
                + r#""cause":"error_rate","requests":4,"client_errors":2,"#
                + r#""canary_requests_after_fault":2}"#
        );
    }

    #[test]
    fn a_canary_that_is_asked_after_its_rollback_is_not_as_expected() {
        let mut story = Story::new(Fault::Errors, Moment::ZERO);
        story.broke(Moment::from_millis(2_000));
        story.ended(ending(2_400, true));
        story.answered(&answer(Role::Canary, 500, 2_600));
        assert!(!story.is_as_expected());
    }

    #[test]
    fn a_false_alarm_and_a_silent_end_are_not_as_expected() {
        let mut early = Story::new(Fault::Errors, Moment::ZERO);
        early.ended(ending(500, true));
        early.broke(Moment::from_millis(2_000));
        assert!(!early.is_as_expected());
        assert!(!Story::new(Fault::None, Moment::ZERO).is_as_expected());
        let mut promoted = Story::new(Fault::None, Moment::ZERO);
        promoted.ended(ending(500, false));
        assert!(promoted.is_as_expected());
    }
}

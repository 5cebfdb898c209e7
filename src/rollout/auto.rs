//! The step `auto`: the share rises as fast as the evidence allows, and a bad canary costs at most
//! a budget of failed requests.
//!
//! What a raise risks is projected from all that was seen: how bad the canary may be at worst, and
//! how long that would take to be found out at the next share (`judge::Exposure`). Against harm
//! that is too slight to be found in time stands the budget itself: when it is spent, and the
//! canary is proven to fail more than stable, the rollout has failed. In doubt the share is held;
//! it is never lowered but to 0.

use std::time::Duration;

use super::{Entry, Rollout, advance::Word, strategy::duration_text};
use crate::{
    config::Auto,
    judge::{Exposure, Judgement, Verdict},
    model::{Moment, Share, number::real},
};

/// Judged canary requests between two raises, at least.
const REQUESTS_MIN: u64 = 30;
/// A raise multiplies the share by this at most.
const TIMES_MAX: u16 = 4;
/// The part of the evidence for a rollback from which on nothing is raised.
const DOUBT: f64 = 0.1;

/// How long the share takes from `share` to the end of the step at so many requests a second, if
/// no harm holds it back; `None`: without requests it never rises.
pub fn time_to_climb(auto: &Auto, share: Share, rate: f64) -> Option<Duration> {
    let mut share = share.max(auto.from);
    let mut seconds = 0.0;
    while share < auto.to {
        let fresh = real(REQUESTS_MIN) / (rate * share.ratio());
        seconds += auto.min_step.as_secs_f64().max(fresh);
        let times = share.basis_points().saturating_mul(TIMES_MAX);
        share = Share::from_basis_points(times).unwrap_or(Share::FULL);
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// What one look at the step leads to.
#[derive(Debug)]
pub(super) enum Climb {
    /// The step is over.
    Over,
    /// The share is held, for this reason.
    Waits(String),
    /// This was decided.
    Decided(Vec<Entry>),
}

/// The time since the last raise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rung {
    /// Revision, step and rung: where the rollout stood.
    place: (u64, usize, u32),
    /// Judged canary requests before it.
    requests: u64,
    since: Moment,
}

impl Rollout {
    /// Looks whether the share may rise.
    pub(super) fn climb(&mut self, auto: &Auto, word: Word<'_>, now: Moment) -> Climb {
        let share = self.share();
        if share < auto.from {
            let why = format!("auto begins at {}", auto.from);
            return Climb::Decided(vec![self.raise(auto.from, "schedule", why, now)]);
        }
        let Some(judgement) = word.judgement else {
            return Climb::Waits("nothing is judged yet".to_owned());
        };
        let rung = self.rung(judgement.canary_requests, now);
        if judgement.harm > real(auto.failed_requests) {
            return self.overspent(auto, judgement, now);
        }
        if share >= auto.to {
            // A fail that comes here is one that the file wants to be told only.
            return match word.verdict {
                Verdict::Pass | Verdict::Fail => Climb::Over,
                Verdict::Inconclusive | Verdict::NoData => {
                    Climb::Waits(format!("waits for a pass at {share}"))
                }
            };
        }
        let seen = judgement.canary_requests.saturating_sub(rung.requests);
        let obstacle = obstacle(judgement, seen).or_else(|| {
            let is_early = now.since(rung.since) < auto.min_step;
            is_early.then(|| format!("keeps {share} for {}", duration_text(auto.min_step)))
        });
        if let Some(obstacle) = obstacle {
            return Climb::Waits(obstacle);
        }
        let elapsed = now.since(rung.since).as_secs_f64();
        let pace = judgement
            .pace
            .max(real(seen) / elapsed.max(f64::MIN_POSITIVE));
        let Some((next, risk, worst)) = highest(auto, judgement, share, pace) else {
            return Climb::Waits(format!(
                "more than {share} could cost more than is left of {} failed requests",
                auto.failed_requests
            ));
        };
        let why = format!(
            "auto: {seen} canary requests at {share} went well; at worst {:.2}% more fail than on \
             stable, which could cost {risk:.0} requests at {next}, and {:.0} of {} are left",
            worst * 100.0,
            real(auto.failed_requests) - judgement.harm,
            auto.failed_requests,
        );
        Climb::Decided(vec![self.raise(next, "judge", why, now)])
    }

    /// Since when the share is what it is; a new place, or new evidence, begins anew.
    fn rung(&mut self, requests: u64, now: Moment) -> Rung {
        let position = &self.record.state.position;
        let place = (position.revision, position.step, position.rung);
        let known = self.rung.filter(|rung| rung.place == place);
        let rung = known.filter(|rung| rung.requests <= requests);
        let rung = rung.unwrap_or(Rung {
            place,
            requests,
            since: now,
        });
        self.rung = Some(rung);
        rung
    }

    fn raise(&mut self, share: Share, by: &str, why: String, now: Moment) -> Entry {
        let position = &mut self.record.state.position;
        position.share = share;
        position.rung = position.rung.saturating_add(1);
        Entry {
            why,
            ..self.entry(now, "stepped", by)
        }
    }

    /// More has failed than may.
    fn overspent(&mut self, auto: &Auto, judgement: &Judgement, now: Moment) -> Climb {
        let budget = auto.failed_requests;
        if !judgement.is_worse {
            return Climb::Waits(format!(
                "the harm budget of {budget} failed requests is spent, but the canary is not \
                 proven to be worse than stable"
            ));
        }
        let why = format!(
            "the harm budget is spent: {:.0} canary requests failed beyond what is tolerated, \
             {budget} may",
            judgement.harm
        );
        let entries = self.fail(&why, "judge", now);
        if entries.is_empty() {
            Climb::Waits(why)
        } else {
            Climb::Decided(entries)
        }
    }
}

/// What in the evidence speaks against a raise.
fn obstacle(judgement: &Judgement, seen: u64) -> Option<String> {
    if judgement.verdict == Verdict::Fail {
        Some("nothing is raised after a fail".to_owned())
    } else if let Some(invalid) = judgement.invalid {
        Some(format!("{invalid}; nothing is raised meanwhile"))
    } else if judgement.is_worse {
        Some("the canary is proven to fail more than stable, within the margin".to_owned())
    } else if judgement.evidence >= DOUBT * judgement.threshold {
        Some("there is evidence against the canary, not enough for a rollback".to_owned())
    } else if seen < REQUESTS_MIN {
        Some(format!(
            "has seen {seen} of {REQUESTS_MIN} canary requests that a raise takes"
        ))
    } else {
        None
    }
}

/// The highest share that the rest of the budget can bear, what it could cost, and how much worse
/// the canary may be at worst; `None`: none is higher than now.
fn highest(
    auto: &Auto,
    judgement: &Judgement,
    share: Share,
    pace: f64,
) -> Option<(Share, f64, f64)> {
    let exposure = Exposure::of(judgement)?;
    let left = real(auto.failed_requests) - judgement.harm;
    let now = share.basis_points();
    let risk = |points: u16| {
        let times = f64::from(points) / f64::from(now);
        exposure.harm(pace * times, auto.min_step)
    };
    let (mut low, mut high) = (
        now,
        auto.to.basis_points().min(now.saturating_mul(TIMES_MAX)),
    );
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if risk(middle) <= left {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let next = Share::from_basis_points(low).ok()?;
    (next > share).then(|| (next, risk(low), exposure.worst()))
}

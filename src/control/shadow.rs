//! The shadow A/A: the judge tries stable against itself, for ever.
//!
//! What the judge promises rests on the coin that sends a request to the canary. A tenth of stable
//! is drawn by the same kind of coin and judged against the rest, by the split's own criteria. It
//! is the same version, so an alarm says that an assumption of the judge is broken here: outcomes
//! share fates in a way that it does not know of. No rollout hears of it; people do.

use std::time::Duration;

use super::{Control, News, ShadowStatus, course::Course, turn::Turn};
use crate::{
    config::Split,
    judge::{Arm, Baseline, Criteria, Evidence, Judgement, Stratum, Tick, judge},
    measure::{Cell, Latencies, Sum, Window},
    model::{Moment, Share, Stage},
    plan::SHADOW,
    rollout::criteria,
};

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many splits are looked at in one turn. Of a thousand, all at once would hold a verdict up
/// and take a core from the workers for milliseconds.
const LOOKS_A_TURN: usize = 32;
/// How often all numbers of the judgement are worked out for those who read them.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// How often thresholds are taken anew from stable's recent past.
const STAGE: Duration = Duration::from_mins(10);
/// How often everything begins anew: the users that have failed are remembered so long.
const LIFE: Duration = Duration::from_hours(24);
/// How long slow tests rest after the first request of all.
const WARM_UP: Duration = Duration::from_mins(1);

/// The trial of stable against itself, on one split.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    trial: Option<Trial>,
    /// Not yet weighed: of the rest, and of the shadow.
    pending: [Cell; 2],
    looked: Moment,
    shown: Moment,
    judgement: Judgement,
    alarms: u64,
    was_begun: bool,
}

/// Evidence by some criteria.
#[derive(Debug)]
struct Trial {
    written: Criteria,
    evidence: Evidence,
    began: Moment,
    stage: Stage,
    stage_began: Moment,
}

impl Shadow {
    /// Takes what a worker has counted for one part of stable.
    pub(super) fn add(&mut self, is_shadow: bool, cell: &Cell) {
        let [rest, shadow] = &mut self.pending;
        if is_shadow { shadow } else { rest }.merge_judged(cell);
    }

    /// Whether it is time to look again.
    fn is_due(&self, now: Moment) -> bool {
        now.since(self.looked) >= LOOK_EVERY
    }

    /// There is no stable to try.
    fn rest(&mut self, now: Moment) {
        self.trial = None;
        self.pending = Default::default();
        self.judgement = Judgement::default();
        self.looked = now;
    }

    /// Weighs what has become known. `Some`: an alarm.
    fn look(
        &mut self,
        written: Criteria,
        baseline: impl FnOnce() -> Baseline,
        in_flight: &[Latencies; 2],
        now: Moment,
    ) -> Option<Judgement> {
        let from = std::mem::replace(&mut self.looked, now);
        let is_silent = self.pending.iter().all(Cell::is_empty);
        if is_silent && in_flight.iter().all(Latencies::is_empty) {
            return None;
        }
        let kept = self
            .trial
            .take()
            .filter(|trial| trial.written == written && now.since(trial.began) < LIFE);
        let is_first = !std::mem::replace(&mut self.was_begun, true);
        let mut trial = match kept {
            Some(mut trial) => {
                trial.renew(baseline, now);
                trial
            }
            None => Trial::new(written, &baseline(), is_first, now),
        };
        let [rest, shadow] = std::mem::take(&mut self.pending);
        let [rest_ages, shadow_ages] = in_flight;
        let stratum = Stratum {
            stage: trial.stage,
            share: SHADOW,
            stable: Arm {
                cell: &rest,
                in_flight: Some(rest_ages),
            },
            canary: Arm {
                cell: &shadow,
                in_flight: Some(shadow_ages),
            },
        };
        trial.evidence.absorb(&Tick {
            from: from.max(trial.began),
            to: now,
            strata: &[stratum],
        });
        let has_failed = trial.evidence.failure().is_some();
        if has_failed || now.since(self.shown) >= SHOWN_EVERY {
            self.shown = now;
            self.judgement = judge(&trial.evidence, &trial.written);
        }
        if has_failed {
            self.alarms += 1;
            return Some(std::mem::take(&mut self.judgement));
        }
        self.trial = Some(trial);
        None
    }

    /// For those who read; `None` while nothing was tried.
    pub(super) fn status(&self) -> Option<ShadowStatus> {
        self.was_begun.then_some(ShadowStatus {
            alarms: self.alarms,
            evidence: self.judgement.evidence,
            threshold: self.judgement.threshold,
            requests: self.judgement.canary_requests,
        })
    }
}

impl Trial {
    fn new(written: Criteria, baseline: &Baseline, is_first: bool, now: Moment) -> Self {
        let stage = Stage::default();
        let warm_up = if is_first { WARM_UP } else { Duration::ZERO };
        let criteria = Criteria {
            warm_up,
            ..written.clone()
        };
        let mut evidence = Evidence::new(&criteria, baseline, now);
        evidence.begin_stage(stage, SHADOW, baseline, now);
        Self {
            written,
            evidence,
            began: now,
            stage,
            stage_began: now,
        }
    }

    fn renew(&mut self, baseline: impl FnOnce() -> Baseline, now: Moment) {
        if now.since(self.stage_began) >= STAGE {
            self.stage = self.stage.next();
            self.stage_began = now;
            self.evidence
                .begin_stage(self.stage, SHADOW, &baseline(), now);
        }
    }
}

impl Control {
    /// Tries stable against itself on each split that has one, some of many splits in each turn.
    pub(super) fn look_at_shadows(&mut self, now: Moment, turn: &mut Turn) {
        let splits = &self.in_force.config.splits;
        let mut looks = 0;
        for _ in splits {
            if looks == LOOKS_A_TURN {
                return;
            }
            let at = self.next_shadow % splits.len();
            self.next_shadow = at + 1;
            let Some(split) = splits.get(at) else {
                continue;
            };
            let Some(course) = self.courses.get_mut(&split.name) else {
                continue;
            };
            if !course.shadow.is_due(now) {
                continue;
            }
            looks += 1;
            if course.rollout.share() == Share::FULL {
                course.shadow.rest(now);
                continue;
            }
            let in_flight = self.book.shadow_in_flight(course.key);
            if let Some(alarm) = look(course, split, &in_flight, now) {
                turn.news.push(news(course, split, &alarm, now));
            }
        }
    }
}

fn look(
    course: &mut Course,
    split: &Split,
    in_flight: &[Latencies; 2],
    now: Moment,
) -> Option<Judgement> {
    // Plain rules are no statistics: they would blame the shadow for what stable is.
    let written = Criteria {
        rules: Vec::new(),
        ..criteria(split)
    };
    let stable = &course.stable.window;
    course
        .shadow
        .look(written, || baseline(stable), in_flight, now)
}

fn baseline(stable: &Window) -> Baseline {
    let Sum {
        trials,
        failures,
        latency,
    } = stable.sum();
    Baseline {
        requests: trials,
        failures,
        latency,
        routes: Vec::new(),
    }
}

fn news(course: &Course, split: &Split, alarm: &Judgement, now: Moment) -> News {
    let why = alarm
        .why
        .replace("canary requests", "requests of a random tenth");
    News {
        at: now,
        what: "shadow_alarm",
        split: Some(split.name.clone()),
        epoch: Some(course.rollout.epoch()),
        share: None,
        by: "judge".to_owned(),
        text: format!(
            "stable was found worse than itself by {}: {why}. Its outcomes do not fall as \
             independently as the judge assumes, so a rollback by this metric may be false",
            alarm.cause
        ),
        is_warning: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(trials: u64, failures: u64) -> Cell {
        let mut cell = Cell {
            assigned: trials,
            trials,
            failures,
            ..Cell::default()
        };
        cell.latency.record_n(Duration::from_millis(5), trials);
        cell
    }

    /// Looks once a second; the rest fails never, the shadow so often of 100. Says the second of
    /// each alarm.
    fn alarms(shadow: &mut Shadow, seconds: std::ops::Range<u64>, failures: u64) -> Vec<u64> {
        let look = |second: &u64| {
            shadow.add(false, &cell(900, 0));
            shadow.add(true, &cell(100, failures));
            let now = Moment::from_millis(1_000_000 + second * 1_000);
            let criteria = Criteria::default();
            let in_flight = [Latencies::new(), Latencies::new()];
            let alarm = shadow.look(criteria, Baseline::default, &in_flight, now);
            alarm.is_some()
        };
        seconds.filter(look).collect()
    }

    #[test]
    fn slow_tests_rest_for_a_minute_after_the_first_request_and_never_again() {
        let mut shadow = Shadow::default();
        let first = alarms(&mut shadow, 0..120, 3);
        assert!((60..70).contains(&first[0]), "{first:?}");
        assert!(
            first[1] < first[0] + 15,
            "it begins anew at once: {first:?}"
        );
        assert_eq!(
            shadow.status().unwrap().alarms,
            u64::try_from(first.len()).unwrap()
        );
    }

    #[test]
    fn thresholds_are_renewed_and_once_a_day_everything() {
        let mut shadow = Shadow::default();
        assert_eq!(shadow.status(), None);
        let stage = |shadow: &Shadow| shadow.trial.as_ref().map(|trial| trial.stage);
        assert!(alarms(&mut shadow, 0..590, 0).is_empty());
        assert_eq!(stage(&shadow), Some(Stage::default()));
        assert!(alarms(&mut shadow, 590..620, 0).is_empty());
        assert_eq!(stage(&shadow), Some(Stage::default().next()));
        assert_eq!(shadow.status().unwrap().requests, 62_000);
        assert!(alarms(&mut shadow, 86_410..86_420, 0).is_empty());
        assert_eq!(stage(&shadow), Some(Stage::default()));
        assert_eq!(shadow.status().unwrap().requests, 1_000);
    }

    #[test]
    fn other_criteria_begin_anew_and_silence_costs_nothing() {
        let mut shadow = Shadow::default();
        alarms(&mut shadow, 0..10, 0);
        let in_flight = [Latencies::new(), Latencies::new()];
        let now = Moment::from_millis(1_020_000);
        let other = Criteria {
            alpha: 0.5,
            ..Criteria::default()
        };
        shadow.look(other.clone(), Baseline::default, &in_flight, now);
        assert_eq!(shadow.status().unwrap().requests, 1_000, "nothing was seen");
        shadow.add(true, &cell(5, 0));
        let now = now + Duration::from_secs(1);
        shadow.look(other, Baseline::default, &in_flight, now);
        assert_eq!(shadow.status().unwrap().requests, 5);
    }

    /// Whether five random minutes have an alarm, if each toss decides over so many requests.
    fn has_alarm(seed: u64, requests: u64) -> bool {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut shadow = Shadow::default();
        for tick in 0..1_200_u64 {
            // For half a minute a third of all requests fail, on both parts alike.
            let is_out = (600..720).contains(&tick);
            let rate = if is_out { 0.33 } else { 0.008 };
            let mut parts = [(0, 0); 2];
            for _ in 0..100 / requests {
                let part = &mut parts[usize::from(random.u8(..10) == 0)];
                part.0 += requests;
                part.1 += if random.f64() < rate { requests } else { 0 };
            }
            let [rest, in_shadow] = parts;
            shadow.add(false, &cell(rest.0, rest.1));
            shadow.add(true, &cell(in_shadow.0, in_shadow.1));
            let now = Moment::from_millis(1_000_000 + tick * 250);
            let in_flight = [Latencies::new(), Latencies::new()];
            shadow.look(Criteria::default(), Baseline::default, &in_flight, now);
        }
        shadow.alarms > 0
    }

    #[test]
    fn requests_that_share_a_toss_raise_an_alarm_and_others_do_not() {
        let lives = |requests| (0..8).filter(|seed| has_alarm(*seed, requests)).count();
        // One in a hundred lives may have an alarm by chance.
        let alone = lives(1);
        assert!(alone <= 1, "{alone} of 8 lives");
        let together = lives(10);
        assert!(together >= 7, "{together} of 8 lives");
    }
}

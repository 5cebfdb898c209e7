//! Plain floors: "at most 5 % errors over a minute", whatever stable does.
//!
//! They are what people know how to write, and they are no statistics: looking often makes them
//! fire by chance, so they lie outside alpha, and a judgement says so by its cause. They count the
//! canary only, and begin after the warm-up.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    bet::Trials,
    criteria::{Rule, RuleAction, RuleMetric},
    marks::Ageing,
    stages::SLOTS,
    told::Tick,
};
use crate::model::{
    Moment, Stage,
    number::{index, real},
};

/// Into how many parts a window is cut.
const PARTS: u32 = 32;

/// One rule with its window.
#[derive(Debug, Clone)]
pub(super) struct Floor {
    rule: Rule,
    parts: VecDeque<(Moment, Trials)>,
    sum: Trials,
    /// Whether the last windows were broken, if several are looked at; and when this one ends.
    windows: VecDeque<bool>,
    ends: Option<Moment>,
    ages: BTreeMap<Stage, Ageing<1>>,
}

impl Floor {
    /// An empty window.
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            parts: VecDeque::new(),
            sum: Trials::default(),
            windows: VecDeque::new(),
            ends: None,
            ages: BTreeMap::new(),
        }
    }

    /// Takes a tick; what ages in flight is followed even before the rule is on duty.
    pub(super) fn absorb(&mut self, tick: &Tick<'_>, is_on_duty: bool) {
        let mut trials = Trials::default();
        self.ages
            .retain(|stage, _| tick.strata.iter().any(|stratum| stratum.stage == *stage));
        for stratum in tick.strata {
            trials.add(match self.rule.metric {
                RuleMetric::ErrorRate(_) => {
                    let cell = stratum.canary.cell;
                    Trials::new(cell.trials, cell.failures)
                }
                RuleMetric::Latency { limit, .. } => {
                    let [slow] = self.ageing(stratum.stage).count(stratum.canary, &[limit]);
                    slow
                }
            });
        }
        if is_on_duty {
            self.push(tick.to, trials);
        }
    }

    /// What the rule does when broken.
    pub(super) const fn action(&self) -> RuleAction {
        self.rule.action
    }

    /// Whether it is broken now: this window, or so many of the last ones.
    pub(super) fn is_broken(&self) -> bool {
        let (needed, of) = self.rule.breaches;
        if of <= 1 {
            return self.is_window_broken();
        }
        let broken = self.windows.iter().filter(|is_broken| **is_broken).count();
        broken >= index(needed)
    }

    fn is_window_broken(&self) -> bool {
        let limit = match self.rule.metric {
            RuleMetric::ErrorRate(limit) => limit,
            RuleMetric::Latency { quantile, .. } => 1.0 - quantile,
        };
        let least = self.rule.min_requests.max(1);
        self.sum.trials >= least && real(self.sum.hits) > limit * real(self.sum.trials) + 1e-9
    }

    /// What a judgement says is the cause: `absolute:error_rate`, `absolute:latency_p99`.
    pub(super) fn cause(&self) -> String {
        match self.rule.metric {
            RuleMetric::ErrorRate(_) => "absolute:error_rate".to_owned(),
            RuleMetric::Latency { quantile, .. } => {
                let percent = format!("{:.3}", quantile * 100.0);
                let percent = percent.trim_end_matches('0').trim_end_matches('.');
                format!("absolute:latency_p{percent}")
            }
        }
    }

    /// The rule, the numbers and the window in words.
    pub(super) fn why(&self) -> String {
        let Trials { trials, hits } = self.sum;
        let window = self.rule.window.as_secs_f64();
        match self.rule.metric {
            RuleMetric::ErrorRate(limit) => format!(
                "{hits} of {trials} canary requests failed within {window} s; at most {:.2}% may",
                limit * 100.0
            ),
            RuleMetric::Latency { quantile, limit } => format!(
                "{hits} of {trials} canary requests took over {} ms within {window} s; at most \
                 {:.2}% may",
                limit.as_secs_f64() * 1_000.0,
                (1.0 - quantile) * 100.0
            ),
        }
    }

    fn push(&mut self, at: Moment, trials: Trials) {
        let of = self.rule.breaches.1;
        if of > 1 {
            // Windows stand side by side: each counts once.
            let ends = *self.ends.get_or_insert(at + self.rule.window);
            if at >= ends {
                self.windows.push_back(self.is_window_broken());
                if self.windows.len() > index(of) {
                    self.windows.pop_front();
                }
                self.parts.clear();
                self.sum = Trials::default();
                self.ends = Some(at + self.rule.window);
            }
        }
        self.sum.add(trials);
        let part: Duration = self.rule.window / PARTS;
        match self.parts.back_mut() {
            Some((begin, into)) if at.since(*begin) < part => into.add(trials),
            Some(_) | None => self.parts.push_back((at, trials)),
        }
        while let Some((begin, old)) = self.parts.front()
            && at.since(*begin) > self.rule.window
        {
            self.sum.trials -= old.trials;
            self.sum.hits -= old.hits;
            self.parts.pop_front();
        }
    }

    fn ageing(&mut self, stage: Stage) -> &mut Ageing<1> {
        while self.ages.len() >= SLOTS && !self.ages.contains_key(&stage) {
            self.ages.pop_first();
        }
        self.ages.entry(stage).or_default()
    }
}

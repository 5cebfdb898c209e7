//! How the numbers of a rollout moved: one line a metric, kept for the page of its evidence.
//!
//! The memory is bounded whatever a rollout lasts: a full trail gives up every second point and
//! doubles the time between two. The first point and the newest are always there, so the shape of
//! a week and the end of it are both told.

use std::time::Duration;

use crate::{judge::Judgement, model::Moment};

/// How many points a trail has at most.
const POINTS_MAX: usize = 512;
/// Between two points, while there is room.
const EVERY: Duration = Duration::from_millis(250);

/// The course of every metric's difference and of the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Trail {
    /// The metrics, in the order of [`Spot::lines`].
    pub metrics: Vec<String>,
    /// In the order of time.
    pub points: Vec<Spot>,
    every: Duration,
}

/// What was known at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    /// When.
    pub at: Moment,
    /// All evidence against the canary.
    pub evidence: f64,
    /// A metric each; `None`: it was not known then.
    pub lines: Vec<Option<Line>>,
}

/// One metric at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Canary minus stable.
    pub estimate: f64,
    /// Where the difference surely lies: from here,
    pub low: f64,
    /// to here.
    pub high: f64,
    /// What is tolerated.
    pub margin: f64,
}

impl Default for Trail {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            points: Vec::new(),
            every: EVERY,
        }
    }
}

impl Trail {
    /// One that was kept.
    pub(super) fn kept(metrics: Vec<String>, points: Vec<Spot>) -> Self {
        Self {
            metrics,
            points,
            every: EVERY,
        }
    }

    /// Adds what the judge says now.
    pub(super) fn add(&mut self, judgement: &Judgement, now: Moment) {
        let spot = self.spot(judgement, now);
        // The newest point moves along until it has its distance from the one before.
        let is_close = match self.points.as_slice() {
            [.., before, newest] => newest.at.since(before.at) < self.every,
            _ => false,
        };
        if is_close {
            self.points.pop();
        }
        self.points.push(spot);
        if self.points.len() >= POINTS_MAX {
            self.thin();
        }
    }

    fn spot(&mut self, judgement: &Judgement, at: Moment) -> Spot {
        let mut lines = vec![None; self.metrics.len()];
        for metric in &judgement.metrics {
            let line = Some(Line {
                estimate: metric.estimate,
                low: metric.interval.0,
                high: metric.interval.1,
                margin: metric.margin,
            });
            let mut known = self.metrics.iter();
            let place = known.position(|name| *name == metric.metric);
            if let Some(empty) = place.and_then(|place| lines.get_mut(place)) {
                *empty = line;
            } else {
                self.metrics.push(metric.metric.clone());
                lines.push(line);
            }
        }
        Spot {
            at,
            evidence: judgement.evidence,
            lines,
        }
    }

    /// Gives up every second point; the first and the newest stay.
    fn thin(&mut self) {
        self.every *= 2;
        let newest = self.points.pop();
        let mut places = 0..;
        self.points
            .retain(|_| places.next().is_some_and(|place| place % 2 == 0));
        self.points.extend(newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::MetricJudgement;

    fn judgement(evidence: f64, metrics: &[&str]) -> Judgement {
        let metric = |name: &&str| MetricJudgement {
            metric: (*name).to_owned(),
            verdict: crate::judge::Verdict::Inconclusive,
            canary: (1, 2),
            stable: (1, 2),
            estimate: 0.5,
            interval: (-0.5, 0.75),
            margin: 0.25,
            evidence,
            is_dry_run: false,
        };
        Judgement {
            evidence,
            metrics: metrics.iter().map(metric).collect(),
            ..Judgement::default()
        }
    }

    fn at(number: u32) -> Moment {
        Moment::ZERO + EVERY * number
    }

    #[test]
    fn it_is_bounded_in_order_and_keeps_both_ends() {
        let mut trail = Trail::default();
        for number in 0..20_000 {
            trail.add(&judgement(f64::from(number), &["error_rate"]), at(number));
            assert!(trail.points.len() <= POINTS_MAX);
            assert_eq!(trail.points[0].at, at(0));
            assert_eq!(trail.points.last().unwrap().at, at(number));
        }
        assert!(
            trail.points.len() > POINTS_MAX / 4,
            "{}",
            trail.points.len()
        );
        assert!(trail.points.is_sorted_by(|a, b| a.at < b.at));
        let gaps = trail
            .points
            .windows(2)
            .map(|two| two[1].at.since(two[0].at));
        let widest = gaps.max().unwrap();
        assert!(widest <= 2 * trail.every, "no hole: {widest:?}");
    }

    #[test]
    fn what_comes_faster_than_the_distance_moves_the_newest_point() {
        let mut trail = Trail::default();
        for number in 0..100_u64 {
            let now = Moment::from_millis(10 * number);
            trail.add(&judgement(0.0, &["error_rate"]), now);
        }
        let times: Vec<u64> = trail.points.iter().map(|spot| spot.at.millis()).collect();
        assert_eq!(times, [0, 250, 500, 750, 990]);
    }

    #[test]
    fn a_metric_that_comes_later_has_a_line_of_its_own() {
        let mut trail = Trail::default();
        trail.add(&judgement(0.0, &["error_rate"]), at(0));
        trail.add(&judgement(0.0, &["latency_p50", "error_rate"]), at(1));
        trail.add(&judgement(0.0, &["latency_p50"]), at(2));
        assert_eq!(trail.metrics, ["error_rate", "latency_p50"]);
        let known: Vec<Vec<bool>> = trail
            .points
            .iter()
            .map(|spot| spot.lines.iter().map(Option::is_some).collect())
            .collect();
        assert_eq!(known, [vec![true], vec![true, true], vec![false, true]]);
    }
}

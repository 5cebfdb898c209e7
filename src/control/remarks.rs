//! What people should hear of a judgement that decides nothing: evidence that cannot be trusted
//! for now, and a metric on trial that would have rolled the canary back.
//!
//! Each is told once: a metric in each rollout, a reason when it begins and when it is over. One
//! that comes and goes is told once a minute at most.

use std::{collections::BTreeSet, time::Duration};

use super::{News, course::Course};
use crate::{
    judge::{Invalid, Judgement, MetricJudgement, Verdict},
    model::{Moment, SplitName, number::real},
};

/// The shortest time until the same reason is told again.
const AGAIN: Duration = Duration::from_mins(1);

/// What was told of one rollout.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    dry_runs: BTreeSet<String>,
    /// Why evidence is not trusted now, as far as it was told.
    invalid: Option<Invalid>,
    told: Option<(Invalid, Moment)>,
}

/// What to tell: the kind, the sentence, whether a person should look.
type Remark = (&'static str, String, bool);

impl Remarks {
    /// What is new in this judgement.
    fn of(&mut self, judgement: &Judgement, now: Moment) -> Vec<Remark> {
        let metrics = judgement.metrics.iter();
        let failed = metrics.filter(|metric| metric.is_dry_run && metric.verdict == Verdict::Fail);
        let new = failed.filter(|metric| self.dry_runs.insert(metric.metric.clone()));
        let dry_runs = new.map(|metric| ("dry_run_failed", would_have(metric), true));
        let mut remarks: Vec<Remark> = dry_runs.collect();
        if judgement.verdict != Verdict::Fail {
            remarks.extend(self.validity(judgement.invalid, now));
        }
        remarks
    }

    fn validity(&mut self, invalid: Option<Invalid>, now: Moment) -> Option<Remark> {
        if invalid == self.invalid {
            return None;
        }
        let Some(reason) = invalid else {
            self.invalid = None;
            let text = "the evidence can be trusted again".to_owned();
            return Some(("evidence_valid", text, false));
        };
        let is_again = |(told, at): (Invalid, Moment)| told == reason && now.since(at) < AGAIN;
        if self.told.is_some_and(is_again) {
            return None;
        }
        self.invalid = Some(reason);
        self.told = Some((reason, now));
        let text = format!("{reason}: nothing is promoted until that is over");
        Some(("evidence_invalid", text, true))
    }
}

impl Course {
    /// What people should hear of the last look.
    pub(super) fn remarks(&mut self, split: &SplitName, now: Moment) -> Vec<News> {
        let Some(judgement) = &self.judgement else {
            return Vec::new();
        };
        let remarks = self.remarks.of(judgement, now).into_iter();
        let (epoch, share) = (self.rollout.epoch(), self.rollout.share());
        let news = remarks.map(|(what, text, is_warning)| News {
            at: now,
            what,
            split: Some(split.clone()),
            epoch: Some(epoch),
            share: Some(share),
            by: "judge".to_owned(),
            text,
            is_warning,
        });
        news.collect()
    }
}

fn would_have(metric: &MetricJudgement) -> String {
    let ((hits, trials), stable) = (metric.canary, metric.stable);
    let percent = |(hits, trials): (u64, u64)| 100.0 * real(hits) / real(trials.max(1));
    let what = if metric.metric == "error_rate" {
        "failed".to_owned()
    } else {
        format!("were slower than {} allows", metric.metric)
    };
    format!(
        "dry run: {} would have rolled back: {hits} of {trials} canary requests {what} ({:.2}%); \
         stable has {:.2}%",
        metric.metric,
        percent(metric.canary),
        percent(stable),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(invalid: Option<Invalid>, dry_run: Option<Verdict>) -> Judgement {
        let metric = |verdict| MetricJudgement {
            metric: "latency_p99".to_owned(),
            verdict,
            canary: (62, 62),
            stable: (0, 60),
            estimate: 1.0,
            interval: (0.8, 1.0),
            margin: 0.0005,
            evidence: 700.0,
            is_dry_run: true,
        };
        Judgement {
            invalid,
            metrics: dry_run.map(metric).into_iter().collect(),
            ..Judgement::default()
        }
    }

    #[test]
    fn a_dry_run_that_fails_is_told_once() {
        let mut remarks = Remarks::default();
        let now = Moment::from_millis(1);
        let open = judgement(None, Some(Verdict::Inconclusive));
        assert!(remarks.of(&open, now).is_empty());
        let failed = judgement(None, Some(Verdict::Fail));
        let told = remarks.of(&failed, now);
        assert_eq!(
            told,
            [(
                "dry_run_failed",
                "dry run: latency_p99 would have rolled back: 62 of 62 canary requests were \
                 slower than latency_p99 allows (100.00%); stable has 0.00%"
                    .to_owned(),
                true
            )]
        );
        assert!(remarks.of(&failed, now).is_empty());
    }

    #[test]
    fn what_cannot_be_trusted_is_told_at_its_beginning_and_its_end() {
        let mut remarks = Remarks::default();
        let silent = judgement(Some(Invalid::StableSilent), None);
        let stalled = judgement(Some(Invalid::Stalled), None);
        let good = judgement(None, None);
        let (begins, ends) = (Some("evidence_invalid"), Some("evidence_valid"));
        let steps = [
            (0, &good, None),
            (1, &silent, begins),
            (2, &silent, None),
            (3, &stalled, begins),
            (4, &good, ends),
            (5, &stalled, None),
            (6, &good, None),
            (70, &stalled, begins),
        ];
        for (second, judgement, expected) in steps {
            let told = remarks.of(judgement, Moment::from_millis(second * 1_000));
            let kinds: Vec<_> = told.iter().map(|(what, ..)| *what).collect();
            assert_eq!(kinds, Vec::from_iter(expected), "second {second}");
        }
    }
}

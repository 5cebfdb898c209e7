//! What of the judge's words is news: the same rule for the live judge and for the replay.

use crate::{
    judge::{Judgement, Verdict},
    model::{Moment, RouteName},
};

/// A word of the judge that was news.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// When.
    pub at: Moment,
    /// What.
    pub said: Said,
    /// The metric (and rule) with the largest part of the evidence; empty if there is none.
    pub cause: String,
    /// The route that it was found on; `None`: on all together.
    pub route: Option<RouteName>,
    /// The evidence then.
    pub evidence: f64,
    /// Judged canary requests until then.
    pub canary_requests: u64,
    /// One sentence for people.
    pub why: String,
}

/// What the judge said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The canary fails more than stable, within the margin or not; once a rollout.
    Worse,
    /// The canary is within the margins; once a stage.
    Pass,
    /// The canary is worse beyond the margins; once, and final.
    Fail,
}

impl Said {
    /// The word, as `serin replay` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worse => "worse-than-baseline",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl Decision {
    /// Whether both are the same to the last bit.
    pub fn is_same(&self, other: &Self) -> bool {
        self.evidence.to_bits() == other.evidence.to_bits() && self == other
    }
}

/// Tells news from what was said already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watch {
    was_worse: bool,
    has_passed: bool,
    has_failed: bool,
}

impl Watch {
    /// A stage begins: what is proven is to be proven again.
    pub const fn begin_stage(&mut self) {
        self.has_passed = false;
    }

    /// What is new in this judgement.
    pub fn see(&mut self, judgement: &Judgement, at: Moment) -> Vec<Decision> {
        let is_pass = judgement.verdict == Verdict::Pass;
        let is_fail = judgement.verdict == Verdict::Fail;
        let words = [
            (Said::Worse, judgement.is_worse && !self.was_worse),
            (Said::Pass, is_pass && !self.has_passed),
            (Said::Fail, is_fail && !self.has_failed),
        ];
        self.was_worse |= judgement.is_worse;
        self.has_passed |= is_pass;
        self.has_failed |= is_fail;
        let news = words.into_iter().filter(|(_, is_news)| *is_news);
        news.map(|(said, _)| Decision {
            at,
            said,
            cause: judgement.cause.clone(),
            route: judgement.route.clone(),
            evidence: judgement.evidence,
            canary_requests: judgement.canary_requests,
            why: judgement.why.clone(),
        })
        .collect()
    }
}

//! What is kept of a rollout when its time has come to be asked about: what it was, what came of
//! it, and what that rested on.
//!
//! One [`Summary`] a rollout; with it the [`Findings`] of its last decision, as they were at that
//! moment. What is shown of a rollout under way is the same, made now.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Trail, course::Part};
use crate::{
    judge::Judgement,
    measure::{AttemptLabel, Latencies, Tally},
    model::{
        CodeClass, Epoch, Moment, Nonce, Outcome, Reason, Role, SplitName, VersionName,
        number::real,
    },
    rollout::Entry,
};

/// How many points a power of ten has on a latency curve.
const POINTS_A_DECADE: u16 = 12;
/// How many powers of ten of `1 - q` it goes through: to p99.99.
const DECADES: u16 = 4;
/// Quantiles that people ask for and that are not on the grid.
const NAMED: [f64; 3] = [0.5, 0.75, 0.95];

/// A rollout in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Of which split.
    pub split: SplitName,
    /// Its number.
    pub epoch: Epoch,
    /// Tells it from another of the same number.
    pub nonce: Nonce,
    /// The version that users had.
    pub stable: VersionName,
    /// The version on trial.
    pub canary: VersionName,
    /// When it began.
    pub started: Moment,
    /// When it ended; `None`: it has not.
    pub ended: Option<Moment>,
    /// `running`, `promoted`, `rolled_back`, `aborted`, `undone`, `superseded`.
    pub result: &'static str,
    /// What ended it: a cause as the judge names it, or `operator`; empty if nothing did.
    pub cause: String,
    /// Why, in words, with the numbers.
    pub why: String,
}

/// Every word of [`Summary::result`]; the first is that of a rollout under way.
const RESULTS: [&str; 6] = [
    "running",
    "promoted",
    "rolled_back",
    "aborted",
    "undone",
    "superseded",
];

impl Summary {
    /// The word of a rollout that is not over.
    pub(super) const RUNNING: &'static str = "running";
    /// The word of one whose place another has taken.
    pub(super) const SUPERSEDED: &'static str = "superseded";

    /// The word itself, for a text that was kept; `superseded` if no build has ever used it.
    pub(super) fn result_word(text: &str) -> &'static str {
        let mut known = RESULTS.iter().copied();
        known.find(|word| *word == text).unwrap_or(Self::SUPERSEDED)
    }

    /// The result that a decision means for its rollout; `None`: it ends nothing.
    pub(super) fn result_of(what: &str) -> Option<&'static str> {
        let mut ends = RESULTS.iter().copied().skip(1);
        ends.find(|word| *word == what)
    }
}

/// A rollout with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    /// What it was.
    pub rollout: Summary,
    /// What its last decision rested on, or what is known now; `None`: nothing was kept.
    pub findings: Option<Arc<Findings>>,
    /// What was decided, newest last.
    pub decisions: Vec<Entry>,
    /// The files that it can be judged again from, newest last.
    pub records: Vec<PathBuf>,
}

/// What was known at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// When.
    pub at: Moment,
    /// What the judge said.
    pub judgement: Option<Judgement>,
    /// Stable's and the canary's requests.
    pub versions: [Measured; 2],
    /// How the numbers moved until then.
    pub trail: Trail,
}

/// The requests of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its part.
    pub role: Role,
    /// Judged requests since the rollout began.
    pub requests: u64,
    /// Of those, failures.
    pub failures: u64,
    /// Failed attempts since the rollout began, by what came and why; the most frequent first.
    pub errors: Vec<(CodeClass, Reason, u64)>,
    /// Quantile and latency over the last minute, ascending; empty of nothing.
    pub curve: Vec<(f64, Duration)>,
}

impl Measured {
    /// What control has counted of a version.
    pub(super) fn of(role: Role, part: &Part) -> Self {
        Self {
            role,
            requests: part.trials,
            failures: part.failures,
            errors: errors(&part.attempts),
            curve: curve(&part.window.sum().latency),
        }
    }
}

/// Failed attempts by what came and why, the most frequent first.
pub(super) fn errors(attempts: &Tally<AttemptLabel>) -> Vec<(CodeClass, Reason, u64)> {
    let failed = attempts
        .iter()
        .filter(|(label, count)| label.outcome == Outcome::Failure && *count > 0);
    let mut errors: Vec<_> = failed
        .map(|(label, count)| (label.code_class, label.reason, count))
        .collect();
    errors.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
    errors
}

/// A distribution as points that lie evenly on an axis of `log(1 - q)`: the tail is what hurts.
/// It ends where less than one request lies beyond. One pass: live readers ask for it often.
pub fn curve(latency: &Latencies) -> Vec<(f64, Duration)> {
    let grid = 0..=POINTS_A_DECADE * DECADES;
    let grid = grid.map(|place| {
        let decades = f64::from(place) / f64::from(POINTS_A_DECADE);
        // To a millionth, as it is kept.
        (1e6 * (1.0 - 10.0_f64.powf(-decades))).round() / 1e6
    });
    let mut quantiles: Vec<f64> = grid.chain(NAMED).collect();
    quantiles.sort_by(f64::total_cmp);
    let count = real(latency.count());
    // What is exactly one request is a little less in floating point.
    let told = |quantile: &f64| (1.0 - quantile) * count > 0.999;
    let mut quantiles = quantiles.into_iter().take_while(told).peekable();
    let mut curve = Vec::new();
    let mut below = 0;
    for (edge, hits) in latency.buckets() {
        below += hits;
        let is_here = |quantile: &f64| quantile * count <= real(below);
        while let Some(quantile) = quantiles.next_if(is_here) {
            curve.push((quantile, edge));
        }
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ascends_and_ends_with_its_requests() {
        assert!(curve(&Latencies::new()).is_empty());
        let mut latency = Latencies::new();
        for millis in 1..=1_000 {
            latency.record(Duration::from_millis(millis));
        }
        let points = curve(&latency);
        assert_eq!(points.len(), 3 * 12 + 1 + NAMED.len(), "to p99.9");
        assert!(points.is_sorted());
        // Of the fastest it tells the upper edge of its bucket.
        for (quantile, at) in points.iter().skip(1) {
            assert_eq!(latency.quantile(*quantile), Some(*at), "{quantile}");
        }
        let p50 = points.iter().find(|(quantile, _)| *quantile >= 0.5);
        let millis = p50.unwrap().1.as_millis();
        assert!((495..=505).contains(&millis), "{millis}");
    }

    #[test]
    fn errors_are_failures_only_the_most_frequent_first() {
        let label = |code_class, outcome, reason| AttemptLabel {
            code_class,
            outcome,
            reason,
        };
        let mut attempts = Tally::default();
        attempts.add(
            label(CodeClass::Success, Outcome::Success, Reason::None),
            90,
        );
        attempts.add(label(CodeClass::None, Outcome::Failure, Reason::Reset), 3);
        attempts.add(
            label(CodeClass::None, Outcome::ClientAbort, Reason::Other),
            7,
        );
        attempts.add(
            label(CodeClass::ServerError, Outcome::Failure, Reason::None),
            5,
        );
        assert_eq!(
            errors(&attempts),
            [
                (CodeClass::ServerError, Reason::None, 5),
                (CodeClass::None, Reason::Reset, 3)
            ]
        );
    }

    #[test]
    fn words_of_results_come_back_and_strange_ones_do_no_harm() {
        for word in RESULTS {
            assert_eq!(Summary::result_word(word), word);
        }
        assert_eq!(Summary::result_word("exploded"), "superseded");
        assert_eq!(Summary::result_of("rolled_back"), Some("rolled_back"));
        assert_eq!(Summary::result_of("stepped"), None);
        assert_eq!(Summary::result_of("running"), None);
    }
}

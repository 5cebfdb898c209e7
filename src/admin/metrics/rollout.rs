//! Splits, rollouts and what the judge knows.

use super::text::{Kind, Text};
use crate::{
    control::{SplitStatus, Status, Totals},
    judge::{Effect, Invalid, MetricJudgement, Verdict},
    model::{
        Role, Share, SplitName,
        number::{real, real_len},
    },
};

/// Every phase, for the state set.
const PHASES: [&str; 5] = ["idle", "progressing", "paused", "promoted", "rolled_back"];
/// Every verdict, for the state set.
const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Pass, "pass"),
    (Verdict::Fail, "fail"),
    (Verdict::Inconclusive, "inconclusive"),
    (Verdict::NoData, "no_data"),
];

/// Every reason not to trust the evidence, for the state set.
const INVALIDS: [(Invalid, &str); 4] = [
    (Invalid::RatioMismatch, "ratio_mismatch"),
    (Invalid::StableSilent, "stable_silent"),
    (Invalid::Stalled, "stalled"),
    (Invalid::StableOutsideSlo, "stable_outside_slo"),
];

/// Upper edges of the buckets of rollbacks, in microseconds.
const ROLLBACK_BUCKETS: [u64; 15] = [
    100,
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// Writes the families.
pub(super) fn write(text: &mut Text, status: &Status, totals: &Totals) {
    weights(text, &status.splits);
    phases(text, &status.splits);
    endings(text, &status.splits, totals);
    analysis(text, &status.splits);
    validity(text, &status.splits);
    mismatch(text, &status.splits);
    budgets(text, &status.splits);
    assumptions(text, &status.splits);
    forecasts(text, &status.splits);
}

fn validity(text: &mut Text, splits: &[SplitStatus]) {
    let help = "1 for the reason that nothing may be promoted for, whatever the evidence.";
    text.family("analysis_invalid", Kind::Gauge, help);
    for split in splits {
        let Some(judgement) = &split.judgement else {
            continue;
        };
        for (invalid, reason) in INVALIDS {
            let labels = [("split", split.name.as_str()), ("reason", reason)];
            let is_so = judgement.invalid == Some(invalid);
            text.sample(&labels, f64::from(u8::from(is_so)));
        }
    }
}

fn mismatch(text: &mut Text, splits: &[SplitStatus]) {
    let help = "1: the share of requests that the canary gets is not what it should be.";
    text.family("analysis_sample_ratio_mismatch", Kind::Gauge, help);
    for split in splits {
        if let Some(judgement) = &split.judgement {
            let is_so = judgement.invalid == Some(Invalid::RatioMismatch);
            let labels = [("split", split.name.as_str())];
            text.sample(&labels, f64::from(u8::from(is_so)));
        }
    }
}

fn budgets(text: &mut Text, splits: &[SplitStatus]) {
    let help = "What an `auto` step's budget of failed requests has lost so far, as a share of it.";
    text.family("harm_budget_used_ratio", Kind::Gauge, help);
    for split in splits {
        if let Some((spent, all)) = split.harm_budget {
            text.sample(&[("split", split.name.as_str())], spent / real(all));
        }
    }
}

/// What the judge rests on: is it so here?
fn assumptions(text: &mut Text, splits: &[SplitStatus]) {
    let help = "How clumped failures of single stable endpoints are; 1: not at all.";
    text.family("analysis_dispersion", Kind::Gauge, help);
    for split in splits {
        if let Some(index) = split.dispersion {
            text.sample(&[("split", split.name.as_str())], index);
        }
    }
    let help = "How often stable was found worse than itself.";
    text.family("shadow_alarms", Kind::Counter, help);
    for split in splits {
        if let Some(shadow) = &split.shadow {
            text.sample(&[("split", split.name.as_str())], real(shadow.alarms));
        }
    }
    let help = "Evidence against stable, tried against itself, as a share of an alarm.";
    text.family("shadow_evidence_ratio", Kind::Gauge, help);
    for split in splits {
        if let Some(shadow) = &split.shadow {
            let ratio = ratio(shadow.evidence, shadow.threshold);
            text.sample(&[("split", split.name.as_str())], ratio);
        }
    }
}

/// Evidence as a share of what it takes; nothing of nothing is 0.
fn ratio(evidence: f64, threshold: f64) -> f64 {
    let ratio = (evidence / threshold).clamp(0.0, 1.0);
    if ratio.is_nan() { 0.0 } else { ratio }
}

fn weights(text: &mut Text, splits: &[SplitStatus]) {
    let help = "Share of the traffic: as in the file, in force, and as seen in this stage.";
    text.family("split_weight_ratio", Kind::Gauge, help);
    for split in splits {
        let Some(canary) = &split.canary else {
            continue;
        };
        let kinds = [
            ("configured", split.configured.map(Share::ratio)),
            ("effective", Some(split.share.ratio())),
            ("observed", split.observed),
        ];
        for (kind, ratio) in kinds {
            let Some(ratio) = ratio else { continue };
            for (version, ratio) in [(&split.stable, 1.0 - ratio), (canary, ratio)] {
                let labels = [
                    ("split", split.name.as_str()),
                    ("version", version.as_str()),
                    ("kind", kind),
                ];
                text.sample(&labels, ratio);
            }
        }
    }
}

fn phases(text: &mut Text, splits: &[SplitStatus]) {
    text.family(
        "split_epoch",
        Kind::Gauge,
        "The number of the split's rollout.",
    );
    for split in splits {
        text.sample(&[("split", split.name.as_str())], real(split.epoch.0));
    }
    text.family(
        "rollout_phase",
        Kind::Gauge,
        "1 for the phase that a rollout is in.",
    );
    for split in splits {
        for phase in PHASES {
            let labels = [("split", split.name.as_str()), ("phase", phase)];
            text.sample(&labels, f64::from(u8::from(split.phase == phase)));
        }
    }
    text.family("rollout_step", Kind::Gauge, "The step under way, from 1.");
    for split in splits {
        if let Some((step, _)) = split.step {
            text.sample(&[("split", split.name.as_str())], real_len(step));
        }
    }
}

/// Counts of one split by a word, 0 included: whoever watches a counter rise must have seen it
/// before.
fn by_word(
    text: &mut Text,
    splits: &[SplitStatus],
    (label, words): (&'static str, &[&str]),
    counts: &[(SplitName, &'static str, u64)],
) {
    for split in splits.iter().filter(|split| split.canary.is_some()) {
        for word in words {
            let mut known = counts.iter();
            let known = known.find(|(name, known, _)| *name == split.name && known == word);
            let count = known.map_or(0, |(_, _, count)| *count);
            text.sample(
                &[("split", split.name.as_str()), (label, word)],
                real(count),
            );
        }
    }
}

fn endings(text: &mut Text, splits: &[SplitStatus], totals: &Totals) {
    let help = "Rollouts that have ended, by result.";
    text.family("rollouts", Kind::Counter, help);
    let results = ["promoted", "rolled_back", "superseded"];
    by_word(text, splits, ("result", &results), &totals.rollouts);
    text.family("rollbacks", Kind::Counter, "Rollbacks, by cause.");
    let causes = ["verdict", "critical", "absolute", "operator"];
    by_word(text, splits, ("cause", &causes), &totals.rollbacks);
    let help = "Rollbacks: from the first failure to the verdict (detect), from there to weight 0 \
                (apply), from there to no request and no stream (complete).";
    text.family("rollback_seconds", Kind::Histogram, help);
    for (split, stage, times) in &totals.rollback_times {
        let labels = [("split", split.as_str()), ("stage", stage)];
        text.distribution(&labels, &ROLLBACK_BUCKETS, (times, None));
    }
}

/// One number of a metric.
type Number = fn(&MetricJudgement) -> f64;

fn analysis(text: &mut Text, splits: &[SplitStatus]) {
    let numbers: [(&str, &str, Number); 4] = [
        ("analysis_estimate", "Canary minus stable.", |metric| {
            metric.estimate
        }),
        (
            "analysis_lower",
            "Lower end of the interval for it.",
            |metric| metric.interval.0,
        ),
        (
            "analysis_upper",
            "Upper end of the interval for it.",
            |metric| metric.interval.1,
        ),
        (
            "analysis_margin",
            "How much worse the canary may be.",
            |metric| metric.margin,
        ),
    ];
    for (name, help, number) in numbers {
        text.family(name, Kind::Gauge, help);
        for (split, metric) in metrics(splits) {
            let labels = [("split", split), ("metric", metric.metric.as_str())];
            text.sample(&labels, number(metric));
        }
    }
    text.family(
        "analysis_verdict",
        Kind::Gauge,
        "1 for what the judge says of a metric.",
    );
    for (split, metric) in metrics(splits) {
        for (verdict, word) in VERDICTS {
            let labels = [
                ("split", split),
                ("metric", metric.metric.as_str()),
                ("verdict", word),
            ];
            text.sample(&labels, f64::from(u8::from(metric.verdict == verdict)));
        }
    }
    text.family(
        "analysis_samples",
        Kind::Gauge,
        "Judged requests since the rollout began.",
    );
    for split in splits.iter().filter(|split| split.canary.is_some()) {
        for role in Role::ALL {
            let Some(arm) = split.arm(*role) else {
                continue;
            };
            let labels = [("split", split.name.as_str()), ("role", role.as_str())];
            text.sample(&labels, real(arm.trials));
        }
    }
    let help = "Evidence against the canary as a share of what rolls it back.";
    text.family("analysis_alpha_spent_ratio", Kind::Gauge, help);
    for split in splits {
        let Some(judgement) = &split.judgement else {
            continue;
        };
        let ratio = ratio(judgement.evidence, judgement.threshold);
        text.sample(&[("split", split.name.as_str())], ratio);
    }
}

fn forecasts(text: &mut Text, splits: &[SplitStatus]) {
    let help = "Forecast of the time until errors x2 or p99 x2 are found, and until a pass.";
    text.family("analysis_time_to_decision_seconds", Kind::Gauge, help);
    for split in splits {
        let Some(forecast) = &split.forecast else {
            continue;
        };
        let needs = [
            ("error_rate", forecast.to_find(Effect::ErrorsX2)),
            ("latency_p99", forecast.to_find(Effect::P99X2)),
            ("pass", forecast.to_pass),
        ];
        for (metric, need) in needs {
            let labels = [("split", split.name.as_str()), ("metric", metric)];
            if let Some(need) = need {
                text.sample(&labels, need.seconds);
            }
        }
    }
}

fn metrics(splits: &[SplitStatus]) -> impl Iterator<Item = (&str, &MetricJudgement)> {
    splits.iter().flat_map(|split| {
        let judged = split
            .judgement
            .iter()
            .flat_map(|judgement| &judgement.metrics);
        judged.map(|metric| (split.name.as_str(), metric))
    })
}

//! From what control says to what the wire shows.

use std::time::Duration;

use super::{
    Analysis, Config, Counts, Decision, Done, Errors, Forecast, Frame, HarmBudget, Latency, Metric,
    News, Part, Rollback, Shadow, Split, Splits, States, Step, Suspect, Upstream, Upstreams,
    Version, Weight,
};
use crate::{
    control::{
        self, ArmStatus, ConfigStatus, Entry, ShadowStatus, SplitStatus, Status, UpstreamStatus,
        curve,
    },
    judge::{self, Judgement, MetricJudgement, Verdict},
    model::{Moment, Role, Share, SplitName, number::real},
};

/// A moment as RFC 3339 in UTC with milliseconds.
pub fn rfc3339(moment: Moment) -> String {
    let (seconds, millis) = (moment.millis() / 1_000, moment.millis() % 1_000);
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let (year, month, day) = moment.date();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Reads a share as the file has it: `5%`, `0.01%`. The unit is not optional.
pub fn parse_share(text: &str) -> Result<Share, String> {
    let wrong = || format!("`{text}` is not a share; expected 0% to 100% in steps of 0.01%");
    let Some(number) = text.trim().strip_suffix('%') else {
        let is_number = !text.is_empty() && text.parse::<f64>().is_ok();
        return Err(if is_number {
            format!("{}; did you mean `{text}%`?", wrong())
        } else {
            wrong()
        });
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str, most: usize| {
        !digits.is_empty() && digits.len() <= most && digits.bytes().all(|b| b.is_ascii_digit())
    };
    if !is_plain(whole, 3) || !is_plain(part, 2) {
        return Err(wrong());
    }
    let points = format!("{whole}{part:0<2}")
        .parse::<u16>()
        .map_err(|_| wrong())?;
    Share::from_basis_points(points).map_err(|_| wrong())
}

impl From<&Status> for Splits {
    fn from(status: &Status) -> Self {
        Self {
            splits: status.splits.iter().map(Split::from).collect(),
        }
    }
}

impl From<&Status> for Upstreams {
    fn from(status: &Status) -> Self {
        Self {
            upstreams: status.upstreams.iter().map(Upstream::from).collect(),
        }
    }
}

impl From<&Status> for Frame {
    fn from(status: &Status) -> Self {
        Self {
            at: rfc3339(status.as_of),
            generation: status.generation.0,
            is_ready: status.is_ready,
            is_draining: status.is_draining,
            splits: Splits::from(status).splits,
            upstreams: Upstreams::from(status).upstreams,
            config: Config::from(&status.config),
            workers: status.workers.clone(),
        }
    }
}

impl From<&SplitStatus> for Split {
    fn from(split: &SplitStatus) -> Self {
        Self {
            name: split.name.to_string(),
            stable: split.stable.to_string(),
            canary: split.canary.as_ref().map(ToString::to_string),
            epoch: split.epoch.0,
            revision: split.revision,
            phase: split.phase.to_owned(),
            phase_reason: split.phase_reason.clone(),
            step: split.step.map(|(number, of)| Step {
                number,
                of,
                text: split.step_text.clone(),
                ends_at: split.step_ends.map(rfc3339),
            }),
            weight: Weight {
                configured: split.configured.as_ref().map(ToString::to_string),
                effective: split.share.to_string(),
                observed: split.observed,
            },
            analysis: split.judgement.as_ref().map(Analysis::from),
            harm_budget: split.harm_budget.map(HarmBudget::from),
            dispersion: split.dispersion.map(finite),
            shadow: split.shadow.as_ref().map(Shadow::from),
            forecast: split.forecast.as_ref().map(Forecast::from),
            rollback: split
                .rollback
                .as_ref()
                .map(|rollback| Rollback::of(&split.name, rollback)),
            warnings: split.warnings.clone(),
            versions: versions(split),
            history: split.history.iter().map(Decision::from).collect(),
        }
    }
}

fn versions(split: &SplitStatus) -> Vec<Version> {
    let canary = split.canary.as_ref().map(|canary| (Role::Canary, canary));
    let named = std::iter::once((Role::Stable, &split.stable)).chain(canary);
    let version = |(role, name): (Role, &crate::model::VersionName)| {
        split.arm(role).map(|arm| Version {
            role: role.to_string(),
            version: name.to_string(),
            requests: arm.trials,
            failures: arm.failures,
            rate: arm.rate,
            users: arm.users,
            streams: arm.streams,
            latency_ms: latency(arm),
            curve: curve(&arm.latency)
                .into_iter()
                .map(|(quantile, at)| [quantile, millis(at)])
                .collect(),
            errors: arm.errors.iter().map(Errors::from).collect(),
            answers_failed: arm.answers_failed,
            rescued: arm.rescued,
        })
    };
    named.filter_map(version).collect()
}

fn latency(arm: &ArmStatus) -> Option<Latency> {
    let [p50, p90, p99, p99_9] = arm.quantiles?.map(millis);
    Some(Latency {
        p50,
        p90,
        p99,
        p99_9,
    })
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::NoData => "no_data",
    }
}

impl From<&Judgement> for Analysis {
    fn from(judgement: &Judgement) -> Self {
        Self {
            verdict: verdict(judgement.verdict).to_owned(),
            cause: judgement.cause.clone(),
            why: judgement.why.clone(),
            evidence: finite(judgement.evidence),
            threshold: finite(judgement.threshold),
            metrics: judgement.metrics.iter().map(Metric::from).collect(),
            route: judgement.route.as_ref().map(ToString::to_string),
            parts: judgement.parts.iter().map(Part::from).collect(),
            suspect: judgement.suspect.as_ref().map(Suspect::from),
            is_worse: judgement.is_worse,
            invalid: judgement.invalid.map(|invalid| invalid.to_string()),
            canary_requests: judgement.canary_requests,
            needed: judgement.canary_requests_needed,
            harm: finite(judgement.harm),
            pace: finite(judgement.pace),
            first_failed: judgement
                .first_failed
                .iter()
                .map(|id| format!("{id:016x}"))
                .collect(),
        }
    }
}

impl From<&judge::Part> for Part {
    fn from(part: &judge::Part) -> Self {
        Self {
            cause: part.cause.clone(),
            route: part.route.as_ref().map(ToString::to_string),
            evidence: finite(part.evidence),
            hits: part.hits,
        }
    }
}

impl From<&judge::Suspect> for Suspect {
    fn from(suspect: &judge::Suspect) -> Self {
        let counts = |(hits, trials)| Counts { hits, trials };
        Self {
            endpoint: suspect.address.to_string(),
            counts: counts(suspect.counts),
            others: counts(suspect.others),
        }
    }
}

impl From<&ShadowStatus> for Shadow {
    fn from(shadow: &ShadowStatus) -> Self {
        Self {
            alarms: shadow.alarms,
            evidence: finite(shadow.evidence),
            threshold: finite(shadow.threshold),
            requests: shadow.requests,
        }
    }
}

impl From<&MetricJudgement> for Metric {
    fn from(metric: &MetricJudgement) -> Self {
        let counts = |(hits, trials)| Counts { hits, trials };
        let (low, high) = metric.interval;
        Self {
            metric: metric.metric.clone(),
            verdict: verdict(metric.verdict).to_owned(),
            canary: counts(metric.canary),
            stable: counts(metric.stable),
            estimate: finite(metric.estimate),
            interval: [finite(low), finite(high)],
            margin: finite(metric.margin),
            evidence: finite(metric.evidence),
            is_dry_run: metric.is_dry_run,
        }
    }
}

/// JSON has no infinity and no NaN: what is beyond is shown as the largest number, nothing as 0.
pub(super) fn finite(x: f64) -> f64 {
    if x.is_nan() {
        0.0
    } else {
        x.clamp(f64::MIN, f64::MAX)
    }
}

impl From<&Entry> for Decision {
    fn from(entry: &Entry) -> Self {
        Self {
            at: rfc3339(entry.at),
            what: entry.what.to_owned(),
            weight: entry.share.to_string(),
            by: entry.by.clone(),
            why: entry.why.clone(),
        }
    }
}

impl From<&UpstreamStatus> for Upstream {
    fn from(upstream: &UpstreamStatus) -> Self {
        let (usable_endpoints, endpoints) = upstream.endpoints;
        Self {
            name: upstream.name.to_string(),
            usable_endpoints,
            endpoints,
            discovery_age_seconds: upstream.age.map(|age| age.as_secs_f64()),
            problem: upstream.problem.as_ref().map(ToString::to_string),
            states: States::from(upstream.states),
            in_flight: upstream.in_flight,
        }
    }
}

impl From<&ConfigStatus> for Config {
    fn from(config: &ConfigStatus) -> Self {
        let (reloads_succeeded, reloads_failed) = config.reloads;
        Self {
            hash: format!("{:016x}", config.hash),
            loaded_at: rfc3339(config.loaded_at),
            reloads_succeeded,
            reloads_failed,
            problem: config.problem.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&control::News> for News {
    fn from(news: &control::News) -> Self {
        Self {
            at: rfc3339(news.at),
            event: news.what.to_owned(),
            split: news.split.as_ref().map(ToString::to_string),
            epoch: news.epoch.map(|epoch| epoch.0),
            weight: news.share.as_ref().map(ToString::to_string),
            by: news.by.clone(),
            text: news.text.clone(),
            is_warning: news.is_warning,
        }
    }
}

impl Done {
    /// What control has answered, for this split.
    pub fn new(split: &SplitName, done: &control::Done) -> Self {
        Self {
            split: split.to_string(),
            epoch: done.epoch.0,
            weight: done.share.to_string(),
            message: done.message.clone(),
        }
    }
}

impl Counts {
    /// Hits over trials; 0 of nothing.
    pub fn ratio(self) -> f64 {
        if self.trials == 0 {
            0.0
        } else {
            real(self.hits) / real(self.trials)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, expected) in cases {
            assert_eq!(rfc3339(Moment::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_share_needs_its_unit_and_its_steps() {
        let cases = [
            ("5%", 500),
            ("0.01%", 1),
            ("12.5%", 1_250),
            ("100%", 10_000),
            (" 0%", 0),
        ];
        for (text, points) in cases {
            assert_eq!(parse_share(text).unwrap().basis_points(), points, "{text}");
        }
        for text in [
            "5", "", "%", "100.01%", "0.001%", "-1%", "5 %", "1.%", ".5%", "1e1%",
        ] {
            assert!(
                parse_share(text).unwrap_err().contains("is not a share"),
                "{text}"
            );
        }
        assert!(
            parse_share("5")
                .unwrap_err()
                .ends_with("did you mean `5%`?")
        );
    }
}

//! The page of a rollout with everything that can be known, and of one with nothing.

use super::{page, *};
use crate::{
    admin::wire::{
        Counts, Decided, Decision, Errors, Measured, Metric, Part, Spot, Suspect, Trail,
    },
    model::number::real,
};

const STARTED: &str = "2026-01-02T03:00:00.000Z";

fn rollout() -> Rollout {
    Rollout {
        id: "shop-3".to_owned(),
        split: "shop".to_owned(),
        epoch: 3,
        stable: "mesos".to_owned(),
        canary: "ecs".to_owned(),
        started: STARTED.to_owned(),
        ended: Some("2026-01-02T03:02:05.300Z".to_owned()),
        seconds: Some(125.3),
        result: "rolled_back".to_owned(),
        cause: "critical:error_rate".to_owned(),
        why: "70 of 1250 canary requests failed (5.60%); stable has 0.10%, tolerated are 0.15%"
            .to_owned(),
    }
}

fn metric(name: &str, canary: (u64, u64), estimate: f64, evidence: f64) -> Metric {
    let counts = |(hits, trials)| Counts { hits, trials };
    Metric {
        metric: name.to_owned(),
        verdict: if evidence > 100.0 {
            "fail"
        } else {
            "inconclusive"
        }
        .to_owned(),
        canary: counts(canary),
        stable: counts((24, 23_750)),
        estimate,
        interval: [estimate - 0.01, estimate + 0.012],
        margin: 0.0005,
        evidence,
        is_dry_run: name == "latency_p50",
    }
}

fn analysis() -> Analysis {
    let part = |cause: &str, route: Option<&str>, evidence, hits| Part {
        cause: cause.to_owned(),
        route: route.map(str::to_owned),
        evidence,
        hits,
    };
    Analysis {
        verdict: "fail".to_owned(),
        cause: "critical:error_rate".to_owned(),
        why: rollout().why,
        evidence: 1_204.0,
        threshold: 1_000.0,
        metrics: vec![
            metric("error_rate", (70, 1_250), 0.055, 1_190.0),
            metric("latency_p50", (630, 1_250), 0.004, 0.8),
            metric("latency_p99", (15, 1_250), 0.002, 0.31),
        ],
        route: Some("checkout".to_owned()),
        parts: vec![
            part("critical:error_rate", Some("checkout"), 1_100.0, 70),
            part("error_rate", None, 90.0, 70),
            part("latency_p50", None, 0.8, 630),
        ],
        suspect: Some(Suspect {
            endpoint: "10.0.0.7:8080".to_owned(),
            counts: Counts {
                hits: 68,
                trials: 400,
            },
            others: Counts {
                hits: 2,
                trials: 850,
            },
        }),
        is_worse: true,
        invalid: None,
        canary_requests: 1_250,
        needed: None,
        harm: 68.1,
        pace: 9.8,
        first_failed: vec!["00000000000000aa".to_owned(), "ffffffffffffffff".to_owned()],
    }
}

/// Two minutes of nothing, then five seconds of failures.
fn trail() -> Trail {
    let spot = |number: u64| {
        let seconds = real(number) * 0.5012;
        let width = 0.2 / (1.0 + seconds).sqrt();
        let bad = (seconds - 120.0).max(0.0) / 5.3;
        let calm = 0.002 * (real(number) * 0.37).sin();
        let line = |estimate: f64| Some([estimate, estimate - width, estimate + width, 0.0005]);
        let lines = vec![
            line(0.055f64.mul_add(bad, calm)),
            line(0.02 + calm),
            line(calm),
        ];
        Spot {
            seconds,
            evidence: 0.4 * 3_000.0_f64.powf(bad),
            lines,
        }
    };
    Trail {
        metrics: ["error_rate", "latency_p50", "latency_p99"]
            .map(str::to_owned)
            .to_vec(),
        points: (1..=250).map(spot).collect(),
    }
}

fn version(role: &str, name: &str, slower: f64, errors: &[(&str, &str, u64)]) -> Measured {
    let curve = (0..=36_u64).map(|place| {
        let depth = real(place) / 12.0;
        (
            1.0 - 10.0_f64.powf(-depth),
            slower * 4.0 * 10.0_f64.powf(0.45 * depth),
        )
    });
    let errors = errors.iter().map(|(code_class, reason, count)| Errors {
        code_class: (*code_class).to_owned(),
        reason: (*reason).to_owned(),
        count: *count,
    });
    Measured {
        role: role.to_owned(),
        version: name.to_owned(),
        requests: if role == "canary" { 1_250 } else { 23_750 },
        failures: errors.clone().map(|it| it.count).sum(),
        errors: errors.collect(),
        latency_ms: curve.collect(),
    }
}

fn decided(seconds: f64, at: &str, what: &str, weight: &str) -> Decided {
    Decided {
        seconds,
        decision: Decision {
            at: at.to_owned(),
            what: what.to_owned(),
            weight: weight.to_owned(),
            by: "judge".to_owned(),
            why: "for a reason".to_owned(),
        },
    }
}

fn full() -> Evidence {
    Evidence {
        rollout: rollout(),
        at: rollout().ended,
        analysis: Some(analysis()),
        versions: vec![
            version(
                "stable",
                "mesos",
                1.0,
                &[("5xx", "none", 20), ("none", "reset", 4)],
            ),
            version(
                "canary",
                "ecs",
                1.06,
                &[("5xx", "none", 61), ("none", "response_timeout", 9)],
            ),
        ],
        trail: trail(),
        records: vec!["/var/lib/serin/records/shop-7.rec".to_owned()],
        decisions: vec![
            decided(0.0, STARTED, "started", "0%"),
            decided(0.0, STARTED, "stepped", "5%"),
            decided(60.0, "2026-01-02T03:01:00.000Z", "stepped", "10%"),
            decided(125.3, "2026-01-02T03:02:05.300Z", "rolled_back", "0%"),
        ],
    }
}

#[test]
fn a_rollout_with_everything() {
    insta::assert_snapshot!("page", without_style(&page(&full())));
}

#[test]
fn a_rollout_of_which_nothing_was_kept() {
    let bare = Evidence {
        rollout: Rollout {
            ended: None,
            seconds: None,
            result: "running".to_owned(),
            cause: String::new(),
            why: String::new(),
            ..rollout()
        },
        at: None,
        analysis: None,
        versions: Vec::new(),
        trail: Trail {
            metrics: Vec::new(),
            points: Vec::new(),
        },
        records: Vec::new(),
        decisions: Vec::new(),
    };
    insta::assert_snapshot!("bare", without_style(&page(&bare)));
}

/// The style is a file of its own.
fn without_style(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    format!("{head}<style></style>{body}")
}

/// Calls every text of the evidence by a name that would be markup.
fn evil(text: &mut String) {
    text.push_str("\"'><script>alert(1)</script><img src=x onerror=alert(1)>&");
}

#[test]
fn nobody_can_put_markup_into_the_page() {
    let mut evidence = full();
    let rollout = &mut evidence.rollout;
    for text in [
        &mut rollout.id,
        &mut rollout.split,
        &mut rollout.stable,
        &mut rollout.canary,
        &mut rollout.started,
        &mut rollout.result,
        &mut rollout.cause,
        &mut rollout.why,
    ] {
        evil(text);
    }
    rollout.ended.iter_mut().for_each(evil);
    let analysis = evidence.analysis.as_mut().unwrap();
    for text in [
        &mut analysis.cause,
        &mut analysis.why,
        &mut analysis.verdict,
    ] {
        evil(text);
    }
    analysis.route.iter_mut().for_each(evil);
    analysis.invalid = Some(String::new());
    analysis.invalid.iter_mut().for_each(evil);
    analysis.first_failed.iter_mut().for_each(evil);
    evil(&mut analysis.suspect.as_mut().unwrap().endpoint);
    for part in &mut analysis.parts {
        evil(&mut part.cause);
        part.route.iter_mut().for_each(evil);
    }
    for metric in &mut analysis.metrics {
        evil(&mut metric.metric);
        evil(&mut metric.verdict);
    }
    evidence.trail.metrics = vec!["latency_p50".to_owned(); 3];
    evidence.trail.metrics.iter_mut().for_each(evil);
    // So that they are shown, though nobody knows them.
    let cause = evidence.trail.metrics.first().cloned().unwrap();
    evidence.analysis.as_mut().unwrap().cause = cause;
    for version in &mut evidence.versions {
        evil(&mut version.version);
        evil(&mut version.role);
        for errors in &mut version.errors {
            evil(&mut errors.code_class);
            evil(&mut errors.reason);
        }
    }
    for Decided { decision, .. } in &mut evidence.decisions {
        for text in [
            &mut decision.at,
            &mut decision.what,
            &mut decision.weight,
            &mut decision.by,
            &mut decision.why,
        ] {
            evil(text);
        }
    }
    let page = page(&evidence);
    assert!(page.contains("&lt;script&gt;alert(1)"));
    for markup in ["<script", "<img", "'>", "\"'"] {
        assert!(!page.contains(markup), "{markup} got through");
    }
    // Every quote opens or closes a value of an attribute: each tag has an even number of them.
    for tag in page.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
    }
}

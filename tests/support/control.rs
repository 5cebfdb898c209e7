//! A stand-in for control: the test says what the snapshot is and what acts come to.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serin::{
    admin::{self, Bind, Serving},
    config::{Admin, Config, Drain, Match, Metrics, PathMatch, Written},
    control::{
        Admission, ArmStatus, Ask, Command, ConfigStatus, Done, Dossier, EndpointStatus, Entry,
        Event, Findings, Handle, Measured, News, Recall, Refusal, RefusalKind, RepeatKey, Rollback,
        SeriesKey, ShadowStatus, SplitStatus, Status, Summary, Totals, Trail, UpstreamStatus,
    },
    judge::{Effect, Forecast, Invalid, Judgement, MetricJudgement, Need, Part, Suspect, Verdict},
    measure::{
        AttemptLabel, Cell, Gauges, Latencies, ListenerGauges, Repeat, RepeatLabel, RequestLabel,
    },
    model::{
        Access, CodeClass, EndpointState, Epoch, Generation, ListenerName, Moment, Nonce, Outcome,
        Protocol, Reason, Rejection, Role, RouteName, Share, SplitName, UpstreamName, VersionName,
    },
};
use tokio::sync::{broadcast, mpsc, watch};

/// 2026-01-02T03:04:05.678Z.
pub(crate) const NOW: Moment = Moment::from_millis(1_767_323_045_678);

/// The text that is in force.
pub(crate) const IN_FORCE: &str = "listen: \"127.0.0.1:0\"\nupstreams:\n  \
     mesos: { static: [\"127.0.0.1:1\"] }\n  ecs: { static: [\"127.0.0.1:2\"] }\nsplits:\n  \
     shop:\n    stable: mesos\n    canary: ecs\n    sticky: { key: [\"header:x-user\"] }\n    \
     weight: 5%\n";

/// The ends of a handle that control would hold.
pub(crate) struct Fake {
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) news: broadcast::Sender<News>,
    pub(crate) reloads: mpsc::Receiver<()>,
    /// Every act, as it came: split, command, reason, actor.
    pub(crate) acts: mpsc::UnboundedReceiver<(String, Command, Option<String>, String)>,
    config: watch::Sender<Arc<Config>>,
}

impl Fake {
    /// Changes the snapshot.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Status)) {
        self.status
            .send_modify(|status| change(Arc::make_mut(status)));
    }

    /// Changes the limit on series.
    pub(crate) fn max_series(&self, max: usize) {
        self.config
            .send_modify(|config| Arc::make_mut(config).metrics.max_series = max);
    }
}

/// Admin on a free port and on a unix socket in `directory`, with control's other ends.
pub(crate) async fn admin(directory: &tempfile::TempDir) -> (Serving, Fake) {
    let (handle, fake) = control();
    let unix: PathBuf = directory.path().join("admin.sock");
    let bind = Bind {
        http: Some("127.0.0.1:0".parse().unwrap()),
        unix: Some(unix),
        ..Bind::default()
    };
    (admin::serve(handle, &bind).await.unwrap(), fake)
}

fn control() -> (Handle, Fake) {
    let (events, mut queue) = mpsc::channel(16);
    let (reloads, reloaded) = mpsc::channel(1);
    let (status, watched) = watch::channel(Arc::new(snapshot()));
    let (config, read) = watch::channel(Arc::new(config()));
    let (news, _) = broadcast::channel(16);
    let (told, acts) = mpsc::unbounded_channel();
    let now = watched.clone();
    tokio::spawn(async move {
        while let Some(event) = queue.recv().await {
            match event {
                Event::Scraped(answer) => answer.send(totals()).unwrap(),
                Event::Asked(ask) => {
                    let Ask {
                        split,
                        command,
                        reason,
                        actor,
                        ..
                    } = &ask;
                    let _closed =
                        told.send((split.to_string(), *command, reason.clone(), actor.clone()));
                    let result = decide(&ask, &now.borrow());
                    ask.answer.send(result).unwrap();
                }
                Event::Surveyed(answer) => answer.send(vec![endpoint()]).unwrap(),
                Event::Recalled(Recall::Summaries(answer)) => {
                    answer.send(vec![rollout()]).unwrap();
                }
                Event::Recalled(Recall::Records(answer)) => {
                    answer.send(Vec::new()).unwrap();
                }
                Event::Recalled(Recall::Dossier(split, epoch, answer)) => {
                    let is_known = (split, epoch) == (split_name(), Epoch(2));
                    answer.send(is_known.then(|| Box::new(dossier()))).unwrap();
                }
                Event::Noted(_) => {}
                other => panic!("admin sent {other:?}"),
            }
        }
    });
    let anybody = Admission {
        anonymous: Access::Admin,
        has_page: true,
        ..Admission::default()
    };
    let (_, admission) = watch::channel(Arc::new(anybody));
    let handle = Handle::on(events, reloads, watched, read, news.clone()).admitting(admission);
    (
        handle,
        Fake {
            status,
            news,
            reloads: reloaded,
            acts,
            config,
        },
    )
}

fn decide(ask: &Ask, status: &Status) -> Result<Done, Refusal> {
    let split = status
        .splits
        .iter()
        .find(|split| split.name == ask.split)
        .unwrap();
    if ask.if_epoch.is_some_and(|epoch| epoch != split.epoch) {
        return Err(Refusal {
            kind: RefusalKind::Stale,
            message: format!("the rollout of `{}` has epoch {}", split.name, split.epoch),
            help: "look at it again with `serin status`, then act on what you see".to_owned(),
        });
    }
    if matches!(ask.command, Command::Resume) {
        return Err(Refusal {
            kind: RefusalKind::Conflict,
            message: "the rollout is not paused".to_owned(),
            help: "`serin status` shows its phase".to_owned(),
        });
    }
    let share = match ask.command {
        Command::SetWeight(share) => share,
        Command::Abort => Share::ZERO,
        _ => split.share,
    };
    Ok(Done {
        epoch: split.epoch,
        share,
        message: format!("done: {:?}", ask.command),
    })
}

fn split_name() -> SplitName {
    SplitName::new("shop").unwrap()
}

fn version(name: &str) -> VersionName {
    VersionName::new(name).unwrap()
}

fn share(points: u16) -> Share {
    Share::from_basis_points(points).unwrap()
}

fn config() -> Config {
    let route = |name: &str| Match {
        name: RouteName::new(name).unwrap(),
        hosts: Vec::new(),
        path: PathMatch::Prefix("/".to_owned()),
        headers: Vec::new(),
        methods: Vec::new(),
    };
    Config {
        hash: 0xfeed,
        text: Written(IN_FORCE.into()),
        listeners: Vec::new(),
        admin: Admin::default(),
        workers: None,
        state_dir: None,
        upstreams: Vec::new(),
        splits: vec![serin::config::Split {
            name: split_name(),
            routes: vec![route("checkout"), route("search")],
            stable: UpstreamName::new("mesos").unwrap(),
            canary: Some(UpstreamName::new("ecs").unwrap()),
            weight: None,
            sticky: None,
            version_override: None,
            on_unhealthy: serin::config::OnUnhealthy::FallbackToStable,
            hedge: None,
            retry_policy: serin::config::RetryPolicy::default(),
            assets: None,
            request_start: serin::config::RequestStart::default(),
            timeouts: serin::config::SplitTimeouts::default(),
            classify: Vec::new(),
            rollout: None,
            analysis: analysis(),
        }],
        drain: Drain {
            timeout: Duration::from_secs(1),
            lag: Duration::ZERO,
            long_lived: None,
        },
        access_log: None,
        tracing: None,
        metrics: Metrics {
            prefix: "serin".into(),
            max_series: 20_000,
            statsd: None,
            emf: None,
        },
    }
}

fn analysis() -> serin::config::Analysis {
    serin::config::Analysis {
        false_rollback_rate: 0.001,
        min_requests: 30,
        warm_up: Duration::ZERO,
        error_rate: serin::config::RateMargin {
            ratio: 1.05,
            absolute: 0.0005,
        },
        latency_margins: [0.1; 6],
        critical_errors: None,
        critical_latency: None,
        dry_run: serin::config::DryRun::default(),
        slo: None,
        burst_tolerance: Duration::from_secs(1),
        absolute: Vec::new(),
    }
}

/// A rollout at its second step, judged and undecided.
pub(crate) fn snapshot() -> Status {
    Status {
        as_of: NOW,
        generation: Generation(7),
        is_ready: true,
        is_draining: false,
        config: ConfigStatus {
            hash: 0xfeed,
            loaded_at: NOW,
            reloads: (2, 1),
            problem: None,
        },
        splits: vec![split()],
        upstreams: ["mesos", "ecs"].map(upstream).to_vec(),
        certificates: vec![(
            ListenerName::new("web").unwrap(),
            Moment::from_millis(1_900_000_000_000),
        )],
        workers: vec![0.25, 0.5],
    }
}

fn split() -> SplitStatus {
    SplitStatus {
        name: split_name(),
        stable: version("mesos"),
        canary: Some(version("ecs")),
        epoch: Epoch(3),
        revision: 1,
        phase: "progressing",
        phase_reason: String::new(),
        step: Some((2, 5)),
        step_text: "analysis, at most 10m".to_owned(),
        step_ends: Some(NOW + Duration::from_mins(10)),
        gate: None,
        configured: None,
        share: share(500),
        observed: Some(0.0498),
        judgement: Some(doubtful()),
        harm_budget: Some((12.4, 200)),
        forecast: Some(forecast()),
        warnings: vec![WARNING.to_owned()],
        rollback: Some(rollback()),
        arms: [
            ArmStatus {
                role: Role::Stable,
                trials: 19_000,
                failures: 19,
                rate: 95.2,
                users: Some(8_120),
                streams: 240,
                quantiles: Some([12, 30, 80, 240].map(Duration::from_millis)),
                latency: Arc::new(latencies(&[(12, 100), (30, 80), (80, 18), (240, 2)])),
                errors: vec![(CodeClass::ServerError, Reason::None, 19)],
                answers_failed: 17,
                rescued: 0,
            },
            ArmStatus {
                role: Role::Canary,
                trials: 1_000,
                failures: 4,
                rate: 5.0,
                users: Some(412),
                streams: 12,
                quantiles: None,
                latency: Arc::default(),
                errors: vec![
                    (CodeClass::None, Reason::Reset, 3),
                    (CodeClass::ServerError, Reason::None, 1),
                ],
                answers_failed: 1,
                rescued: 3,
            },
        ],
        dispersion: Some(1.25),
        shadow: Some(ShadowStatus {
            alarms: 1,
            evidence: 0.5,
            threshold: 100.0,
            requests: 4_000,
        }),
        history: vec![Entry {
            at: NOW,
            what: "stepped",
            share: share(500),
            by: "judge".to_owned(),
            why: "the canary is no worse than the margins allow".to_owned(),
        }],
    }
}

fn rollback() -> Rollback {
    let before = |millis| Moment::from_millis(NOW.millis() - millis);
    Rollback {
        epoch: Epoch(2),
        cause: "verdict",
        broke: before(2_000),
        found: before(1_200),
        applied: before(1_199),
        complete: Some(before(400)),
        failed_requests: 31,
        users: Some(9),
    }
}

fn latencies(counts: &[(u64, u64)]) -> Latencies {
    let mut latencies = Latencies::new();
    for (millis, count) in counts {
        latencies.record_n(Duration::from_millis(*millis), *count);
    }
    latencies
}

const WARNING: &str = "step 2: analysis at 5% needs about 41m at 100 requests a second, its max \
                       is 10m: raise the weight or the max";

fn forecast() -> Forecast {
    let need = |requests, seconds| Some(Need { requests, seconds });
    Forecast {
        to_fail: vec![
            (Effect::AllFail, need(4, 0.8)),
            (Effect::ErrorsPlus5Pp, need(220, 44.0)),
            (Effect::ErrorsX2, None),
            (Effect::LatencyX2, need(40, 8.0)),
            (Effect::LatencyPlus20Pct, need(1_200, 240.0)),
            (Effect::P99X2, need(250, 50.0)),
        ],
        to_pass: need(12_300, 2_460.0),
    }
}

fn judgement() -> Judgement {
    Judgement {
        verdict: Verdict::Inconclusive,
        cause: "error_rate".to_owned(),
        why: "4 of 1000 canary requests failed, 19 of 19000 on stable".to_owned(),
        evidence: 12.5,
        threshold: 1_000.0,
        metrics: vec![MetricJudgement {
            metric: "error_rate".to_owned(),
            verdict: Verdict::Inconclusive,
            canary: (4, 1_000),
            stable: (19, 19_000),
            estimate: 0.003,
            interval: (-0.001, 0.007),
            margin: 0.0005,
            evidence: 12.5,
            is_dry_run: false,
        }],
        ..Judgement::default()
    }
}

/// What the judge says now: a metric that is only tried has failed, and nothing may be promoted.
fn doubtful() -> Judgement {
    let mut judgement = judgement();
    judgement.metrics.push(MetricJudgement {
        metric: "latency_p99".to_owned(),
        verdict: Verdict::Fail,
        canary: (310, 1_000),
        stable: (190, 19_000),
        estimate: 0.3,
        interval: (0.25, 0.35),
        margin: 0.0005,
        evidence: 5_000.0,
        is_dry_run: true,
    });
    judgement.invalid = Some(Invalid::StableOutsideSlo);
    judgement
}

/// What the judge said of the rollout before, at its end: everything that it can say.
pub(crate) fn failed() -> Judgement {
    let checkout = RouteName::new("checkout").unwrap();
    let part = |cause: &str, route, evidence, hits| Part {
        cause: cause.to_owned(),
        route,
        evidence,
        hits,
    };
    Judgement {
        verdict: Verdict::Fail,
        cause: "error_rate".to_owned(),
        why: "40 of 1000 canary requests failed, 19 of 19000 on stable".to_owned(),
        evidence: 1_204.0,
        route: Some(checkout.clone()),
        parts: vec![
            part("error_rate", Some(checkout), 1_200.0, 40),
            part("critical:error_rate", None, 4.0, 40),
        ],
        harm: 38.6,
        pace: 5.0,
        canary_requests: 1_000,
        first_failed: vec![0xaa, u64::MAX],
        suspect: Some(Suspect {
            address: "127.0.0.1:8081".parse().unwrap(),
            counts: (39, 300),
            others: (1, 700),
        }),
        is_worse: true,
        ..judgement()
    }
}

fn rollout() -> Summary {
    Summary {
        split: split_name(),
        epoch: Epoch(2),
        nonce: Nonce(7),
        stable: version("mesos"),
        canary: version("ecs"),
        started: Moment::from_millis(NOW.millis() - 600_000),
        ended: Some(Moment::from_millis(NOW.millis() - 60_000)),
        result: "rolled_back",
        cause: "error_rate".to_owned(),
        why: failed().why,
    }
}

fn dossier() -> Dossier {
    let measured = |role, requests, failures| Measured {
        role,
        requests,
        failures,
        errors: vec![(CodeClass::ServerError, Reason::None, failures)],
        curve: [(0.0, 4), (0.5, 8), (0.9, 30)]
            .map(|(quantile, millis)| (quantile, Duration::from_millis(millis)))
            .to_vec(),
    };
    let rollout = rollout();
    let decided = |at, what, why: &str| Entry {
        at,
        what,
        share: if what == "started" {
            share(500)
        } else {
            Share::ZERO
        },
        by: "judge".to_owned(),
        why: why.to_owned(),
    };
    Dossier {
        findings: Some(Arc::new(Findings {
            at: rollout.ended.unwrap(),
            judgement: Some(failed()),
            versions: [
                measured(Role::Stable, 19_000, 19),
                measured(Role::Canary, 1_000, 40),
            ],
            trail: Trail::default(),
        })),
        records: vec!["/var/lib/serin/records/shop-2.rec".into()],
        decisions: vec![
            decided(rollout.started, "started", "canary ecs"),
            decided(rollout.ended.unwrap(), "rolled_back", &rollout.why),
        ],
        rollout,
    }
}

fn upstream(name: &str) -> UpstreamStatus {
    UpstreamStatus {
        name: UpstreamName::new(name).unwrap(),
        endpoints: (2, 3),
        age: Some(Duration::from_millis(1_500)),
        problem: None,
        states: [2, 1, 0, 0, 0],
        in_flight: 4,
        idle: 6,
    }
}

fn endpoint() -> EndpointStatus {
    EndpointStatus {
        upstream: UpstreamName::new("ecs").unwrap(),
        address: "127.0.0.1:8081".parse().unwrap(),
        zone: None,
        version: None,
        weight: 1,
        state: EndpointState::Ejected,
        warmth: 256,
        age: None,
        failures: 5,
        why: Some("5 failures in a row".to_owned()),
        out_for: Some(Duration::from_secs(9)),
        in_flight: 2,
        latency: Some(Duration::from_millis(12)),
    }
}

fn repeats() -> Vec<(RepeatKey, u64)> {
    let key = |from: &str, repeat, reason| RepeatKey {
        split: split_name(),
        from: version(from),
        to: version("mesos"),
        label: RepeatLabel { repeat, reason },
    };
    vec![
        (key("ecs", Repeat::Rescue, Reason::Reset), 2),
        (key("mesos", Repeat::Retry, Reason::Reset), 3),
        (key("mesos", Repeat::Denied, Reason::Reset), 1),
        (key("ecs", Repeat::HedgeWon, Reason::Hedge), 5),
        (key("ecs", Repeat::Asset, Reason::None), 4),
        (key("mesos", Repeat::HedgeLost, Reason::Hedge), 1),
        (key("mesos", Repeat::HedgeWon, Reason::Hedge), 4),
    ]
}

fn totals() -> Totals {
    let key = |name: &str, role, route: &str| SeriesKey {
        split: split_name(),
        version: version(name),
        role,
        route: RouteName::new(route).unwrap(),
    };
    let ok = RequestLabel {
        protocol: Protocol::H1,
        code_class: CodeClass::Success,
        outcome: Outcome::Success,
    };
    let mut totals = Totals {
        series: vec![
            (key("ecs", Role::Canary, "checkout"), cell(10, 2)),
            (key("mesos", Role::Stable, "checkout"), cell(90, 1)),
            (key("mesos", Role::Stable, "search"), cell(50, 0)),
        ],
        repeats: repeats(),
        rollbacks: vec![(split_name(), "verdict", 1)],
        rollouts: vec![(split_name(), "rolled_back", 1)],
        rollback_times: [("detect", 800), ("apply", 1), ("complete", 799)]
            .map(|(stage, millis)| (split_name(), stage, times(millis)))
            .to_vec(),
        checks: vec![(UpstreamName::new("ecs").unwrap(), 50, 2)],
        discoveries: vec![(UpstreamName::new("ecs").unwrap(), "ok", 4)],
        ..Totals::default()
    };
    let rejected = CodeClass::ClientError;
    totals.refused.add(
        RequestLabel {
            protocol: Protocol::H2,
            code_class: rejected,
            outcome: Outcome::Rejected,
        },
        3,
    );
    totals.series[2].1.requests.add(ok, 0);
    let listener = ListenerGauges {
        name: ListenerName::new("default").unwrap(),
        open: 4,
        accepted: 40,
        refused: 1,
        handshakes: (30, 2),
    };
    totals.rejections = Rejection::ALL.iter().map(|cause| (*cause, 0)).collect();
    totals.rejections[0].1 = 7;
    totals.streams = [("ecs", 12), ("mesos", 240)]
        .map(|(name, count)| ((split_name(), version(name)), count))
        .to_vec();
    totals.listeners = vec![ListenerGauges {
        open: 8,
        accepted: 80,
        refused: 2,
        ..listener.clone()
    }];
    let gauges = Gauges {
        listeners: vec![listener],
        upstream_connections: (3, 2),
        busy: 0.25,
        ..Gauges::default()
    };
    totals.workers = vec![gauges.clone(), gauges];
    totals
}

fn times(millis: u64) -> Latencies {
    let mut times = Latencies::new();
    times.record(Duration::from_millis(millis));
    times
}

fn cell(good: u64, bad: u64) -> Cell {
    let mut cell = Cell::default();
    cell.connects.add(Reason::None, 3);
    cell.connects.add(Reason::ConnectRefused, bad);
    let labels = [
        (CodeClass::Success, Outcome::Success, good),
        (CodeClass::ServerError, Outcome::Failure, bad),
    ];
    for (code_class, outcome, count) in labels.into_iter().filter(|(_, _, count)| *count > 0) {
        cell.requests.add(
            RequestLabel {
                protocol: Protocol::H1,
                code_class,
                outcome,
            },
            count,
        );
        let label = AttemptLabel {
            code_class,
            outcome,
            reason: Reason::None,
        };
        cell.attempts.add(label, count);
        for latencies in [&mut cell.latency, &mut cell.first_byte, &mut cell.duration] {
            latencies.record_n(Duration::from_millis(4), count);
        }
    }
    cell
}

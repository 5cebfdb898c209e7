//! Config values for the tests of this room and of control.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{
        Admin, Analysis, Config, Drain, Match, Metrics, OnUnhealthy, PathMatch, RateMargin,
        RetryPolicy, Source, Split, SplitTimeouts, StaticEndpoint, Upstream, UpstreamTimeouts,
        Written,
    },
    model::{RouteName, SplitName, UpstreamName},
};

/// The name of an upstream.
pub(crate) fn upstream_name(text: &str) -> UpstreamName {
    UpstreamName::new(text).unwrap()
}

/// A split that takes everything.
pub(crate) fn split(name: &str, stable: &str, canary: Option<&str>) -> Split {
    let everything = Match {
        name: RouteName::new("default").unwrap(),
        hosts: Vec::new(),
        path: PathMatch::Prefix("/".to_owned()),
        headers: Vec::new(),
        methods: Vec::new(),
    };
    Split {
        name: SplitName::new(name).unwrap(),
        routes: vec![everything],
        stable: upstream_name(stable),
        canary: canary.map(upstream_name),
        weight: None,
        sticky: None,
        version_override: None,
        on_unhealthy: OnUnhealthy::FallbackToStable,
        retry_policy: RetryPolicy::default(),
        hedge: None,
        assets: None,
        request_start: crate::config::RequestStart::default(),
        timeouts: SplitTimeouts::default(),
        classify: Vec::new(),
        rollout: None,
        analysis: analysis(),
    }
}

/// The judge's defaults without a warm-up.
pub(crate) fn analysis() -> Analysis {
    Analysis {
        false_rollback_rate: 0.01,
        min_requests: 30,
        warm_up: Duration::ZERO,
        error_rate: RateMargin {
            ratio: 1.05,
            absolute: 0.0005,
        },
        latency_margins: [0.1; 6],
        critical_errors: None,
        critical_latency: None,
        dry_run: crate::config::DryRun::default(),
        slo: None,
        burst_tolerance: Duration::from_millis(500),
        absolute: Vec::new(),
    }
}

/// A file with these splits and an upstream for each version that they name.
pub(crate) fn config(hash: u64, splits: Vec<Split>) -> Config {
    let mut names: Vec<UpstreamName> = splits
        .iter()
        .flat_map(|split| std::iter::once(split.stable.clone()).chain(split.canary.clone()))
        .collect();
    names.sort();
    names.dedup();
    Config {
        hash,
        text: Written::default(),
        listeners: Vec::new(),
        admin: Admin::default(),
        workers: Some(1),
        state_dir: None,
        upstreams: names.into_iter().map(upstream).collect(),
        splits,
        drain: Drain {
            timeout: Duration::from_secs(1),
            lag: Duration::ZERO,
            long_lived: None,
        },
        access_log: None,
        tracing: None,
        metrics: Metrics {
            prefix: Arc::from("serin"),
            max_series: 1_000,
            statsd: None,
            emf: None,
        },
    }
}

fn upstream(name: UpstreamName) -> Upstream {
    let endpoint = StaticEndpoint::new("127.0.0.1", 1);
    Upstream {
        name,
        source: Source::Static(vec![endpoint]),
        protocol: crate::config::UpstreamProtocol::H1,
        tls: None,
        proxy_protocol: None,
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(1),
            response_header: Duration::from_secs(1),
            body_idle: Duration::from_secs(1),
            idle: Duration::from_secs(1),
        },
        max_idle_connections: 1,
        buffer: crate::config::Buffer::default(),
        health_check: None,
        balance: crate::config::Balance::default(),
        outlier_detection: None,
        circuit_breaker: None,
        warm_up: None,
    }
}

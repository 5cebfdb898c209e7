//! The keys of a split: what it takes, who shares it, and how a canary is tried.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    AssetsBlock, ClassifyBlock, CookieForm, CookieName, Default, DomainName, Fields, HeaderName,
    HedgeBlock, HostName, Key, KeyInfo, Many, MaxAge, Method, Node, Optional, Placed, Required,
    RetryBlock, RolloutBlock, Shape, UrlPath, Walk, WarmUp, block, describe_block, word, words,
};
use crate::{
    config::{
        AbsoluteAction, OnUnhealthy, RequestStart, SameSite,
        collection::Several,
        leaf::{Count, Ratio, SecretFile, Text},
        units::Margin,
    },
    model::{RouteName, Share, UpstreamName},
};

block! {
    /// A match and the versions that share its traffic.
    struct SplitBlock {
        /// What it takes: one match, or a list of named ones. Without it: every request.
        r#match: Several<MatchBlock> = Optional,
        /// The upstream that users have today.
        stable: UpstreamName = Required,
        /// The upstream that is being tried.
        canary: UpstreamName = Optional,
        /// The canary's share of the traffic, in steps of 0.01%. Edit and save: it is in force.
        /// Without it: the rollout's steps decide, or 0%.
        weight: Share = Optional,
        /// How clients keep their version. Without it: every request falls anew.
        sticky: StickyBlock = Optional,
        /// How testers choose their version, with a signed value.
        r#override: OverrideBlock = Optional,
        /// What happens to the share of a canary without a usable endpoint.
        on_unhealthy: OnUnhealthy = Default("fallback_to_stable"),
        /// What becomes of an attempt that has failed.
        retry_policy: RetryBlock = Default("{}"),
        /// When an attempt that is late gets a second one beside it. Without it: never.
        hedge: HedgeBlock = Optional,
        /// Files that only one version has.
        fallback_on_404: AssetsBlock = Optional,
        /// Limits in time over those of the upstreams.
        timeouts: SplitTimeoutsBlock = Default("{}"),
        /// How `X-Request-Start` tells the endpoint when the request's head was whole: `s`, seconds
        /// since 1970 with milliseconds behind the point; `ms`; `us`; `disabled`, not at all.
        request_start: RequestStart = Default("s"),
        /// What counts against a version, and what does not: the first rule that fits decides.
        /// Where none fits, a status of 500 and above and gRPC's `UNKNOWN`, `DEADLINE_EXCEEDED`,
        /// `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS` are failures.
        classify: Vec<Placed<ClassifyBlock>> = Optional,
        /// The course of the rollout.
        rollout: RolloutBlock = Optional,
        /// Short for `analysis.metrics`: how much worse than stable the canary may be.
        rollback_if: RollbackIfBlock = Optional,
        /// How the versions are compared. A canary with weight is always judged.
        analysis: AnalysisBlock = Default("{}"),
    } later ["baseline", "mirror", "notify", "salt"]
}

block! {
    /// What a split takes: everything that is written must hold.
    struct MatchBlock {
        /// The route's name: a metric label. Needed when there are several matches.
        name: RouteName = Optional,
        /// Host names without port, `*.example.com` for every subdomain. Without it: any.
        hosts: Several<HostName> = Optional,
        /// The path and all below it: `/a` takes `/a` and `/a/b`, not `/ab`.
        path_prefix: UrlPath = Optional,
        /// This path only.
        path: UrlPath = Optional,
        /// Header fields that must be there: a mapping from names to exact values, empty for any
        /// value.
        headers: Fields = Optional,
        /// Methods. Without it: any.
        methods: Several<Method> = Optional,
    } later ["cookies", "query", "grpc"]
}

block! {
    /// How clients keep their version.
    struct StickyBlock {
        /// Where the client's identity is read, the first present wins: `cookie:NAME`,
        /// `header:NAME`, `client_ip`. Without it: our own cookie is it.
        key: Several<Key> = Default("[]"),
        /// The cookie that remembers: its name, or a mapping. Without it: `serin_` and the split's
        /// name.
        cookie: CookieForm = Optional,
        /// A file with the secret that signs the cookie. Without it: one is made and kept in the
        /// state directory.
        secret_file: SecretFile = Optional,
        /// What keeps its version.
        scope: Scope = Default("user"),
    } later []
}

block! {
    /// The cookie that remembers a version.
    struct CookieBlock {
        /// Its name.
        name: CookieName = Optional,
        /// Its life; `session`: the browser's session.
        max_age: MaxAge = Default("1d"),
        /// Its `Path`.
        path: UrlPath = Default("/"),
        /// Its `Domain`. Without it: the host only.
        domain: DomainName = Optional,
        /// Whether scripts cannot read it.
        http_only: bool = Default("true"),
        /// Whether it is sent over TLS only. Set it when clients come by https.
        secure: bool = Default("false"),
        /// When it is sent across sites.
        same_site: SameSite = Default("lax"),
    } later ["partitioned"]
}

block! {
    /// How testers choose their version: `stable` or `canary`, signed.
    struct OverrideBlock {
        /// The header field.
        header: HeaderName = Optional,
        /// The cookie.
        cookie: CookieName = Optional,
        /// The file with the secret that signs.
        signed_by: SecretFile = Required,
    } later []
}

block! {
    /// Limits in time of a split.
    struct SplitTimeoutsBlock {
        /// From the end of the request to the end of the answer's head, instead of the upstream's.
        response_header: Duration = Optional,
        /// From the end of the request's head to the last byte of the answer. Without it: no limit.
        total: Duration = Optional,
    } later []
}

block! {
    /// How much worse than stable the canary may be.
    struct RollbackIfBlock {
        /// Of the error rate: `+0.5pp` (points), `+5%` (relative), or both.
        error_rate: Margin = Optional,
        /// Of the latency at every quantile.
        latency: Margin = Optional,
        /// Of the median latency.
        latency_p50: Margin = Optional,
        /// Of the 75th percentile of latency.
        latency_p75: Margin = Optional,
        /// Of the 90th percentile of latency.
        latency_p90: Margin = Optional,
        /// Of the 95th percentile of latency.
        latency_p95: Margin = Optional,
        /// Of the 99th percentile of latency.
        latency_p99: Margin = Optional,
        /// Of the 99.9th percentile of latency.
        latency_p999: Margin = Optional,
    } later ["bytes_out", "status_404"]
}

block! {
    /// How versions are compared. Every number has the judge's default.
    struct AnalysisBlock {
        /// Probability that a healthy canary is ever rolled back, over the whole rollout, however
        /// often it is looked at.
        false_rollback_rate: Ratio = Default("1%"),
        /// Canary requests before a pass may be given.
        min_requests: Count<1, 1_000_000_000> = Default("30"),
        /// How long slow tests leave a canary alone after its first request. The fast path, which
        /// finds what is badly broken, is on from the first request.
        warm_up: WarmUp = Default("30s"),
        /// Length of one block of evidence whose weight is capped: at least as long as the blips
        /// of a single instance that are normal here.
        burst_tolerance: Duration = Default("500ms"),
        /// How much worse than stable the canary may be. Without it: error rate +5% +0.05pp,
        /// latency +10%. A quantile of latency that is not named has the margin of the next higher
        /// one that is, else of the next lower.
        metrics: Vec<Placed<MetricBlock>> = Default("[]"),
        /// What the service promises: a canary that breaks it, and is worse than stable, is rolled
        /// back within the same false rollback rate. Without it: an error rate of 2%.
        slo: SloBlock = Optional,
        /// Plain floors that hold even if stable is bad too: one, or a list. They roll back.
        absolute: Several<AbsoluteBlock> = Default("[]"),
        /// Plain thresholds that stop the ramp while they are broken: one, or a list.
        rules: Several<AbsoluteBlock> = Default("[]"),
    } later ["power", "interval"]
}

block! {
    /// What the service promises.
    struct SloBlock {
        /// Failures over requests are at most this.
        error_rate: Ratio = Optional,
        /// Latency is at most this, at `quantile`.
        latency: Duration = Optional,
        /// Which quantile of latency is promised.
        quantile: SloQuantile = Default("p99"),
        /// `worse_than_stable`: a broken promise counts if the canary is also worse than stable.
        /// `always`: it counts whatever stable does.
        guard: SloGuard = Default("worse_than_stable"),
    } later []
}

block! {
    /// One metric that is compared.
    struct MetricBlock {
        /// Its name.
        name: MetricName = Required,
        /// How much worse it may be.
        margin: Margin = Required,
        /// Which way is worse.
        worse: Worse = Default("increase"),
        /// What is badly broken, and acted upon at once, also in the warm-up: `+10pp` for the error
        /// rate, `3x` for one quantile of latency.
        critical: Margin = Optional,
        /// Whether it is shown and told only: it can neither roll back nor hold.
        dry_run: bool = Default("false"),
    } later ["prometheus", "webhook", "interval", "failure_limit", "consecutive_error_limit"]
}

block! {
    /// A plain threshold over a window; each limit that is written is a rule.
    struct AbsoluteBlock {
        /// Failures over requests may be at most this.
        error_rate: Ratio = Optional,
        /// The same from the other side: requests that do not fail must be at least this.
        success_rate: Ratio = Optional,
        /// The median latency may be at most this.
        latency_p50: Duration = Optional,
        /// The 90th percentile of latency may be at most this.
        latency_p90: Duration = Optional,
        /// The 95th percentile of latency may be at most this.
        latency_p95: Duration = Optional,
        /// The 99th percentile of latency may be at most this.
        latency_p99: Duration = Optional,
        /// The 99.9th percentile of latency may be at most this.
        latency_p999: Duration = Optional,
        /// Canary requests in the window before the rule may act.
        min_requests: Many = Default("100"),
        /// The sliding window.
        window: Duration = Default("60s"),
        /// How many of the last windows must be broken, when `of` is written.
        breaches: Count<1, 100> = Default("1"),
        /// How many windows are looked at, side by side. Without it: one that slides.
        of: Count<1, 100> = Default("1"),
        /// What it does when broken. Without it: `absolute` rolls back, `rules` hold.
        action: AbsoluteAction = Optional,
    } later []
}

/// What keeps its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Scope {
    User,
}

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Worse {
    Increase,
}

/// When a broken promise counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum SloGuard {
    WorseThanStable,
    Always,
}

/// The quantile of latency that a service promises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::config) struct SloQuantile(pub f64);

/// A metric that this build compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum MetricName {
    ErrorRate,
    /// At every quantile that is not named by itself.
    Latency,
    /// At one of [`LATENCIES`].
    LatencyAt(usize),
}

/// The quantiles of latency that are compared, by name.
pub(in crate::config) const LATENCIES: [&str; 6] = [
    "latency_p50",
    "latency_p75",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_p999",
];

words!(Scope { "user" => Self::User, } later ["session", "request"]);
words!(Worse { "increase" => Self::Increase, } later ["decrease", "either"]);
words!(SloQuantile {
    "p50" => Self(0.5),
    "p75" => Self(0.75),
    "p90" => Self(0.9),
    "p95" => Self(0.95),
    "p99" => Self(0.99),
    "p999" => Self(0.999),
} later []);
words!(SloGuard {
    "worse_than_stable" => Self::WorseThanStable,
    "always" => Self::Always,
} later []);
words!(OnUnhealthy {
    "fallback_to_stable" => Self::FallbackToStable,
    "fail" => Self::Fail,
} later []);
words!(RequestStart {
    "s" => Self::Seconds,
    "ms" => Self::Millis,
    "us" => Self::Micros,
    "disabled" => Self::Disabled,
} later []);
words!(SameSite {
    "lax" => Self::Lax,
    "strict" => Self::Strict,
    "none" => Self::None,
} later []);
words!(AbsoluteAction { "rollback" => Self::Rollback, "hold" => Self::Hold, } later []);

impl Shape for MetricName {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let latencies = (0..).map(Self::LatencyAt).zip(LATENCIES);
        let words: Vec<(&str, Self)> =
            [("error_rate", Self::ErrorRate), ("latency", Self::Latency)]
                .into_iter()
                .chain(latencies.map(|(metric, name)| (name, metric)))
                .collect();
        if let Some(Text(text)) = Text::read(node, &mut Walk::default())
            && text.starts_with("status_")
        {
            walk.not_yet(node.at, &text);
            return None;
        }
        word(node, walk, &words, &["bytes_out", "bytes_in"])
    }

    fn describe() -> Json {
        let names: Vec<&str> = ["error_rate", "latency"]
            .into_iter()
            .chain(LATENCIES)
            .collect();
        json!({ "type": "string", "enum": names })
    }
}

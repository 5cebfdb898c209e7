//! A split as others see it.

use std::time::Duration;

use super::{plain, rollout::rollout};
use crate::{
    config::{
        AbsoluteMetric, AbsoluteRule, Analysis, Cookie, HeaderMatch, Match, Override, PathMatch,
        RateMargin, Split, SplitTimeouts, Sticky,
        collection::Several,
        leaf::{Count, Ratio, SecretFile},
        schema::{
            AbsoluteBlock, AnalysisBlock, CookieForm, CookieName, DomainName, Fields, HeaderName,
            HostName, MatchBlock, MaxAge, Method, MetricName, SplitBlock, StickyBlock, UrlPath,
            WarmUp,
        },
        tree::Node,
        units::Margin,
        walk::{Placed, Shape, Walk},
    },
    model::{RouteName, SplitName},
};

/// What the judge tolerates unless the file says otherwise (judge: errors 1.05x + 0.05pp).
const ERROR_RATE: RateMargin = RateMargin {
    ratio: 1.05,
    absolute: 0.000_5,
};
/// What the judge tolerates unless the file says otherwise (judge: latency +10 %).
const LATENCY: f64 = 0.10;

pub(super) fn split(name: &SplitName, block: &SplitBlock) -> Option<Split> {
    let timeouts = &block.timeouts.as_ref()?.value;
    Some(Split {
        name: name.clone(),
        routes: routes(block)?,
        stable: plain(block.stable.as_ref())?,
        canary: plain(block.canary.as_ref()),
        weight: plain(block.weight.as_ref()),
        sticky: sticky(name, block.sticky.as_ref())?,
        version_override: some(block.r#override.as_ref(), |block| {
            let SecretFile(signed_by) = plain(block.signed_by.as_ref())?;
            Some(Override {
                header: plain(block.header.as_ref()).map(|HeaderName(name)| name),
                cookie: plain(block.cookie.as_ref()).map(|CookieName(name)| name),
                signed_by,
            })
        })?,
        on_unhealthy: plain(block.on_unhealthy.as_ref())?,
        timeouts: SplitTimeouts {
            response_header: plain(timeouts.response_header.as_ref()),
            total: plain(timeouts.total.as_ref()),
        },
        rollout: some(block.rollout.as_ref(), rollout)?,
        analysis: analysis(block)?,
    })
}

/// What is made of a block that may be absent. The outer `None`: it could not be read.
#[expect(
    clippy::option_option,
    reason = "absent and unreadable are different things"
)]
fn some<T, U>(at: Option<&Placed<T>>, make: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    match at {
        None => Some(None),
        Some(at) => make(&at.value).map(Some),
    }
}

fn routes(block: &SplitBlock) -> Option<Vec<Match>> {
    match &block.r#match {
        Some(Placed {
            value: Several(list),
            ..
        }) => list.iter().map(|at| route(&at.value)).collect(),
        None => Some(vec![Match {
            name: RouteName::new("default").ok()?,
            hosts: Vec::new(),
            path: PathMatch::Prefix("/".into()),
            headers: Vec::new(),
            methods: Vec::new(),
        }]),
    }
}

fn route(block: &MatchBlock) -> Option<Match> {
    let name = match &block.name {
        Some(name) => name.value.clone(),
        None => RouteName::new("default").ok()?,
    };
    Some(Match {
        name,
        hosts: list(block.hosts.as_ref(), |HostName(host)| host),
        path: path(block),
        headers: plain(block.headers.as_ref())
            .map(fields)
            .unwrap_or_default(),
        methods: list(block.methods.as_ref(), |Method(method)| method),
    })
}

/// `/a/` and `/a` take the same paths as prefixes, so they are one.
pub(in crate::config) fn path(block: &MatchBlock) -> PathMatch {
    if let Some(Placed {
        value: UrlPath(path),
        ..
    }) = &block.path
    {
        return PathMatch::Exact(path.clone());
    }
    let prefix = block
        .path_prefix
        .as_ref()
        .map_or("/", |at| at.value.0.trim_end_matches('/'));
    PathMatch::Prefix(if prefix.is_empty() {
        "/".into()
    } else {
        prefix.into()
    })
}

fn list<T: Clone, U>(at: Option<&Placed<Several<T>>>, each: impl Fn(T) -> U) -> Vec<U> {
    let items = at.into_iter().flat_map(|at| &at.value.0);
    items.map(|item| each(item.value.clone())).collect()
}

fn fields(Fields(fields): Fields) -> Vec<HeaderMatch> {
    let field = |(HeaderName(name), value)| HeaderMatch { name, value };
    fields.into_iter().map(field).collect()
}

#[expect(
    clippy::option_option,
    reason = "absent and unreadable are different things"
)]
fn sticky(split: &SplitName, block: Option<&Placed<StickyBlock>>) -> Option<Option<Sticky>> {
    let Some(Placed {
        value: block, at, ..
    }) = block
    else {
        return Some(None);
    };
    let CookieForm(written) = match &block.cookie {
        Some(at) => at.value.clone(),
        None => CookieForm::read(&Node::empty(*at), &mut Walk::default())?,
    };
    let name = plain(written.name.as_ref()).map(|CookieName(name)| name);
    let MaxAge(max_age) = plain(written.max_age.as_ref())?;
    let UrlPath(path) = plain(written.path.as_ref())?;
    Some(Some(Sticky {
        key: list(block.key.as_ref(), |key| key.0),
        cookie: Cookie {
            name: name.unwrap_or_else(|| format!("serin_{split}")),
            max_age,
            path,
            domain: plain(written.domain.as_ref()).map(|DomainName(name)| name),
            http_only: plain(written.http_only.as_ref())?,
            secure: plain(written.secure.as_ref())?,
            same_site: plain(written.same_site.as_ref())?,
        },
        secret_file: plain(block.secret_file.as_ref()).map(|SecretFile(path)| path),
    }))
}

fn analysis(split: &SplitBlock) -> Option<Analysis> {
    let block = &split.analysis.as_ref()?.value;
    let Ratio(false_rollback_rate) = plain(block.false_rollback_rate.as_ref())?;
    let Count(min_requests) = plain(block.min_requests.as_ref())?;
    let WarmUp(warm_up) = plain(block.warm_up.as_ref())?;
    let margins = margins(split);
    let margin = |metric| {
        margins
            .iter()
            .find(|(name, _)| *name == metric)
            .map(|(_, at)| at.value)
    };
    let absolute = block
        .absolute
        .as_ref()?
        .value
        .0
        .iter()
        .map(|at| rules(&at.value));
    Some(Analysis {
        false_rollback_rate,
        min_requests,
        warm_up,
        error_rate: margin(MetricName::ErrorRate).map_or(ERROR_RATE, Margin::of_rate),
        latency_margin: margin(MetricName::Latency)
            .and_then(|m| m.relative)
            .unwrap_or(LATENCY),
        burst_tolerance: plain(block.burst_tolerance.as_ref())?,
        absolute: absolute.collect::<Option<Vec<_>>>()?.concat(),
    })
}

/// Every margin that is written, in `rollback_if` or in `analysis.metrics`.
pub(in crate::config) fn margins(split: &SplitBlock) -> Vec<(MetricName, Placed<Margin>)> {
    let mut margins = Vec::new();
    if let Some(Placed { value: block, .. }) = &split.rollback_if {
        margins.extend(
            block
                .error_rate
                .iter()
                .map(|at| (MetricName::ErrorRate, at.clone())),
        );
        let latencies = [
            &block.latency,
            &block.latency_p50,
            &block.latency_p90,
            &block.latency_p95,
            &block.latency_p99,
        ];
        let latencies = latencies.into_iter().flatten();
        margins.extend(latencies.map(|at| (MetricName::Latency, at.clone())));
    }
    let metrics = split
        .analysis
        .as_ref()
        .and_then(|at: &Placed<AnalysisBlock>| at.value.metrics.as_ref());
    for metric in metrics.into_iter().flat_map(|at| &at.value) {
        if let (Some(name), Some(margin)) = (&metric.value.name, &metric.value.margin) {
            margins.push((name.value, margin.clone()));
        }
    }
    margins
}

fn rules(block: &AbsoluteBlock) -> Option<Vec<AbsoluteRule>> {
    let (window, action) = (plain(block.window.as_ref())?, plain(block.action.as_ref())?);
    let min_requests = block.min_requests.as_ref()?.value.0;
    let rule = |metric| AbsoluteRule {
        metric,
        min_requests,
        window,
        action,
    };
    let error_rate = plain(block.error_rate.as_ref()).map(|Ratio(r)| AbsoluteMetric::ErrorRate(r));
    let latencies = latency_limits(block)
        .into_iter()
        .filter_map(|(quantile, limit)| {
            Some(AbsoluteMetric::Latency {
                quantile,
                limit: plain(limit)?,
            })
        });
    Some(error_rate.into_iter().chain(latencies).map(rule).collect())
}

/// The quantiles that a floor may name, with what is written for them.
pub(in crate::config) fn latency_limits(
    block: &AbsoluteBlock,
) -> [(f64, Option<&Placed<Duration>>); 5] {
    [
        (0.5, block.latency_p50.as_ref()),
        (0.9, block.latency_p90.as_ref()),
        (0.95, block.latency_p95.as_ref()),
        (0.99, block.latency_p99.as_ref()),
        (0.999, block.latency_p999.as_ref()),
    ]
}

//! A split as others see it.

use super::{analysis::analysis, classify::rules, plain, retry, rollout::rollout};
use crate::{
    config::{
        Cookie, HeaderMatch, Match, Override, PathMatch, Split, SplitTimeouts, Sticky,
        collection::Several,
        leaf::SecretFile,
        schema::{
            CookieForm, CookieName, DomainName, Fields, HeaderName, HostName, MatchBlock, MaxAge,
            Method, SplitBlock, StickyBlock, UrlPath,
        },
        tree::Node,
        walk::{Placed, Shape, Walk},
    },
    model::{RouteName, SplitName},
};

pub(super) fn split(name: &SplitName, block: &SplitBlock) -> Option<Split> {
    let timeouts = &block.timeouts.as_ref()?.value;
    let on_unhealthy = plain(block.on_unhealthy.as_ref())?;
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
        on_unhealthy,
        retry_policy: retry::policy(&block.retry_policy.as_ref()?.value, on_unhealthy)?,
        hedge: some(block.hedge.as_ref(), retry::hedge)?,
        timeouts: SplitTimeouts {
            response_header: plain(timeouts.response_header.as_ref()),
            total: plain(timeouts.total.as_ref()),
        },
        assets: block
            .fallback_on_404
            .as_ref()
            .map(|at| retry::assets(&at.value)),
        request_start: plain(block.request_start.as_ref())?,
        classify: rules(block.classify.as_ref())?,
        rollout: some(block.rollout.as_ref(), rollout)?,
        analysis: analysis(block)?,
    })
}

/// What is made of a block that may be absent. The outer `None`: it could not be read.
#[expect(
    clippy::option_option,
    reason = "absent and unreadable are different things"
)]
pub(super) fn some<T, U>(
    at: Option<&Placed<T>>,
    make: impl FnOnce(&T) -> Option<U>,
) -> Option<Option<U>> {
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
    path_of(block.path.as_ref(), block.path_prefix.as_ref())
        .unwrap_or_else(|| PathMatch::Prefix("/".into()))
}

/// What the keys `path` and `path_prefix` say; `None`: neither is written.
pub(super) fn path_of(
    path: Option<&Placed<UrlPath>>,
    prefix: Option<&Placed<UrlPath>>,
) -> Option<PathMatch> {
    if let Some(at) = path {
        return Some(PathMatch::Exact(at.value.0.clone()));
    }
    let prefix = prefix?.value.0.trim_end_matches('/');
    let prefix = if prefix.is_empty() { "/" } else { prefix };
    Some(PathMatch::Prefix(prefix.into()))
}

pub(super) fn list<T: Clone, U>(at: Option<&Placed<Several<T>>>, each: impl Fn(T) -> U) -> Vec<U> {
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

//! From what was read to the [`Config`] that others see: short forms are spelled out, places are
//! forgotten.
//!
//! `None` means that something could not be read; then a problem was noted where that happened.

mod admin;
mod analysis;
mod aws;
mod balance;
mod breaker;
mod classify;
mod health;
mod listener;
mod marathon;
mod metrics;
mod retry;
mod rollout;
mod split;
mod telling;
mod upstream;
mod warm_up;

use std::hash::Hasher;

pub(super) use self::{
    admin::anonymous,
    analysis::{Metric, compared, latency_limits},
    classify::rule,
    split::path,
    upstream::source,
};

use super::{
    Config, Drain, LongLived, Written,
    leaf::OrZero,
    schema::{FileBlock, ListenerBlock, LongLivedForm},
    tree::Node,
    walk::{Placed, Shape, Walk},
};
use crate::model::ListenerName;

/// A hash of the text; the same text has the same hash in every process.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// Spells out `listen:`.
pub(super) fn expand(file: &mut FileBlock) {
    if let Some(listen) = file.listen.clone().filter(|_| file.listeners.is_none()) {
        file.listeners = one_listener(listen);
    }
}

/// One listener with every default.
pub(super) fn one_listener(
    address: Placed<std::net::SocketAddr>,
) -> Option<Placed<Vec<Placed<ListenerBlock>>>> {
    let at = address.at;
    // The keys that the empty mapping lacks are given below.
    let mut value = ListenerBlock::read(&Node::empty(at), &mut Walk::default())?;
    let name = ListenerName::new("default").ok()?;
    value.name = Some(Placed::filled(name, at));
    value.address = Some(address);
    let list = vec![Placed::filled(value, at)];
    Some(Placed::filled(list, at))
}

/// Makes the config.
pub(super) fn config(file: &FileBlock, text: &str) -> Option<Config> {
    let listeners = &file.listeners.as_ref()?.value;
    let upstreams = &file.upstreams.as_ref()?.value.items;
    let splits = &file.splits.as_ref()?.value.items;
    let workers = file.workers.as_ref().map(|at| u16::try_from(at.value.0));
    Some(Config {
        hash: hash(text),
        text: Written(text.into()),
        listeners: listeners
            .iter()
            .map(|at| listener::listener(&at.value))
            .collect::<Option<_>>()?,
        admin: admin::admin(file.admin.as_ref()?)?,
        workers: workers.transpose().ok()?,
        state_dir: plain(file.state_dir.as_ref()),
        upstreams: upstreams
            .iter()
            .map(|(name, block)| upstream::upstream(&name.value, &block.value))
            .collect::<Option<_>>()?,
        splits: splits
            .iter()
            .map(|(name, block)| split::split(&name.value, &block.value))
            .collect::<Option<_>>()?,
        drain: drain(file)?,
        access_log: telling::access_log(file)?,
        tracing: telling::tracing(file)?,
        metrics: metrics::metrics(file)?,
    })
}

/// A value without its place.
fn plain<T: Clone>(at: Option<&Placed<T>>) -> Option<T> {
    at.map(|at| at.value.clone())
}

fn drain(file: &FileBlock) -> Option<Drain> {
    let block = &file.drain.as_ref()?.value;
    let OrZero(lag) = plain(block.lag.as_ref())?;
    Some(Drain {
        timeout: plain(block.timeout.as_ref())?,
        lag,
        long_lived: match plain(block.long_lived.as_ref())? {
            LongLivedForm::None => None,
            LongLivedForm::Block(block) => {
                let OrZero(spread) = plain(block.spread.as_ref())?;
                let deadline = plain(block.deadline.as_ref())?;
                Some(LongLived { deadline, spread })
            }
        },
    })
}

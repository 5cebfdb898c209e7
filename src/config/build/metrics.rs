//! Builds what the file says of metrics.

use super::plain;
use crate::{
    config::{
        Emf, LogPath, Metrics, Statsd,
        leaf::{Count, Text},
        schema::{EmfBlock, FileBlock, Flavor, StatsdBlock},
        walk::Placed,
    },
    model::number::length,
};

pub(super) fn metrics(file: &FileBlock) -> Option<Metrics> {
    let block = &file.metrics.as_ref()?.value;
    let Text(prefix) = plain(block.prefix.as_ref())?;
    let Count(max_series) = plain(block.max_series.as_ref())?;
    let statsd = block.statsd.as_ref();
    let emf = block.emf.as_ref();
    Some(Metrics {
        prefix: prefix.into(),
        max_series: length(max_series),
        statsd: match statsd {
            None => None,
            Some(Placed { value, .. }) => Some(self::statsd(value)?),
        },
        emf: match emf {
            None => None,
            Some(Placed { value, .. }) => Some(self::emf(value)?),
        },
    })
}

fn statsd(block: &StatsdBlock) -> Option<Statsd> {
    let Text(prefix) = plain(block.prefix.as_ref())?;
    Some(Statsd {
        address: plain(block.address.as_ref())?,
        is_tagged: plain(block.flavor.as_ref())? == Flavor::DogStatsd,
        interval: plain(block.interval.as_ref())?,
        prefix: prefix.into(),
    })
}

fn emf(block: &EmfBlock) -> Option<Emf> {
    let Text(namespace) = plain(block.namespace.as_ref())?;
    Some(Emf {
        path: match plain(block.path.as_ref())? {
            LogPath::Stdout => None,
            LogPath::Stderr => Some("/dev/stderr".into()),
            LogPath::File(path) => Some(path),
        },
        namespace: namespace.into(),
        interval: plain(block.interval.as_ref())?,
    })
}

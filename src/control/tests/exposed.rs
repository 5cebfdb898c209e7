//! Long-lived streams and rejections, from samples to what others read.

use super::*;
use crate::{
    measure::{Gauges, StreamKey},
    model::{Rejection, VersionName},
};

fn hold(desk: &mut Desk, worker: u16, streams: Vec<(StreamKey, u64)>, resets: u64) {
    desk.now += 300;
    let gauges = Gauges {
        streams,
        rejections: vec![(Rejection::Resets, resets)],
        ..Gauges::default()
    };
    let sample = Sample {
        worker,
        gauges,
        ..Sample::default()
    };
    desk.on(Event::Sampled(Box::new(sample)));
    desk.on(Event::Tick);
}

fn scraped(desk: &mut Desk) -> Totals {
    let (answer, answered) = oneshot::channel();
    desk.on(Event::Scraped(answer));
    answered.blocking_recv().unwrap()
}

fn by_version(totals: &Totals) -> Vec<(&str, u64)> {
    let streams = totals.streams.iter();
    streams
        .map(|((_, version), count)| (VersionName::as_str(version), *count))
        .collect()
}

#[test]
fn streams_belong_to_the_version_that_their_requests_were_assigned_to() {
    let mut desk = Desk::of(shop(10), None);
    assert_eq!(by_version(&scraped(&mut desk)), [("v1", 0), ("v2", 0)]);
    let (split, stage) = desk.in_force();
    let key = |stage, role| StreamKey { split, stage, role };
    let first = vec![(key(stage, Role::Stable), 5), (key(stage, Role::Canary), 2)];
    hold(&mut desk, 0, first.clone(), 0);
    hold(&mut desk, 1, vec![(key(stage, Role::Canary), 1)], 0);
    assert_eq!(by_version(&scraped(&mut desk)), [("v1", 5), ("v2", 3)]);
    let status = desk.handle.status();
    let arms = status.splits[0].arms.iter();
    assert_eq!(arms.map(|arm| arm.streams).collect::<Vec<_>>(), [5, 3]);
    // Another canary: the streams of the one before are not its own.
    let mut next = shop(10);
    next.canary = Some(crate::model::UpstreamName::new("v3").unwrap());
    desk.save(2, vec![next]);
    hold(&mut desk, 0, first, 0);
    let totals = scraped(&mut desk);
    assert_eq!(by_version(&totals), [("v1", 5), ("v2", 3), ("v3", 0)]);
    hold(&mut desk, 0, Vec::new(), 0);
    hold(&mut desk, 1, Vec::new(), 0);
    let totals = scraped(&mut desk);
    assert_eq!(by_version(&totals), [("v1", 0), ("v3", 0)]);
}

#[test]
fn rejections_never_fall_and_every_cause_is_told() {
    let mut desk = Desk::of(shop(10), None);
    hold(&mut desk, 0, Vec::new(), 3);
    hold(&mut desk, 1, Vec::new(), 4);
    hold(&mut desk, 0, Vec::new(), 1);
    let rejections = scraped(&mut desk).rejections;
    assert_eq!(rejections.len(), Rejection::ALL.len());
    assert!(rejections.contains(&(Rejection::Resets, 8)));
    assert!(rejections.contains(&(Rejection::BadHead, 0)));
}

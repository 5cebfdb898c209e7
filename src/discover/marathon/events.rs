//! The stream of events: a hint that something has changed, never what.
//!
//! Marathon drops events when a reader is slow, sends them in no promised order, and cannot go on
//! from where a stream broke off. So an event only makes us ask, and so does the beginning of a
//! stream and its end. A stream that does not even send its heartbeat is dead.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{cluster::Cluster, masters::Masters};

/// Marathon sends a heartbeat about every 10 s.
const SILENCE: Duration = Duration::from_secs(25);
/// What is kept of one line or one event; a longer one counts as a change.
const LONGEST: usize = 64 * 1024;
/// The first wait before a new stream; it doubles.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest wait before a new stream.
const LAST_RETRY: Duration = Duration::from_secs(10);
/// What is subscribed to.
const PATH: &str = "/v2/events?plan-format=light\
    &event_type=event_stream_attached\
    &event_type=status_update_event\
    &event_type=health_status_changed_event\
    &event_type=instance_changed_event\
    &event_type=instance_health_changed_event\
    &event_type=unhealthy_instance_kill_event\
    &event_type=app_terminated_event\
    &event_type=api_post_event\
    &event_type=deployment_info\
    &event_type=deployment_success\
    &event_type=deployment_failed\
    &event_type=deployment_step_success\
    &event_type=deployment_step_failure";

/// Listens for ever, and notes whenever something may have changed.
pub(super) async fn listen(cluster: &Cluster, changed: &Notify) {
    if !cluster.has_events {
        return std::future::pending().await;
    }
    let mut masters = Masters::new(cluster);
    let (mut wait, mut told) = (FIRST_RETRY, None);
    loop {
        match masters.open(PATH).await {
            Ok(body) => {
                changed.notify_one();
                let began = Instant::now();
                follow(body, &Concern::new(cluster), changed, SILENCE).await;
                // Streams that never last are not to be begun ever faster.
                if began.elapsed() > LAST_RETRY {
                    wait = FIRST_RETRY;
                }
                told = None;
                // Whoever has gone may have been all of Marathon: that is to be told soon.
                changed.notify_one();
            }
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    tracing::warn!(error, "no events from Marathon; it is asked by the clock");
                    told = Some(error);
                }
            }
        }
        sleep(wait.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        wait = (wait * 2).min(LAST_RETRY);
    }
}

/// Reads a stream to its end.
async fn follow<B>(mut body: B, concern: &Concern, changed: &Notify, silence: Duration)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut frames = Frames::default();
    while let Ok(Some(Ok(piece))) = timeout(silence, body.frame()).await {
        let Ok(data) = piece.into_data() else {
            continue;
        };
        if frames.feed(&data, concern) {
            changed.notify_one();
        }
    }
}

/// Which events concern us.
#[derive(Debug)]
struct Concern {
    /// Ids as they stand in JSON; empty: every event does.
    ids: Vec<String>,
}

impl Concern {
    fn new(cluster: &Cluster) -> Self {
        let ids = cluster.apps.iter().map(|id| format!("\"{id}\""));
        Self { ids: ids.collect() }
    }

    fn is_met(&self, event: &Event) -> bool {
        let text = String::from_utf8_lossy(&event.data);
        let is_named = self.ids.iter().any(|id| text.contains(id.as_str()));
        let is_beginning = event.name == b"event_stream_attached";
        event.is_cut || is_named || is_beginning || self.ids.is_empty()
    }
}

/// One event, as far as it is kept.
#[derive(Debug, Default)]
struct Event {
    name: Vec<u8>,
    data: Vec<u8>,
    is_cut: bool,
}

/// Takes a stream apart, however it was cut.
#[derive(Debug, Default)]
struct Frames {
    line: Vec<u8>,
    event: Event,
}

impl Frames {
    /// Reads on; whether an event ended that concerns us.
    fn feed(&mut self, bytes: &[u8], concern: &Concern) -> bool {
        let mut is_met = false;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST.saturating_sub(self.line.len());
            self.event.is_cut |= piece.len() > room;
            self.line.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                is_met |= self.end_line(concern);
            }
        }
        is_met
    }

    fn end_line(&mut self, concern: &Concern) -> bool {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let is_event = event.is_cut || !(event.name.is_empty() && event.data.is_empty());
            return is_event && concern.is_met(&event);
        }
        if let Some(name) = line.strip_prefix(b"event:") {
            self.event.name = name.trim_ascii().to_vec();
        } else if let Some(data) = line.strip_prefix(b"data:") {
            let room = LONGEST.saturating_sub(self.event.data.len());
            self.event.is_cut |= data.len() > room;
            self.event.data.extend(data.iter().take(room));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tokio::sync::mpsc;
    use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};

    use super::*;

    fn concern(ids: &[&str]) -> Concern {
        let ids = ids.iter().map(|id| format!("\"{id}\""));
        Concern { ids: ids.collect() }
    }

    #[test]
    fn an_event_concerns_us_if_it_names_our_app_however_it_is_cut() {
        let stream = "event: status_update_event\r\ndata: {\"appId\":\"/shop/web\"}\r\n\r\n";
        let cases = [
            (stream, &["/shop/web"][..], true),
            (stream, &["/shop"][..], false),
            (stream, &[][..], true),
            ("\r\n\r\n: beat\n\n", &[][..], false),
            (
                "event: event_stream_attached\ndata: {}\n\n",
                &["/a"][..],
                true,
            ),
            ("data: {\"appId\":\"/a\"}\n", &["/a"][..], false),
        ];
        for (text, ids, expected) in cases {
            for size in [1, 2, 7, 1_000] {
                let (mut frames, concern) = (Frames::default(), concern(ids));
                let pieces = text.as_bytes().chunks(size);
                let met: Vec<bool> = pieces.map(|piece| frames.feed(piece, &concern)).collect();
                assert_eq!(met.contains(&true), expected, "{text:?} {ids:?} by {size}");
            }
        }
    }

    #[test]
    fn an_endless_event_is_a_change_and_costs_no_memory() {
        let (mut frames, concern) = (Frames::default(), concern(&["/a"]));
        for _ in 0..100 {
            assert!(!frames.feed(&[b'x'; 10_000], &concern));
        }
        assert!(frames.line.len() <= LONGEST);
        assert!(frames.feed(b"\n\n", &concern));
        assert!(
            !frames.feed(b"\n\n", &concern),
            "the next is as good as the first"
        );
    }

    #[test]
    fn every_recorded_event_is_read() {
        let text = include_str!("../../../tests/fixtures/marathon/marathon_example_events.txt");
        let mut frames = Frames::default();
        assert!(frames.feed(text.as_bytes(), &concern(&[])) || !text.contains("data:"));
    }

    #[tokio::test]
    async fn a_stream_that_says_nothing_is_dead_and_its_end_is_the_end() {
        let (told, stream) = mpsc::unbounded_channel::<&'static str>();
        let pieces = UnboundedReceiverStream::new(stream);
        let mut body = StreamBody::new(
            pieces.map(|text| Ok::<_, std::io::Error>(Frame::data(Bytes::from(text)))),
        );
        let (changed, concern) = (Notify::new(), concern(&["/a"]));
        let short = Duration::from_millis(20);
        told.send("\r\n").unwrap();
        follow(&mut body, &concern, &changed, short).await;
        told.send("data: \"/a\"\n\n").unwrap();
        drop(told);
        follow(&mut body, &concern, &changed, SILENCE).await;
        changed.notified().await;
    }
}

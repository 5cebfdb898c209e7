//! Live events: `status` four times a second and at once when something is decided, `endpoints`
//! once a second, and `news` when it happens.
//!
//! A frame is made and written out once, however many read it, and not at all while nobody does.
//! Readers share its bytes. A slow one gets what is newest when it is ready for it, so it costs no
//! memory; it misses frames, never news that it has been promised in order. A reader that is too
//! slow even for those is told with `missed` how many it has lost. Frames that are large, as with
//! a thousand splits, come less often.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tokio::{
    sync::{
        Notify, OwnedSemaphorePermit,
        broadcast::{self, error::RecvError},
        mpsc,
        watch::{self, Receiver},
    },
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    State,
    guard::Denial,
    wire::{Frame, News, Survey, to_json},
};
use crate::{
    control::{self, Handle, Status},
    model::{Epoch, Share},
};

/// Between two frames. Control makes snapshots in about the same rhythm; none of them is to be
/// passed over for a hair.
const FRAME: Duration = Duration::from_millis(240);
/// Between two looks at the endpoints.
const SURVEY: Duration = Duration::from_secs(1);
/// A reader that hears nothing for longer may think that the connection is lost.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How many bytes a second frames of one kind may come to.
const BYTES_A_SECOND: u64 = 1 << 20;
/// What a stream begins with: a reader whose connection breaks comes again after a second.
const OPENING: &str = "retry: 1000\n\n";

type Sender = mpsc::Sender<Result<Bytes, Infallible>>;
/// The newest event of a kind; `None`: nobody has asked for one.
type Newest = Receiver<Option<Bytes>>;

/// What all readers of live events share.
#[derive(Debug, Default)]
pub(super) struct Feed {
    frames: watch::Sender<Option<Bytes>>,
    surveys: watch::Sender<Option<Bytes>>,
    /// Somebody has begun to read frames, or surveys.
    joined: [Notify; 2],
}

impl Feed {
    /// Makes frames whenever somebody reads, until control ends.
    pub(super) async fn make(&self, handle: &Handle) {
        tokio::join!(self.make_frames(handle), self.make_surveys(handle));
    }

    async fn make_frames(&self, handle: &Handle) {
        let (newest, [joined, _]) = (&self.frames, &self.joined);
        let mut snapshots = handle.watch();
        let (mut known, mut due, mut is_waiting) = (None, Instant::now(), false);
        loop {
            while newest.is_closed() {
                newest.send_replace(None);
                joined.notified().await;
                known = None;
                snapshots.mark_changed();
            }
            tokio::select! {
                () = newest.closed() => continue,
                () = sleep_until(due), if is_waiting => {}
                changed = snapshots.changed() => if changed.is_err() { return },
            }
            let status = Arc::clone(&snapshots.borrow_and_update());
            let decided = Some(Decided::of(&status));
            // Counts can wait until it is time; a decision cannot.
            is_waiting = known == decided && Instant::now() < due;
            if !is_waiting {
                let frame = event("status", &to_json(&Frame::from(&*status)));
                (known, due) = (decided, Instant::now() + pause(FRAME, &frame));
                newest.send_replace(Some(frame));
            }
        }
    }

    async fn make_surveys(&self, handle: &Handle) {
        let (newest, [_, joined]) = (&self.surveys, &self.joined);
        let mut due = Instant::now();
        loop {
            while newest.is_closed() {
                newest.send_replace(None);
                joined.notified().await;
            }
            sleep_until(due).await;
            let Some(endpoints) = handle.endpoints().await else {
                return;
            };
            let survey = event("endpoints", &to_json(&Survey::from(endpoints)));
            due = Instant::now() + pause(SURVEY, &survey);
            newest.send_if_modified(|known| {
                let is_new = known.as_ref() != Some(&survey);
                *known = Some(survey);
                is_new
            });
        }
    }

    /// One reader more: of frames, and of surveys. What is there already is news to it.
    fn join(&self) -> (Newest, Newest) {
        let join = |newest: &watch::Sender<_>| {
            let mut reader = newest.subscribe();
            reader.mark_changed();
            reader
        };
        let readers = (join(&self.frames), join(&self.surveys));
        self.joined.iter().for_each(Notify::notify_one);
        readers
    }
}

/// What of a snapshot nobody is to wait for.
#[derive(Debug, PartialEq)]
struct Decided {
    is_ready: bool,
    is_draining: bool,
    has_problem: bool,
    splits: Vec<Standing>,
}

/// Where a split stands: epoch, revision, phase, the canary's share.
type Standing = (Epoch, u64, &'static str, Share);

impl Decided {
    fn of(status: &Status) -> Self {
        let splits = status.splits.iter();
        Self {
            is_ready: status.is_ready,
            is_draining: status.is_draining,
            has_problem: status.config.problem.is_some(),
            splits: splits
                .map(|split| (split.epoch, split.revision, split.phase, split.share))
                .collect(),
        }
    }
}

/// Until the next event of this kind: longer after a large one.
fn pause(least: Duration, event: &Bytes) -> Duration {
    let length = u64::try_from(event.len()).unwrap_or(u64::MAX);
    least.max(Duration::from_millis(
        length.saturating_mul(1_000) / BYTES_A_SECOND,
    ))
}

/// An event as it is sent. The data is JSON or a number, and has no line ends.
fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// `GET /v1/events`.
pub(super) async fn events(extract::State(state): extract::State<State>) -> Response {
    let Ok(permit) = state.streams.clone().try_acquire_owned() else {
        let message = "too many event streams are open";
        let help = "close a page or a `serin events`, then ask again";
        return Denial::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, help)
            .into_response();
    };
    let (into, events) = mpsc::channel(1);
    // Before the answer: whoever has it misses nothing that happens from now on.
    let news = state.handle.news();
    tokio::spawn(tell((state, news), into, permit));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let body = Body::from_stream(ReceiverStream::new(events));
    (headers, body).into_response()
}

/// Until the reader is gone or the process goes down.
async fn tell(
    (state, mut news): (State, broadcast::Receiver<control::News>),
    into: Sender,
    _permit: OwnedSemaphorePermit,
) {
    let (mut frames, mut surveys) = state.feed.join();
    let mut silence = interval(SILENCE_MAX);
    silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Some(Bytes::from_static(OPENING.as_bytes()));
    loop {
        if let Some(event) = next.take()
            && into.send(Ok(event)).await.is_err()
        {
            return;
        }
        next = tokio::select! {
            () = state.ending.cancelled() => return,
            () = into.closed() => return,
            told = news.recv() => match told {
                Ok(told) => Some(event("news", &to_json(&News::from(&told)))),
                Err(RecvError::Lagged(missed)) => Some(event("missed", &missed.to_string())),
                Err(RecvError::Closed) => return,
            },
            Ok(()) = frames.changed() => frames.borrow_and_update().clone(),
            Ok(()) = surveys.changed() => surveys.borrow_and_update().clone(),
            _ = silence.tick() => Some(Bytes::from_static(b":\n\n")),
        };
    }
}

//! Live events: a `status` frame four times a second, and `news` when it happens.
//!
//! A reader that is slow misses frames, never news that it has been promised in order; a reader
//! that is too slow is told with `missed` how many news it has lost.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract,
    http::StatusCode,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast::error::RecvError, mpsc},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    State,
    guard::Denial,
    wire::{Frame, News, to_json},
};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(250);
/// Events that wait for a slow reader.
const WAITING_MAX: usize = 16;

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// `GET /v1/events`.
pub(super) async fn events(extract::State(state): extract::State<State>) -> Response {
    let Ok(permit) = state.streams.clone().try_acquire_owned() else {
        let message = "too many event streams are open";
        let help = "close a page or a `serin events`, then ask again";
        return Denial::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, help)
            .into_response();
    };
    let (into, events) = mpsc::channel(WAITING_MAX);
    tokio::spawn(feed(state, into, permit));
    Sse::new(ReceiverStream::new(events))
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// Until the reader is gone or the process goes down.
async fn feed(state: State, into: Sender, _permit: OwnedSemaphorePermit) {
    let mut news = state.handle.news();
    let mut status = state.handle.watch();
    status.mark_changed();
    let mut tick = interval(FRAME);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            () = state.ending.cancelled() => return,
            () = into.closed() => return,
            told = news.recv() => match told {
                Ok(told) => Event::default().event("news").data(to_json(&News::from(&told))),
                Err(RecvError::Lagged(missed)) => {
                    Event::default().event("missed").data(missed.to_string())
                }
                Err(RecvError::Closed) => return,
            },
            _ = tick.tick() => match status.has_changed() {
                Ok(true) => {
                    let frame = Frame::from(&**status.borrow_and_update());
                    Event::default().event("status").data(to_json(&frame))
                }
                Ok(false) => continue,
                Err(_) => return,
            },
        };
        if into.send(Ok(event)).await.is_err() {
            return;
        }
    }
}

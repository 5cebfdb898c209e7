//! One exchange with an endpoint: the request goes out, the answer comes back, at the same time.
//!
//! Both directions run in the client's task. The request's body is still being sent when an early
//! answer comes; the answer is then relayed at once. One timer slot serves the whole exchange: each
//! step that makes progress sets it anew, and [`Stage`] says whose fault it is when it runs out.

use std::{
    cell::{Cell, OnceCell},
    future::{Future, poll_fn},
    io::ErrorKind,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use super::{
    deadlines::Deadlines,
    download::{Ahead, Download},
    downstream::Client,
    outgoing::Outgoing,
    upload::Upload,
};
use crate::{
    model::Moment,
    plan::Again,
    proxy::{
        course::Withhold,
        fault::{Fault, FaultKind},
        handle::Next,
        pace::{Appetite, Pace},
        race::Begun,
        settle::AttemptGuard,
        streams::LongLived,
        timer::Slot,
        upgrade::Tunnelled,
        websocket::Frames,
        wire::{Reader, Wire},
        worker::{Heads, Worker},
    },
};

/// How long an answer is waited for when the client sends no more.
const LEAVING: Duration = Duration::from_millis(200);
/// A first piece of a body that is copied behind its head, to be written with it.
pub(super) const COALESCED: usize = 8 * 1024;

/// What one exchange works with.
#[derive(Debug)]
pub(crate) struct Conversation<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) heads: &'a mut Heads,
    pub(crate) outgoing: &'a mut Outgoing,
    pub(crate) guard: &'a mut AttemptGuard,
    pub(crate) deadlines: Deadlines,
    /// How much of the answer is taken while the client is slow.
    pub(crate) read_ahead_max: usize,
    /// What may be asked once more instead of telling the client.
    pub(crate) withhold: Option<&'a Withhold<'a>>,
    /// What has happened already.
    pub(crate) begun: Begun,
}

/// An answer that has been relayed.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its status.
    pub(crate) status: u16,
    /// Whether the endpoint's connection can carry another exchange.
    pub(crate) is_reusable: bool,
    /// What becomes of the client's connection.
    pub(crate) next: Next,
    /// The status of a call of gRPC.
    pub(crate) grpc_status: Option<u8>,
    /// Bytes written to the client.
    pub(crate) bytes_out: u64,
    /// Where the endpoint stands among its frames, if the protocol was switched.
    pub(crate) switched: Option<Frames>,
    /// Where the request goes instead of this answer, of which the client has got nothing.
    pub(crate) withheld: Option<Again>,
    /// The endpoint's connection, if the protocol was switched.
    pub(crate) tunnel: Option<Tunnelled>,
}

impl Answered {
    /// An answer of which nothing is relayed, and whose connections end.
    pub(super) const fn bare(status: u16, grpc_status: Option<u8>) -> Self {
        Self {
            status,
            is_reusable: false,
            next: Next::Gone,
            grpc_status,
            bytes_out: 0,
            switched: None,
            withheld: None,
            tunnel: None,
        }
    }

    /// If the request was not taken to its end, no connection can carry another.
    fn after_upload(self, is_uploaded: bool) -> Self {
        if is_uploaded || self.withheld.is_some() {
            return self;
        }
        Self {
            is_reusable: false,
            next: Next::Linger,
            ..self
        }
    }
}

/// Who is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The endpoint, to take the request.
    Sending,
    /// The client, to send its body.
    Uploading,
    /// The endpoint, to send its answer's head.
    Waiting,
    /// The endpoint, to send its answer's body.
    Receiving,
    /// The client, to take the answer.
    Relaying,
    /// The endpoint, for a moment, although the client sends no more: it may have closed one
    /// direction only, or it may be gone.
    Leaving,
}

/// How far the exchange has come; shared by its two directions.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    worker: &'a Worker,
    slot: &'a Slot,
    deadlines: Deadlines,
    /// Whether all that was read of the request is still here.
    is_untouched: &'a Cell<bool>,
    stage: Cell<Stage>,
    pub(super) status: Cell<u16>,
    pub(super) is_answered: Cell<bool>,
    pub(super) is_sent: Cell<bool>,
    /// Set once the stream is known to live long.
    pub(super) long: OnceCell<LongLived>,
}

impl<'a> Progress<'a> {
    fn new(
        worker: &'a Worker,
        slot: &'a Slot,
        (deadlines, is_untouched): (Deadlines, &'a Cell<bool>),
    ) -> Self {
        Self {
            worker,
            slot,
            deadlines,
            is_untouched,
            stage: Cell::new(Stage::Sending),
            status: Cell::new(0),
            is_answered: Cell::new(false),
            is_sent: Cell::new(false),
            long: OnceCell::new(),
        }
    }

    /// Begins to wait for someone, with the time limit that goes with it.
    pub(super) fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.arm();
    }

    /// Sets the time limit of the stage.
    fn arm(&self) {
        let stage = self.stage.get();
        let may_hurry = stage == Stage::Waiting && self.can_repeat();
        let canary_of = self.deadlines.canary_of.filter(|_| may_hurry);
        let limit = match stage {
            Stage::Sending => self.deadlines.send,
            Stage::Waiting => self.deadlines.waiting(self.can_repeat()),
            Stage::Receiving => self.deadlines.body,
            Stage::Uploading | Stage::Relaying => self.deadlines.client,
            Stage::Leaving => LEAVING,
        };
        let left = |total: Moment| limit.min(total.since(self.worker.now()));
        let limit = self.deadlines.total.map_or(limit, left);
        self.slot.arm_waiting(limit, canary_of);
    }

    /// Whether all of the request was sent, and can be sent again.
    pub(super) fn can_repeat(&self) -> bool {
        self.is_sent.get() && self.is_untouched.get()
    }

    /// Who is being waited for.
    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// What it means that the time is over.
    fn expired(&self) -> FaultKind {
        if self
            .deadlines
            .total
            .is_some_and(|total| total <= self.worker.now())
        {
            return FaultKind::TotalTimeout;
        }
        match self.stage.get() {
            Stage::Sending => FaultKind::SendTimeout,
            Stage::Uploading => FaultKind::BodyTimeout,
            Stage::Waiting => FaultKind::ResponseTimeout,
            Stage::Receiving => FaultKind::ResponseStalled,
            Stage::Relaying => FaultKind::ClientStalled,
            Stage::Leaving => FaultKind::ClientGone,
        }
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        Fault {
            kind,
            is_answered: self.is_answered.get(),
            status: self.status.get(),
        }
    }
}

/// Sends a request and relays the answer.
pub(crate) async fn converse(
    conversation: Conversation<'_>,
    upstream: &mut Wire,
) -> Result<Answered, Fault> {
    let Conversation {
        client,
        heads,
        outgoing,
        guard,
        deadlines,
        read_ahead_max,
        withhold,
        begun,
    } = conversation;
    let Client {
        stream,
        slot,
        worker,
        unread,
        settings,
        room,
        ..
    } = client;
    let (client_reader, client_writer) = stream.split();
    let (upstream_reader, upstream_writer) = upstream.split();
    let max_body = settings.limits.max_body.unwrap_or(u64::MAX);
    let (mut request, reply) = outgoing.parts(max_body);
    let progress = Progress::new(worker, slot, (deadlines, request.is_untouched));
    let withhold = withhold.map(|withhold| (withhold, request.head));
    let begun = begun.leave_out(&mut request);
    if reply.is_grpc {
        let _now = progress.long.set(guard.long_lived());
    }
    let min_rate = settings.limits.min_rate.filter(|_| !reply.is_grpc);
    let pace = Pace::new(min_rate);
    let upload = Upload {
        progress: &progress,
        worker,
        unread,
        reader: client_reader,
        pace,
    };
    let download = Download {
        progress: &progress,
        worker,
        guard,
        response: &mut heads.1,
        reply,
        reader: upstream_reader,
        writer: client_writer,
        pace,
        appetite: Appetite::new(room.get()),
        withhold,
        begun,
        ahead: Ahead::new(read_ahead_max),
        room,
        bytes_out: 0,
    };

    let result = {
        // Made where they stay: each is some hundred bytes.
        let upload = pin!(upload.run(request, upstream_writer));
        let download = pin!(download.run());
        both(&progress, upload, download).await
    };
    slot.disarm();
    let result = result.map_err(|kind| progress.fault(kind));
    let is_uploaded = progress.is_sent.get() && outgoing.is_complete();
    if matches!(&result, Err(fault) if fault.kind == FaultKind::ClientStalled) {
        stream.cut_off();
    }
    result.map(|answered| answered.after_upload(is_uploaded))
}

/// Runs both directions until the answer is relayed or something fails.
async fn both<'a, U, D>(
    progress: &Progress<'_>,
    mut upload: Pin<&mut U>,
    mut download: Pin<&mut D>,
) -> Result<Answered, FaultKind>
where
    U: Future<Output = Result<Option<Reader<'a>>, FaultKind>>,
    D: Future<Output = Result<Answered, FaultKind>>,
{
    let (mut uploading, mut is_armed) = (true, false);
    let mut watched = None;
    poll_fn(|cx| {
        let sent = if uploading {
            upload.as_mut().poll(cx)
        } else {
            Poll::Pending
        };
        if let Poll::Ready(sent) = sent {
            uploading = false;
            match sent {
                Ok(reader) => watched = reader,
                // What the endpoint has said before it stopped listening is still to be read.
                Err(FaultKind::Reset) => {}
                Err(kind) => return Poll::Ready(Err(kind)),
            }
            if progress.status.get() == 0 {
                progress.enter(Stage::Waiting);
            }
        } else if !is_armed {
            // Most requests are sent at once and need no limit for it.
            progress.arm();
        }
        is_armed = true;
        if let Poll::Ready(result) = download.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if let Some(reader) = &mut watched
            && let Poll::Ready(has_left) = reader.poll_left(cx)
        {
            watched = None;
            if has_left {
                progress.enter(Stage::Leaving);
            }
        }
        progress
            .slot
            .poll_expired(cx)
            .map(|_expired| Err(progress.expired()))
    })
    .await
}

/// What it means that the endpoint's connection has failed before its answer has begun.
pub(crate) fn broken(error: &std::io::Error) -> FaultKind {
    if error.kind() == ErrorKind::ConnectionRefused {
        FaultKind::StreamRefused
    } else if error.kind() == ErrorKind::Unsupported {
        FaultKind::NoWebSocket
    } else if error.kind() == ErrorKind::InvalidInput {
        FaultKind::Refused(
            400,
            "HTTP/2, which the endpoint speaks, cannot carry the target",
        )
    } else {
        FaultKind::Reset
    }
}

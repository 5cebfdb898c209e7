//! A client's connection of HTTP/2: each stream that it opens is a request, served like any other.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::Request;
use tokio::{
    io::ReadBuf,
    task::{spawn_local, yield_now},
};

use super::{
    fields,
    inbox::Inbox,
    link::Link,
    outbox::{Outbox, broken, write_behind_head},
    watch::{Limits, Watch},
};
use crate::{
    model::{Protocol, Rejection, number::index},
    plan,
    proxy::{
        arrival::Arrival, fault::FaultKind, h1::downstream::Client, listener::Open, timer::Slot,
        wire::Wire, worker::Worker,
    },
};

/// How long a connection that was told to end may take for it.
const LEAVING: Duration = Duration::from_secs(1);
/// What the connection may hold of one stream's answer before the socket takes it.
const SEND_BUFFER: usize = 32 * 1024;

/// What the streams of a connection share.
#[derive(Debug)]
struct Shared {
    worker: Rc<Worker>,
    open: Open,
    arrival: Arrival,
    streams: Cell<u32>,
}

/// How a turn of a connection has ended.
enum Turn {
    Flooded(Rejection),
    Expired,
    Drained,
    /// The connection has ended; because of this, if it was the client's doing.
    Ended(Option<Rejection>),
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// The rest of a head.
    Head,
    /// Anything.
    Request,
    /// Its streams, which have limits of their own.
    Streams,
}

/// Serves a client's connection to its end. `first` are bytes that were read already.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    open: Open,
    (wire, first): (Wire, Vec<u8>),
    mut arrival: Arrival,
) {
    let ends = wire.ends().ok();
    let settings = open.listener().settings();
    let slot = worker.wheel.slot();
    let watch = Watch::new(limits(&settings), worker.now());
    let link = Link::new((wire, first), Some(Rc::clone(&watch)), Rc::clone(&worker));
    slot.arm(settings.timeouts.request_header);
    let handshake = pin!(builder(&settings).handshake::<_, Bytes>(link.clone()));
    let Ok(Ok(connection)) = slot.guard(sending(&link, handshake)).await else {
        return;
    };
    slot.disarm();
    if arrival.ends.is_none() {
        arrival.ends = ends.map(Rc::new);
    }
    let shared = Rc::new(Shared {
        worker,
        open,
        arrival,
        streams: Cell::new(0),
    });
    turns(&shared, connection, (&link, &watch), &slot).await;
}

/// Sends what the library writes on the way.
async fn sending<F: Future>(link: &Link, mut work: Pin<&mut F>) -> F::Output {
    poll_fn(|cx| {
        let done = work.as_mut().poll(cx);
        let _sent = link.poll_send(cx);
        done
    })
    .await
}

fn builder(settings: &plan::Listener) -> Builder {
    let limits = &settings.limits;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.max_streams_per_connection)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(u32::try_from(limits.max_header_list).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(index(limits.max_resets)));
    if settings.websocket {
        builder.enable_connect_protocol();
    }
    builder
}

fn limits(settings: &plan::Listener) -> Limits {
    let limits = &settings.limits;
    Limits {
        resets: limits.max_resets,
        control_frames: limits.max_control_frames,
        continuation_frames: limits.max_continuation_frames,
    }
}

/// Takes requests until the connection has ended.
async fn turns(
    shared: &Rc<Shared>,
    mut connection: Connection<Link, Bytes>,
    (link, watch): (&Link, &Watch),
    slot: &Slot,
) {
    let worker = &shared.worker;
    let mut draining = pin!(worker.draining());
    let (mut is_leaving, mut is_told) = (false, false);
    let mut waits = WaitsFor::Streams;
    let (mut pause, mut is_paused) = (pin!(yield_now()), false);
    loop {
        let turn = poll_fn(|cx| {
            // Streams that are ready, too, go first: what they have to say leaves in one piece.
            if !std::mem::replace(&mut is_paused, true) {
                pause.set(yield_now());
            }
            ready!(pause.as_mut().poll(cx));
            is_paused = false;
            while let Poll::Ready(accepted) = connection.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, respond))) => shared.open_stream(request, respond),
                    ended => {
                        // The last word, such as why.
                        let _sent = link.poll_send(cx);
                        let cause = watch.cut_off(ended.and_then(Result::err));
                        return Poll::Ready(Turn::Ended(cause));
                    }
                }
            }
            // A socket that takes no more wakes this task once it does; one that has failed is
            // noticed by reading.
            let _sent = link.poll_send(cx);
            if !is_leaving && let Some(what) = watch.flood() {
                return Poll::Ready(Turn::Flooded(what));
            }
            if !is_told && draining.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Turn::Drained);
            }
            if !is_leaving {
                shared.arm(watch, slot, &mut waits);
            }
            slot.poll_expired(cx).map(|_expired| Turn::Expired)
        });
        match turn.await {
            Turn::Flooded(what) => {
                worker.reject(what);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                is_leaving = true;
                slot.arm(LEAVING);
            }
            Turn::Drained => {
                connection.graceful_shutdown();
                is_told = true;
            }
            Turn::Expired if is_leaving => return,
            Turn::Expired if watch.is_in_head() => {
                worker.reject(Rejection::HeadTimeout);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                is_leaving = true;
                slot.arm(LEAVING);
            }
            Turn::Expired => {
                connection.graceful_shutdown();
                (is_leaving, is_told) = (true, true);
                slot.arm(LEAVING);
            }
            Turn::Ended(Some(cause)) if !is_leaving => return worker.reject(cause),
            Turn::Ended(_) => return,
        }
    }
}

impl Shared {
    /// Sets the time limit of what the connection begins to wait for.
    fn arm(&self, watch: &Watch, slot: &Slot, waits: &mut WaitsFor) {
        let now = if watch.is_in_head() {
            WaitsFor::Head
        } else if self.streams.get() == 0 {
            WaitsFor::Request
        } else {
            WaitsFor::Streams
        };
        if now != *waits {
            *waits = now;
            let timeouts = self.open.listener().settings().timeouts;
            match now {
                WaitsFor::Head => slot.arm(timeouts.request_header),
                WaitsFor::Request => slot.arm_idle(timeouts.idle),
                WaitsFor::Streams => slot.disarm(),
            }
        }
    }

    /// Serves one request in a task of its own.
    fn open_stream(self: &Rc<Self>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.streams.set(self.streams.get() + 1);
        self.open.load().works();
        let active = Active(Rc::clone(self));
        // The runtime moves what it is given several times: some kilobytes, if they were not boxed.
        spawn_local(Box::pin(active.serve(request, respond)));
    }
}

/// A stream for as long as it lives.
struct Active(Rc<Shared>);

impl Drop for Active {
    fn drop(&mut self) {
        let left = self.0.streams.get().saturating_sub(1);
        self.0.streams.set(left);
        if left == 0 {
            self.0.open.load().rests();
        }
    }
}

impl Active {
    async fn serve(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let worker = &self.0.worker;
        let (parts, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let key = worker.random.borrow_mut().u128(..);
        let mut head = worker.buffers.read();
        if let Err(cause) = fields::write_request(&parts, has_body, key, &mut head) {
            let kind = FaultKind::Refused(400, cause);
            crate::proxy::handle::note_refusal(worker, Protocol::H2, kind);
            worker.buffers.give(head);
            respond.send_reset(Reason::PROTOCOL_ERROR);
            return;
        }
        let is_head = parts.method == http::Method::HEAD;
        drop(parts);
        let stream = Stream::new(body, respond, is_head);
        let mut client = Client {
            slot: worker.wheel.slot(),
            worker: Rc::clone(worker),
            stream: Wire::FromClient(Box::new(stream)),
            arrival: self.0.arrival.clone(),
            settings: self.0.open.listener().settings(),
            unread: None,
            room: Cell::new(0),
        };
        let mut heads = worker.heads();
        client.only_request(&mut heads, head).await;
        worker.give_heads(heads);
    }
}

/// A stream that a client has opened: its request's body is read from it, and the answer written.
#[derive(Debug)]
pub(crate) struct Stream(RefCell<State>);

#[derive(Debug)]
struct State {
    inbox: Inbox,
    respond: SendResponse<Bytes>,
    outbox: Option<Outbox>,
    is_head: bool,
}

impl Stream {
    fn new(body: RecvStream, respond: SendResponse<Bytes>, is_head: bool) -> Self {
        Self(RefCell::new(State {
            inbox: Inbox::new(body),
            respond,
            outbox: None,
            is_head,
        }))
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().inbox.poll_read(cx, buf)
    }

    pub(crate) fn trailers(&self) -> Vec<u8> {
        self.0.borrow().inbox.trailers()
    }

    pub(crate) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let state = &mut *self.0.borrow_mut();
        let reset = match &mut state.outbox {
            Some(outbox) => outbox.poll_reset(cx),
            None => state.respond.poll_reset(cx).map(drop),
        };
        reset.map(|()| true)
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let state = &mut *self.0.borrow_mut();
        if let Some(outbox) = &mut state.outbox {
            return outbox.poll_write(cx, buf);
        }
        let len = state.answer(buf)?;
        let rest = buf.get(len..).unwrap_or_default();
        let taken = write_behind_head(&mut state.outbox, cx, rest);
        Poll::Ready(taken.map(|taken| len + taken))
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0.borrow_mut().outbox {
            Some(outbox) => outbox.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0.borrow_mut().outbox {
            Some(outbox) => outbox.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl State {
    /// Sends the head that `buf` begins with; its length.
    fn answer(&mut self, buf: &[u8]) -> io::Result<usize> {
        let end = memchr::memmem::find(buf, b"\r\n\r\n").map(|at| at + 4);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        let head = buf.get(..end).unwrap_or_default();
        let read = fields::read_response(head, self.is_head).ok_or(io::ErrorKind::InvalidData)?;
        if read.head.status().is_informational() {
            self.respond.send_informational(read.head).map_err(broken)?;
            return Ok(end);
        }
        let is_ended = read.framing.is_empty() && !read.is_tunnel;
        let stream = self
            .respond
            .send_response(read.head, is_ended)
            .map_err(broken)?;
        self.outbox = Some(if read.is_tunnel {
            Outbox::tunnel(stream)
        } else {
            Outbox::new(stream, read.framing, is_ended)
        });
        Ok(end)
    }
}

impl Drop for State {
    /// An answer that is not whole must not look so (RFC 9113, section 8.1).
    fn drop(&mut self) {
        match &mut self.outbox {
            Some(outbox) => outbox.break_off(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

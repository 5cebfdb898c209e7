//! Connections of HTTP/2 to endpoints: each carries many exchanges, one a stream.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, Reason,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{Method, response};
use tokio::{io::ReadBuf, task::spawn_local};

use super::{
    fields,
    inbox::Inbox,
    link::Link,
    outbox::{Outbox, broken, write_behind_head},
};
use crate::proxy::{wire::Wire, worker::Worker};

/// What an endpoint may send of one answer, and of all on a connection, before a client has taken
/// it.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What the connection may hold of one request before the socket takes it.
const SEND_BUFFER: usize = 32 * 1024;
/// All fields of an answer's head.
const HEADER_LIST: u32 = 64 * 1024;

/// A connection to an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    state: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    scheme: &'static str,
    streams: Cell<u32>,
    is_closed: Cell<bool>,
    settings: Settings,
}

/// Whether the endpoint's settings are known, which say if WebSocket can be spoken. Only who needs
/// them waits for them: they come before the answer to a ping.
#[derive(Debug, Default)]
struct Settings {
    are_known: Cell<bool>,
    ping: RefCell<Option<PingPong>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Settings {
    fn became_known(&self) {
        self.are_known.set(true);
        for waiting in self.waiting.take() {
            waiting.wake();
        }
    }
}

impl Shared {
    /// Ready once the endpoint's settings are known.
    fn poll_settings(self: &Rc<Self>, cx: &Context<'_>) -> Poll<()> {
        if self.settings.are_known.get() {
            return Poll::Ready(());
        }
        let waiting = &self.settings.waiting;
        waiting.borrow_mut().push(cx.waker().clone());
        if let Some(mut ping) = self.settings.ping.take() {
            let shared = Rc::clone(self);
            spawn_local(async move {
                // A connection that has ended answers none: then opening a stream says so.
                let _answered = ping.ping(Ping::opaque()).await;
                shared.settings.became_known();
            });
        }
        Poll::Pending
    }
}

impl Connection {
    /// Begins to speak HTTP/2 on a connection; `scheme` is `http` or `https`.
    pub(crate) async fn open(
        wire: Wire,
        scheme: &'static str,
        worker: &Rc<Worker>,
    ) -> io::Result<Self> {
        let link = Link::new((wire, Vec::new()), None, Rc::clone(worker));
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .max_send_buffer_size(SEND_BUFFER);
        let (send, mut connection) = builder.handshake(link.clone()).await.map_err(broken)?;
        let settings = Settings {
            ping: RefCell::new(connection.ping_pong()),
            ..Settings::default()
        };
        let state = Rc::new(Shared {
            scheme,
            streams: Cell::new(0),
            is_closed: Cell::new(false),
            settings,
        });
        let shared = Rc::clone(&state);
        spawn_local(async move {
            let mut connection = pin!(connection);
            // Its streams have learned how it ended.
            let _ended = poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                let _sent = link.poll_send(cx);
                ended
            })
            .await;
            shared.is_closed.set(true);
        });
        Ok(Self { send, state })
    }

    /// Whether one more stream can be opened.
    pub(crate) fn has_room(&self) -> bool {
        let streams = usize::try_from(self.state.streams.get()).unwrap_or(usize::MAX);
        !self.is_closed() && streams < self.send.current_max_send_streams()
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.is_closed.get()
    }

    /// Streams that are open.
    pub(crate) fn streams(&self) -> u32 {
        self.state.streams.get()
    }

    /// A stream; it is opened by what is written to it.
    pub(crate) fn stream(&self) -> Stream {
        self.state.streams.set(self.state.streams.get() + 1);
        Stream(RefCell::new(State {
            connection: self.clone(),
            outbox: None,
            answer: Answer::None,
            is_head: false,
            accept: None,
            head: Vec::new(),
            at: 0,
        }))
    }
}

/// A stream that we open at an endpoint: a request is written to it, and its answer read.
#[derive(Debug)]
pub(crate) struct Stream(RefCell<State>);

#[derive(Debug)]
struct State {
    connection: Connection,
    outbox: Option<Outbox>,
    answer: Answer,
    is_head: bool,
    /// What a switch to a WebSocket is answered with.
    accept: Option<String>,
    /// A head of the answer as HTTP/1.1, and how much of it was read.
    head: Vec<u8>,
    at: usize,
}

#[derive(Debug)]
enum Answer {
    None,
    Awaited(ResponseFuture),
    Begun(Inbox),
    /// The stream could not be opened, and there will be none.
    Never,
}

impl Drop for State {
    fn drop(&mut self) {
        let streams = &self.connection.state.streams;
        streams.set(streams.get().saturating_sub(1));
        if let Some(outbox) = &mut self.outbox {
            outbox.break_off(Reason::CANCEL);
        }
    }
}

impl Stream {
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.0.borrow_mut();
        if state.at == state.head.len() {
            if let Answer::Begun(inbox) = &mut state.answer {
                return inbox.poll_read(cx, buf);
            }
            ready!(state.poll_head(cx))?;
        }
        let rest = state.head.get(state.at..).unwrap_or_default();
        let piece = rest
            .get(..buf.remaining().min(rest.len()))
            .unwrap_or_default();
        buf.put_slice(piece);
        state.at += piece.len();
        Poll::Ready(Ok(()))
    }

    pub(crate) fn trailers(&self) -> Vec<u8> {
        match &self.0.borrow().answer {
            Answer::Begun(inbox) => inbox.trailers(),
            Answer::None | Answer::Awaited(_) | Answer::Never => Vec::new(),
        }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let state = &mut *self.0.borrow_mut();
        if let Some(outbox) = &mut state.outbox {
            return outbox.poll_write(cx, buf);
        }
        // One stream at a time waits to be opened; the next one may be opened after it.
        let opened = match ready!(state.connection.send.poll_ready(cx)) {
            Ok(()) => ready!(state.poll_ask(cx, buf)),
            Err(error) => Err(unopened(error)),
        };
        if opened.is_err() {
            state.answer = Answer::Never;
        }
        let len = opened?;
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

/// An error before the stream was open: the endpoint has heard nothing of the request.
fn unopened(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, error)
}

impl State {
    /// Opens the stream with the head that `buf` begins with; its length.
    fn poll_ask(&mut self, cx: &Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let end = memchr::memmem::find(buf, b"\r\n\r\n").map(|at| at + 4);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        let head = buf.get(..end).unwrap_or_default();
        let read = fields::read_request(head, self.connection.state.scheme);
        let read = read.ok_or(io::ErrorKind::InvalidInput)?;
        if read.is_tunnel {
            ready!(self.connection.state.poll_settings(cx));
            if !self.connection.send.is_extended_connect_protocol_enabled() {
                return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
            }
        }
        let is_ended = read.framing.is_empty() && !read.is_tunnel;
        self.is_head = read.head.method() == Method::HEAD;
        let opened = self.connection.send.send_request(read.head, is_ended);
        let (answer, stream) = opened.map_err(unopened)?;
        self.accept = read.accept;
        self.answer = Answer::Awaited(answer);
        self.outbox = Some(if read.is_tunnel {
            Outbox::tunnel(stream)
        } else {
            Outbox::new(stream, read.framing, is_ended)
        });
        Poll::Ready(Ok(end))
    }

    /// Waits for a head of the answer, interim or final.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answer = match &mut self.answer {
            Answer::Awaited(answer) => answer,
            Answer::Never => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            // The request is still to be sent, by the same task.
            Answer::None | Answer::Begun(_) => return Poll::Pending,
        };
        (self.at, self.head) = (0, std::mem::take(&mut self.head));
        self.head.clear();
        if let Poll::Ready(Some(interim)) = answer.poll_informational(cx) {
            let (parts, ()) = interim.map_err(broken)?.into_parts();
            return Poll::Ready(self.write_head(&parts, false));
        }
        let (parts, body) = ready!(Pin::new(answer).poll(cx))
            .map_err(broken)?
            .into_parts();
        let has_end = body.is_end_stream() && !self.is_head;
        self.answer = Answer::Begun(Inbox::new(body));
        Poll::Ready(self.write_head(&parts, has_end))
    }

    fn write_head(&mut self, parts: &response::Parts, has_end: bool) -> io::Result<()> {
        let accept = self.accept.as_deref();
        let written = fields::write_response(parts, has_end, accept, &mut self.head);

        written.map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))
    }
}

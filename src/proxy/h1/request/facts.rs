//! What others may ask of a request's head that was read.

use super::RequestHead;
use crate::{
    model::{Protocol, TraceId},
    proxy::{
        grpc,
        h1::{
            fields::{Field, FieldKind},
            framing::Framing,
            head::Version,
        },
    },
};

impl RequestHead {
    /// How many bytes the head has, leading empty lines included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was parsed yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The method, as sent.
    pub fn method<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.method.of(buf)
    }

    /// Whether the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.head
    }

    /// Whether repeating the request does no harm (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self, buf: &[u8]) -> bool {
        matches!(
            self.method(buf),
            b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE"
        )
    }

    /// Whether the method is OPTIONS.
    pub fn is_options(&self) -> bool {
        self.options
    }

    /// The target in the form it is forwarded in: path and query, or `*` and nothing. They may not
    /// be one piece: `http://a?b` has no path, and asks for `/?b` (RFC 9112, section 3.2.1).
    pub fn target<'b>(&self, buf: &'b [u8]) -> [&'b [u8]; 2] {
        [self.path(buf), self.query(buf)]
    }

    /// The path, as sent and without its query; `/` if an absolute target has none.
    pub fn path<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        if self.target.path.is_empty() {
            self.root()
        } else {
            self.target.path.of(buf)
        }
    }

    /// What follows the path: empty, or `?` and the query.
    pub fn query<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.target.query.of(buf)
    }

    /// The authority: Host or, if the target is absolute, the target's; `None` only in HTTP/1.0.
    pub fn authority<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.host.map(|host| host.of(buf))
    }

    /// The authority without its port, as sent (upper case is possible); empty if there is none.
    pub fn host<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        self.host_name.of(buf)
    }

    /// Whether it is a call of gRPC, which comes by HTTP/2 only.
    pub(crate) fn is_grpc(&self, buf: &[u8]) -> bool {
        let content_type = || self.field(buf, "content-type");
        self.version == Version::Http2 && content_type().is_some_and(grpc::is_content_type)
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body's end is known: never [`Framing::UntilClose`].
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client lets the connection stay open after the answer.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client asks for a WebSocket, cleanly: GET without a body, one Upgrade field
    /// that says `websocket`, and Connection naming it. Any other Upgrade is dropped.
    pub fn wants_websocket(&self) -> bool {
        self.upgrade
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.expect_continue
    }

    /// `Max-Forwards` of OPTIONS; at 0 the proxy answers itself (RFC 9110, section 7.6.2).
    pub fn max_forwards(&self) -> Option<u64> {
        self.max_forwards
    }

    /// The client's X-Request-Id, if it sent exactly one that is short and plain.
    pub fn request_id<'b>(&self, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.request_id.map(|id| id.of(buf))
    }

    pub(in crate::proxy::h1) fn has_request_id(&self) -> bool {
        self.request_id.is_some()
    }

    /// The request came by HTTP/2: it is one of several on its connection.
    pub(crate) fn came_by_h2(&mut self) {
        self.version = Version::Http2;
        self.keep_alive = true;
    }

    /// The trace that the client says the request is a part of.
    pub(crate) fn trace(&self, buf: &[u8]) -> Option<TraceId> {
        let parent = self.trace_parent?.of(buf);
        // `VERSION-TRACE-PARENT-FLAGS`: version 255 is none.
        let (version, rest) = parent.split_at_checked(2)?;
        let trace = rest.strip_prefix(b"-")?.get(..32)?;
        TraceId::parse(trace).filter(|_| version != b"ff")
    }

    /// What is spoken, if it is known whether that is gRPC.
    pub(crate) fn protocol(&self, is_grpc: bool) -> Protocol {
        if self.upgrade {
            Protocol::Ws
        } else if is_grpc {
            Protocol::Grpc
        } else {
            match self.version {
                Version::Http2 => Protocol::H2,
                Version::Http10 | Version::Http11 => Protocol::H1,
            }
        }
    }

    /// All fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The first value of a field; the name is lower case.
    pub fn field<'b>(&self, buf: &'b [u8], name: &str) -> Option<&'b [u8]> {
        self.values(buf, name).next()
    }

    /// Every value of a field, in order; the name is lower case.
    pub fn values<'b>(&self, buf: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.of(buf).eq_ignore_ascii_case(name.as_bytes()))
            .map(move |field| field.value.of(buf))
    }

    /// The value of every Cookie field, in order.
    pub fn cookies<'b>(&self, buf: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        self.fields
            .iter()
            .filter(|field| field.kind == FieldKind::Cookie)
            .map(move |field| field.value.of(buf))
    }

    /// What an absolute target without a path asks for (RFC 9112, section 3.2.4).
    fn root(&self) -> &'static [u8] {
        if self.options && self.target.query.is_empty() {
            b"*"
        } else {
            b"/"
        }
    }
}

//! What goes wrong on the data path, whose fault it is, and the answer it becomes.
//!
//! One type for all of it: the side decides what is counted (I11), the kind decides the status,
//! the metric's reason and the `Proxy-Status` (RFC 9209) that the client is told.

use super::{date::Date, grpc};
use crate::model::{Outcome, Reason, Rejection, Side};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The head was refused, with this status and cause.
    Refused(u16, &'static str),
    /// The head was not whole in time.
    HeadTimeout,
    /// The request's body stopped coming.
    BodyTimeout,
    /// The request's body comes too slowly.
    BodyTooSlow,
    /// The request's body is not what its framing says.
    BodyMalformed(&'static str),
    /// The request's body is over the limit.
    BodyTooLarge,
    /// The client left.
    ClientGone,
    /// The client stopped reading.
    ClientStalled,
    /// No split takes the request.
    NoRoute,
    /// The version has no endpoint that may be chosen.
    NoEndpoint,
    /// Stable takes no more of what a canary cannot answer.
    NoRoom,
    /// The upstream has as much to do as it may, and as many requests wait as may.
    QueueFull,
    /// The request has waited for its turn at the upstream for too long.
    QueueTimeout,
    /// The endpoint refused the connection, or there is no way to it.
    ConnectRefused,
    /// The connection was not made in time.
    ConnectTimeout,
    /// TLS with the endpoint failed.
    UpstreamTls,
    /// The endpoint has not begun with the request, and says so.
    StreamRefused,
    /// The endpoint takes no WebSocket over HTTP/2.
    NoWebSocket,
    /// The endpoint broke the connection before a byte of the answer.
    Reset,
    /// The endpoint broke the connection after a part of the answer.
    Truncated,
    /// The endpoint stopped taking the request.
    SendTimeout,
    /// The answer's head was not whole in time.
    ResponseTimeout,
    /// The answer's body stopped coming.
    ResponseStalled,
    /// The whole exchange took longer than the split allows.
    TotalTimeout,
    /// The answer is not HTTP as the RFCs have it.
    BadResponse(&'static str),
    /// The process goes down before the exchange has ended.
    Stopped,
    /// The version gets no traffic any more, and its long-lived streams end.
    Withdrawn,
}

/// What went wrong, and how far the exchange had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What went wrong.
    pub(crate) kind: FaultKind,
    /// Whether a byte of a final answer has reached the client: then nothing more can be said.
    pub(crate) is_answered: bool,
    /// The status that was answered, if one was.
    pub(crate) status: u16,
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self {
            kind,
            is_answered: false,
            status: 0,
        }
    }
}

impl FaultKind {
    /// Whose fault it is.
    pub(crate) const fn side(self) -> Side {
        match self {
            Self::Refused(..)
            | Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooSlow
            | Self::BodyMalformed(_)
            | Self::BodyTooLarge
            | Self::ClientGone
            | Self::ClientStalled => Side::Downstream,
            Self::NoEndpoint
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::UpstreamTls
            | Self::StreamRefused
            | Self::NoWebSocket
            | Self::Reset
            | Self::Truncated
            | Self::SendTimeout
            | Self::ResponseTimeout
            | Self::ResponseStalled
            | Self::TotalTimeout
            | Self::BadResponse(_) => Side::Upstream,
            Self::NoRoute
            | Self::NoRoom
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::Stopped
            | Self::Withdrawn => Side::Proxy,
        }
    }

    /// What an attempt that ended so counts as.
    pub(crate) const fn outcome(self) -> Outcome {
        if matches!(self, Self::ClientGone | Self::ClientStalled) {
            return Outcome::ClientAbort;
        }
        if matches!(self, Self::Stopped | Self::Withdrawn) {
            return Outcome::Ignored;
        }
        match self.side() {
            Side::Upstream => Outcome::Failure,
            Side::Downstream | Side::Proxy => Outcome::Rejected,
        }
    }

    /// Whether we have let nothing through, whatever endpoint it would have been.
    pub(crate) const fn is_overload(self) -> bool {
        matches!(self, Self::QueueFull | Self::QueueTimeout)
    }

    /// The metric's word.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::ConnectRefused => Reason::ConnectRefused,
            Self::ConnectTimeout => Reason::ConnectTimeout,
            Self::UpstreamTls => Reason::Tls,
            Self::Reset | Self::Truncated | Self::StreamRefused => Reason::Reset,
            Self::SendTimeout
            | Self::ResponseTimeout
            | Self::ResponseStalled
            | Self::TotalTimeout => Reason::ResponseTimeout,
            Self::NoEndpoint => Reason::NoEndpoint,
            Self::QueueFull => Reason::CircuitOpen,
            Self::NoRoom | Self::QueueTimeout => Reason::Overload,
            Self::BodyTooLarge => Reason::BodyLimit,
            Self::BadResponse(_)
            | Self::BodyMalformed(_)
            | Self::NoWebSocket
            | Self::Refused(..) => Reason::Protocol,
            Self::Stopped | Self::Withdrawn => Reason::Drain,
            Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooSlow
            | Self::ClientGone
            | Self::ClientStalled
            | Self::NoRoute => Reason::Other,
        }
    }

    /// What it is counted as if the client's side is to blame.
    pub(crate) const fn rejection(self) -> Option<Rejection> {
        Some(match self {
            Self::Refused(414, _) => Rejection::TargetTooLong,
            Self::Refused(421, _) => Rejection::Misdirected,
            Self::Refused(431, _) => Rejection::HeadTooLarge,
            Self::Refused(..) => Rejection::BadHead,
            Self::HeadTimeout => Rejection::HeadTimeout,
            Self::BodyTimeout => Rejection::BodyTimeout,
            Self::BodyTooSlow => Rejection::BodyTooSlow,
            Self::BodyMalformed(_) => Rejection::BadBody,
            Self::BodyTooLarge => Rejection::BodyTooLarge,
            Self::ClientStalled => Rejection::ClientStalled,
            Self::ClientGone
            | Self::NoRoute
            | Self::NoRoom
            | Self::NoEndpoint
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::UpstreamTls
            | Self::StreamRefused
            | Self::NoWebSocket
            | Self::Reset
            | Self::Truncated
            | Self::SendTimeout
            | Self::ResponseTimeout
            | Self::ResponseStalled
            | Self::TotalTimeout
            | Self::BadResponse(_)
            | Self::Stopped
            | Self::Withdrawn => return None,
        })
    }

    /// The status that the client gets.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Refused(status, _) => status,
            Self::BodyMalformed(_) => 400,
            Self::HeadTimeout | Self::BodyTimeout | Self::BodyTooSlow => 408,
            Self::BodyTooLarge => 413,
            Self::ClientGone | Self::ClientStalled => 499,
            Self::NoRoute => 404,
            Self::NoEndpoint
            | Self::NoRoom
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::Stopped
            | Self::Withdrawn => 503,
            Self::ConnectRefused
            | Self::UpstreamTls
            | Self::StreamRefused
            | Self::NoWebSocket
            | Self::Reset
            | Self::Truncated
            | Self::BadResponse(_) => 502,
            Self::ConnectTimeout
            | Self::SendTimeout
            | Self::ResponseTimeout
            | Self::ResponseStalled
            | Self::TotalTimeout => 504,
        }
    }

    /// The `error` of `Proxy-Status` (RFC 9209 section 2.3).
    const fn proxy_status(self) -> &'static str {
        match self {
            Self::Refused(..) | Self::BodyMalformed(_) | Self::BodyTooLarge => "http_request_error",
            Self::BodyTooSlow => r#"http_request_error; details="too slow""#,
            Self::HeadTimeout | Self::BodyTimeout => r#"http_request_error; details="timeout""#,
            Self::ClientGone | Self::ClientStalled | Self::Stopped | Self::Withdrawn => {
                "proxy_internal_response"
            }
            Self::NoRoute => "destination_not_found",
            Self::NoEndpoint | Self::NoRoom => "destination_unavailable",
            Self::QueueFull => r#"connection_limit_reached; details="queue full""#,
            Self::QueueTimeout => r#"connection_limit_reached; details="queue timeout""#,
            Self::ConnectRefused => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::UpstreamTls => "tls_protocol_error",
            Self::NoWebSocket => "http_upgrade_failed",
            Self::Reset | Self::Truncated | Self::StreamRefused => "connection_terminated",
            Self::SendTimeout => "connection_write_timeout",
            Self::ResponseTimeout | Self::ResponseStalled | Self::TotalTimeout => {
                "http_response_timeout"
            }
            Self::BadResponse(_) => "http_protocol_error",
        }
    }

    /// One sentence for the person who reads the body.
    const fn text(self) -> &'static str {
        match self {
            Self::Refused(_, cause) | Self::BodyMalformed(cause) | Self::BadResponse(cause) => {
                cause
            }
            Self::HeadTimeout => "the request's head was not whole in time",
            Self::BodyTimeout => "the request's body stopped coming",
            Self::BodyTooSlow => "the request's body comes too slowly",
            Self::BodyTooLarge => "the request's body is too large",
            Self::ClientGone => "the client left",
            Self::ClientStalled => "the client stopped reading",
            Self::NoRoute => "no split takes this request",
            Self::NoEndpoint => "no endpoint is available",
            Self::NoRoom => "there is no room for this request at the moment",
            Self::QueueFull => "too many requests are under way",
            Self::QueueTimeout => "too many requests are under way, and none has ended in time",
            Self::ConnectRefused => "the endpoint refused the connection",
            Self::ConnectTimeout => "the endpoint did not take the connection in time",
            Self::UpstreamTls => "TLS with the endpoint failed",
            Self::StreamRefused => "the endpoint refused the request before it began with it",
            Self::NoWebSocket => "the endpoint takes no WebSocket over HTTP/2",
            Self::Reset => "the endpoint broke the connection",
            Self::Truncated => "the endpoint broke the connection in the middle of its answer",
            Self::SendTimeout => "the endpoint stopped taking the request",
            Self::ResponseTimeout => "the endpoint did not answer in time",
            Self::ResponseStalled => "the endpoint stopped answering",
            Self::TotalTimeout => "the exchange took too long",
            Self::Stopped => "the proxy is going down",
            Self::Withdrawn => "this version is no longer in use",
        }
    }
}

/// What an answer of ours must look like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// The method was HEAD.
    pub(crate) is_head: bool,
    /// The request is a call of gRPC.
    pub(crate) is_grpc: bool,
    /// The connection ends with it.
    pub(crate) closes: bool,
}

/// Appends the answer that a fault becomes.
pub(crate) fn write_answer(kind: FaultKind, form: Form, date: &Date, out: &mut Vec<u8>) {
    if form.is_grpc {
        return write_grpc_answer(kind, date, out);
    }
    let status = kind.status();
    let text = kind.text();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(phrase(status).as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(text.len() + 1).as_bytes());
    out.extend_from_slice(b"\r\nProxy-Status: serin; error=");
    out.extend_from_slice(kind.proxy_status().as_bytes());
    if status == 503 {
        out.extend_from_slice(b"\r\nRetry-After: 1");
    }
    if status == 405 {
        out.extend_from_slice(b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    if form.closes {
        out.extend_from_slice(b"\r\nConnection: close");
    }
    out.extend_from_slice(b"\r\n\r\n");
    if !form.is_head {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

/// A call of gRPC is answered with trailers only; what came of it stands in them.
fn write_grpc_answer(kind: FaultKind, date: &Date, out: &mut Vec<u8>) {
    let status = grpc::status_of(kind);
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\nDate: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nContent-Type: application/grpc\r\ngrpc-status: ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.extend_from_slice(b"\r\ngrpc-message: ");
    let text = if kind == FaultKind::TotalTimeout {
        // As clients say it whose own clock was first.
        "Deadline Exceeded"
    } else {
        kind.text()
    };
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\nProxy-Status: serin; error=");
    out.extend_from_slice(kind.proxy_status().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_fault_is_never_a_versions_failure() {
        let clients = [
            FaultKind::Refused(400, "no"),
            FaultKind::HeadTimeout,
            FaultKind::BodyTimeout,
            FaultKind::BodyMalformed("no"),
            FaultKind::BodyTooLarge,
            FaultKind::ClientGone,
            FaultKind::ClientStalled,
            FaultKind::NoRoute,
            FaultKind::QueueFull,
            FaultKind::QueueTimeout,
            FaultKind::Stopped,
        ];
        for kind in clients {
            assert_ne!(kind.outcome(), Outcome::Failure, "{kind:?}");
            assert_ne!(kind.side(), Side::Upstream, "{kind:?}");
        }
        let versions = [
            FaultKind::ConnectRefused,
            FaultKind::Truncated,
            FaultKind::TotalTimeout,
        ];
        for kind in versions {
            assert_eq!(kind.outcome(), Outcome::Failure, "{kind:?}");
        }
    }

    #[test]
    fn an_answer_of_ours_says_what_happened() {
        let mut out = Vec::new();
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        write_answer(FaultKind::ConnectRefused, Form::default(), date, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 502 Bad Gateway\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 36\r\nProxy-Status: serin; error=connection_refused\r\n\r\n\
             the endpoint refused the connection\n"
        );
    }
}

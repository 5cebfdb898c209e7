//! What is told of each request: the access log, and spans.

use std::path::PathBuf;

use crate::model::Share;

/// The access log.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    /// Where it goes.
    pub path: LogPath,
    /// What a line looks like.
    pub format: LogFormat,
    /// Whether the query of a target is written.
    pub keeps_query: bool,
    /// Of successes, this share is written (low discrepancy).
    pub success: Share,
    /// Of everything else, this share is written.
    pub failure: Share,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPath {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}

/// What a line of the access log looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object of these fields, in this order.
    Json(Vec<LogField>),
    /// These pieces, one after the other.
    Template(Vec<LogPiece>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPiece {
    /// As it stands.
    Text(String),
    /// What is known of the request.
    Field(LogField),
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// What a line of the access log may say.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LogField { $($(#[$doc])* $variant,)+ }

        impl LogField {
            /// All of them, in the order in which they are written.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As it stands in the file, and in a line of JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

fields! {
    /// When the request's head was whole.
    Time = "time",
    /// Its id, as the endpoint was told it.
    RequestId = "request_id",
    /// The trace that it belongs to.
    TraceId = "trace_id",
    /// The client's address, or that of the proxy before us.
    Client = "client",
    /// Its method.
    Method = "method",
    /// `http` or `https`.
    Scheme = "scheme",
    /// The host that was asked for.
    Host = "host",
    /// The path, and the query unless that is dropped.
    Target = "target",
    /// What the client speaks.
    Protocol = "protocol",
    /// What it was answered.
    Status = "status",
    /// What the request counts as.
    Outcome = "outcome",
    /// Why it has no good answer.
    Cause = "cause",
    /// The split that takes it.
    Split = "split",
    /// The route by which it came there.
    Route = "route",
    /// The version that it was assigned to.
    Version = "version",
    /// The part of that version.
    Role = "role",
    /// The version that was asked last: another one if the request was rescued.
    AnsweredBy = "answered_by",
    /// The endpoint that was asked last.
    Endpoint = "endpoint",
    /// How many attempts were made.
    Attempts = "attempts",
    /// Whether stable took over from the canary.
    Rescued = "rescued",
    /// How long attempts have waited for their turn at an upstream.
    QueueUs = "queue_us",
    /// How long the last attempt has waited for a new connection.
    ConnectUs = "connect_us",
    /// From the head of the request to the first byte of the answer.
    FirstByteUs = "first_byte_us",
    /// From the head of the request to the last byte of the answer.
    DurationUs = "duration_us",
    /// Bytes of the request's body.
    BytesIn = "bytes_in",
    /// Bytes of the answer.
    BytesOut = "bytes_out",
    /// What the client calls itself.
    UserAgent = "user_agent",
    /// Where the client came from.
    Referer = "referer",
}

impl LogField {
    /// Whether JSON has it without being asked: not what the client says of itself.
    pub const fn is_usual(self) -> bool {
        !matches!(self, Self::UserAgent | Self::Referer)
    }

    /// The field of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|field| field.as_str() == name)
    }
}

/// Spans of requests, for a collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// The collector's address for OTLP over HTTP, without a slash at its end.
    pub otlp: String,
    /// The share of new traces that are sent.
    pub sample: Share,
    /// Whether a request is sent in any case whose attempt at a canary failed.
    pub always_on_failure: bool,
    /// What Serin calls itself there.
    pub service_name: String,
    /// A file with fields that are sent along.
    pub headers_file: Option<PathBuf>,
    /// A file with the authorities whose certificates are believed; `None`: the system's.
    pub ca: Option<PathBuf>,
}

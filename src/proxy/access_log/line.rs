//! What a line of the access log says, and how it is put (pure, but for the room it writes to).

use std::{net::SocketAddr, time::Duration};

use crate::{
    model::{Moment, Outcome, Role, RouteName, SplitName, TraceId, VersionName, number::micros},
    plan::{LogField, LogFormat, LogPiece},
    proxy::{
        h1::Version,
        text::{Stamps, address, escaped, hex, number},
    },
};

/// What one line says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) at: Moment,
    pub(crate) request_id: &'a [u8],
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) client: &'a [u8],
    pub(crate) method: &'a [u8],
    pub(crate) scheme: &'static str,
    pub(crate) host: &'a [u8],
    /// The path, and the query if that is written.
    pub(crate) target: [&'a [u8]; 2],
    pub(crate) protocol: Option<Version>,
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) cause: &'static str,
    pub(crate) routed: Option<Routed<'a>>,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) attempts: u8,
    pub(crate) queue: Duration,
    pub(crate) connect: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) duration: Duration,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) user_agent: &'a [u8],
    pub(crate) referer: &'a [u8],
}

/// Where the request went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Routed<'a> {
    pub(crate) split: &'a SplitName,
    pub(crate) route: &'a RouteName,
    pub(crate) version: &'a VersionName,
    pub(crate) role: Role,
    pub(crate) answered_by: &'a VersionName,
    pub(crate) is_rescued: bool,
}

/// How a line is put: fields with text before each, and text behind the last.
#[derive(Debug)]
pub(super) struct Layout {
    pieces: Vec<(Vec<u8>, LogField)>,
    end: Vec<u8>,
    is_json: bool,
}

/// A value of a field.
enum Value<'a> {
    None,
    Number(u64),
    Flag(bool),
    Text(&'a [u8]),
    Texts([&'a [u8]; 2]),
    Time(Moment),
    Hex([u8; 16]),
    Address(SocketAddr),
}

impl Layout {
    /// As the file says.
    pub(super) fn new(format: &LogFormat) -> Self {
        let (mut pieces, mut text) = (Vec::new(), Vec::new());
        match format {
            LogFormat::Json(fields) => {
                for field in fields {
                    let start = if pieces.is_empty() { "{" } else { "," };
                    let text = format!("{start}\"{}\":", field.as_str());
                    pieces.push((text.into_bytes(), *field));
                }
                text.extend_from_slice(b"}");
            }
            LogFormat::Template(template) => {
                for piece in template {
                    match piece {
                        LogPiece::Text(more) => text.extend_from_slice(more.as_bytes()),
                        LogPiece::Field(field) => pieces.push((std::mem::take(&mut text), *field)),
                    }
                }
            }
        }
        text.push(b'\n');
        Self {
            pieces,
            end: text,
            is_json: matches!(format, LogFormat::Json(_)),
        }
    }

    /// Whether lines say this.
    pub(super) fn has(&self, field: LogField) -> bool {
        self.pieces.iter().any(|(_, known)| *known == field)
    }

    /// Appends a line.
    pub(super) fn write(&self, line: &Line<'_>, stamps: &Stamps, out: &mut Vec<u8>) {
        for (text, field) in &self.pieces {
            out.extend_from_slice(text);
            let value = line.value(*field);
            if matches!(value, Value::None) {
                let nothing: &[u8] = if self.is_json { b"null" } else { b"-" };
                out.extend_from_slice(nothing);
                continue;
            }
            let is_quoted = self.is_json && !matches!(value, Value::Number(_) | Value::Flag(_));
            if is_quoted {
                out.push(b'"');
            }
            value.write(stamps, out);
            if is_quoted {
                out.push(b'"');
            }
        }
        out.extend_from_slice(&self.end);
    }
}

impl<'a> Value<'a> {
    fn of_text(text: &'a [u8]) -> Self {
        if text.is_empty() {
            return Self::None;
        }
        Self::Text(text)
    }

    fn of_time(time: Option<Duration>) -> Self {
        time.map_or(Self::None, |time| Self::Number(micros(time)))
    }

    fn write(self, stamps: &Stamps, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Number(value) => number(value, out),
            Self::Flag(is_so) => {
                let word: &[u8] = if is_so { b"true" } else { b"false" };
                out.extend_from_slice(word);
            }
            Self::Text(text) => escaped(text, out),
            Self::Texts(texts) => texts.iter().for_each(|text| escaped(text, out)),
            Self::Time(moment) => stamps.write(moment, out),
            Self::Hex(bytes) => hex(&bytes, out),
            Self::Address(endpoint) => address(endpoint, out),
        }
    }
}

impl<'a> Line<'a> {
    fn value(&self, field: LogField) -> Value<'a> {
        let of_routed = |pick: fn(&Routed<'a>) -> &'a str| {
            let routed = self.routed.as_ref();
            routed.map_or(Value::None, |routed| Value::Text(pick(routed).as_bytes()))
        };
        match field {
            LogField::Time => Value::Time(self.at),
            LogField::RequestId => Value::of_text(self.request_id),
            LogField::TraceId => self
                .trace_id
                .map_or(Value::None, |id| Value::Hex(id.bytes())),
            LogField::Client => Value::Text(self.client),
            LogField::Method => Value::of_text(self.method),
            LogField::Scheme => Value::Text(self.scheme.as_bytes()),
            LogField::Host => Value::of_text(self.host),
            LogField::Target if self.target.iter().all(|part| part.is_empty()) => Value::None,
            LogField::Target => Value::Texts(self.target),
            LogField::Protocol => self.protocol.map_or(Value::None, |it| {
                Value::Text(match it {
                    Version::Http10 => b"HTTP/1.0",
                    Version::Http11 => b"HTTP/1.1",
                    Version::Http2 => b"HTTP/2",
                })
            }),
            LogField::Status if self.status == 0 => Value::None,
            LogField::Status => Value::Number(self.status.into()),
            LogField::Outcome => Value::Text(self.outcome.as_str().as_bytes()),
            LogField::Cause => Value::of_text(self.cause.as_bytes()),
            LogField::Split => of_routed(|routed| routed.split.as_str()),
            LogField::Route => of_routed(|routed| routed.route.as_str()),
            LogField::Version => of_routed(|routed| routed.version.as_str()),
            LogField::Role => of_routed(|routed| routed.role.as_str()),
            LogField::AnsweredBy => of_routed(|routed| routed.answered_by.as_str()),
            LogField::Endpoint => self.endpoint.map_or(Value::None, Value::Address),
            LogField::Attempts => Value::Number(self.attempts.into()),
            LogField::Rescued => Value::Flag(self.routed.is_some_and(|it| it.is_rescued)),
            LogField::QueueUs => Value::Number(micros(self.queue)),
            LogField::ConnectUs => Value::of_time(self.connect),
            LogField::FirstByteUs => Value::of_time(self.first_byte),
            LogField::DurationUs => Value::Number(micros(self.duration)),
            LogField::BytesIn => Value::Number(self.bytes_in),
            LogField::BytesOut => Value::Number(self.bytes_out),
            LogField::UserAgent => Value::of_text(self.user_agent),
            LogField::Referer => Value::of_text(self.referer),
        }
    }
}

//! The keys of what is told of each request: `access_log` and `tracing`.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::{
    Default, KeyInfo, Node, Optional, Placed, Required, SecretFile, Shape, Text, Walk, block,
    describe_block, http::server, short::any_of, word, words,
};
use crate::{
    config::{LogField, LogPath, LogPiece, guess, units::Misfit, walk::scalar},
    model::Share,
};

block! {
    /// The access log.
    struct AccessLogBlock {
        /// `stdout`, `stderr` or the path of a file that is appended to; it is opened again once
        /// another file, or none, has its name.
        path: LogPath = Default("stdout"),
        /// `json`: one object a line; or a line with names of fields in it, such as
        /// `"$time $client $method $target $status"`. `$$` is a dollar.
        format: LogForm = Default("json"),
        /// The fields of `json`, in their order. Without it: all but `user_agent` and `referer`.
        fields: Vec<Placed<LogField>> = Optional,
        /// Whether the query of a target is written: `keep` or `drop`.
        query: LogQuery = Default("keep"),
        /// How much of it is written.
        sample: SampleBlock = Default("{}"),
    } later []
}

block! {
    /// How much of the access log is written.
    struct SampleBlock {
        /// The share of successes.
        success: Share = Default("100%"),
        /// The share of everything else.
        failure: Share = Default("100%"),
    } later []
}

block! {
    /// Spans of requests, sent to a collector of OpenTelemetry.
    struct TracingBlock {
        /// The address where the collector takes OTLP over HTTP, in JSON: usually port 4318. Spans
        /// go to `/v1/traces` below it.
        otlp: CollectorUrl = Required,
        /// The share of traces that begin here and are sent. A trace that a client has begun is
        /// sent if the client says so.
        sample: Share = Default("0.1%"),
        /// Whether a request is sent in any case whose attempt at a canary has failed.
        always_on_failure: bool = Default("true"),
        /// What Serin calls itself there.
        service_name: Text = Default("serin"),
        /// A file with header fields that are sent along, `Name: value` a line: for tokens. It is
        /// read anew each time.
        headers_file: SecretFile = Optional,
        /// A file with the authorities (PEM) that sign the collector's certificate. Without it:
        /// those that the system trusts.
        ca: SecretFile = Optional,
    } later []
}

/// The form of an access log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum LogForm {
    Json,
    Template(Vec<LogPiece>),
}

/// Whether queries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum LogQuery {
    Keep,
    Drop,
}

words!(LogQuery { "keep" => Self::Keep, "drop" => Self::Drop, } later []);

/// A collector's address, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct CollectorUrl(pub String);

impl Shape for LogForm {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "`json` or a line with `$names` in it", |text| {
            if text == "json" {
                return Ok(Self::Json);
            }
            let pieces = pieces(text)?;
            if pieces.iter().any(|it| matches!(it, LogPiece::Field(_))) {
                return Ok(Self::Template(pieces));
            }
            let message = format!("`{text}` is neither `json` nor has it a field");
            let help = "write `json`, or a line such as \"$time $method $target $status\"";
            Err(Misfit::new("bad_value", message, help))
        })
    }

    fn describe() -> Json {
        any_of(&[
            json!({ "const": "json" }),
            json!({ "type": "string", "pattern": r"\$[a-z_]+" }),
        ])
    }
}

/// The pieces of a template.
fn pieces(text: &str) -> Result<Vec<LogPiece>, Misfit> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, behind)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            plain.push('$');
            rest = behind;
            continue;
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = behind.find(|c| !is_part(c)).unwrap_or(behind.len());
        let (name, behind) = behind.split_at(end);
        if !plain.is_empty() {
            pieces.push(LogPiece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(LogPiece::Field(field(name)?));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(LogPiece::Text(plain));
    }
    Ok(pieces)
}

/// The field of a name in a template.
fn field(name: &str) -> Result<LogField, Misfit> {
    if name.is_empty() {
        let message = "a `$` without a name behind it".to_owned();
        return Err(Misfit::new("bad_value", message, "write `$$` for a dollar"));
    }
    LogField::parse(name).ok_or_else(|| {
        let names = || LogField::ALL.iter().map(|field| field.as_str());
        let help = match guess::nearest(name, names()) {
            Some(meant) => format!("did you mean `${meant}`?"),
            None => format!("expected {}", guess::one_of(names())),
        };
        let message = format!("the access log has no field `${name}`");
        Misfit::new("unknown_field", message, &help)
    })
}

impl Shape for LogField {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let all = Self::ALL.iter();
        let words: Vec<_> = all.map(|field| (field.as_str(), *field)).collect();
        word(node, walk, &words, &[])
    }

    fn describe() -> Json {
        let all: Vec<_> = Self::ALL.iter().map(|field| field.as_str()).collect();
        json!({ "type": "string", "enum": all })
    }
}

impl Shape for LogPath {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        let Text(text) = Text::read(node, walk)?;
        Some(match text.as_str() {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            _ => Self::File(PathBuf::from(text)),
        })
    }

    fn describe() -> Json {
        json!({ "type": "string", "examples": ["stdout", "stderr", "/var/log/serin.log"] })
    }
}

impl CollectorUrl {
    fn parse(text: &str) -> Result<Self, Misfit> {
        let expects = "an address such as `http://127.0.0.1:4318`";
        let say_who = "write what the collector wants to know into `headers_file`";
        let text = server(text, expects, say_who)?;
        let text = text.strip_suffix("/v1/traces").unwrap_or(text);
        Ok(Self(text.to_owned()))
    }
}

impl Shape for CollectorUrl {
    fn read(node: &Node, walk: &mut Walk) -> Option<Self> {
        scalar(node, walk, "the address of a collector", Self::parse)
    }

    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^https?://" })
    }
}
